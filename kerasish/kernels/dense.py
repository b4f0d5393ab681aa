"""Products of matrices, written so that a CPU computes their derivatives fast."""

import functools
import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from kerasish.core.lowering import traced
from kerasish.kernels.linear_call import linear_call
from kerasish.kernels.noinline import (
    is_undistributed,
    materialize_all,
    materialize_transpose,
    noinline,
)


def dense_product(x: jax.Array, kernel: jax.Array, axes: int) -> jax.Array:
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
    """The product of two matrices, which a CPU derives with a rule of its own."""
    sizes = (*x.shape, kernel.shape[1])
    if not traced.for_cpu or x.dtype != kernel.dtype or not all(isinstance(n, int) for n in sizes):
        return jnp.matmul(x, kernel)
    return _traced_once(_worth_turning(*sizes), is_undistributed(), x, kernel)


_FIRST_WITH_FIRST = ((0,), (0,)), ((), ())
_SECOND_WITH_SECOND = ((1,), (1,)), ((), ())
_SMALL = 2**19  # multiplications, which take less time than to wake a second thread for them


def _worth_turning(rows, inner, outer):
    """Which factor of the kernel's gradient is to be turned before it is computed, if any.

    Without that the CPU's product reads columns, with one thread where its result is small. Turned
    is `"x"` or the `"gradient"` of the product, and then the result once more.
    """
    if outer == 1:
        return None
    if outer <= 16 <= inner:
        return "gradient"
    some = 512 <= rows <= 2**12 and 32 <= inner <= 256
    return "x" if some or rows * inner <= 2**12 else None


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _product(turned, alone, x, kernel):
    return jnp.matmul(x, kernel)


@functools.partial(_product.defjvp, symbolic_zeros=True)
def _(turned, alone, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, (_unless_zero(d) for d in tangents)
    others = None if dkernel is None else x, None if dx is None else kernel
    back = functools.partial(_gradients, turned, alone)
    return _product(turned, alone, x, kernel), linear_call(_change, back, others, (dx, dkernel))


def _unless_zero(tangent):
    return None if isinstance(tangent, SymbolicZero) else tangent


# Of two factors one may stand still: there is no tangent of it then, and no need for the other.


def _change(factors, tangents):
    (x, kernel), (dx, dkernel) = factors, tangents
    parts = [] if dx is None else [jnp.matmul(dx, kernel)]
    parts += [] if dkernel is None else [jnp.matmul(x, dkernel)]
    return sum(parts[1:], parts[0])


def _gradients(turned, alone, factors, gradient):
    x, kernel = factors
    if not alone or x is None or kernel is None:
        return _both(turned, x, kernel, gradient)
    # The new kernel may then be written where the old one lies; else XLA would copy it in every
    # step, to read it once more for the gradient of `x`. Small ones are computed one by one.
    if x.size * kernel.shape[1] <= _SMALL:
        return _both_apart(turned, x, kernel, gradient)
    return materialize_all(*_both(turned, x, kernel, gradient))


def _both(turned, x, kernel, gradient):
    of_x = None if kernel is None else lax.dot_general(gradient, kernel, _SECOND_WITH_SECOND)
    return of_x, None if x is None else _gradient_of_kernel(turned, x, gradient)


_both_apart = noinline(_both, static=0)


def _gradient_of_kernel(turned, x, gradient):
    if turned == "x":
        return jnp.matmul(materialize_transpose(x), gradient)
    if turned == "gradient":
        return materialize_transpose(jnp.matmul(materialize_transpose(gradient), x))
    return lax.dot_general(x, gradient, _FIRST_WITH_FIRST)


# Its derivatives too, for all layers of one shape.
_traced_once = jax.jit(_product, static_argnums=(0, 1))
