"""Functions of each element of one array."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from kerasish.core import settings
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import (
    as_array,
    as_float,
    describe,
    real_dtype,
    unary,
)

# fmt: off
__all__ = [
    "abs", "absolute", "angle", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctanh",
    "bartlett", "bitwise_invert", "bitwise_not", "blackman", "cbrt", "ceil", "clip", "conj",
    "conjugate", "copy", "cos", "cosh", "deg2rad", "exp", "exp2", "expm1", "fabs", "floor",
    "hamming", "hanning", "i0", "imag", "isfinite", "isinf", "isnan", "isneginf", "isposinf",
    "isreal", "kaiser", "log", "log10", "log1p", "log2", "logical_not", "nan_to_num",
    "negative", "rad2deg", "real", "reciprocal", "round", "sign", "signbit", "sin", "sinc",
    "sinh", "sqrt", "square", "tan", "tanh", "trunc", "vectorize", "view",
]
# fmt: on

abs = unary(
    "abs",
    jnp.abs,
    "Absolute value of each element: `|x|`; of a complex number, its modulus",
    "[-2, 0, 3] -> [2 0 3]",
)
absolute = unary(
    "absolute",
    jnp.abs,
    "Absolute value of each element: `|x|`, the same as `abs`",
    "[-2.5, 1.0] -> [2.5 1. ]",
)
conj = unary(
    "conj",
    jnp.conjugate,
    "Complex conjugate of each element: `a - bi` for `a + bi`",
    "[1 + 2j, 3 - 1j] -> [1.-2.j 3.+1.j]",
)
conjugate = unary(
    "conjugate",
    jnp.conjugate,
    "Complex conjugate of each element, the same as `conj`",
    "[1 + 2j, 3 - 1j] -> [1.-2.j 3.+1.j]",
)
copy = unary("copy", jnp.copy, "A new array with the same elements", "[1, 2, 3] -> [1 2 3]")
cbrt = unary(
    "cbrt",
    jnp.cbrt,
    "Cube root of each element, real for negative numbers too",
    "[-8.0, 27.0] -> [-2.  3.]",
)
deg2rad = unary(
    "deg2rad",
    jnp.deg2rad,
    "Degrees to radians: `x * pi / 180`",
    "[0.0, 90.0, 180.0] -> [0.   1.57 3.14]",
)
fabs = unary("fabs", jnp.fabs, "Absolute value of each element as a float", "[-2, 3] -> [2. 3.]")
imag = unary(
    "imag",
    jnp.imag,
    "Imaginary part of each element; zeros for real numbers",
    "[1 + 2j, 3 - 1j] -> [ 2. -1.]",
)
isfinite = unary(
    "isfinite",
    jnp.isfinite,
    "Whether each element is neither infinite nor NaN",
    "[1.0, np.inf, np.nan] -> [ True False False]",
)
isinf = unary(
    "isinf",
    jnp.isinf,
    "Whether each element is positive or negative infinity",
    "[1.0, -np.inf, np.nan] -> [False  True False]",
)
isnan = unary(
    "isnan",
    jnp.isnan,
    "Whether each element is NaN",
    "[1.0, np.inf, np.nan] -> [False False  True]",
)
isneginf = unary(
    "isneginf",
    jnp.isneginf,
    "Whether each element is negative infinity",
    "[np.inf, -np.inf] -> [False  True]",
)
isposinf = unary(
    "isposinf",
    jnp.isposinf,
    "Whether each element is positive infinity",
    "[np.inf, -np.inf] -> [ True False]",
)
isreal = unary(
    "isreal",
    jnp.isreal,
    "Whether each element has no imaginary part",
    "[1 + 0j, 1 + 2j] -> [ True False]",
)
logical_not = unary(
    "logical_not",
    jnp.logical_not,
    "Whether each element is false (or 0)",
    "[True, False] -> [False  True]",
)
negative = unary(
    "negative", jnp.negative, "Each element with the other sign: `-x`", "[1, -2] -> [-1  2]"
)
rad2deg = unary(
    "rad2deg", jnp.rad2deg, "Radians to degrees: `x * 180 / pi`", "[0.0, np.pi / 2] -> [ 0. 90.]"
)
real = unary("real", jnp.real, "Real part of each element", "[1 + 2j, 3 - 1j] -> [1. 3.]")
reciprocal = unary(
    "reciprocal", jnp.reciprocal, "One over each element: `1 / x`", "[0.5, 4.0] -> [2.   0.25]"
)
sign = unary("sign", jnp.sign, "Sign of each element: -1, 0 or 1", "[-3, 0, 2] -> [-1  0  1]")
signbit = unary(
    "signbit",
    jnp.signbit,
    "Whether the sign bit of each element is set: negative numbers and -0.0",
    "[-1.0, -0.0, 0.0] -> [ True  True False]",
)
square = unary("square", jnp.square, "Square of each element: `x * x`", "[-2, 3] -> [4 9]")

angle = unary(
    "angle",
    jnp.angle,
    "Argument of complex numbers in radians: `atan2(imag, real)`",
    "[1 + 1j, -1 + 0j] -> [0.79 3.14]",
    as_float,
)
arccos = unary(
    "arccos",
    jnp.arccos,
    "Inverse cosine of each element, from 0 to pi",
    "[1.0, 0.0] -> [0.   1.57]",
    as_float,
)
arccosh = unary(
    "arccosh",
    jnp.arccosh,
    "Inverse hyperbolic cosine of each element, which is at least 1",
    "[1.0, 2.0] -> [0.   1.32]",
    as_float,
)
arcsin = unary(
    "arcsin",
    jnp.arcsin,
    "Inverse sine of each element, from -pi/2 to pi/2",
    "[0.0, 1.0] -> [0.   1.57]",
    as_float,
)
arcsinh = unary(
    "arcsinh",
    jnp.arcsinh,
    "Inverse hyperbolic sine of each element",
    "[0.0, 1.0] -> [0.   0.88]",
    as_float,
)
arctan = unary(
    "arctan",
    jnp.arctan,
    "Inverse tangent of each element, from -pi/2 to pi/2",
    "[0.0, 1.0] -> [0.   0.79]",
    as_float,
)
arctanh = unary(
    "arctanh",
    jnp.arctanh,
    "Inverse hyperbolic tangent of each element, between -1 and 1",
    "[0.0, 0.5] -> [0.   0.55]",
    as_float,
)
ceil = unary(
    "ceil",
    jnp.ceil,
    "Least integer not below each element, as a float",
    "[-1.5, 1.2] -> [-1.  2.]",
    as_float,
)
cos = unary(
    "cos", jnp.cos, "Cosine of each element, in radians", "[0.0, 1.0] -> [1.   0.54]", as_float
)
cosh = unary(
    "cosh",
    jnp.cosh,
    "Hyperbolic cosine of each element: `(exp(x) + exp(-x)) / 2`",
    "[0.0, 1.0] -> [1.   1.54]",
    as_float,
)
exp = unary(
    "exp", jnp.exp, "Exponential of each element: `e ** x`", "[0.0, 1.0] -> [1.   2.72]", as_float
)
exp2 = unary(
    "exp2",
    jnp.exp2,
    "Two to the power of each element: `2 ** x`",
    "[3.0, -1.0] -> [8.  0.5]",
    as_float,
)
expm1 = unary(
    "expm1",
    jnp.expm1,
    "Exponential less one: `exp(x) - 1`, exact near 0",
    "[0.0, 1.0] -> [0.   1.72]",
    as_float,
)
floor = unary(
    "floor",
    jnp.floor,
    "Largest integer not above each element, as a float",
    "[-1.5, 1.2] -> [-2.  1.]",
    as_float,
)
i0 = unary(
    "i0",
    jnp.i0,
    "Modified Bessel function of the first kind and order 0 of each element",
    "[0.0, 1.0] -> [1.   1.27]",
    as_float,
)
log = unary(
    "log", jnp.log, "Natural logarithm of each element", "[1.0, 10.0] -> [0.  2.3]", as_float
)
log10 = unary(
    "log10", jnp.log10, "Logarithm to base 10 of each element", "[1.0, 100.0] -> [0. 2.]", as_float
)
log1p = unary(
    "log1p",
    jnp.log1p,
    "Logarithm of one more: `log(1 + x)`, exact near 0",
    "[0.0, 1.0] -> [0.   0.69]",
    as_float,
)
log2 = unary(
    "log2", jnp.log2, "Logarithm to base 2 of each element", "[1.0, 8.0] -> [0. 3.]", as_float
)
sin = unary(
    "sin", jnp.sin, "Sine of each element, in radians", "[0.0, 1.0] -> [0.   0.84]", as_float
)
sinc = unary(
    "sinc",
    jnp.sinc,
    "Normalized sinc of each element: `sin(pi x) / (pi x)`, 1 at 0",
    "[0.0, 0.5] -> [1.   0.64]",
    as_float,
)
sinh = unary(
    "sinh",
    jnp.sinh,
    "Hyperbolic sine of each element: `(exp(x) - exp(-x)) / 2`",
    "[0.0, 1.0] -> [0.   1.18]",
    as_float,
)
sqrt = unary("sqrt", jnp.sqrt, "Square root of each element", "[4.0, 2.0] -> [2.   1.41]", as_float)
tan = unary(
    "tan", jnp.tan, "Tangent of each element, in radians", "[0.0, 1.0] -> [0.   1.56]", as_float
)
tanh = unary(
    "tanh",
    jnp.tanh,
    "Hyperbolic tangent of each element, from -1 to 1",
    "[0.0, 1.0] -> [0.   0.76]",
    as_float,
)


bitwise_invert = unary(
    "bitwise_invert",
    jnp.invert,
    "Each bit inverted: `~x`, which is `-x - 1` for signed integers",
    "[0, 5] -> [-1 -6]",
)
bitwise_not = unary(
    "bitwise_not",
    jnp.invert,
    "Each bit inverted, the same as `bitwise_invert`",
    "[0, 5] -> [-1 -6]",
)


@symbolic
def trunc(x: TensorLike) -> jax.Array:
    """Each element without its fraction; integers stay as they are.

    Args:
        x: Array, Variable, number or list of numbers.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.trunc([1.7, -1.7]))
        [ 1. -1.]
    """
    x = as_array(x)
    return jnp.trunc(x) if jnp.issubdtype(x.dtype, jnp.inexact) else x


@symbolic
def round(x: TensorLike, decimals: int = 0) -> jax.Array:
    """Each element rounded to so many decimals, halves to the even neighbour.

    Args:
        x: Array, Variable, number or list of numbers.
        decimals: How many; negative for tens, hundreds and so on.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.round([0.5, 1.5, 2.4]))
        [0. 2. 2.]
    """
    x = as_array(x)
    if decimals >= 0 or jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.round(x, decimals)
    return jnp.round(as_float(x), decimals).astype(x.dtype)


@symbolic
def clip(x: TensorLike, x_min: ArrayLike, x_max: ArrayLike) -> jax.Array:
    """Each element moved into a range: `min(max(x, x_min), x_max)`.

    Args:
        x: Array, Variable, number or list of numbers.
        x_min: Its lower end.
        x_max: Its upper end.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.clip([-2, 0, 9], -1, 5))
        [-1  0  5]
    """
    x = as_array(x)
    return jnp.clip(x.astype("int32") if x.dtype == bool else x, x_min, x_max)


@symbolic
def nan_to_num(
    x: TensorLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> jax.Array:
    """NaN and infinities replaced by numbers.

    Args:
        x: Array, Variable, number or list of numbers.
        nan: What replaces NaN.
        posinf: What replaces infinity; by default the type's largest number.
        neginf: What replaces minus infinity; by default the type's least number.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(keras.ops.nan_to_num([1.0, np.nan, np.inf], posinf=9.0))
        [1. 0. 9.]
    """
    return jnp.nan_to_num(as_array(x), nan=nan, posinf=posinf, neginf=neginf)


@symbolic
def view(x: TensorLike, dtype: DTypeLike | None = None) -> jax.Array:
    """The same bytes read as another type; a change of size changes the last axis.

    Args:
        x: Array, Variable, number or list of numbers.
        dtype: Name of the type; by default that of `x`.

    Shapes:
        `(..., n)` -> `(..., m)`.

    Example:
        >>> print(keras.ops.view(np.array([1.0], "float32"), "int32"))
        [1065353216]
    """
    return as_array(x).view(real_dtype(dtype))


def vectorize(
    pyfunc: Callable, *, excluded: set[int | str] | None = None, signature: str | None = None
) -> Callable:
    """A function of scalars made one of arrays that broadcast.

    Args:
        pyfunc: Function of scalars, or of the arrays that `signature` says.
        excluded: Positions of arguments to pass on as they are.
        signature: Axes of what it takes and returns: `"(n),(n)->()"`.

    Returns:
        The function of arrays.

    Example:
        >>> print(keras.ops.vectorize(lambda a, b: a + b)([1, 2], 10))
        [11 12]
    """
    if not callable(pyfunc):
        raise ValueError(f"vectorize: `pyfunc` must be callable; got {pyfunc!r}.")
    mapped = jnp.vectorize(pyfunc, excluded=excluded or set(), signature=signature)
    return symbolic(mapped, getattr(pyfunc, "__name__", "vectorized"))


def _window(name, fn, what, example):
    def window(x: int) -> jax.Array:
        return fn(x).astype(settings.floatx())

    return describe(window, name, what, "-> `(x,)`.", example, x="Number of points.")


bartlett = _window("bartlett", jnp.bartlett, "The Bartlett (triangular) window", "3 -> [0. 1. 0.]")
blackman = _window(
    "blackman",
    jnp.blackman,
    "The Blackman window: `0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t)`",
    "5 -> [-0.    0.34  1.    0.34 -0.  ]",
)
hamming = _window(
    "hamming",
    jnp.hamming,
    "The Hamming window: `0.54 - 0.46 cos(2 pi t)`, t from 0 to 1",
    "3 -> [0.08 1.   0.08]",
)
hanning = _window(
    "hanning",
    jnp.hanning,
    "The Hann window: `0.5 - 0.5 cos(2 pi t)`, t from 0 to 1",
    "3 -> [0. 1. 0.]",
)


def kaiser(x: int, beta: float) -> jax.Array:
    """The Kaiser window.

    Args:
        x: Number of points.
        beta: How narrow it is.

    Shapes:
        -> `(x,)`.

    Example:
        >>> print(np.array(keras.ops.kaiser(3, 5.0)).round(2))
        [0.04 1.   0.04]
    """
    return jnp.kaiser(x, beta).astype(settings.floatx())
