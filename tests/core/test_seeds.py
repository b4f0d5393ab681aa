"""Seeds: the same stream as Keras 3's, and one call that fixes them all."""

import random

import jax
import keras as oracle
import numpy as np
import pytest

import kerasish as keras
from kerasish.core.state import seeds


@pytest.mark.parametrize("seed", [0, 5, 2**31, 2**32 - 1])
def test_the_stream_is_keras(seed):
    ours, theirs = seeds.SeedGenerator(seed), oracle.random.SeedGenerator(seed)
    for ordered in (True, True, False, True, False):
        np.testing.assert_array_equal(ours.next(ordered), theirs.next(ordered))
    assert ours.get_config() == theirs.get_config()
    assert ours.state.dtype == theirs.state.dtype and not ours.state.trainable


def test_it_advances_inside_compiled_functions_too():
    plain, compiled = seeds.SeedGenerator(3), seeds.SeedGenerator(3)
    draw = keras.jit(lambda: keras.random.uniform((2,), seed=compiled))
    for _ in range(3):
        np.testing.assert_array_equal(draw(), keras.random.uniform((2,), seed=plain))


def all_draws():
    """A function that draws from each source of randomness."""
    return lambda: [
        random.random(),
        np.random.random(),
        *keras.random.uniform((2,)).tolist(),
        *seeds.SeedGenerator().next().tolist(),
        *np.asarray(keras.initializers.GlorotUniform()((2, 2))).ravel().tolist(),
        *keras.jit(lambda: keras.random.normal((2,)))().tolist(),
    ]


def compiled_draws():
    """A compiled function that draws, traced once, and then one that is not compiled."""
    compiled = keras.jit(lambda: keras.random.uniform((2,)))
    return lambda: [
        *compiled().tolist(),
        *compiled().tolist(),
        *keras.random.uniform((2,)).tolist(),
    ]


@pytest.mark.parametrize("draw", [all_draws, compiled_draws], ids=["all", "compiled"])
def test_one_seed_fixes_everything_whatever_came_before(draw, monkeypatch):
    def forget():  # as in a new process
        monkeypatch.setattr(seeds, "_global", seeds._Global())

    drawn, draw = [], draw()
    for before in (forget, lambda: None, random.random, draw):
        before()
        keras.utils.set_random_seed(7)
        drawn.append(draw())
    assert drawn == drawn[:1] * 4
    keras.utils.set_random_seed(8)
    assert all(a != b for a, b in zip(draw(), drawn[0], strict=True) if b)


def test_functions_given_no_seed_draw_as_keras_does():
    def three(set_seed, draw):
        set_seed(3)
        return [np.asarray(draw(None)).tolist() for _ in range(3)]

    theirs = three(oracle.utils.set_random_seed, oracle.src.random.seed_generator.draw_seed)
    assert three(keras.utils.set_random_seed, seeds.draw_seed) == theirs


def test_no_two_streams_begin_alike():
    keras.utils.set_random_seed(0)
    first = [tuple(seeds.SeedGenerator().next().tolist()) for _ in range(50)]
    assert len({*first, tuple(seeds.draw_seed(None).tolist())}) == 51


def test_seeds_are_taken_in_any_form():
    wanted = [4, 0]
    for seed in (4, np.int64(4), seeds.SeedGenerator(4), jax.numpy.array([4, 0], "uint32")):
        assert seeds.draw_seed(seed).tolist() == wanted


BAD = {
    "negative": (lambda: seeds.SeedGenerator(-1), "`seed` must be at least 0; got -1"),
    "text": (lambda: seeds.SeedGenerator("a"), "an integer or None; got 'a'"),
    "draw": (lambda: seeds.draw_seed("a"), "an integer, a SeedGenerator or None; got 'a'"),
    "set": (lambda: seeds.set_random_seed(1.5), "an integer; got 1.5"),
}


@pytest.mark.parametrize("act,text", BAD.values(), ids=BAD)
def test_bad_seeds_are_told(act, text):
    with pytest.raises(ValueError, match=text):
        act()
