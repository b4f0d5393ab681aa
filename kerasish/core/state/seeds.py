"""Randomness that is state: seeds, generators of them, and one call that fixes them all."""

import random as python_random
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.names import auto_name, name_scope
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.state.scope import current_scope
from kerasish.core.state.variable import Variable


class SeedGenerator(Configurable):
    """A stream of seeds: each call of `next` gives one no earlier call gave.

    Its state is a Variable, so it advances inside compiled functions too.

    Args:
        seed: Integer to start from. `None` draws one from Python's `random`, so that
            `set_random_seed` fixes it.
        name: Name; generated if not given.

    Example:
        >>> generator = SeedGenerator(seed=7)
        >>> generator.next(), generator.next()
        (Array([7, 0], dtype=uint32), Array([7, 1], dtype=uint32))
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any):
        if seed is not None and not isinstance(seed, int | np.integer):
            raise bad_argument("SeedGenerator", "seed", "an integer or None", seed)
        if seed is not None and seed < 0:
            raise bad_argument("SeedGenerator", "seed", "at least 0", seed)
        self.name = name or auto_name("seed_generator")
        self.seed = seed
        start = make_default_seed() if seed is None else int(seed)
        first = np.array([start % 2**32, start >> 32], dtype="uint32")
        with name_scope(self.name, owner=self):
            self.state = Variable(
                first, trainable=False, autocast=False, name="seed_generator_state"
            )

    def next(self, ordered: bool = True) -> jax.Array:
        """The next seed, an array of two `uint32`; the following ones count up, or jump about.

        Args:
            ordered: Whether to count up.
        """
        seed = self.state.read()
        if ordered:
            self.state.assign(seed + np.array([0, 1], dtype="uint32"))
        else:  # as Keras 3 goes through the seeds of functions that are given none
            self.state.assign((seed + np.uint32(1)) * np.uint32(5387) % np.uint32(933199))
        return seed

    def get_config(self) -> dict:
        """Keras' form: the seed and the name."""
        return {"seed": self.seed, "name": self.name}


class KeyStream:
    """A stream of seeds that one key gives, without state outside of itself.

    For random numbers within a branch of a compiled program, where no Variable can be written.
    """

    def __init__(self, key: jax.Array):
        self.key = key

    def next(self) -> jax.Array:
        """The next seed."""
        self.key, key = jax.random.split(self.key)
        return key


def make_default_seed() -> int:
    """An integer drawn from Python's `random`."""
    return python_random.randint(1, int(1e9))


class _Global:
    generator: SeedGenerator | None = None
    seed: int | None = None  # what `set_random_seed` said last
    is_fresh = False  # since then


_global = _Global()


def global_seed_generator() -> SeedGenerator:
    """The generator behind random functions that are given no seed."""
    traced = current_scope() is not None  # compiled functions come by here only once
    if _global.generator is None:
        seed = _global.seed if traced else None
        _global.generator = SeedGenerator(seed, name="global_seed_generator")
    elif _global.is_fresh and not traced:
        # Drawn at the first use, as Keras 3 does, so that all else draws the same numbers too.
        _global.generator.state.assign(np.array([make_default_seed(), 0], dtype="uint32"))
    _global.is_fresh = _global.is_fresh and traced
    return _global.generator


def draw_seed(seed: Any) -> jax.Array:
    """Two `uint32` that JAX's random functions take as a key.

    Args:
        seed: An integer (always the same result), a `SeedGenerator` (its next), an array as this
            function returns, or `None` (the next of the global generator).
    """
    if isinstance(seed, jax.Array):
        return seed
    if isinstance(seed, SeedGenerator | KeyStream):
        return seed.next()
    if isinstance(seed, int | np.integer):
        return jnp.asarray(np.array([seed, 0], dtype="uint32"))
    if seed is None:
        return global_seed_generator().next(ordered=False)
    raise bad_argument("random", "seed", "an integer, a SeedGenerator or None", seed)


def chosen_seed() -> int | None:
    """What `set_random_seed` was given last, if it was called."""
    return _global.seed


def set_random_seed(seed: int) -> None:
    """Fix every source of randomness: Python's, NumPy's and kerasish's own.

    Args:
        seed: Integer from 0 to 2**32 - 1.

    Example:
        >>> set_random_seed(1)
        >>> first = keras.random.normal((2,))
        >>> set_random_seed(1)
        >>> bool((keras.random.normal((2,)) == first).all())
        True
    """
    if not isinstance(seed, int | np.integer):
        raise bad_argument("set_random_seed", "seed", "an integer", seed)
    python_random.seed(int(seed))
    np.random.seed(int(seed))
    _global.seed, _global.is_fresh = int(seed), True
    if _global.generator is not None:
        _global.generator.state.assign(np.array([seed, 0], dtype="uint32"))
