"""`keras.preprocessing.sequence`: sequences of one length."""

from kerasish.data import pad_sequences

__all__ = ["pad_sequences"]
