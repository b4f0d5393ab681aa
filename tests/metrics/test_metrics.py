"""Metrics: exact however batched, compiled, stateless, nested; and what errors say."""

import copy

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasish import layers, losses, metrics, models
from kerasish.core.serialization.registry import custom_object_scope
from kerasish.core.state.variable import Variable
from tests.support.metric_cases import (
    BITS,
    FIRST,
    FIRST_IDS,
    GUESSES,
    NUMBERS,
    ONE_HOT,
    PAIR,
    PART,
    REAL,
    SCORES,
    WHOLE,
    N,
    cut,
    feeder,
)


@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred"), FIRST, ids=FIRST_IDS)
def test_eager_stateless_and_unknown_batch(name, arguments, y_true, y_pred):
    batches = cut(12, y_true, y_pred, WHOLE)
    wanted = feeder(getattr(metrics, name)(**arguments))(batches)
    eager = getattr(metrics, name)(**arguments)
    for batch in batches:
        found = eager(*batch)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)

    before = [np.asarray(v) for v in eager.variables]
    (b,) = jax.export.symbolic_shape("b")
    shapes = [
        jax.ShapeDtypeStruct((b, *y.shape[1:]), jax.dtypes.canonicalize_dtype(y.dtype))
        for y in (y_true, y_pred)
    ]
    weight = jax.ShapeDtypeStruct((b,), "int32")
    found = jax.eval_shape(eager.stateless_update_state, before, *shapes, weight)
    assert [v.shape for v in found] == [v.shape for v in before]
    state = eager.stateless_reset_state()
    for batch in batches:
        state = jax.jit(eager.stateless_update_state)(state, *batch)
    np.testing.assert_allclose(eager.stateless_result(state), wanted, rtol=1e-5)
    for variable, value in zip(eager.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)


@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred"), FIRST, ids=FIRST_IDS)
def test_splits_do_not_matter_and_weights_repeat(name, arguments, y_true, y_pred):
    after = feeder(getattr(metrics, name)(**arguments))

    @settings(max_examples=5, deadline=None, derandomize=True, database=None)
    @given(seed=st.integers(0, 99), sizes=st.permutations([8, 16, 8, 8, 8]).map(take_24))
    def check(seed, sizes):
        rng = np.random.default_rng(seed)
        weight = np.bincount(rng.integers(0, N, N), minlength=N)  # sums to N
        whole = after([(y_true, y_pred, weight)])
        ends = np.cumsum(sizes)
        split = [
            tuple(array[end - size : end] for array in (y_true, y_pred, weight))
            for size, end in zip(sizes, ends, strict=True)
        ]
        np.testing.assert_allclose(after(split), whole, rtol=2e-5, atol=1e-6)
        if name != "R2Score":  # R2Score counts rows, for the adjusted score
            repeated = [np.repeat(y, weight, axis=0) for y in (y_true, y_pred)]
            once = np.ones(N, weight.dtype)
            np.testing.assert_allclose(after([(*repeated, once)]), whole, rtol=2e-5, atol=1e-6)

    check()


def take_24(sizes):
    """The first sizes that make 24 rows, whichever they are."""
    ends = list(np.cumsum(sizes))
    return sizes[: ends.index(24) + 1] if 24 in ends else [24]


def test_16_bit_predictions_are_compared_in_32():
    half = jnp.asarray(REAL[1], "bfloat16")
    wide = half.astype("float32")
    assert metrics.MeanAbsoluteError()(REAL[0], half) == metrics.MeanAbsoluteError()(REAL[0], wide)
    labels = np.array([257, 511])  # not numbers of bfloat16
    scores = jnp.eye(512, dtype="bfloat16")[labels]
    assert metrics.SparseCategoricalAccuracy()(labels, scores) == 1.0


def test_nested_metrics_and_variables_are_tracked():
    class Ratio(metrics.Metric):
        def __init__(self, name="ratio", dtype=None):
            super().__init__(dtype, name)
            self.parts = {"top": metrics.Sum(name="top"), "more": [metrics.Sum(name="bottom")]}
            self.calls = Variable(0, dtype="int32", trainable=False, name="calls")
            self.least = self.add_weight((2,), "ones", name="least")

        def update_state(self, top, bottom, sample_weight=None):
            self.parts["top"].update_state(top)
            self.parts["more"][0].update_state(bottom)
            self.calls.assign_add(1)
            self.least.assign(self.least.value / 2)

        def result(self):
            return self.parts["top"].result() / self.parts["more"][0].result()

    ratio = Ratio()
    assert [v.path for v in ratio.variables] == [
        "ratio/least",
        "calls",
        "top/total",
        "bottom/total",
    ]
    assert ratio([1.0, 2.0], [6.0]) == 0.5
    assert [float(np.sum(v)) for v in ratio.variables] == [1.0, 1, 3.0, 6.0]
    ratio.reset_state()
    assert [float(np.sum(v)) for v in ratio.variables] == [2.0, 0, 0, 0]
    assert ratio.get_config() == {"name": "ratio", "dtype": "float32"}


def test_making_and_resetting_compile_nothing(caplog):
    def compiled():
        found = [record for record in caplog.records if "Compiling" in record.getMessage()]
        caplog.clear()
        return found

    metric = metrics.AUC()
    metric.update_state(*PAIR)
    jax.clear_caches()
    with jax.log_compiles(True):
        metric.result()
        assert compiled()
        metric.reset_state()
        metrics.AUC()
        assert not compiled()
    assert not np.any(metric.true_positives.numpy())


class Seen(metrics.Metric):
    """Counts samples, and returns its Variable as it is."""

    def __init__(self, name="seen"):
        super().__init__(name=name)
        self.total = self.add_variable(name="total")

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.total.assign_add(y_true.shape[0])

    def result(self):
        return self.total


@pytest.mark.parametrize("eager", [False, True])
def test_a_result_may_be_a_variable(eager):
    x = np.ones((6, 2), "float32")
    model = models.Sequential([layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Seen()], run_eagerly=eager)
    validation = (x[:4], x[:4, :1])
    history = model.fit(x, x[:, :1], 2, epochs=2, validation_data=validation, verbose=0).history
    assert (history["seen"], history["val_seen"]) == ([6, 6], [4, 4])
    assert model.evaluate(x, x[:, :1], verbose=0)[1] == 6


def test_copies_share_nothing():
    metric = metrics.Mean()
    metric.update_state(REAL[0])
    twin = copy.deepcopy(metric)
    twin.reset_state()
    assert [v.name for v in twin.variables] == ["total", "count"]
    assert metric.result() != 0 == twin.result()


STEPS = BITS.reshape(6, 4, 4), SCORES.reshape(6, 4, 4)
STEP_NUMBERS = NUMBERS.reshape(6, 4), GUESSES.reshape(6, 4)


@pytest.mark.parametrize(
    ("make", "y_true", "y_pred"),
    [
        (metrics.Precision, *STEPS),
        (metrics.AUC, *STEPS),
        (metrics.MeanAbsoluteError, *STEPS),
        (lambda: metrics.MeanIoU(4), *STEP_NUMBERS),
    ],
)
def test_weight_per_sample_reaches_every_step(make, y_true, y_pred):
    weight = np.array([0, 1, 2, 0, 3, 1])
    repeated = [np.repeat(y, weight, axis=0) for y in (y_true, y_pred)]
    np.testing.assert_allclose(make()(y_true, y_pred, weight), make()(*repeated), rtol=1e-6)


def test_losses_as_metrics_do_not_depend_on_batch_sizes():
    batches = [(REAL[0][:3], REAL[1][:3]), (REAL[0][3:], REAL[1][3:])]
    wanted = np.mean((REAL[0] - REAL[1]) ** 2)
    for fn in (losses.MeanSquaredError(), losses.mean_squared_error):
        np.testing.assert_allclose(
            feeder(metrics.MeanMetricWrapper(fn))(batches), wanted, rtol=1e-5
        )


def test_plain_functions_and_losses_become_metrics():
    def gap(y_true, y_pred, power=1):
        return jnp.abs(y_true - y_pred) ** power

    metric = metrics.MeanMetricWrapper(gap, name="gap", power=2)
    np.testing.assert_allclose(metric(*REAL), np.mean((REAL[0] - REAL[1]) ** 2), rtol=1e-6)
    config = metric.get_config()
    assert (config["power"], config["fn"]["config"]) == (2, "gap")
    with custom_object_scope({"gap": gap}):
        again = metrics.MeanMetricWrapper.from_config(config)
    assert again(*REAL) == metric.result()
    assert metric._direction is None
    assert metrics.MeanMetricWrapper(losses.huber)._direction == "down"
    assert metrics.MeanMetricWrapper(losses.Huber())._direction == "down"
    assert metrics.MeanMetricWrapper(losses.huber).get_config()["fn"]["config"] == "huber"


class Forgetful(metrics.Metric):
    def __init__(self):
        self.total = self.add_variable()


ERRORS = [
    (
        lambda: metrics.get("acuracy"),
        ValueError,
        "Unknown metric 'acuracy'. Did you mean 'accuracy'",
    ),
    (
        lambda: metrics.Precision(thresholds=[0.5, 2]),
        ValueError,
        r"`thresholds` must be between 0 and 1; got \[2\]",
    ),
    (
        lambda: metrics.AUC(curve="ROK"),
        ValueError,
        r"`curve` must be one of \('ROC', 'PR', 'PRGAIN'\); got 'ROK'",
    ),
    (lambda: metrics.AUC(summation_method="x"), ValueError, "`summation_method` must be one of"),
    (
        lambda: metrics.AUC(num_thresholds=1),
        ValueError,
        "`num_thresholds` must be at least 2; got 1",
    ),
    (
        lambda: metrics.AUC(num_labels=2),
        ValueError,
        "`num_labels` must be None unless `multi_label=True`",
    ),
    (
        lambda: metrics.AUC(multi_label=True)(*PAIR),
        ValueError,
        r"`y_pred` must be of shape \(batch, labels\)",
    ),
    (lambda: metrics.R2Score("mean"), ValueError, "r2_score: `class_aggregation` must be one of"),
    (
        lambda: metrics.R2Score(num_regressors=-1),
        ValueError,
        "`num_regressors` must be 0 or more; got -1",
    ),
    (
        lambda: metrics.R2Score()(*PAIR),
        ValueError,
        r"`y_pred` must be of shape \(batch, outputs\); got \(24,\)",
    ),
    (lambda: metrics.FBetaScore(beta=1), ValueError, "`beta` must be a positive float; got 1"),
    (lambda: metrics.F1Score(average="mean"), ValueError, "`average` must be one of"),
    (
        lambda: metrics.F1Score(threshold=2.0),
        ValueError,
        "`threshold` must be a float above 0 and up to 1",
    ),
    (lambda: metrics.F1Score()(NUMBERS, SCORES), ValueError, "One-hot encode class numbers"),
    (
        lambda: metrics.IoU(2, [2]),
        ValueError,
        r"`target_class_ids` must be class numbers from 0 to 1; got \[2\]",
    ),
    (
        lambda: metrics.RecallAtPrecision(2),
        ValueError,
        "`precision` must be between 0 and 1; got 2",
    ),
    (
        lambda: metrics.RecallAtPrecision(0.5, 0),
        ValueError,
        "`num_thresholds` must be positive; got 0",
    ),
    (
        lambda: metrics.Precision()(NUMBERS, SCORES),
        ValueError,
        r"`y_true` must be of the shape of `y_pred`, \(24, 4\); got \(24,\)",
    ),
    (
        lambda: metrics.CategoricalAccuracy()(NUMBERS, SCORES),
        ValueError,
        "go with `sparse_categorical_accuracy`",
    ),
    (
        lambda: metrics.SparseCategoricalAccuracy()(ONE_HOT, SCORES),
        ValueError,
        "go with `categorical_accuracy`",
    ),
    (
        lambda: metrics.MeanMetricWrapper("mse"),
        ValueError,
        r"`fn` must be a function of \(y_true, y_pred\)",
    ),
    (
        lambda: metrics.Mean().stateless_result([1.0]),
        ValueError,
        "`metric_variables` must be a list of 2 arrays",
    ),
    (
        lambda: metrics.F1Score().result(),
        RuntimeError,
        "f1_score: nothing was seen yet; call `update_state`",
    ),
    (Forgetful, RuntimeError, r"Forgetful: `super\(\).__init__\(\)` was not called"),
    (lambda: metrics.Metric().update_state(), NotImplementedError, "implement `update_state`"),
]


@pytest.mark.parametrize(("make", "kind", "text"), ERRORS, ids=range(len(ERRORS)))
def test_errors_say_what_to_do(make, kind, text):
    with pytest.raises(kind, match=text):
        make()


def test_fractions_of_weights_are_warned_of():
    with pytest.warns(UserWarning, match="lose their fractions when counted in int32"):
        metrics.MeanIoU(4)(NUMBERS, GUESSES, PART)
