"""Layers that bring raw data to a common scale, by given numbers or by numbers learnt from data."""

import math
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.layers.base.arguments import known_size
from kerasish.layers.base.calling import context
from kerasish.layers.base.layer import Layer


class Rescaling(Layer):
    """`inputs * scale + offset`, in floats.

    Args:
        scale: Number, or one for each channel.
        offset: Number, or one for each channel.

    Shapes:
        Any -> the same.

    Example:
        >>> Rescaling(1 / 255)(np.array([[0, 255]], dtype="uint8"))
        Array([[0., 1.]], dtype=float32)
    """

    def __init__(self, scale: Any, offset: Any = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset
        self.supports_masking = True

    def call(self, inputs: Any) -> Any:
        scale, offset = (jnp.asarray(n, self.compute_dtype) for n in (self.scale, self.offset))
        if scale.ndim and settings.image_data_format() == "channels_first":
            scale = jnp.reshape(scale, scale.shape + (1,) * (3 - scale.ndim))
        return inputs.astype(self.compute_dtype) * scale + offset


class Normalization(Layer):
    """`(x - mean) / sqrt(variance)`, with the mean and variance of data seen beforehand.

    Give both, or let `adapt` take them from data.

    Args:
        axis: Axis or axes that each have their own mean and variance; `None`: one for all.
        mean: The means, if known.
        variance: The variances, if known.
        invert: Whether to go back instead: `x * sqrt(variance) + mean`.

    Shapes:
        Any -> the same.

    Example:
        >>> layer = Normalization(axis=None)
        >>> layer.adapt(np.array([1.0, 3.0]))
        >>> layer(np.array([1.0, 3.0]))
        Array([-1.,  1.], dtype=float32)
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.input_mean = mean
        self.input_variance = variance
        self.invert = invert
        self.supports_masking = True
        if (mean is None) != (variance is None):
            raise bad_argument(self, "mean", "given together with `variance`", mean)
        if mean is not None and np.shape(mean) != np.shape(variance):
            raise bad_argument(self, "variance", f"of the mean's shape {np.shape(mean)}", variance)
        if mean is not None and np.ndim(mean) > len(self.axis):
            raise bad_argument(self, "mean", f"of rank {len(self.axis)} at most", np.shape(mean))

    def build(self, input_shape: tuple) -> None:
        rank = len(input_shape)
        if any(not -rank <= axis < rank for axis in self.axis):
            raise bad_argument(self, "axis", f"axes of the input {tuple(input_shape)}", self.axis)
        self._kept = sorted(axis % rank for axis in self.axis)
        self._reduced = tuple(axis for axis in range(rank) if axis not in self._kept)
        sizes = tuple(known_size(self, input_shape, axis) for axis in self._kept)
        self._sizes = [input_shape[axis] if axis in self._kept else 1 for axis in range(rank)]
        if self.input_mean is None:
            self.adapt_mean = self.add_weight(sizes, "zeros", "mean", trainable=False)
            self.adapt_variance = self.add_weight(sizes, "ones", "variance", trainable=False)
            self.count = self.add_weight((), "zeros", "count", dtype="int32", trainable=False)

    @property
    def mean(self) -> jax.Array:
        """The means, with axes of size 1 where one serves all."""
        given = self.adapt_mean.value if self.input_mean is None else self.input_mean
        return self._beside_inputs(given)

    @property
    def variance(self) -> jax.Array:
        """The variances, with axes of size 1 where one serves all."""
        given = self.adapt_variance.value if self.input_mean is None else self.input_variance
        return self._beside_inputs(given)

    def _beside_inputs(self, values):
        if not self.built:
            raise AttributeError(
                f"{self.name}: no mean or variance yet. Call `adapt` on data, or the layer."
            )
        values = jnp.asarray(values, self.compute_dtype)
        shape = [1] * len(self._sizes)
        for axis, size in zip(self._kept[::-1], values.shape[::-1], strict=False):
            shape[axis] = size
        return jnp.broadcast_to(jnp.reshape(values, shape), self._sizes)

    def call(self, inputs: Any) -> Any:
        x = inputs.astype(self.compute_dtype)
        self._warn_if_unadapted()
        deviation = jnp.maximum(jnp.sqrt(self.variance), settings.epsilon())
        return self.mean + x * deviation if self.invert else (x - self.mean) / deviation

    def _warn_if_unadapted(self):
        """Say once that inputs stay as they are, where no data was seen and no weights loaded."""
        if self.input_mean is not None or self._is_known or context.shapes_only:
            return
        vars(self)["_is_known"] = True
        values = np.asarray(self.adapt_mean._value), np.asarray(self.adapt_variance._value)
        if not values[0].any() and (values[1] == 1).all():
            warnings.warn(
                f"{self.name}: it has seen no data yet, so inputs stay as they are. Call `adapt` "
                "on the training data first, or give `mean` and `variance`.",
                stacklevel=2,
            )

    _is_known = False  # that there was data, or that there was none

    def adapt(self, data: Any) -> None:
        """Take mean and variance from data.

        Args:
            data: An array, or batches of arrays: a list, a generator, a `tf.data.Dataset`, a torch
                `DataLoader` or a `PyDataset`. Of batches that are tuples the first part counts.
        """
        if self.input_mean is not None:
            raise ValueError(
                f"{self.name}: `mean` and `variance` were given; `adapt` has nothing to do."
            )
        batches = as_batches(self, data)
        mean = variance = total = 0.0
        for batch in batches:
            x = np.asarray(batch[0] if isinstance(batch, list | tuple) else batch)
            self._check_sizes(x.shape)
            weight = math.prod(x.shape[axis] for axis in self._reduced)
            share = weight / (total + weight)
            of_batch = np.mean(x, axis=self._reduced, dtype="float64")
            spread = np.var(x, axis=self._reduced, dtype="float64")
            # The variance of a mixture: that within its parts, and that between them.
            between = share * (1 - share) * (of_batch - mean) ** 2
            variance = variance * (1 - share) + spread * share + between
            mean = mean + share * (of_batch - mean)
            total += weight
        if not total:
            raise bad_argument(self, "data", "at least one sample", data)
        if not (np.isfinite(mean).all() and np.isfinite(variance).all()):
            hint = "Fill or drop what is missing first: pandas' `fillna` or `dropna`, say."
            raise bad_argument(self, "data", "finite numbers", "NaN or infinity among them", hint)
        vars(self)["_is_known"] = True
        self.adapt_mean.assign(mean)
        self.adapt_variance.assign(variance)

    def _check_sizes(self, shape):
        if not self.built:
            self.build(shape)
        if [shape[axis] if axis in self._kept else 1 for axis in range(len(shape))] != self._sizes:
            wanted = f"of sizes {[self._sizes[a] for a in self._kept]} in axes {self._kept}"
            raise bad_argument(self, "data", wanted, f"shape {shape}")

    def get_config(self) -> dict:
        numbers = {"mean": self.input_mean, "variance": self.input_variance}
        plain = {k: None if v is None else np.asarray(v).tolist() for k, v in numbers.items()}
        config = super().get_config()
        return {**config, **plain}


def as_batches(layer: Any, data: Any) -> Iterable:
    """Batches of arrays, from an array, nested lists of numbers, or what gives batches.

    Args:
        layer: The layer, for the error.
        data: What was given.

    Raises:
        ValueError: If it is none of these.
    """
    if hasattr(data, "shape"):
        return [data]
    if isinstance(data, list) and data and not hasattr(jax.tree.leaves(data)[0], "shape"):
        return [np.asarray(data)]  # one array, written as nested lists of numbers
    if hasattr(data, "__iter__"):
        return data
    if hasattr(data, "__getitem__"):
        return (data[i] for i in range(len(data)))
    raise bad_argument(layer, "data", "an array or an iterable of batches", type(data))
