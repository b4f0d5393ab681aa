"""Convolutional LSTM against Keras: masks, states, ways through time; and what it needs to know."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kerasish
from kerasish import layers

X = np.random.default_rng(0).normal(size=(3, 4, 4, 5, 2)).astype("float32")
MASK = np.array([[1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1]], bool)
STATES = [np.random.default_rng(s).normal(size=(3, 4, 5, 2)).astype("float32") for s in (1, 2)]
WHOLE = {"return_sequences": True, "return_state": True, "padding": "same"}


def both(**options):
    """The layer here and in Keras, with the same weights."""
    pair = [module.ConvLSTM2D(2, 2, **options) for module in (layers, keras.layers)]
    for layer in pair:
        layer.build(X.shape)
    pair[0].set_weights(pair[1].get_weights())
    return pair


@pytest.mark.parametrize(
    "options",
    [
        {**WHOLE, "go_backwards": True},
        {**WHOLE, "unroll": True},
        {"zero_output_for_mask": True, "return_sequences": True},
        {"zero_output_for_mask": True, "strides": 2},
    ],
    ids=["backwards", "unrolled", "zeros", "last zeros"],
)
def test_masked_steps_are_keras(options):
    ours, theirs = both(**options)
    got = ours(X, mask=jnp.asarray(MASK))
    wanted = theirs(X, mask=jnp.asarray(MASK[..., None, None, None]))  # as Keras needs it
    for one, other in zip(*map(jax.tree.leaves, (got, wanted)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_initial_state_is_keras():
    got, wanted = (layer(X, initial_state=STATES) for layer in both(**WHOLE))
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_stateful_goes_on_where_the_last_batch_ended():
    kept, theirs = both(stateful=True, padding="same")
    whole, _ = both(padding="same")
    whole.set_weights(kept.get_weights())
    for layer in (kept, theirs):
        layer(X[:, :2])
    last = kept(X[:, 2:])
    np.testing.assert_allclose(last, theirs(X[:, 2:]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(last, whole(X), rtol=1e-4, atol=1e-5)
    kept.reset_state()
    assert not np.any(kept.states[0])


def test_dropout_is_the_same_at_each_step_and_another_for_each_gate():
    layer = layers.ConvLSTM2D(2, 2, dropout=0.5, seed=1)
    once = layer(X, training=True)
    cell = layer.cell
    cell.seed_generator.state.assign([1, 0])
    of_input, of_state = cell.draw_masks(3, True)
    assert of_state is None
    assert len({np.asarray(mask).tobytes() for mask in of_input}) == 4
    states = cell.get_initial_state(3)
    for t in range(4):
        gates = jnp.split(cell.project(X[:, t], of_input) + cell.input_bias(), 4, axis=-1)
        states = cell.advance(cell.rules(), cell.step_weights(), gates, states, None)
    np.testing.assert_allclose(once, states[0], rtol=1e-5, atol=1e-6)


def test_trains_in_a_model_of_unknown_steps():
    model = kerasish.Sequential(
        [
            kerasish.Input((None, 4, 5, 2)),
            layers.Masking(),
            layers.ConvLSTM2D(2, 2, recurrent_dropout=0.1),
            layers.GlobalAveragePooling2D(),
        ]
    )
    model.compile("sgd", "mse")
    first, *_, last = model.fit(X, X[:, 0, 0, 0], epochs=9, verbose=0).history["loss"]
    assert last < first
    assert model.predict(X[:, :2], verbose=0).shape == (3, 2)


ERRORS = {
    r"`input_shape` must be known but for the batch": lambda: layers.ConvLSTM1D(1, 2)(
        kerasish.Input((3, None, 1))
    ),
    r"`filters` must be a positive integer; got 0": lambda: layers.ConvLSTM2D(0, 2),
    r"`kernel_size` must be 3 integers": lambda: layers.ConvLSTM3D(1, (2, 2)),
    r"`dilation_rate` must be 1 where": lambda: layers.ConvLSTM1D(1, 2, strides=2, dilation_rate=2),
    r"expected ndim=5, found ndim=4": lambda: layers.ConvLSTM2D(1, 2)(X[0]),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
