"""Fourier transforms, special functions and complex numbers as pairs of real ones."""

import jax
import jax.numpy as jnp
import jax.scipy.special
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.symbolic.operation import symbolic
from kerasish.ops.wrappers import as_array, as_float, unary

erf = unary("erf", jax.scipy.special.erf, as_float)
erfc = unary("erfc", jax.scipy.special.erfc, as_float)
erfinv = unary("erfinv", jax.scipy.special.erfinv, as_float)
rsqrt = unary("rsqrt", jax.lax.rsqrt, as_float)


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
def polar(abs_, angle):
    """Complex numbers of those sizes and angles (in radians)."""
    abs_, angle = as_array(abs_), as_array(angle)
    return _complex("polar", (abs_ * jnp.cos(angle), abs_ * jnp.sin(angle)))


@symbolic
def view_as_complex(x):
    """Complex numbers from a last axis of real and imaginary part."""
    x = as_array(x)
    if x.ndim < 1 or x.shape[-1] != 2:
        raise bad_argument("view_as_complex", "x", "of 2 entries in its last axis", x.shape)
    return x[..., 0].astype("complex64") + 1j * x[..., 1].astype("complex64")


@symbolic
def view_as_real(x):
    """Real and imaginary part as a new last axis."""
    return jnp.stack(_parts(as_array(x)), axis=-1)


# -- Fourier transforms


@symbolic
def fft(x):
    """The discrete Fourier transform along the last axis, of and to a pair (real, imaginary)."""
    return _parts(jnp.fft.fft(_complex("fft", x)))


@symbolic
def fft2(x):
    """The transform along the last two axes, of and to a pair (real, imaginary)."""
    return _parts(jnp.fft.fft2(_complex("fft2", x)))


@symbolic
def ifft2(x):
    """The inverse of `fft2`."""
    return _parts(jnp.fft.ifft2(_complex("ifft2", x)))


@symbolic
def rfft(x, fft_length=None):
    """The transform of real numbers: the half that says it all, as a pair (real, imaginary)."""
    return _parts(jnp.fft.rfft(as_array(x), n=fft_length))


@symbolic
def irfft(x, fft_length=None):
    """The inverse of `rfft`."""
    return jnp.fft.irfft(_complex("irfft", x), n=fft_length)


# -- signals in frames


def _frame_indices(count, length, stride):
    return jnp.arange(count)[:, None] * stride + jnp.arange(length)


def _frames(x, length, stride):
    return x[..., _frame_indices((x.shape[-1] - length) // stride + 1, length, stride)]


@symbolic
def extract_sequences(x, sequence_length, sequence_stride):
    """Windows of the last axis, each `sequence_stride` after the one before.

    Shapes:
        `(..., samples)` -> `(..., windows, sequence_length)`.
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
def stft(x, sequence_length, sequence_stride, fft_length, window="hann", center=True):
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
def istft(x, sequence_length, sequence_stride, fft_length, length=None, window="hann", center=True):
    """The signal whose `stft` is nearest to a pair (real, imaginary): windows added up.

    Args:
        length: Samples to return; by default all that the windows cover.
        sequence_length, sequence_stride, fft_length, window, center: As for `stft`.

    References:
        Griffin and Lim, 1984, "Signal estimation from modified short-time Fourier transform".
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
