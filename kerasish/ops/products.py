"""Products of matrices, written so that a CPU computes their derivatives fast."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from kerasish.core.fences import turned_in_memory
from kerasish.core.platforms import traced


def one_product(x: jax.Array, kernel: jax.Array, axes: int) -> jax.Array:
    """The last `axes` of `x` times the first of `kernel`, as a product of two matrices.

    XLA's CPU backend then has less to transpose, above all for the gradient of the kernel.
    """
    if x.ndim == kernel.ndim == 2:
        return matmul(x, kernel)
    rows, columns = x.shape[: x.ndim - axes], kernel.shape[axes:]
    size = math.prod(kernel.shape[:axes])
    y = matmul(x.reshape(math.prod(rows), size), kernel.reshape(size, math.prod(columns)))
    return y.reshape(*rows, *columns)


def matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The product of two matrices, in whose derivative a factor is turned first where that pays."""
    turned = _worth_turning(x, kernel)
    return _traced_once(turned, x, kernel) if turned else jnp.matmul(x, kernel)


_FIRST_WITH_FIRST = ((0,), (0,)), ((), ())
_SECOND_WITH_SECOND = ((1,), (1,)), ((), ())


def _worth_turning(x, kernel):
    """Which factor of the kernel's gradient is to be turned before it is computed, if any.

    Without that the CPU's product reads columns, with one thread where its result is small. Turned
    is `"x"` or the `"gradient"` of the product, and then the result once more.
    """
    sizes = (*x.shape, kernel.shape[1])
    if not traced.for_cpu or x.dtype != kernel.dtype or not all(isinstance(n, int) for n in sizes):
        return None
    rows, inner, outer = sizes
    if outer == 1:
        return None
    if outer <= 16 <= inner:
        return "gradient"
    some = 512 <= rows <= 2**12 and 32 <= inner <= 256
    return "x" if some or rows * inner <= 2**12 else None


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _turning_matmul(turned, x, kernel):
    """`x @ kernel`, in whose derivative the kernel's part has one factor turned."""
    return jnp.matmul(x, kernel)


@functools.partial(_turning_matmul.defjvp, symbolic_zeros=True)
def _(turned, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    parts = []
    if not isinstance(dx, SymbolicZero):
        parts.append(_turning_matmul(turned, dx, kernel))
    if not isinstance(dkernel, SymbolicZero):
        if turned == "x":
            parts.append(lax.dot_general(turned_in_memory(x), dkernel, _FIRST_WITH_FIRST))
        else:  # transposed: the gradient, turned, times x
            across = lax.dot_general(turned_in_memory(dkernel), x, _SECOND_WITH_SECOND)
            parts.append(turned_in_memory(across))
    return _turning_matmul(turned, x, kernel), sum(parts[1:], parts[0])


# Its derivatives too, for all layers of one shape.
_traced_once = jax.jit(_turning_matmul, static_argnums=0)
