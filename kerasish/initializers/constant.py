"""Initializers without randomness: constants, identities, Fourier kernels."""

from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.initializers.host_random import host_dtype
from kerasish.initializers.initializer import Initializer


class Constant(Initializer):
    """The same value everywhere, or the given array.

    Args:
        value: A number, or an array that broadcasts to the shape asked for.

    Example:
        >>> Constant(3.0)((2,))
        array([3., 3.], dtype=float32)
    """

    def __init__(self, value: Any = 0.0):
        self.value = value

    def __call__(self, shape: tuple, dtype: Any = None):
        value = np.asarray(self.value)
        try:
            return np.broadcast_to(value, shape).astype(host_dtype(dtype))
        except ValueError:
            raise bad_argument(self, "shape", f"one that {value.shape} fits", shape) from None


class Zeros(Initializer):
    """Zeros.

    Example:
        >>> Zeros()((2,))
        array([0., 0.], dtype=float32)
    """

    def __call__(self, shape: tuple, dtype: Any = None):
        return np.zeros(shape, host_dtype(dtype))


class Ones(Initializer):
    """Ones.

    Example:
        >>> Ones()((2,))
        array([1., 1.], dtype=float32)
    """

    def __call__(self, shape: tuple, dtype: Any = None):
        return np.ones(shape, host_dtype(dtype))


class Identity(Initializer):
    """The identity matrix times `gain`; for two axes only.

    Args:
        gain: What stands on the diagonal.

    Example:
        >>> Identity()((2, 2))
        array([[1., 0.],
               [0., 1.]], dtype=float32)
    """

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def __call__(self, shape: tuple, dtype: Any = None):
        if len(shape) != 2:
            raise bad_argument(self, "shape", "of 2 axes", shape)
        dtype = host_dtype(dtype)
        return np.eye(*shape, dtype=dtype) * dtype.type(self.gain)


class STFT(Initializer):
    """Convolution kernels that compute a short-time Fourier transform, one half of it.

    Shapes:
        `(frame_length, 1, fft_length // 2 + 1)`, the only ones that it can be asked for.

    Args:
        side: `"real"` for the cosines, `"imag"` for the sines.
        window: Name of a window of `scipy.signal.windows`, the window itself as an array of
            `(frame_length,)`, or `None`.
        scaling: `"density"` divides by the window's Euclidean norm, `"spectrum"` by its sum,
            `None` by nothing.
        periodic: Whether the named window is a periodic one.

    Example:
        >>> STFT("real", window=None)((4, 1, 3)).round(3)[:, 0]
        array([[ 1.,  1.,  1.],
               [ 1.,  0., -1.],
               [ 1., -1.,  1.],
               [ 1., -0., -1.]], dtype=float32)
    """

    def __init__(
        self,
        side: str = "real",
        window: str = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ):
        if side not in ("real", "imag"):
            raise bad_argument(self, "side", "'real' or 'imag'", side)
        if scaling not in (None, "density", "spectrum"):
            raise bad_argument(self, "scaling", "'density', 'spectrum' or None", scaling)
        if isinstance(window, str):
            self._check_name(window)
        self.side = side
        self.window = window
        self.scaling = scaling
        self.periodic = periodic

    def __call__(self, shape: tuple, dtype: Any = None):
        frame_length, _, bins = shape
        cycles = np.outer(np.arange(frame_length), np.arange(bins)) / (2 * (bins - 1))
        angles = -2 * np.pi * cycles
        kernel = np.cos(angles) if self.side == "real" else np.sin(angles)
        kernel = kernel * self._weights(frame_length)[:, None]
        return kernel[:, None, :].astype(host_dtype(dtype))

    def _check_name(self, window):
        try:
            _named_window(window, 1, False)
        except ValueError:
            wanted = "the name of one of `scipy.signal`'s windows"
            raise bad_argument(self, "window", wanted, window) from None

    def _weights(self, frame_length):
        if self.window is None:
            return np.ones(frame_length)
        window = self.window
        if isinstance(window, str):
            window = _named_window(window, frame_length, self.periodic)
        window = np.asarray(window, "float64")
        if window.shape != (frame_length,):
            raise bad_argument(self, "window", f"of shape {(frame_length,)}", window.shape)
        if self.scaling == "density":
            return window / np.sqrt(np.sum(window**2))
        if self.scaling == "spectrum":
            return window / np.sum(np.abs(window))
        return window


def _named_window(name, length, periodic):
    # SciPy comes with JAX, but this part of it takes half a second to import.
    from scipy.signal import get_window  # noqa: PLC0415

    return get_window(name, length, periodic)
