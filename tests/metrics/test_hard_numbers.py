"""Metrics where numbers are large, fractional, not finite, or of an unusual shape."""

import jax
import keras
import numpy as np
import pytest
import sklearn.metrics

from kerasish import metrics
from kerasish.losses import loss as loss_module

_random = np.random.default_rng(0)
KEPT = np.array([1, 0, 2, 0], "float32")
GAPS = np.array([1.0, np.nan, 3.0, np.inf], "float32")


@pytest.mark.parametrize("name", ["Mean", "Sum"])
def test_values_of_weight_0_do_not_count(name):
    metric = getattr(metrics, name)()
    wanted = 7 / 3 if name == "Mean" else 7
    np.testing.assert_allclose(metric(GAPS, sample_weight=KEPT), wanted, rtol=1e-6)


PAIRS = {
    "MeanSquaredError": {},
    "RootMeanSquaredError": {},
    "R2Score": {},
    "CosineSimilarity": {},
    "BinaryCrossentropy": {},
    "Hinge": {},
    "Poisson": {},
    "F1Score": {"threshold": 0.5},
    "AUC": {},
    "Precision": {},
    "BinaryIoU": {},
}


@pytest.mark.parametrize("name", PAIRS)
def test_samples_of_weight_0_do_not_count(name):
    y_true = np.array([[1, 0], [0, 1], [1, 1], [0, 0]], "float32")
    y_pred = _random.uniform(0.1, 0.9, (4, 2)).astype("float32")
    weight = KEPT if name != "BinaryIoU" else KEPT[:, None]
    make = lambda: getattr(metrics, name)(**PAIRS[name])  # noqa: E731
    wanted = make()(y_true[::2], y_pred[::2], sample_weight=weight[::2])
    bad = y_pred.copy()
    bad[KEPT == 0] = np.nan
    np.testing.assert_allclose(make()(y_true, bad, sample_weight=weight), wanted, rtol=1e-5)


@pytest.mark.parametrize("batch", [7, 100])
@pytest.mark.parametrize("mean", [0.0, 1e5, -3e4])
def test_r2_of_large_means(mean, batch):
    y_true = (mean + _random.normal(size=(100, 1)) * 50).astype("float32")
    y_pred = (y_true + _random.normal(size=(100, 1)) * 25).astype("float32")
    metric = metrics.R2Score()
    for i in range(0, 100, batch):
        metric.update_state(y_true[i : i + batch], y_pred[i : i + batch])
    wanted = sklearn.metrics.r2_score(y_true.astype("float64"), y_pred.astype("float64"))
    np.testing.assert_allclose(metric.result(), wanted, atol=2e-4)


def test_iou_of_fractional_weights():
    y_true, y_pred = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    weight = np.array([0.3, 0.3, 0.3, 0.1], "float32")
    # As Keras documents it for float32.
    found = metrics.MeanIoU(2)(y_true, y_pred, sample_weight=weight)
    wanted = keras.metrics.MeanIoU(2, dtype="float32")
    np.testing.assert_allclose(found, wanted(y_true, y_pred, sample_weight=weight), rtol=1e-5)


def test_iou_of_many_pixels():
    pixels = 20_000_000  # more than a float32 counts one by one
    y_true = np.zeros(pixels, "uint8")
    y_true[: pixels // 4] = 1
    y_pred = np.zeros(pixels, "uint8")
    for weight in (None, np.float32(0.5)):
        metric = metrics.MeanIoU(2)
        metric.update_state(y_true, y_pred, sample_weight=weight)
        np.testing.assert_allclose(metric.result(), 0.75 / 2, rtol=1e-5)


@pytest.mark.parametrize("axis", [1, -1])
def test_ignored_classes(axis):
    """Their value is 0; with weights they do not count, without any they do, as in Keras."""
    labels = np.array([[0, 1, -1], [2, -1, -1]])
    scores = _random.uniform(0.1, 0.9, (2, 3, 3)).astype("float32")
    scores /= scores.sum(axis, keepdims=True)
    rows = np.moveaxis(scores, axis, -1)
    valid = labels >= 0
    wanted = -np.log(rows[valid, labels[valid]]).sum() / labels.size
    for whole in (True, False):
        metric = metrics.SparseCategoricalCrossentropy(ignore_class=-1, axis=axis)
        for i in range(0, 2, 2 if whole else 1):
            metric.update_state(*(x[i : i + 2 if whole else i + 1] for x in (labels, scores)))
        np.testing.assert_allclose(metric.result(), wanted, rtol=1e-5)
    weight = np.array([1.0, 3.0], "float32")
    metric = metrics.SparseCategoricalCrossentropy(ignore_class=-1, axis=axis)
    each = np.broadcast_to(weight[:, None], labels.shape)[valid]
    wanted = (-np.log(rows[valid, labels[valid]]) * each).sum() / each.sum()
    np.testing.assert_allclose(metric(labels, scores, sample_weight=weight), wanted, rtol=1e-5)


def f1(y_true, y_pred, **options):
    return sklearn.metrics.f1_score(y_true, y_pred, **options)


@pytest.mark.parametrize("shape", [(12,), (12, 1), (2, 2, 3, 1)])
def test_f1_of_one_class_is_a_number(shape):
    y_true = _random.integers(0, 2, 12).reshape(shape)
    y_pred = _random.uniform(size=12).reshape(shape).astype("float32")
    found = metrics.F1Score(threshold=0.5)(y_true, y_pred)
    assert found.shape == ()
    np.testing.assert_allclose(found, f1(y_true.ravel(), y_pred.ravel() > 0.5), rtol=1e-5)


@pytest.mark.parametrize("shape", [(12,), (12, 1), (3, 2, 2)])
def test_f1_of_class_numbers(shape):
    y_true = _random.integers(0, 3, shape)
    batch = shape[:1] if shape[-1] == 1 else shape
    y_pred = _random.uniform(size=(*batch, 3)).astype("float32")
    found = metrics.F1Score(average="macro")(y_true, y_pred)
    wanted = f1(y_true.ravel(), y_pred.argmax(-1).ravel(), average="macro")
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    weight = _random.uniform(size=shape[0]).astype("float32")
    found = metrics.F1Score(average="macro")(y_true, y_pred, sample_weight=weight)
    each = np.repeat(weight, y_true.size // shape[0])
    wanted = f1(y_true.ravel(), y_pred.argmax(-1).ravel(), average="macro", sample_weight=each)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_f1_of_one_class_without_threshold_warns():
    with pytest.warns(UserWarning, match="with one class and `threshold=None` every score is"):
        metrics.F1Score()(np.ones((3, 1)), np.ones((3, 1)))


SHAPES = [
    ((4,), (4, 3)),
    ((4, 1), (4, 3)),
    ((1, 4), (4, 3)),
    ((4, 1), (1, 4, 3)),
    ((1, 4), (1, 4, 3)),
]


@pytest.mark.parametrize(("labels", "scores"), SHAPES)
def test_class_numbers_of_any_form(labels, scores):
    y_true = np.array([0, 1, 2, 0])
    y_pred = np.eye(3, dtype="float32")[[0, 2, 2, 1]]
    for name in ("SparseCategoricalAccuracy", "SparseTopKCategoricalAccuracy"):
        metric = getattr(metrics, name)(**({"k": 1} if "TopK" in name else {}))
        assert float(metric(y_true.reshape(labels), y_pred.reshape(scores))) == 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda: metrics.AUC(num_thresholds=10**9),
        lambda: metrics.AUC(num_thresholds=10**5, multi_label=True, num_labels=10**5),
        lambda: metrics.PrecisionAtRecall(0.5, num_thresholds=10**9),
        lambda: metrics.MeanIoU(10**9),
        lambda: metrics.IoU(10**9, [0]),
    ],
)
def test_state_is_bounded(make):
    with pytest.raises(ValueError, match="must be"):
        make()


def test_metrics_of_scikit_learn_say_run_eagerly():
    metric = metrics.MeanMetricWrapper(sklearn.metrics.accuracy_score)
    assert float(metric(np.array([1, 0]), np.array([1, 1]))) == 0.5
    update = jax.jit(lambda t, p: metric.stateless_update_state(metric.variables, t, p))
    with pytest.raises(TypeError, match=r"accuracy_score: .* Pass `run_eagerly=True`"):
        update(np.array([1, 0]), np.array([1, 1]))


@pytest.mark.parametrize("name", ["MeanSquaredError", "RootMeanSquaredError", "BinaryAccuracy"])
def test_targets_that_broadcast_are_warned_of(name):
    loss_module._warned.clear()
    with pytest.warns(UserWarning, match="is broadcast against `y_pred`"):
        getattr(metrics, name)()(np.ones((4, 1), "float32"), np.ones((4, 3), "float32"))
