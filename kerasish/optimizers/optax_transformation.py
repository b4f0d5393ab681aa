"""An optimizer's rule on pytrees: what `Optimizer.as_optax` returns."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from kerasish.core.errors import bad_argument


class RuleState(NamedTuple):
    """State of an optimizer that runs as an optax transformation.

    Attributes:
        count: Updates made.
        learning_rate: Learning rate, to replace as one likes; `None` under a schedule.
        shared: Values that all weights share, by name.
        slots: Pytree of the parameters' structure, with a dict of slots by name for each leaf.
    """

    count: Any
    learning_rate: Any
    shared: dict
    slots: Any


def as_transformation(optimizer: Any) -> Any:
    """The optimizer's clipping, weight decay and rule as an `optax.GradientTransformation`.

    Args:
        optimizer: The optimizer.
    """
    # Here, because importing it takes as long as half of kerasish.
    import optax  # noqa: PLC0415

    _check(optimizer)
    scheduled = callable(optimizer._learning_rate)

    def init(params):
        def first(path, weight):
            return optimizer._first_slots(weight, _name(path))

        slots = jax.tree_util.tree_map_with_path(first, params)
        rate = None if scheduled else jnp.asarray(optimizer.learning_rate)
        shared = {name: jnp.asarray(value) for name, value in optimizer.shared_slots.items()}
        return RuleState(jnp.zeros((), "int32"), rate, shared, slots)

    def update(updates, state, params=None):
        if params is None:
            raise bad_argument(optimizer, "params", "given to `update`", params)
        named, tree = jax.tree_util.tree_flatten_with_path(params)
        gradients, slots = tree.flatten_up_to(updates), tree.flatten_up_to(state.slots)
        rate = optimizer.learning_rate_at(state.count) if scheduled else state.learning_rate
        step = state.count + 1
        shared = optimizer.advance_shared(state.shared, step)
        changes, kept = [], []
        gradients = optimizer._clip_gradients(optimizer._unscale(gradients))
        for (path, weight), gradient, own in zip(named, gradients, slots, strict=True):
            decay = optimizer._decay_of(weight, _name(path))
            decayed = 0 if decay is None else -weight * decay * rate
            change, new = optimizer._change(
                gradient, weight + decayed, {**own, **shared}, rate, step
            )
            changes.append(change + decayed)
            kept.append({name: new[name] for name in own})
        new_state = RuleState(step, state.learning_rate, shared, tree.unflatten(kept))
        return tree.unflatten(changes), new_state

    return optax.GradientTransformation(init, update)


def _name(path):
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _check(optimizer):
    if not optimizer._has_rule():
        raise TypeError(
            f"{optimizer.name}: has no `rule`, so it cannot become an optax transformation. Write "
            "`rule` instead of `update_step`."
        )
    if optimizer.use_ema:
        hint = "Use `optax.ema` in your own loop."
        raise bad_argument(optimizer, "use_ema", "False for `as_optax`", True, hint)
    if optimizer.learning_rate_factors:
        raise TypeError(
            f"{optimizer.name}: scales learning rates by the paths of a model's weights, which an "
            "optax transformation does not know. Use `optax.multi_transform`."
        )
    steps = optimizer.gradient_accumulation_steps
    if steps:
        hint = "Wrap the transformation in `optax.MultiSteps`."
        raise bad_argument(
            optimizer, "gradient_accumulation_steps", "None for `as_optax`", steps, hint
        )
