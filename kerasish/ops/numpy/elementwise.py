"""Functions of each entry: one line each."""

import jax.numpy as jnp

from kerasish.core import settings
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.wrappers import (
    as_array,
    as_axes,
    as_float,
    binary,
    bitwise,
    real_dtype,
    unary,
)

abs = unary("abs", jnp.abs)
absolute = unary("absolute", jnp.abs)
conj = unary("conj", jnp.conjugate)
conjugate = unary("conjugate", jnp.conjugate)
copy = unary("copy", jnp.copy)
cbrt = unary("cbrt", jnp.cbrt)
deg2rad = unary("deg2rad", jnp.deg2rad)
fabs = unary("fabs", jnp.fabs)
imag = unary("imag", jnp.imag)
isfinite = unary("isfinite", jnp.isfinite)
isinf = unary("isinf", jnp.isinf)
isnan = unary("isnan", jnp.isnan)
isneginf = unary("isneginf", jnp.isneginf)
isposinf = unary("isposinf", jnp.isposinf)
isreal = unary("isreal", jnp.isreal)
logical_not = unary("logical_not", jnp.logical_not)
negative = unary("negative", jnp.negative)
rad2deg = unary("rad2deg", jnp.rad2deg)
real = unary("real", jnp.real)
reciprocal = unary("reciprocal", jnp.reciprocal)
sign = unary("sign", jnp.sign)
signbit = unary("signbit", jnp.signbit)
square = unary("square", jnp.square)

angle = unary("angle", jnp.angle, as_float)
arccos = unary("arccos", jnp.arccos, as_float)
arccosh = unary("arccosh", jnp.arccosh, as_float)
arcsin = unary("arcsin", jnp.arcsin, as_float)
arcsinh = unary("arcsinh", jnp.arcsinh, as_float)
arctan = unary("arctan", jnp.arctan, as_float)
arctanh = unary("arctanh", jnp.arctanh, as_float)
ceil = unary("ceil", jnp.ceil, as_float)
cos = unary("cos", jnp.cos, as_float)
cosh = unary("cosh", jnp.cosh, as_float)
exp = unary("exp", jnp.exp, as_float)
exp2 = unary("exp2", jnp.exp2, as_float)
expm1 = unary("expm1", jnp.expm1, as_float)
floor = unary("floor", jnp.floor, as_float)
i0 = unary("i0", jnp.i0, as_float)
log = unary("log", jnp.log, as_float)
log10 = unary("log10", jnp.log10, as_float)
log1p = unary("log1p", jnp.log1p, as_float)
log2 = unary("log2", jnp.log2, as_float)
sin = unary("sin", jnp.sin, as_float)
sinc = unary("sinc", jnp.sinc, as_float)
sinh = unary("sinh", jnp.sinh, as_float)
sqrt = unary("sqrt", jnp.sqrt, as_float)
tan = unary("tan", jnp.tan, as_float)
tanh = unary("tanh", jnp.tanh, as_float)

add = binary("add", jnp.add)
arctan2 = binary("arctan2", jnp.arctan2)
divide = binary("divide", jnp.divide)
equal = binary("equal", jnp.equal)
floor_divide = binary("floor_divide", jnp.floor_divide)
fmax = binary("fmax", jnp.fmax)
fmin = binary("fmin", jnp.fmin)
fmod = binary("fmod", jnp.fmod)
gcd = binary("gcd", jnp.gcd)
greater = binary("greater", jnp.greater)
greater_equal = binary("greater_equal", jnp.greater_equal)
heaviside = binary("heaviside", jnp.heaviside)
hypot = binary("hypot", jnp.hypot)
lcm = binary("lcm", jnp.lcm)
less = binary("less", jnp.less)
less_equal = binary("less_equal", jnp.less_equal)
logaddexp = binary("logaddexp", jnp.logaddexp)
logaddexp2 = binary("logaddexp2", jnp.logaddexp2)
logical_and = binary("logical_and", jnp.logical_and)
logical_or = binary("logical_or", jnp.logical_or)
logical_xor = binary("logical_xor", jnp.logical_xor)
maximum = binary("maximum", jnp.maximum)
minimum = binary("minimum", jnp.minimum)
mod = binary("mod", jnp.mod)
multiply = binary("multiply", jnp.multiply)
nextafter = binary("nextafter", jnp.nextafter)
not_equal = binary("not_equal", jnp.not_equal)
power = binary("power", jnp.power)
subtract = binary("subtract", jnp.subtract)
true_divide = binary("true_divide", jnp.true_divide)

bitwise_and = bitwise("bitwise_and", jnp.bitwise_and)
bitwise_left_shift = bitwise("bitwise_left_shift", jnp.left_shift)
bitwise_or = bitwise("bitwise_or", jnp.bitwise_or)
bitwise_right_shift = bitwise("bitwise_right_shift", jnp.right_shift)
bitwise_xor = bitwise("bitwise_xor", jnp.bitwise_xor)
left_shift = bitwise("left_shift", jnp.left_shift)
right_shift = bitwise("right_shift", jnp.right_shift)
bitwise_invert = unary("bitwise_invert", jnp.invert)
bitwise_not = unary("bitwise_not", jnp.invert)


@symbolic
def trunc(x):
    """Each entry without its fraction; integers stay as they are."""
    x = as_array(x)
    return jnp.trunc(x) if jnp.issubdtype(x.dtype, jnp.inexact) else x


@symbolic
def round(x, decimals=0):
    """Each entry rounded to so many decimals (tens, hundreds, ... if negative), half to even."""
    x = as_array(x)
    if decimals >= 0 or jnp.issubdtype(x.dtype, jnp.inexact):
        return jnp.round(x, decimals)
    return jnp.round(as_float(x), decimals).astype(x.dtype)


@symbolic
def clip(x, x_min, x_max):
    """Each entry moved into the range from `x_min` to `x_max`."""
    x = as_array(x)
    return jnp.clip(x.astype("int32") if x.dtype == bool else x, x_min, x_max)


@symbolic
def divide_no_nan(x1, x2):
    """`x1 / x2`, and 0 where `x2` is 0."""
    x1, x2 = as_array(x1), as_array(x2)
    return jnp.where(x2 == 0, 0, jnp.divide(x1, jnp.where(x2 == 0, 1, x2)))


@symbolic
def ldexp(x1, x2):
    """`x1 * 2**x2` for integers `x2`."""
    x1, x2 = as_array(x1), as_array(x2)
    if not jnp.issubdtype(x2.dtype, jnp.integer):
        raise TypeError(f"ldexp: `x2` must be of an integer type; got {x2.dtype}.")
    return jnp.ldexp(x1, x2)


@symbolic
def isclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether `|x1 - x2| <= atol + rtol * |x2|`, entry by entry."""
    return jnp.isclose(as_array(x1), as_array(x2), rtol, atol, equal_nan)


@symbolic
def allclose(x1, x2, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether all entries are close, in the sense of `isclose`."""
    return jnp.allclose(as_array(x1), as_array(x2), rtol, atol, equal_nan)


@symbolic
def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """NaN and infinities replaced: by `nan`, and by the type's largest and least numbers."""
    return jnp.nan_to_num(as_array(x), nan=nan, posinf=posinf, neginf=neginf)


@symbolic
def isin(x1, x2, assume_unique=False, invert=False):
    """Whether each entry of `x1` is somewhere in `x2`."""
    return jnp.isin(as_array(x1), as_array(x2), assume_unique=assume_unique, invert=invert)


@symbolic
def where(condition, x1=None, x2=None):
    """`x1` where the condition holds, else `x2`; with neither, the indices where it holds."""
    if (x1 is None) != (x2 is None):
        raise ValueError("where: give both `x1` and `x2`, or neither.")
    if x1 is None:
        return jnp.where(as_array(condition))
    return jnp.where(as_array(condition), as_array(x1), as_array(x2))


@symbolic
def select(condlist, choicelist, default=0):
    """For each entry, the choice whose condition holds first, else `default`."""
    for name, given in (("condlist", condlist), ("choicelist", choicelist)):
        if not isinstance(given, list | tuple) or not given:
            raise ValueError(f"select: `{name}` must be a list that is not empty; got {given!r}.")
    return jnp.select([*map(as_array, condlist)], [*map(as_array, choicelist)], default)


@symbolic
def view(x, dtype=None):
    """The same bytes read as another type; a change of size changes the last axis."""
    return as_array(x).view(real_dtype(dtype))


def vectorize(pyfunc, *, excluded=None, signature=None):
    """Make a function of scalars (or of the cores in `signature`) one of arrays that broadcasts."""
    if not callable(pyfunc):
        raise ValueError(f"vectorize: `pyfunc` must be callable; got {pyfunc!r}.")
    mapped = jnp.vectorize(pyfunc, excluded=excluded or set(), signature=signature)
    return symbolic(mapped, getattr(pyfunc, "__name__", "vectorized"))


def _window(name, fn):
    def window(x):
        return fn(x).astype(settings.floatx())

    window.__name__ = window.__qualname__ = name
    window.__doc__ = f"The {name} window of `x` points."
    return window


bartlett = _window("bartlett", jnp.bartlett)
blackman = _window("blackman", jnp.blackman)
hamming = _window("hamming", jnp.hamming)
hanning = _window("hanning", jnp.hanning)


def kaiser(x, beta):
    """The Kaiser window of `x` points; `beta` says how narrow."""
    return jnp.kaiser(x, beta).astype(settings.floatx())


@symbolic
def diff(a, n=1, axis=-1):
    """Differences of neighbours along an axis, taken `n` times."""
    return jnp.diff(as_array(a), n=n, axis=axis)


def _cumulative(name, fn):
    def op(x, axis=None, dtype=None):
        return fn(as_array(x), axis=as_axes(axis), dtype=real_dtype(dtype))

    op.__name__ = op.__qualname__ = name
    op.__doc__ = f"`{name}` along an axis, or of the flattened array."
    return symbolic(op, name)


cumprod = _cumulative("cumprod", jnp.cumprod)
cumsum = _cumulative("cumsum", jnp.cumsum)
nancumprod = _cumulative("nancumprod", jnp.nancumprod)
nancumsum = _cumulative("nancumsum", jnp.nancumsum)
