"""`keras.legacy`: what files and libraries of older Keras still use."""

from kerasish.legacy import saving

__all__ = ["saving"]
