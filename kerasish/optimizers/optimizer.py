"""The base of optimizers: state in Variables, and all that surrounds a rule for one weight."""

import inspect
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import processes, settings
from kerasish.core.errors import bad_argument, did_you_mean
from kerasish.core.names import auto_name
from kerasish.core.state.functional import pure
from kerasish.core.state.variable import Variable
from kerasish.optimizers.clipping import choose, clip_by_global_norm, clip_by_norm
from kerasish.optimizers.hyperparameters import Tuned
from kerasish.optimizers.optax_transformation import as_transformation


class Optimizer(Tuned):
    """Changes weights by their gradients.

    A new optimizer states its `slot_names` and writes `rule`, the maths for one weight; or, as in
    Keras, overrides `build` and `update_step` and keeps its own Variables.

    Args:
        learning_rate: Number, `LearningRateSchedule`, or a function of the step (or of nothing)
            that returns a number. A number is held in a Variable: it may be set at any time.
        weight_decay: Fraction, times the learning rate, that each weight loses at each update.
        clipnorm: Norm above which a weight's gradient is shortened.
        clipvalue: Absolute value above which an entry of a gradient is clipped.
        global_clipnorm: Norm above which all gradients, taken as one vector, are shortened.
        use_ema: Whether to keep a moving average of the weights, which replaces them when training
            ends.
        ema_momentum: Weight of the old average at each step, from 0 to 1.
        ema_overwrite_frequency: Updates after which the weights are replaced by their average,
            again and again; `None` leaves that to the end.
        loss_scale_factor: What the loss is multiplied by and the gradients are divided by, so that
            16-bit gradients do not vanish.
        gradient_accumulation_steps: Calls, at least 2, whose mean gradient makes one update.
        name: Name; made up if not given.

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

    # Names of the arrays kept for each weight. Weights take turns within a group; the next group
    # starts when all weights have theirs. (Keras' files hold them in that order.)
    slot_names: tuple[tuple[str, ...], ...] = ()
    # Numbers that all weights share, by name, and what they start from.
    shared_slots: Mapping[str, float] = MappingProxyType({})

    def __init__(
        self,
        learning_rate,
        weight_decay=None,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        loss_scale_factor=None,
        gradient_accumulation_steps=None,
        name=None,
        **kwargs,
    ):
        self.name = name or auto_name(type(self).__name__)
        self._refuse(kwargs)
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.clipvalue = clipvalue
        self.global_clipnorm = global_clipnorm
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self._check_arguments()
        self.built = False
        self._variables = []
        self._slot_of = {}
        self._trainable_variables: list[Variable] = []
        self._positions: dict[Variable, int] = {}
        self._shared: dict[str, Variable] = {}
        self._excluded: tuple[set, str] = (set(), "")
        self._varying: dict[str, Callable] = {}
        self._iterations = self._new_variable(0, "iteration", "int32")
        self._start_learning_rate(learning_rate)

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        own = vars(cls).get("__init__")
        if own and cls.__module__.startswith("kerasish."):
            own.__signature__ = _spelled_out(own, Optimizer.__init__)

    def _refuse(self, unknown):
        if unknown.pop("decay", None) is not None:
            warnings.warn(f"{self.name}: `decay` is ignored; use a schedule.", stacklevel=4)
        for argument in unknown:
            known = (*parameters(type(self).__init__), *parameters(Optimizer.__init__))
            meant = "learning_rate" if argument == "lr" else argument
            message = f"{self.name}: does not know the argument `{argument}`."
            raise ValueError(f"{message} {did_you_mean(meant, known)}".rstrip())

    def _check_arguments(self):
        steps = self.gradient_accumulation_steps
        if steps and (not isinstance(steps, int) or steps < 2):
            raise bad_argument(
                self, "gradient_accumulation_steps", "an integer of at least 2, or None", steps
            )
        if self.use_ema and not 0 <= self.ema_momentum <= 1:
            raise bad_argument(self, "ema_momentum", "from 0 to 1", self.ema_momentum)
        frequency = self.ema_overwrite_frequency
        if self.use_ema and frequency and (not isinstance(frequency, int) or frequency < 1):
            raise bad_argument(
                self, "ema_overwrite_frequency", "an integer of at least 1, or None", frequency
            )
        limits = {n: getattr(self, n) for n in ("clipnorm", "clipvalue", "global_clipnorm")}
        given = {name: limit for name, limit in limits.items() if limit is not None}
        if len(given) > 1:
            raise bad_argument(self, "clipnorm, clipvalue, global_clipnorm", "one at most", given)

    # -- for a new optimizer to write

    def rule(self, gradient, weight, slots: dict, learning_rate, step) -> tuple[Any, dict]:
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

    def first_slot(self, name: str, weight, path: str):
        """What a slot of a weight starts from: zeros, or `None` if it needs none."""
        return np.zeros(weight.shape, weight.dtype)

    def advance_shared(self, shared: dict, step) -> dict:
        """The shared values for an update."""
        return shared

    def weight_decay_of(self, weight, path: str) -> float | None:
        """The weight decay of one weight, if it is not excluded."""
        return self.weight_decay

    def update_step(self, gradient, variable, learning_rate) -> None:
        """Update one weight and its slots: Keras' way to write an optimizer."""
        self._step(self._change, gradient, variable, learning_rate)

    def _step(self, change_of, gradient, variable, learning_rate):
        slots = self._slots[self._get_variable_index(variable)]
        values = {name: v.read() for name, v in (slots | self._shared).items()}
        step = self.iterations + 1
        change, new = change_of(gradient, variable.read(), values, learning_rate, step)
        self.assign_add(variable, change)
        for name, slot in slots.items():
            self.assign(slot, new[name])

    # -- the steps around the rule, shared by `apply` and `as_optax`

    def _change(self, gradient, weight, slots, learning_rate, step) -> tuple[Any, dict]:
        """`rule`, given scalars at least as wide as float32, its slots kept in their dtypes."""
        wide = jnp.promote_types(weight.dtype, "float32")
        gradient = jnp.asarray(gradient, weight.dtype)
        rate, step = jnp.asarray(learning_rate, wide), jnp.asarray(step, wide)
        change, new = self.rule(gradient, weight, slots, rate, step)
        return change, slots | {name: v.astype(slots[name].dtype) for name, v in new.items()}

    def _first_slots(self, weight, path: str) -> dict:
        """All of a weight's slots as they start."""
        first = {n: self.first_slot(n, weight, path) for group in self.slot_names for n in group}
        return {name: jnp.asarray(value) for name, value in first.items() if value is not None}

    def _clip(self, gradients: Sequence) -> list:
        """Gradients within the limit that the optimizer was given."""
        if self.clipnorm and self.clipnorm > 0:
            return [clip_by_norm(g, self.clipnorm) for g in gradients]
        if self.global_clipnorm and self.global_clipnorm > 0:
            return clip_by_global_norm(gradients, self.global_clipnorm)
        if self.clipvalue and self.clipvalue > 0:
            return [jnp.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        return list(gradients)

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

    # -- state

    @property
    def iterations(self):
        """Updates made so far."""
        if self.gradient_accumulation_steps:
            return self._iterations.read() // self.gradient_accumulation_steps
        return self._iterations

    def build(self, variables) -> None:
        """Make the state for these weights. `apply` does it if it was not done."""
        if self.built:
            return
        variables = list(variables)
        self._remember(variables)
        self._made_before = len(self._variables)
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._accumulators = [
                self.add_variable_from_reference(v, "gradient_accumulator") for v in variables
            ]
        self._slots: list[dict[str, Variable]] = [{} for _ in variables]
        for group in self.slot_names:
            for variable, own in zip(variables, self._slots, strict=True):
                if not variable.overwrite_with_gradient:
                    own |= self._build_slots(variable, group)
        wide = variables[0].dtype if variables else settings.floatx()
        self._shared = {
            n: self._new_variable(first, n, wide) for n, first in self.shared_slots.items()
        }
        self.built = True

    def _remember(self, variables):
        self._trainable_variables = variables
        self._positions = {v: i for i, v in enumerate(variables)}

    def follow(self, variables, before) -> None:
        """Go on with other weights, after layers were frozen or unfrozen.

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
        old = {self._identity(v): v for v in self._variables}
        del self._variables[self._made_before :]
        self.built = False
        self.build(variables)
        for variable in self._variables[self._made_before :]:
            known = old.get(self._identity(variable))
            if known is not None and known.shape == variable.shape:
                variable.assign(known.read())

    def _build_slots(self, variable, names):
        made = {}
        for name in names:
            # The array itself, not what a trace has made of it: state starts from concrete values.
            first = self.first_slot(name, variable._value, variable.path)
            if first is not None:
                first = processes.gather_to_host(first)
                made[name] = self._new_slot(variable, name, first, first.shape, first.dtype)
        return made

    def _get_variable_index(self, variable) -> int:
        """Position of a weight among those the optimizer was built with."""
        return self._positions[variable]

    # -- applying

    def apply_gradients(self, grads_and_vars) -> Variable:
        """`apply` on pairs of a gradient and its weight; returns the iterations."""
        grads, variables = zip(*grads_and_vars, strict=True)
        self.apply(grads, variables)
        return self._iterations

    def apply(self, grads, trainable_variables=None) -> None:
        """Update weights by their gradients, one each.

        Args:
            grads: Gradients; `None` leaves the weight as it is, with a warning.
            trainable_variables: Their weights. `None`: those the optimizer was built with.
        """
        grads = list(grads)
        if not grads:
            return
        variables = self._variables_of(grads, trainable_variables)
        grads, variables = self._without_missing(grads, variables)
        grads, variables = self._overwrite(grads, variables)
        if grads:
            grads = self._unscale(grads)
            with self._as_varied():
                if self.gradient_accumulation_steps:
                    self._accumulate(grads, variables)
                else:
                    self._update(grads, variables)
            if self.use_ema:
                self._average()
            for variable in variables:
                if variable.constraint is not None:
                    variable.assign(variable.constraint(variable.read()))
        self._iterations.assign_add(1)

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

    def _without_missing(self, grads, variables):
        pairs = list(zip(grads, variables, strict=True))
        found = [(g, v) for g, v in pairs if g is not None]
        if not found:
            raise ValueError(f"{self.name}: No gradients provided for any variable.")
        missing = [v.path for g, v in pairs if g is None]
        if missing:
            warnings.warn(
                f"Gradients do not exist for variables {missing} when minimizing the loss. "
                "If using `model.compile()`, did you forget to provide a `loss` argument?",
                stacklevel=3,
            )
        return [g for g, _ in found], [v for _, v in found]

    def _is_update_step(self):
        return (self._iterations.read() + 1) % self.gradient_accumulation_steps == 0

    def _overwrite(self, grads, variables):
        """Give weights their "gradient" as new value where they ask for it; return the rest."""
        rest = []
        for gradient, variable in zip(grads, variables, strict=True):
            if not variable.overwrite_with_gradient:
                rest.append((gradient, variable))
            elif self.gradient_accumulation_steps:
                held = self._accumulators[self._get_variable_index(variable)]
                largest, now = jnp.maximum(gradient, held.read()), self._is_update_step()
                variable.assign(jnp.where(now, largest, variable.read()))
                held.assign(jnp.where(now, 0, largest))
            else:
                variable.assign(gradient)
        return [g for g, _ in rest], [v for _, v in rest]

    def _accumulate(self, grads, variables):
        steps = self.gradient_accumulation_steps
        held = [self._accumulators[self._get_variable_index(v)] for v in variables]
        sums = [g + h.read() for g, h in zip(grads, held, strict=True)]

        def update():
            self._update([s / steps for s in sums], variables)
            for accumulator in held:
                accumulator.assign(jnp.zeros_like(accumulator.read()))

        def wait():
            for accumulator, value in zip(held, sums, strict=True):
                accumulator.assign(value)

        choose(self._is_update_step(), update, wait)

    def _update(self, grads, variables):
        rate = self.learning_rate
        grads = self._clip(grads)
        for variable in variables:
            weight = variable.read()
            decay = self._decay_of(weight, variable.path)
            if decay is not None and variable not in self._excluded[0]:
                variable.assign(weight - weight * decay * rate)
        shared = {name: v.read() for name, v in self._shared.items()}
        for name, value in self.advance_shared(shared, self.iterations + 1).items():
            self._shared[name].assign(value)
        update = self.update_step
        # A rule of a user's own may draw random numbers, and so have a state.
        is_pure = self._has_rule() and type(self).rule.__module__.startswith(f"{__package__}.")
        if is_pure and isinstance(grads[0], jax.core.Tracer):
            # Traced once for all weights of a shape.
            change_of = jax.jit(lambda *arguments: self._change(*arguments))
            update = partial(self._step, change_of)
        for gradient, variable in zip(grads, variables, strict=True):
            update(gradient, variable, rate)

    def _average(self):
        count = jnp.asarray(self.iterations)
        # The first average is the weights themselves.
        momentum = jnp.where(count == 0, 0.0, self.ema_momentum)
        for variable, average in zip(self._trainable_variables, self._averages, strict=True):
            if average is None:
                continue
            value = momentum * average.read() + (1 - momentum) * variable.read()
            average.assign(value)
            if self.ema_overwrite_frequency:
                due = (count + 1) % self.ema_overwrite_frequency == 0
                variable.assign(jnp.where(due, value, variable.read()))

    def finalize_variable_values(self, var_list) -> None:
        """Replace the weights by their moving averages, if those are kept."""
        if not self.use_ema:
            return
        if len(var_list) != len(self._averages):
            raise bad_argument(self, "var_list", f"of {len(self._averages)} weights", len(var_list))
        for variable, average in zip(var_list, self._averages, strict=True):
            if average is not None:
                variable.assign(average)

    def stateless_apply(self, optimizer_variables, grads, trainable_variables) -> tuple[list, list]:
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

    def scale_loss(self, loss):
        """The loss times `loss_scale_factor`: what to differentiate."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def exclude_from_weight_decay(self, var_list=None, var_names=None) -> None:
        """Keep weights from decaying. To be called before training.

        Args:
            var_list: Variables to exclude.
            var_names: Parts of names (regular expressions); Variables whose name has one of them
                are excluded.
        """
        self._excluded = (set(var_list or ()), "|".join(sorted(set(var_names or ()))))

    def _argument(self, parameter, given):
        if parameter.name == "learning_rate":
            rate = self._learning_rate
            return rate if callable(rate) else float(rate)
        return super()._argument(parameter, given)


def parameters(init: Callable) -> dict[str, inspect.Parameter]:
    """The arguments of a function by name."""
    return dict(inspect.signature(init).parameters)


def _spelled_out(init, base):
    """The signature of `init`, its `**kwargs` replaced by the arguments of `base` they may be."""
    own = parameters(init)
    if "learning_rate" in own and "kwargs" in own:
        del own["kwargs"]
        own |= {name: p for name, p in parameters(base).items() if name not in own}
    return inspect.Signature(list(own.values()))
