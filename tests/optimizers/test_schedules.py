"""Learning rate schedules against Keras 3."""

import os

os.environ.setdefault("KERAS_BACKEND", "jax")

import inspect

import jax
import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

from kerasish.optimizers import schedules

# Keras 3.15 with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CASES = {
    "exponential": ("ExponentialDecay", (0.1, 7, 0.5), {}),
    "exponential stairs": ("ExponentialDecay", (0.1, 7, 0.5), {"staircase": True}),
    "piecewise": ("PiecewiseConstantDecay", ([3, 10, 20], [1.0, 0.5, 0.25, 0.1]), {}),
    "one boundary": ("PiecewiseConstantDecay", ([5.0], [1.0, 0.5]), {}),
    "polynomial": ("PolynomialDecay", (0.1, 20), {}),
    "polynomial square": ("PolynomialDecay", (0.1, 20, 0.01), {"power": 2.0}),
    "polynomial cycle": ("PolynomialDecay", (0.1, 8, 0.01), {"cycle": True}),
    "inverse": ("InverseTimeDecay", (0.1, 7, 0.5), {}),
    "inverse stairs": ("InverseTimeDecay", (0.1, 7, 0.5), {"staircase": True}),
    "cosine": ("CosineDecay", (0.1, 20), {"alpha": 0.1}),
    "cosine warm-up": ("CosineDecay", (0.0, 20), {"warmup_target": 0.1, "warmup_steps": 9}),
    "cosine no warm-up": ("CosineDecay", (0.0, 20), {"warmup_target": 0.1}),
    "restarts": ("CosineDecayRestarts", (0.1, 7), {"m_mul": 0.7, "alpha": 0.05}),
    "restarts equal": ("CosineDecayRestarts", (0.1, 7), {"t_mul": 1.0}),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_config_are_keras(name):
    cls, args, options = CASES[name]
    mine = getattr(schedules, cls)(*args, **options)
    keras = getattr(oracle.optimizers.schedules, cls)(*args, **options)
    theirs = jax.vmap(keras)(jnp.arange(45))
    np.testing.assert_allclose(jax.vmap(mine)(jnp.arange(45)), theirs, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(mine(5), theirs[5], rtol=1e-5)
    assert mine.get_config() == keras.get_config()
    data = schedules.serialize(mine)
    assert data == oracle.optimizers.schedules.serialize(keras)
    assert schedules.deserialize(data).get_config() == mine.get_config()


def test_rate_is_float32_whatever_the_step():
    rate = jax.jit(schedules.CosineDecay(0.1, 5))(np.int32(3))
    assert rate.dtype == "float32"


@pytest.mark.parametrize("name", [n for n in dir(oracle.optimizers.schedules) if n[0].isupper()])
def test_arguments_have_keras_names_order_and_defaults(name):
    def plain(cls):
        return [(p.name, p.default) for p in inspect.signature(cls.__init__).parameters.values()]

    assert plain(getattr(schedules, name)) == plain(getattr(oracle.optimizers.schedules, name))


@pytest.mark.parametrize("cls", ["ExponentialDecay", "InverseTimeDecay"])
def test_decay_steps_must_be_positive(cls):
    with pytest.raises(ValueError, match=f"{cls}: `decay_steps` must be above 0; got 0"):
        getattr(schedules, cls)(0.1, 0, 0.5)


def test_other_bad_input():
    with pytest.raises(ValueError, match=r"`first_decay_steps` must be above 0; got -1"):
        schedules.CosineDecayRestarts(0.1, -1)
    with pytest.raises(
        ValueError, match=r"`values` must be one more than 2 boundaries; got \[1.0\]"
    ):
        schedules.PiecewiseConstantDecay([1, 2], [1.0])
    with pytest.raises(NotImplementedError, match=r"write `__call__\(self, step\)`"):
        schedules.LearningRateSchedule()(0)
