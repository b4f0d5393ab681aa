"""Arithmetic and comparison of arrays with each other, and along an axis."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.numpy.reductions import nonzero
from kerasish.ops.wrappers import (
    as_array,
    as_axes,
    as_axis,
    binary,
    bitwise,
    describe,
    real_dtype,
)

# fmt: off
__all__ = [
    "add", "allclose", "arctan2", "bitwise_and", "bitwise_left_shift", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "cumprod", "cumsum", "diff", "divide",
    "divide_no_nan", "equal", "floor_divide", "fmax", "fmin", "fmod", "gcd", "greater",
    "greater_equal", "heaviside", "hypot", "isclose", "isin", "lcm", "ldexp", "left_shift",
    "less", "less_equal", "logaddexp", "logaddexp2", "logical_and", "logical_or",
    "logical_xor", "maximum", "minimum", "mod", "multiply", "nancumprod", "nancumsum",
    "nextafter", "not_equal", "power", "right_shift", "select", "subtract", "true_divide",
    "where",
]
# fmt: on

add = binary(
    "add", jnp.add, "Sum of two arrays, elementwise: `x1 + x2`", "[1, 2], [10, 20] -> [11 22]"
)
arctan2 = binary(
    "arctan2",
    jnp.arctan2,
    "Angle of the point `(x2, x1)` in radians, from -pi to pi: `arctan(x1 / x2)` with the quadrant",
    "[1.0, 1.0], [1.0, -1.0] -> [0.79 2.36]",
)
divide = binary(
    "divide",
    jnp.divide,
    "Quotient of two arrays, elementwise: `x1 / x2`, as floats",
    "[1, 6], [2, 3] -> [0.5 2. ]",
)
equal = binary(
    "equal", jnp.equal, "Whether elements are equal: `x1 == x2`", "[1, 2], [1, 3] -> [ True False]"
)
floor_divide = binary(
    "floor_divide",
    jnp.floor_divide,
    "Largest integer not above the quotient: `x1 // x2`",
    "[7, -7], [2, 2] -> [ 3 -4]",
)
fmax = binary(
    "fmax",
    jnp.fmax,
    "Larger of two elements; where one is NaN, the other",
    "[1.0, np.nan], [2.0, 3.0] -> [2. 3.]",
)
fmin = binary(
    "fmin",
    jnp.fmin,
    "Smaller of two elements; where one is NaN, the other",
    "[1.0, np.nan], [2.0, 3.0] -> [1. 3.]",
)
fmod = binary(
    "fmod",
    jnp.fmod,
    "Remainder of the division, with the sign of `x1`",
    "[7, -7], [3, 3] -> [ 1 -1]",
)
gcd = binary("gcd", jnp.gcd, "Greatest common divisor of integers", "[12, 9], [18, 6] -> [6 3]")
greater = binary(
    "greater", jnp.greater, "Whether `x1 > x2`, elementwise", "[1, 3], [2, 2] -> [False  True]"
)
greater_equal = binary(
    "greater_equal",
    jnp.greater_equal,
    "Whether `x1 >= x2`, elementwise",
    "[1, 2], [2, 2] -> [False  True]",
)
heaviside = binary(
    "heaviside",
    jnp.heaviside,
    "Step function of `x1`: 0 where negative, 1 where positive, `x2` at 0",
    "[-1.0, 0.0, 2.0], 0.5 -> [0.  0.5 1. ]",
)
hypot = binary(
    "hypot",
    jnp.hypot,
    "Length of the hypotenuse: `sqrt(x1**2 + x2**2)`",
    "[3.0, 5.0], [4.0, 12.0] -> [ 5. 13.]",
)
lcm = binary("lcm", jnp.lcm, "Least common multiple of integers", "[4, 6], [6, 8] -> [12 24]")
less = binary("less", jnp.less, "Whether `x1 < x2`, elementwise", "[1, 3], [2, 2] -> [ True False]")
less_equal = binary(
    "less_equal",
    jnp.less_equal,
    "Whether `x1 <= x2`, elementwise",
    "[1, 3], [1, 2] -> [ True False]",
)
logaddexp = binary(
    "logaddexp",
    jnp.logaddexp,
    "Logarithm of a sum of exponentials: `log(exp(x1) + exp(x2))`",
    "[0.0, 1000.0], [0.0, 1000.0] -> [6.90000e-01 1.00069e+03]",
)
logaddexp2 = binary(
    "logaddexp2",
    jnp.logaddexp2,
    "The same to base 2: `log2(2**x1 + 2**x2)`",
    "[1.0, 3.0], [1.0, 3.0] -> [2. 4.]",
)
logical_and = binary(
    "logical_and",
    jnp.logical_and,
    "Whether both elements are true",
    "[True, True], [True, False] -> [ True False]",
)
logical_or = binary(
    "logical_or",
    jnp.logical_or,
    "Whether at least one of two elements is true",
    "[False, False], [True, False] -> [ True False]",
)
logical_xor = binary(
    "logical_xor",
    jnp.logical_xor,
    "Whether exactly one of two elements is true",
    "[True, True], [True, False] -> [False  True]",
)
maximum = binary(
    "maximum", jnp.maximum, "Larger of two elements; NaN where either is", "[1, 5], [3, 2] -> [3 5]"
)
minimum = binary(
    "minimum",
    jnp.minimum,
    "Smaller of two elements; NaN where either is",
    "[1, 5], [3, 2] -> [1 2]",
)
mod = binary(
    "mod",
    jnp.mod,
    "Remainder of the division, with the sign of `x2`: `x1 % x2`",
    "[7, -7], [3, 3] -> [1 2]",
)
multiply = binary(
    "multiply",
    jnp.multiply,
    "Product of two arrays, elementwise: `x1 * x2`",
    "[1, 2], [3, 4] -> [3 8]",
)
nextafter = binary(
    "nextafter",
    jnp.nextafter,
    "Next float after `x1` in the direction of `x2`",
    "[1.0], [2.0] -> [1.]",
)
not_equal = binary(
    "not_equal",
    jnp.not_equal,
    "Whether elements differ: `x1 != x2`",
    "[1, 2], [1, 3] -> [False  True]",
)
power = binary(
    "power",
    jnp.power,
    "Elements of `x1` to the power of those of `x2`: `x1 ** x2`",
    "[2.0, 3.0], [3.0, 2.0] -> [8. 9.]",
)
subtract = binary(
    "subtract",
    jnp.subtract,
    "Difference of two arrays, elementwise: `x1 - x2`",
    "[5, 7], [1, 2] -> [4 5]",
)
true_divide = binary(
    "true_divide",
    jnp.true_divide,
    "Quotient of two arrays as floats, the same as `divide`",
    "[1, 6], [2, 3] -> [0.5 2. ]",
)
bitwise_and = bitwise(
    "bitwise_and", jnp.bitwise_and, "Bits that are set in both: `x & y`", "[6, 5], [3, 4] -> [2 4]"
)
bitwise_left_shift = bitwise(
    "bitwise_left_shift",
    jnp.left_shift,
    "Bits moved to the left, which doubles so many times: `x << y`",
    "[1, 3], [2, 1] -> [4 6]",
)
bitwise_or = bitwise(
    "bitwise_or",
    jnp.bitwise_or,
    "Bits that are set in at least one: `x | y`",
    "[6, 5], [3, 2] -> [7 7]",
)
bitwise_right_shift = bitwise(
    "bitwise_right_shift",
    jnp.right_shift,
    "Bits moved to the right, which halves so many times: `x >> y`",
    "[8, 7], [2, 1] -> [2 3]",
)
bitwise_xor = bitwise(
    "bitwise_xor",
    jnp.bitwise_xor,
    "Bits that are set in exactly one: `x ^ y`",
    "[6, 5], [3, 4] -> [5 1]",
)
left_shift = bitwise(
    "left_shift",
    jnp.left_shift,
    "Bits moved to the left, the same as `bitwise_left_shift`",
    "[1, 3], [2, 1] -> [4 6]",
)
right_shift = bitwise(
    "right_shift",
    jnp.right_shift,
    "Bits moved to the right, the same as `bitwise_right_shift`",
    "[8, 7], [2, 1] -> [2 3]",
)


@symbolic
def divide_no_nan(x1: TensorLike, x2: TensorLike) -> jax.Array:
    """Quotient of two arrays, and 0 where the divisor is 0.

    Args:
        x1: Array.
        x2: Array.

    Shapes:
        Two that broadcast -> what they broadcast to.

    Example:
        >>> print(keras.ops.divide_no_nan([6.0, 1.0], [2.0, 0.0]))
        [3. 0.]
    """
    x1, x2 = as_array(x1), as_array(x2)
    return jnp.where(x2 == 0, 0, jnp.divide(x1, jnp.where(x2 == 0, 1, x2)))


@symbolic
def ldexp(x1: TensorLike, x2: TensorLike) -> jax.Array:
    """`x1` times a power of two: `x1 * 2**x2`.

    Args:
        x1: Array.
        x2: Integers.

    Shapes:
        Two that broadcast -> what they broadcast to.

    Example:
        >>> print(keras.ops.ldexp([1.0, 3.0], [2, -1]))
        [4.  1.5]
    """
    x1, x2 = as_array(x1), as_array(x2)
    if not jnp.issubdtype(x2.dtype, jnp.integer):
        raise TypeError(f"ldexp: `x2` must be of an integer type; got {x2.dtype}.")
    return jnp.ldexp(x1, x2)


@symbolic
def isclose(
    x1: TensorLike, x2: TensorLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> jax.Array:
    """Whether elements are nearly equal: `|x1 - x2| <= atol + rtol * |x2|`.

    Args:
        x1: Array.
        x2: Array.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        equal_nan: Whether NaN equals NaN.

    Shapes:
        Two that broadcast -> what they broadcast to.

    Example:
        >>> print(keras.ops.isclose([1.0, 1.0], [1.0, 1.1]))
        [ True False]
    """
    return jnp.isclose(as_array(x1), as_array(x2), rtol, atol, equal_nan)


@symbolic
def allclose(
    x1: TensorLike, x2: TensorLike, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> jax.Array:
    """Whether all elements are nearly equal, in the sense of `isclose`.

    Args:
        x1: Array.
        x2: Array.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
        equal_nan: Whether NaN equals NaN.

    Shapes:
        Two that broadcast -> `()`.

    Example:
        >>> print(keras.ops.allclose([1.0, 1.0], [1.0, 1.1]))
        False
    """
    return jnp.allclose(as_array(x1), as_array(x2), rtol, atol, equal_nan)


@symbolic
def isin(
    x1: TensorLike, x2: TensorLike, assume_unique: bool = False, invert: bool = False
) -> jax.Array:
    """Whether each element of `x1` occurs in `x2`.

    Args:
        x1: Array.
        x2: Array.
        assume_unique: Whether both are known to hold each element once.
        invert: Whether to ask for those that do not occur.

    Shapes:
        `(...)` and any -> `(...)`.

    Example:
        >>> print(keras.ops.isin([1, 2, 3], [2, 5]))
        [False  True False]
    """
    return jnp.isin(as_array(x1), as_array(x2), assume_unique=assume_unique, invert=invert)


@symbolic
def where(
    condition: TensorLike, x1: TensorLike | None = None, x2: TensorLike | None = None
) -> jax.Array | tuple[jax.Array, ...]:
    """`x1` where a condition holds, `x2` elsewhere; with neither, the indices where it holds.

    Args:
        condition: Array of booleans.
        x1: What to take where it holds.
        x2: What to take elsewhere.

    Shapes:
        Three that broadcast -> what they broadcast to.

    Example:
        >>> print(keras.ops.where([True, False], [1, 2], [3, 4]))
        [1 4]
    """
    if (x1 is None) != (x2 is None):
        raise ValueError("where: give both `x1` and `x2`, or neither.")
    if x1 is None:
        return nonzero(condition)
    return jnp.where(as_array(condition), as_array(x1), as_array(x2))


@symbolic
def select(
    condlist: Sequence[TensorLike], choicelist: Sequence[TensorLike], default: ArrayLike = 0
) -> jax.Array:
    """For each element the choice whose condition holds first, or a default.

    Args:
        condlist: Conditions, arrays of booleans.
        choicelist: Choices, as many.
        default: What stands where no condition holds.

    Shapes:
        Lists of arrays that broadcast -> what they broadcast to.

    Example:
        >>> print(keras.ops.select([[True, False], [True, True]], [[1, 2], [3, 4]]))
        [1 4]
    """
    for name, given in (("condlist", condlist), ("choicelist", choicelist)):
        if not isinstance(given, list | tuple) or not given:
            raise ValueError(f"select: `{name}` must be a list that is not empty; got {given!r}.")
    return jnp.select([*map(as_array, condlist)], [*map(as_array, choicelist)], default)


_MAX_STEPS = 1000


@symbolic
def diff(a: TensorLike, n: int = 1, axis: int = -1) -> jax.Array:
    """Differences of neighbours along an axis.

    Args:
        a: Array.
        n: How many times to take them.
        axis: The axis.

    Shapes:
        `(..., size)` -> `(..., size - n)`.

    Example:
        >>> print(keras.ops.diff([1, 4, 9, 16]))
        [3 5 7]
    """
    a = as_array(a)
    if n < 0:
        raise bad_argument("diff", "n", "at least 0", n)
    size = a.shape[as_axis("diff", axis, a.ndim)] if a.ndim else 0
    if isinstance(size, int):
        n = min(n, size)  # no element is left after as many steps as there are elements
    elif n > _MAX_STEPS:
        raise bad_argument("diff", "n", f"at most {_MAX_STEPS} along an axis of unknown size", n)
    return jnp.diff(a, n=n, axis=axis)


def _cumulative(name, fn, what, example):
    def op(
        x: TensorLike, axis: int | Sequence[int] | None = None, dtype: DTypeLike | None = None
    ) -> jax.Array:
        result, axis, dtype = as_array(x), as_axes(axis), real_dtype(dtype)
        if isinstance(axis, tuple):
            for one in axis:
                result = fn(result, axis=one, dtype=dtype)
            return result
        return fn(result, axis=axis, dtype=dtype)

    axis = "The axis; `None` is that of the flattened array."
    dtype = "Name of the type; by default that of `x`."
    shapes = "`(...)` -> the same."
    return symbolic(describe(op, name, what, shapes, example, axis=axis, dtype=dtype), name)


cumprod = _cumulative(
    "cumprod",
    jnp.cumprod,
    "Products of each element and all before it",
    "[1, 2, 3, 4] -> [ 1  2  6 24]",
)
cumsum = _cumulative(
    "cumsum", jnp.cumsum, "Sums of each element and all before it", "[1, 2, 3, 4] -> [ 1  3  6 10]"
)
nancumprod = _cumulative(
    "nancumprod",
    jnp.nancumprod,
    "Products as of `cumprod`, NaN counting as 1",
    "[2.0, np.nan, 3.0] -> [2. 2. 6.]",
)
nancumsum = _cumulative(
    "nancumsum",
    jnp.nancumsum,
    "Sums as of `cumsum`, NaN counting as 0",
    "[2.0, np.nan, 3.0] -> [2. 2. 5.]",
)
