"""Sound files as arrays."""

import wave
from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument


def read_wav(
    path: Any, sampling_rate: Any = None, output_sequence_length: Any = None
) -> np.ndarray:
    """A WAV file's samples, from -1 to 1.

    Args:
        path: The file's path; PCM of 8, 16, 24 or 32 bits.
        sampling_rate: Samples a second that the file must have; `None`: any.
        output_sequence_length: Samples to return: the first ones, or all and zeros. `None`: all.

    Shapes:
        `(samples, channels)`, of float32.
    """
    with wave.open(path, "rb") as file:
        channels, width, rate, frames = file.getparams()[:4]
        if sampling_rate not in (None, rate):
            wanted = f"that of the file {path}, {rate}"
            hint = "Resample the files first, for instance with `scipy.signal.resample_poly`."
            raise bad_argument("read_wav", "sampling_rate", wanted, sampling_rate, hint)
        length = frames if output_sequence_length is None else output_sequence_length
        raw = np.frombuffer(file.readframes(min(frames, length)), "uint8").reshape(-1, width)
    # Each number's bytes, the lowest first, become the highest of 32 bits.
    samples = np.zeros((len(raw), 4), "uint8")
    samples[:, 4 - width :] = raw if width > 1 else raw ^ 128  # only 8 bits are without sign
    sound = (samples.view("<i4") / 2**31).astype("float32").reshape(-1, channels)
    return np.pad(sound, [(0, max(length - len(sound), 0)), (0, 0)])


def pad_and_stack(items: list) -> np.ndarray:
    """A batch of arrays, with zeros at the ends of the shorter ones.

    Args:
        items: Arrays of one number of axes.

    Example:
        >>> pad_and_stack([np.ones(3), np.ones(1)])
        array([[1., 1., 1.], [1., 0., 0.]])
    """
    shape = np.max([item.shape for item in items], axis=0).tolist()
    batch: Any = np.zeros((len(items), *shape), items[0].dtype)
    for row, item in zip(batch, items, strict=True):
        row[tuple(map(slice, item.shape))] = item
    return batch
