"""Layers that bring values to a common mean and scale."""

import warnings
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.kernels.noinline import add_bias, scale_by
from kerasish.kernels.normalization import (
    along_axis,
    batch_normalize,
    moments,
    other_axes,
    standardize,
)
from kerasish.layers.base.arguments import Named, known_size, make_weight, set_weight_options
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer


def at_least_float32(x: jax.Array) -> jax.Array:
    """16-bit floats as float32: their range is too small for sums of squares.

    Args:
        x: An array of floats.
    """
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def as_axes(layer: Any, axis: int | Sequence[int]) -> int | list[int]:
    """An axis as it is, or several as a list.

    Args:
        layer: The layer, for the error.
        axis: What was given.

    Raises:
        ValueError: If it is neither.
    """
    if isinstance(axis, list | tuple):
        return list(axis)
    if not isinstance(axis, int):
        raise bad_argument(layer, "axis", "an integer or a list of integers", axis)
    return axis


def positive_axes(axis: Any, rank: int) -> list[int]:
    """One or more axes, counted from the front and in order.

    Args:
        axis: The axis or axes.
        rank: Number of axes of the input.
    """
    axes = axis if isinstance(axis, list) else [axis]
    return sorted(a % rank for a in axes)


class BatchNormalization(Layer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta` for each channel.

    Mean and variance are those of the batch when training, and their moving averages otherwise,
    and when the layer is frozen (`trainable=False`). A batch that is split over devices by a
    mesh is normalized as a whole.

    Args:
        axis: Axis of the channels.
        momentum: Part of the old average kept at each step, from 0 to 1.
        epsilon: Added to the variance.
        center: Whether to add a trainable `beta`.
        scale: Whether to multiply by a trainable `gamma`.
        beta_initializer: Initializer of `beta`.
        gamma_initializer: Initializer of `gamma`.
        moving_mean_initializer: Initializer of the moving average of the mean.
        moving_variance_initializer: Initializer of the moving average of the variance.
        beta_regularizer: Regularizer of `beta`.
        gamma_regularizer: Regularizer of `gamma`.
        beta_constraint: Constraint on `beta`.
        gamma_constraint: Constraint on `gamma`.
        renorm: Whether to correct the batch's mean and variance towards the moving ones, for
            small batches.
        renorm_clipping: Bounds of the correction: any of `rmin`, `rmax`, `dmax`.
        renorm_momentum: `momentum` of the averages that the correction goes by.
        synchronized: Kept for Keras' sake: statistics are always of the whole batch.

    Shapes:
        Any, and a mask without the last axis, which takes elements out of the statistics -> the
        same.

    References:
        Ioffe and Szegedy, 2015, "Batch Normalization: Accelerating Deep Network Training by
        Reducing Internal Covariate Shift"; Ioffe, 2017, "Batch Renormalization".

    Example:
        >>> layer = BatchNormalization(epsilon=0.0)
        >>> layer(np.array([[1.0], [3.0]]), training=True).ravel()
        Array([-1.,  1.], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        momentum: float = 0.99,
        epsilon: float = 0.001,
        center: bool = True,
        scale: Any = True,
        beta_initializer: Named = "zeros",
        gamma_initializer: Named = "ones",
        moving_mean_initializer: Named = "zeros",
        moving_variance_initializer: Named = "ones",
        beta_regularizer: Named = None,
        gamma_regularizer: Named = None,
        beta_constraint: Named = None,
        gamma_constraint: Named = None,
        renorm: bool = False,
        renorm_clipping: dict | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if isinstance(axis, list | tuple) and len(axis) == 1:  # as Keras 2 wrote it
            axis = axis[0]
        if isinstance(axis, list | tuple):
            raise bad_argument(self, "axis", "an integer, or a list of one", axis)
        self.axis = int(axis)
        self.momentum = float(momentum)
        self.epsilon = float(epsilon)
        self.center = center
        self.scale = scale
        set_weight_options(self, "beta", beta_initializer, beta_regularizer, beta_constraint)
        set_weight_options(self, "gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        set_weight_options(self, "moving_mean", moving_mean_initializer)
        set_weight_options(self, "moving_variance", moving_variance_initializer)
        self.renorm = renorm
        self.renorm_clipping = _check_clipping(self, renorm_clipping) if renorm else renorm_clipping
        self.renorm_momentum = renorm_momentum
        self.synchronized = synchronized
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None
        self.moving_mean: Any = None
        self.moving_variance: Any = None

    def build(self, input_shape: tuple) -> None:
        size = known_size(self, input_shape, self.axis)
        if self.scale:
            self.gamma = make_weight(self, "gamma", (size,), autocast=False)
        if self.center:
            self.beta = make_weight(self, "beta", (size,), autocast=False)
        statistic: dict[str, Any] = {"trainable": False, "autocast": False}
        self.moving_mean = make_weight(self, "moving_mean", (size,), **statistic)
        self.moving_variance = make_weight(self, "moving_variance", (size,), **statistic)
        if self.renorm:
            for name in ("moving_stddev", "renorm_mean", "renorm_stddev"):
                source = self.moving_mean if name == "renorm_mean" else self.moving_variance
                value = np.asarray(source.read())
                value = value if name == "renorm_mean" else np.sqrt(value)
                setattr(self, name, self.add_weight((size,), _constant(value), name, **statistic))
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: jax.Array, training: bool | None = None, mask: Any = None) -> jax.Array:
        if mask is not None and mask.ndim != inputs.ndim - 1:
            raise bad_argument(self, "mask", f"of rank {inputs.ndim - 1}", mask.shape)
        x = at_least_float32(inputs)
        gamma = self.gamma.value if self.scale else 1.0
        beta = self.beta.value if self.center else 0.0
        if not (training and self.trainable):
            y = _scaled(x, self.moving_mean.value, self.moving_variance.value, gamma, beta, self)
        elif mask is None and not self.renorm:
            size = (x.shape[self.axis],)
            gamma, beta = (jnp.broadcast_to(w, size).astype(x.dtype) for w in (gamma, beta))
            y, mean, variance = batch_normalize(self.axis, self.epsilon, x, gamma, beta)
            self._update(mean, variance)
        else:
            mean, variance = _moments(x, self.axis, mask)
            if self.renorm:
                r, d = self._correction(mean, variance)
                gamma, beta = gamma * r, beta + gamma * d
                self._update_renorm(mean, variance)
            else:
                self._update(mean, variance)
            y = _scaled(x, mean, variance, gamma, beta, self)
        return y.astype(self.compute_dtype)

    def _update(self, mean, variance):
        _move(self.moving_mean, mean, self.momentum)
        _move(self.moving_variance, variance, self.momentum)

    def _correction(self, mean, variance):
        """Factor and shift from the batch's mean and deviation to the moving ones."""
        least = np.sqrt(self.epsilon)
        moving = jnp.maximum(self.renorm_stddev.value, least)
        bounds: Any = self.renorm_clipping
        r = jnp.clip(
            jnp.sqrt(variance + self.epsilon) / moving, bounds.get("rmin"), bounds.get("rmax")
        )
        d = (mean - self.renorm_mean.value) / moving
        if bounds.get("dmax") is not None:
            d = jnp.clip(d, -bounds["dmax"], bounds["dmax"])
        return jax.lax.stop_gradient(r), jax.lax.stop_gradient(d)

    def _update_renorm(self, mean, variance):
        deviation = jnp.sqrt(variance + self.epsilon)
        _move(self.renorm_mean, mean, self.renorm_momentum)
        _move(self.renorm_stddev, deviation, self.renorm_momentum)
        _move(self.moving_mean, mean, self.momentum)
        moved = _move(self.moving_stddev, deviation, self.momentum)
        self.moving_variance.assign(jax.nn.relu(moved * moved - self.epsilon))


def _check_clipping(layer, clipping):
    clipping = dict(clipping or {})
    bounds: list[Any] = [clipping.get(key) for key in ("rmin", "rmax", "dmax")]
    low, high, shift = bounds
    wrong = set(clipping) - {"rmin", "rmax", "dmax"} or (shift is not None and shift < 0)
    if wrong or (None not in (low, high) and high < low):
        wanted = "a dict with some of rmin, rmax (at least rmin) and dmax (at least 0)"
        raise bad_argument(layer, "renorm_clipping", wanted, clipping)
    return clipping


def _constant(value):
    return lambda shape, dtype: value.astype(dtype)


def _move(average, value, momentum):
    return average.assign(average.value * momentum + value * (1.0 - momentum))


def _scaled(x, mean, variance, gamma, beta, layer):
    """`x` with that mean and variance brought to `beta` and `gamma`."""
    factor = gamma * jax.lax.rsqrt(variance.astype(x.dtype) + layer.epsilon)
    shift = beta - mean.astype(x.dtype) * factor
    return x * along_axis(factor, layer.axis, x) + along_axis(shift, layer.axis, x)


def _moments(x, axis, mask):
    if mask is None:
        return moments(axis, x)
    axes = other_axes(axis, x)
    counts = jnp.broadcast_to(mask[..., None], x.shape).astype(bool)
    total = jnp.sum(counts.astype(x.dtype), axes, keepdims=True) + settings.epsilon()
    mean = jnp.sum(jnp.where(counts, x, 0), axes, keepdims=True) / total
    variance = jnp.sum(jnp.where(counts, jnp.square(x - mean), 0), axes, keepdims=True) / total
    return jnp.ravel(mean), jnp.ravel(variance)


class LayerNormalization(Layer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta` over some axes of each sample.

    Args:
        axis: Axis or axes to normalize over; `gamma` and `beta` have their sizes.
        epsilon: Added to the variance.
        center: Whether to add a trainable `beta`.
        scale: Whether to multiply by a trainable `gamma`.
        beta_initializer: Initializer of `beta`.
        gamma_initializer: Initializer of `gamma`.
        beta_regularizer: Regularizer of `beta`.
        gamma_regularizer: Regularizer of `gamma`.
        beta_constraint: Constraint on `beta`.
        gamma_constraint: Constraint on `gamma`.

    Shapes:
        Any -> the same.

    References:
        Ba, Kiros and Hinton, 2016, "Layer Normalization".

    Example:
        >>> LayerNormalization(epsilon=0.0)(np.array([[1.0, 3.0]]))
        Array([[-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 0.001,
        center: bool = True,
        scale: Any = True,
        beta_initializer: Named = "zeros",
        gamma_initializer: Named = "ones",
        beta_regularizer: Named = None,
        gamma_regularizer: Named = None,
        beta_constraint: Named = None,
        gamma_constraint: Named = None,
        **kwargs: Any,
    ):
        # An old switch of Keras' that its configs still carry.
        rms_scaling = bool(kwargs.pop("rms_scaling", False))
        super().__init__(**kwargs)
        if rms_scaling:
            warnings.warn(
                f"{self.name}: `rms_scaling=True` divides by the standard deviation and takes no "
                "mean away, as in Keras, where it is deprecated. `RMSNormalization` is what the "
                "name says.",
                stacklevel=2,
            )
        self.rms_scaling = rms_scaling
        self.axis = as_axes(self, axis)
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        set_weight_options(self, "beta", beta_initializer, beta_regularizer, beta_constraint)
        set_weight_options(self, "gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.supports_masking = True
        self.autocast = False

    def build(self, input_shape: tuple) -> None:
        axes = positive_axes(self.axis, len(input_shape))
        sizes = [known_size(self, input_shape, axis) for axis in axes]
        has_gamma, has_beta = self.scale or self.rms_scaling, self.center and not self.rms_scaling
        self.gamma: Any = make_weight(self, "gamma", sizes, autocast=False) if has_gamma else None
        self.beta: Any = make_weight(self, "beta", sizes, autocast=False) if has_beta else None

    def call(self, inputs: jax.Array) -> jax.Array:
        x = at_least_float32(inputs)
        axes = positive_axes(self.axis, x.ndim)
        shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
        if self.rms_scaling:
            x = x * jax.lax.rsqrt(jnp.var(x, tuple(axes), keepdims=True) + self.epsilon)
        else:
            x = standardize(tuple(axes), self.epsilon, x)
        if self.gamma is not None:
            x = scale_by(x, jnp.reshape(self.gamma.value, shape))
        if self.beta is not None:
            x = add_bias(x, jnp.reshape(self.beta.value, shape))
        return x.astype(self.compute_dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "rms_scaling": self.rms_scaling}
