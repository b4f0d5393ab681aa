"""Sample arguments of every op: one line each.

Arrays whose first axis has 5 entries stand for a batch: the symbolic test calls the op with that
axis unknown. No other size is 5.
"""

from typing import NamedTuple

import numpy as np

_random = np.random.default_rng(0)


def floats(*shape, low=-2.0, high=2.0):
    return _random.uniform(low, high, shape).astype("float32")


def integers(*shape, low=0, high=4):
    return _random.integers(low, high, shape).astype("int32")


F = floats(5, 4)
G = floats(5, 4)
P = floats(5, 4, low=0.1, high=0.9)
I = integers(5, 4, low=1, high=9)  # noqa: E741
J = integers(5, 4, low=1, high=4)
B = F > 0
H = F.astype("float16")
C = (F + 1j * G).astype("complex64")
ROW = floats(7)
GAPS = np.where(F > 1, np.nan, F).astype("float32")
ENDS = np.where(F > 1, np.inf, np.where(F < -1, -np.inf, GAPS)).astype("float32")
M = floats(5, 3, 3)
SPD = np.einsum("bij,bkj->bik", M, M) + 3 * np.eye(3, dtype="float32")
TRIANGLE = np.tril(floats(3, 3)) + 2 * np.eye(3, dtype="float32")
X1 = floats(5, 8, 3)
X2 = floats(5, 8, 6, 4)
X3 = floats(5, 6, 4, 4, 2)
X2F = floats(5, 4, 8, 6)
RGB = floats(5, 8, 6, 3, low=0, high=1)
RGB8 = integers(5, 8, 6, 3, high=256).astype("uint8")
BIG = floats(5, 16, 14, 3, low=0, high=1)
LOGITS = floats(5, 7, 6)
LABELS = integers(5, 3, low=1, high=6)
LENGTHS = np.array([3, 2, 1, 3, 2], "int32")
STEPS = np.array([7, 6, 7, 4, 7], "int32")
HEADS = floats(5, 6, 2, 4)
SOUND = floats(5, 64)
SPECTRUM = (floats(5, 9, 9), floats(5, 9, 9))
CORNERS = np.array([[0, 0], [6, 0], [0, 8], [6, 8]], "float32")
MOVED = CORNERS + np.array([[1, 0], [0, 1], [0.5, 0], [0, -1]], "float32")
AFFINE = np.array([1.0, 0.2, -1.0, 0.1, 0.9, 0.5, 0.0, 0.0], "float32")


class Case(NamedTuple):
    name: str
    args: tuple
    kwargs: dict
    grad: bool = True
    symbolic: bool = True
    rtol: float = 1e-5

    @property
    def id(self):
        options = ",".join(f"{k}={v}" for k, v in self.kwargs.items() if np.ndim(v) == 0)
        types = "-".join(a.dtype.name for a in self.args if isinstance(a, np.ndarray))
        return f"{self.name}-{types}-{options}"


def case(name, *args, **kwargs):
    """Values, gradients and symbolic calls agree."""
    return Case(name, args, kwargs)


def steps(name, *args, **kwargs):
    """No gradient worth the name: there is none, or it is not defined at these values."""
    return Case(name, args, kwargs, grad=False)


def eager(name, *args, **kwargs):
    """The shape of the result depends on values, or there is no tensor among the arguments."""
    return Case(name, args, kwargs, grad=False, symbolic=False)


def loose(name, *args, **kwargs):
    """Sums in another order than the oracle's."""
    return Case(name, args, kwargs, rtol=2e-4)


_UNARY = """abs absolute conj conjugate copy deg2rad rad2deg fabs negative real reciprocal square
arctan arcsinh cos cosh exp exp2 expm1 sin sinc sinh tan tanh hard_sigmoid hard_silu hard_swish
hard_tanh log_sigmoid relu relu6 selu sigmoid silu softplus softsign sparse_plus sparse_sigmoid
swish tanh_shrink i0 erf erfc ravel flipud fliplr ones_like zeros_like leaky_relu elu celu gelu glu
squareplus hard_shrink soft_shrink softmax log_softmax normalize stop_gradient trunc
convert_to_tensor rms_normalization layer_normalization nan_to_num""".split()
_POSITIVE = "cbrt arccos arcsin arctanh log log10 log1p log2 sqrt erfinv rsqrt".split()
_STEPS = """imag isfinite isinf isnan isneginf isposinf isreal logical_not sign signbit ceil floor
angle round empty_like size""".split()
_OF_INTEGERS = """sin sqrt exp log floor ceil trunc round square negative cbrt arctan i0 rad2deg
bitwise_invert bitwise_not sign isfinite reciprocal""".split()
_BINARY = """add arctan2 divide true_divide fmax fmin hypot logaddexp logaddexp2 maximum minimum
multiply subtract divide_no_nan mod fmod""".split()
_COMPARE = """equal greater greater_equal less less_equal not_equal logical_and logical_or
logical_xor heaviside nextafter floor_divide isclose allclose""".split()
_REDUCE = "amax amin max min mean median std sum var ptp logsumexp".split()
_NAN = "nanmax nanmin nanmean nanmedian nanstd nansum nanvar nanprod".split()
_BITS = "bitwise_and bitwise_or bitwise_xor bitwise_left_shift bitwise_right_shift".split()

CASES = [
    *(case(name, F) for name in _UNARY),
    *(case(name, P) for name in _POSITIVE),
    case("arccosh", P + 1.5),
    *(steps(name, F) for name in _STEPS),
    *(steps(name, I) for name in _OF_INTEGERS),
    *(steps(name, H) for name in ("sin", "mean", "var", "std", "softmax", "sum", "normalize")),
    *(case(name, F, G) for name in _BINARY),
    *(steps(name, F, G) for name in _COMPARE),
    *(steps(name, I, F) for name in ("add", "multiply", "power", "maximum")),
    *(steps(name, I, J) for name in ("divide", "floor_divide", "mod", "gcd", "lcm", "power")),
    *(steps(name, I, J) for name in (*_BITS, "left_shift", "right_shift")),
    *(case(name, F) for name in _REDUCE),
    *(case(name, F, axis=1, keepdims=True) for name in _REDUCE),
    *(case(name, F, axis=(0, 1)) for name in ("sum", "mean", "max", "std")),
    *(steps(name, I, axis=0) for name in ("sum", "mean", "var", "std", "max", "median", "prod")),
    *(steps(name, B, axis=1) for name in ("sum", "mean", "any", "all")),
    *(steps(name, F) for name in ("any", "all", "argmax", "argmin", "argsort")),
    *(steps(name, F, axis=1, keepdims=True) for name in ("any", "all", "argmax", "argmin")),
    *(steps(name, GAPS, axis=1) for name in _NAN),
    *(steps(name, GAPS, axis=1) for name in ("nanargmax", "nanargmin", "nancumsum", "nancumprod")),
    *(steps(name, ENDS) for name in ("isnan", "isinf", "isposinf", "isneginf", "nan_to_num")),
    *(steps(name, GAPS, q, axis=1) for name, q in (("nanquantile", 0.3), ("nanpercentile", 30.0))),
    *(case(name, F, q, axis=1) for name, q in (("quantile", 0.3), ("percentile", 30.0))),
    case("quantile", F, np.array([0.2, 0.7], "float32"), axis=0, keepdims=True),
    case("add", F, 2.0),
    case("add", F, 2),
    eager("add", [1, 2], [0.5, 1.5]),
    case("power", P, 2.5),
    steps("real", C),
    steps("imag", C),
    steps("angle", C),
    steps("conj", C),
    steps("isreal", C),
    steps("abs", C),
    steps("round", F, decimals=1),
    steps("round", I * 37, decimals=-1),
    case("clip", F, -1.0, 1.0),
    steps("clip", I, 2, 3),
    steps("ldexp", F, I),
    steps("nan_to_num", ENDS, nan=1.0, posinf=5.0, neginf=-5.0),
    steps("isin", I, np.array([1, 3], "int32")),
    case("where", B, F, G),
    case("where", B, F, 0.0),
    eager("where", B),
    case("select", [F > 1, F > 0], [F, 2 * F], 0.5),
    steps("view", F, dtype="int32"),
    steps("cast", F, "int32"),
    steps("cast", F, "bool"),
    steps("cast", I, "float16"),
    steps("saturate_cast", F * 200, "int8"),
    steps("saturate_cast", I * 100, "uint8"),
    case("saturate_cast", F * 1e5, "float16"),
    *(eager(name, 8) for name in ("bartlett", "blackman", "hamming", "hanning")),
    eager("kaiser", 8, 3.0),
    case("diff", F),
    case("cumsum", F, axis=1),
    case("cumprod", F, axis=1),
    case("cumsum", F),
    steps("cumsum", B, axis=0, dtype="float32"),
    # reductions and searching
    case("max", F, initial=1.0),
    case("min", F, axis=1, initial=-1.0),
    case("prod", F, axis=1),
    steps("prod", I, axis=1, dtype="float32"),
    case("average", F, axis=1, weights=P),
    case("average", F),
    steps("average", I),
    steps("count_nonzero", B, axis=1),
    case("trapezoid", F, dx=0.5),
    case("trapezoid", F, np.sort(G)),
    loose("corrcoef", F),
    case("sort", F),
    case("sort", F, axis=0),
    steps("argsort", F, axis=0),
    eager("argpartition", ROW, 3),
    steps("searchsorted", np.sort(ROW), F),
    steps("searchsorted", np.sort(ROW), F, side="right"),
    steps("digitize", F, np.array([-1.0, 0.0, 1.0], "float32")),
    eager("histogram", ROW, bins=4),
    eager("histogram", ROW, bins=4, range=(-1.0, 1.0)),
    eager("bincount", I.ravel()),
    eager("bincount", I, minlength=12),
    eager("bincount", I, weights=F, minlength=12),
    eager("unique", I),
    eager("unique", I, return_index=True, return_inverse=True, return_counts=True),
    steps("unique", I, size=6, fill_value=-1),
    eager("nonzero", B),
    case("top_k", F, 2),
    steps("in_top_k", integers(5), F, 2),
    *(
        case(f"segment_{n}", F, np.array([0, 0, 1, 2, 2]), num_segments=4, sorted=True)
        for n in ("max", "min", "sum")
    ),
    steps("segment_prod", F, np.array([0, 0, 1, 2, 2]), num_segments=4),
    # making
    eager("zeros", (2, 3)),
    eager("zeros", (2, 3), dtype="int32"),
    eager("ones", 4),
    eager("empty", (0, 2)),
    eager("full", (2, 3), 7),
    eager("full", (2, 3), 7, dtype="int32"),
    steps("full_like", F, 3),
    steps("ones_like", F, dtype="int32"),
    eager("eye", 3, 4, k=1),
    eager("identity", 3),
    eager("tri", 3, 4, k=-1),
    eager("arange", 4),
    eager("arange", np.int64(4)),
    eager("arange", 1, np.float64(4)),
    eager("arange", 1.0, 3.0, 0.5),
    eager("arange", 1, 9, 3, dtype="float32"),
    eager("linspace", 0, 1, num=7),
    eager("linspace", 0.0, 3.0, num=4, endpoint=False, retstep=True),
    case("linspace", F, G, num=3, axis=-1),
    eager("logspace", 0.0, 2.0, num=4),
    eager("geomspace", 1.0, 8.0, num=4),
    eager("array", [1, 2, 3]),
    case("array", F),
    eager("meshgrid", ROW, F[0], indexing="ij"),
    eager("vander", ROW, N=3, increasing=True),
    # arranging
    eager("ndim", F),
    eager("shape", F),
    eager("dtype", F),
    case("reshape", F, (2, -1)),
    case("reshape", X1, (-1, 24)),
    case("expand_dims", F, 1),
    case("expand_dims", F, (0, 3)),
    case("squeeze", F[:, None, :, None]),
    case("squeeze", F[:, None], axis=1),
    case("transpose", X1),
    case("transpose", X1, axes=(0, 2, 1)),
    case("swapaxes", X1, 1, 2),
    case("moveaxis", X1, -1, 1),
    eager("broadcast_to", ROW, (3, 7)),
    case("flip", F),
    case("flip", F, axis=1),
    case("roll", F, 2, axis=1),
    case("rot90", F),
    case("repeat", F, 2, axis=1),
    eager("repeat", F, np.array([1, 0, 2, 1, 3]), axis=0),
    case("tile", F, (1, 2)),
    case("tile", F, 2),
    case("pad", F, ((0, 0), (1, 2))),
    case("pad", F, ((0, 0), (1, 2)), mode="reflect"),
    case("pad", F, ((0, 0), (1, 2)), constant_values=3.0),
    case("concatenate", [F, G], axis=1),
    case("concatenate", [F, G]),
    case("stack", [F, G], axis=1),
    case("append", F, G, axis=1),
    case("append", F, G),
    *(case(name, [F, G]) for name in ("hstack", "vstack", "dstack")),
    case("split", X1, 4, axis=1),
    case("split", X1, [2, 3], axis=1),
    case("array_split", F, 3, axis=1),
    case("hsplit", F, 2),
    eager("vsplit", floats(4, 2), 2),
    case("dsplit", X2, 2),
    case("unstack", F, axis=1),
    case("tril", M),
    case("triu", M, k=1),
    case("diag", ROW, k=1),
    case("diagflat", ROW),
    case("diagonal", M, axis1=1, axis2=2),
    case("trace", M, axis1=1, axis2=2),
    case("take", F, integers(3), axis=1),
    case("take", ROW, I % 7),
    case("take_along_axis", F, I % 4, axis=1),
    steps("unravel_index", I, (3, 4)),
    case("get_item", F, (slice(None), 1)),
    case("slice", F, (1, 1), (2, 3)),
    eager("slice", F, (1, 1), (-1, 2)),
    case("slice_update", F, (0, 1), 2 * G[:, :2]),
    eager("scatter", np.array([[0, 1], [2, 0], [0, 1]]), floats(3), (3, 2)),
    *(
        case("scatter_update", F, np.array([[0, 1], [2, 0], [3, 1]]), floats(3), reduction=r)
        for r in (None, "add", "max", "min")
    ),
    steps("scatter_update", F, np.array([[0, 1], [2, 0]]), floats(2), reduction="mul"),
    steps("rearrange", X2, "b (h p) w c -> b h (p w c)", p=2),
    case("rearrange", X2, "b h w c -> b (h w) c"),
    # linear algebra
    loose("dot", F, F.T),
    case("vdot", F, G),
    case("inner", F, G),
    case("outer", F, ROW),
    case("kron", floats(2, 3), floats(2, 2)),
    case("matmul", X1, floats(3, 4)),
    steps("matmul", I.astype("int8"), I.T.astype("int8")),
    case("einsum", "btc,bsc->bts", X1, X1),
    case("tensordot", X1, floats(3, 4), axes=1),
    case("cross", floats(5, 3), floats(5, 3)),
    eager("correlate", ROW, ROW[:3], mode="same"),
    loose("cholesky", SPD),
    loose("cholesky", SPD, upper=True),
    Case("cholesky_inverse", (TRIANGLE,), {}, rtol=1e-3),
    Case("cholesky_inverse", (TRIANGLE.T,), {"upper": True}, rtol=1e-3),
    loose("det", SPD),
    loose("slogdet", SPD),
    loose("logdet", SPD),
    Case("eig", (SPD,), {}, grad=False, rtol=1e-3),
    Case("eigh", (SPD,), {}, rtol=1e-3),
    loose("inv", SPD),
    loose("pinv", SPD),
    steps("matrix_rank", SPD),
    loose("lu_factor", SPD),
    *(
        case("norm", X1, ord=o, axis=a)
        for o, a in ((None, None), (1, -1), (2, -1), ("fro", (1, 2)))
    ),
    loose("qr", SPD),
    Case("svd", (SPD,), {}, rtol=1e-3),
    loose("svd", SPD, compute_uv=False),
    loose("solve", SPD, X1[:, :3]),
    loose("solve_triangular", SPD, M, lower=True),
    Case("lstsq", (floats(6, 3), floats(6, 2)), {}, rtol=1e-3),
    loose("cdist", X1, X1[:, :2] + 3),
    # Fourier transforms and special functions
    case("polar", P, F),
    steps("view_as_complex", X1[..., :2]),
    steps("view_as_real", C),
    *(loose(name, (F, G)) for name in ("fft", "fft2", "ifft2", "irfft")),
    loose("rfft", F),
    loose("rfft", F, fft_length=8),
    loose("irfft", (F, G), fft_length=4),
    case("extract_sequences", SOUND, 8, 3),
    loose("stft", SOUND, 12, 6, 16),
    loose("stft", SOUND, 12, 6, 16, window="hamming", center=False),
    loose("stft", SOUND, 16, 8, 16, window=None),
    loose("istft", SPECTRUM, 12, 6, 16),
    loose("istft", SPECTRUM, 12, 6, 16, length=40),
    loose("istft", SPECTRUM, 12, 6, 16, window="hamming", center=False),
    loose("istft", SPECTRUM, 16, 4, 16, window=None),
    # networks
    case("leaky_relu", F, negative_slope=0.3),
    case("elu", F, alpha=0.5),
    case("celu", F, alpha=0.5),
    case("gelu", F, approximate=False),
    case("squareplus", F, b=2),
    case("threshold", F, 0.5, -3.0),
    case("softmax", X1, axis=(1, 2)),
    case("log_softmax", X1, axis=(1, 2)),
    case("glu", X2, axis=1),
    steps("one_hot", I, 9),
    steps("one_hot", I, 9, axis=1, dtype="int32"),
    steps("multi_hot", I, 9),
    steps("multi_hot", I, num_tokens=9),
    case("normalize", F, axis=0, order=3),
    case("moments", X1, (0, 1)),
    case("moments", X1, [1], keepdims=True),
    steps("moments", H * 300, (0,)),
    case("batch_normalization", X1, floats(3), floats(3, low=0.5), -1, floats(3), floats(3)),
    case("batch_normalization", X1, floats(8), floats(8, low=0.5), 1),
    loose("layer_normalization", X1, floats(3), floats(3)),
    loose("layer_normalization", X1, floats(8, 3), floats(8, 3), axis=(1, 2), epsilon=0.1),
    loose("layer_normalization", X1, floats(8), axis=1),
    steps("layer_normalization", H),
    loose("rms_normalization", X1, floats(3), epsilon=0.1),
    loose("binary_crossentropy", P, 1 - P),
    loose("binary_crossentropy", P, F, from_logits=True),
    loose("categorical_crossentropy", P, 1 - P),
    loose("categorical_crossentropy", P, F, from_logits=True),
    loose("sparse_categorical_crossentropy", I[:, 0] % 4, 1 - P),
    loose("sparse_categorical_crossentropy", I[:, :1] % 4, F, from_logits=True),
    loose("ctc_loss", LABELS, LOGITS, LENGTHS, STEPS),
    loose("ctc_loss", LABELS - 1, LOGITS, LENGTHS, STEPS, mask_index=5),
    steps("ctc_decode", LOGITS, STEPS),
    steps("ctc_decode", LOGITS, STEPS, merge_repeated=False, mask_index=None),
    loose("psnr", P, 1 - P, 1.0),
    loose("dot_product_attention", HEADS, HEADS + 1, HEADS - 1),
    loose("dot_product_attention", HEADS, HEADS + 1, HEADS, is_causal=True, scale=0.3),
    loose("dot_product_attention", HEADS, HEADS, HEADS, mask=floats(5, 2, 6, 6) > -1.5),
    loose("dot_product_attention", HEADS, HEADS, HEADS, bias=floats(1, 2, 6, 6)),
    # windows
    loose("conv", X1, floats(3, 3, 4)),
    loose("conv", X2, floats(3, 3, 4, 2), padding="same"),
    loose("conv", X2, floats(3, 2, 4, 2), strides=2, padding="same"),
    loose("conv", X2, floats(3, 2, 4, 2), dilation_rate=2),
    loose("conv", X2, floats(3, 3, 2, 6)),
    loose("conv", X2F, floats(3, 3, 4, 2), strides=(2, 1), data_format="channels_first"),
    loose("conv", X3, floats(2, 2, 2, 2, 3)),
    loose("depthwise_conv", X2, floats(3, 3, 4, 2), padding="same"),
    loose("depthwise_conv", X2F, floats(3, 3, 4, 1), strides=2, data_format="channels_first"),
    loose("separable_conv", X2, floats(3, 3, 4, 2), floats(1, 1, 8, 3), padding="same"),
    loose("conv_transpose", X2, floats(3, 3, 2, 4), strides=2),
    loose("conv_transpose", X2, floats(3, 3, 2, 4), strides=2, padding="same"),
    loose("conv_transpose", X2, floats(3, 3, 2, 4), 2, "same", 1),
    loose("conv_transpose", X2, floats(2, 3, 2, 4), strides=3, dilation_rate=2),
    loose("conv_transpose", X1, floats(4, 2, 3), strides=2, padding="same"),
    loose("conv_transpose", X2F, floats(3, 3, 2, 4), strides=2, data_format="channels_first"),
    case("max_pool", X1, 2, 2),
    case("max_pool", X2, 2, 2),
    case("max_pool", X2, 3, 2, "same"),
    case("max_pool", X2, (3, 2), (1, 2), "valid"),
    case("max_pool", X2, 5, 1),
    case("max_pool", X2F, 2, 2, data_format="channels_first"),
    case("max_pool", X3, 2, 2),
    case("average_pool", X1, 2, 2),
    case("average_pool", X2, 2, 2),
    case("average_pool", X2, 3, 2, "same"),
    case("average_pool", X2, 5, 1, "same"),
    case("average_pool", X2F, (2, 3), (2, 3), data_format="channels_first"),
    case("average_pool", X3, 2, 2),
    case("adaptive_max_pool", X2, (3, 4)),
    case("adaptive_max_pool", X1, 3),
    case("adaptive_max_pool", X3, 3),
    case("adaptive_average_pool", X2, (3, 4)),
    case("adaptive_average_pool", X2F, 3, data_format="channels_first"),
    case("adaptive_average_pool", X1, 3),
    case("unfold", X2F, 3),
    case("unfold", X2F, (2, 3), dilation=2, padding=(2, 1), stride=2),
    case("fold", floats(5, 18, 24), (8, 6), 3, padding=1, stride=(2, 1)),
    case("fold", floats(5, 8, 9), (4, 4), 2),
    case("depth_to_space", X2, 2),
    case("depth_to_space", X2F, 2, data_format="channels_first"),
    case("space_to_depth", X2, 2),
    case("space_to_depth", X2F, 2, data_format="channels_first"),
    # images
    case("image.rgb_to_grayscale", RGB),
    steps("image.rgb_to_grayscale", RGB8),
    loose("image.rgb_to_hsv", RGB),
    loose("image.hsv_to_rgb", RGB),
    loose("image.hsv_to_rgb", RGB[0]),
    loose("image.resize", RGB, (11, 9)),
    loose("image.resize", RGB, (3, 4), interpolation="bicubic", antialias=True),
    steps("image.resize", RGB, (11, 9), interpolation="nearest"),
    steps("image.resize", RGB8, (11, 9)),
    loose("image.resize", RGB, (4, 9), crop_to_aspect_ratio=True),
    loose("image.resize", RGB, (4, 9), pad_to_aspect_ratio=True, fill_value=0.5),
    loose("image.resize", X2F, (3, 4), data_format="channels_first"),
    case("image.pad_images", RGB, 1, 2, 1, None, None, 12),
    case("image.crop_images", RGB, 1, None, None, 2, 4, 3),
    loose("image.scale_and_translate", RGB[0], (9, 7, 3), ROW[:2] + 3, ROW[:2], (0, 1), "linear"),
    case("image.extract_patches", RGB, (3, 2)),
    case("image.extract_patches", RGB, 3, 1, 2, "same"),
    case("image.extract_patches_3d", X3, 2),
    loose("image.gaussian_blur", RGB, (3, 5), (1.0, 2.0), "channels_last"),
    loose("image.sobel_edges", RGB),
    loose("image.ssim", BIG, 1 - BIG),
    loose("image.map_coordinates", X2[0, ..., 0], np.abs(floats(2, 3, 4)) * 3, 1),
    steps("image.map_coordinates", X2[0, ..., 0], floats(2, 3, 4) * 5, 0, "reflect"),
    steps("image.affine_transform", RGB, np.tile(AFFINE, (5, 1))),
    steps("image.affine_transform", RGB[0], AFFINE, "nearest", "reflect"),
    Case("image.perspective_transform", (RGB[0], CORNERS, MOVED), {}, grad=False, rtol=1e-3),
    Case("image.elastic_transform", (RGB,), {"seed": 3}, grad=False, rtol=1e-3),
]
