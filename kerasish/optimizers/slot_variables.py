"""The Variables that an optimizer owns: slots of weights, and numbers that all weights share."""

from collections.abc import Hashable, Sequence
from typing import Any

from kerasish.core.names import name_scope
from kerasish.core.state.variable import Variable


class SlotVariables:
    """An optimizer's Variables, in the order of Keras' files.

    Args:
        scope: Name that their paths begin with.

    Attributes:
        variables: All of them.
    """

    def __init__(self, scope: str):
        self.scope = scope
        self.variables: list[Variable] = []
        self._slot_of: dict[Variable, tuple[Variable, str]] = {}

    def make(self, value: Any, name: str | None, dtype: Any = None, **options: Any) -> Variable:
        """A new Variable.

        Args:
            value: Its initial value, or an initializer.
            name: Its name.
            dtype: Its dtype; `None` for the value's own.
            **options: Those of `Variable`.
        """
        with name_scope(self.scope):
            variable = Variable(
                value, dtype=dtype, trainable=False, autocast=False, name=name, **options
            )
        self.variables.append(variable)
        return variable

    def make_slot(
        self, weight: Variable, name: str, value: Any, shape: Sequence[int], dtype: Any
    ) -> Variable:
        """A new Variable named after a weight, and laid out over devices as one of its shape is.

        Args:
            weight: The weight.
            name: What the slot is called among the weight's.
            value: Its initial value, or an initializer.
            shape: Its shape.
            dtype: Its dtype.
        """
        own_name = f"{weight.path.replace('/', '_')}_{name}"
        layout = weight if tuple(shape) == weight.shape else None
        slot = self.make(value, own_name, dtype, shape=shape, layout=layout)
        self._slot_of[slot] = (weight, name)
        return slot

    def adopt(self, variable: Variable) -> None:
        """Count a Variable made elsewhere among them.

        Args:
            variable: The Variable.
        """
        if not any(v is variable for v in self.variables):
            self.variables.append(variable)

    def identity(self, variable: Variable) -> Hashable:
        """What a Variable is to the optimizer: a weight's slot of that name, or its own path.

        Args:
            variable: The Variable.
        """
        return self._slot_of.get(variable, variable.path)
