"""Initializers that draw: normal, uniform, scaled by a kernel's size, orthogonal."""

import math
from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object
from kerasish.core.state.seeds import SeedGenerator, make_default_seed
from kerasish.initializers import host_random
from kerasish.initializers.initializer import Initializer

# Standard deviation of a standard normal truncated to two standard deviations.
_TRUNCATED_STDDEV = 0.87962566103423978


class RandomInitializer(Initializer):
    """Base of initializers with a seed.

    Args:
        seed: An integer (each call draws the same numbers), a `SeedGenerator` (each call draws
            others) or `None`: an integer taken from Python's `random`, which `set_random_seed`
            fixes.
    """

    def __init__(self, seed: Any = None):
        if isinstance(seed, dict):
            seed = deserialize_keras_object(seed)
        if not isinstance(seed, SeedGenerator) and seed is not None:
            if not isinstance(seed, int | np.integer):
                raise bad_argument(self, "seed", "an integer, a SeedGenerator or None", seed)
            if not 0 <= seed < 2**32:
                raise bad_argument(self, "seed", "from 0 to 2**32 - 1", seed)
        self._given_seed = seed
        self.seed = make_default_seed() if seed is None else seed

    def get_config(self) -> dict:
        """The arguments; the seed as it was given."""
        return {**super().get_config(), "seed": serialize_keras_object(self._given_seed)}


class RandomNormal(RandomInitializer):
    """Normal numbers.

    Args:
        mean: Their mean.
        stddev: Their standard deviation.
        seed: An integer, a `SeedGenerator` or `None`.

    Example:
        >>> RandomNormal(stddev=0.01, seed=1)((100, 100)).std().round(3)
        np.float32(0.01)
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape: tuple, dtype: Any = None):
        return host_random.normal(shape, self.mean, self.stddev, dtype, self.seed)


class TruncatedNormal(RandomInitializer):
    """Normal numbers, those further than two standard deviations from the mean left out.

    Args:
        mean: Their mean.
        stddev: Standard deviation before the leaving out; after it, 0.88 of that.
        seed: An integer, a `SeedGenerator` or `None`.

    Example:
        >>> bool(np.all(np.abs(TruncatedNormal(stddev=0.5, seed=1)((1000,))) < 1))
        True
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None):
        super().__init__(seed)
        self.mean = mean
        self.stddev = stddev

    def __call__(self, shape: tuple, dtype: Any = None):
        return host_random.truncated_normal(shape, self.mean, self.stddev, dtype, self.seed)


class RandomUniform(RandomInitializer):
    """Numbers from an interval, all equally likely.

    Args:
        minval: Its lower end, included.
        maxval: Its upper end, not included.
        seed: An integer, a `SeedGenerator` or `None`.

    Example:
        >>> values = RandomUniform(2.0, 3.0, seed=1)((100,))
        >>> bool(values.min() >= 2), bool(values.max() < 3)
        (True, True)
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None):
        super().__init__(seed)
        self.minval = minval
        self.maxval = maxval

    def __call__(self, shape: tuple, dtype: Any = None):
        return host_random.uniform(shape, self.minval, self.maxval, dtype, self.seed)


_MODES = ("fan_in", "fan_out", "fan_avg")
_DISTRIBUTIONS = ("uniform", "truncated_normal", "untruncated_normal")


class VarianceScaling(RandomInitializer):
    """Numbers of variance `scale / n`, where `n` counts the inputs or outputs of a unit.

    Args:
        scale: Positive factor.
        mode: What `n` is: `"fan_in"` the inputs, `"fan_out"` the outputs, `"fan_avg"` their mean.
        distribution: `"truncated_normal"` (also `"normal"`), `"untruncated_normal"` or
            `"uniform"`.
        seed: An integer, a `SeedGenerator` or `None`.
        input_axes: Axes of the kernel that count as inputs.
        output_axes: Axes of the kernel that count as outputs. Where either is `None`, the last
            axis holds the outputs, the one before it the inputs, and all others are the window.

    References:
        Glorot and Bengio, 2010, "Understanding the Difficulty of Training Deep Feedforward Neural
        Networks".
        He, Zhang, Ren and Sun, 2015, "Delving Deep into Rectifiers".

    Example:
        >>> VarianceScaling(2.0, seed=1)((200, 50)).var().round(3)
        np.float32(0.01)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Any = None,
        output_axes: Any = None,
    ):
        super().__init__(seed)
        if scale <= 0:
            raise bad_argument(self, "scale", "positive", scale)
        if mode not in _MODES:
            raise bad_argument(self, "mode", f"one of {_MODES}", mode)
        lower = distribution.lower()
        if lower not in (*_DISTRIBUTIONS, "normal"):
            raise bad_argument(self, "distribution", f"one of {_DISTRIBUTIONS}", distribution)
        self.scale = scale
        self.mode = mode
        self.distribution = "truncated_normal" if lower == "normal" else lower
        self.input_axes = input_axes
        self.output_axes = output_axes

    def __call__(self, shape: tuple, dtype: Any = None):
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return host_random.uniform(shape, -limit, limit, dtype, self.seed)
        stddev = math.sqrt(variance)
        if self.distribution == "untruncated_normal":
            return host_random.normal(shape, 0.0, stddev, dtype, self.seed)
        return host_random.truncated_normal(
            shape, 0.0, stddev / _TRUNCATED_STDDEV, dtype, self.seed
        )


def compute_fans(shape: tuple, input_axes: Any = None, output_axes: Any = None) -> tuple[int, int]:
    """How many inputs each unit of a kernel has, and to how many outputs each input goes.

    Args:
        shape: Shape of the kernel.
        input_axes: Axes of inputs; by default the last but one, those before being a window.
        output_axes: Axes of outputs; by default the last.

    Example:
        >>> from kerasish.initializers.random import compute_fans
        >>> compute_fans((3, 3, 8, 16))
        (72, 144)
    """
    if input_axes is not None and output_axes is not None:
        return math.prod(shape[i] for i in input_axes), math.prod(shape[i] for i in output_axes)
    if len(shape) < 2:
        count = math.prod(shape)
        return count, count
    window = math.prod(shape[:-2])
    return window * shape[-2], window * shape[-1]


class GlorotUniform(VarianceScaling):
    """Uniform numbers of variance 2 / (inputs + outputs): for tanh, sigmoid and linear units.

    Args:
        seed: An integer, a `SeedGenerator` or `None`.
        input_axes: As in `VarianceScaling`.
        output_axes: As in `VarianceScaling`.

    Example:
        >>> GlorotUniform(seed=1)((300, 300)).max().round(2)  # sqrt(6 / 600)
        np.float32(0.1)
    """

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None):
        super().__init__(1.0, "fan_avg", "uniform", seed, input_axes, output_axes)


class GlorotNormal(VarianceScaling):
    """Truncated normal numbers of variance 2 / (inputs + outputs).

    Args:
        seed: An integer, a `SeedGenerator` or `None`.
        input_axes: As in `VarianceScaling`.
        output_axes: As in `VarianceScaling`.

    Example:
        >>> GlorotNormal(seed=1)((100, 100)).std().round(2)
        np.float32(0.1)
    """

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None):
        super().__init__(1.0, "fan_avg", "truncated_normal", seed, input_axes, output_axes)


class LecunNormal(VarianceScaling):
    """Truncated normal numbers of variance 1 / inputs: for SELU units.

    Args:
        seed: An integer, a `SeedGenerator` or `None`.
        input_axes: As in `VarianceScaling`.
        output_axes: As in `VarianceScaling`.

    References:
        LeCun, Bottou, Orr and Müller, 1998, "Efficient BackProp".

    Example:
        >>> LecunNormal(seed=1)((100, 100)).std().round(2)
        np.float32(0.1)
    """

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None):
        super().__init__(1.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class LecunUniform(VarianceScaling):
    """Uniform numbers of variance 1 / inputs.

    Args:
        seed: An integer, a `SeedGenerator` or `None`.
        input_axes: As in `VarianceScaling`.
        output_axes: As in `VarianceScaling`.

    Example:
        >>> LecunUniform(seed=1)((300, 300)).max().round(2)  # sqrt(3 / 300)
        np.float32(0.1)
    """

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None):
        super().__init__(1.0, "fan_in", "uniform", seed, input_axes, output_axes)


class HeNormal(VarianceScaling):
    """Truncated normal numbers of variance 2 / inputs: for ReLU units and their kin.

    Args:
        seed: An integer, a `SeedGenerator` or `None`.
        input_axes: As in `VarianceScaling`.
        output_axes: As in `VarianceScaling`.

    Example:
        >>> HeNormal(seed=1)((200, 100)).std().round(2)
        np.float32(0.1)
    """

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None):
        super().__init__(2.0, "fan_in", "truncated_normal", seed, input_axes, output_axes)


class HeUniform(VarianceScaling):
    """Uniform numbers of variance 2 / inputs.

    Args:
        seed: An integer, a `SeedGenerator` or `None`.
        input_axes: As in `VarianceScaling`.
        output_axes: As in `VarianceScaling`.

    Example:
        >>> HeUniform(seed=1)((600, 100)).max().round(2)  # sqrt(6 / 600)
        np.float32(0.1)
    """

    def __init__(self, seed: Any = None, input_axes: Any = None, output_axes: Any = None):
        super().__init__(2.0, "fan_in", "uniform", seed, input_axes, output_axes)


class Orthogonal(RandomInitializer):
    """A random matrix whose columns (or rows, if fewer) are orthogonal and of length `gain`.

    More than two axes are taken as a matrix: the last against all others.

    Args:
        gain: Factor.
        seed: An integer, a `SeedGenerator` or `None`.

    References:
        Saxe, McClelland and Ganguli, 2014, "Exact Solutions to the Nonlinear Dynamics of Learning
        in Deep Linear Neural Networks".

    Example:
        >>> q = Orthogonal(seed=1)((3, 3))
        >>> bool(np.allclose(q.T @ q, np.eye(3), atol=1e-6))
        True
    """

    def __init__(self, gain: float = 1.0, seed: Any = None):
        super().__init__(seed)
        self.gain = gain

    def __call__(self, shape: tuple, dtype: Any = None):
        if len(shape) < 2:
            raise bad_argument(self, "shape", "of 2 axes or more", shape)
        rows, columns = math.prod(shape[:-1]), shape[-1]
        dtype = host_random.host_dtype(dtype)
        tall = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(np.asarray(host_random.normal(tall, 0.0, 1.0, "float32", self.seed)))
        q = q * np.sign(np.diag(r))  # so that every orthogonal matrix is equally likely
        if rows < columns:
            q = q.T
        return (self.gain * q.reshape(shape)).astype(dtype)
