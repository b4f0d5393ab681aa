"""What is given for `loss_weights` by mistake."""

import numpy as np
import pytest

import kerasish as keras
from kerasish import Input, Sequential, layers


def model():
    return Sequential([Input((3,)), layers.Dense(1, name="head")])


MISTAKES = [
    ["accuracy"],
    ("mae", "mse"),
    "accuracy",
    {"head": "mae"},
    [keras.metrics.MeanAbsoluteError()],
    [keras.losses.mean_absolute_error],
    [[1.0], ["mae"]],
]


@pytest.mark.parametrize("loss", ["mse", None])
@pytest.mark.parametrize("given", MISTAKES, ids=[str(i) for i in range(len(MISTAKES))])
def test_metrics_in_third_position(loss, given):
    with pytest.raises(ValueError, match=r"`loss_weights` must be numbers.*did you mean.*metrics="):
        model().compile("sgd", loss, given)


NUMBERS = [2.0, [2], {"head": 2}, np.float32(2), [np.int64(2)], keras.ops.array(2.0), [True]]


@pytest.mark.parametrize("given", [*NUMBERS, None, [None]], ids=repr)
def test_numbers_are_taken(given):
    model().compile("sgd", "mse", given)
