"""The same entries in another arrangement, or some of them."""

import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.wrappers import as_array, as_axes, unary

# -- axes and shapes

fliplr = unary("fliplr", jnp.fliplr)
flipud = unary("flipud", jnp.flipud)
ravel = unary("ravel", jnp.ravel)


def ndim(x) -> int:
    """Number of axes."""
    return len(x.shape) if hasattr(x, "shape") else np.ndim(x)


@symbolic
def size(x):
    """Number of entries."""
    return jnp.size(as_array(x))


@symbolic
def reshape(x, newshape):
    """The same entries in another shape.

    One size may be -1: worked out from the others. `None`, as `ops.shape` gives for the batch of a
    symbolic tensor, is the size that `x` has at that place.
    """
    x = as_array(x)
    newshape = tuple(newshape) if hasattr(newshape, "__iter__") else (newshape,)
    newshape = tuple(x.shape[i] if n is None else n for i, n in enumerate(newshape))
    if len([n for n in newshape if isinstance(n, int) and n == -1]) > 1:
        raise bad_argument("reshape", "newshape", "without more than one -1", newshape)
    return jnp.reshape(x, newshape)


@symbolic
def expand_dims(x, axis):
    """With new axes of size 1."""
    return jnp.expand_dims(as_array(x), as_axes(axis))


@symbolic
def squeeze(x, axis=None):
    """Without axes of size 1: the given ones, or all."""
    return jnp.squeeze(as_array(x), as_axes(axis))


@symbolic
def transpose(x, axes=None):
    """With axes in another order: reversed unless said."""
    return jnp.transpose(as_array(x), as_axes(axes))


@symbolic
def swapaxes(x, axis1, axis2):
    """With two axes exchanged."""
    return jnp.swapaxes(as_array(x), axis1, axis2)


@symbolic
def moveaxis(x, source, destination):
    """With axes moved to other places."""
    return jnp.moveaxis(as_array(x), source, destination)


@symbolic
def broadcast_to(x, shape):
    """Repeated along axes of size 1 and new leading ones; `None` is the size that `x` has there."""
    x = as_array(x)
    new = len(shape) - x.ndim
    return jnp.broadcast_to(
        x, tuple(x.shape[i - new] if n is None else n for i, n in enumerate(shape))
    )


@symbolic
def flip(x, axis=None):
    """In reverse along some axes, or all."""
    return jnp.flip(as_array(x), as_axes(axis))


@symbolic
def roll(x, shift, axis=None):
    """Shifted along an axis; what leaves at the end enters at the start."""
    return jnp.roll(as_array(x), shift, axis)


@symbolic
def rot90(array, k=1, axes=(0, 1)):
    """Turned by `k` quarters in the plane of two axes, from the first towards the second."""
    array = as_array(array)
    if array.ndim < 2:
        raise bad_argument("rot90", "array", "of at least 2 axes", array.shape)
    if len(axes) != 2 or axes[0] == axes[1]:
        raise bad_argument("rot90", "axes", "two different axes", axes)
    return jnp.rot90(array, k, axes)


@symbolic
def repeat(x, repeats, axis=None):
    """Each entry so many times in a row."""
    return jnp.repeat(as_array(x), repeats if isinstance(repeats, int) else as_array(repeats), axis)


@symbolic
def tile(x, repeats):
    """The whole array so many times along each axis."""
    return jnp.tile(as_array(x), repeats if isinstance(repeats, int) else tuple(repeats))


@symbolic
def pad(x, pad_width, mode="constant", constant_values=None):
    """With entries added before and after along each axis: `pad_width` says how many."""
    if constant_values is None:
        return jnp.pad(as_array(x), pad_width, mode)
    if mode != "constant":
        hint = "`constant_values` has no use in others."
        raise bad_argument("pad", "mode", "'constant' with `constant_values`", mode, hint)
    return jnp.pad(as_array(x), pad_width, mode, constant_values=constant_values)


# -- joining and splitting


def _joined(name, fn):
    def op(xs):
        return fn([*map(as_array, xs)])

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"Several arrays as one: `{name}`, as `jax.numpy` has it."
    return symbolic(op, name)


dstack = _joined("dstack", jnp.dstack)
hstack = _joined("hstack", jnp.hstack)
vstack = _joined("vstack", jnp.vstack)


@symbolic
def concatenate(xs, axis=0):
    """Several arrays one after the other along an axis."""
    return jnp.concatenate([*map(as_array, xs)], axis)


@symbolic
def stack(x, axis=0):
    """Several arrays of one shape along a new axis."""
    return jnp.stack([*map(as_array, x)], axis)


@symbolic
def append(x1, x2, axis=None):
    """`x2` after `x1` along an axis, or both flattened."""
    return jnp.append(as_array(x1), as_array(x2), axis)


def _sections(sections):
    return sections if isinstance(sections, int) else [int(n) for n in sections]


def _split(name, fn):
    def op(x, indices_or_sections):
        return fn(as_array(x), _sections(indices_or_sections))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"Cut in equal parts, or before the given indices: `{name}`."
    return symbolic(op, name)


dsplit = _split("dsplit", jnp.dsplit)
hsplit = _split("hsplit", jnp.hsplit)
vsplit = _split("vsplit", jnp.vsplit)


@symbolic
def split(x, indices_or_sections, axis=0):
    """Cut along an axis in equal parts, or before the given indices."""
    return jnp.split(as_array(x), _sections(indices_or_sections), axis)


@symbolic
def array_split(x, indices_or_sections, axis=0):
    """Cut along an axis in parts whose sizes differ by at most 1."""
    if not isinstance(indices_or_sections, int):
        got = f"got {indices_or_sections!r}"
        raise TypeError(f"array_split: `indices_or_sections` must be an integer; {got}.")
    if indices_or_sections <= 0:
        raise bad_argument("array_split", "indices_or_sections", "positive", indices_or_sections)
    return jnp.array_split(as_array(x), indices_or_sections, axis)


@symbolic
def unstack(x, num=None, axis=0):
    """The slices along an axis, as a list."""
    return list(jnp.unstack(as_array(x), axis=axis))


# -- picking


def _by_diagonal(name, fn, what):
    def op(x, k=0):
        return fn(as_array(x), k)

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"{what}, counted upwards from the main one."
    return symbolic(op, name)


diag = _by_diagonal("diag", jnp.diag, "The `k`-th diagonal of a matrix, or a matrix that has it")
diagflat = _by_diagonal(
    "diagflat", jnp.diagflat, "A matrix with these entries on the `k`-th diagonal"
)
tril = _by_diagonal("tril", jnp.tril, "Zeros above the `k`-th diagonal")
triu = _by_diagonal("triu", jnp.triu, "Zeros below the `k`-th diagonal")


@symbolic
def diagonal(x, offset=0, axis1=0, axis2=1):
    """The entries on a diagonal of two axes."""
    return jnp.diagonal(as_array(x), offset, axis1, axis2)


@symbolic
def trace(x, offset=0, axis1=0, axis2=1):
    """The sum of the entries on a diagonal of two axes."""
    return jnp.trace(as_array(x), offset, axis1, axis2)


@symbolic
def get_item(x, key):
    """`x[key]`."""
    return as_array(x)[key]


@symbolic
def take(x, indices, axis=None):
    """The entries at indices along an axis, or of the flattened array."""
    return jnp.take(as_array(x), as_array(indices), axis)


@symbolic
def take_along_axis(x, indices, axis=None):
    """The entry at each index along an axis, `indices` having the other axes of `x`."""
    return jnp.take_along_axis(as_array(x), as_array(indices), axis)


@symbolic
def unravel_index(indices, shape):
    """The index along each axis, of positions in an array of that shape laid out flat."""
    return jnp.unravel_index(as_array(indices), shape)
