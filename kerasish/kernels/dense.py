"""Products of matrices with derivatives that XLA's CPU backend computes fast."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero

from kerasish.core.lowering import lowering_for_cpu
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

    Args:
        x: The inputs.
        kernel: The kernel.
        axes: Number of axes that are summed over.
    """
    if x.ndim == kernel.ndim == 2:
        return matmul(x, kernel)
    rows, columns = x.shape[: x.ndim - axes], kernel.shape[axes:]
    size = math.prod(kernel.shape[:axes])
    y = matmul(x.reshape(math.prod(rows), size), kernel.reshape(size, math.prod(columns)))
    return y.reshape(*rows, *columns)


def matmul(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """The product of two matrices, with a derivative of its own on CPUs.

    Args:
        x: `(rows, inner)`.
        kernel: `(inner, outer)`.
    """
    sizes = (*x.shape, kernel.shape[1])
    is_static = all(isinstance(n, int) for n in sizes)
    if not lowering_for_cpu() or x.dtype != kernel.dtype or not is_static:
        return jnp.matmul(x, kernel)
    return _traced_once(_factor_to_transpose(*sizes), is_undistributed(), x, kernel)


_FIRST_WITH_FIRST = ((0,), (0,)), ((), ())
_SECOND_WITH_SECOND = ((1,), (1,)), ((), ())
_SMALL = 2**19  # multiplications, which take less time than to wake a second thread for them


def _factor_to_transpose(rows, inner, outer):
    """Which factor of the kernel's gradient to transpose before it is computed, if any.

    Without that the CPU's product reads columns, with one thread where its result is small. It is
    `"x"`, or the `"cotangent"` of the product, and then the result once more.
    """
    if outer == 1:
        return None
    if outer <= 16 <= inner:
        return "cotangent"
    some = 512 <= rows <= 2**12 and 32 <= inner <= 256
    return "x" if some or rows * inner <= 2**12 else None


@functools.partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _product(transposed, undistributed, x, kernel):
    return jnp.matmul(x, kernel)


@functools.partial(_product.defjvp, symbolic_zeros=True)
def _(transposed, undistributed, primals, tangents):
    (x, kernel), (dx, dkernel) = primals, (_unless_zero(d) for d in tangents)
    others = None if dkernel is None else x, None if dx is None else kernel
    back = functools.partial(_product_transpose, transposed, undistributed)
    return _product(transposed, undistributed, x, kernel), linear_call(
        _product_jvp, back, others, (dx, dkernel)
    )


def _unless_zero(tangent):
    return None if isinstance(tangent, SymbolicZero) else tangent


# One of the factors may be constant: it has no tangent then, and the other is not needed.


def _product_jvp(factors, tangents):
    (x, kernel), (dx, dkernel) = factors, tangents
    parts = [] if dx is None else [jnp.matmul(dx, kernel)]
    parts += [] if dkernel is None else [jnp.matmul(x, dkernel)]
    return sum(parts[1:], parts[0])


def _product_transpose(transposed, undistributed, factors, gradient):
    x, kernel = factors
    if not undistributed or x is None or kernel is None:
        return _both_gradients(transposed, x, kernel, gradient)
    # The new kernel may then overwrite the old one; else XLA would copy that in every step, to read
    # it once more for the gradient of `x`. Small ones are computed one by one.
    if x.size * kernel.shape[1] <= _SMALL:
        return _both_noinline(transposed, x, kernel, gradient)
    return materialize_all(*_both_gradients(transposed, x, kernel, gradient))


def _both_gradients(transposed, x, kernel, gradient) -> Any:
    of_x = None if kernel is None else lax.dot_general(gradient, kernel, _SECOND_WITH_SECOND)
    return of_x, None if x is None else _kernel_gradient(transposed, x, gradient)


_both_noinline = noinline(_both_gradients, static=0)


def _kernel_gradient(transposed, x, gradient):
    if transposed == "x":
        return jnp.matmul(materialize_transpose(x), gradient)
    if transposed == "cotangent":
        return materialize_transpose(jnp.matmul(materialize_transpose(gradient), x))
    return lax.dot_general(x, gradient, _FIRST_WITH_FIRST)


# Its derivatives too, for all layers of one shape.
_traced_once = jax.jit(_product, static_argnums=(0, 1))
