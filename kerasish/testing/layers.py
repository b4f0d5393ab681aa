"""Checks of layers."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes
from kerasish.core.state.compiled import jit
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers import Input, Layer
from kerasish.models import Model
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


def check_layer(
    layer: Layer,
    inputs: Any,
    *,
    custom_objects: Mapping | None = None,
    without: Sequence[str] = (),
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> None:
    """Check that a layer does what every layer must.

    `config`: its config is plain data and makes it again. `shapes`: symbolic tensors give the
    shape and dtype that arrays give. `compiling`: compiled it computes what it does eagerly, in
    training and out of it, and keeps no traced value. `gradients`: they are finite and reach every
    trainable weight. `mixed_precision`: it computes in 16 bits and keeps weights in 32. `saving`:
    a model with it comes back from a file with equal outputs.

    Args:
        layer: The layer; it is not changed, copies of it are made from its config.
        inputs: An array, or a list or dict of them, to call it on; a tuple of arrays for several
            arguments. Instead of each array, a shape draws random numbers.
        custom_objects: Names to further classes and functions of yours that its config needs.
        without: Names of checks to leave out.
        rtol: Relative difference allowed between results that should be equal.
        atol: Absolute difference allowed.

    Raises:
        AssertionError: Says what failed and what to do.

    Example:
        >>> class Scale(keras.layers.Layer):
        ...     def build(self, input_shape):
        ...         self.factor = self.add_weight(shape=(input_shape[-1],), initializer="ones")
        ...
        ...     def call(self, inputs):
        ...         return inputs * self.factor
        >>> check_layer(Scale(), (2, 3))
    """
    require(
        isinstance(layer, Layer), layer, "it is no layer", "Derive it from `keras.layers.Layer`."
    )
    case = _Case(layer, inputs, custom_objects, rtol, atol)
    checks = {
        "config": lambda: check_config(layer, case.names),
        "shapes": case.check_shapes,
        "compiling": case.check_compiling,
        "gradients": case.check_gradients,
        "mixed_precision": case.check_mixed_precision,
        "saving": case.check_saving,
    }
    run_checks(checks, without)


class _Case:
    """A layer, the arguments of its call, and what the checks find out about it on the way."""

    def __init__(self, layer, inputs, custom_objects, rtol, atol):
        self.layer = layer
        self.names = own_names(layer, custom_objects)
        self.tolerance = {"rtol": rtol, "atol": atol}
        drawn = _draw(inputs, np.random.default_rng(0))
        self.args: tuple[Any, ...] = drawn if isinstance(drawn, tuple) else (drawn,)
        self.ran = None

    def fresh(self, change=lambda config: config):
        with attempt(
            self.layer,
            "making it again from its config",
            KEEP_ARGUMENTS,
        ):
            return twin(self.layer, self.names, change)

    def call(self, layer, *args):
        with attempt(layer, f"calling it on shapes {_shapes(self.args)}", "See the error above."):
            return layer(*args)

    def symbols(self, make):
        return jax.tree.map(lambda x: make((None, *x.shape[1:]), x.dtype.name), self.args)

    def check_shapes(self):
        real = self.call(self.fresh(), *self.args)
        with attempt(
            self.layer,
            "calling it on symbolic tensors, as functional models do",
            f"Sizes may be unknown there: no Python `if` on `x.shape[0]`. {ONLY_JAX}",
        ):
            promised = self.fresh()(*self.symbols(KerasTensor))
        for p, r in zip(jax.tree.leaves(promised), jax.tree.leaves(real), strict=True):
            alike = len(p.shape) == r.ndim and all(
                a in (None, b) for a, b in zip(p.shape, r.shape, strict=True)
            )
            require(
                alike and p.dtype == r.dtype.name,
                self.layer,
                f"symbolic tensors promise {p.dtype}{p.shape}, arrays give {r.dtype.name}{r.shape}",
                "Leave out `compute_output_shape`: JAX infers it from `call`.",
            )

    def run(self):
        """Eager and compiled results, and gradients, in every mode."""
        if self.ran is not None:
            return self.ran
        layer = self.fresh()
        self.call(layer, *self.args)
        modes = [{"training": False}, {"training": True}] if _takes_training(layer) else [{}]
        trained = [_moved(v, i) for i, v in enumerate(layer.trainable_variables)]
        others = [v.read() for v in layer.non_trainable_variables]

        def run(trained):
            return [
                layer.stateless_call(trained, others, *self.args, return_losses=True, **mode)
                for mode in modes
            ]

        def total(trained):
            sums, seen = [jnp.zeros(())], run(trained)
            for y, _, losses in seen:
                sums += [*map(_weighted_sum, jax.tree.leaves(y)), *map(jnp.sum, losses)]
            return sum(sums), seen

        eager = run(trained)
        with attempt(
            layer,
            "compiling it",
            f"{ONLY_JAX} Keep whatever changes in weights.",
        ):
            grads, compiled = jax.jit(jax.grad(total, has_aux=True))(trained)
        self.ran = layer, eager, compiled, grads
        return self.ran

    def check_compiling(self):
        layer, eager, compiled, _ = self.run()
        require_close(
            layer,
            compiled,
            eager,
            "compiled results are not the eager ones",
            "`call` must depend only on its arguments and weights: no Python state, no NumPy "
            "random numbers.",
            **self.tolerance,
        )
        held = [
            f"{part.name}.{name}"
            for part in layer._flatten_layers()
            for name, value in vars(part).items()
            if any(isinstance(leaf, jax.core.Tracer) for leaf in _leaves(value))
        ]
        require(
            not held,
            layer,
            f"after a compiled call, {held} hold traced values",
            "Keep what outlives `call` in a weight made by `add_weight(..., trainable=False)`, and "
            "`assign` to it.",
        )

    def check_gradients(self):
        layer, _, _, grads = self.run()
        pairs = list(zip(layer.trainable_variables, grads, strict=True))
        without = [v.path for v, g in pairs if not np.any(np.asarray(g, "float32"))]
        require(
            not without,
            layer,
            f"no gradient reaches {without}",
            "Use them in `call` (rounding, argmax and integer casts stop gradients), or make them "
            "with `trainable=False`.",
        )
        require_finite(
            layer,
            grads,
            "its gradients are not finite",
            AT_ZERO,
        )

    def check_mixed_precision(self):
        before = dtypes.dtype_policy()
        dtypes.set_dtype_policy("mixed_bfloat16")
        try:
            layer = self.fresh(_in_16_bits)
            call = functools.partial(layer, training=True) if _takes_training(layer) else layer
            with attempt(layer, "calling it under the policy 'mixed_bfloat16'", ONLY_JAX):
                outputs = jit(call)(*self.args)
        finally:
            dtypes.set_dtype_policy(before)
        wide = {
            y.dtype.name for y in jax.tree.leaves(outputs) if y.dtype.name in ("float32", "float64")
        }
        require(
            not wide,
            layer,
            f"under the policy 'mixed_bfloat16' it returns {sorted(wide)}",
            "Use `self.compute_dtype` for arrays made in `call`, or let numbers be Python's.",
        )
        narrow = [v.path for v in layer.trainable_variables if v.read().dtype.name == "bfloat16"]
        require(
            not narrow,
            layer,
            f"under the policy 'mixed_bfloat16', {narrow} are kept in 16 bits",
            "Make weights with `add_weight` without a dtype, or with `dtype=self.variable_dtype`.",
        )
        require_finite(
            layer,
            outputs,
            "its outputs in bfloat16 are not finite",
            AT_ZERO,
        )

    def check_saving(self):
        inputs = self.symbols(lambda shape, dtype: Input(batch_shape=shape, dtype=dtype))
        layer = self.fresh()
        outputs = self.call(layer, *inputs)
        model = Model(inputs if len(inputs) > 1 else inputs[0], outputs)
        for i, variable in enumerate(layer.trainable_variables):
            variable.assign(_moved(variable, i))
        loaded = through_file(self.layer, model, self.names)
        require_close(
            self.layer,
            [v.read() for v in loaded.weights],
            [v.read() for v in model.weights],
            "its weights are not what was saved",
            "Make every weight in `__init__` or `build`, in an order that does not change.",
            **self.tolerance,
        )
        x: Any = self.args
        x = x if len(x) > 1 else x[0]
        y = model(x, training=False)
        if _same(y, model(x, training=False)):  # else it draws random numbers all the time
            require_close(
                self.layer,
                loaded(x, training=False),
                y,
                "after loading it computes something else",
                "Keep what it computes with in weights and arguments: files hold nothing else.",
                **self.tolerance,
            )


def _draw(inputs, rng):
    """Arrays as they are, shapes as random numbers, in the same structure."""
    if isinstance(inputs, tuple) and all(isinstance(n, int) for n in inputs):
        return rng.normal(size=inputs).astype("float32")
    if isinstance(inputs, list | tuple):
        return type(inputs)(_draw(x, rng) for x in inputs)
    if isinstance(inputs, dict):
        return {name: _draw(x, rng) for name, x in inputs.items()}
    x = np.asarray(inputs)
    return x.astype("float32") if x.dtype == "float64" else x


def _shapes(args):
    shapes = [tuple(x.shape) for x in jax.tree.leaves(args)]
    return shapes[0] if len(shapes) == 1 else shapes


def _takes_training(layer):
    return "training" in inspect.signature(layer.call).parameters


def _moved(variable, i):
    """The value a little off: no gradient is 0 by symmetry, no weight is as it was made."""
    value = variable.read()
    noise = np.random.default_rng(i).uniform(0.1, 0.3, value.shape)
    return value + noise.astype(value.dtype)


def _weighted_sum(y):
    if not dtypes.is_float(y.dtype):
        return jnp.zeros(())
    return jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape).astype(y.dtype)).astype(
        "float32"
    )


def _leaves(value):
    return jax.tree.leaves(value) if isinstance(value, list | tuple | dict) else [value]


def _in_16_bits(config):
    """The config with every policy in it mixed."""
    if isinstance(config, list | tuple):
        return type(config)(map(_in_16_bits, config))
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        return {**config, "config": {"name": "mixed_bfloat16"}}
    return {name: _in_16_bits(value) for name, value in config.items()}


def _same(a, b):
    return all(
        np.array_equal(np.asarray(x), np.asarray(y), equal_nan=np.asarray(x).dtype.kind == "f")
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )
