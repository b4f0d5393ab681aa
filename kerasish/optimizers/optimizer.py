"""The base of optimizers: state in Variables, and all that surrounds a rule for one weight."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import initializers, ops
from kerasish.core import departed_names, processes, settings
from kerasish.core.errors import bad_argument
from kerasish.core.names import auto_name
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.short_repr import given_arguments, short_repr
from kerasish.core.state.functional import pure
from kerasish.core.state.variable import Variable, is_variable
from kerasish.ops.sparse import is_sparse
from kerasish.optimizers.arguments import (
    check_arguments,
    fitting_state,
    refuse_unknown,
    spelled_out,
    without_missing,
)
from kerasish.optimizers.averaging import update_averages
from kerasish.optimizers.clipping import choose, clip
from kerasish.optimizers.hyperparameters import (
    FollowedArguments,
    check_learning_rate,
    learning_rate_at,
)
from kerasish.optimizers.optax_transformation import as_transformation
from kerasish.optimizers.slot_variables import SlotVariables


class Optimizer(Configurable):
    """Changes weights by their gradients.

    A new optimizer states its `slot_names` and writes `rule`, the maths for one weight; or, as in
    Keras, overrides `build` and `update_step` and keeps its own Variables.

    Args:
        learning_rate: Number, `LearningRateSchedule`, or a function of the step (or of nothing)
            that returns a number. A number is held in a Variable: it may be set at any time.
        weight_decay: Fraction, times the learning rate, that each weight loses at each update.
        clipnorm: Norm above which a weight's gradient is shortened.
        clipvalue: Absolute value above which an element of a gradient is clipped.
        global_clipnorm: Norm above which all gradients, taken as one vector, are shortened.
        use_ema: Whether to keep a moving average of the weights, which replaces them when training
            ends.
        ema_momentum: Weight of the old average at each step, from 0 to 1.
        ema_overwrite_frequency: Updates after which the weights are replaced by their average,
            again and again; `None` leaves that to the end.
        loss_scale_factor: What the loss is multiplied by and the gradients are divided by, so that
            16-bit gradients do not vanish.
        gradient_accumulation_steps: Calls, at least 2, whose mean gradient makes one update.
            Schedules, averages and constraints go by updates, so that 2 calls with halves of a
            batch do what one with all of it does.
        name: Name; generated if not given.

    Example:
        >>> class Signs(Optimizer):
        ...     slot_names = (("last",),)
        ...
        ...     def rule(self, gradient, weight, slots, learning_rate, step):
        ...         change = -learning_rate * jnp.sign(gradient + slots["last"])
        ...         return change, {"last": gradient}
        >>> weight = Variable([1.0, 2.0])
        >>> Signs(learning_rate=0.5).apply([np.array([3.0, -3.0])], [weight])
        >>> weight.numpy()
        array([0.5, 2.5], dtype=float32)
    """

    _set_by_init = "_own"
    _departed = departed_names.OPTIMIZER
    _shared_change: Callable | None = None  # while an update is traced, once for weights of a shape

    # Names of the arrays kept for each weight. Weights take turns within a group; the next group
    # starts when all weights have theirs. (Keras' files hold them in that order.)
    slot_names: tuple[tuple[str, ...], ...] = ()
    # Numbers that all weights share, by name, and what they start from.
    shared_slots: Mapping[str, float] = MappingProxyType({})

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        self.name = name or auto_name(type(self).__name__)
        self._own = SlotVariables(self.name)
        refuse_unknown(self, kwargs, Optimizer)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        check_arguments(self)
        self.built = False
        self._trainable_variables: list[Variable] = []
        self._positions: dict[Variable, int] = {}
        self._shared: dict[str, Variable] = {}
        self._excluded: tuple[set, str] = (set(), "")
        self._followed = FollowedArguments()
        self._rate_factors: dict[str, float] = {}
        self._iterations = self._own.make(0, "iteration", "int32")
        self._learning_rate: Any = self._held_learning_rate(learning_rate)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        own = vars(cls).get("__init__")
        if own and cls.__module__.startswith("kerasish."):
            own.__signature__ = spelled_out(own, Optimizer.__init__)

    # -- for a new optimizer to write

    def rule(
        self,
        gradient: jax.Array,
        weight: jax.Array,
        slots: dict,
        learning_rate: jax.Array,
        step: jax.Array,
    ) -> tuple[jax.Array, dict]:
        """The change to add to one weight, and the slots that change: a pure function.

        Args:
            gradient: The gradient, clipped, in the weight's dtype.
            weight: The weight, decayed.
            slots: The weight's slots and the shared values, by name.
            learning_rate: The learning rate, a scalar.
            step: Number of this update as a float scalar; the first is 1.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: write `rule(self, gradient, weight, slots, learning_rate, "
            "step)`, or `update_step(self, gradient, variable, learning_rate)`."
        )

    def first_slot(self, name: str, weight: Any, path: str) -> Any:
        """The initial value of a slot of a weight: zeros, or `None` if it needs none.

        Args:
            name: The slot's name.
            weight: The weight.
            path: The weight's path.
        """
        return np.zeros(weight.shape, weight.dtype)

    def advance_shared(self, shared: dict, step: Any) -> dict:
        """The shared values for an update.

        Args:
            shared: Those of the update before, by name.
            step: Number of this update; the first is 1.
        """
        return shared

    def weight_decay_of(self, weight: Any, path: str) -> float | None:
        """The weight decay of one weight, if it is not excluded.

        Args:
            weight: The weight.
            path: Its path.
        """
        return self.weight_decay

    def update_step(self, gradient: Any, variable: Variable, learning_rate: Any) -> None:
        """Update one weight and its slots: Keras' way to write an optimizer.

        Args:
            gradient: The gradient, clipped.
            variable: The weight.
            learning_rate: The learning rate, a scalar.
        """
        slots = self._slots[self._get_variable_index(variable)]
        values = {name: v.read() for name, v in (slots | self._shared).items()}
        step = self.iterations + 1
        change_of = self._shared_change or self._change
        change, new = change_of(gradient, variable.read(), values, learning_rate, step)
        self.assign_add(variable, change)
        for name, slot in slots.items():
            self.assign(slot, new[name])

    # -- the steps around the rule, shared by `apply` and `as_optax`

    def _change(self, gradient, weight, slots, learning_rate, step) -> tuple[Any, dict]:
        """`rule`, given scalars at least as wide as float32, and all slots, in their dtypes."""
        wide = jnp.promote_types(weight.dtype, "float32")
        gradient = jnp.asarray(gradient, weight.dtype)
        rate, step = jnp.asarray(learning_rate, wide), jnp.asarray(step, wide)
        change, new = self.rule(gradient, weight, slots, rate, step)
        return change, slots | {name: v.astype(slots[name].dtype) for name, v in new.items()}

    def _first_slots(self, weight, path: str) -> dict:
        """All of a weight's slots as they start."""
        first = {n: self.first_slot(n, weight, path) for group in self.slot_names for n in group}
        return {name: jnp.asarray(value) for name, value in first.items() if value is not None}

    def _clip_gradients(self, gradients: Sequence) -> list:
        """Gradients within the limit that the optimizer was given."""
        return clip(gradients, self.clipnorm, self.clipvalue, self.global_clipnorm)

    def _unscale(self, gradients: Sequence) -> list:
        """Gradients divided by `loss_scale_factor`."""
        scale = self.loss_scale_factor
        return list(gradients) if scale is None else [g / scale for g in gradients]

    def _decay_of(self, weight, path: str) -> float | None:
        """The weight decay of a weight; `None` if its name is excluded."""
        names = self._excluded[1]
        if names and re.search(names, path.rsplit("/", 1)[-1]):
            return None
        return self.weight_decay_of(weight, path)

    def _has_rule(self) -> bool:
        """Whether the optimizer's maths is a `rule`."""
        own = type(self)
        return own.rule is not Optimizer.rule and own.update_step is Optimizer.update_step

    def as_optax(self) -> Any:
        """The same optimizer as an optax transformation, for a loop of one's own.

        Its `update` needs `params`; the learning rate is in its state.

        Example:
            >>> from kerasish.optimizers import SGD
            >>> params = {"w": jnp.array([1.0, 2.0])}
            >>> sgd = SGD(0.5).as_optax()
            >>> updates, state = sgd.update({"w": jnp.ones(2)}, sgd.init(params), params)
            >>> updates["w"]
            Array([-0.5, -0.5], dtype=float32)
        """
        return as_transformation(self)

    # -- learning rate and other arguments

    def _held_learning_rate(self, value):
        if callable(value):
            return value
        value = check_learning_rate(self, value)
        return self._own.make(value, "learning_rate", settings.floatx())

    def learning_rate_at(self, step: Any) -> Any:
        """The schedule's learning rate at a step.

        Args:
            step: Number of updates before.
        """
        return learning_rate_at(self._learning_rate, step)

    @property
    def learning_rate(self) -> Any:
        """The learning rate now: its Variable, or the schedule's value."""
        if callable(self._learning_rate):
            return self.learning_rate_at(jnp.asarray(self.iterations))
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        held = self._learning_rate
        if callable(value):
            self._own.variables = [v for v in self._own.variables if v is not held]
            self._learning_rate = value
        elif callable(held):
            raise TypeError(
                f"{self.name}: its learning rate is a schedule, which a number cannot replace. "
                "Make the optimizer with a number to set it later."
            )
        else:
            held.assign(check_learning_rate(self, value))

    def vary(self, **functions: Callable | None) -> None:
        """Let arguments follow functions of the step, computed on the device at each call.

        A learning rate that is a number keeps its Variable, which shows the rate of the last
        update. An argument whose function is `None` keeps the value it had before. A model
        that has been trained must forget its compiled step: `make_train_function(force=True)`.

        Args:
            **functions: Functions of the number of calls of `apply` before, by argument.

        Raises:
            ValueError: If an argument is no number.

        Example:
            >>> from kerasish.optimizers import SGD
            >>> optimizer = SGD(0.1, momentum=0.9)
            >>> optimizer.vary(momentum=lambda step: jnp.where(step < 100, 0.5, 0.9))
        """
        for argument in functions:
            if not isinstance(getattr(self, argument, None), int | float | Variable):
                raise bad_argument(self, "vary", "given arguments that are numbers", argument)
        self._followed.update(functions)

    def follows(self, functions: Mapping[str, Callable | None]) -> bool:
        """Whether these are the functions that `vary` was given last.

        Args:
            functions: Functions of the step by argument.
        """
        return self._followed.are(functions)

    def lend_learning_rate(self, fn: Callable) -> Callable[[], None]:
        """Follow another learning rate for a while; returns the function that ends it.

        Args:
            fn: Function of the step, or of nothing, that returns the learning rate.
        """
        kept = self._learning_rate, self._own.variables[:], dict(self._followed.functions)
        self.learning_rate = fn
        self._followed.update({"learning_rate": None})

        def give_back():
            self._learning_rate, self._own.variables, self._followed.functions = kept

        return give_back

    def scale_learning_rates(self, factors: Mapping[str, float]) -> None:
        """Give weights a part of the learning rate; to be called before training.

        `Model.rates_by_depth` calls it. The factors are kept in the config.

        Args:
            factors: Factors of the learning rate by the weights' paths, or the ends of them
                (`"dense/kernel"`); 1 for all others.

        Raises:
            ValueError: If a factor is no number from 0.

        Example:
            >>> from kerasish.core.state.variable import Variable
            >>> from kerasish.optimizers import SGD
            >>> body, head = Variable([1.0], name="body"), Variable([1.0], name="head")
            >>> optimizer = SGD(0.5)
            >>> optimizer.scale_learning_rates({body.path: 0.5})
            >>> optimizer.apply([jnp.ones(1), jnp.ones(1)], [body, head])
            >>> float(body[0]), float(head[0])
            (0.75, 0.5)
        """
        for path, factor in factors.items():
            is_number = isinstance(factor, int | float) and not isinstance(factor, bool)
            if not is_number or not 0 <= factor < float("inf"):
                raise bad_argument(self, "factors", "numbers from 0", {path: factor})
        self._rate_factors = {path: float(factor) for path, factor in factors.items()}

    @property
    def learning_rate_factors(self) -> dict[str, float]:
        """Factors of the learning rate by the weights' paths, where it is not 1 for all."""
        return dict(self._rate_factors)

    def _rate_of(self, variable, rate):
        if not self._rate_factors:
            return rate
        names = variable.path.split("/")
        ends = ("/".join(names[i:]) for i in range(len(names)))  # the longest first
        factor = next((self._rate_factors[end] for end in ends if end in self._rate_factors), 1.0)
        return rate * factor

    # -- state

    @property
    def iterations(self) -> Any:
        """Updates made so far."""
        if self.gradient_accumulation_steps:
            return self._iterations.read() // self.gradient_accumulation_steps
        return self._iterations

    @property
    def updates(self) -> Variable:
        """Calls of `apply` so far: what `vary` counts."""
        return self._iterations

    def __repr__(self):
        given = given_arguments(self)
        rate = self.learning_rate  # as it is now
        if isinstance(rate, jax.Array | Variable) and not callable(given.get("learning_rate")):
            rate = rate.read() if isinstance(rate, Variable) else rate
            if not isinstance(rate, jax.core.Tracer):
                given["learning_rate"] = float(f"{float(rate):.7g}")  # as it was given
        return short_repr(self, given)

    def __setattr__(self, name, value):
        if name == "lr":  # it would change nothing
            who = type(self).__name__
            raise AttributeError(departed_names.gone(who, name, self._departed[name]))
        # A subclass's own Variables count as state as soon as they are attributes.
        if is_variable(value):
            if "_own" not in self.__dict__:
                raise RuntimeError(
                    f"{type(self).__name__}: call `super().__init__(...)` before making Variables."
                )
            self._own.adopt(value)
        super().__setattr__(name, value)

    @property
    def variables(self) -> list[Variable]:
        """The optimizer's state, in the order of Keras' files."""
        return self._own.variables[:]

    def add_variable(
        self,
        shape: Sequence[int] | int,
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """Make a Variable that belongs to the optimizer's state.

        Args:
            shape: Its shape.
            initializer: Initializer, or its name.
            dtype: Its dtype; the global float type unless given.
            aggregation: Kept for Keras' sake.
            layout: How it is spread over devices, as in `Variable`.
            name: Its name.
        """
        initializer = initializers.get(initializer)
        dtype = "int32" if dtype == "int" else dtype
        return self._own.make(
            initializer, name, dtype, shape=shape, aggregation=aggregation, layout=layout
        )

    def add_variable_from_reference(
        self, reference_variable: Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """Make a Variable of a weight's shape, dtype and layout, named after the weight.

        Args:
            reference_variable: The weight.
            name: What it is called among the weight's.
            initializer: Initializer, or its name.
        """
        like, first = reference_variable, initializers.get(initializer)
        return self._own.make_slot(like, name or "var", first, like.shape, like.dtype)

    def add_optimizer_variables(
        self,
        trainable_variables: Iterable[Variable],
        name: str | Sequence[str],
        initializer: Any = "zeros",
    ) -> Any:
        """Make a Variable for each weight, or one for each weight and name in turn.

        Args:
            trainable_variables: The weights.
            name: What they are called among the weights', or several such names.
            initializer: Initializer or its name, or one for each name.

        Returns:
            A list of Variables for one name, a tuple of lists for several. A weight that is
            overwritten with its gradient gets `None`.

        Raises:
            ValueError: If there are more or fewer initializers than names.
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

    def assign(self, variable: Variable, value: Any) -> None:
        """Replace a Variable's value.

        Args:
            variable: The Variable.
            value: The new value.
        """
        variable.assign(value)

    def assign_add(self, variable: Variable, value: Any) -> None:
        """Add to a Variable's value.

        Args:
            variable: The Variable.
            value: What is added.
        """
        variable.assign_add(value)

    def assign_sub(self, variable: Variable, value: Any) -> None:
        """Subtract from a Variable's value.

        Args:
            variable: The Variable.
            value: What is subtracted.
        """
        variable.assign_sub(value)

    def build(self, variables: Iterable[Variable]) -> None:
        """Make the state for these weights. `apply` does it if it was not done.

        Args:
            variables: The weights.
        """
        if self.built:
            return
        variables = list(variables)
        self._remember(variables)
        self._made_before = len(self._own.variables)
        if self.use_ema:
            self._model_variables_moving_average = self.add_optimizer_variables(
                variables, "average"
            )
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = [
                self.add_variable_from_reference(v, "gradient_accumulator") for v in variables
            ]
        self._slots: list[dict[str, Variable]] = [{} for _ in variables]
        for group in self.slot_names:
            for variable, own in zip(variables, self._slots, strict=True):
                if not variable.overwrite_with_gradient:
                    own |= self._build_slots(variable, group)
        wide = variables[0].dtype if variables else settings.floatx()
        self._shared = {n: self._own.make(first, n, wide) for n, first in self.shared_slots.items()}
        self.built = True

    def _remember(self, variables):
        self._trainable_variables = variables
        self._positions = {v: i for i, v in enumerate(variables)}

    def follow(self, variables: Iterable[Variable], before: Iterable[Variable]) -> None:
        """Continue with other weights, after layers were frozen or unfrozen.

        State of weights that are trained as before is kept, that of frozen ones is dropped, and
        weights new to training start with new state. An optimizer that was built with weights
        other than `before` is left as it is.

        Args:
            variables: The weights to train from now on.
            before: Those trained until now.
        """
        if self.built and list(map(id, before)) == list(map(id, self._trainable_variables)):
            self._follow(list(variables))

    def _follow(self, variables):
        identity = self._own.identity
        old = {identity(v): v for v in self._own.variables}
        del self._own.variables[self._made_before :]
        self.built = False
        self.build(variables)
        for variable in self._own.variables[self._made_before :]:
            known = old.get(identity(variable))
            if known is not None and known.shape == variable.shape:
                variable.assign(known.read())

    def _build_slots(self, variable, names):
        made = {}
        for name in names:
            # The array itself, not what a trace has made of it: state starts from concrete values.
            first = self.first_slot(name, variable._value, variable.path)
            if first is not None:
                first = processes.gather_to_host(first)
                made[name] = self._own.make_slot(variable, name, first, first.shape, first.dtype)
        return made

    def _get_variable_index(self, variable) -> int:
        """Position of a weight among those the optimizer was built with."""
        return self._positions[variable]

    # -- applying

    def apply_gradients(self, grads_and_vars: Iterable[tuple]) -> Variable:
        """`apply` on pairs of a gradient and its weight; returns the iterations.

        Args:
            grads_and_vars: The pairs.
        """
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self._iterations

    def apply(self, grads: Iterable, trainable_variables: Iterable | None = None) -> None:
        """Update weights by their gradients, one each.

        Args:
            grads: Gradients; `None` leaves the weight as it is, with a warning.
            trainable_variables: Their weights. `None`: those the optimizer was built with.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._variables_of(grads, trainable_variables)
        grads, variables = without_missing(self.name, grads, variables)
        grads = [ops.convert_to_tensor(g, sparse=False) if is_sparse(g) else g for g in grads]
        grads, variables = self._overwrite(grads, variables)
        if grads:
            grads = self._unscale(grads)
            with self._followed.applied(self, self._iterations.read()):
                if self.gradient_accumulation_steps:
                    self._accumulate(grads, variables)
                else:
                    self._update_all(grads, variables)
        self._iterations.assign_add(1)

    def _update_all(self, grads, variables):
        """One update: the weights, their averages, their constraints."""
        self._update(grads, variables)
        if self.use_ema:
            averages = zip(
                self._trainable_variables, self._model_variables_moving_average, strict=True
            )
            update_averages(self, averages)
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.read()))

    def _variables_of(self, grads, variables):
        if variables is None and not self.built:
            raise ValueError(
                f"{self.name}: does not know its weights yet. Call `build(trainable_variables)`, "
                "or pass them to `apply`."
            )
        variables = self._trainable_variables if variables is None else list(variables)
        if len(grads) != len(variables):
            raise bad_argument(
                self, "grads", f"one for each of {len(variables)} weights", len(grads)
            )
        if not self.built:
            self.build(variables)
            self.built = True
        strange = [v for v in variables if v not in self._positions]
        if strange:
            raise ValueError(
                f"{self.name}: Unknown variable {strange[0].path!r}: the optimizer was built with "
                "other weights. Make a new optimizer for a new set of weights."
            )
        return variables

    def _is_update_step(self):
        steps: Any = self.gradient_accumulation_steps
        return (self._iterations.read() + 1) % steps == 0

    def _overwrite(self, grads, variables):
        """Give weights their "gradient" as new value where they ask for it; return the rest."""
        rest = []
        for gradient, variable in zip(grads, variables, strict=True):
            if not variable.overwrite_with_gradient:
                rest.append((gradient, variable))
            elif self.gradient_accumulation_steps:
                held = self._accumulated_gradients[self._get_variable_index(variable)]
                largest, now = jnp.maximum(gradient, held.read()), self._is_update_step()
                variable.assign(jnp.where(now, largest, variable.read()))
                held.assign(jnp.where(now, 0, largest))
            else:
                variable.assign(gradient)
        return [g for g, _ in rest], [v for _, v in rest]

    def _accumulate(self, grads, variables):
        steps = self.gradient_accumulation_steps
        held = [self._accumulated_gradients[self._get_variable_index(v)] for v in variables]
        sums = [g + h.read() for g, h in zip(grads, held, strict=True)]

        def update():
            self._update_all([s / steps for s in sums], variables)
            for accumulator in held:
                accumulator.assign(jnp.zeros_like(accumulator.read()))

        def wait():
            for accumulator, value in zip(held, sums, strict=True):
                accumulator.assign(value)

        choose(self._is_update_step(), update, wait)

    def _update(self, grads, variables):
        rate = self.learning_rate
        grads = self._clip_gradients(grads)
        self._apply_weight_decay(variables, rate)
        shared = {name: v.read() for name, v in self._shared.items()}
        for name, value in self.advance_shared(shared, self.iterations + 1).items():
            self._shared[name].assign(value)
        # A rule of a user's own may draw random numbers, and so have a state.
        is_pure = self._has_rule() and type(self).rule.__module__.startswith(f"{__package__}.")
        if is_pure and isinstance(grads[0], jax.core.Tracer):
            # Traced once for all weights of a shape.
            self._shared_change = jax.jit(lambda *arguments: self._change(*arguments))
        try:
            for gradient, variable in zip(grads, variables, strict=True):
                self.update_step(gradient, variable, self._rate_of(variable, rate))
        finally:
            self._shared_change = None

    def _apply_weight_decay(self, variables: Sequence[Variable], rate: Any = None) -> None:
        """Let weights decay, those that are not excluded.

        Args:
            variables: The weights.
            rate: The learning rate; `None` for the one now.
        """
        rate = self.learning_rate if rate is None else rate
        for variable in variables:
            weight = variable.read()
            decay = self._decay_of(weight, variable.path)
            if decay is not None and variable not in self._excluded[0]:
                variable.assign(weight - weight * decay * self._rate_of(variable, rate))

    def finalize_variable_values(self, var_list: Sequence[Variable]) -> None:
        """Replace the weights by their moving averages, if those are kept.

        Args:
            var_list: The weights.
        """
        if not self.use_ema:
            return
        if len(var_list) != len(self._model_variables_moving_average):
            raise bad_argument(
                self,
                "var_list",
                f"of {len(self._model_variables_moving_average)} weights",
                len(var_list),
            )
        for variable, average in zip(var_list, self._model_variables_moving_average, strict=True):
            if average is not None:
                variable.assign(average)

    def stateless_apply(
        self, optimizer_variables: Sequence, grads: Sequence, trainable_variables: Sequence
    ) -> tuple[list, list]:
        """`apply` as a pure function: returns the new weights and the new state.

        Args:
            optimizer_variables: Values of `variables`.
            grads: Gradients.
            trainable_variables: Values of the weights that the optimizer was built with.
        """
        if not self.built:
            raise ValueError(
                f"{self.name}: call `build(trainable_variables)` before `stateless_apply`."
            )
        weights, state = self._trainable_variables, self.variables
        for name, given, known in (
            ("optimizer_variables", optimizer_variables, state),
            ("trainable_variables", trainable_variables, weights),
        ):
            if len(given) != len(known):
                raise bad_argument(self, name, f"a list of {len(known)} arrays", len(given))
        run = pure(lambda: self.apply(grads), [*weights, *state])
        _, values = run([*trainable_variables, *optimizer_variables])
        return values[: len(weights)], values[len(weights) :]

    def scale_loss(self, loss: Any) -> Any:
        """The loss times `loss_scale_factor`: what to differentiate.

        Args:
            loss: The loss.
        """
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def exclude_from_weight_decay(
        self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None
    ) -> None:
        """Keep weights from decaying. To be called before training.

        Args:
            var_list: Variables to exclude.
            var_names: Parts of names (regular expressions); Variables whose name has one of them
                are excluded.
        """
        self._excluded = (set(var_list or ()), "|".join(sorted(set(var_names or ()))))

    # -- saving

    def get_weights(self) -> list[np.ndarray]:
        """NumPy copies of the state."""
        return [v.numpy() for v in self.variables]

    def set_weights(self, weights: Sequence) -> None:
        """Replace the state by what `get_weights` returned.

        Args:
            weights: Arrays, in the order of `variables`.

        Raises:
            ValueError: If the optimizer is not built.
        """
        if not self.built:
            raise ValueError(
                f"{self.name}: call `build(trainable_variables)` before `set_weights`."
            )
        for variable, weight in zip(self.variables, weights, strict=True):
            variable.assign(weight)

    def save_own_variables(self, store: Any) -> None:
        """Write the state into a mapping, under `"0"`, `"1"`, ...

        Args:
            store: The mapping.
        """
        for i, variable in enumerate(self.variables):
            store[str(i)] = variable.read()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Read the state that `save_own_variables` wrote; what does not fit is warned of.

        Args:
            store: Arrays by `"0"`, `"1"`, ...
        """
        for name in self.fitting_state(store.keys()):
            self.variables[int(name)].assign(store[name])

    def fitting_state(self, names: Iterable[str], where: Any = "the file") -> list[str]:
        """Which arrays of a file to take over: all if they are those of this optimizer's state.

        Of an optimizer that had not been used yet they are its iterations and learning rate. With
        no arrays, or with others, the optimizer is left as it is, with a warning.

        Args:
            names: Names of the arrays in the file.
            where: What the warning calls the file.
        """
        return fitting_state(self.name, len(self.variables), set(names), where)

    def get_config(self) -> dict:
        """The arguments that make this optimizer again, as plain data."""
        factors = {"learning_rate_factors": self.learning_rate_factors}
        return super().get_config() | (factors if self._rate_factors else {})

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """Make the optimizer that `get_config` described.

        Args:
            config: What `get_config` gave.
        """
        own = {k: v for k, v in config.items() if k != "learning_rate_factors"}
        made = super().from_config(own)
        if "learning_rate_factors" in config:
            made.scale_learning_rates(config["learning_rate_factors"])
        return made

    def _argument(self, parameter, given):
        if parameter.name == "learning_rate":
            rate = self._learning_rate
            return rate if callable(rate) else float(rate)
        return super()._argument(parameter, given)
