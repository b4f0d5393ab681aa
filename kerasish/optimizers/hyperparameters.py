"""An optimizer's numbers while it works: the learning rate, and arguments that follow the step."""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument
from kerasish.core.state.variable import Variable
from kerasish.optimizers.slot_variables import State


class Tuned(State):
    """What optimizers know of their learning rate, and of numbers that change as they work."""

    _iterations: Variable
    _learning_rate: Any
    _varying: dict[str, Callable]

    def _start_learning_rate(self, learning_rate):
        if not callable(learning_rate):
            learning_rate = self._new_variable(
                self._number(learning_rate), "learning_rate", settings.floatx()
            )
        self._learning_rate = learning_rate

    def _number(self, value):
        number = isinstance(value, int | float | np.number | jax.Array | Variable)
        if not number or isinstance(value, bool):
            wanted = "a number, a LearningRateSchedule or a function of the step"
            raise bad_argument(self, "learning_rate", wanted, value)
        return value

    def learning_rate_at(self, step):
        """The schedule's learning rate at a step."""
        fn: Callable = self._learning_rate
        return fn(step) if _takes_argument(fn) else fn()

    @property
    def learning_rate(self):
        """The learning rate now: its Variable, or the schedule's value."""
        if callable(self._learning_rate):
            return self.learning_rate_at(self._iterations.read())
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        held = self._learning_rate
        if callable(value):
            self._variables = [v for v in self._variables if v is not held]
            self._learning_rate = value
        elif callable(held):
            raise TypeError(
                f"{self.name}: its learning rate is a schedule, which a number cannot replace. "
                "Make the optimizer with a number to set it later."
            )
        else:
            held.assign(self._number(value))

    def vary(self, **functions) -> None:
        """Let arguments follow functions of the step, computed on the device at each update.

        A learning rate that is a number keeps its Variable, which shows the rate of the last
        update. An argument whose function is `None` keeps the value it had before. A model
        that has been trained must forget its compiled step: `make_train_function(force=True)`.

        Example:
            >>> from kerasish.optimizers import SGD
            >>> optimizer = SGD(0.1, momentum=0.9)
            >>> optimizer.vary(momentum=lambda step: jnp.where(step < 100, 0.5, 0.9))
        """
        for argument, fn in functions.items():
            if not isinstance(getattr(self, argument, None), int | float | Variable):
                raise bad_argument(self, "vary", "given arguments that are numbers", argument)
            self._varying.pop(argument, None)
            if fn is not None:
                self._varying[argument] = fn

    def follows(self, functions: dict) -> bool:
        """Whether these are the functions that `vary` was given last."""
        return all(self._varying.get(name) is fn for name, fn in functions.items())

    @property
    def updates(self) -> Variable:
        """Calls of `apply` so far: what `vary` and schedules count."""
        return self._iterations

    @contextlib.contextmanager
    def _as_varied(self):
        """The optimizer with the arguments that follow functions as they are at this step."""
        step = self._iterations.read()
        before = {name: getattr(self, name) for name in self._varying}
        for name, fn in self._varying.items():
            setattr(self, name, fn(step))
        try:
            yield
        finally:
            for name, value in before.items():
                if name != "learning_rate":
                    setattr(self, name, value)

    def lend_learning_rate(self, fn: Callable) -> Callable:
        """Follow another learning rate for a while; returns the function that ends it."""
        kept = self._learning_rate, self._variables[:], dict(self._varying)
        self.learning_rate = fn
        self._varying.pop("learning_rate", None)

        def give_back():
            self._learning_rate, self._variables, self._varying = kept

        return give_back


def _takes_argument(fn):
    try:
        inspect.signature(fn).bind(0)
    except TypeError:
        return False
    return True
