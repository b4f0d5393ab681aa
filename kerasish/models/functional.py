"""What `Model(inputs, outputs)` makes."""

from typing import Any

from kerasish.models.model import Model


class Functional(Model):
    """A model made from symbolic tensors: a graph of layers.

    Args:
        inputs: Symbolic tensors, from `keras.Input`, in any pytree.
        outputs: Symbolic tensors computed from them, in any pytree.
        name: Name; generated if not given.

    Example:
        >>> x = keras.Input((2,))
        >>> Functional(x, 2 * x)(np.ones((1, 2)))
        Array([[2., 2.]], dtype=float32)
    """

    def __init__(
        self, inputs: Any = None, outputs: Any = None, name: str | None = None, **kwargs: Any
    ):
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)


Model._graph_class = Functional
