"""Calls of models that repeat are compiled, which is seen in no result and no side effect."""

import pickle
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers, ops

X = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
GLOBAL_SCALE = 1.0
SEEN = []


class Net(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.blocks = [layers.Dense(6, "relu"), layers.Dense(5)]
        self.dropout = layers.Dropout(0.5, seed=1)
        self.scale = 1.0

    def call(self, x, training=False):
        for block in self.blocks:
            x = block(x)
        if training:
            x = self.dropout(x, training=training)
        return x * self.scale


def sequential():
    return keras.Sequential(
        [layers.Input((8,)), layers.Dense(6, "relu"), layers.Dropout(0.5, seed=1), layers.Dense(5)]
    )


def functional():
    a, b = layers.Input((8,), name="a"), layers.Input((8,), name="b")
    hidden = layers.Dense(6)(a) + layers.Dense(6)(b)
    return keras.Model({"a": a, "b": b}, {"z": layers.Dense(2)(hidden), "h": ops.tanh(hidden)})


def calls_of(fn):
    """How many Python functions a call of `fn` runs."""
    count = 0

    def note(frame, event, arg):
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        fn()
    finally:
        sys.setprofile(before)
    return count


def repeat(model, *args, **kwargs):
    """Call until it is compiled, or would be."""
    for _ in range(4):
        result = model(*args, **kwargs)
    return result


def is_compiled(model, *args, **kwargs):
    layers.Layer.__call__(model, *args, **kwargs)  # compiles what it has not compiled yet
    eager = calls_of(lambda: layers.Layer.__call__(model, *args, **kwargs))
    return calls_of(lambda: model(*args, **kwargs)) < eager / 3


def check_as_eager(model, *args, **kwargs):
    wanted = layers.Layer.__call__(model, *args, **kwargs)
    found = model(*args, **kwargs)
    assert jax.tree.structure(wanted) == jax.tree.structure(found)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


MODELS = {
    "sequential": (sequential, X),
    "functional": (functional, {"b": X, "a": X + 1}),
    "subclass": (Net, X),
}


@pytest.mark.parametrize("options", [{}, {"training": False}, {"training": True}], ids=str)
@pytest.mark.parametrize("make, x", MODELS.values(), ids=MODELS)
def test_repeated_calls_are_compiled_and_equal(make, x, options):
    model, twin = make(), make()
    model(x), twin(x)
    twin.set_weights(model.get_weights())
    for _ in range(6):  # the same random numbers too
        wanted = layers.Layer.__call__(twin, x, **options)
        found = model(x, **options)
        assert list(found) == list(wanted) if isinstance(wanted, dict) else True
        for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert is_compiled(model, x, **options) == (make is not Net)


def test_weights_are_read_at_each_call():
    model = sequential()
    before = np.asarray(repeat(model, X))
    model.set_weights([2 * w for w in model.get_weights()])
    assert is_compiled(model, X)
    check_as_eager(model, X)
    assert not np.allclose(model(X), before)


def freeze(model):
    model.trainable = False


def other_activation(model):
    model.layers[0].activation = keras.activations.tanh


def add(model):
    model.add(layers.Activation("tanh"))


def pop(model):
    model.pop()


def adapt(model):
    model.layers[0].enable_lora(2)
    model.layers[0].lora_kernel_b.assign(np.ones((2, 6)))


def leave_bias_out(model):
    model.layers[0].bias.assign(np.ones(6))
    model.layers[0].use_bias = False


def half(model):
    for layer in model.layers:
        layer.dtype_policy = "mixed_bfloat16"


CHANGES = [freeze, other_activation, add, pop, adapt, leave_bias_out, half]


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_a_changed_layer_is_seen(change):
    model = sequential()
    repeat(model, X)
    change(model)
    for _ in range(5):
        wanted, found = layers.Layer.__call__(model, X), model(X)
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-2 if change is half else 1e-5, atol=1e-6)


@pytest.mark.parametrize("change", CHANGES, ids=lambda f: f.__name__)
def test_a_changed_layer_is_seen_by_predict(change):
    model = sequential()
    for _ in range(3):
        model.predict(X, verbose=0)
    change(model)
    for _ in range(3):
        wanted, found = layers.Layer.__call__(model, X), model.predict(X, verbose=0)
        np.testing.assert_allclose(
            found, wanted, rtol=1e-2 if change is half else 1e-5, atol=2e-2 * (change is half)
        )


def test_a_frozen_batch_normalization_is_seen():
    model = keras.Sequential([layers.Input((8,)), layers.BatchNormalization()])
    repeat(model, X, training=True)
    model.layers[0].trainable = False
    mean = np.asarray(model.layers[0].moving_mean)
    repeat(model, X, training=True)
    np.testing.assert_array_equal(model.layers[0].moving_mean, mean)


def test_statistics_move_as_uncompiled():
    model = keras.Sequential([layers.Input((8,)), layers.BatchNormalization(momentum=0.5)])
    for _ in range(6):
        model(X, training=True)
    np.testing.assert_allclose(
        model.layers[0].moving_mean, X.mean(0) * (1 - 0.5**6), rtol=1e-5, atol=1e-6
    )


def test_attributes_and_lists_of_ones_own_are_seen():
    model = Net()
    repeat(model, X)
    model.scale = 3.0
    check_as_eager(model, X)
    repeat(model, X)
    check_as_eager(model, X)
    model.blocks[1] = layers.Dense(5, activation="tanh")
    check_as_eager(model, X)
    repeat(model, X)
    model.blocks.append(layers.Activation("relu"))
    check_as_eager(model, X)


def test_a_class_changed_later_is_seen():
    class Scaled(Net):
        factor = 2.0

        def call(self, x, training=False):
            return super().call(x, training=training) * self.factor

    model = Scaled()
    repeat(model, X)
    Scaled.factor = 5.0
    check_as_eager(model, X)
    repeat(model, X)
    Scaled.call = lambda self, x, training=False: x
    np.testing.assert_array_equal(model(X), X)


def scaled_by_global(x):
    return x * GLOBAL_SCALE


def test_globals_and_closures_are_seen(monkeypatch):
    scale = 1.0
    model = keras.Sequential(
        [layers.Input((8,)), layers.Lambda(lambda x: x * scale), layers.Lambda(scaled_by_global)]
    )
    repeat(model, X)
    scale = 3.0
    np.testing.assert_allclose(model(X), 3 * X, rtol=1e-6)
    repeat(model, X)
    monkeypatch.setattr(sys.modules[__name__], "GLOBAL_SCALE", 5.0)
    np.testing.assert_allclose(model(X), 15 * X, rtol=1e-6)


def test_settings_are_seen():
    model = keras.Sequential(
        [layers.Input((8,)), layers.Lambda(lambda x: x + keras.config.epsilon())]
    )
    repeat(model, X)
    before = keras.config.epsilon()
    try:
        keras.config.set_epsilon(100.0)
        np.testing.assert_allclose(repeat(model, X), X + 100.0, rtol=1e-6)
    finally:
        keras.config.set_epsilon(before)


class InOrder(keras.Model):
    def call(self, inputs, others):
        found = {name: ops.concatenate([x, *others.values()]) for name, x in inputs.items()}
        return ops.concatenate(list(found.values())), found


def test_dicts_keep_their_order():
    model = InOrder()
    for inputs in ({"a": X, "b": 2 * X}, {"b": 2 * X, "a": X}):
        others = {"d": X, "c": 3 * X}
        wanted, names = layers.Layer.__call__(model, inputs, others=others)
        for _ in range(4):
            found, named = model(inputs, others=others)
            np.testing.assert_array_equal(found, wanted)
            assert list(named) == list(names) == list(inputs)


def test_dicts_of_compiled_calls_keep_their_order():
    model, x = functional(), {"b": X, "a": X + 1}
    assert list(repeat(model, x)) == ["z", "h"]
    assert is_compiled(model, x)
    assert list(model(x)) == ["z", "h"]


def test_a_method_put_in_place_of_a_layers_own_is_seen(monkeypatch):
    model = sequential()
    repeat(model, X)
    assert is_compiled(model, X)
    monkeypatch.setattr(layers.Dense, "call", lambda self, x: ops.ones((4, self.units)))
    np.testing.assert_array_equal(model(X), np.ones((4, 5)))
    monkeypatch.undo()
    model.layers[0].call = lambda x: ops.zeros((4, 6))
    check_as_eager(model, X)
    assert not is_compiled(model, X)


def test_functions_of_ones_own_stay_uncompiled():
    def noted(x):
        SEEN.append(1)
        return x

    SEEN.clear()
    model = keras.Sequential([layers.Input((8,)), layers.Dense(3, activation=noted)])
    SEEN.clear()
    for _ in range(8):
        model(X)
    assert len(SEEN) == 8


class Counting(Net):
    count = 0

    def call(self, x):
        self.count += 1
        return super().call(x)


class Printing(Net):
    def call(self, x):
        print("called")
        return super().call(x)


class Listing(Net):
    def call(self, x):
        SEEN.append(1)
        return super().call(x)


class ListingInPlace(Net):
    def call(self, x):
        seen = SEEN
        seen += [1]
        return super().call(x)


class Regularizing(Net):
    def call(self, x):
        self.add_loss(ops.sum(x))
        return super().call(x)


class Drawing(Net):
    def call(self, x):
        return super().call(x) + np.random.rand()


class Nested(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("outer", [lambda m: m, Nested], ids=["alone", "nested"])
@pytest.mark.parametrize(
    "cls",
    [Counting, Printing, Listing, ListingInPlace, Regularizing, Drawing],
    ids=lambda c: c.__name__,
)
def test_calls_with_side_effects_stay_as_they_are(cls, outer, capsys):
    inner = cls()
    model = outer(inner)
    SEEN.clear()
    results = [np.asarray(model(X)) for _ in range(8)]
    assert not is_compiled(model, X)
    times = 8 + 3
    if cls is Counting:
        assert inner.count == times
    if cls is Printing:
        assert capsys.readouterr().out.count("called") == times
    if cls in (Listing, ListingInPlace):
        assert len(SEEN) == times
    if cls is Regularizing:
        assert len(model.losses) == 1
    if cls is Drawing:
        assert not np.allclose(results[-1], results[-2])


def test_state_in_objects_of_ones_own_stays_uncompiled():
    class Settings:
        scale = 1.0

    class Configured(Net):
        def call(self, x):
            return super().call(x) * self.options.scale

    model = Configured()
    model.options = Settings()
    repeat(model, X)
    model.options.scale = 4.0
    check_as_eager(model, X)


def test_masks_travel_on():
    model = keras.Sequential([layers.Input((5,)), layers.Embedding(9, 3, mask_zero=True)])
    tokens = np.array([[1, 2, 0, 0, 0]])
    y = repeat(model, tokens)
    assert is_compiled(model, tokens)
    np.testing.assert_array_equal(model(tokens)._keras_mask, tokens != 0)
    masked = layers.Masking()(jnp.asarray(np.zeros((1, 5, 3))))
    pooled = keras.Sequential([layers.Input((5, 3)), layers.GlobalAveragePooling1D()])
    plain = jnp.asarray(np.ones((1, 5, 3)))
    repeat(pooled, plain)
    check_as_eager(pooled, masked)
    assert y.shape == (1, 5, 3)


def test_large_integers_are_refused_as_before():
    model = keras.Sequential([layers.Input((2,)), layers.Embedding(9, 3)])
    repeat(model, np.array([[1, 2]]))
    with pytest.raises(ValueError, match="integers from"):
        model(np.array([[1, 2**40]]))


def test_gradients_and_traces_pass_through():
    model = sequential()
    repeat(model, X)
    x = jnp.asarray(X)
    repeat(model, x)
    slope = jax.grad(lambda x: model(x).sum())(x)
    assert np.any(slope)
    grads = keras.grad(lambda: ops.sum(model(x)), model.trainable_variables)()
    assert all(np.any(g) for g in grads)
    traced = jax.jit(lambda x: model(x))(x)
    np.testing.assert_allclose(traced, model(x), rtol=1e-5, atol=1e-6)


def test_run_eagerly_and_disable_jit_stay_uncompiled():
    model = sequential()
    repeat(model, X)
    assert is_compiled(model, X)
    with jax.disable_jit():
        assert not is_compiled(model, X)
    model.compile(loss="mse", run_eagerly=True)
    assert not is_compiled(model, X)


def test_a_result_outlives_changes_of_its_input():
    model = keras.Sequential([layers.Input((300,)), layers.Dense(300, kernel_initializer="ones")])
    x = np.ones((300, 300), "float32")
    repeat(model, x)
    for _ in range(5):
        x[:] = 1
        y = model(x)
        x[:] = 7
        np.testing.assert_array_equal(y, np.full((300, 300), 300.0))


def test_copies_and_pickles_leave_compiled_calls_behind():
    model = sequential()
    repeat(model, X)
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_allclose(repeat(twin, X), model(X), rtol=1e-6)
    clone = keras.models.clone_model(model)
    check_as_eager(clone, X)


def test_many_forms_stay_few():
    model = sequential()
    for rows in range(1, 40):
        assert model(np.ones((rows, 8), "float32")).shape == (rows, 5)
    check_as_eager(model, X)


def test_one_row_of_predict_runs_little_python():
    model = sequential()
    for x in (X, X.astype("float64"), jnp.asarray(X)):
        first = model.predict(x, verbose=0)
        model.predict(x, verbose=0)
        assert calls_of(lambda x=x: model.predict(x, verbose=0)) < 40
        np.testing.assert_array_equal(model.predict(x, verbose=0), first)


def test_training_in_turns_leaves_compiled_steps_alone():
    model = sequential()
    model.compile("sgd", "mse")
    for _ in range(2):
        model.trainable = not model.trainable
        model.predict_on_batch(X)
    model.trainable = not model.trainable
    assert calls_of(lambda: model.predict_on_batch(X)) < 40


def test_predict_keeps_to_its_batch_size():
    model = keras.Sequential([layers.Input((1,)), layers.Lambda(lambda x: x - ops.mean(x))])
    x = np.arange(64.0)[:, None]
    whole = model.predict_on_batch(x)
    np.testing.assert_allclose(whole, x - x.mean(), rtol=1e-5)
    by_batches = np.concatenate([x[:32] - x[:32].mean(), x[32:] - x[32:].mean()])
    np.testing.assert_allclose(model.predict(x, verbose=0), by_batches, rtol=1e-5)
    np.testing.assert_allclose(model.predict(x[:8], batch_size=8, verbose=0), x[:8] - 3.5)
    halves = np.concatenate([x[:4] - 1.5, x[4:8] - 5.5])
    np.testing.assert_allclose(model.predict(x[:8], batch_size=4, verbose=0), halves)


def test_notes_on_a_model_leave_compiled_steps_as_they_are():
    traced = []

    class Noting(layers.Layer):
        def call(self, x):
            traced.append(1)
            return x

    model = keras.Sequential([layers.Input((8,)), Noting(), layers.Dense(1)])
    model.compile("sgd", "mse")
    y = np.zeros((4, 1), "float32")
    model.fit(X, y, verbose=0)
    model.evaluate(X, y, verbose=0)
    model.predict(X, verbose=0)
    traced.clear()
    for epoch in range(3):
        model.epoch_now = epoch
        model.fit(X, y, verbose=0)
        model.evaluate(X, y, verbose=0)
        model.predict(X, verbose=0)
    assert not traced


def test_a_regularizer_of_outputs_that_is_set_later_is_seen():
    model = sequential()
    repeat(model, X)
    assert is_compiled(model, X)
    model.layers[0].activity_regularizer = keras.regularizers.L2(0.1)
    for _ in range(6):
        model(X)
        assert len(model.losses) == 1
