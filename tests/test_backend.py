"""The names of older Keras code, each against its definition."""

import jax
import keras
import numpy as np
import pytest

from kerasish import backend as K  # noqa: N812
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.keras_tensor import KerasTensor

X = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
ROWS = X[:, 0]
LEFT_OUT = set("gradients is_sparse to_dense rnn ctc_batch_cost ctc_decode".split()) | set(
    """ctc_label_dense_to_sparse conv2d_transpose binary_focal_crossentropy
    categorical_focal_crossentropy""".split()
)

CASES = {
    "square": (lambda: K.square(X), X**2),
    "mean": (lambda: K.mean(X, axis=1, keepdims=True), X.mean(1, keepdims=True)),
    "argmax": (lambda: K.argmax(X), X.argmax(-1)),
    "argmin": (lambda: K.argmin(X), X.argmin(-1)),
    "arange": (lambda: K.arange(3), np.arange(3)),
    "cumsum": (lambda: K.cumsum(X), X.cumsum(0)),
    "cumprod": (lambda: K.cumprod(X), X.cumprod(0)),
    "clip": (lambda: K.clip(X, None, 0.5), X.clip(None, 0.5)),
    "concatenate": (lambda: K.concatenate([X, X]), np.concatenate([X, X], -1)),
    "expand_dims": (lambda: K.expand_dims(X), X[..., None]),
    "permute": (lambda: K.permute_dimensions(X, (1, 0, 2)), X.transpose(1, 0, 2)),
    "reverse": (lambda: K.reverse(X, 1), X[:, ::-1]),
    "gather": (lambda: K.gather(X, [1, 0]), X[[1, 0]]),
    "flatten": (lambda: K.flatten(X), X.ravel()),
    "batch_flatten": (lambda: K.batch_flatten(X), X.reshape(2, 12)),
    "repeat": (lambda: K.repeat(ROWS, 3), np.repeat(ROWS[:, None], 3, 1)),
    "repeat_elements": (lambda: K.repeat_elements(X, 2, 1), np.repeat(X, 2, 1)),
    "in_top_k": (lambda: K.in_top_k(ROWS, ROWS.argmax(-1), 1), [True, True]),
    "hard_sigmoid": (lambda: K.hard_sigmoid(X * 5), (X + 0.5).clip(0, 1)),
    "relu": (lambda: K.relu(X), X.clip(0)),
    "relu alpha": (
        lambda: K.relu(X, 0.1, 0.7, 0.2),
        np.where(X > 0.2, X.clip(None, 0.7), 0.1 * (X - 0.2)),
    ),
    "l2_normalize": (lambda: K.l2_normalize(X), X / np.sqrt((X**2).sum())),
    "bias_add": (lambda: K.bias_add(X, X[0, 0]), X + X[0, 0]),
    "bias_add first": (lambda: K.bias_add(X, X[0, :, 0], "channels_first"), X + X[0, :, :1]),
    "dot": (lambda: K.dot(X, X[0].T), X @ X[0].T),
    "batch_dot": (lambda: K.batch_dot(X, X, axes=2), X @ X.transpose(0, 2, 1)),
    "batch_dot default": (lambda: K.batch_dot(X, X.transpose(0, 2, 1)), X @ X.transpose(0, 2, 1)),
    "batch_dot rows": (lambda: K.batch_dot(ROWS, ROWS, 1), (ROWS * ROWS).sum(1, keepdims=True)),
    "switch rows": (lambda: K.switch(ROWS[:, 0] > 0, X, -X), np.where(X[:, :1, :1] > 0, X, -X)),
    "switch one": (lambda: K.switch(np.True_, lambda: X, lambda: -X), X),
    "map_fn": (lambda: K.map_fn(lambda x: 2 * x, X), 2 * X),
    "foldl": (lambda: K.foldl(lambda a, x: 2 * a + x, X), 2 * X[0] + X[1]),
    "foldr": (lambda: K.foldr(lambda a, x: 2 * a + x, X, 0 * X[0]), 2 * X[1] + X[0]),
    "pool2d": (
        lambda: K.pool2d(X[..., None], (3, 4), pool_mode="avg"),
        X.mean((1, 2))[:, None, None, None],
    ),
    "padding": (lambda: K.temporal_padding(X), np.pad(X, ((0, 0), (1, 1), (0, 0)))),
    "padding 2d": (
        lambda: K.spatial_2d_padding(X[..., None]),
        np.pad(X[..., None], ((0, 0), (1, 1), (1, 1), (0, 0))),
    ),
    "resize_images": (
        lambda: K.resize_images(X[..., None], 2, 1, "channels_last"),
        X.repeat(2, 1)[..., None],
    ),
    "resize_volumes": (
        lambda: K.resize_volumes(X[..., None, None], 1, 2, 1, "channels_last"),
        X.repeat(2, 2)[..., None, None],
    ),
    "batch_normalization": (
        lambda: K.batch_normalization(X, X[0, 0], X[0, 1] ** 2, X[1, 0], X[1, 1], epsilon=0.1),
        (X - X[0, 0]) / np.sqrt(X[0, 1] ** 2 + 0.1) * X[1, 1] + X[1, 0],
    ),
    "constant": (lambda: K.constant(2, shape=(2, 2)), np.full((2, 2), 2.0)),
    "zeros": (lambda: K.zeros((2, 2)), np.zeros((2, 2))),
    "eye": (lambda: K.eye(2), np.eye(2)),
    "count_params": (lambda: K.count_params(X), 24),
}


@pytest.mark.parametrize("name", CASES)
def test_matches_definition(name):
    run, wanted = CASES[name]
    np.testing.assert_allclose(run(), wanted, rtol=1e-5, atol=1e-5)


def test_the_names_of_keras_are_here():
    from keras._tf_keras.keras import backend as older

    names = {n for n in dir(older) if not n.startswith("_")}
    assert {n for n in names if not hasattr(K, n)} == LEFT_OUT
    assert not {n for n in dir(keras.backend) if not n.startswith("_") and not hasattr(K, n)}


def test_variables():
    v = K.variable([1.0, 2.0])
    K.update_add(v, [1.0, 1.0])
    K.update_sub(v, [0.0, 1.0])
    np.testing.assert_allclose(K.get_value(v), [2.0, 2.0])
    K.moving_average_update(v, np.zeros(2), 0.75)
    K.batch_set_value([(v, K.batch_get_value([v])[0] * 2)])
    np.testing.assert_allclose(K.eval(v), [3.0, 3.0])
    assert isinstance(v, Variable)
    assert v.dtype == K.floatx()


def test_draws():
    for draw in (K.random_normal, K.random_uniform, K.truncated_normal, K.random_bernoulli):
        assert draw((3, 2)).shape == (3, 2)
    assert set(np.asarray(K.random_bernoulli((64,), 0.5)).tolist()) == {0.0, 1.0}
    assert K.random_uniform_variable((3,), 0.0, 1.0).shape == (3,)
    assert K.dropout(X, 0.5, seed=1).shape == X.shape


def test_uids_count_from_one_until_the_session_is_cleared():
    K.clear_session(free_memory=False)
    assert [K.get_uid("a"), K.get_uid("a"), K.get_uid("b")] == [1, 2, 1]
    K.clear_session(free_memory=False)
    assert K.get_uid("a") == 1


def test_symbolic_tensors():
    x = KerasTensor((None, 3))
    assert K.int_shape(K.batch_dot(x, x, 1)) == (None, 1)
    assert K.is_keras_tensor(K.relu(x, alpha=0.1))
    assert K.ndim(x) == 2


def test_types():
    assert K.is_int_dtype("uint8")
    assert not K.is_int_dtype("bfloat16")
    assert K.is_float_dtype("bfloat16")
    assert K.result_type("int32", "bfloat16") == "bfloat16"
    assert K.backend() == "jax"
    assert isinstance(K.cast_to_floatx([1, 2]), jax.Array)
