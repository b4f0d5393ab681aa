"""The Variables an optimizer owns: made, told from others, read and written as a list."""

import warnings

import numpy as np

from kerasish import initializers
from kerasish.core.errors import bad_argument
from kerasish.core.names import name_scope
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.state.variable import Variable, is_variable


class State(Configurable):
    """What optimizers know of their own Variables; `Optimizer` adds what to do with them."""

    _set_by_init = "_variables"

    name: str
    built: bool
    _variables: list[Variable]
    _slot_of: dict[Variable, tuple[Variable, str]]

    def _new_variable(self, value, name, dtype=None, **options):
        with name_scope(self.name):
            variable = Variable(
                value, dtype=dtype, trainable=False, autocast=False, name=name, **options
            )
        self._variables.append(variable)
        return variable

    def __setattr__(self, name, value):
        # A subclass's own Variables count as state as soon as they are attributes.
        if is_variable(value) and not any(v is value for v in self._own_variables()):
            self._variables.append(value)
        super().__setattr__(name, value)

    def _own_variables(self):
        if "_variables" not in self.__dict__:
            raise RuntimeError(
                f"{type(self).__name__}: call `super().__init__(...)` before making Variables."
            )
        return self._variables

    @property
    def variables(self) -> list[Variable]:
        """The optimizer's state, in the order of Keras' files."""
        return self._own_variables()[:]

    def add_variable(
        self, shape, initializer="zeros", dtype=None, aggregation="none", layout=None, name=None
    ) -> Variable:
        """Make a Variable that belongs to the optimizer's state."""
        initializer = initializers.get(initializer)
        dtype = "int32" if dtype == "int" else dtype
        return self._new_variable(
            initializer, name, dtype, shape=shape, aggregation=aggregation, layout=layout
        )

    def add_variable_from_reference(
        self, reference_variable, name=None, initializer="zeros"
    ) -> Variable:
        """Make a Variable of a weight's shape, dtype and place, named after the weight."""
        return self._new_slot(
            reference_variable,
            name or "var",
            initializers.get(initializer),
            shape=reference_variable.shape,
            dtype=reference_variable.dtype,
        )

    def add_optimizer_variables(self, trainable_variables, name, initializer="zeros"):
        """Make a Variable for each weight, or one for each weight and name in turn.

        Returns:
            A list of Variables for one name, a tuple of lists for several. A weight that is
            overwritten with its gradient gets `None`.
        """
        names = [name] if isinstance(name, str) else list(name)
        many = isinstance(initializer, list | tuple)
        firsts = initializer if many else [initializer] * len(names)
        if len(firsts) != len(names):
            raise bad_argument(self, "initializer", f"one for each of {names}", initializer)
        made: tuple[list, ...] = tuple([] for _ in names)
        for variable in trainable_variables:
            for found, own_name, first in zip(made, names, firsts, strict=True):
                skip = variable.overwrite_with_gradient
                found.append(
                    None if skip else self.add_variable_from_reference(variable, own_name, first)
                )
        return made[0] if isinstance(name, str) else made

    def _new_slot(self, variable, name, first, shape, dtype):
        """A Variable named after a weight; of the weight's shape, it lies where the weight does."""
        own_name = f"{variable.path.replace('/', '_')}_{name}"
        like = variable if tuple(shape) == variable.shape else None
        slot = self._new_variable(first, own_name, dtype, shape=shape, layout=like)
        self._slot_of[slot] = (variable, name)
        return slot

    def _identity(self, variable):
        """What a Variable is to the optimizer: a weight's slot of that name, or its own path."""
        return self._slot_of.get(variable, variable.path)

    def assign(self, variable, value) -> None:
        """Replace a Variable's value."""
        variable.assign(value)

    def assign_add(self, variable, value) -> None:
        """Add to a Variable's value."""
        variable.assign_add(value)

    def assign_sub(self, variable, value) -> None:
        """Subtract from a Variable's value."""
        variable.assign_sub(value)

    # -- saving

    def get_weights(self) -> list[np.ndarray]:
        """NumPy copies of the state."""
        return [v.numpy() for v in self.variables]

    def set_weights(self, weights) -> None:
        """Replace the state by what `get_weights` returned."""
        if not self.built:
            raise ValueError(
                f"{self.name}: call `build(trainable_variables)` before `set_weights`."
            )
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store) -> None:
        """Write the state into a mapping, under `"0"`, `"1"`, ..."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.read()

    def load_own_variables(self, store) -> None:
        """Read the state that `save_own_variables` wrote; on another count, warn and keep it."""
        state = self.variables
        if len(store.keys()) != len(state):
            warnings.warn(
                f"Skipping variable loading for optimizer '{self.name}': it has {len(state)} "
                f"variables, the file has {len(store.keys())}. Build it with the same weights and "
                "arguments first.",
                stacklevel=2,
            )
            return
        for i, variable in enumerate(state):
            variable.assign(store[str(i)])
