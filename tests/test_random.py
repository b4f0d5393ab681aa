"""Random functions: the numbers of Keras 3 for the same seed, and what a generator adds."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from kerasish import random
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object
from kerasish.core.state.seeds import set_random_seed
from kerasish.core.symbolic.keras_tensor import KerasTensor

pytestmark = pytest.mark.exact

LOGITS = np.log([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]]).astype("float32")
ONES = np.ones((4, 6), "float32")

CASES = [
    ("normal", ((3, 5),), {}),
    ("normal", ((3, 5),), {"mean": 1.0, "stddev": 0.1, "dtype": "bfloat16"}),
    ("truncated_normal", ((3, 5),), {}),
    ("truncated_normal", ((3, 5),), {"mean": 1.0, "stddev": 0.1, "dtype": "float16"}),
    ("uniform", ((3, 5),), {}),
    ("uniform", ((3, 5), -2.0, 3.0), {"dtype": "float16"}),
    ("randint", ((3, 5), -4, 9), {}),
    ("randint", ((3, 5), 0, 100), {"dtype": "uint8"}),
    ("categorical", (LOGITS, 7), {}),
    ("categorical", (LOGITS, 7), {"dtype": "uint8"}),
    ("dropout", (ONES, 0.3), {}),
    ("dropout", (ONES.astype("float16"), 0.3), {}),
    ("dropout", (ONES, 0.5), {"noise_shape": (None, 1)}),
    ("dropout", (ONES, 0.0), {}),
    ("dropout", (ONES, 1.0), {}),
    ("shuffle", (np.arange(12).reshape(3, 4),), {}),
    ("shuffle", (np.arange(12).reshape(3, 4),), {"axis": 1}),
    ("gamma", ((3, 5), 0.5), {}),
    ("beta", ((3, 5), 2.0, 0.5), {}),
    ("beta", ((3, 5), np.full((1, 5), 2.0, "float32"), 0.5), {}),
    ("binomial", ((3, 5), 9.0, 0.3), {}),
    ("binomial", ((3, 5), 9.0, np.linspace(0, 1, 5, dtype="float32")), {}),
]
IDS = [f"{name}-{i}" for i, (name, _, _) in enumerate(CASES)]


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES, ids=IDS)
def test_numbers_are_keras(name, args, kwargs):
    ours = getattr(random, name)(*args, **kwargs, seed=1337)
    theirs = getattr(keras.random, name)(*args, **kwargs, seed=1337)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES, ids=IDS)
def test_generator_gives_keras_sequence(name, args, kwargs):
    ours, theirs = random.SeedGenerator(3), keras.random.SeedGenerator(3)
    for _ in range(2):
        np.testing.assert_array_equal(
            getattr(random, name)(*args, **kwargs, seed=ours),
            getattr(keras.random, name)(*args, **kwargs, seed=theirs),
        )


def test_no_seed_gives_others_each_time_and_set_random_seed_fixes_them():
    def draw():
        set_random_seed(5)
        return np.asarray([random.uniform((3,)), random.uniform((3,))])

    random.uniform(())  # the global generator is there
    first = draw()
    assert not np.any(first[0] == first[1])
    np.testing.assert_array_equal(first, draw())


def test_unknown_batch_size():
    def draw(x):
        return (
            random.normal(x.shape, seed=1),
            random.dropout(x, 0.5, (None, 1), seed=1),
            random.categorical(x, 3, seed=1),
        )

    batch = jax.export.symbolic_shape("b")[0]
    shapes = jax.eval_shape(draw, jax.ShapeDtypeStruct((batch, 6), "float32"))
    assert [s.shape for s in shapes] == [(batch, 6), (batch, 6), (batch, 3)]


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda x, seed: random.dropout(x, 0.5, seed=seed), (None, 6)),
        (lambda x, seed: random.shuffle(x, axis=1, seed=seed), (None, 6)),
        (lambda x, seed: random.categorical(x, 2, seed=seed), (None, 2)),
    ],
)
def test_takes_symbolic_tensors(call, shape):
    generator = random.SeedGenerator(1)
    before = np.array(generator.state)
    assert call(KerasTensor((None, 6)), generator).shape == shape
    np.testing.assert_array_equal(generator.state, before)


def test_dropout_keeps_the_mean():
    x = random.dropout(jnp.ones(100_000), 0.3, seed=1)
    assert float(x.mean()) == pytest.approx(1, abs=0.01)
    assert float((x == 0).mean()) == pytest.approx(0.3, abs=0.01)


def test_generator_is_written_as_keras_does():
    data = serialize_keras_object(random.SeedGenerator(7))
    assert (data["module"], data["class_name"]) == ("keras.random", "SeedGenerator")
    assert data["config"]["seed"] == 7
    theirs = keras.saving.serialize_keras_object(keras.random.SeedGenerator(7))
    assert deserialize_keras_object(theirs).seed == 7


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: random.uniform((2,), dtype="int32"),
            "uniform: `dtype` must be a float type; got 'i",
        ),
        (lambda: random.normal((2,), dtype="bool"), "normal: `dtype` must be a float type; got 'b"),
        (lambda: random.randint((2,), 0, 3, "float32"), "randint: `dtype` must be an integer type"),
        (
            lambda: random.categorical([1.0], 2),
            r"categorical: `logits` must be of 2 axes; got \(1,",
        ),
        (
            lambda: random.normal((2,), seed="x"),
            "`seed` must be an integer, a SeedGenerator or None",
        ),
    ],
)
def test_bad_arguments(call, text):
    with pytest.raises(ValueError, match=text):
        call()


def test_names_are_keras():
    assert random.__all__ == [n for n in dir(keras.random) if not n.startswith("_")]
