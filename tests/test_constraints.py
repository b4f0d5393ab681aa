"""Constraints against Keras 3: value and config; and that they hold their bounds."""

import keras
import numpy as np
import pytest

from kerasish import constraints
from kerasish.core.state.variable import Variable

CASES = [
    ("Constraint", {}),
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.5, "axis": 1}),
    ("MaxNorm", {"max_value": 0.5, "axis": [0, 1, 2]}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": [0, 1, 2]}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 2.0, "max_value": 3.0, "rate": 0.5, "axis": -1}),
]
W = np.random.default_rng(0).normal(size=(3, 3, 2, 4)).astype("float32")
W[:, :, :, 0] = 0


@pytest.fixture(params=CASES, ids=str)
def pair(request):
    name, kwargs = request.param
    return getattr(constraints, name)(**kwargs), getattr(keras.constraints, name)(**kwargs)


def test_matches_keras(pair):
    ours, theirs = pair
    np.testing.assert_allclose(ours(W), theirs(W), rtol=1e-6)
    np.testing.assert_allclose(ours(Variable(W)), theirs(W), rtol=1e-6)


def test_keeps_the_dtype(pair):
    ours, _ = pair
    assert ours(W.astype("float16")).dtype == "float16"


def test_config(pair):
    ours, theirs = pair
    data = constraints.serialize(ours)
    assert data == keras.constraints.serialize(theirs)
    assert type(constraints.deserialize(data)) is type(ours)


def test_norms_are_bounded():
    w = constraints.MinMaxNorm(0.5, 1.5)(W[..., 1:])
    norms = np.linalg.norm(w, axis=0)
    assert norms.min() > 0.5 - 1e-5
    assert norms.max() < 1.5 + 1e-5


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("max_norm", constraints.MaxNorm),
        ("NonNeg", constraints.NonNeg),
        ("unit_norm", constraints.UnitNorm),
        ("min_max_norm", constraints.MinMaxNorm),
        (constraints.NonNeg, constraints.NonNeg),
        ({"class_name": "MaxNorm", "config": {"max_value": 3, "axis": 0}}, constraints.MaxNorm),
        (None, type(None)),
    ],
)
def test_get(identifier, kind):
    assert type(constraints.get(identifier)) is kind


def test_unknown_name_says_the_nearest():
    with pytest.raises(
        ValueError, match=r"Unknown constraint 'maxnorm'. Did you mean 'max_norm'\?"
    ):
        constraints.get("maxnorm")


def test_names_are_keras():
    assert constraints.__all__ == [n for n in dir(keras.constraints) if not n.startswith("_")]
