"""Attention: masks, causality, windows, scores, groups, and where weights lie."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kerasish
from kerasish import layers
from kerasish.core.masking import get_mask, set_mask
from kerasish.saving.weights_api import walk

RNG = np.random.default_rng(0)
Q = RNG.normal(size=(3, 5, 4)).astype("float32")
V = RNG.normal(size=(3, 7, 4)).astype("float32")
K = RNG.normal(size=(3, 7, 4)).astype("float32")
Q_MASK = jnp.asarray(np.arange(5) < [[5], [3], [1]])
V_MASK = jnp.asarray(np.arange(7) < [[7], [2], [4]])
PAIRS = jnp.asarray(RNG.random((3, 5, 7)) < 0.7)


def both(make, *args):
    """The layer here and in Keras, with the same weights."""
    ours, theirs = make(layers), make(keras.layers)
    ours(*args), theirs(*args)
    ours.set_weights(theirs.get_weights())
    return ours, theirs


def assert_alike(make, *args, **kwargs):
    got, wanted = (layer(*args, **kwargs) for layer in both(make, *args))
    for one, other in zip(*map(jax.tree.leaves, (got, wanted)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


SIMPLE = {
    "dot": lambda m: m.Attention(),
    "concat": lambda m: m.Attention(use_scale=True, score_mode="concat"),
    "additive": lambda m: m.AdditiveAttention(),
}
SIMPLE_OPTIONS = {
    "masks": {"mask": [Q_MASK, V_MASK]},
    "value mask": {"mask": [None, V_MASK]},
    "causal": {"use_causal_mask": True, "return_attention_scores": True},
    "causal and masks": {"use_causal_mask": True, "mask": [Q_MASK, V_MASK]},
}


@pytest.mark.parametrize("options", SIMPLE_OPTIONS)
@pytest.mark.parametrize("kind", SIMPLE)
def test_simple_attention_is_keras(kind, options):
    assert_alike(SIMPLE[kind], [Q, V, K], **SIMPLE_OPTIONS[options])


HEADED = {
    "heads": lambda m: m.MultiHeadAttention(2, 3),
    "wide values": lambda m: m.MultiHeadAttention(2, 3, value_dim=5, dropout=0.1, use_gate=True),
    "window": lambda m: m.MultiHeadAttention(2, 3, sliding_window=2),
    "groups": lambda m: m.GroupQueryAttention(3, 4, 2),
    "grouped window": lambda m: m.GroupQueryAttention(3, 4, 1, dropout=0.1, sliding_window=3),
}
HEADED_OPTIONS = {
    "causal": {"use_causal_mask": True},
    "pairs": {"attention_mask": PAIRS},
    "value and key masks": {"value_mask": V_MASK, "key_mask": V_MASK},
    "all": {"use_causal_mask": True, "attention_mask": PAIRS[:1], "value_mask": V_MASK},
    "scores": {"return_attention_scores": True, "use_causal_mask": True},
    "scores of pairs": {"return_attention_scores": True, "attention_mask": PAIRS},
}


@pytest.mark.parametrize("options", HEADED_OPTIONS)
@pytest.mark.parametrize("kind", HEADED)
def test_attention_with_heads_is_keras(kind, options):
    assert_alike(HEADED[kind], Q, V, K, **HEADED_OPTIONS[options])


def test_one_head_is_its_formula():
    layer = layers.MultiHeadAttention(1, 3, use_bias=False)
    y = layer(Q, V, K)
    q, k, v, out = (np.squeeze(w) for w in layer.get_weights())
    scores = (Q @ q) @ np.swapaxes(K @ k, 1, 2) / np.sqrt(3)
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    np.testing.assert_allclose(y, weights @ (V @ v) @ out, rtol=1e-4, atol=1e-5)


def test_a_query_sees_nothing_that_comes_later():
    layer = layers.MultiHeadAttention(2, 3)
    later = Q.copy()
    later[:, 3:] += 1.0
    one, other = (layer(x, x, use_causal_mask=True) for x in (Q, later))
    np.testing.assert_allclose(one[:, :3], other[:, :3], rtol=1e-5, atol=1e-6)
    assert not np.allclose(one[:, 3:], other[:, 3:])


@pytest.mark.parametrize("kind", ["heads", "groups"])
def test_masks_that_travel_with_inputs_count_and_travel_on(kind):
    layer = HEADED[kind](layers)
    query, value = jnp.asarray(Q), jnp.asarray(V)
    plain = layer(query, value)
    set_mask(query, Q_MASK), set_mask(value, V_MASK)
    y = layer(query, value)
    np.testing.assert_array_equal(get_mask(y), Q_MASK)
    np.testing.assert_array_equal(get_mask(query), Q_MASK)
    given = layer(Q, V, query_mask=Q_MASK, value_mask=V_MASK)
    np.testing.assert_allclose(y, given, rtol=1e-6)
    assert not np.allclose(y, plain)
    short = layer(Q[1:2], V[1:2, :2])
    np.testing.assert_allclose(y[1, :3], short[0, :3], rtol=1e-4, atol=1e-5)


def test_masks_reach_attention_in_functional_models():
    ids = np.array([[1, 2, 0, 0], [3, 4, 1, 2]])
    x = kerasish.Input((None,), dtype="int32")
    e = layers.Embedding(5, 4, mask_zero=True)(x)
    attended = layers.MultiHeadAttention(2, 2)(e, e)
    model = kerasish.Model(x, [attended, layers.Attention()([e, e])])
    both_long, both_short = model(ids), model(ids[:1, :2])
    for long, short in zip(both_long, both_short, strict=True):
        np.testing.assert_allclose(long[0, :2], short[0], rtol=1e-4, atol=1e-5)


def test_as_many_groups_as_heads_is_plain_attention():
    grouped, plain = layers.GroupQueryAttention(3, 2, 2), layers.MultiHeadAttention(2, 3)
    grouped(Q, V), plain(Q, V)
    grouped.set_weights(plain.get_weights())
    np.testing.assert_allclose(grouped(Q, V), plain(Q, V), rtol=1e-5, atol=1e-6)


def test_queries_that_see_nothing_give_numbers_and_gradients():
    nothing = jnp.zeros((3, 5, 7), bool)
    for layer in (layers.MultiHeadAttention(2, 3), layers.MultiHeadAttention(2, 3, dropout=0.1)):
        layer(Q, V)
        run = lambda x, layer=layer: layer(x, V, attention_mask=nothing).sum()  # noqa: E731
        assert np.all(np.isfinite(jax.grad(run)(Q)))


def test_weights_lie_where_keras_looks_for_them():
    for layer, names in (
        (layers.MultiHeadAttention(2, 3), "key_dense output_dense query_dense value_dense"),
        (layers.GroupQueryAttention(3, 2, 1), "_key_dense _output_dense _query_dense _value_dense"),
    ):
        layer(Q, V)
        paths = [p for p, part in walk(layer) if p and getattr(part, "trainable_variables", ())]
        assert paths == names.split()


def test_a_subclass_may_attend_in_its_own_way():
    class Uniform(layers.MultiHeadAttention):
        def _compute_attention(self, query, key, value, attention_mask=None, *args, **kwargs):
            seen.append(attention_mask)
            mean = jnp.mean(value, axis=1, keepdims=True)
            return jnp.broadcast_to(mean, (*query.shape[:-1], mean.shape[-1])), None

    seen = []
    y = Uniform(2, 3)(Q, V, use_causal_mask=True)
    np.testing.assert_allclose(y[:, 0], y[:, 4], rtol=1e-5)
    assert seen[0].shape == (1, 5, 7)


def test_unknown_sizes_stay_unknown():
    q, v = kerasish.Input((None, 4)), kerasish.Input((None, 4))
    for layer in (layers.MultiHeadAttention(2, 3), layers.GroupQueryAttention(3, 2, 1)):
        y, weights = layer(q, v, use_causal_mask=True, return_attention_scores=True)
        assert (y.shape, weights.shape) == ((None, None, 4), (None, 2, None, None))
        assert layer(q, v, use_causal_mask=True).shape == (None, None, 4)
    assert layers.Attention()([q, v], use_causal_mask=True).shape == (None, None, 4)


ERRORS = {
    r"`num_heads` must be a positive integer; got 0": lambda: layers.MultiHeadAttention(0, 1),
    r"`sliding_window` must be a positive integer": lambda: layers.MultiHeadAttention(
        1, 1, sliding_window=-1
    ),
    r"`flash_attention` must be None or False with dropout": lambda: layers.MultiHeadAttention(
        1, 1, dropout=0.1, flash_attention=True
    ),
    r"`key_shape` must be like that of the values": lambda: layers.MultiHeadAttention(1, 1)(
        Q, V, Q
    ),
    r"`num_key_value_heads` must be a divisor of": lambda: layers.GroupQueryAttention(1, 4, 3),
    r"`score_mode` must be one of": lambda: layers.Attention(score_mode="sum"),
    r"`inputs` must be a list of a query, a value": lambda: layers.Attention()(Q),
    r"`mask` must be a list of a query": lambda: layers.Attention()([Q, V], mask=V_MASK),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
