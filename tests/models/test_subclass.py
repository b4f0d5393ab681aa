"""Subclassed models: each program runs with Keras 3 too, and gives the same."""

import numpy as np
import pytest

import kerasish
from kerasish import Input, Model, Sequential, layers
from kerasish.models import clone_model
from tests.support.keras_oracle import X, both, fill, weights


def lists_and_dicts_of_layers(k):
    class Own(k.Model):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.first = k.layers.Dense(3, name="first")
            self.blocks = [k.layers.Dense(3) for _ in range(2)]
            self.others = {"norm": k.layers.BatchNormalization(), "drop": k.layers.Dropout(0.5)}
            self.last = k.layers.Dense(1)

        def call(self, x, training=False):
            x = self.first(x)
            for block in self.blocks:
                x = x + block(x)
            return self.last(self.others["drop"](self.others["norm"](x)))

    model = Own()
    before = model.built
    model(X)
    fill(model)
    return before, weights(model), model(X), model.predict(X, verbose=0), model.get_config()


def lists_filled_in_a_loop(k):
    """The order of weights follows the loop, not the lists: optimizers' files depend on it."""

    class Own(k.Model):
        def __init__(self):
            super().__init__()
            self.dense, self.norm = [], []
            for _ in range(3):
                self.dense.append(k.layers.Dense(4))
                self.norm.append(k.layers.BatchNormalization())
            self.last = k.layers.Dense(1)

        def call(self, x):
            for dense, norm in zip(self.dense, self.norm, strict=True):
                x = norm(dense(x))
            return self.last(x)

    model = Own()
    model(X)
    return weights(fill(model)), model(X)


def layers_passed_in(k):
    class Own(k.Model):
        def __init__(self, encoder, decoder, rest):
            super().__init__()
            self.decoder, self.encoder = decoder, encoder
            self.rest = rest

        def call(self, x):
            return self.rest[1](self.rest[0](self.decoder(self.encoder(x))))

    made = [k.layers.Dense(n) for n in (2, 3, 4, 5)]
    model = Own(made[0], made[1], made[:1:-1])
    model(X)
    return weights(fill(model)), model(X)


def blocks_of_blocks(k):
    class Block(k.layers.Layer):
        def __init__(self, units):
            super().__init__()
            self.inner = k.Sequential([k.layers.Dense(units), k.layers.LayerNormalization()])

        def call(self, x):
            return x + self.inner(x)

    class Own(k.Model):
        def __init__(self):
            super().__init__()
            self.blocks = [Block(4) for _ in range(2)]

        def call(self, x):
            for block in self.blocks:
                x = block(x)
            return x

    model = Own()
    model(X)
    return weights(fill(model)), model(X)


def layers_made_in_build(k):
    class Own(k.Model):
        def build(self, input_shape):
            self.dense = k.layers.Dense(input_shape[-1])
            self.dense.build(input_shape)
            self.built = True

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(X)
    return weights(fill(model)), model(X), model.get_build_config()


def shared_layer_counts_once(k):
    class Own(k.Model):
        def __init__(self):
            super().__init__()
            self.one = k.layers.Dense(4)
            self.same = self.one
            self.again = [self.one]

        def call(self, x):
            return self.same(self.one(x))

    model = Own()
    model(X)
    return weights(fill(model)), model(X), model.count_params()


def several_inputs_and_outputs(k):
    class Own(k.Model):
        def __init__(self):
            super().__init__()
            self.a, self.b = k.layers.Dense(2), k.layers.Dense(3)

        def call(self, inputs):
            return {"sum": self.a(inputs["x"]) + 1, "both": [self.b(inputs["y"]), inputs["x"]]}

    model = Own()
    inputs = {"x": X, "y": X[:, :3]}
    model(inputs)
    fill(model)
    return weights(model), model(inputs), model.predict(inputs, verbose=0)


def a_config_of_its_own(k):
    class Own(k.Model):
        def __init__(self, units=2, **kwargs):
            super().__init__(**kwargs)
            self.units = units
            self.dense = k.layers.Dense(units)

        def call(self, x):
            return self.dense(x)

        def get_config(self):
            return {**super().get_config(), "units": self.units}

    model = Own(units=3, name="own")
    again = Own.from_config(model.get_config())
    again(X)
    return again.units, again.name, weights(again)


def freezing_a_part(k):
    class Own(k.Model):
        def __init__(self):
            super().__init__()
            self.base, self.head = k.layers.Dense(3), k.layers.Dense(1)
            self.base.trainable = False

        def call(self, x):
            return self.head(self.base(x))

    model = Own()
    model(X)
    seen = [weights(model)]
    model.base.trainable = True
    seen.append(weights(model))
    model.trainable = False
    return seen, weights(model)


def trained(k, name="own"):
    dropout = k.layers.Dropout(0.5, seed=0, name="dropout")
    dense = k.layers.Dense(2, kernel_regularizer="l2", name="head")
    model = k.Sequential([k.Input((4,)), dropout, k.layers.BatchNormalization(), dense], name=name)
    model.compile("adam", "mse", metrics=["mae"])
    fill(model).fit(X, X[:, :2], verbose=0)
    return fill(model)


def state_trees(k):
    model = trained(k)
    tree = model.get_state_tree(value_format="numpy_array")
    shapes = k.tree.map_structure(lambda value: [list(value.shape), str(value.dtype)], tree)
    for variable in model.trainable_variables:
        variable.assign(variable * 2)
    model.set_state_tree(tree)
    values = weights(model)
    model.set_state_tree({"trainable_variables": {"own": {"head": {"bias": np.ones(2)}}}})
    return shapes, values, weights(model), sorted(model.get_state_tree())


def stateless_losses(k):
    model = trained(k)
    lists = model.trainable_variables, model.non_trainable_variables, model.metrics_variables
    values = [[v.value for v in variables] for variables in lists]
    doubled = [v * 2 for v in values[0]]
    loss, state = model.stateless_compute_loss(
        doubled, *values[1:], x=X, y=X[:, :2], y_pred=model(X), training=True
    )
    return loss, state[0], [len(part) for part in state], weights(model)


PROGRAMS = [
    state_trees,
    stateless_losses,
    lists_and_dicts_of_layers,
    lists_filled_in_a_loop,
    layers_passed_in,
    blocks_of_blocks,
    layers_made_in_build,
    shared_layer_counts_once,
    several_inputs_and_outputs,
    a_config_of_its_own,
    freezing_a_part,
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_as_keras(program):
    both(program)


def test_a_state_tree_brings_the_optimizer_along():
    kerasish.utils.clear_session(free_memory=False)
    model = trained(kerasish)
    tree = model.get_state_tree("numpy_array")
    kerasish.utils.clear_session(free_memory=False)  # names are given anew, as in a new process
    fresh = clone_model(model)
    fresh.compile("adam", "mse")
    fresh.set_state_tree(tree)
    again = fresh.get_state_tree("numpy_array")["optimizer_variables"]["adam"]
    assert again.keys() == tree["optimizer_variables"]["adam"].keys()
    np.testing.assert_array_equal(again["iteration"], 1)


def test_a_state_tree_of_another_model_is_told():
    tree = {"trainable_variables": {"other": {"head": {"bias": np.ones(2)}}}}
    with pytest.warns(UserWarning, match=r"'own' has no \['trainable_variables/other/head/bias'\]"):
        trained(kerasish).set_state_tree(tree)


class Stack(Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.a, self.b = layers.Dense(3), layers.Dense(2)

    def call(self, x):
        return self.b(self.a(x))


class Sum(Model):
    def __init__(self):
        super().__init__()
        self.a, self.b = layers.Dense(3), layers.Dense(3)

    def call(self, x, y):
        return self.a(x) + self.b(y)


def test_build_makes_the_weights():
    """In Keras, `build` of a subclassed model makes none, and says so."""
    model = Stack()
    model.build((None, 4))
    assert [w.shape for w in model.weights] == [(4, 3), (3,), (3, 2), (2,)]
    assert model.compute_output_shape((None, 4)) == (None, 2)


def test_build_config_builds_models_of_several_arguments():
    model, again = Sum(), Sum()
    model(X, X)
    again.build_from_config(model.get_build_config())
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


def test_build_config_that_does_not_fit_warns():
    class Halves(Model):
        def call(self, x):
            return x.reshape((2, -1))

    with pytest.warns(UserWarning, match=r"\(Halves\) could not be built.*Call it on data"):
        Halves().build_from_config({"input_shape": (None, "four")})


def test_build_that_calls_the_models_own():
    class Own(Model):
        def build(self, input_shape):
            self.dense = layers.Dense(2)
            super().build(input_shape)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(X)
    assert len(model.weights) == 2


def test_layer_made_in_the_first_call():
    """Keras refuses this; a layer guarded by `if` is made once and kept."""

    class Lazy(Model):
        def __init__(self):
            super().__init__()
            self.dense = None

        def call(self, x):
            if self.dense is None:
                self.dense = layers.Dense(x.shape[-1])
            return self.dense(x)

    model = Lazy()
    model.compile("sgd", "mse")
    model.fit(X, X, verbose=0)
    assert [w.shape for w in model.weights] == [(4, 4), (4,)]


def test_a_replaced_layer_is_gone():
    """Keras keeps counting it."""
    model = Stack()
    old, model.a = model.a, layers.Dense(5)
    model(X)
    assert old not in model.layers
    assert len(model.layers) == 2


def test_metrics_of_layers_show_in_the_history():
    class Watched(layers.Layer):
        def __init__(self):
            super().__init__()
            self.seen = kerasish.metrics.Mean(name="seen")

        def call(self, x):
            self.seen.update_state(x)
            return x

    model = Sequential([Input((4,)), Watched(), layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(X, X[:, :1], verbose=0).history
    assert history["seen"] == pytest.approx([X.mean()], abs=1e-6)
    assert len(model.weights) == 2


class NoCall(Model):
    pass


class NoSuper(Model):
    def __init__(self):
        self.dense = layers.Dense(2)


class OwnLayers(Model):
    def __init__(self):
        super().__init__()
        self.layers = [layers.Dense(2)]


def numpy_in_call():
    class Own(Model):
        def call(self, x):
            return np.sin(x)

    Own()(Input((4,)))


def branch_in_call():
    class Own(Model):
        def call(self, x):
            return x if x.sum() > 0 else -x

    Own()(Input((4,)))


MISTAKES = [
    (lambda: NoCall()(X), NotImplementedError, "NoCall has no `call`: define `call"),
    (lambda: NoSuper()(X), RuntimeError, r"NoSuper: `super\(\).__init__\(\)` was not called"),
    (OwnLayers, AttributeError, "`layers` is a property that every model has"),
    (lambda: Model(foo=1), ValueError, r"Model: unknown argument\(s\) \['foo'\]"),
    (lambda: Stack(foo=1), ValueError, r"Stack: unknown argument\(s\) \['foo'\]"),
    (lambda: Stack()(X, X), TypeError, r"'stack' \(Stack\): too many.*`call\(x\)`"),
    (lambda: Stack().output_shape, AttributeError, "'stack' has no `output_shape`"),
    (
        lambda: trained(kerasish).get_state_tree("flat"),
        ValueError,
        r"own: `value_format` must be one of \('backend_tensor', 'numpy_array'\); got 'flat'",
    ),
    (lambda: Stack().inputs, AttributeError, "not made from symbolic inputs"),
    (lambda: Stack().input, AttributeError, "never been called on a symbolic tensor"),
]


@pytest.mark.parametrize("mistake, error, text", MISTAKES, ids=[m[2] for m in MISTAKES])
def test_mistake(mistake, error, text):
    with pytest.raises(error, match=text):
        mistake()


@pytest.mark.parametrize(
    "mistake, hint",
    [(numpy_in_call, "`jax.numpy` or `keras.ops`"), (branch_in_call, "`keras.ops.where`")],
)
def test_errors_in_call_carry_a_hint(mistake, hint):
    with pytest.raises(Exception) as caught:
        mistake()
    assert any("In layer 'own'" in note and hint in note for note in caught.value.__notes__)
