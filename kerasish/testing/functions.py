"""Checks of what is called on one weight: initializers, regularizers, constraints."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import constraints, initializers, regularizers
from kerasish.core import settings
from kerasish.layers import Input, Layer
from kerasish.models import Model
from kerasish.testing.checks import (
    AT_ZERO,
    IN_CONFIG,
    ONLY_JAX,
    attempt,
    check_config,
    own_names,
    require,
    require_close,
    require_finite,
    run_checks,
    through_file,
)

OF_THE_WEIGHT = "It must be a function of the weight, and of nothing that changes."


class _Holder(Layer):
    """A layer with one weight of any shape, for what is given to `add_weight`."""

    def __init__(
        self, shape, initializer: Any = "ones", regularizer=None, constraint=None, **kwargs
    ):
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.initializer = initializers.get(initializer)
        self.regularizer = regularizers.get(regularizer)
        self.constraint = constraints.get(constraint)

    def build(self, input_shape):
        self.weight = self.add_weight(
            shape=self.shape,
            initializer=self.initializer,
            regularizer=self.regularizer,
            constraint=self.constraint,
        )

    def call(self, inputs):
        return inputs + jnp.sum(self.weight.value)


def _held_in_file(obj, names, shape, **arguments):
    """The holder's weight, from a model that was saved with `obj` and loaded again."""
    inputs = Input((1,))
    model = Model(inputs, _Holder(shape, **arguments)(inputs))
    loaded = through_file(obj, model, {**names, "_Holder": _Holder})
    return model.layers[-1], loaded.layers[-1]


def check_initializer(
    initializer: Callable,
    shape: tuple = (8, 4),
    *,
    custom_objects: Mapping | None = None,
    without: Sequence[str] = (),
) -> None:
    """Check that an initializer does what every initializer must.

    `values`: finite arrays of the shape and dtype asked for, in 16 and 32 bits. `config`: it makes
    the initializer again. `compiling`: layers may be built with it in compiled functions. `saving`:
    a model with it comes back from a file.

    Args:
        initializer: An `Initializer`, or a function `(shape, dtype=None)`.
        shape: Shape to ask for.
        custom_objects: Names to further classes and functions of yours that its config needs.
        without: Names of checks to leave out.

    Raises:
        AssertionError: Says what failed and what to do.

    Example:
        >>> def small(shape, dtype=None):
        ...     return np.random.default_rng(0).normal(0, 0.01, shape).astype(dtype)
        >>> check_initializer(small)
    """
    names = own_names(initializer, custom_objects)

    def values():
        for dtype in (settings.floatx(), "bfloat16"):
            with attempt(
                initializer,
                f"calling it with ({shape}, dtype={dtype!r})",
                "It must be a function of `(shape, dtype=None)`.",
            ):
                made = initializer(shape, dtype=dtype)
            require(
                np.shape(made) == tuple(shape) and made.dtype.name == dtype,
                initializer,
                f"asked for {dtype}{tuple(shape)} it gives {made.dtype.name}{np.shape(made)}",
                "Make the array with the shape and dtype it is called with.",
            )
            require_finite(initializer, made, "it gives values that are not finite", AT_ZERO)

    def compiling():
        layer = _Holder(shape, initializer=initializer)
        with attempt(
            initializer,
            "building a layer with it in a compiled function",
            "Draw with `keras.random` or NumPy, from a seed of its own.",
        ):
            jax.jit(lambda x: layer.stateless_call([], [], x) if layer.built else layer(x))(
                np.ones((2, 1))
            )

    checks = {
        "values": values,
        "config": lambda: check_config(initializer, names),
        "compiling": compiling,
        "saving": lambda: _held_in_file(initializer, names, shape, initializer=initializer),
    }
    run_checks(checks, without)


def check_regularizer(
    regularizer: Callable,
    shape: tuple = (4, 3),
    *,
    custom_objects: Mapping | None = None,
    without: Sequence[str] = (),
) -> None:
    """Check that a regularizer does what every regularizer must.

    `values`: one finite number for a weight, in 16 and 32 bits. `config`: it makes the regularizer
    again. `compiling`: compiled it gives the same. `gradients`: they are finite, at 0 too, and not
    all zero. `saving`: a model with it comes back from a file, with the same penalty.

    Args:
        regularizer: A `Regularizer`, or a function of a weight.
        shape: Shape of the weight to try.
        custom_objects: Names to further classes and functions of yours that its config needs.
        without: Names of checks to leave out.

    Raises:
        AssertionError: Says what failed and what to do.

    Example:
        >>> def uneven(x):
        ...     return 0.1 * jnp.var(x)
        >>> check_regularizer(uneven)
    """
    names = own_names(regularizer, custom_objects)
    weight = jnp.asarray(np.random.default_rng(0).normal(size=shape), "float32")

    def gradients():
        run = jax.jit(jax.grad(lambda w: jnp.asarray(regularizer(w), "float32")))
        for at in (weight, jnp.zeros_like(weight)):
            require_finite(
                regularizer,
                run(at),
                "its gradient is not finite",
                "A root or a norm has no gradient at 0: bound what is under it from below.",
            )
        require(
            np.any(np.asarray(run(weight))),
            regularizer,
            "its gradient is 0 everywhere",
            "Rounding, comparisons and integer casts stop gradients.",
        )

    def saving():
        before, after = _held_in_file(regularizer, names, shape, regularizer=regularizer)
        require_close(
            regularizer,
            after.losses,
            before.losses,
            "after loading its penalty is another",
            IN_CONFIG,
        )

    checks = {
        "values": lambda: _check_penalty(regularizer, weight),
        "config": lambda: check_config(regularizer, names),
        "compiling": lambda: _check_compiled(regularizer, weight),
        "gradients": gradients,
        "saving": saving,
    }
    run_checks(checks, without)


def _check_penalty(regularizer, weight):
    for dtype in ("float32", "bfloat16"):
        with attempt(
            regularizer,
            f"calling it on a {dtype} weight",
            OF_THE_WEIGHT,
        ):
            value = regularizer(weight.astype(dtype))
        require(
            np.shape(value) == (),
            regularizer,
            f"it returns shape {np.shape(value)} for a weight of shape {weight.shape}",
            "Return one number: the sum (or mean) of the penalties.",
        )
        require_finite(
            regularizer,
            value,
            "its penalty is not finite",
            AT_ZERO,
        )


def check_constraint(
    constraint: Callable,
    shape: tuple = (4, 3),
    *,
    custom_objects: Mapping | None = None,
    without: Sequence[str] = (),
) -> None:
    """Check that a constraint does what every constraint must.

    `values`: a finite weight of the same shape and dtype, for zeros too. `config`: it makes the
    constraint again. `compiling`: compiled it gives the same. `saving`: a model with it comes back
    from a file, with the same constraint.

    Args:
        constraint: A `Constraint`, or a function of a weight.
        shape: Shape of the weight to try.
        custom_objects: Names to further classes and functions of yours that its config needs.
        without: Names of checks to leave out.

    Raises:
        AssertionError: Says what failed and what to do.

    Example:
        >>> def bounded(w):
        ...     return jnp.clip(w, -1, 1)
        >>> check_constraint(bounded)
    """
    names = own_names(constraint, custom_objects)
    weight = jnp.asarray(np.random.default_rng(0).normal(size=shape), "float32")

    def values():
        for w in (weight, weight.astype("bfloat16"), jnp.zeros_like(weight)):
            with attempt(
                constraint,
                f"calling it on a {w.dtype} weight",
                OF_THE_WEIGHT,
            ):
                made = constraint(w)
            require(
                np.shape(made) == w.shape and made.dtype == w.dtype,
                constraint,
                f"for {w.dtype}{w.shape} it returns {made.dtype}{np.shape(made)}",
                "Return the weight changed, in its own shape and dtype.",
            )
            require_finite(constraint, made, "it gives values that are not finite", AT_ZERO)

    def saving():
        before, after = _held_in_file(constraint, names, shape, constraint=constraint)
        require_close(
            constraint,
            after.weight.constraint(weight),
            before.weight.constraint(weight),
            "after loading it gives another weight",
            IN_CONFIG,
        )

    checks = {
        "values": values,
        "config": lambda: check_config(constraint, names),
        "compiling": lambda: _check_compiled(constraint, weight),
        "saving": saving,
    }
    run_checks(checks, without)


def _check_compiled(fn, weight):
    with attempt(
        fn,
        "compiling it",
        ONLY_JAX,
    ):
        compiled = jax.jit(lambda w: fn(w))(weight)
    require_close(
        fn,
        compiled,
        fn(weight),
        "compiled it gives another value",
        OF_THE_WEIGHT,
    )
