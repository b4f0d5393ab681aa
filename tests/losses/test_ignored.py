"""What has weight 0 counts neither in the value nor in the gradient, whatever stands there."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import losses, ops
from kerasish.core.masking import set_mask
from kerasish.losses import loss as loss_module

N, D = 6, 4
_random = np.random.default_rng(0)
POSITIVE = _random.uniform(0.1, 0.9, (N, D)).astype("float32")
ROWS = (POSITIVE / POSITIVE.sum(-1, keepdims=True)).astype("float32")
HOT = np.eye(D, dtype="float32")[[0, 1, 2, 3, 0, 1]]
SIGNS = np.where(POSITIVE > 0.5, 1, -1).astype("float32")
KEPT = np.array([1, 0, 2, 1, 0, 1], "float32")
CASES = {
    "MeanSquaredError": (POSITIVE, ROWS),
    "MeanAbsoluteError": (POSITIVE, ROWS),
    "MeanAbsolutePercentageError": (POSITIVE, ROWS),
    "MeanSquaredLogarithmicError": (POSITIVE, ROWS),
    "Huber": (POSITIVE, ROWS),
    "LogCosh": (POSITIVE, ROWS),
    "CosineSimilarity": (POSITIVE, ROWS),
    "BinaryCrossentropy": (HOT, ROWS),
    "BinaryFocalCrossentropy": (HOT, ROWS),
    "CategoricalCrossentropy": (HOT, ROWS),
    "CategoricalFocalCrossentropy": (HOT, ROWS),
    "KLDivergence": (ROWS, ROWS[::-1]),
    "Poisson": (POSITIVE, ROWS),
    "Hinge": (SIGNS, ROWS),
    "SquaredHinge": (SIGNS, ROWS),
    "CategoricalHinge": (HOT, ROWS),
}


def spoilt(x, rows, value):
    x = x.copy()
    x[rows] = value
    return x


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("what", ["target", "prediction", "both"])
@pytest.mark.parametrize("name", CASES)
def test_zero_weights_leave_out_what_is_not_finite(name, what, value):
    loss, (y_true, y_pred) = getattr(losses, name)(), CASES[name]
    run = jax.value_and_grad(lambda p, t: loss(t, p, sample_weight=KEPT))
    wanted, slope = run(jnp.asarray(y_pred), y_true)
    bad_true = y_true if what == "prediction" else spoilt(y_true, KEPT == 0, value)
    bad_pred = y_pred if what == "target" else spoilt(y_pred, KEPT == 0, value)
    found, bad_slope = run(jnp.asarray(bad_pred), bad_true)
    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    np.testing.assert_allclose(bad_slope, slope, rtol=1e-5, atol=1e-7)
    assert not np.any(np.asarray(bad_slope)[KEPT == 0])


def test_masked_steps_of_sequences():
    mask = np.arange(5) < np.array([[5], [3], [2]])
    x = _random.normal(size=(3, 5, 2)).astype("float32")
    y = _random.normal(size=(3, 5, 2)).astype("float32")

    def run(p, t):
        p = p * 1.0
        set_mask(p, mask)
        return losses.MeanSquaredError()(t, p)

    wanted = ((x - y) ** 2).mean(-1)[mask].mean()
    bad_x, bad_y = (np.where(mask[..., None], z, np.nan) for z in (x, y))
    value, slope = jax.value_and_grad(run)(jnp.asarray(bad_x), bad_y)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    assert np.isfinite(slope).all()


def test_the_axis_of_the_classes_is_known():
    """Steps and classes of one number: the weights belong to the steps."""
    weight = np.array([[1, 0, 1], [0, 1, 1]], "float32")
    logits = _random.normal(size=(2, 3, 3)).astype("float32")
    labels = np.array([[0, 1, 2], [2, 1, 0]])
    loss = losses.SparseCategoricalCrossentropy(from_logits=True, axis=1)

    def by_hand(p):
        logs = jax.nn.log_softmax(p, axis=1)
        own = jnp.take_along_axis(logs, labels[:, None], 1)[:, 0]
        return -(own * weight).sum() / weight.size

    ours = jax.grad(lambda p: loss(labels, p, sample_weight=weight))(jnp.asarray(logits))
    np.testing.assert_allclose(ours, jax.grad(by_hand)(jnp.asarray(logits)), atol=1e-6)


def test_an_unknown_axis_leaves_gradients_whole():
    weight = np.array([[1, 0, 1], [0, 1, 1]], "float32")
    x = jnp.asarray(_random.normal(size=(2, 3, 3)).astype("float32"))
    loss = losses.LossFunctionWrapper(lambda t, p: jnp.mean((t - p) ** 2, axis=1))
    ours = jax.grad(lambda p: loss(jnp.zeros_like(p), p, sample_weight=weight))(x)
    np.testing.assert_allclose(ours, 2 * x / 3 * weight[:, None, :] / weight.size, rtol=1e-5)


def test_a_loss_of_the_whole_batch_keeps_its_gradient():
    overlap = losses.Dice()
    plain = jax.grad(lambda p: overlap(HOT, p))(jnp.asarray(ROWS))
    weighted = jax.grad(lambda p: jnp.sum(overlap(HOT, p, sample_weight=np.ones(N))))
    assert np.all(np.asarray(plain) != 0)
    assert np.isfinite(weighted(jnp.asarray(ROWS))).all()


def test_one_weight_of_0_for_all():
    run = jax.value_and_grad(lambda p: losses.MeanSquaredError()(HOT, p, sample_weight=0.0))
    value, slope = run(jnp.full((N, D), jnp.nan))
    assert float(value) == 0
    np.testing.assert_array_equal(slope, np.zeros((N, D)))


def test_infinite_weights_of_masked_steps():
    mask = np.array([[True, False]])
    values = losses.loss.reduce_weighted(jnp.ones((1, 2)), jnp.array([[2.0, jnp.inf]]), mask, "sum")
    assert float(values) == 2.0


@pytest.mark.parametrize("name", ["categorical", "binary"])
def test_masked_classes_have_no_loss(name):
    """Logits of minus infinity where the label is 0: 0 times infinity is left out."""
    logits = jnp.array([[1.0, -jnp.inf, 2.0]])
    target = jnp.array([[0.0, 0.0, 1.0]])
    for family in (losses, ops):
        fn = getattr(family, f"{name}_crossentropy")
        slope = jax.grad(lambda p, fn=fn: jnp.sum(fn(target, p, from_logits=True)))(logits)
        assert np.isfinite(fn(target, logits, from_logits=True)).all()
        assert np.isfinite(slope).all()


def test_rows_of_zeros_have_a_finite_loss():
    zeros, target = jnp.zeros((1, 3)), jnp.array([[0.0, 1.0, 0.0]])
    runs = [
        lambda p: losses.categorical_crossentropy(target, p),
        lambda p: losses.sparse_categorical_crossentropy(np.array([1]), p),
        lambda p: losses.categorical_focal_crossentropy(target, p),
        lambda p: ops.categorical_crossentropy(target, p),
        lambda p: ops.sparse_categorical_crossentropy(np.array([1]), p),
    ]
    for run in runs:
        assert np.isfinite(run(zeros)).all()
        assert np.isfinite(jax.grad(lambda p, run=run: jnp.sum(run(p)))(zeros)).all()
    np.testing.assert_allclose(runs[0](zeros), -np.log(1e-7), rtol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("epsilon", [None, 1e-12, 1e-30])
def test_normalize_has_gradients_at_zero(order, epsilon):
    x = jnp.array([[0.0, 0.0], [3.0, 4.0]])
    run = lambda x: ops.normalize(x, order=order, epsilon=epsilon)  # noqa: E731
    wanted = np.array([3, 4]) / np.linalg.norm([3, 4], ord=order)
    np.testing.assert_allclose(run(x), [[0, 0], wanted], rtol=1e-5)
    assert not np.isnan(jax.grad(lambda x: jnp.sum(run(x)))(x)).any()


def test_cosines_of_zero_vectors_have_no_gradient():
    x, y = jnp.array([[0.0, 0.0], [3.0, 4.0]]), jnp.array([[1.0, 2.0], [0.0, 0.0]])
    both = jax.grad(lambda x, y: jnp.sum(losses.cosine_similarity(x, y)), argnums=(0, 1))(x, y)
    np.testing.assert_array_equal(both, np.zeros((2, 2, 2)))


@pytest.mark.parametrize("name", ["mean_squared_error", "huber", "poisson", "hinge", "log_cosh"])
def test_targets_that_broadcast_are_warned_of_once(name, recwarn):
    loss_module._warned.clear()
    fn = getattr(losses, name)
    with pytest.warns(UserWarning, match=rf"{name}: `y_true` of shape \(5, 1\) is broadcast"):
        fn(np.ones((5, 1), "float32"), np.ones((5, 3), "float32"))
    fn(np.ones((7, 1), "float32"), np.ones((7, 3), "float32"))


def test_functions_of_numpy_say_run_eagerly():
    def of_numpy(y_true, y_pred):
        return np.abs(np.asarray(y_true) - np.asarray(y_pred))

    loss = losses.LossFunctionWrapper(of_numpy)
    assert float(loss(np.ones(3), np.zeros(3))) == 1
    with pytest.raises(TypeError, match=r"of_numpy: a function of NumPy .* `run_eagerly=True`"):
        jax.jit(loss)(np.ones(3), np.zeros(3))


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("run_eagerly", [False, True])
def test_inputs_of_samples_without_weight_leave_the_weights_finite(value, run_eagerly):
    x, y = np.ones((8, 3), "float32"), np.zeros((8, 1), "float32")
    weights = np.array([1, 0, 1, 1, 0, 1, 1, 1], "float32")
    found = {}
    for name, entry in (("broken", value), ("clean", 0)):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.set_weights([np.ones((3, 1)), np.zeros(1)])
        model.compile("sgd", "mse", run_eagerly=run_eagerly)
        inputs = x.copy()
        inputs[1, 2] = inputs[4] = entry
        model.fit(inputs, y, sample_weight=weights, batch_size=4, epochs=2, verbose=0)
        found[name] = model.get_weights()[0]
    np.testing.assert_allclose(found["broken"], found["clean"], rtol=1e-6)
    inputs[0, 0] = value  # of a sample that counts
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "fit: the loss is NaN")
        model.fit(inputs, y, sample_weight=weights, batch_size=8, verbose=0)
    assert not np.all(np.isfinite(model.get_weights()[0]))
