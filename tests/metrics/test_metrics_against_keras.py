"""Metrics against Keras 3: results after several batches, with weights; configs; names."""

import inspect

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras.src.trainers.compile_utils import get_metric

from kerasish import losses, metrics
from kerasish.core.masking import set_mask
from tests.support.metric_cases import (
    BITS,
    CASES,
    IDS,
    IS_FIRST,
    NUMBERS,
    ONE_HOT,
    PART,
    REAL,
    SCORES,
    SIMPLEX,
    WHOLE,
    N,
    cut,
    feeder,
)

# Keras leaves it out of the config, so a metric read from a file forgets it; kerasish does not.
FORGOTTEN_BY_KERAS = {"CosineSimilarity": "axis"}


def both(name, arguments):
    return [getattr(module, name)(**arguments) for module in (metrics, keras.metrics)]


def keras_feeder(metric, y_true, y_pred):
    if hasattr(metric, "_built") and not metric._built:
        shapes = [y_true.shape, y_pred.shape]
        metric._build(*shapes[: len(inspect.signature(metric._build).parameters)])
    update, result = metric.stateless_update_state, metric.stateless_result
    if not does_not_compile(metric):
        update, result = jax.jit(update), jax.jit(result)

    def feed(batches):
        state = [v.value for v in metric.variables]
        for batch in batches:
            state = update(state, *batch)
        return result(state)

    return feed


def does_not_compile(metric):
    uneven = not getattr(metric, "_thresholds_distributed_evenly", True)
    return getattr(metric, "num_regressors", 0) or (
        getattr(metric, "multi_label", False) and uneven
    )


def same(ours, theirs, rtol=1e-5, atol=1e-6):
    assert (ours.shape, str(ours.dtype)) == (theirs.shape, str(theirs.dtype))
    np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


@pytest.mark.parametrize(("case", "first"), [*zip(CASES, IS_FIRST, strict=True)], ids=IDS)
@pytest.mark.filterwarnings("ignore:More independent predictors:UserWarning")
@pytest.mark.filterwarnings("ignore:Explicitly requested dtype int64:UserWarning")
def test_result_is_keras(case, first):
    name, arguments, y_true, y_pred = case
    ours, theirs = both(name, arguments)
    weight = WHOLE if ours.dtype == "int32" else PART
    batches = cut(len(y_true) // 2, y_true, y_pred, weight[: len(y_true)])
    feed, feed_theirs = feeder(ours), keras_feeder(theirs, y_true, y_pred)
    same(feed(batches), feed_theirs(batches))
    assert [v.shape for v in ours.variables] == [v.shape for v in theirs.variables]
    if first:
        ours.reset_state()
        assert not any(np.any(v.numpy()) for v in ours.variables)
        plain = [batch[:2] for batch in batches]
        same(feed(plain), feed_theirs(plain))


@pytest.mark.parametrize(("name", "arguments", "y_true", "y_pred"), CASES, ids=IDS)
def test_config_is_keras_and_comes_back(name, arguments, y_true, y_pred):
    ours, theirs = both(name, arguments)
    config, wanted = ours.get_config(), theirs.get_config()
    if wanted.get("label_weights") is not None:
        wanted["label_weights"] = np.asarray(wanted["label_weights"]).tolist()
    forgotten = FORGOTTEN_BY_KERAS.get(name)
    assert {k: v for k, v in config.items() if k != forgotten} == wanted
    assert type(ours).from_config(config).get_config() == config
    assert type(theirs).from_config(config).get_config().keys() == wanted.keys()
    written = metrics.serialize(ours)
    assert (written["module"], written["registered_name"]) == ("keras.metrics", None)
    assert metrics.deserialize(written).get_config() == config


@pytest.mark.parametrize("make", ["Mean", "Sum"])
@pytest.mark.parametrize(
    ("values", "weight"),
    [
        (np.float32(3), None),
        (np.float32(3), 4),
        (REAL[0], None),
        (REAL[0], PART),
        (REAL[0], PART[:, None]),
        (REAL[0], SCORES),
        (REAL, PART.reshape(1, N).repeat(2, 0)),
        (REAL[0], 2.0),
        (REAL[0][:, :1], PART),
        (REAL[0][:, 0], PART[:, None]),
        (NUMBERS, None),
    ],
)
def test_reductions_of_plain_values(make, values, weight):
    ours, theirs = both(make, {})
    for _ in range(2):
        same(ours(values, weight), theirs(values, sample_weight=weight))


def test_masks_are_keras():
    mask = jnp.array([[True, True, False], [True, False, False]])
    y_true, y_pred = REAL[0][:6].reshape(2, 3, 4), jnp.asarray(REAL[1][:6].reshape(2, 3, 4))
    marked, keras_marked = y_pred + 0, y_pred + 0
    set_mask(marked, mask)
    keras.src.backend.set_keras_mask(keras_marked, mask)
    for weight in (None, np.array([[1.0], [2.0]]), np.arange(6.0).reshape(2, 3)):
        ours, theirs = both("MeanSquaredError", {})
        same(ours(y_true, marked, weight), theirs(y_true, keras_marked, weight))


@pytest.mark.parametrize("weight", [None, np.ones(N), PART])
@pytest.mark.parametrize("from_logits", [True, False])
def test_ignored_classes(from_logits, weight):
    options = {"ignore_class": 2, "from_logits": from_logits}
    ours, theirs = both("SparseCategoricalCrossentropy", options)
    same(ours(NUMBERS, SIMPLEX, weight), theirs(NUMBERS, SIMPLEX, weight))


@pytest.mark.parametrize("kind", ["metric", "loss"])
def test_the_dtype_stays(kind):
    thing = metrics.Mean(dtype="float16") if kind == "metric" else losses.Huber(dtype="float16")
    with pytest.raises(AttributeError):
        thing.dtype = "bfloat16"
    assert thing.dtype == "float16"


def test_state_that_starts_as_an_array():
    metric = metrics.MeanIoU(2, dtype="int32")
    start = np.array([[3, 1], [2, 4]])
    metric.total_cm = metric.add_variable((2, 2), start, "int32", name="start")
    metric.update_state([0, 1, 1], [0, 1, 0])
    np.testing.assert_array_equal(metric.total_cm, [[4, 1], [3, 5]])


@pytest.mark.parametrize("name", [n for n in dir(keras.metrics) if n[0] != "_"])
def test_every_public_name_of_keras_has_the_same_arguments(name):
    theirs, mine = getattr(keras.metrics, name), getattr(metrics, name)
    wanted = {k: p.default for k, p in inspect.signature(theirs).parameters.items()}
    found = {k: p.default for k, p in inspect.signature(mine).parameters.items()}
    assert [*found] == [*wanted]
    assert found == wanted
    if inspect.isclass(theirs) and wanted.keys() <= {"name", "dtype"}:
        directions = [getattr(cls, "_direction", None) for cls in (mine(), theirs())]
        assert directions[0] == directions[1] or directions == ["down", None]


def stands_alone(cls):
    parameters = inspect.signature(cls).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind != p.VAR_KEYWORD]
    return not needed


STRINGS = {k: v for k, v in keras.src.metrics.ALL_OBJECTS_DICT.items() if stands_alone(v)}


@pytest.mark.parametrize("name", sorted(STRINGS))
def test_every_string_of_keras_is_known(name):
    assert type(metrics.get(name)).__name__ == STRINGS[name].__name__


@pytest.mark.parametrize(
    ("name", "y_true", "y_pred"),
    [
        ("binary_accuracy", BITS, SCORES),
        ("categorical_accuracy", ONE_HOT, SCORES),
        ("sparse_categorical_accuracy", NUMBERS[:, None], SCORES),
        ("top_k_categorical_accuracy", ONE_HOT, SCORES),
        ("sparse_top_k_categorical_accuracy", NUMBERS[:, None], SCORES),
        ("pearson_correlation", *REAL),
        ("concordance_correlation", *REAL),
    ],
)
def test_functions_are_keras(name, y_true, y_pred):
    same(getattr(metrics, name)(y_true, y_pred), getattr(keras.metrics, name)(y_true, y_pred))


SHAPES = [
    ((None, 1), (None, 1)),
    ((None,), (None, 3)),
    ((None, 1), (None, 3)),
    ((None, 5), (None, 5, 3)),
    ((None, 3), (None, 3)),
]


@pytest.mark.parametrize(("true", "pred"), SHAPES)
def test_accuracy_is_chosen_as_keras_does(true, pred):
    shaped = [keras.KerasTensor(shape) for shape in (true, pred)]
    for name in ("accuracy", "acc"):
        ours, theirs = metrics.accuracy_for(true, pred, name), get_metric(name, *shaped)
        assert (type(ours).__name__, ours.name) == (type(theirs).__name__, theirs.name)
    metric = metrics.crossentropy_for(true, pred, "ce")
    loss = losses.crossentropy_for(true, pred)
    assert type(metric).__name__ == loss.__name__.title().replace("_", "")


def test_before_any_data():
    for name in ("Mean", "Sum", "Precision", "AUC", "SensitivityAtSpecificity"):
        arguments = {"specificity": 0.5} if name == "SensitivityAtSpecificity" else {}
        ours, theirs = both(name, arguments)
        same(ours.result(), theirs.result())
