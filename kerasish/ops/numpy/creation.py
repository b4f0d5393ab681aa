"""Making arrays."""

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.wrappers import as_array, real_dtype


def _filled(name, fn):
    def op(shape, dtype=None):
        return fn(shape, dtype=real_dtype(dtype, settings.floatx()))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = (
        f"An array of {name.removesuffix('s')} values; of the global float type unless said."
    )
    return op


empty = _filled("empty", jnp.empty)
ones = _filled("ones", jnp.ones)
zeros = _filled("zeros", jnp.zeros)


def _filled_like(name, fn):
    def op(x, dtype=None):
        return fn(as_array(x), dtype=real_dtype(dtype))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"As `{name.removesuffix('_like')}`, of the shape and type of `x`."
    return symbolic(op, name)


empty_like = _filled_like("empty_like", jnp.empty_like)
ones_like = _filled_like("ones_like", jnp.ones_like)
zeros_like = _filled_like("zeros_like", jnp.zeros_like)


@symbolic
def full(shape, fill_value, dtype=None):
    """An array of one value."""
    return jnp.full(shape, as_array(fill_value), dtype=real_dtype(dtype, settings.floatx()))


@symbolic
def full_like(x, fill_value, dtype=None):
    """An array of one value, of the shape and type of `x`."""
    return jnp.full_like(as_array(x), as_array(fill_value), dtype=real_dtype(dtype))


def eye(N, M=None, k=0, dtype=None):
    """Ones on the `k`-th diagonal of an `(N, M)` matrix, zeros elsewhere."""
    for name, size in (("N", N), ("M", M)):
        if isinstance(size, float) or dtypes.is_float(getattr(size, "dtype", "int32")):
            raise TypeError(f"eye: `{name}` must be an integer; got {size!r}.")
    return jnp.eye(N, M, k=k, dtype=real_dtype(dtype, settings.floatx()))


def identity(n, dtype=None):
    """The `(n, n)` identity matrix."""
    return jnp.identity(n, dtype=real_dtype(dtype, settings.floatx()))


def tri(N, M=None, k=0, dtype=None):
    """Ones on and below the `k`-th diagonal of an `(N, M)` matrix, zeros elsewhere."""
    return jnp.tri(N, M, k=k, dtype=real_dtype(dtype, settings.floatx()))


def arange(start, stop=None, step=None, dtype=None):
    """Numbers from `start` (0 if `stop` is not given) up to but without `stop`, `step` apart."""
    if dtype is None:
        given = [n for n in (start, stop, step) if n is not None]
        dtype = dtypes.result_type(*(_number_type(n) for n in given))
    return jnp.arange(start, stop, step=step, dtype=real_dtype(dtype))


def _number_type(n):
    if hasattr(n, "dtype"):
        return jax.dtypes.canonicalize_dtype(n.dtype)
    return float if isinstance(n, float) else int  # a symbolic size counts as an integer


@symbolic
def linspace(start, stop, num=50, endpoint=True, retstep=False, dtype=None, axis=0):
    """`num` numbers in equal steps from `start` to `stop`."""
    first, last, dtype = as_array(start), as_array(stop), real_dtype(dtype)
    return jnp.linspace(
        first, last, num, endpoint=endpoint, retstep=retstep, dtype=dtype, axis=axis
    )


@symbolic
def logspace(start, stop, num=50, endpoint=True, base=10, dtype=None, axis=0):
    """`base` to the power of `num` numbers in equal steps from `start` to `stop`."""
    first, last, dtype = as_array(start), as_array(stop), real_dtype(dtype)
    return jnp.logspace(first, last, num, endpoint=endpoint, base=base, dtype=dtype, axis=axis)


@symbolic
def geomspace(start, stop, num=50, endpoint=True, dtype=None, axis=0):
    """`num` numbers from `start` to `stop`, each the same multiple of the one before."""
    first, last, dtype = as_array(start), as_array(stop), real_dtype(dtype)
    return jnp.geomspace(first, last, num, endpoint=endpoint, dtype=dtype, axis=axis)


@symbolic
def array(x, dtype=None):
    """A new array of `x`."""
    return jnp.array(x if isinstance(x, jax.Array | np.ndarray) else as_array(x), real_dtype(dtype))


@symbolic
def meshgrid(*x, indexing="xy"):
    """Coordinate arrays of the grid that 1-D arrays span."""
    return jnp.meshgrid(*map(as_array, x), indexing=indexing)


@symbolic
def vander(x, N=None, increasing=False):
    """The Vandermonde matrix: powers of `x`, one a column."""
    x = as_array(x)
    if x.ndim != 1:
        raise bad_argument("vander", "x", "1-D", x.shape)
    if N is not None and not isinstance(N, int):
        raise TypeError(f"vander: `N` must be an integer; got {N!r}.")
    if N is not None and N < 0:
        raise bad_argument("vander", "N", "at least 0", N)
    return jnp.vander(x, N=N, increasing=increasing)
