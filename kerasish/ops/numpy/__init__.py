"""`keras.ops.numpy`: the ops that NumPy's functions are the model of."""

# Packed by hand: one name a line would be hundreds.
# fmt: off
# ruff: noqa: I001

from kerasish.ops.numpy.creation import (
    arange, array, empty, empty_like, eye, full, full_like, geomspace, identity, linspace, logspace,
    meshgrid, ones, ones_like, tri, vander, zeros, zeros_like,
)
from kerasish.ops.numpy.elementwise import (
    abs, absolute, add, allclose, angle, arccos, arccosh, arcsin, arcsinh, arctan, arctan2, arctanh,
    bartlett, bitwise_and, bitwise_invert, bitwise_left_shift, bitwise_not, bitwise_or,
    bitwise_right_shift, bitwise_xor, blackman, cbrt, ceil, clip, conj, conjugate, copy, cos, cosh,
    cumprod, cumsum, deg2rad, diff, divide, divide_no_nan, equal, exp, exp2, expm1, fabs, floor,
    floor_divide, fmax, fmin, fmod, gcd, greater, greater_equal, hamming, hanning, heaviside, hypot,
    i0, imag, isclose, isfinite, isin, isinf, isnan, isneginf, isposinf, isreal, kaiser, lcm, ldexp,
    left_shift, less, less_equal, log, log10, log1p, log2, logaddexp, logaddexp2, logical_and,
    logical_not, logical_or, logical_xor, maximum, minimum, mod, multiply, nan_to_num, nancumprod,
    nancumsum, negative, nextafter, not_equal, power, rad2deg, real, reciprocal, right_shift, round,
    select, sign, signbit, sin, sinc, sinh, sqrt, square, subtract, tan, tanh, true_divide, trunc,
    vectorize, view, where,
)
from kerasish.ops.linalg.decompositions import (
    correlate, cross, dot, einsum, inner, kron, matmul, outer, slogdet, tensordot, vdot,
)
from kerasish.ops.numpy.reductions import (
    all, amax, amin, any, argmax, argmin, argpartition, argsort, average, bincount, corrcoef,
    count_nonzero, digitize, histogram, max, mean, median, min, nanargmax, nanargmin, nanmax,
    nanmean, nanmedian, nanmin, nanpercentile, nanprod, nanquantile, nanstd, nansum, nanvar,
    nonzero, percentile, prod, ptp, quantile, searchsorted, sort, std, sum, trapezoid, unique, var,
)
from kerasish.ops.numpy.manipulation import (
    append, array_split, broadcast_to, concatenate, diag, diagflat, diagonal, dsplit, dstack,
    expand_dims, flip, fliplr, flipud, get_item, hsplit, hstack, moveaxis, ndim, pad, ravel, repeat,
    reshape, roll, rot90, size, split, squeeze, stack, swapaxes, take, take_along_axis, tile, trace,
    transpose, tril, triu, unravel_index, vsplit, vstack,
)

__all__ = [
    "abs", "absolute", "add", "all", "allclose", "amax", "amin", "angle", "any", "append",
    "arange", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "argmax",
    "argmin", "argpartition", "argsort", "array", "array_split", "average", "bartlett", "bincount",
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "blackman", "broadcast_to", "cbrt", "ceil", "clip",
    "concatenate", "conj", "conjugate", "copy", "corrcoef", "correlate", "cos", "cosh",
    "count_nonzero", "cross", "cumprod", "cumsum", "deg2rad", "diag", "diagflat", "diagonal",
    "diff", "digitize", "divide", "divide_no_nan", "dot", "dsplit", "dstack", "einsum", "empty",
    "empty_like", "equal", "exp", "exp2", "expand_dims", "expm1", "eye", "fabs", "flip", "fliplr",
    "flipud", "floor", "floor_divide", "fmax", "fmin", "fmod", "full", "full_like", "gcd",
    "geomspace", "get_item", "greater", "greater_equal", "hamming", "hanning", "heaviside",
    "histogram", "hsplit", "hstack", "hypot", "i0", "identity", "imag", "inner", "isclose",
    "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "isreal", "kaiser", "kron",
    "lcm", "ldexp", "left_shift", "less", "less_equal", "linspace", "log", "log10", "log1p",
    "log2", "logaddexp", "logaddexp2", "logical_and", "logical_not", "logical_or", "logical_xor",
    "logspace", "matmul", "max", "maximum", "mean", "median", "meshgrid", "min", "minimum", "mod",
    "moveaxis", "multiply", "nan_to_num", "nanargmax", "nanargmin", "nancumprod", "nancumsum",
    "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod", "nanquantile",
    "nanstd", "nansum", "nanvar", "ndim", "negative", "nextafter", "nonzero", "not_equal", "ones",
    "ones_like", "outer", "pad", "percentile", "power", "prod", "ptp", "quantile", "rad2deg",
    "ravel", "real", "reciprocal", "repeat", "reshape", "right_shift", "roll", "rot90", "round",
    "searchsorted", "select", "sign", "signbit", "sin", "sinc", "sinh", "size", "slogdet", "sort",
    "split", "sqrt", "square", "squeeze", "stack", "std", "subtract", "sum", "swapaxes", "take",
    "take_along_axis", "tan", "tanh", "tensordot", "tile", "trace", "transpose", "trapezoid",
    "tri", "tril", "triu", "true_divide", "trunc", "unique", "unravel_index", "vander", "var",
    "vdot", "vectorize", "view", "vsplit", "vstack", "where", "zeros", "zeros_like",
]
