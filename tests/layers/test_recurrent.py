"""Recurrent layers: masks, states, cells of users, both directions, single steps."""

import contextlib
import re

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kerasish
from kerasish import layers
from kerasish.core import lowering
from kerasish.core.masking import get_mask
from kerasish.kernels.recurrent import apply_tanh_forms
from kerasish.layers.rnn import rnn
from kerasish.saving.weights_api import walk

X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
LENGTHS = np.array([[1], [3], [6], [4]])
MASK = np.arange(6) < LENGTHS
GAPS = np.random.default_rng(1).random((4, 6)) < 0.6


def both(make):
    """The layer here and in Keras, with the same weights."""
    ours, theirs = make(layers), make(keras.layers)
    ours(X), theirs(X)
    ours.set_weights(theirs.get_weights())
    return ours, theirs


def assert_alike(make, *args, **kwargs):
    got, wanted = (layer(*args, **kwargs) for layer in both(make))
    for one, other in zip(*map(jax.tree.leaves, (got, wanted)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


MASKED = {
    "lstm": lambda m: m.LSTM(4, return_sequences=True, return_state=True),
    "gru backwards": lambda m: m.GRU(4, return_sequences=True, go_backwards=True),
    "gru last": lambda m: m.GRU(4, reset_after=False, return_state=True),
    "zero output": lambda m: m.SimpleRNN(4, return_sequences=True, zero_output_for_mask=True),
    "zero last output": lambda m: m.LSTM(4, zero_output_for_mask=True),
    "stack": lambda m: m.RNN([m.LSTMCell(4), m.GRUCell(3)], return_sequences=True),
    "unrolled": lambda m: m.GRU(4, return_sequences=True, unroll=True),
    "both ways": lambda m: m.Bidirectional(m.LSTM(4, return_sequences=True)),
    "both ways, last": lambda m: m.Bidirectional(m.GRU(4), "sum"),
}


@pytest.mark.parametrize("mask", [MASK, GAPS], ids=["padding", "gaps"])
@pytest.mark.parametrize("name", MASKED)
def test_masked_steps_are_keras(name, mask):
    assert_alike(MASKED[name], X, mask=jnp.asarray(mask))


def test_padding_changes_nothing_before_it():
    layer = layers.LSTM(4, return_sequences=True)
    y = layer(X, mask=jnp.asarray(MASK))
    single = layer(X[1:2, :3])
    np.testing.assert_allclose(y[1, :3], single[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(y[1, 3:], np.tile(single[0, -1:], (3, 1)), rtol=1e-5, atol=1e-6)


def test_masks_travel_on_as_far_as_steps_do():
    x = layers.Masking()(X * MASK[..., None])
    ends = [layers.GRU(2), layers.Bidirectional(layers.GRU(2))]
    goes_on = [
        layers.GRU(2, return_sequences=True),
        layers.Bidirectional(layers.GRU(2, return_sequences=True, return_state=True)),
        layers.TimeDistributed(layers.Dense(2)),
    ]
    assert [get_mask(layer(x)) for layer in ends] == [None, None]
    for layer in goes_on:
        np.testing.assert_array_equal(get_mask(jax.tree.leaves(layer(x))[0]), MASK)
    output, *states = layers.LSTM(2, return_sequences=True, return_state=True)(x)
    assert get_mask(output) is not None
    assert [get_mask(s) for s in states] == [None, None]


STATES = {
    "lstm": (lambda m: m.LSTM(2, return_state=True), [(4, 2), (4, 2)]),
    "gru": (lambda m: m.GRU(2, return_sequences=True), [(4, 2)]),
    "stack": (lambda m: m.RNN([m.LSTMCell(2), m.GRUCell(3)]), [[(4, 2), (4, 2)], (4, 3)]),
    "both": (lambda m: m.Bidirectional(m.GRU(2, return_state=True)), [(4, 2), (4, 2)]),
}


@pytest.mark.parametrize("name", STATES)
def test_initial_state_is_keras(name):
    make, shapes = STATES[name]
    rng = np.random.default_rng(2)
    is_shape = lambda s: isinstance(s, tuple)  # noqa: E731
    state = jax.tree.map(lambda s: rng.normal(size=s).astype("float32"), shapes, is_leaf=is_shape)
    assert_alike(make, X, initial_state=state)


def test_a_single_initial_state_needs_no_list():
    layer = layers.GRU(2)
    h = np.ones((4, 2), "float32")
    np.testing.assert_array_equal(layer(X, initial_state=h), layer(X, initial_state=[h]))


def test_the_states_of_one_half_start_the_other():
    layer = layers.LSTM(3, return_state=True)
    whole = layer(X)
    _, *states = layer(X[:, :2])
    for one, other in zip(layer(X[:, 2:], initial_state=states), whole, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_encoder_and_decoder_as_a_functional_model():
    source, target = kerasish.Input((None, 3)), kerasish.Input((None, 2))
    _, *states = layers.LSTM(4, return_state=True)(source)
    y = layers.LSTM(4, return_sequences=True)(target, initial_state=states)
    model = kerasish.Model([source, target], layers.Dense(1)(y))
    assert model.output.shape == (None, None, 1)
    model.compile("sgd", "mse")
    model.fit([X, X[:, :5, :2]], X[:, :5, :1], verbose=0)
    assert model.predict([X, X[:, :4, :2]], verbose=0).shape == (4, 4, 1)


class Decay:
    """A plain object as a cell: no layer, no output size, no initial state."""

    state_size = 3

    def call(self, inputs, states):
        new = 0.5 * states[0] + inputs
        return new, [new]


def test_any_object_with_a_call_is_a_cell():
    wanted = np.zeros((4, 3))
    for t in range(6):
        wanted = 0.5 * wanted + X[:, t]
    np.testing.assert_allclose(layers.RNN(Decay())(X), wanted, rtol=1e-5, atol=1e-6)


def nested_cell(module):
    """A cell with nested states of different shapes, written once for both libraries."""

    class Nested(module.Layer):
        state_size = ((2, 3), 4)
        output_size = 5

        def get_initial_state(self, batch_size=None):
            shapes = [[(batch_size, 2), (batch_size, 3)], (batch_size, 4)]
            return [[jnp.ones(s) for s in shapes[0]], jnp.zeros(shapes[1])]

        def build(self, input_shape):
            self.kernel = self.add_weight(shape=(9 + input_shape[-1], 14), name="kernel")

        def call(self, inputs, states):
            (a, b), c = states
            everything = jnp.concatenate([inputs, a, b, c], axis=-1)
            a, b, c, y = jnp.split(jnp.tanh(everything @ jnp.asarray(self.kernel)), [2, 5, 9], -1)
            return y, [[a, b], c]

    return Nested()


@pytest.mark.parametrize("unroll", [False, True])
def test_cells_of_users_with_nested_states_are_keras(unroll):
    options = {"return_sequences": True, "return_state": True, "unroll": unroll}
    assert_alike(lambda m: m.RNN(nested_cell(m), **options), X)


def test_cells_whose_output_is_no_state_repeat_it_where_masked():
    layer = layers.RNN(nested_cell(layers), return_sequences=True)
    y = np.asarray(layer(X, mask=jnp.asarray(MASK)))
    np.testing.assert_array_equal(y[0, 1:], np.tile(y[0, :1], (5, 1)))


class Noisy(layers.Layer):
    """A cell that draws random numbers at each step, in training."""

    state_size = 3

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.drop = layers.Dropout(0.5, seed=1)

    def call(self, inputs, states, training=False):
        y = self.drop(inputs, training=training)
        return y, [y]


def test_cells_may_change_variables_in_the_loop():
    y = layers.RNN(Noisy(), return_sequences=True)(np.ones((2, 8, 3)), training=True)
    assert len({tuple(np.ravel(y[:, t])) for t in range(8)}) > 3


class Loud(layers.LSTMCell):
    def call(self, inputs, states, training=False):
        output, states = super().call(inputs, states, training)
        return 2 * output, states


def test_a_cell_derived_from_ours_is_called():
    loud, plain = layers.RNN(Loud(3)), layers.LSTM(3)
    loud(X), plain(X)
    loud.set_weights(plain.get_weights())
    np.testing.assert_allclose(loud(X), 2 * plain(X), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["SimpleRNN", "LSTM", "GRU"])
def test_dropout_is_the_same_at_each_step(name):
    layer = getattr(layers, name)(4, dropout=0.5, recurrent_dropout=0.5, seed=1)
    once = layer(X, training=True)
    cell = layer.cell
    cell.seed_generator.state.assign([1, 0])
    states = cell.get_initial_state(4)
    masks = cell.draw_masks(4, True)
    for t in range(6):
        projected = cell.project(X[:, t], masks[0]) + cell.input_bias()
        gates = np.split(projected, cell.gates, axis=-1)
        states = cell.advance(cell.rules(), cell.step_weights(), gates, states, masks[1])
    np.testing.assert_allclose(states[0], once, rtol=1e-5, atol=1e-6)


def test_inference_moves_no_seed():
    layer = layers.LSTM(2, dropout=0.5, seed=1)
    jax.jit(layer)(X)
    np.testing.assert_array_equal(layer.cell.seed_generator.state, [1, 0])


def test_stateful_goes_on_where_the_last_batch_ended():
    plain, kept = layers.GRU(3), layers.GRU(3, stateful=True)
    plain(X), kept(X)
    kept.set_weights(plain.get_weights())
    kept.reset_state()
    kept(X[:, :2])
    np.testing.assert_allclose(kept(X[:, 2:]), plain(X), rtol=1e-5, atol=1e-6)
    kept.reset_states()
    assert not np.any(kept.states[0])
    assert [v.name for v in kept.weights] == ["kernel", "recurrent_kernel", "bias"]


def test_states_are_carried_through_compiled_steps_and_files_leave_them_out(tmp_path):
    model = kerasish.Sequential(
        [kerasish.Input(batch_shape=(2, 3, 1)), layers.LSTM(2, stateful=True), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    model.fit(X[:, :3, :1], X[:, 0, :1], batch_size=2, epochs=3, shuffle=False, verbose=0)
    assert np.any(model.layers[0].states[1])
    model.save(tmp_path / "model.keras")
    loaded = kerasish.saving.load_model(tmp_path / "model.keras")
    model.layers[0].reset_state()
    np.testing.assert_array_equal(loaded(X[:2, :3, :1]), model(X[:2, :3, :1]))


@pytest.mark.parametrize("merge_mode", ["concat", "sum", "ave", "mul", None])
def test_merge_modes_are_keras(merge_mode):
    options = {"return_sequences": True, "return_state": True}
    assert_alike(lambda m: m.Bidirectional(m.SimpleRNN(2, **options), merge_mode), X)


def test_both_ways_takes_a_layer_for_the_way_back():
    back = {"return_sequences": True, "go_backwards": True, "activation": "relu"}
    assert_alike(
        lambda m: m.Bidirectional(
            m.LSTM(2, return_sequences=True), backward_layer=m.LSTM(3, **back)
        ),
        X,
    )


def bend(x):
    return x / (1 + jnp.abs(x))


def test_twins_start_from_other_weights_and_need_no_registry():
    layer = layers.Bidirectional(layers.RNN(Loud(2, activation=bend)))
    layer(X)
    forward, backward = (part.cell.kernel for part in (layer.forward_layer, layer.backward_layer))
    assert np.any(np.not_equal(forward, backward))


def test_weights_lie_where_keras_looks_for_them():
    layer = layers.Bidirectional(layers.RNN([layers.LSTMCell(2), layers.GRUCell(2)]))
    layer(X)
    paths = {path for path, part in walk(layer) if getattr(part, "trainable_variables", ())}
    inner = {"cell", "cell/cells/lstm_cell", "cell/cells/gru_cell"}
    for way in ("forward_layer", "backward_layer"):
        assert {f"{way}/{path}" for path in inner} <= paths


def test_unknown_batch_and_steps_stay_unknown():
    x = kerasish.Input((None, 3))
    for layer in (
        layers.LSTM(2, return_sequences=True, go_backwards=True),
        layers.RNN(nested_cell(layers), return_sequences=True),
        layers.Bidirectional(layers.GRU(2, return_sequences=True, dropout=0.1)),
        layers.TimeDistributed(layers.Dense(2)),
    ):
        y = layer(x)
        assert y.shape[:2] == (None, None)
        assert kerasish.Model(x, y)(X).shape == (4, 6, y.shape[-1])


def test_eager_calls_do_not_compile_again():
    layer = layers.LSTM(2)
    layer(X)
    before = rnn.compiled_steps._cache_size()
    layer(X + 1)
    assert rnn.compiled_steps._cache_size() == before


class Steps(layers.Layer):
    """Counts its calls' steps; takes a mask."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        return inputs if mask is None else inputs * mask[:, None]


def test_time_distributed_hands_masks_out_step_by_step():
    y = layers.TimeDistributed(Steps())(X, mask=jnp.asarray(MASK))
    np.testing.assert_array_equal(y, X * MASK[..., None])


def test_time_distributed_is_the_layer_at_each_step():
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6, 2)).astype("float32")
    layer = layers.TimeDistributed(layers.Conv2D(3, 3))
    y = layer(x)
    for t in range(3):
        np.testing.assert_allclose(y[:, t], layer.layer(x[:, t]), rtol=1e-5, atol=1e-5)


ERRORS = {
    r"`cell` must be a cell with `call`": lambda: layers.RNN(3),
    r"`cells` must be a cell with `state_size`": lambda: layers.StackedRNNCells([layers.Dense(1)]),
    r"`units` must be a positive integer; got -1": lambda: layers.LSTM(-1),
    r"`initial_state` must be of 2 arrays; got '1 arrays'": lambda: layers.LSTM(2)(
        X, initial_state=[np.ones((4, 2))]
    ),
    r"`stateful` must be False where the batch size is unknown": lambda: layers.GRU(
        2, stateful=True
    )(kerasish.Input((3, 1))),
    r"`unroll` must be False where the number of steps is unknown": lambda: layers.GRU(
        2, unroll=True
    )(kerasish.Input((None, 1))),
    r"`merge_mode` must be one of": lambda: layers.Bidirectional(layers.GRU(1), "add"),
    r"`layer` must be a layer": lambda: layers.Bidirectional("lstm"),
    r"must be a layer with go_backwards=True": lambda: layers.Bidirectional(
        layers.GRU(1), backward_layer=layers.GRU(1)
    ),
    r"must be a layer with return_state=False": lambda: layers.Bidirectional(
        layers.GRU(1), backward_layer=layers.GRU(1, go_backwards=True, return_state=True)
    ),
    r"`input_shape` must be of 3 axes or more": lambda: layers.TimeDistributed(layers.Dense(1))(
        X[0]
    ),
    r"`mask` must be of shape \(4, 6\)": lambda: layers.TimeDistributed(layers.Dense(1))(
        X, mask=jnp.ones((4, 5))
    ),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()


def test_a_stateful_layer_says_which_batch_size_it_takes():
    layer = layers.GRU(1, stateful=True)
    layer(X)
    with pytest.raises(ValueError, match=r"takes batches of one size, 4 here.*; got 3 samples"):
        layer(X[:3])


@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_another_number_of_features_is_named(cls):
    layer = cls(4, name="steps")
    layer(X)
    with pytest.raises(ValueError, match=r"'steps'.*expected axis -1 of size 3, found 5"):
        layer(np.ones((4, 6, 5), "float32"))


LOOPS = {
    "last, inputs wider than states": {"units": 1},
    "last, softplus": {"activation": "softplus", "use_bias": False},
    "all, backwards, zeros": {
        "return_sequences": True,
        "return_state": True,
        "go_backwards": True,
        "zero_output_for_mask": True,
    },
}


@pytest.fixture
def in_float64():
    """Second derivatives of five steps with softplus grow beyond what float32 can tell."""
    with jax.enable_x64(True):
        yield


@pytest.mark.usefixtures("in_float64")
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_the_loop_s_own_derivative_is_that_of_its_steps(cls, loop):
    """Forward, backward, twice, and mapped; unrolled, steps are derived one by one."""
    rng = np.random.default_rng(0)
    mask = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1]], bool)
    results, at = [], None
    for unroll in (False, True):
        layer = cls(**{"units": 4, "unroll": unroll, "dtype": "float64", **LOOPS[loop]})
        layer.build((3, 5, 3))
        shapes = [(3, 5, 3), *(v.shape for v in layer.trainable_variables)]
        at = at or [jnp.asarray(rng.normal(size=shape)) for shape in shapes]
        seeds = [v.value for v in layer.non_trainable_variables]

        def loss(at, layer=layer, seeds=seeds):
            y, _ = layer.stateless_call(at[1:], seeds, at[0], mask=mask)
            return sum(jnp.sum(jnp.sin(part) * i) for i, part in enumerate(jax.tree.leaves(y), 1))

        def derivatives(at, way, loss=loss):
            back = jax.grad(loss)
            slope, change = (jax.jvp(f, (at,), (way,))[1] for f in (loss, back))
            change_back = jax.vjp(back, at)[1](way)
            inputs_only = jax.grad(lambda x: loss([x, *at[1:]]))
            one_by_one = jax.vmap(back)(jax.tree.map(lambda *x: jnp.stack(x), at, way))
            by_inputs = jax.vmap(inputs_only)(jnp.stack([at[0], way[0]]))
            return slope, back(at), change, change_back, one_by_one, by_inputs

        results.append(jax.jit(derivatives)(at, jax.tree.map(jnp.cos, at)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), *results)


@pytest.mark.parametrize("where", [contextlib.nullcontext, lowering.assume_local_devices])
@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.LSTM, layers.GRU])
def test_loops_overwrite_what_they_have_read_and_copy_none_of_it(cls, where):
    """In `fit`, and in a step that somebody compiles."""
    layer = cls(16, return_sequences=True)
    x = jnp.ones((4, 30, 3))
    layer.build(x.shape)
    weights, rest = (
        [v.value for v in some]
        for some in (layer.trainable_variables, layer.non_trainable_variables)
    )

    def loss(weights):
        return jnp.sum(layer.stateless_call(weights, rest, x)[0] ** 2)

    with where():
        program = jax.jit(jax.grad(loss)).lower(weights).compile().as_text()
    assert "while(" in program
    assert not re.search(r"= f32\[30,4,\d+\]\S* copy\(", program)


@pytest.mark.parametrize(
    ("dtype", "rtol", "atol"),
    [("float32", 1e-6, 1.2e-7), ("bfloat16", 2**-8, 0), ("float16", 1e-3, 1e-7)],
)
@pytest.mark.parametrize("cls", [layers.SimpleRNNCell, layers.LSTMCell, layers.GRUCell])
def test_gates_made_at_once_are_those_of_their_functions(cls, dtype, rtol, atol):
    steps, x = cls(8).steps(), jnp.linspace(-9, 9, 8, dtype=dtype)
    sums = jnp.concatenate([x] * len(steps.functions))
    wanted = [f(x.astype("float32")) if f else x for f in steps.functions]
    gates = apply_tanh_forms(steps, sums)
    assert gates.dtype == dtype
    np.testing.assert_allclose(gates.astype("float32"), jnp.concatenate(wanted), rtol, atol)
