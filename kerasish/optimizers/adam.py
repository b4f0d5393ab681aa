"""Adam and its kin: steps scaled by moments of the gradient."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument
from kerasish.optimizers.optimizer import Optimizer


def moments(gradient: jax.Array, slots: Mapping, betas: tuple) -> dict:
    """Decayed means of the gradient and of its square, before bias correction.

    `mu = beta_1 * mu + (1 - beta_1) * g`, in slot `momentum`, and `nu`, the same of `g ** 2` with
    `beta_2`, in the slot `velocity`.

    Args:
        gradient: The gradient `g`.
        slots: The slots so far.
        betas: `beta_1` and `beta_2`.
    """
    mu, nu = slots["momentum"], slots["velocity"]
    return {
        "momentum": mu + (gradient - mu) * (1 - betas[0]),
        "velocity": nu + (jnp.square(gradient) - nu) * (1 - betas[1]),
    }


def bias_correction(beta: float, step: Any) -> jax.Array:
    """`1 - beta ** step`: what a decayed mean that started from zero is divided by.

    Args:
        beta: The mean's decay.
        step: Number of values in the mean.
    """
    return 1 - jnp.power(beta, step)


def adam_change(
    gradient: jax.Array,
    slots: Mapping,
    learning_rate: Any,
    step: Any,
    betas: tuple,
    epsilon: float,
) -> tuple[jax.Array, dict]:
    """Adam's change of one weight, and its new slots.

    `-learning_rate * mu_hat / (sqrt(nu_hat) + epsilon')`, both moments bias-corrected. Epsilon is
    added before the correction: `epsilon' = epsilon / sqrt(1 - beta_2 ** step)`.

    Args:
        gradient: The gradient.
        slots: The slots so far; `velocity_hat` among them makes it AMSGrad.
        learning_rate: The learning rate.
        step: Number of this update, from 1.
        betas: `beta_1` and `beta_2`.
        epsilon: Small number that keeps the division finite.
    """
    new = moments(gradient, slots, betas)
    mu, nu = new["momentum"], new["velocity"]
    if "velocity_hat" in slots:
        nu = new["velocity_hat"] = jnp.maximum(slots["velocity_hat"], nu)
    rate = learning_rate * jnp.sqrt(bias_correction(betas[1], step))
    rate = rate / bias_correction(betas[0], step)
    return -(mu * rate) / (jnp.sqrt(nu) + epsilon), new


class Adam(Optimizer):
    """Steps along a mean of the gradients, divided by the root of a mean of their squares.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        beta_1: Decay of the gradients' mean, from 0 to 1.
        beta_2: Decay of their squares' mean, from 0 to 1.
        epsilon: Small number that keeps the division finite.
        amsgrad: Whether to divide by the largest mean of squares so far.
        **kwargs: As in `Optimizer`: weight decay, clipping, averaging, accumulation, name.

    References:
        Kingma and Ba, 2014, "Adam: A Method for Stochastic Optimization". Reddi, Kale and Kumar,
        2018, "On the Convergence of Adam and Beyond".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> Adam(0.5).apply([jnp.array([3.0, -9.0])], [weight])
        >>> weight.numpy().round(3)
        array([0.5, 2.5], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    @property
    def slot_names(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum", "velocity"), *((("velocity_hat",),) if self.amsgrad else ()))

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """`-learning_rate * mu_hat / (sqrt(nu_hat) + epsilon)`, as in `adam_change`.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        betas = (self.beta_1, self.beta_2)
        return adam_change(gradient, slots, learning_rate, step, betas, self.epsilon)


class AdamW(Adam):
    """Adam with weight decay that does not pass through the gradient.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        weight_decay: Fraction, times the learning rate, that each weight loses at each update.
        beta_1: Decay of the gradients' mean, from 0 to 1.
        beta_2: Decay of their squares' mean, from 0 to 1.
        epsilon: Small number that keeps the division finite.
        amsgrad: Whether to divide by the largest mean of squares so far.
        **kwargs: As in `Optimizer`.

    References:
        Loshchilov and Hutter, 2019, "Decoupled Weight Decay Regularization".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> AdamW(0.5, weight_decay=0.2).apply([jnp.array([3.0, -9.0])], [weight])
        >>> weight.numpy().round(3)
        array([0.4, 2.3], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float | None = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **kwargs
        )
        if weight_decay is None:
            raise bad_argument(self, "weight_decay", "a number", None, "`Adam` does without.")


class Nadam(Optimizer):
    """Adam with Nesterov's look ahead.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        beta_1: Decay of the gradients' mean, from 0 to 1.
        beta_2: Decay of their squares' mean, from 0 to 1.
        epsilon: Small number that keeps the division finite.
        **kwargs: As in `Optimizer`.

    References:
        Dozat, 2015, "Incorporating Nesterov Momentum into Adam".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> Nadam(0.5).apply([jnp.array([3.0, -9.0])], [weight])
        >>> bool(weight[0] < 1), bool(weight[1] > 2)
        (True, True)
    """

    slot_names = (("momentum", "velocity"),)
    shared_slots = MappingProxyType({"u_product": 1.0})

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def _u(self, step):
        return self.beta_1 * (1 - 0.5 * jnp.power(0.96, step))

    def advance_shared(self, shared: dict, step: Any) -> dict:
        product = shared["u_product"]
        return {"u_product": product * self._u(jnp.asarray(step, product.dtype))}

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """As Adam, with the mean of the next step: `u * mu + (1 - u) * g`, bias-corrected.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        new = moments(gradient, slots, (self.beta_1, self.beta_2))
        product, following = slots["u_product"], self._u(step + 1)
        ahead = following * new["momentum"] / (1 - product * following)
        mu_hat = ahead + (1 - self._u(step)) * gradient / (1 - product)
        nu_hat = new["velocity"] / bias_correction(self.beta_2, step)
        return -(mu_hat * learning_rate) / (jnp.sqrt(nu_hat) + self.epsilon), new


class Adamax(Optimizer):
    """Adam, dividing by the largest recent gradient instead of a root mean square.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        beta_1: Decay of the gradients' mean, from 0 to 1.
        beta_2: Decay of their largest absolute value, from 0 to 1.
        epsilon: Small number that keeps the division finite.
        **kwargs: As in `Optimizer`.

    References:
        Kingma and Ba, 2014, "Adam: A Method for Stochastic Optimization", section 7.

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> Adamax(0.5).apply([jnp.array([3.0, -9.0])], [weight])
        >>> weight.numpy().round(3)
        array([0.5, 2.5], dtype=float32)
    """

    slot_names = (("momentum", "norm"),)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """`-learning_rate * mu_hat / (max(beta_2 * norm, |g|) + epsilon)`.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        mu = slots["momentum"]
        mu = mu + (gradient - mu) * (1 - self.beta_1)
        norm = jnp.maximum(self.beta_2 * slots["norm"], jnp.abs(gradient))
        scale = bias_correction(self.beta_1, step) * (norm + self.epsilon)
        return -(learning_rate * mu) / scale, {"momentum": mu, "norm": norm}


class Lamb(Optimizer):
    """Adam, each weight's step as long as the weight itself times the learning rate.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        beta_1: Decay of the gradients' mean, from 0 to 1.
        beta_2: Decay of their squares' mean, from 0 to 1.
        epsilon: Small number that keeps the division finite.
        **kwargs: As in `Optimizer`.

    References:
        You et al., 2019, "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([3.0, 4.0])
        >>> Lamb(0.1).apply([jnp.array([3.0, -9.0])], [weight])
        >>> weight.numpy().round(2)
        array([2.65, 4.35], dtype=float32)
    """

    slot_names = (("momentum", "velocity"),)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """`-learning_rate * |w| / |r| * r`, `r` being the step of Adam.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        new = moments(gradient, slots, (self.beta_1, self.beta_2))
        mu_hat = new["momentum"] / bias_correction(self.beta_1, step)
        nu_hat = new["velocity"] / bias_correction(self.beta_2, step)
        update = mu_hat / (jnp.sqrt(nu_hat) + self.epsilon)
        size, length = (jnp.sqrt(jnp.sum(jnp.square(x))) for x in (weight, update))
        ratio = jnp.where((size > 0) & (length > 0), size / jnp.where(length > 0, length, 1), 1)
        return -ratio * learning_rate * update, new


class ScheduleFreeAdamW(Optimizer):
    """AdamW that averages its own path, so that it needs no learning rate schedule.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        beta_1: Where the weight is between its fast point (0) and their mean (1); above 0.
        beta_2: Decay of the gradients' squares' mean, from 0 to 1.
        epsilon: Small number that keeps the division finite.
        warmup_steps: Steps in which the learning rate rises to its value.
        **kwargs: As in `Optimizer`.

    References:
        Defazio et al., 2024, "The Road Less Scheduled".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> ScheduleFreeAdamW(0.5).apply([jnp.array([3.0, -9.0])], [weight])
        >>> weight.numpy().round(3)
        array([0.5, 2.5], dtype=float32)
    """

    slot_names = (("momentum", "velocity"),)

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.warmup_steps = warmup_steps

    def first_slot(self, name: str, weight: Any, path: str) -> Any:
        return weight if name == "momentum" else super().first_slot(name, weight, path)

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """The fast point takes the step of Adam; the weight goes to where it was mixed.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        if self.warmup_steps > 0:
            learning_rate = learning_rate * jnp.minimum(step / self.warmup_steps, 1)
        fast, nu = slots["momentum"], slots["velocity"]
        nu = nu + (jnp.square(gradient) - nu) * (1 - self.beta_2)
        scale = jnp.sqrt(nu / bias_correction(self.beta_2, step)) + self.epsilon
        mean = (weight - (1 - self.beta_1) * fast) / self.beta_1
        fast = fast - learning_rate * gradient / scale
        mean = mean + (fast - mean) / step
        change = (1 - self.beta_1) * fast + self.beta_1 * mean - weight
        return change, {"momentum": fast, "velocity": nu}
