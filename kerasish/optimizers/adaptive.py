"""Optimizers that give each element of a weight its own rate, from the squares of its gradients."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.optimizers.optimizer import Optimizer


class RMSprop(Optimizer):
    """Steps divided by the root of a moving mean of squared gradients.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        rho: Decay of the mean of squares, from 0 to 1.
        momentum: Fraction of the last change that goes into the next, from 0 to 1.
        epsilon: Small number that keeps the division finite.
        centered: Whether to divide by the variance instead of the mean square.
        **kwargs: As in `Optimizer`: weight decay, clipping, averaging, accumulation, name.

    References:
        Tieleman and Hinton, 2012, "Lecture 6.5: rmsprop". Graves, 2013, "Generating Sequences With
        Recurrent Neural Networks" (centered).

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> RMSprop(0.5, rho=0.0).apply([np.array([3.0, -9.0])], [weight])
        >>> weight.numpy().round(3)
        array([0.5, 2.5], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.rho = rho
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    @property
    def slot_names(self) -> tuple[tuple[str, ...], ...]:
        kept = {"velocity": True, "momentum": self.momentum > 0, "average_gradient": self.centered}
        return tuple((name,) for name, wanted in kept.items() if wanted)

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """`-learning_rate * g / sqrt(nu + epsilon)`, `nu` being the mean square, or variance.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        square = self.rho * slots["velocity"] + (1 - self.rho) * jnp.square(gradient)
        new = {"velocity": square}
        if self.centered:
            mean = self.rho * slots["average_gradient"] + (1 - self.rho) * gradient
            new["average_gradient"] = mean
            square = square - jnp.square(mean)
        change = -(learning_rate * gradient) / jnp.sqrt(square + self.epsilon)
        if "momentum" in slots:
            held = self.momentum * slots["momentum"] - change
            new["momentum"], change = held, -held
        return change, new


class Adagrad(Optimizer):
    """Steps divided by the root of the sum of all squared gradients so far.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        initial_accumulator_value: What the sums start from, at least 0.
        epsilon: Small number that keeps the division finite.
        **kwargs: As in `Optimizer`.

    References:
        Duchi, Hazan and Singer, 2011, "Adaptive Subgradient Methods for Online Learning and
        Stochastic Optimization".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> Adagrad(0.5, initial_accumulator_value=0.0).apply([np.array([3.0, -9.0])], [weight])
        >>> weight.numpy().round(3)
        array([0.5, 2.5], dtype=float32)
    """

    slot_names = (("accumulator",),)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def first_slot(self, name: str, weight: Any, path: str) -> Any:
        return np.full(weight.shape, self.initial_accumulator_value, weight.dtype)

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """`-learning_rate * g / sqrt(sum of g ** 2 + epsilon)`.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        total = slots["accumulator"] + jnp.square(gradient)
        return -(learning_rate * gradient) / jnp.sqrt(total + self.epsilon), {"accumulator": total}


class Adadelta(Optimizer):
    """Steps in the ratio of the last changes' size to the last gradients' size.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`. The paper uses 1.
        rho: Decay of the two means of squares, from 0 to 1.
        epsilon: Small number that keeps the division finite.
        **kwargs: As in `Optimizer`.

    References:
        Zeiler, 2012, "ADADELTA: An Adaptive Learning Rate Method".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> Adadelta(1.0).apply([np.array([3.0, -9.0])], [weight])
        >>> bool(weight[0] < 1), bool(weight[1] > 2)
        (True, True)
    """

    slot_names = (("accumulated_grad", "accumulated_delta_var"),)

    def __init__(
        self, learning_rate: Any = 0.001, rho: float = 0.95, epsilon: float = 1e-7, **kwargs: Any
    ):
        super().__init__(learning_rate, **kwargs)
        self.rho = rho
        self.epsilon = epsilon

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """`-learning_rate * g * sqrt(changes + epsilon) / sqrt(squares + epsilon)`.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        changes = slots["accumulated_delta_var"]
        squares = self.rho * slots["accumulated_grad"] + (1 - self.rho) * jnp.square(gradient)
        scale = jnp.sqrt(changes + self.epsilon) / jnp.sqrt(squares + self.epsilon)
        change = -scale * gradient
        changes = self.rho * changes + (1 - self.rho) * jnp.square(change)
        new = {"accumulated_grad": squares, "accumulated_delta_var": changes}
        return learning_rate * change, new


class Adafactor(Optimizer):
    """Adam's second moment for matrices from the means of its rows and columns.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`. At most `1 / sqrt(step)` of it
            is used, relative to the weight's own size.
        beta_2_decay: Exponent of the step in the moment's decay, below 0.
        epsilon_1: Small number added to squared gradients.
        epsilon_2: Least size of a weight that its step is relative to.
        clip_threshold: Root mean square above which an update is shortened.
        relative_step: Kept for Keras' sake.
        **kwargs: As in `Optimizer`.

    References:
        Shazeer and Stern, 2018, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable(np.ones((2, 3)))
        >>> Adafactor(0.5).apply([np.ones((2, 3))], [weight])
        >>> bool((weight.numpy() < 1).all())
        True
    """

    slot_names = (("r", "c", "velocity"),)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 0.001,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def first_slot(self, name: str, weight: Any, path: str) -> Any:
        shape = tuple(weight.shape)
        if name == "velocity":
            return np.zeros(shape, weight.dtype)
        if len(shape) < 2:  # Keras keeps an idle integer here, and so do its files
            return np.zeros((), "int32")
        return np.zeros(shape[:-1] if name == "r" else (*shape[:-2], shape[-1]), weight.dtype)

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """`-rate * u`, `u = g / sqrt(nu)` with a root mean square of at most `clip_threshold`.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        rate = jnp.minimum(learning_rate, 1 / jnp.sqrt(step))
        rate = rate * jnp.maximum(self.epsilon_2, _root_mean_square(weight))
        new = self._second_moment(jnp.square(gradient) + self.epsilon_1, slots, step)
        update = gradient / jnp.sqrt(new["velocity"])
        excess = jnp.maximum(1, _root_mean_square(update) / self.clip_threshold)
        return -rate * update / excess, new

    def _second_moment(self, square, slots, step):
        kept = 1 - jnp.power(step, self.beta_2_decay)

        def decayed(name, value):
            return kept * slots[name] + (1 - kept) * value

        if square.ndim < 2:
            return {"velocity": decayed("velocity", square)}
        rows = decayed("r", jnp.mean(square, axis=-1))
        columns = decayed("c", jnp.mean(square, axis=-2))
        share = rows / jnp.mean(rows, axis=-1, keepdims=True)
        return {"r": rows, "c": columns, "velocity": share[..., None] * columns[..., None, :]}


def _root_mean_square(x):
    return jnp.sqrt(jnp.mean(jnp.square(x)))


class Ftrl(Optimizer):
    """Follow the regularized leader: for shallow models with many, mostly absent features.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        learning_rate_power: Exponent of the summed squares in the rate, at most 0.
        initial_accumulator_value: What the sums of squares start from, at least 0.
        l1_regularization_strength: Pull to exact zeros, at least 0.
        l2_regularization_strength: Pull to small weights, at least 0.
        l2_shrinkage_regularization_strength: The same through the gradient, at least 0.
        beta: The paper's beta.
        **kwargs: As in `Optimizer`.

    References:
        McMahan et al., 2013, "Ad Click Prediction: a View from the Trenches".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> Ftrl(0.1, l1_regularization_strength=1e3).apply([np.array([3.0, -9.0])], [weight])
        >>> weight.numpy()
        array([0., 0.], dtype=float32)
    """

    slot_names = (("accumulator", "linear"),)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta
        if learning_rate_power > 0:
            raise bad_argument(self, "learning_rate_power", "at most 0", learning_rate_power)
        for name in (
            "initial_accumulator_value",
            "l1_regularization_strength",
            "l2_regularization_strength",
            "l2_shrinkage_regularization_strength",
        ):
            if getattr(self, name) < 0:
                raise bad_argument(self, name, "at least 0", getattr(self, name))

    def first_slot(self, name: str, weight: Any, path: str) -> Any:
        first = self.initial_accumulator_value if name == "accumulator" else 0
        return np.full(weight.shape, first, weight.dtype)

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """To the weight that is best for all gradients so far, given both penalties.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        power = -self.learning_rate_power
        before = slots["accumulator"]
        total = before + jnp.square(gradient)
        shrunk = gradient + 2 * self.l2_shrinkage_regularization_strength * weight
        growth = (jnp.power(total, power) - jnp.power(before, power)) / learning_rate
        linear = slots["linear"] + shrunk - growth * weight
        l2 = self.l2_regularization_strength + self.beta / (2 * learning_rate)
        quadratic = jnp.power(total, power) / learning_rate + 2 * l2
        l1 = self.l1_regularization_strength
        new_weight = (jnp.clip(linear, -l1, l1) - linear) / quadratic
        return new_weight - weight, {"accumulator": total, "linear": linear}
