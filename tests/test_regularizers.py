"""Regularizers against Keras 3: value, dtype, gradient and config."""

import jax
import keras
import numpy as np
import pytest

from kerasish import regularizers
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.state.variable import Variable

CASES = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L2", {"l2": 0.3}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.3}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]
X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


@pytest.fixture(params=CASES, ids=str)
def pair(request):
    name, kwargs = request.param
    return getattr(regularizers, name)(**kwargs), getattr(keras.regularizers, name)(**kwargs)


def test_matches_keras(pair):
    ours, theirs = pair
    x = jax.numpy.asarray(X)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(ours)(x), jax.grad(theirs)(x), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(ours(Variable(X)), ours(x))


def test_dtype_is_the_weights(pair):
    ours, _ = pair
    assert jax.eval_shape(ours, jax.ShapeDtypeStruct((4, 3), "bfloat16")).dtype == "bfloat16"


def test_config(pair):
    ours, theirs = pair
    # Keras rounds some factors to float32 on the way.
    assert ours.get_config() == pytest.approx(theirs.get_config())
    data = regularizers.serialize(ours)
    expected = keras.regularizers.serialize(theirs)
    assert {**data, "config": 0} == {**expected, "config": 0}
    assert regularizers.deserialize(expected).get_config() == pytest.approx(ours.get_config())
    assert type(keras.regularizers.deserialize(data)) is type(theirs)


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("l1", regularizers.L1),
        ("L2", regularizers.L2),
        ("l1l2", regularizers.L1L2),
        ("l1_l2", regularizers.L1L2),
        ("orthogonal_regularizer", regularizers.OrthogonalRegularizer),
        (regularizers.L2, regularizers.L2),
        (None, type(None)),
    ],
)
def test_get(identifier, kind):
    assert type(regularizers.get(identifier)) is kind


def test_own_regularizer_needs_only_call():
    class Spread(regularizers.Regularizer):
        def __init__(self, factor):
            self.factor = factor

        def __call__(self, x):
            return self.factor * x.var()

    assert isinstance(Spread(2.0), Configurable)
    assert Spread(2.0).get_config() == {"factor": 2.0}
    data = regularizers.serialize(Spread(2.0))
    assert regularizers.deserialize(data, {"Spread": Spread}).factor == 2


def test_zero_vectors_have_a_gradient():
    slope = jax.grad(regularizers.OrthogonalRegularizer())(jax.numpy.zeros((3, 3)))
    assert np.all(np.isfinite(slope))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: regularizers.L1(-1), "L1: `l1` must be a finite number, not negative; got -1"),
        (lambda: regularizers.L2("x"), "L2: `l2` must be a finite number, not negative; got 'x'"),
        (lambda: regularizers.L1L2(l2=float("nan")), "L1L2: `l2` must be a finite number"),
        (lambda: regularizers.OrthogonalRegularizer(mode="all"), "`mode` must be 'rows' or 'colu"),
        (
            lambda: regularizers.OrthogonalRegularizer()(X[0]),
            r"`inputs` must be of 2 axes; got \(3,",
        ),
        (lambda: regularizers.get("l1_l3"), r"Unknown regularizer 'l1_l3'. Did you mean 'l1_l2'\?"),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_names_are_keras():
    assert regularizers.__all__ == [n for n in dir(keras.regularizers) if not n.startswith("_")]
