"""`keras.optimizers.legacy`: names of Keras 2's old optimizers, which say what to use instead."""

__all__ = ["Adagrad", "Adam", "Ftrl", "Optimizer", "RMSprop", "SGD"]


class _Gone:
    """Stands for an optimizer of Keras 2 that neither Keras 3 nor kerasish has.

    Example:
        >>> keras.optimizers.legacy.Adam()
        Traceback (most recent call last):
            ...
        ImportError: keras.optimizers.legacy: ...
    """

    def __init__(self, *args, **kwargs):
        raise ImportError(
            "keras.optimizers.legacy: the optimizers of Keras 2 are gone, as in Keras 3. Use the "
            "one of the same name in `keras.optimizers`; old argument names, `lr` and `decay`, are "
            "now `learning_rate` and a schedule."
        )


Adagrad = Adam = Ftrl = Optimizer = RMSprop = SGD = _Gone
