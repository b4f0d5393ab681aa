"""Learning rates as functions of the step."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.serialization.registry import publish
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object


class LearningRateSchedule(Configurable):
    """Base of schedules: override `__call__(self, step)`, a function of a traced integer.

    Example:
        >>> class Halving(LearningRateSchedule):
        ...     def __init__(self, start, every):
        ...         self.start, self.every = start, every
        ...
        ...     def __call__(self, step):
        ...         return self.start * 0.5 ** (step // self.every)
        >>> float(Halving(1.0, every=10)(25))
        0.25
    """

    def __call__(self, step):
        raise NotImplementedError(f"{type(self).__name__}: write `__call__(self, step)`.")


def _check_steps(owner, name, steps):
    if steps <= 0:
        raise bad_argument(owner, name, "above 0", steps)


def _floats(*values):
    return [jnp.asarray(value, settings.floatx()) for value in values]


class ExponentialDecay(LearningRateSchedule):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: Learning rate at step 0.
        decay_steps: Steps in which the rate is multiplied by `decay_rate` once.
        decay_rate: Factor.
        staircase: Whether to round `step / decay_steps` down.
        name: Name.

    Example:
        >>> float(ExponentialDecay(1.0, decay_steps=10, decay_rate=0.5)(20))
        0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = "ExponentialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        _check_steps(self, "decay_steps", decay_steps)

    def __call__(self, step) -> jax.Array:
        step, steps, rate = _floats(step, self.decay_steps, self.decay_rate)
        times = step / steps
        times = jnp.floor(times) if self.staircase else times
        return self.initial_learning_rate * jnp.power(rate, times)


class PiecewiseConstantDecay(LearningRateSchedule):
    """One value up to and including each boundary, and a last one after them all.

    Args:
        boundaries: Steps, increasing.
        values: Learning rates, one more than boundaries.
        name: Name.

    Example:
        >>> schedule = PiecewiseConstantDecay([10, 20], [1.0, 0.5, 0.25])
        >>> [float(schedule(step)) for step in (10, 11, 21)]
        [1.0, 0.5, 0.25]
    """

    def __init__(
        self, boundaries: Sequence, values: Sequence, name: str | None = "PiecewiseConstant"
    ):
        if len(boundaries) != len(values) - 1:
            raise bad_argument(
                name, "values", f"one more than {len(boundaries)} boundaries", list(values)
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step) -> jax.Array:
        boundaries = jnp.asarray(self.boundaries).astype(jnp.asarray(step).dtype)
        passed = jnp.sum(jnp.asarray(step) > boundaries)
        return jnp.asarray(self.values, settings.floatx())[passed]


class PolynomialDecay(LearningRateSchedule):
    """From a first to a last learning rate along `(1 - step / decay_steps) ** power`.

    Args:
        initial_learning_rate: Learning rate at step 0.
        decay_steps: Steps until the end is reached.
        end_learning_rate: Learning rate from there on.
        power: Exponent; 1 is a straight line.
        cycle: Whether to stretch `decay_steps` to its next multiple each time the end is reached,
            so that the rate jumps up again.
        name: Name.

    Example:
        >>> float(PolynomialDecay(1.0, decay_steps=10, end_learning_rate=0.0)(5))
        0.5
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str | None = "PolynomialDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name
        _check_steps(self, "decay_steps", decay_steps)

    def __call__(self, step) -> jax.Array:
        step, steps, end = _floats(step, self.decay_steps, self.end_learning_rate)
        if self.cycle:
            steps = steps * jnp.maximum(jnp.ceil(step / steps), 1)
        else:
            step = jnp.minimum(step, steps)
        left = jnp.power(1 - step / steps, self.power)
        return (self.initial_learning_rate - end) * left + end


class InverseTimeDecay(LearningRateSchedule):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: Learning rate at step 0.
        decay_steps: Steps that count as one.
        decay_rate: What the divisor grows by in that time.
        staircase: Whether to round `step / decay_steps` down.
        name: Name.

    Example:
        >>> float(InverseTimeDecay(1.0, decay_steps=10, decay_rate=1.0)(30))
        0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str | None = "InverseTimeDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name
        _check_steps(self, "decay_steps", decay_steps)

    def __call__(self, step) -> jax.Array:
        step, steps = _floats(step, self.decay_steps)
        times = step / steps
        times = jnp.floor(times) if self.staircase else times
        return self.initial_learning_rate / (1 + self.decay_rate * times)


class CosineDecay(LearningRateSchedule):
    """Half a cosine wave down from the first learning rate, after a straight rise if one is wanted.

    Args:
        initial_learning_rate: Learning rate at step 0.
        decay_steps: Steps of the decay, not counting the rise.
        alpha: Fraction of the top that is left at the end.
        name: Name.
        warmup_target: Learning rate that the rise leads to; `None` for no rise.
        warmup_steps: Steps of the rise.

    References:
        Loshchilov and Hutter, 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts".

    Example:
        >>> float(CosineDecay(1.0, decay_steps=10, alpha=0.5)(10))
        0.5
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str | None = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: int = 0,
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps
        _check_steps(self, "decay_steps", decay_steps)

    def __call__(self, step) -> jax.Array:
        first, step, steps = _floats(self.initial_learning_rate, step, self.decay_steps)
        if self.warmup_target is None:
            return self._decay(step, steps, first)
        top, rise = _floats(self.warmup_target, self.warmup_steps)
        rising = first + (top - first) * step / jnp.maximum(rise, 1)
        return jnp.where(step < rise, rising, self._decay(step - rise, steps, top))

    def _decay(self, step, steps, top):
        wave = 0.5 * (1 + jnp.cos(math.pi * jnp.minimum(step, steps) / steps))
        return top * ((1 - self.alpha) * wave + self.alpha)


class CosineDecayRestarts(LearningRateSchedule):
    """Half cosine waves down, one after another, each longer and lower by a factor.

    Args:
        initial_learning_rate: Learning rate at step 0.
        first_decay_steps: Steps of the first wave.
        t_mul: Factor of length from one wave to the next.
        m_mul: Factor of height from one wave to the next.
        alpha: Fraction of `initial_learning_rate` that is always left.
        name: Name.

    References:
        Loshchilov and Hutter, 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts".

    Example:
        >>> float(CosineDecayRestarts(1.0, first_decay_steps=10, m_mul=0.5)(10))
        0.5
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str | None = "SGDRDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self.t_mul = t_mul
        self.m_mul = m_mul
        self.alpha = alpha
        self.name = name
        _check_steps(self, "first_decay_steps", first_decay_steps)

    def __call__(self, step) -> jax.Array:
        step, steps, longer, lower = _floats(step, self.first_decay_steps, self.t_mul, self.m_mul)
        done = step / steps
        if self.t_mul == 1:
            wave = jnp.floor(done)
            done = done - wave
        else:
            wave = jnp.floor(jnp.log(1 - done * (1 - longer)) / jnp.log(longer))
            length = jnp.power(longer, wave)
            done = (done - (1 - length) / (1 - longer)) / length
        height = 0.5 * jnp.power(lower, wave) * (1 + jnp.cos(math.pi * done))
        return self.initial_learning_rate * ((1 - self.alpha) * height + self.alpha)


class PowerDecay(LearningRateSchedule):
    """`initial_learning_rate / (1 + step / decay_steps) ** power`.

    Falls fast at first, then ever more slowly: to 1/2, 1/3, 1/4 after each `decay_steps`, for a
    power of 1.

    Args:
        initial_learning_rate: Learning rate at step 0.
        decay_steps: Steps that count as one.
        power: Exponent.
        name: Name.

    Example:
        >>> float(PowerDecay(1.0, decay_steps=10)(30))
        0.25
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        power: float = 1.0,
        name: str | None = "PowerDecay",
    ):
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.power = power
        self.name = name
        _check_steps(self, "decay_steps", decay_steps)

    def __call__(self, step) -> jax.Array:
        step, steps = _floats(step, self.decay_steps)
        return self.initial_learning_rate / jnp.power(1 + step / steps, self.power)


class OneCycle(LearningRateSchedule):
    """One rise to a high learning rate and one fall far below the first: 1cycle.

    Both along half a cosine wave. The callback `keras.callbacks.OneCycle` moves the momentum too.

    Args:
        max_learning_rate: Learning rate at the top: just below where training fails.
        total_steps: Steps of the cycle, at least 2; the rate then stays at its end.
        warmup_fraction: Part of the steps in which the rate rises, strictly between 0 and 1.
        start_divisor: What the top is divided by at the start.
        end_divisor: What the start is divided by at the end.
        name: Name.

    References:
        Smith and Topin, 2019, "Super-Convergence: Very Fast Training of Neural Networks Using
        Large Learning Rates".

    Example:
        >>> schedule = OneCycle(1.0, total_steps=101, warmup_fraction=0.5)
        >>> [round(float(schedule(step)), 3) for step in (0, 50, 100)]
        [0.04, 1.0, 0.0]
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int,
        warmup_fraction: float = 0.3,
        start_divisor: float = 25.0,
        end_divisor: float = 1e4,
        name: str | None = "OneCycle",
    ):
        self.max_learning_rate = max_learning_rate
        self.total_steps = total_steps
        self.warmup_fraction = warmup_fraction
        self.start_divisor = start_divisor
        self.end_divisor = end_divisor
        self.name = name
        if total_steps < 2:
            raise bad_argument(self, "total_steps", "at least 2", total_steps)
        if not 0 < warmup_fraction < 1:
            raise bad_argument(self, "warmup_fraction", "strictly between 0 and 1", warmup_fraction)

    def __call__(self, step) -> jax.Array:
        start = self.max_learning_rate / self.start_divisor
        ends = (start, self.max_learning_rate, start / self.end_divisor)
        return up_and_down(step, self.total_steps, self.warmup_fraction, *ends)


def up_and_down(
    step: Any, total_steps: Any, fraction: float, start: Any, top: Any, end: Any
) -> jax.Array:
    """Half a cosine wave from `start` to `top` in a fraction of the steps, another to `end`.

    Args:
        step: Number of the step, from 0.
        total_steps: Steps of the way up and down.
        fraction: Share of them that leads up.
        start: Value at the start.
        top: Value at the top.
        end: Value at the end.

    Example:
        >>> [round(float(up_and_down(i, 10, 0.5, 0.0, 1.0, 0.0)), 2) for i in (0, 4, 9)]
        [0.0, 1.0, 0.0]
    """
    step, total, start, top, end = _floats(step, total_steps, start, top, end)
    summit = jnp.maximum(fraction * total - 1, 1)
    rise = jnp.clip(step / summit, 0, 1)
    fall = jnp.clip((step - summit) / jnp.maximum(total - 1 - summit, 1), 0, 1)
    rising = top + (start - top) * 0.5 * (1 + jnp.cos(math.pi * rise))
    falling = end + (top - end) * 0.5 * (1 + jnp.cos(math.pi * fall))
    return jnp.where(step < summit, rising, falling)


_PUBLIC: Mapping[str, Any] = {
    cls.__name__: cls
    for cls in (
        LearningRateSchedule,
        ExponentialDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
        InverseTimeDecay,
        CosineDecay,
        CosineDecayRestarts,
        OneCycle,
        PowerDecay,
    )
}
publish("keras.optimizers.schedules", _PUBLIC)


def serialize(learning_rate_schedule: LearningRateSchedule) -> dict:
    """A schedule as plain data.

    Args:
        learning_rate_schedule: The schedule.

    Example:
        >>> serialize(ExponentialDecay(0.1, 100, 0.9))["class_name"]
        'ExponentialDecay'
    """
    return serialize_keras_object(learning_rate_schedule)


def deserialize(config: dict, custom_objects: Mapping | None = None) -> LearningRateSchedule:
    """The schedule that `serialize` wrote.

    Args:
        config: The plain data.
        custom_objects: Names to classes and functions, used before all others.

    Example:
        >>> deserialize(serialize(ExponentialDecay(0.1, 100, 0.9))).decay_steps
        100
    """
    return deserialize_keras_object(config, custom_objects=custom_objects)


__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "OneCycle",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "PowerDecay",
    "deserialize",
    "serialize",
]
