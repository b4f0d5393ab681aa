"""Layers that only act in training: noise, dropout and penalties on activities."""

import contextlib
import math
import threading
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from kerasish import random, regularizers
from kerasish.core.errors import bad_argument
from kerasish.core.settings import standardize_data_format
from kerasish.core.state.seeds import SeedGenerator
from kerasish.layers.base.arguments import fraction
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer


class _Prediction(threading.local):
    drops = False


_prediction = _Prediction()


@contextlib.contextmanager
def dropout_in_prediction() -> Iterator[None]:
    """Within it, dropout layers (and no others) act in prediction too, alike for all rows."""
    before, _prediction.drops = _prediction.drops, True
    try:
        yield
    finally:
        _prediction.drops = before


def dropping(training: bool | None) -> bool:
    """Whether dropout acts now: in training, or within `dropout_in_prediction`.

    Args:
        training: Whether it is a call of training.
    """
    return bool(training or _prediction.drops)


def shared_pattern(shape: tuple | None, inputs: Any) -> tuple | None:
    """The shape to draw in: in prediction, one row that is shared by the whole batch.

    Args:
        shape: The shape asked for, `None` for the inputs' own.
        inputs: The inputs.
    """
    if not _prediction.drops:
        return shape
    return (1, *(shape or (None,) * inputs.ndim)[1:])


class Dropout(Layer):
    """In training, sets elements to 0 at random and divides the others by the probability to stay.

    So the expected value of each element is its own. Otherwise nothing happens.

    Args:
        rate: Probability of an element to become 0, from 0 to 1.
        noise_shape: Shape of the zeros' pattern: 1 where an axis shares it, `None` for the input's
            own size. `None` as a whole: each element by itself.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        Any -> the same.

    References:
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014, "Dropout: A Simple Way to
        Prevent Neural Networks from Overfitting".

    Example:
        >>> y = Dropout(0.5, seed=1)(np.ones((1, 1000)), training=True)
        >>> sorted(set(y.ravel().tolist()))
        [0.0, 2.0]
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rate = fraction(self, "rate", rate)
        self.noise_shape = _check_noise_shape(self, noise_shape)
        self.seed = seed
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: jax.Array, training: bool = False) -> jax.Array:
        if not dropping(training) or self.rate == 0:
            return inputs
        pattern = shared_pattern(self.pattern(inputs), inputs)
        return random.dropout(inputs, self.rate, noise_shape=pattern, seed=self.seed_generator)

    def pattern(self, inputs: Any) -> tuple | None:
        """Shape of the zeros' pattern for these inputs.

        Args:
            inputs: The inputs.
        """
        return self.noise_shape


def _check_noise_shape(layer, shape):
    if shape is None:
        return None
    wanted = "a tuple of positive integers and None, or None"
    if not isinstance(shape, list | tuple):
        raise bad_argument(layer, "noise_shape", wanted, shape)
    if any(n is not None and (not isinstance(n, int) or n <= 0) for n in shape):
        raise bad_argument(layer, "noise_shape", wanted, shape)
    return tuple(shape)


class SpatialDropout1D(Dropout):
    """`Dropout` of whole channels of a series.

    Args:
        rate: Probability of a channel to become 0, from 0 to 1.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        `(batch, steps, channels)` -> the same.

    References:
        Tompson, Goroshin, Jain, LeCun and Bregler, 2015, "Efficient Object Localization Using
        Convolutional Networks".

    Example:
        >>> y = SpatialDropout1D(0.5, seed=1)(np.ones((1, 5, 8)), training=True)
        >>> bool((y == y[:, :1]).all())
        True
    """

    old_arguments: ClassVar = {"noise_shape": None}

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=3)

    def pattern(self, inputs: Any) -> tuple | None:
        return (None, 1, None)


class SpatialDropout2D(Dropout):
    """`Dropout` of whole channels of an image.

    Args:
        rate: Probability of a channel to become 0, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        `(batch, rows, columns, channels)` -> the same.

    Example:
        >>> y = SpatialDropout2D(0.5, seed=1)(np.ones((1, 4, 4, 8)), training=True)
        >>> bool((y == y[:, :1, :1]).all())
        True
    """

    rank = 2
    old_arguments: ClassVar = {"noise_shape": None}

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ):
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank + 2)

    def pattern(self, inputs: Any) -> tuple | None:
        ones = (1,) * self.rank
        return (None, *ones, None) if self.data_format == "channels_last" else (None, None, *ones)


class SpatialDropout3D(SpatialDropout2D):
    """`Dropout` of whole channels of a volume.

    Args:
        rate: Probability of a channel to become 0 in training, from 0 to 1.
        data_format: `"channels_last"` or `"channels_first"`; `None`: the global one.
        seed: Integer; makes the dropout the same in each run.

    Shapes:
        `(batch, d1, d2, d3, channels)` -> the same.

    Example:
        >>> SpatialDropout3D(0.5)(np.ones((1, 2, 2, 2, 3))).shape
        (1, 2, 2, 2, 3)
    """

    rank = 3


class GaussianNoise(Layer):
    """In training, adds normal noise of mean 0.

    Args:
        stddev: Standard deviation of the noise, from 0 to 1.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        Any -> the same.

    Example:
        >>> GaussianNoise(0.1)(np.zeros((1, 3)))
        Array([[0., 0., 0.]], dtype=float32)
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.stddev = fraction(self, "stddev", stddev)
        self.seed = seed
        if stddev > 0:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: jax.Array, training: bool = False) -> jax.Array:
        if not training or self.stddev == 0:
            return inputs
        options = {"dtype": self.compute_dtype, "seed": self.seed_generator}
        return inputs + random.normal(inputs.shape, 0.0, self.stddev, **options)


class GaussianDropout(Layer):
    """In training, multiplies by normal noise of mean 1 and variance `rate / (1 - rate)`.

    Args:
        rate: As of the `Dropout` with noise of the same variance; from 0, less than 1.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        Any -> the same.

    References:
        Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov, 2014, "Dropout: A Simple Way to
        Prevent Neural Networks from Overfitting".

    Example:
        >>> GaussianDropout(0.1)(np.ones((1, 3)))
        Array([[1., 1., 1.]], dtype=float32)
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = fraction(self, "rate", rate)
        if rate == 1:
            raise bad_argument(self, "rate", "less than 1", rate)
        self.seed = seed
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: jax.Array, training: bool = False) -> jax.Array:
        if not dropping(training) or self.rate == 0:
            return inputs
        stddev = math.sqrt(self.rate / (1.0 - self.rate))
        options = {"dtype": self.compute_dtype, "seed": self.seed_generator}
        shape: Any = shared_pattern(inputs.shape, inputs)
        return inputs * random.normal(shape, 1.0, stddev, **options)


# Of SELU: a unit far below 0 gives `-_ALPHA * _SCALE`.
_ALPHA = 1.6732632423543772
_SCALE = 1.0507009873554805


class AlphaDropout(Layer):
    """In training, sets elements at random to SELU's lowest value, and keeps mean and variance.

    Args:
        rate: Probability of an element to be replaced, from 0 to 1.
        noise_shape: As of `Dropout`.
        seed: Integer; makes the layer's random numbers the same in each run.

    Shapes:
        Any -> the same.

    References:
        Klambauer, Unterthiner, Mayr and Hochreiter, 2017, "Self-Normalizing Neural Networks".

    Example:
        >>> AlphaDropout(0.1)(np.ones((1, 3)))
        Array([[1., 1., 1.]], dtype=float32)
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rate = fraction(self, "rate", rate)
        self.noise_shape = _check_noise_shape(self, noise_shape)
        self.seed = seed
        if rate > 0:
            self.seed_generator = SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs: jax.Array, training: bool = False) -> jax.Array:
        if not dropping(training) or self.rate == 0:
            return inputs
        wanted = shared_pattern(self.noise_shape, inputs) or (None,) * inputs.ndim
        shape = tuple(s if n is None else n for n, s in zip(wanted, inputs.shape, strict=True))
        kept = random.uniform(shape, seed=self.seed_generator) >= self.rate
        lowest = -_ALPHA * _SCALE
        factor = ((1 - self.rate) * (1 + self.rate * lowest**2)) ** -0.5
        return factor * (jnp.where(kept, inputs, lowest) - lowest * self.rate)


class ActivityRegularization(Layer):
    """Its inputs, with a penalty on their size added to the loss.

    Args:
        l1: Factor of the sum of absolute values of a sample.
        l2: Factor of the sum of squares of a sample.

    Shapes:
        Any -> the same.

    Example:
        >>> layer = ActivityRegularization(l1=0.5)
        >>> _ = layer(np.array([[1.0, -3.0]]))
        >>> [float(loss) for loss in layer.losses]
        [2.0]
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any):
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.l1 = l1
        self.l2 = l2
        self.supports_masking = True

    def call(self, inputs: jax.Array) -> jax.Array:
        return inputs

    def get_config(self) -> dict:
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return config
