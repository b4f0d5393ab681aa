"""Gradient descent: with momentum, by signs, and orthogonalized."""

import math
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.optimizers.adam import adam_change
from kerasish.optimizers.optimizer import Optimizer


class SGD(Optimizer):
    """`weight -= learning_rate * gradient`, with momentum if wanted.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        momentum: Fraction of the last change that goes into the next, from 0 to 1.
        nesterov: Whether to look ahead along the momentum.
        **kwargs: As in `Optimizer`: weight decay, clipping, averaging, accumulation, name.

    References:
        Nesterov, 1983, "A method for solving the convex programming problem with convergence rate
        O(1/k^2)". Sutskever et al., 2013, "On the importance of initialization and momentum in
        deep learning".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> SGD(0.5).apply([np.array([1.0, -1.0])], [weight])
        >>> weight.numpy()
        array([0.5, 2.5], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        if not isinstance(momentum, int | float) or not 0 <= momentum <= 1:
            raise bad_argument(self, "momentum", "a number from 0 to 1", momentum)
        self.momentum = momentum
        self.nesterov = nesterov

    @property
    def slot_names(self) -> tuple[tuple[str, ...], ...]:
        return (("momentum",),) if self.momentum else ()

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """`-learning_rate * g`, with what is left of the last changes.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        change = -learning_rate * gradient
        if "momentum" not in slots:
            return change, {}
        velocity = self.momentum * slots["momentum"] + change
        ahead = self.momentum * velocity + change
        return ahead if self.nesterov else velocity, {"momentum": velocity}


class Lion(Optimizer):
    """Steps of one size in the direction of the sign of a momentum.

    Wants a learning rate 3 to 10 times smaller than Adam's, and a larger weight decay.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        beta_1: Weight of the momentum against the gradient in the step; above 0, at most 1.
        beta_2: Decay of the momentum, from 0 to 1.
        **kwargs: As in `Optimizer`.

    References:
        Chen et al., 2023, "Symbolic Discovery of Optimization Algorithms".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable([1.0, 2.0])
        >>> Lion(0.5).apply([np.array([3.0, -9.0])], [weight])
        >>> weight.numpy()
        array([0.5, 2.5], dtype=float32)
    """

    slot_names = (("momentum",),)

    def __init__(
        self, learning_rate: Any = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, **kwargs: Any
    ):
        super().__init__(learning_rate, **kwargs)
        if not 0 < beta_1 <= 1:
            raise bad_argument(self, "beta_1", "above 0 and at most 1", beta_1)
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """`-learning_rate * sign(beta_1 * momentum + (1 - beta_1) * g)`.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        momentum = slots["momentum"]
        direction = jnp.sign(momentum * self.beta_1 + gradient * (1 - self.beta_1))
        kept = momentum * self.beta_2 + gradient * (1 - self.beta_2)
        return -learning_rate * direction, {"momentum": kept}


class Muon(Optimizer):
    """Momentum, orthogonalized, for matrices; AdamW for all other weights.

    Embeddings and a model's last layer do better with AdamW: name that layer in `exclude_layers`.

    Args:
        learning_rate: Number, schedule or function; see `Optimizer`.
        adam_beta_1: Decay of AdamW's first moment.
        adam_beta_2: Decay of AdamW's second moment.
        adam_weight_decay: Weight decay of the weights that AdamW updates.
        epsilon: AdamW's small number that keeps the division finite.
        weight_decay: Weight decay of the matrices.
        exclude_layers: Regular expressions; a matrix whose path has one of them is left to AdamW.
        exclude_embeddings: Whether to leave weights with "embedding" in their path to AdamW.
        muon_a: First coefficient of the orthogonalizing polynomial.
        muon_b: Second coefficient.
        muon_c: Third coefficient.
        adam_lr_ratio: AdamW's learning rate as a multiple of the matrices' one.
        momentum: Decay of the matrices' momentum, from 0 to 1.
        ns_steps: Newton-Schulz steps of each orthogonalization.
        nesterov: Whether to look ahead along the momentum.
        rms_rate: Size of a matrix's change relative to AdamW's; `None` leaves it as it comes.
        **kwargs: As in `Optimizer`.

    References:
        Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks".
        Liu et al., 2025, "Muon is Scalable for LLM Training".

    Example:
        >>> from kerasish.core.state.variable import Variable
        >>> weight = Variable(np.eye(2))
        >>> Muon(0.1).apply([np.eye(2)], [weight])
        >>> bool(weight[0, 0] < 1)
        True
    """

    slot_names = (("momentum", "velocity"),)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Any = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.775,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float = 0.2,
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate,
            weight_decay=weight_decay,
            clipnorm=clipnorm,
            clipvalue=clipvalue,
            global_clipnorm=global_clipnorm,
            use_ema=use_ema,
            ema_momentum=ema_momentum,
            ema_overwrite_frequency=ema_overwrite_frequency,
            loss_scale_factor=loss_scale_factor,
            gradient_accumulation_steps=gradient_accumulation_steps,
            name=name,
            **kwargs,
        )
        self.adam_beta_1 = adam_beta_1
        self.adam_beta_2 = adam_beta_2
        self.adam_weight_decay = adam_weight_decay
        self.epsilon = epsilon
        self.exclude_layers = exclude_layers or []
        self.exclude_embeddings = exclude_embeddings
        self.muon_a = muon_a
        self.muon_b = muon_b
        self.muon_c = muon_c
        self.adam_lr_ratio = adam_lr_ratio
        self.momentum = momentum
        self.ns_steps = ns_steps
        self.nesterov = nesterov
        self.rms_rate = rms_rate

    def lr_adjust(self, x: jax.Array) -> jax.Array:
        """A matrix times `rms_rate` and the root of its longer side; as it is without `rms_rate`.

        Args:
            x: The matrix.

        References:
            Liu et al., 2025, "Muon is Scalable for LLM Training".
        """
        return x if self.rms_rate is None else x * math.sqrt(max(x.shape)) * self.rms_rate

    def zeropower_via_newtonschulz5(self, x: jax.Array, steps: int) -> jax.Array:
        """Nearly the orthogonal matrix nearest to `x`, by Newton-Schulz iterations.

        Args:
            x: The matrix.
            steps: Number of iterations.

        References:
            Jordan et al., 2024, "Muon: An optimizer for hidden layers in neural networks".
        """
        tall = x.shape[0] > x.shape[1]
        x = x.T if tall else x
        x = x / (jnp.linalg.norm(x) + 1e-7)
        for _ in range(steps):
            square = x @ x.T
            x = self.muon_a * x + (self.muon_b * square + self.muon_c * square @ square) @ x
        return x.T if tall else x

    def _should_use_adamw(self, variable):
        return self._is_adams(variable, variable.path)

    def _is_adams(self, weight, path):
        embedding = self.exclude_embeddings and "embedding" in path.lower()
        named = any(re.search(pattern, path) for pattern in self.exclude_layers)
        return len(weight.shape) != 2 or embedding or named

    def first_slot(self, name: str, weight: Any, path: str) -> Any:
        if name == "velocity" and not self._is_adams(weight, path):
            return None
        return np.zeros(weight.shape, weight.dtype)

    def weight_decay_of(self, weight: Any, path: str) -> float | None:
        return self.adam_weight_decay if self._is_adams(weight, path) else self.weight_decay

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """`-learning_rate * orthogonalized momentum` of a matrix, else the step of Adam.

        Args:
            gradient: Gradient of the loss.
            weight: The weight's value.
            slots: Values of the weight's slots by name; their new values come back.
            learning_rate: Learning rate of this step.
            step: Number of the step, from 0.
        """
        if "velocity" in slots:
            rate = learning_rate * self.adam_lr_ratio
            betas = (self.adam_beta_1, self.adam_beta_2)
            return adam_change(gradient, slots, rate, step, betas, self.epsilon)
        momentum = self.momentum * slots["momentum"] + gradient
        direction = gradient + self.momentum * momentum if self.nesterov else momentum
        direction = self.zeropower_via_newtonschulz5(direction, self.ns_steps)
        return -learning_rate * self.lr_adjust(direction), {"momentum": momentum}
