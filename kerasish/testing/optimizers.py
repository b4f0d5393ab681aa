"""Checks of optimizers."""

from collections.abc import Mapping, Sequence

import jax.numpy as jnp
import numpy as np

from kerasish.core.state.compiled import jit
from kerasish.core.state.variable import Variable
from kerasish.layers import Dense, Input
from kerasish.models import Model
from kerasish.optimizers import Optimizer
from kerasish.testing.checks import (
    AT_ZERO,
    KEEP_ARGUMENTS,
    ONLY_JAX,
    attempt,
    check_config,
    own_names,
    require,
    require_close,
    require_finite,
    run_checks,
    through_file,
    twin,
)

STEPS = 6


def check_optimizer(
    optimizer: Optimizer,
    *,
    custom_objects: Mapping | None = None,
    without: Sequence[str] = (),
    rtol: float = 1e-5,
    atol: float = 1e-6,
) -> None:
    """Check that an optimizer does what every optimizer must.

    `updates`: it changes every weight that has a gradient, to finite values. `config`: it makes
    the optimizer again. `compiling`: compiled it gives the same weights and state. `saving`: a
    model compiled with it comes back from a file with its state, and trains on alike.

    Args:
        optimizer: The optimizer; it is not changed, copies of it are made from its config.
        custom_objects: Names to further classes and functions of yours that its config needs.
        without: Names of checks to leave out.
        rtol: Relative difference allowed between results that should be equal.
        atol: Absolute difference allowed.

    Raises:
        AssertionError: Says what failed and what to do.

    Example:
        >>> class Signs(keras.optimizers.Optimizer):
        ...     def rule(self, gradient, weight, slots, learning_rate, step):
        ...         return -learning_rate * jnp.sign(gradient), {}
        >>> check_optimizer(Signs(0.1))
    """
    is_one = isinstance(optimizer, Optimizer)
    require(is_one, optimizer, "it is no optimizer", "Derive it from `keras.optimizers.Optimizer`.")
    names = own_names(optimizer, custom_objects)
    tolerance = {"rtol": rtol, "atol": atol}

    def fresh():
        with attempt(optimizer, "making it again from its config", KEEP_ARGUMENTS):
            return twin(optimizer, names)

    def updates():
        weights, _ = _train(fresh(), compiled=False, who=optimizer)
        for before, after in zip(_first_weights(), weights, strict=True):
            require(
                np.any(before != after),
                optimizer,
                f"a weight of shape {before.shape} did not change in {STEPS} steps",
                "`rule` must return the change to add; `update_step` must assign to the variable.",
            )
        require_finite(optimizer, weights, "it makes weights that are not finite", AT_ZERO)

    def compiling():
        eager, compiled = (_train(fresh(), compiled=c, who=optimizer) for c in (False, True))
        require_close(
            optimizer,
            compiled,
            eager,
            "compiled it makes other weights or state",
            f"Keep all that changes in slots or Variables. {ONLY_JAX}",
            **tolerance,
        )

    checks = {
        "updates": updates,
        "config": lambda: check_config(optimizer, names),
        "compiling": compiling,
        "saving": lambda: _check_saving(optimizer, fresh(), names, tolerance),
    }
    run_checks(checks, without)


def _check_saving(optimizer, copy, names, tolerance):
    inputs = Input((3,))
    model = Model(inputs, Dense(2)(inputs))
    model.compile(copy, "mse")
    x, y = np.random.default_rng(0).normal(size=(2, 8, 3)).astype("float32")
    model.train_on_batch(x, y[:, :2])
    loaded = through_file(optimizer, model, names)
    both = [[v.read() for v in m.optimizer.variables] for m in (loaded, model)]
    require_close(
        optimizer,
        *both,
        "its state is not what was saved",
        "Make all state in `build`, by `add_variable_from_reference` or `slot_names`.",
        **tolerance,
    )
    for each in (loaded, model):
        each.train_on_batch(x, y[:, :2])
    require_close(
        optimizer,
        loaded.get_weights(),
        model.get_weights(),
        "after loading it trains on otherwise",
        "All that it computes with must be in its config or its state.",
        **tolerance,
    )


def _first_weights():
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype("float32") for shape in ((3, 2), (2,))]


def _train(optimizer, compiled, who):
    """Weights and state after some steps towards 0."""
    variables = [Variable(w, name=name) for w, name in zip(_first_weights(), "ab", strict=True)]

    def step(pull):
        optimizer.apply([v.value * pull for v in variables], variables)

    run = jit(step) if compiled else step
    with attempt(who, "applying gradients", "See the error above."):
        for i in range(STEPS):
            run(jnp.float32(1 + i / STEPS))
    return [v.numpy() for v in variables], [v.numpy() for v in optimizer.variables]
