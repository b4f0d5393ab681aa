"""An optimizer's numbers while it works: its learning rate, and arguments that follow the step."""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.state.variable import Variable


def check_learning_rate(owner: Any, value: Any) -> Any:
    """The value, if it can be a learning rate that is no schedule.

    Args:
        owner: The optimizer, for the error.
        value: A number, a scalar array or a Variable.

    Raises:
        ValueError: If it is something else.
    """
    is_number = isinstance(value, int | float | np.number | jax.Array | Variable)
    is_number = is_number or (isinstance(value, np.ndarray) and value.ndim == 0)
    if not is_number or isinstance(value, bool):
        wanted = "a number, a LearningRateSchedule or a function of the step"
        raise bad_argument(owner, "learning_rate", wanted, value)
    return value


def learning_rate_at(schedule: Callable, step: Any) -> Any:
    """The learning rate at a step, of a function of the step, or of nothing.

    Args:
        schedule: The function.
        step: The step.
    """
    return schedule(step) if _takes_argument(schedule) else schedule()


def _takes_argument(fn):
    try:
        inspect.signature(fn).bind(0)
    except TypeError:
        return False
    return True


class FollowedArguments:
    """Arguments of an optimizer that follow functions of the step.

    Attributes:
        functions: The functions, by argument.
    """

    def __init__(self):
        self.functions: dict[str, Callable] = {}

    def update(self, functions: Mapping[str, Callable | None]) -> None:
        """Let arguments follow functions; those whose function is `None` follow none any more.

        Args:
            functions: Functions of the step by argument.
        """
        for argument, fn in functions.items():
            self.functions.pop(argument, None)
            if fn is not None:
                self.functions[argument] = fn

    def are(self, functions: Mapping[str, Callable | None]) -> bool:
        """Whether these are the functions that `update` was given last.

        Args:
            functions: Functions of the step by argument.
        """
        return all(self.functions.get(name) is fn for name, fn in functions.items())

    @contextlib.contextmanager
    def applied(self, optimizer: Any, step: Any) -> Iterator[None]:
        """Inside, the optimizer has the arguments that it has at this step.

        The learning rate keeps its value afterwards, to show that of the last update.

        Args:
            optimizer: The optimizer.
            step: Number of the step.
        """
        before = {name: getattr(optimizer, name) for name in self.functions}
        for name, fn in self.functions.items():
            setattr(optimizer, name, fn(step))
        try:
            yield
        finally:
            for name, value in before.items():
                if name != "learning_rate":
                    setattr(optimizer, name, value)
