"""Normalization: masks, frozen layers, learning from data, and what errors say."""

import functools

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from kerasish import layers
from kerasish.kernels import normalization

X = np.random.default_rng(0).normal(2.0, 3.0, size=(6, 5, 3)).astype("float32")
MASK = np.arange(5) < np.array([[1], [2], [3], [4], [5], [5]])


def test_batch_normalization_leaves_masked_steps_out_like_keras():
    ours, theirs = (m.BatchNormalization() for m in (layers, keras.layers))
    y, wanted = (layer(X, training=True, mask=MASK) for layer in (ours, theirs))
    np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-5)
    for v, w in zip(ours.variables, theirs.variables, strict=True):
        np.testing.assert_allclose(v.value, w.value, rtol=1e-5, atol=1e-6)


def test_batch_normalization_gives_mean_0_and_variance_1():
    y = np.asarray(layers.BatchNormalization(epsilon=0.0)(X, training=True))
    np.testing.assert_allclose(y.mean((0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(y.var((0, 1)), 1, rtol=1e-4)


def all_derivatives(fn, *args):
    """First ones both ways, and a second one."""

    def total(*args):
        return sum(jnp.sum(jnp.sin(result)) for result in jax.tree.leaves(fn(*args)))

    places = tuple(range(len(args)))
    first = jax.grad(total, places)
    changes = tuple(x**2 for x in args)
    return first(*args), jax.jvp(fn, args, changes)[1], jax.jvp(first, args, changes)[1]


@pytest.mark.parametrize("axis", [-1, 1])
def test_derivatives_by_hand_are_those_of_the_definition(axis):
    others = tuple({0, 1, 2} - {axis % 3})
    sizes = np.where(np.arange(3) == axis % 3, X.shape, 1)
    weights = np.linspace(0.5, 2, X.shape[axis]), np.linspace(-1, 1, X.shape[axis])

    def of_batch(x, gamma, beta):
        mean, variance = jnp.mean(x, others), jnp.var(x, others)
        gamma, beta, m, v = (jnp.reshape(a, sizes) for a in (gamma, beta, mean, variance))
        return gamma * (x - m) / jnp.sqrt(v + 1e-3) + beta, mean, variance

    def of_samples(x):
        variance = jnp.var(x, others, keepdims=True)
        return (x - jnp.mean(x, others, keepdims=True)) / jnp.sqrt(variance + 1e-3)

    by_hand = functools.partial(normalization.batch_normalize, axis, 1e-3)
    by_hand_too = functools.partial(normalization.standardize, others, 1e-3)

    @jax.jit
    def all_of(x, *weights):
        batch = [all_derivatives(fn, x, *weights) for fn in (by_hand, of_batch)]
        samples = [all_derivatives(fn, x) for fn in (by_hand_too, of_samples)]
        return list(zip(batch, samples, strict=True))

    found, wanted = all_of(X, *weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), found, wanted)


def test_frozen_batch_normalization_uses_and_keeps_its_averages():
    layer = layers.BatchNormalization()
    layer.trainable = False
    np.testing.assert_allclose(layer(X, training=True), layer(X), rtol=1e-6)
    np.testing.assert_array_equal(layer.moving_mean, np.zeros(3))


def test_batch_renormalization_without_bounds_is_normalization_by_the_averages():
    layer = layers.BatchNormalization(renorm=True)
    np.testing.assert_allclose(
        layer(X, training=True), layers.BatchNormalization()(X), rtol=1e-3, atol=1e-4
    )


def test_16_bit_inputs_are_summed_in_32():
    x = (X * 100).astype("float16")
    for name in ("BatchNormalization", "LayerNormalization", "RMSNormalization"):
        y = getattr(layers, name)(dtype="float16")(x)
        assert y.dtype == np.float16
        assert np.isfinite(y).all()


def test_spectral_normalization_gives_a_largest_singular_value_of_1():
    layer = layers.SpectralNormalization(layers.Dense(4), power_iterations=100)
    layer(X[:, 0], training=True)
    assert np.linalg.norm(layer.layer.kernel, 2) == pytest.approx(1.0, abs=1e-4)


class TestNormalization:
    @pytest.mark.parametrize("axis", [-1, 1, (1, 2), None])
    def test_adapts_to_an_array_as_keras(self, axis):
        ours, theirs = (m.Normalization(axis=axis) for m in (layers, keras.layers))
        ours.adapt(X), theirs.adapt(X)
        np.testing.assert_allclose(ours(X), theirs(X), rtol=1e-4, atol=1e-5)
        assert [v.name for v in ours.variables] == [v.name for v in theirs.variables]

    @pytest.mark.parametrize(
        "split",
        [lambda x: [x[:1], x[1:4], x[4:]], lambda x: ((b, None) for b in np.split(x, 3)), list],
        ids=["list", "generator of tuples", "samples"],
    )
    def test_does_not_care_how_data_is_batched(self, split):
        whole, parts = layers.Normalization(), layers.Normalization()
        x = X[:, 0]
        whole.adapt(x)
        parts.adapt(split(x) if split is not list else [row[None] for row in x])
        np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-5)
        np.testing.assert_allclose(parts.variance, whole.variance, rtol=1e-5)

    def test_takes_numbers_as_nested_lists(self):
        layer = layers.Normalization()
        layer.adapt([[1.0, 2.0], [3.0, 6.0]])
        np.testing.assert_allclose(layer.mean, [[2.0, 4.0]])

    def test_inverts(self):
        there, back = layers.Normalization(), layers.Normalization(invert=True)
        there.adapt(X), back.adapt(X)
        np.testing.assert_allclose(back(there(X)), X, rtol=1e-4, atol=1e-5)

    def test_compiled_calls_see_later_adaptation(self):
        layer = layers.Normalization()
        layer.adapt(X)
        state = [v.value for v in layer.variables]
        run = jax.jit(lambda state, x: layer.stateless_call([], state, x)[0])
        first = run(state, X)
        layer.adapt(X + 10)
        assert np.abs(run([v.value for v in layer.variables], X) - first).max() > 1

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (
                lambda: layers.Normalization(mean=1.0),
                "`mean` must be given together with `variance`",
            ),
            (lambda: layers.Normalization(mean=[1.0], variance=2.0), "of the mean's shape"),
            (lambda: layers.Normalization(None, [1.0], [2.0]), "`mean` must be of rank 0 at most"),
            (lambda: layers.Normalization(axis=3).adapt(X), "`axis` must be axes of the input"),
            (lambda: layers.Normalization(mean=1.0, variance=2.0).adapt(X), "nothing to do"),
            (lambda: layers.Normalization().adapt(iter([])), "at least one sample"),
            (lambda: layers.Normalization().adapt(3), "an array or an iterable of batches"),
            (lambda: layers.Normalization().adapt([X, X[:, :, :2]]), "of sizes"),
        ],
    )
    def test_bad_arguments_are_told(self, make, text):
        with pytest.raises(ValueError, match=text):
            make()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.GroupNormalization(0), "`groups` must be a positive integer, or -1; got 0"),
        (lambda: layers.GroupNormalization(2)(X), "`groups` must be a divisor of the 3 channels"),
        (lambda: layers.LayerNormalization("a"), "`axis` must be an integer or a list of integers"),
        (lambda: layers.BatchNormalization(axis=7)(X), "`axis` must be an axis of"),
        (lambda: layers.BatchNormalization()(X, mask=MASK[0]), "`mask` must be of rank 2"),
        (
            lambda: layers.BatchNormalization(renorm=True, renorm_clipping={"rmin": 2, "rmax": 1}),
            "`renorm_clipping` must be a dict",
        ),
        (lambda: layers.SpectralNormalization(layers.Flatten())(X), "a layer with `kernel`"),
    ],
)
def test_bad_arguments_are_told(make, text):
    with pytest.raises(ValueError, match=text):
        make()
