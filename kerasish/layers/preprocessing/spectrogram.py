"""Layers that show which frequencies a signal has, and when."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import initializers, ops
from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.settings import standardize_data_format
from kerasish.layers.base.arguments import positive_int, within_budget
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer

_MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")


class STFTSpectrogram(Layer):
    """The short-time Fourier transform of each channel, by convolutions with trainable kernels.

    The kernels start as the cosines and sines of the transform. With `trainable=False` they stay.

    Args:
        mode: What to return of the complex transform: `"log"`, the logarithm of its magnitude;
            `"magnitude"`; `"psd"`, the power, that of negative frequencies included; its parts
            `"real"` and `"imag"`; its `"angle"` in radians; `"stft"`, both parts, one after the
            other.
        frame_length: Samples in a window.
        frame_step: Samples from one window to the next; `None`: half a window.
        fft_length: Samples that windows are padded to, at least `frame_length`; `None`: the next
            power of two.
        window: As for `keras.initializers.STFT`.
        periodic: Whether the named window is a periodic one.
        scaling: `"density"` divides by the window's Euclidean norm, `"spectrum"` by its sum,
            `None` by nothing.
        padding: `"valid"` or `"same"`.
        expand_dims: Whether frequencies and channels have an axis each.
        data_format: `"channels_last"` or `"channels_first"`; `None` is the global setting.

    Shapes:
        `(batch, samples, channels)` -> `(batch, windows, channels * bins)`, or with `expand_dims`
        `(batch, windows, bins, channels)`; with channels first `(batch, channels, samples)` ->
        `(batch, channels * bins, windows)` or `(batch, channels, windows, bins)`. There are
        `fft_length // 2 + 1` bins, and twice as many of `"stft"`.

    References:
        Allen and Rabiner, 1977, "A unified approach to short-time Fourier analysis and synthesis".

    Example:
        >>> wave = np.sin(np.arange(64) * np.pi / 4).reshape(1, 64, 1)  # 8 samples a turn
        >>> layer = STFTSpectrogram("magnitude", frame_length=16, trainable=False)
        >>> layer(wave).shape, int(layer(wave)[0, 3].argmax())
        ((1, 7, 9), 2)
    """

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: Any = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: Any = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if mode not in _MODES:
            raise bad_argument(self, "mode", f"one of {_MODES}", mode)
        if padding not in ("valid", "same"):
            raise bad_argument(self, "padding", "'valid' or 'same'", padding)
        if frame_step is not None and not 1 <= frame_step <= frame_length:
            wanted = f"from 1 to `frame_length`, {frame_length}, or None"
            raise bad_argument(self, "frame_step", wanted, frame_step)
        if fft_length is not None and fft_length < frame_length:
            wanted = f"at least `frame_length`, {frame_length}, or None"
            raise bad_argument(self, "fft_length", wanted, fft_length)
        if fft_length is not None and fft_length & (fft_length - 1):
            warnings.warn(
                f"{self.name}: `fft_length` is best a power of two; got {fft_length}.", stacklevel=2
            )
        bins = (fft_length or 1 << (frame_length - 1).bit_length()) // 2 + 1
        within_budget(self, "frame_length", frame_length, 2 * frame_length * bins)
        self.mode = mode
        self.frame_length, self.frame_step, self.fft_length = frame_length, frame_step, fft_length
        self.window, self.periodic, self.scaling = window, periodic, scaling
        self.padding = padding
        self.expand_dims = expand_dims
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=3)
        self._step = frame_step or frame_length // 2
        self._bins = bins
        for side in ("real", "imag"):
            self._first_kernel(side)  # which looks at the window and the scaling
        self.real_kernel = self.imag_kernel = None

    def _first_kernel(self, side):
        return initializers.STFT(side, self.window, self.scaling, self.periodic)

    def build(self, input_shape: tuple) -> None:
        shape = (self.frame_length, 1, self._bins)
        if self.mode != "imag":
            self.real_kernel = self.add_weight(shape, self._first_kernel("real"), "real_kernel")
        if self.mode != "real":
            self.imag_kernel = self.add_weight(shape, self._first_kernel("imag"), "imag_kernel")

    def call(self, inputs: jax.Array) -> jax.Array:
        x = inputs
        if not jnp.issubdtype(x.dtype, jnp.floating):
            raise TypeError(f"{self.name}: `inputs` must be of floats; got {x.dtype}.")
        first = self.data_format == "channels_first"
        x = x if first else jnp.moveaxis(x, -1, 1)
        found = self._spectrum(x.reshape(-1, x.shape[2], 1))  # (batch * channels, windows, bins)
        found = found.reshape(-1, x.shape[1], *found.shape[1:])
        if self.expand_dims:
            return found if first else jnp.moveaxis(found, 1, -1)
        found = jnp.moveaxis(found, 1, 2)  # (batch, windows, channels, bins)
        found = found.reshape(*found.shape[:2], found.shape[2] * found.shape[3])
        return jnp.moveaxis(found, 1, 2) if first else found

    def _spectrum(self, x) -> Any:
        real, imag = (
            None if k is None else self._transformed(x, k.value)
            for k in (self.real_kernel, self.imag_kernel)
        )
        if real is None or imag is None:
            return real if imag is None else imag
        if self.mode == "stft":
            return jnp.concatenate([real, imag], -1)
        if self.mode == "angle":
            return jnp.arctan2(imag, real)
        power = jnp.square(real) + jnp.square(imag)
        if self.mode == "psd":
            return power.at[..., 1:-1].multiply(2)
        magnitude = jnp.sqrt(jnp.maximum(power, settings.epsilon()))
        if self.mode == "magnitude":
            return magnitude
        return jnp.log(jnp.maximum(magnitude, settings.epsilon()))

    def _transformed(self, x, kernel):
        kernel = kernel.astype(x.dtype)
        return ops.conv(x, kernel, self._step, self.padding, data_format="channels_last")


class MelSpectrogram(Layer):
    """The power of a signal in bands that are as wide as they sound: on the mel scale.

    `mel(f) = 1127 * log(1 + f / 700)`; bands are triangles over frequencies that overlap by half.

    Args:
        fft_length: Samples that windows are padded to.
        sequence_stride: Samples from one window to the next.
        sequence_length: Samples in a window; `None`: `fft_length`.
        window: As for `keras.ops.stft`.
        sampling_rate: Samples a second.
        num_mel_bins: Bands.
        min_freq: Where the lowest band begins, in hertz.
        max_freq: Where the highest band ends, in hertz; `None`: half of the sampling rate.
        power_to_db: Whether to return decibels.
        top_db: Decibels below the largest value of the batch under which all count alike.
        mag_exp: Power to which magnitudes are raised: 2 for power, 1 for energy.
        min_power: Power below which all counts alike.
        ref_power: Power that counts as 0 decibels.

    Shapes:
        `(..., samples)` -> `(..., num_mel_bins, windows)`, one window about every stride, from the
        signal's start to its end.

    References:
        Stevens, Volkmann and Newman, 1937, "A Scale for the Measurement of the Psychological
        Magnitude Pitch"; Young and others, 2006, "The HTK Book".

    Example:
        >>> wave = np.sin(np.arange(4000) * 2 * np.pi * 440 / 8000)
        >>> layer = MelSpectrogram(fft_length=512, sequence_stride=256, sampling_rate=8000)
        >>> layer(wave).shape
        (128, 16)
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: Any = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.fft_length = fft_length
        self.sequence_stride = sequence_stride
        self.sequence_length = sequence_length or fft_length
        if self.sequence_length > fft_length:
            wanted = f"at most `fft_length`, {fft_length}, or None"
            raise bad_argument(self, "sequence_length", wanted, sequence_length)
        positive_int(self, "num_mel_bins", num_mel_bins)
        positive_int(self, "fft_length", fft_length)
        within_budget(self, "num_mel_bins", num_mel_bins, num_mel_bins * (fft_length // 2 + 1))
        self.window = window
        self.sampling_rate = sampling_rate
        self.num_mel_bins = num_mel_bins
        self.min_freq = min_freq
        self.max_freq = max_freq or int(sampling_rate / 2)
        self.power_to_db = power_to_db
        self.top_db = top_db
        self.mag_exp = mag_exp
        self.min_power, self.ref_power = min_power, ref_power
        self.autocast = False

    def call(self, inputs: jax.Array) -> jax.Array:
        wide = self.compute_dtype if self.compute_dtype == "float64" else "float32"
        length, step, size = self.sequence_length, self.sequence_stride, self.fft_length
        real, imag = ops.stft(inputs.astype(wide), length, step, size, self.window)
        # Not of the root, which has no gradient where there is silence.
        power = jnp.power(jnp.square(real) + jnp.square(imag), self.mag_exp / 2)
        bands = self.linear_to_mel_weight_matrix(
            self.num_mel_bins,
            power.shape[-1],
            self.sampling_rate,
            self.min_freq,
            self.max_freq,
            wide,
        )
        found = jnp.matmul(power, bands)
        if self.power_to_db:
            found = self._in_decibels(found)
        return jnp.swapaxes(found, -1, -2).astype(self.compute_dtype)

    def _in_decibels(self, power):
        zero = 10 * jnp.log10(jnp.maximum(abs(self.ref_power), self.min_power))
        decibels = 10 * jnp.log10(jnp.maximum(power, self.min_power)) - zero
        return jnp.maximum(decibels, jnp.max(decibels, initial=-jnp.inf) - self.top_db)

    def linear_to_mel_weight_matrix(
        self,
        num_mel_bins: int = 20,
        num_spectrogram_bins: int = 129,
        sampling_rate: int = 8000,
        lower_edge_hertz: float = 125.0,
        upper_edge_hertz: float = 3800.0,
        dtype: Any = "float32",
    ) -> jax.Array:
        """What each frequency of a spectrogram weighs in each band of the mel scale, from 0 to 1.

        Args:
            num_mel_bins: Bands.
            num_spectrogram_bins: Frequencies, from 0 to half of the sampling rate. The first one,
                0, is in no band.
            sampling_rate: Samples a second.
            lower_edge_hertz: Where the lowest band begins.
            upper_edge_hertz: Where the highest band ends.
            dtype: Dtype of the result.

        Shapes:
            `(num_spectrogram_bins, num_mel_bins)`.
        """
        mel = lambda hertz: 1127.0 * np.log(1 + hertz / 700)  # noqa: E731
        bins = mel(np.linspace(0, sampling_rate / 2, num_spectrogram_bins))[:, None]
        edges = np.linspace(mel(lower_edge_hertz), mel(upper_edge_hertz), num_mel_bins + 2)
        low, centre, high = edges[:-2], edges[1:-1], edges[2:]
        rising, falling = (bins - low) / (centre - low), (high - bins) / (high - centre)
        weights = np.maximum(0, np.minimum(rising, falling))
        weights[0] = 0
        return jnp.asarray(weights, dtype)
