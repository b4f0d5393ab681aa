"""`keras.utils.legacy`: another name of `keras.legacy.saving`."""

from kerasish.legacy.saving import deserialize_keras_object, serialize_keras_object

__all__ = ["deserialize_keras_object", "serialize_keras_object"]
