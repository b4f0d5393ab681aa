"""`keras.ops`: functions of arrays that also take symbolic tensors and Variables."""

# Packed by hand: one name a line would be hundreds.
# fmt: off
# ruff: noqa: I001

from kerasish.ops import image, linalg, nn, numpy
from kerasish.ops.nn.activations import (
    celu, elu, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_swish, hard_tanh, leaky_relu,
    log_sigmoid, log_softmax, relu, relu6, selu, sigmoid, silu, soft_shrink, softmax, softplus,
    softsign, sparse_plus, sparse_sigmoid, sparsemax, squareplus, swish, tanh_shrink, threshold,
)
from kerasish.ops.control_flow import (
    associative_scan, cond, custom_gradient, fori_loop, map, scan, stop_gradient, switch,
    vectorized_map, while_loop,
)
from kerasish.ops.core import (
    cast, convert_to_numpy, convert_to_tensor, dtype, is_tensor, saturate_cast, scatter,
    scatter_update, shape, slice, slice_update,
)
from kerasish.ops.numpy.creation import (
    arange, array, empty, empty_like, eye, full, full_like, geomspace, identity, linspace, logspace,
    meshgrid, ones, ones_like, tri, vander, zeros, zeros_like,
)
from kerasish.ops.nn.ctc import ctc_decode
from kerasish.ops.einops import rearrange
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
    cdist, cholesky, cholesky_inverse, correlate, cross, det, dot, eig, eigh, einsum, inner, inv,
    jvp, kron, logdet, lstsq, lu_factor, matmul, matrix_rank, norm, outer, pinv, qr, slogdet, solve,
    solve_triangular, svd, tensordot, vdot,
)
from kerasish.ops.math import (
    erf, erfc, erfinv, extract_sequences, fft, fft2, ifft2, irfft, istft, polar, rfft, rsqrt, stft,
    view_as_complex, view_as_real,
)
from kerasish.ops.nn.normalization import (
    batch_normalization, binary_crossentropy, categorical_crossentropy, ctc_loss,
    dot_product_attention, layer_normalization, moments, multi_hot, normalize, one_hot, psnr,
    rms_normalization, sparse_categorical_crossentropy,
)
from kerasish.ops.nn.patches import depth_to_space, fold, space_to_depth, unfold
from kerasish.ops.numpy.reductions import (
    all, amax, amin, any, argmax, argmin, argpartition, argsort, average, bincount, corrcoef,
    count_nonzero, digitize, histogram, in_top_k, logsumexp, max, mean, median, min, nanargmax,
    nanargmin, nanmax, nanmean, nanmedian, nanmin, nanpercentile, nanprod, nanquantile, nanstd,
    nansum, nanvar, nonzero, percentile, prod, ptp, quantile, searchsorted, segment_max,
    segment_min, segment_prod, segment_sum, sort, std, sum, top_k, trapezoid, unique, var,
)
from kerasish.ops.numpy.manipulation import (
    append, array_split, broadcast_to, concatenate, diag, diagflat, diagonal, dsplit, dstack,
    expand_dims, flip, fliplr, flipud, get_item, hsplit, hstack, moveaxis, ndim, pad, ravel, repeat,
    reshape, roll, rot90, size, split, squeeze, stack, swapaxes, take, take_along_axis, tile, trace,
    transpose, tril, triu, unravel_index, unstack, vsplit, vstack,
)
from kerasish.ops.nn.convolution import (
    adaptive_average_pool, adaptive_max_pool, average_pool, conv, conv_transpose, depthwise_conv,
    max_pool, separable_conv,
)

__all__ = [
    "abs", "absolute", "adaptive_average_pool", "adaptive_max_pool", "add", "all", "allclose",
    "amax", "amin", "angle", "any", "append", "arange", "arccos", "arccosh", "arcsin", "arcsinh",
    "arctan", "arctan2", "arctanh", "argmax", "argmin", "argpartition", "argsort", "array",
    "array_split", "associative_scan", "average", "average_pool", "bartlett",
    "batch_normalization", "binary_crossentropy", "bincount", "bitwise_and", "bitwise_invert",
    "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor",
    "blackman", "broadcast_to", "cast", "categorical_crossentropy", "cbrt", "cdist", "ceil",
    "celu", "cholesky", "cholesky_inverse", "clip", "concatenate", "cond", "conj", "conjugate",
    "conv", "conv_transpose", "convert_to_numpy", "convert_to_tensor", "copy", "corrcoef",
    "correlate", "cos", "cosh", "count_nonzero", "cross", "ctc_decode", "ctc_loss", "cumprod",
    "cumsum", "custom_gradient", "deg2rad", "depth_to_space", "depthwise_conv", "det", "diag",
    "diagflat", "diagonal", "diff", "digitize", "divide", "divide_no_nan", "dot",
    "dot_product_attention", "dsplit", "dstack", "dtype", "eig", "eigh", "einsum", "elu", "empty",
    "empty_like", "equal", "erf", "erfc", "erfinv", "exp", "exp2", "expand_dims", "expm1",
    "extract_sequences", "eye", "fabs", "fft", "fft2", "flip", "fliplr", "flipud", "floor",
    "floor_divide", "fmax", "fmin", "fmod", "fold", "fori_loop", "full", "full_like", "gcd",
    "gelu", "geomspace", "get_item", "glu", "greater", "greater_equal", "hamming", "hanning",
    "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh", "heaviside",
    "histogram", "hsplit", "hstack", "hypot", "i0", "identity", "ifft2", "imag", "image",
    "in_top_k", "inner", "inv", "irfft", "is_tensor", "isclose", "isfinite", "isin", "isinf",
    "isnan", "isneginf", "isposinf", "isreal", "istft", "jvp", "kaiser", "kron",
    "layer_normalization", "lcm", "ldexp", "leaky_relu", "left_shift", "less", "less_equal",
    "linalg", "linspace", "log", "log10", "log1p", "log2", "log_sigmoid", "log_softmax",
    "logaddexp", "logaddexp2", "logdet", "logical_and", "logical_not", "logical_or", "logical_xor",
    "logspace", "logsumexp", "lstsq", "lu_factor", "map", "matmul", "matrix_rank", "max",
    "max_pool", "maximum", "mean", "median", "meshgrid", "min", "minimum", "mod", "moments",
    "moveaxis", "multi_hot", "multiply", "nan_to_num", "nanargmax", "nanargmin", "nancumprod",
    "nancumsum", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile", "nanprod",
    "nanquantile", "nanstd", "nansum", "nanvar", "ndim", "negative", "nextafter", "nn", "nonzero",
    "norm", "normalize", "not_equal", "numpy", "one_hot", "ones", "ones_like", "outer", "pad",
    "percentile", "pinv", "polar", "power", "prod", "psnr", "ptp", "qr", "quantile", "rad2deg",
    "ravel", "real", "rearrange", "reciprocal", "relu", "relu6", "repeat", "reshape", "rfft",
    "right_shift", "rms_normalization", "roll", "rot90", "round", "rsqrt", "saturate_cast", "scan",
    "scatter", "scatter_update", "searchsorted", "segment_max", "segment_min", "segment_prod",
    "segment_sum", "select", "selu", "separable_conv", "shape", "sigmoid", "sign", "signbit",
    "silu", "sin", "sinc", "sinh", "size", "slice", "slice_update", "slogdet", "soft_shrink",
    "softmax", "softplus", "softsign", "solve", "solve_triangular", "sort", "space_to_depth",
    "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid", "sparsemax", "split",
    "sqrt", "square", "squareplus", "squeeze", "stack", "std", "stft", "stop_gradient", "subtract",
    "sum", "svd", "swapaxes", "swish", "switch", "take", "take_along_axis", "tan", "tanh",
    "tanh_shrink", "tensordot", "threshold", "tile", "top_k", "trace", "transpose", "trapezoid",
    "tri", "tril", "triu", "true_divide", "trunc", "unfold", "unique", "unravel_index", "unstack",
    "vander", "var", "vdot", "vectorize", "vectorized_map", "view", "view_as_complex",
    "view_as_real", "vsplit", "vstack", "where", "while_loop", "zeros", "zeros_like",
]
