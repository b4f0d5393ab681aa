"""Normalization of groups of channels, by the root mean square, and to unit length."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.layers.base.arguments import Named, known_size, make_weight, set_weight_options
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer
from kerasish.layers.normalization.batch_normalization import (
    as_axes,
    at_least_float32,
    positive_axes,
)
from kerasish.ops import nn


class GroupNormalization(Layer):
    """`gamma * (x - mean) / sqrt(variance + epsilon) + beta` over groups of channels of a sample.

    Args:
        groups: Number of groups, a divisor of the number of channels; -1 for one a channel
            (instance normalization).
        axis: Axis of the channels.
        epsilon: Added to the variance.
        center: Whether to add a trainable `beta` for each channel.
        scale: Whether to multiply by a trainable `gamma` for each channel.
        beta_initializer: Initializer of `beta`.
        gamma_initializer: Initializer of `gamma`.
        beta_regularizer: Regularizer of `beta`.
        gamma_regularizer: Regularizer of `gamma`.
        beta_constraint: Constraint on `beta`.
        gamma_constraint: Constraint on `gamma`.

    Shapes:
        Any -> the same.

    References:
        Wu and He, 2018, "Group Normalization".

    Example:
        >>> GroupNormalization(groups=2, epsilon=0.0)(np.array([[1.0, 3.0, 10.0, 30.0]]))
        Array([[-1.,  1., -1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
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
        super().__init__(**kwargs)
        if not isinstance(groups, int) or groups < -1 or groups == 0:
            raise bad_argument(self, "groups", "a positive integer, or -1", groups)
        self.groups = groups
        self.axis = axis
        self.epsilon = epsilon
        self.center = center
        self.scale = scale
        set_weight_options(self, "beta", beta_initializer, beta_regularizer, beta_constraint)
        set_weight_options(self, "gamma", gamma_initializer, gamma_regularizer, gamma_constraint)
        self.supports_masking = True
        self.autocast = False

    def build(self, input_shape: tuple) -> None:
        size = known_size(self, input_shape, self.axis)
        if size % self.groups:
            raise bad_argument(self, "groups", f"a divisor of the {size} channels", self.groups)
        self.gamma: Any = (
            make_weight(self, "gamma", (size,), autocast=False) if self.scale else None
        )
        self.beta: Any = make_weight(self, "beta", (size,), autocast=False) if self.center else None
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: size})

    def call(self, inputs: jax.Array) -> jax.Array:
        x = at_least_float32(inputs)
        axis = self.axis % x.ndim
        size = x.shape[axis]
        groups = size if self.groups == -1 else self.groups
        x = jnp.reshape(x, (*x.shape[:axis], groups, size // groups, *x.shape[axis + 1 :]))
        axes = [i for i in range(1, x.ndim) if i != axis]
        mean = jnp.mean(x, axes, keepdims=True)
        factor = jax.lax.rsqrt(jnp.var(x, axes, keepdims=True) + self.epsilon)
        shape = [1] * x.ndim
        shape[axis : axis + 2] = groups, size // groups
        if self.scale:
            factor = factor * jnp.reshape(self.gamma.value, shape)
        shift = -mean * factor
        if self.center:
            shift = shift + jnp.reshape(self.beta.value, shape)
        return jnp.reshape(x * factor + shift, inputs.shape).astype(self.compute_dtype)


class RMSNormalization(Layer):
    """`scale * x / sqrt(mean(x**2) + epsilon)` over some axes of each sample.

    Args:
        axis: Axis or axes to normalize over; the trainable `scale` has their sizes.
        epsilon: Added to the mean square.

    Shapes:
        Any -> the same.

    References:
        Zhang and Sennrich, 2019, "Root Mean Square Layer Normalization".

    Example:
        >>> RMSNormalization(epsilon=0.0)(np.array([[2.0, -2.0]]))
        Array([[ 1., -1.]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = as_axes(self, axis)
        self.epsilon = epsilon

    def build(self, input_shape: tuple) -> None:
        axes = positive_axes(self.axis, len(input_shape))
        sizes = tuple(known_size(self, input_shape, axis) for axis in axes)
        self.scale = self.add_weight(sizes, "ones", "scale")

    def call(self, x: jax.Array) -> jax.Array:
        """The inputs over the root of their mean square, times `scale`.

        Args:
            x: The array.
        """
        dtype = x.dtype
        x = at_least_float32(x)
        axes = positive_axes(self.axis, x.ndim)
        shape = [n if i in axes else 1 for i, n in enumerate(x.shape)]
        y = x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axes, keepdims=True) + self.epsilon)
        return (y * jnp.reshape(self.scale.value, shape)).astype(dtype)


class UnitNormalization(Layer):
    """`x / sqrt(sum(x**2))`: vectors of length 1 along some axes.

    Args:
        axis: Axis or axes that the vectors lie along.

    Shapes:
        Any -> the same.

    Example:
        >>> UnitNormalization()(np.array([[3.0, 4.0]]))
        Array([[0.6, 0.8]], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = as_axes(self, axis)
        self.supports_masking = True

    def call(self, inputs: jax.Array) -> jax.Array:
        return nn.normalize(inputs, axis=positive_axes(self.axis, inputs.ndim), epsilon=1e-12)
