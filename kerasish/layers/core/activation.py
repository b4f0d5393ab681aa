"""Layers that apply one function to each element, or along one axis."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish import activations
from kerasish.core.errors import bad_argument
from kerasish.layers.base.arguments import Named, known_size, make_weight, set_weight_options
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer


class Activation(Layer):
    """`activation(inputs)`.

    Args:
        activation: Function of an array, or its name.

    Shapes:
        Any -> the same.

    Example:
        >>> Activation("relu")(np.array([-1.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """

    def __init__(self, activation: Named, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)

    def call(self, inputs: jax.Array) -> jax.Array:
        return self.activation(inputs)


class ReLU(Layer):
    """`max(x, 0)`, or with another threshold, a slope below it and a ceiling.

    `max_value` where `x >= max_value`, `x` where `threshold <= x < max_value`, else
    `negative_slope * (x - threshold)`.

    Args:
        max_value: Ceiling, at least 0; `None` for none.
        negative_slope: Slope below the threshold, at least 0.
        threshold: Where the unit switches on, at least 0.

    Shapes:
        Any -> the same.

    References:
        Nair and Hinton, 2010, "Rectified Linear Units Improve Restricted Boltzmann Machines".

    Example:
        >>> ReLU(max_value=6.0)(np.array([-3.0, 5.0, 7.0]))
        Array([0., 5., 6.], dtype=float32)
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if max_value is not None and max_value < 0:
            raise bad_argument(self, "max_value", "at least 0, or None", max_value)
        _check_not_negative(self, "negative_slope", negative_slope)
        _check_not_negative(self, "threshold", threshold)
        self.supports_masking = True
        self.max_value = max_value
        self.negative_slope = negative_slope
        self.threshold = threshold

    def call(self, inputs: jax.Array) -> jax.Array:
        return activations.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )


class LeakyReLU(Layer):
    """`x` where `x >= 0`, else `negative_slope * x`.

    Args:
        negative_slope: Slope below 0, at least 0.
        **kwargs: The slope by its older name, `alpha`, and what every layer takes.

    Shapes:
        Any -> the same.

    References:
        Maas, Hannun and Ng, 2013, "Rectifier Nonlinearities Improve Neural Network Acoustic
        Models".

    Example:
        >>> LeakyReLU(0.5)(np.array([-1.0, 2.0]))
        Array([-0.5,  2. ], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any):
        negative_slope = kwargs.pop("alpha", negative_slope)
        super().__init__(**kwargs)
        _check_not_negative(self, "negative_slope", negative_slope)
        self.supports_masking = True
        self.negative_slope = negative_slope

    def call(self, inputs: jax.Array) -> jax.Array:
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)


class PReLU(Layer):
    """`x` where `x >= 0`, else `alpha * x`, with a learned `alpha` for each element of a sample.

    Args:
        alpha_initializer: Initializer of `alpha`, or its name.
        alpha_regularizer: Regularizer of `alpha`.
        alpha_constraint: Constraint on `alpha`.
        shared_axes: Axes (from 1) along which one `alpha` serves all, as `[1, 2]` for images.

    Shapes:
        Any -> the same.

    References:
        He, Zhang, Ren and Sun, 2015, "Delving Deep into Rectifiers".

    Example:
        >>> PReLU(alpha_initializer="ones")(np.array([[-1.0, 2.0]]))
        Array([[-1.,  2.]], dtype=float32)
    """

    def __init__(
        self,
        alpha_initializer: Named = "Zeros",
        alpha_regularizer: Named = None,
        alpha_constraint: Named = None,
        shared_axes: int | Sequence[int] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.supports_masking = True
        set_weight_options(self, "alpha", alpha_initializer, alpha_regularizer, alpha_constraint)
        if shared_axes is not None:
            shared_axes = [shared_axes] if isinstance(shared_axes, int) else list(shared_axes)
        self.shared_axes = shared_axes

    def build(self, input_shape: tuple) -> None:
        shared = self.shared_axes or []
        own = [axis for axis in range(1, len(input_shape)) if axis not in shared]
        sizes = {axis: known_size(self, input_shape, axis) for axis in own}
        self.alpha = make_weight(
            self, "alpha", [sizes.get(axis, 1) for axis in range(1, len(input_shape))]
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes=sizes)

    def call(self, inputs: jax.Array) -> jax.Array:
        return jax.nn.relu(inputs) - self.alpha.value * jax.nn.relu(-inputs)


class ELU(Layer):
    """`x` where `x >= 0`, else `alpha * (exp(x) - 1)`.

    Args:
        alpha: Minus the value that the result tends to for small `x`.

    Shapes:
        Any -> the same.

    References:
        Clevert, Unterthiner and Hochreiter, 2016, "Fast and Accurate Deep Network Learning by
        Exponential Linear Units (ELUs)".

    Example:
        >>> ELU()(np.array([0.0, 2.0]))
        Array([0., 2.], dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha = alpha

    def call(self, inputs: jax.Array) -> jax.Array:
        return activations.elu(inputs, alpha=self.alpha)


class Softmax(Layer):
    """`exp(x) / sum(exp(x))` along one or more axes.

    Args:
        axis: Axis or axes that the results sum to 1 along.

    Shapes:
        Any, and a mask that broadcasts to it -> the same. Elements masked out give 0.

    Example:
        >>> Softmax()(np.array([1.0, 2.0, 1.0]), mask=np.array([True, False, True]))
        Array([0.5, 0. , 0.5], dtype=float32)
    """

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Any):
        super().__init__(**kwargs)
        self.supports_masking = True
        self.axis = axis

    def call(self, inputs: jax.Array, mask: Any = None) -> jax.Array:
        axis = tuple(self.axis) if isinstance(self.axis, list | tuple) else self.axis
        if mask is None:
            return jax.nn.softmax(inputs, axis=axis)
        mask = self._as_bool(mask, inputs)
        # Finite, so that where nothing is left the gradient is no NaN.
        lowest = -3e4 if inputs.dtype == jnp.float16 else -1e9
        return jnp.where(mask, jax.nn.softmax(jnp.where(mask, inputs, lowest), axis=axis), 0)

    def _as_bool(self, mask, inputs):
        pairs = zip(mask.shape[::-1], inputs.shape[::-1], strict=False)
        if mask.ndim > inputs.ndim or any(m not in (1, n) for m, n in pairs):
            raise bad_argument(self, "mask", f"broadcastable to {inputs.shape}", mask.shape)
        return mask if mask.dtype == bool else mask > 0.5


def _check_not_negative(layer, name, value):
    if value is None or value < 0:
        raise bad_argument(layer, name, "at least 0", value)
