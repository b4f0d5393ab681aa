"""A layer applied to each step by itself."""

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.core.state.functional import capture
from kerasish.core.state.loops import scan
from kerasish.core.state.transforms import vmap
from kerasish.layers.base.signatures import signature_of
from kerasish.layers.core.basic import Wrapper


class TimeDistributed(Wrapper):
    """Applies a layer, with the same weights, to each step of a sequence.

    All steps are computed at once. Where the layer changes state (the statistics of a batch
    normalization or the seeds of a dropout, in training), one step comes after the other.

    Args:
        layer: The layer.

    Shapes:
        `(batch, steps, ...)`, with a mask `(batch, steps, ...)` that is handed to the layer step by
        step -> `(batch, steps, ...)`, the rest as of `layer` for inputs `(batch, ...)`.

    Example:
        >>> TimeDistributed(keras.layers.Conv2D(4, 3))(np.ones((1, 5, 8, 8, 3))).shape
        (1, 5, 6, 6, 4)
    """

    def __init__(self, layer, **kwargs):
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        if not isinstance(input_shape, list | tuple) or len(input_shape) < 3:
            raise bad_argument(self, "input_shape", "of 3 axes or more", input_shape)
        super().build((input_shape[0], *input_shape[2:]))

    def call(self, inputs, training=None, mask=None):
        if mask is not None:
            self._check_mask(mask, inputs)
        takes_mask = "mask" in signature_of(type(self.layer), "call").parameters
        xs = jax.tree.map(_swap, (inputs, mask if takes_mask else None))

        def step(x, kept):
            options = {} if kept is None else {"mask": kept}
            return self.layer(x, training=training, **options)

        first = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), xs)
        seen = capture(step, *first)
        if seen.written or seen.notes:
            _, outputs = scan(lambda carry, x: (carry, step(*x)), None, xs)
        else:
            outputs = vmap(step, in_axes=(0, None if xs[1] is None else 0))(*xs)
        return jax.tree.map(_swap, outputs)

    def _check_mask(self, mask, inputs):
        sizes = zip(mask.shape[:2], inputs.shape[:2], strict=False)
        known = [(m, n) for m, n in sizes if isinstance(m, int) and isinstance(n, int)]
        if mask.ndim < 2 or any(m != n for m, n in known):
            wanted = f"of shape {tuple(inputs.shape[:2])}, the batch and the steps"
            raise bad_argument(self, "mask", wanted, tuple(mask.shape))


def _swap(x):
    return jnp.swapaxes(x, 0, 1)
