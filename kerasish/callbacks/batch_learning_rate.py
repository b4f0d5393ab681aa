"""Callbacks that change the learning rate at each batch, on the device: steps still run fused."""

from typing import Any

import jax.numpy as jnp

from kerasish.callbacks.base.callback import Callback
from kerasish.callbacks.learning_rate import note_rates, optimizers_of, takes_two
from kerasish.core.errors import bad_argument
from kerasish.core.state.variable import Variable
from kerasish.optimizers.schedules import up_and_down

_EVER = 2**31 - 1  # the last step that an int32 can count


class _Span:
    """The steps of an optimizer in which a callback rules it; moved without recompiling."""

    def __init__(self):
        self.first = Variable(0, dtype="int32", trainable=False, name="first")
        self.last = Variable(0, dtype="int32", trainable=False, name="last")

    def since(self, step):
        return step - self.first.read()

    def within(self, step, inside, outside):
        """One value for steps in the span, another for those before and after."""
        ruled = (step >= self.first.read()) & (step < self.last.read())
        return jnp.where(ruled, inside, outside)


class BatchLearningRateScheduler(Callback):
    """Sets the learning rate at each batch, by a function that is compiled into the step.

    So batches run fused, and the function must be one that JAX can trace: write it in
    `keras.ops` or `jax.numpy`, with `where` in place of `if`. (For any other function, set
    `self.model.optimizer.learning_rate` in the `on_train_batch_begin` of a callback of your own:
    batches then run one by one.)

    The step is compiled anew when training first begins with the callback, and at no other time.

    Args:
        schedule: Function `(batch, learning_rate) -> new learning rate`, or of `batch` only, which
            counts from 0 since training began; a `LearningRateSchedule` is one.

    Example:
        >>> grow = BatchLearningRateScheduler(lambda batch, learning_rate: learning_rate * 1.01)
        >>> grow.schedule(0, 0.1)
        0.101
    """

    def __init__(self, schedule: Any):
        super().__init__()
        if not callable(schedule):
            raise bad_argument(self, "schedule", "a function of the batch", schedule)
        self.schedule = schedule
        self._ruled = {}

    def _functions(self, optimizer, span):
        """What the optimizer's arguments follow, as functions of its step."""
        two = takes_two(self.schedule)

        def rate(step):
            now = optimizer.learning_rate.read()
            given = (span.since(step), now) if two else (span.since(step),)
            return span.within(step, self.schedule(*given), now)

        return {"learning_rate": rate}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Let the optimizer follow the schedule, from its next step on.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        self._begin(_EVER)

    def _begin(self, steps):
        fresh = False
        for _, outer in optimizers_of(self.model):
            optimizer = getattr(outer, "inner_optimizer", outer)
            span, functions = self._ruled.get(optimizer, (None, {}))
            if span is None or not optimizer.follows(functions):
                span = _Span()
                functions = self._functions(optimizer, span)
                optimizer.vary(**functions)
                self._ruled[optimizer] = span, functions
                fresh = True
            done = int(optimizer.updates)
            span.first.assign(done)
            span.last.assign(min(done + steps, _EVER))
        if fresh:
            self.model.make_train_function(force=True)

    def get_state(self) -> dict:
        """The steps in which it rules each optimizer."""
        spans = [span for span, _ in self._ruled.values()]
        return {"spans": [[int(span.first.read()), int(span.last.read())] for span in spans]}

    def set_state(self, state: dict) -> None:
        """Rule the same steps.

        Args:
            state: What `get_state` gave.
        """
        for (span, _), (first, last) in zip(self._ruled.values(), state["spans"], strict=True):
            span.first.assign(first)
            span.last.assign(last)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Note the learning rate in the results.

        Args:
            epoch: Number of the epoch, from 0.
            logs: Results so far by name; empty where there are none.
        """
        note_rates(self.model, logs)

    def on_train_end(self, logs: dict | None = None) -> None:
        """Let go of the optimizer: the learning rate stays as it is.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        for span, _ in self._ruled.values():
            span.last.assign(span.first.read())


class OneCycle(BatchLearningRateScheduler):
    """1cycle: the learning rate rises to its top and falls far below; momentum does the opposite.

    Both follow half cosine waves, batch by batch, on the device. When training ends the momentum is
    as before, the learning rate stays where the cycle ended.

    Args:
        max_learning_rate: Learning rate at the top: what `model.find_learning_rate` suggests.
        total_steps: Batches of the whole cycle; `None`: all those of the `fit` it is given to.
        momentum: The least momentum, reached at the top, and the one at both ends; of optimizers
            that have no `momentum`, it is `beta_1`. `None` leaves the momentum as it is.
        warmup_fraction: Part of the steps in which the rate rises, strictly between 0 and 1.
        start_divisor: What the top is divided by at the start.
        end_divisor: What the start is divided by at the end.

    References:
        Smith and Topin, 2019, "Super-Convergence: Very Fast Training of Neural Networks Using
        Large Learning Rates".

    Example:
        >>> cycle = OneCycle(0.1, total_steps=1000)
        >>> cycle.momentum
        (0.85, 0.95)
    """

    def __init__(
        self,
        max_learning_rate: float,
        total_steps: int | None = None,
        momentum: tuple[float, float] | None = (0.85, 0.95),
        warmup_fraction: float = 0.3,
        start_divisor: float = 25.0,
        end_divisor: float = 1e4,
    ):
        super().__init__(self._rate_at)
        if momentum is not None and not (0 <= momentum[0] <= momentum[1] < 1):
            wanted = "two numbers from 0 to 1, the least first, or None"
            raise bad_argument(self, "momentum", wanted, momentum)
        if not 0 < warmup_fraction < 1:
            wanted = "strictly between 0 and 1"
            raise bad_argument(self, "warmup_fraction", wanted, warmup_fraction)
        self.max_learning_rate = max_learning_rate
        self.total_steps = total_steps
        self.momentum = momentum
        self.warmup_fraction = warmup_fraction
        self.start_divisor = start_divisor
        self.end_divisor = end_divisor
        self._total = Variable(2, dtype="int32", trainable=False, name="total_steps")
        self._top = Variable(0.0, trainable=False, name="max_learning_rate")

    def _wave(self, batch, start, top, end):
        return up_and_down(batch, self._total.read(), self.warmup_fraction, start, top, end)

    def _rate_at(self, batch):
        top = self._top.read()
        start = top / self.start_divisor
        return self._wave(batch, start, top, start / self.end_divisor)

    def _functions(self, optimizer, span):
        functions = super()._functions(optimizer, span)
        if self.momentum is None:
            return functions
        name = _momentum_of(optimizer)
        low, high = self.momentum
        usual = getattr(optimizer, name)

        def momentum(step):
            return span.within(step, self._wave(span.since(step), high, low, high), usual)

        return {**functions, name: momentum}

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Start the cycle at the optimizer's next step.

        Args:
            logs: Results so far by name; empty where there are none.
        """
        total = self.total_steps
        if total is None:
            epochs, steps = (self.params or {}).get("epochs"), (self.params or {}).get("steps")
            if not epochs or not steps:
                hint = "Give it, or give `fit` `steps_per_epoch`."
                raise bad_argument(
                    self, "total_steps", "given where `fit` cannot tell it", total, hint
                )
            total = epochs * steps
        self._total.assign(total)
        self._top.assign(self.max_learning_rate)
        self._begin(total)


def _momentum_of(optimizer):
    for name in ("momentum", "beta_1"):
        if getattr(optimizer, name, None):
            return name
    hint = "Make the optimizer with a momentum, SGD(momentum=0.9) say, or OneCycle(momentum=None)."
    kind = type(optimizer).__name__
    raise bad_argument("OneCycle", "optimizer", "one with `momentum` or `beta_1`", kind, hint)
