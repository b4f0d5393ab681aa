"""Fourier transforms, special functions and complex numbers as pairs of real ones."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.symbolic.tensor_like import TensorLike
from kerasish.ops.wrappers import (
    as_array,
    as_float,
    as_indices,
    as_matrices,
    describe,
    reduction,
    square_matrices,
    unary,
)

# fmt: off
__all__ = [
    "cdist", "erf", "erfc", "erfinv", "extract_sequences", "fft", "fft2", "ifft2", "in_top_k",
    "irfft", "istft", "logdet", "logsumexp", "polar", "rfft", "rsqrt", "segment_max",
    "segment_min", "segment_prod", "segment_sum", "stft", "top_k", "view_as_complex",
    "view_as_real",
]
# fmt: on

erf = unary(
    "erf",
    jax.scipy.special.erf,
    "Error function: `2 / sqrt(pi)` times the integral of `exp(-t**2)` from 0 to `x`",
    "[0.0, 1.0] -> [0.   0.84]",
    as_float,
)
erfc = unary(
    "erfc",
    jax.scipy.special.erfc,
    "Complementary error function of each element: `1 - erf(x)`",
    "[0.0, 1.0] -> [1.   0.16]",
    as_float,
)
erfinv = unary(
    "erfinv",
    jax.scipy.special.erfinv,
    "Inverse of `erf`, for elements between -1 and 1",
    "[0.0, 0.5] -> [0.   0.48]",
    as_float,
)
rsqrt = unary(
    "rsqrt",
    jax.lax.rsqrt,
    "Reciprocal square root of each element: `1 / sqrt(x)`",
    "[4.0, 0.25] -> [0.5 2. ]",
    as_float,
)


# -- complex numbers


def _complex(op, x):
    if not isinstance(x, list | tuple) or len(x) != 2:
        raise bad_argument(op, "x", "a pair of arrays: real and imaginary part", x)
    real, imaginary = as_array(x[0]), as_array(x[1])
    if real.shape != imaginary.shape:
        shapes = real.shape, imaginary.shape
        raise bad_argument(op, "x", "a pair of arrays of one shape", shapes)
    if not all(jnp.issubdtype(part.dtype, jnp.floating) for part in (real, imaginary)):
        raise bad_argument(
            op, "x", "a pair of float arrays", (real.dtype.name, imaginary.dtype.name)
        )
    return jax.lax.complex(real, imaginary)


def _parts(x):
    return jnp.real(x), jnp.imag(x)


@symbolic
def polar(abs_: TensorLike, angle: TensorLike) -> jax.Array:
    """Complex numbers of given moduli and angles: `abs_ * exp(i * angle)`.

    Args:
        abs_: Moduli.
        angle: Angles in radians.

    Shapes:
        `(...)` -> the same.

    Example:
        >>> print(np.array(keras.ops.polar([1.0, 2.0], [0.0, np.pi])).round(2))
        [ 1.+0.j -2.-0.j]
    """
    abs_, angle = as_array(abs_), as_array(angle)
    return _complex("polar", (abs_ * jnp.cos(angle), abs_ * jnp.sin(angle)))


@symbolic
def view_as_complex(x: TensorLike) -> jax.Array:
    """Complex numbers from a last axis of real and imaginary part.

    Args:
        x: Array, Variable, number or list of numbers.

    Shapes:
        `(..., 2)` -> `(...)`.

    Example:
        >>> print(keras.ops.view_as_complex([[1.0, 2.0], [3.0, 4.0]]))
        [1.+2.j 3.+4.j]
    """
    x = as_array(x)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise bad_argument("view_as_complex", "x", "of 2 elements in its last axis", x.shape)
    return x[..., 0].astype("complex64") + 1j * x[..., 1].astype("complex64")


@symbolic
def view_as_real(x: TensorLike) -> jax.Array:
    """Real and imaginary part as a new last axis.

    Args:
        x: Array, Variable, number or list of numbers.

    Shapes:
        `(...)` -> `(..., 2)`.

    Example:
        >>> print(keras.ops.view_as_real([1 + 2j]))
        [[1. 2.]]
    """
    return jnp.stack(_parts(as_array(x)), axis=-1)


# -- Fourier transforms


@symbolic
def fft(x: Any) -> tuple[jax.Array, jax.Array]:
    """The discrete Fourier transform along the last axis.

    Args:
        x: A pair of float arrays: real and imaginary part.

    Shapes:
        A pair of `(..., samples)` -> the same.

    Returns:
        A pair: real and imaginary part.

    Example:
        >>> print(keras.ops.fft((np.ones(2), np.zeros(2)))[0])
        [2. 0.]
    """
    return _parts(jnp.fft.fft(_complex("fft", x)))


@symbolic
def fft2(x: Any) -> tuple[jax.Array, jax.Array]:
    """The discrete Fourier transform along the last two axes.

    Args:
        x: A pair of float arrays: real and imaginary part.

    Shapes:
        A pair of `(..., samples)` -> the same.

    Returns:
        A pair: real and imaginary part.

    Example:
        >>> print(keras.ops.fft2((np.ones((2, 2)), np.zeros((2, 2))))[0])
        [[4. 0.]
         [0. 0.]]
    """
    return _parts(jnp.fft.fft2(_complex("fft2", x)))


@symbolic
def ifft2(x: Any) -> tuple[jax.Array, jax.Array]:
    """The inverse of `fft2`.

    Args:
        x: A pair of float arrays: real and imaginary part.

    Shapes:
        A pair of `(..., samples)` -> the same.

    Returns:
        A pair: real and imaginary part.

    Example:
        >>> print(keras.ops.ifft2((np.ones((2, 2)), np.zeros((2, 2))))[0])
        [[1. 0.]
         [0. 0.]]
    """
    return _parts(jnp.fft.ifft2(_complex("ifft2", x)))


@symbolic
def rfft(x: TensorLike, fft_length: int | None = None) -> tuple[jax.Array, jax.Array]:
    """The discrete Fourier transform of real numbers: the half that is not its own mirror image.

    Args:
        x: Array, Variable, number or list of numbers.
        fft_length: Number of samples to transform; by default all of them.

    Shapes:
        `(..., samples)` -> a pair of `(..., samples // 2 + 1)`.

    Returns:
        A pair: real and imaginary part.

    Example:
        >>> print(keras.ops.rfft([1.0, 1.0, 1.0, 1.0])[0])
        [4. 0. 0.]
    """
    return _parts(jnp.fft.rfft(as_array(x), n=fft_length))


@symbolic
def irfft(x: Any, fft_length: int | None = None) -> jax.Array:
    """The inverse of `rfft`.

    Args:
        x: A pair of float arrays: real and imaginary part.
        fft_length: Number of samples of the result.

    Shapes:
        A pair of `(..., n)` -> `(..., 2 * (n - 1))`, or `fft_length`.

    Example:
        >>> print(keras.ops.irfft(([4.0, 0.0, 0.0], [0.0, 0.0, 0.0])))
        [1. 1. 1. 1.]
    """
    return jnp.fft.irfft(_complex("irfft", x), n=fft_length)


# -- signals in frames


def _frame_indices(count, length, stride):
    return jnp.arange(count)[:, None] * stride + jnp.arange(length)


def _frames(x, length, stride):
    return x[..., _frame_indices((x.shape[-1] - length) // stride + 1, length, stride)]


@symbolic
def extract_sequences(x: TensorLike, sequence_length: int, sequence_stride: int) -> jax.Array:
    """Windows of the last axis, each `sequence_stride` after the one before.

    Args:
        x: Array, Variable, number or list of numbers.
        sequence_length: Samples in a window.
        sequence_stride: Samples from one window to the next.

    Shapes:
        `(..., samples)` -> `(..., windows, sequence_length)`.

    Example:
        >>> print(keras.ops.extract_sequences([1, 2, 3, 4, 5], 3, 2))
        [[1 2 3]
         [3 4 5]]
    """
    return _frames(as_array(x), sequence_length, sequence_stride)


def _window(op, window, length, fft_length, dtype):
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise bad_argument(op, "window", "'hann', 'hamming', an array or None", window)
        base = 0.5 if window == "hann" else 0.54
        window = base - (1 - base) * np.cos(2 * np.pi * np.arange(length) / length)
    if window is None:
        return jnp.ones(fft_length, dtype)
    window = jnp.asarray(window, dtype)
    if window.shape != (length,):
        raise bad_argument(op, "window", f"of shape ({length},)", window.shape)
    left = (fft_length - length) // 2
    return jnp.pad(window, (left, fft_length - length - left))


def _check_frames(op, sequence_length, sequence_stride, fft_length):
    if not isinstance(sequence_stride, int) or sequence_stride <= 0:
        raise bad_argument(op, "sequence_stride", "a positive integer", sequence_stride)
    if fft_length < sequence_length:
        raise bad_argument(op, "fft_length", f"at least {sequence_length}, a window", fft_length)


@symbolic
def stft(
    x: TensorLike,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: str | TensorLike = "hann",
    center: bool = True,
) -> tuple[jax.Array, jax.Array]:
    """The short-time Fourier transform: `rfft` of windows of the signal.

    Args:
        x: Signal, float32 or float64.
        sequence_length: Samples in a window.
        sequence_stride: Samples from one window to the next.
        fft_length: Samples that a window is padded to, with zeros on both sides.
        window: Weights in the window: `"hann"`, `"hamming"`, an array, or `None` for all ones.
        center: Whether windows are centred at multiples of the stride, the signal being
            reflected at its ends.

    Shapes:
        `(..., samples)` -> a pair (real, imaginary) of `(..., windows, fft_length // 2 + 1)`.

    References:
        Allen and Rabiner, 1977, "A unified approach to short-time Fourier analysis and synthesis".

    Example:
        >>> keras.ops.stft(np.ones(16, "float32"), 4, 2, 4)[0].shape
        (9, 3)
    """
    x = as_array(x)
    _check_frames("stft", sequence_length, sequence_stride, fft_length)
    if x.dtype not in (jnp.float32, jnp.float64):
        raise TypeError(f"stft: `x` must be of type float32 or float64; got {x.dtype}.")
    window = _window("stft", window, sequence_length, fft_length, x.dtype)
    if center:
        around = [(0, 0)] * (x.ndim - 1) + [(fft_length // 2, fft_length // 2)]
        x = jnp.pad(x, around, mode="reflect")
    return _parts(jnp.fft.rfft(_frames(x, fft_length, sequence_stride) * window))


@symbolic
def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: str | TensorLike = "hann",
    center: bool = True,
) -> jax.Array:
    """The signal whose `stft` is nearest to a pair (real, imaginary): windows added up.

    Args:
        x: A pair of float arrays: real and imaginary part.
        length: Samples to return; by default all that the windows cover.
        sequence_length: As for `stft`.
        sequence_stride: As for `stft`.
        fft_length: As for `stft`.
        window: As for `stft`.
        center: As for `stft`.

    References:
        Griffin and Lim, 1984, "Signal estimation from modified short-time Fourier transform".

    Example:
        >>> spectrum = keras.ops.stft(np.ones(8, "float32"), 4, 2, 4)
        >>> print(np.array(keras.ops.istft(spectrum, 4, 2, 4)).round(2))
        [1. 1. 1. 1. 1. 1. 1. 1.]
    """
    x = _complex("istft", x)
    _check_frames("istft", sequence_length, sequence_stride, fft_length)
    if x.ndim < 2:
        raise bad_argument("istft", "x", "a pair of arrays of at least 2 axes", x.shape)
    frames = jnp.fft.irfft(x, n=fft_length)
    weights = _window("istft", window, sequence_length, fft_length, frames.dtype)
    total = fft_length + sequence_stride * (frames.shape[-2] - 1)
    where = _frame_indices(frames.shape[-2], fft_length, sequence_stride)
    signal = (
        jnp.zeros((*frames.shape[:-2], total), frames.dtype).at[..., where].add(frames * weights)
    )
    power = jnp.zeros(total, frames.dtype).at[where].add(weights**2)
    signal = signal / jnp.where(power > 1e-10, power, 1.0)
    if window is None:  # Keras scales an unweighted sum by how much its windows overlap
        signal = signal * (fft_length / sequence_stride)
    start = fft_length // 2 if center else 0
    end = start + length if length is not None else total - start
    return signal[..., start:end]


@symbolic
def logdet(x: TensorLike) -> jax.Array:
    """The logarithm of the determinant's modulus.

    Args:
        x: Square matrices.

    Shapes:
        `(..., n, n)` -> `(...)`.

    Example:
        >>> print(np.array(keras.ops.logdet([[2.0, 0.0], [0.0, 4.0]])).round(2))
        2.08
    """
    return jnp.linalg.slogdet(square_matrices("logdet", x))[1]


@symbolic
def cdist(x: TensorLike, y: TensorLike) -> jax.Array:
    """Euclidean distances between all rows of `x` and all rows of `y`.

    Args:
        x: Rows of numbers.
        y: Rows of as many numbers.

    Shapes:
        `(..., n, d)` and `(..., m, d)` -> `(..., n, m)`.

    Example:
        >>> print(keras.ops.cdist([[0.0, 0.0]], [[3.0, 4.0], [0.0, 1.0]]))
        [[5. 1.]]
    """
    x, y = as_matrices("cdist", x), as_matrices("cdist", y)
    if x.shape[-1] != y.shape[-1]:
        raise bad_argument("cdist", "y", f"of {x.shape[-1]} columns, as `x`", y.shape)
    square = jnp.sum((x[..., :, None, :] - y[..., None, :, :]) ** 2, axis=-1)
    # Twice, as the root of 0 has no gradient, and what is not chosen must have a finite one.
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), square)


logsumexp = reduction(
    "logsumexp",
    jax.scipy.special.logsumexp,
    "Logarithm of the sum of exponentials, safe from overflow: `log(sum(exp(x)))`",
    "[1000.0, 1000.0] -> 1000.69",
)


@symbolic
def top_k(x: TensorLike, k: int, sorted: bool = True) -> tuple[jax.Array, ...]:
    """The `k` largest elements of the last axis, largest first, and their indices.

    Args:
        x: Array, Variable, number or list of numbers.
        k: How many.
        sorted: They are sorted in any case.

    Shapes:
        `(..., n)` -> two of `(..., k)`.

    Example:
        >>> print(*keras.ops.top_k([3, 9, 5], 2))
        [9 5] [1 2]
    """
    return tuple(jax.lax.top_k(as_array(x), k))


@symbolic
def in_top_k(targets: TensorLike, predictions: TensorLike, k: int) -> jax.Array:
    """Whether fewer than `k` of a row's predictions are larger than the one for its target.

    Args:
        targets: Class numbers.
        predictions: Scores.
        k: How many classes may be tried.

    Shapes:
        `(batch,)` integers and `(batch, classes)` -> `(batch,)` booleans.

    Example:
        >>> print(keras.ops.in_top_k([1, 0], [[0.1, 0.9], [0.2, 0.8]], 1))
        [ True False]
    """
    targets = as_indices("in_top_k", "targets", targets)
    predictions = as_array(predictions)
    own = jnp.take_along_axis(predictions, targets[..., None], axis=-1)
    own = jnp.where(jnp.isnan(own), -jnp.inf, own)
    return jnp.sum(predictions > own, axis=-1) < k


def _segment(name, fn, what, example):
    def op(
        data: TensorLike,
        segment_ids: TensorLike,
        num_segments: int | None = None,
        sorted: bool = False,
    ) -> jax.Array:
        data, ids = as_array(data), as_indices(name, "segment_ids", segment_ids)
        if ids.ndim != 1 or data.shape[0] != ids.shape[0]:
            wanted = f"1-D and as long as `data`, {data.shape[0]}"
            raise bad_argument(name, "segment_ids", wanted, ids.shape)
        return fn(data, ids, num_segments, indices_are_sorted=sorted)

    op = describe(
        op,
        name,
        f"{what} of the rows with each segment number",
        "`(n, ...)` and `(n,)` -> `(num_segments, ...)`.",
        example,
        data="Rows.",
        segment_ids="Integers from 0: the segment of each row.",
        num_segments="Number of segments, which compiled code needs; by default one more than the "
        "largest id.",
        sorted="Whether `segment_ids` ascend.",
    )
    return symbolic(op, name)


segment_max = _segment(
    "segment_max", jax.ops.segment_max, "The maximum", "[1, 5, 7], [0, 0, 1] -> [5 7]"
)


segment_min = _segment(
    "segment_min", jax.ops.segment_min, "The minimum", "[1, 5, 7], [0, 0, 1] -> [1 7]"
)


segment_prod = _segment(
    "segment_prod", jax.ops.segment_prod, "The product", "[2, 5, 7], [0, 0, 1] -> [10  7]"
)


segment_sum = _segment(
    "segment_sum", jax.ops.segment_sum, "The sum", "[1, 5, 7], [0, 0, 1] -> [6 7]"
)
