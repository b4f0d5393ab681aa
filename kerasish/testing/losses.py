"""Checks of losses and metrics."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish import losses, metrics
from kerasish.core import dtypes
from kerasish.core.state.scope import Scope
from kerasish.core.symbolic.inference import infer
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.layers import Identity, Input
from kerasish.losses import Loss, LossFunctionWrapper
from kerasish.metrics import MeanMetricWrapper, Metric
from kerasish.models import Model
from kerasish.testing.checks import (
    AT_ZERO,
    IN_CONFIG,
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


def check_loss(
    loss: Loss | Callable,
    y_true: Any,
    y_pred: Any,
    *,
    custom_objects: Mapping | None = None,
    without: Sequence[str] = (),
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> None:
    """Check that a loss does what every loss must.

    `values`: one number per sample (or per step of a sample), from which reductions and sample
    weights follow. `config`: it makes the loss again. `shapes`: it takes batches of unknown size.
    `compiling`: compiled it gives the same. `gradients`: they are finite and not all zero.
    `mixed_precision`: predictions in 16 bits give a finite loss in 32. `saving`: a model compiled
    with it comes back from a file with the same loss.

    Args:
        loss: A `Loss`, or a function `(y_true, y_pred)`.
        y_true: Targets, at least 2 samples.
        y_pred: Predictions of these, not perfect ones.
        custom_objects: Names to further classes and functions of yours that its config needs.
        without: Names of checks to leave out.
        rtol: Relative difference allowed between results that should be equal.
        atol: Absolute difference allowed.

    Raises:
        AssertionError: Says what failed and what to do.

    Example:
        >>> def worst(y_true, y_pred):
        ...     return abs(y_true - y_pred).max(axis=-1)
        >>> check_loss(worst, np.zeros((4, 2)), np.ones((4, 2)))
    """
    case = _LossCase(loss, (y_true, y_pred), custom_objects, {"rtol": rtol, "atol": atol})
    checks = {
        "values": case.check_values,
        "config": lambda: check_config(loss, case.names),
        "shapes": case.check_shapes,
        "compiling": case.check_compiling,
        "gradients": case.check_gradients,
        "mixed_precision": case.check_mixed_precision,
        "saving": case.check_saving,
    }
    run_checks(checks, without)


class _LossCase:
    """A loss and the batch it is checked on."""

    def __init__(self, loss, batch, custom_objects, tolerance):
        self.given, self.tolerance = loss, tolerance
        self.names = own_names(loss, custom_objects)
        self.y_true, self.y_pred = (np.asarray(y) for y in batch)
        if self.y_pred.dtype == "float64":
            self.y_pred = self.y_pred.astype("float32")
        self.loss = loss if isinstance(loss, Loss) else LossFunctionWrapper(loss)

    def reduced(self, reduction, *weights):
        before, self.loss.reduction = self.loss.reduction, reduction
        try:
            return self.loss(self.y_true, self.y_pred, *weights)
        finally:
            self.loss.reduction = before

    def check_values(self):
        rows = len(self.y_true)
        with attempt(
            self.given,
            f"calling it on {self.y_true.shape} and {self.y_pred.shape}",
            "It must be a function of `(y_true, y_pred)`.",
        ):
            values = self.reduced("none")
        require(
            values.shape[:1] == (rows,),
            self.given,
            f"for {rows} samples it returns shape {values.shape}",
            f"Return one value per sample, shape ({rows},): take the mean over the last axis only "
            "(`axis=-1`). The reduction does the rest, and sample weights need it.",
        )
        weights = np.linspace(0.5, 1.5, rows).astype("float32")
        spread = weights.reshape(-1, *[1] * (values.ndim - 1))
        require_close(
            self.given,
            self.reduced("sum", weights),
            jnp.sum(values * spread),
            "a weighted sum is not the sum of weighted values",
            "Leave weights and reduction to the base class: override `call`, not `__call__`.",
            **self.tolerance,
        )

    def check_shapes(self):
        unknown = [
            KerasTensor((None, *y.shape[1:]), y.dtype.name) for y in (self.y_true, self.y_pred)
        ]
        with attempt(
            self.given,
            "calling it on a batch of unknown size",
            f"Use no Python `if` on `shape[0]`. {ONLY_JAX}",
        ):
            infer(lambda t, p: self.loss(t, p), *unknown)

    def check_compiling(self):
        with attempt(self.given, "compiling it", ONLY_JAX):
            compiled = jax.jit(lambda t, p: self.loss(t, p))(self.y_true, self.y_pred)
        eager = self.loss(self.y_true, self.y_pred)
        require_close(
            self.given,
            compiled,
            eager,
            "compiled it gives another value",
            "It must depend only on its arguments.",
            **self.tolerance,
        )

    def check_gradients(self):
        grads = jax.jit(jax.grad(lambda p: jnp.sum(self.loss(self.y_true, p))))(
            jnp.asarray(self.y_pred, "float32")
        )
        require_finite(
            self.given,
            grads,
            "its gradient is not finite",
            AT_ZERO,
        )
        require(
            np.any(np.asarray(grads)),
            self.given,
            "its gradient is 0 everywhere",
            "Rounding, comparisons and integer casts stop gradients; so does a perfect `y_pred`.",
        )

    def check_mixed_precision(self):
        value = self.loss(self.y_true, jnp.asarray(self.y_pred, "bfloat16"))
        require(
            value.dtype.name == self.loss.dtype,
            self.given,
            f"for predictions in bfloat16 it returns {value.dtype}",
            f"Compute in {self.loss.dtype}, as the base class casts its arguments.",
        )
        require_finite(
            self.given,
            value,
            "for predictions in bfloat16 it is not finite",
            AT_ZERO,
        )

    def check_saving(self):
        model = _model_of(self.y_pred)
        model.compile(loss=self.given)
        loaded = through_file(self.given, model, self.names)
        found = losses.get(loaded.loss)
        found = found if isinstance(found, Loss) else LossFunctionWrapper(found)
        require_close(
            self.given,
            found(self.y_true, self.y_pred),
            self.loss(self.y_true, self.y_pred),
            "after loading it gives another value",
            IN_CONFIG,
            **self.tolerance,
        )


def check_metric(
    metric: Metric | Callable,
    y_true: Any,
    y_pred: Any,
    *,
    custom_objects: Mapping | None = None,
    without: Sequence[str] = (),
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> None:
    """Check that a metric does what every metric must.

    `result`: a finite number, or a dict or array of them. `batches`: the same however the samples
    are cut into batches. `reset`: `reset_state` forgets everything. `config`: it makes the metric
    again. `compiling`: compiled it gives the same, and all that changes is in its Variables.
    `mixed_precision`: predictions in 16 bits work. `saving`: a model compiled with it comes back
    from a file with the same metric.

    Args:
        metric: A `Metric`, or a function `(y_true, y_pred)` of one value per sample.
        y_true: Targets, at least 2 samples.
        y_pred: Predictions of these.
        custom_objects: Names to further classes and functions of yours that its config needs.
        without: Names of checks to leave out.
        rtol: Relative difference allowed between results that should be equal.
        atol: Absolute difference allowed.

    Raises:
        AssertionError: Says what failed and what to do.

    Example:
        >>> class Largest(keras.metrics.Metric):
        ...     def __init__(self, name="largest", dtype=None):
        ...         super().__init__(dtype, name)
        ...         self.seen = self.add_variable((), "zeros", name="seen")
        ...
        ...     def update_state(self, y_true, y_pred, sample_weight=None):
        ...         worst = jnp.max(abs(y_true - y_pred))
        ...         self.seen.assign(jnp.maximum(self.seen, worst))
        ...
        ...     def result(self):
        ...         return self.seen.value
        >>> check_metric(Largest(), np.zeros((4, 2)), np.ones((4, 2)))
    """
    case = _MetricCase(metric, (y_true, y_pred), custom_objects, {"rtol": rtol, "atol": atol})
    checks = {
        "result": case.check_result,
        "batches": case.check_batches,
        "reset": case.check_reset,
        "config": lambda: check_config(metric, case.names),
        "compiling": case.check_compiling,
        "mixed_precision": case.check_mixed_precision,
        "saving": case.check_saving,
    }
    run_checks(checks, without)


class _MetricCase:
    """A metric and the batch it is checked on."""

    def __init__(self, metric, batch, custom_objects, tolerance):
        self.given, self.tolerance = metric, tolerance
        self.names = own_names(metric, custom_objects)
        self.y_true, self.y_pred = (jnp.asarray(np.asarray(y)) for y in batch)
        cut = max(1, len(self.y_true) // 3)
        self.some = self.y_true[:cut], self.y_pred[:cut]

    def fresh(self):
        if not isinstance(self.given, Metric):
            return MeanMetricWrapper(self.given)
        with attempt(self.given, "making it again from its config", KEEP_ARGUMENTS):
            return twin(self.given, self.names)

    def after(self, *batches):
        """The result after some batches."""
        metric = self.fresh()
        with attempt(self.given, "`update_state(y_true, y_pred)`", "See the error above."):
            for batch in batches:
                metric.update_state(*batch)
        with attempt(
            self.given, "`result()`", "Return a number, or a dict of them, from the state."
        ):
            return metric.result()

    def check_result(self):
        value = self.after((self.y_true, self.y_pred))
        require(
            jax.tree.leaves(value),
            self.given,
            f"its `result()` is {value!r}",
            "Return a number, or a dict of them.",
        )
        require_finite(self.given, value, f"its result is {value}", AT_ZERO)

    def check_batches(self):
        cut = len(self.some[0])
        parts = [self.some, (self.y_true[cut:], self.y_pred[cut:])]
        require_close(
            self.given,
            self.after(*parts),
            self.after((self.y_true, self.y_pred)),
            "it depends on how the samples are cut into batches",
            "Keep sums and counts over samples, and divide in `result`; a function must return one "
            "value per sample.",
            **self.tolerance,
        )

    def check_reset(self):
        metric, batch = self.fresh(), (self.y_true, self.y_pred)
        metric.update_state(*self.some)
        metric.reset_state()
        metric.update_state(*batch)
        require_close(
            self.given,
            metric.result(),
            self.after(batch),
            "`reset_state` does not forget everything",
            "Make state with `add_variable`; then `reset_state` needs no override.",
            **self.tolerance,
        )

    def check_compiling(self):
        metric = self.fresh()

        def run(y_true, y_pred):
            state = metric.stateless_update_state(start, y_true, y_pred)
            return state, metric.stateless_result(state)

        with Scope():  # what is made only with the first batch
            metric.update_state(self.y_true, self.y_pred)
        start = [v.read() for v in metric.variables]
        with attempt(self.given, "compiling it", ONLY_JAX):
            _, compiled = jax.jit(run)(self.y_true, self.y_pred)
        require_close(
            self.given,
            compiled,
            self.after((self.y_true, self.y_pred)),
            "compiled it gives another result",
            "Keep all that changes in Variables made by `add_variable`, not in plain attributes.",
            **self.tolerance,
        )

    def check_mixed_precision(self):
        narrow = (
            self.y_pred.astype("bfloat16") if dtypes.is_float(self.y_pred.dtype) else self.y_pred
        )
        value = self.after((self.y_true, narrow))
        require_finite(
            self.given,
            value,
            "for predictions in bfloat16 it is not finite",
            AT_ZERO,
        )

    def check_saving(self):
        model = _model_of(np.asarray(self.y_pred))
        # The one that went through a file is in what the loaded model was compiled with.
        model.compile(loss="mse", metrics=[self.given])
        loaded = through_file(self.given, model, self.names)
        (found,) = loaded._compile_arguments["metrics"]
        found = metrics.get(found)
        found = found if isinstance(found, Metric) else MeanMetricWrapper(found)
        require_close(
            self.given,
            found(self.y_true, self.y_pred),
            self.after((self.y_true, self.y_pred)),
            "after loading it gives another result",
            IN_CONFIG,
            **self.tolerance,
        )


def _model_of(y_pred):
    """The smallest model whose outputs look like `y_pred`."""
    inputs = Input(y_pred.shape[1:], dtype=y_pred.dtype.name)
    return Model(inputs, Identity()(inputs))
