"""Random bits written out are JAX's own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kerasish.kernels.random_bits import bernoulli


@pytest.mark.parametrize("shape", [(), (1,), (32, 64), (3, 5, 7), (0, 4), (3000,), (4097,)])
def test_masks_are_those_of_jax(shape):
    for seed, p in (([123456, 7], 0.8), ([0, 0], 0.1234567), ([2**32 - 1, 2**31], 0.5)):
        key = jnp.asarray(np.array(seed, "uint32"))
        np.testing.assert_array_equal(bernoulli(key, p, shape), jax.random.bernoulli(key, p, shape))


def test_other_generators_and_precisions_are_left_to_jax():
    key = jax.random.key(3, impl="rbg")
    np.testing.assert_array_equal(bernoulli(key, 0.5, (9,)), jax.random.bernoulli(key, 0.5, (9,)))
    with jax.enable_x64(True):
        key = jnp.asarray(np.array([1, 2], "uint32"))
        np.testing.assert_array_equal(
            bernoulli(key, 0.5, (9,)), jax.random.bernoulli(key, 0.5, (9,))
        )


def test_it_maps_over_keys():
    keys = jax.random.split(jax.random.PRNGKey(1), 4)
    ours, theirs = (
        jax.vmap(lambda k, f=f: f(k, 0.3, (5,)))(keys) for f in (bernoulli, jax.random.bernoulli)
    )
    np.testing.assert_array_equal(ours, theirs)
