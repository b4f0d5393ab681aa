"""Objects as plain data: from the signature, in Keras 3's form, and back without running code."""

import collections
import functools
import sys
import threading

import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

import kerasish as keras
from kerasish.core.serialization import registry, serialize

Pair = collections.namedtuple("Pair", "a b")


def halve(x):
    """A user's function."""
    return x / 2


# Anything that both can make: the same plain data comes of it.
OBJECTS = {
    "None": lambda k: None,
    "number": lambda k: 3,
    "bool": lambda k: True,
    "text": lambda k: "relu",
    "tuple": lambda k: (1, (2, "a")),
    "list": lambda k: [1, [2.5]],
    "named tuple": lambda k: Pair(1, k.initializers.Zeros()),
    "dict": lambda k: {"a": 1, "b": (1, 2)},
    "dict of numbers": lambda k: {0: 1.0, 1: 2.0},
    "NumPy number": lambda k: np.float32(1.5),
    "NumPy bool": lambda k: np.bool_(True),
    "NumPy array": lambda k: np.array([1.0, 2.0]),
    "JAX array": lambda k: jnp.array([1.0, 2.0]),
    "bytes": lambda k: b"ab",
    "slice": lambda k: slice(1, None, 2),
    "ellipsis": lambda k: ...,
    "activation": lambda k: k.activations.relu,
    "loss function": lambda k: k.losses.mean_squared_error,
    "user's function": lambda k: halve,
    "initializer": lambda k: k.initializers.GlorotUniform(seed=1),
    "constraint": lambda k: k.constraints.MaxNorm(2.0),
    "regularizer": lambda k: k.regularizers.L2(0.5),
    "policy": lambda k: k.DTypePolicy("mixed_bfloat16"),
    "seeds": lambda k: k.random.SeedGenerator(3, name="s"),
    "Dense": lambda k: k.layers.Dense(
        3, "relu", kernel_regularizer=k.regularizers.L1(0.5), name="d"
    ),
    "mixed": lambda k: k.layers.Dense(3, dtype="mixed_float16", name="d"),
    "Conv2D": lambda k: k.layers.Conv2D(3, (2, 3), name="c"),
    "Dropout": lambda k: k.layers.Dropout(0.3, seed=3, name="d"),
    "BatchNormalization": lambda k: k.layers.BatchNormalization(name="b"),
    "Embedding": lambda k: k.layers.Embedding(10, 4, name="e"),
    "InputLayer": lambda k: k.layers.InputLayer(shape=(3,), name="i"),
    "optimizer": lambda k: k.optimizers.Adam(0.5),
    "schedule": lambda k: k.optimizers.SGD(k.optimizers.schedules.ExponentialDecay(0.5, 10, 0.5)),
    "loss": lambda k: k.losses.CategoricalCrossentropy(label_smoothing=0.5),
    "metric": lambda k: k.metrics.AUC(num_thresholds=10, name="a"),
    "metric of a function": lambda k: k.metrics.MeanMetricWrapper(
        k.losses.mean_squared_error, name="m"
    ),
    "nest": lambda k: {"layer": k.layers.Dense(3, name="d"), "fns": [k.activations.relu, "tanh"]},
}


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
def test_is_written_as_keras_writes_it(make):
    ours = serialize.serialize_keras_object(make(keras))
    assert ours == oracle.saving.serialize_keras_object(make(oracle))


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
def test_comes_back(make):
    data = serialize.serialize_keras_object(make(keras))
    with registry.custom_object_scope({"halve": halve}):
        again = serialize.deserialize_keras_object(data)
    assert serialize.serialize_keras_object(again) == data
    if callable(make(keras)) and hasattr(make(keras), "__code__"):
        assert again is make(keras)


@pytest.mark.parametrize("make", OBJECTS.values(), ids=OBJECTS)
def test_what_keras_wrote_is_read(make):
    data = oracle.saving.serialize_keras_object(make(oracle))
    with registry.custom_object_scope({"halve": halve}):
        assert serialize.serialize_keras_object(serialize.deserialize_keras_object(data)) == data


# -- from the signature


class Wide(keras.layers.Dense):
    """Fixes an argument of its base and adds one."""

    def __init__(self, units, scale=2.0, **kwargs):
        super().__init__(units, activation="relu", **kwargs)
        self.scale = scale


class Fixed(keras.layers.Dense):
    """Leaves nothing to say but what every layer takes."""

    def __init__(self, **kwargs):
        super().__init__(7, use_bias=False, **kwargs)


class Deeper(Wide):
    """A second link in the chain, by keyword only."""

    def __init__(self, *, extra="a", **kwargs):
        super().__init__(**kwargs)
        self.extra = extra


class Through(keras.layers.Dense):
    """Hands everything on."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


class Always(keras.layers.Dropout):
    """Has no `__init__` of its own."""

    def call(self, inputs):
        return super().call(inputs, training=True)


class Hidden(keras.layers.Layer):
    """Keeps an argument under another name, and others that are objects."""

    def __init__(self, width, inner=None, start="zeros", fn=None, **kwargs):
        super().__init__(**kwargs)
        self._width = width
        self.inner, self.fn = inner, fn
        self.start = keras.initializers.get(start)


BASICS = {"name", "trainable", "dtype"}
CHAINS = {
    "a base argument fixed": (lambda: Wide(3, scale=4.0), {"units", "scale"}),
    "a base argument passed": (lambda: Wide(3, use_bias=False), {"units", "scale", "use_bias"}),
    "all fixed": (lambda: Fixed(name="f"), set()),
    "those of its base": (lambda: Always(0.5), {"rate", "noise_shape", "seed"}),
    "two links": (lambda: Deeper(units=2, extra="q"), {"units", "scale", "extra"}),
    "objects": (
        lambda: Hidden(5, keras.layers.Dense(2), keras.initializers.Ones(), halve),
        {"width", "inner", "start", "fn"},
    ),
}


@pytest.mark.parametrize("make,arguments", CHAINS.values(), ids=CHAINS)
def test_a_users_class_needs_no_config_of_its_own(make, arguments):
    made = make()
    data = made.get_config()
    assert set(data) == arguments | BASICS
    with registry.custom_object_scope({"halve": halve}):
        assert type(made).from_config(data).get_config() == data


def test_a_class_that_hands_everything_on_has_its_bases_config():
    data = Through(3, "relu", name="t").get_config()
    assert data == keras.layers.Dense(3, "relu", name="t").get_config()
    assert Through.from_config(data).units == 3


def test_the_config_follows_the_attributes():
    layer = Wide(3)
    layer.units, layer.scale = 5, 9.0
    assert (layer.get_config()["units"], layer.get_config()["scale"]) == (5, 9.0)
    assert list(layer.get_config())[:3] == ["name", "trainable", "dtype"]


# -- registration and scopes


def test_registered_objects_are_found_by_package_and_name():
    @keras.saving.register_keras_serializable("pack")
    class Mine(keras.layers.Layer):
        def __init__(self, a=1, **kwargs):
            super().__init__(**kwargs)
            self.a = a

    @keras.saving.register_keras_serializable("pack", name="third")
    def a_third(x):
        return x / 3

    data = serialize.serialize_keras_object(Mine(3))
    assert (data["registered_name"], data["module"]) == ("pack>Mine", None)
    again = serialize.deserialize_keras_object(data)
    assert type(again) is Mine and again.a == 3
    written = serialize.serialize_keras_object(a_third)
    assert written["config"] == "pack>third" == keras.saving.get_registered_name(a_third)
    assert serialize.deserialize_keras_object(written) is a_third
    assert keras.saving.get_registered_object("pack>third") is a_third


def test_scopes_nest_and_belong_to_their_thread():
    elsewhere = []
    with registry.custom_object_scope({"It": Wide}):
        with registry.custom_object_scope({"It": Fixed}):
            assert registry.get_registered_object("It") is Fixed
        assert registry.get_registered_object("It") is Wide
        look = functools.partial(registry.get_registered_object, "It")
        thread = threading.Thread(target=lambda: elsewhere.append(look()))
        thread.start()
        thread.join()
        with pytest.raises(ZeroDivisionError), registry.custom_object_scope({"It": Fixed}):
            1 / 0  # noqa: B018
        assert look() is Wide
    assert (look(), elsewhere) == (None, [None])


def test_registered_objects_are_in_the_table_of_custom_ones():
    def program(k):
        @k.saving.register_keras_serializable("table")
        def fn(x):
            return x

        return k.saving.get_custom_objects()["table>fn"] is fn

    assert program(keras) and program(oracle)


def test_custom_objects_win_over_kerasish_own():
    data = serialize.serialize_keras_object(keras.layers.Dense(3))
    again = serialize.deserialize_keras_object(data, custom_objects={"Dense": Through})
    assert type(again) is Through
    keras.saving.get_custom_objects()["Dense"] = Wide
    assert type(registry.find_class(data)) is type and registry.find_class(data) is Wide


def serialized(class_name, inner, module=None, registered_name=None):
    return {
        "module": module,
        "class_name": class_name,
        "config": inner,
        "registered_name": registered_name,
    }


REFUSED = {
    "a class of Python's": (
        serialized("Popen", {"args": "ls"}, "subprocess"),
        "Unknown class 'Popen'",
    ),
    "a misspelt layer": (serialized("Densee", {}, "keras.layers"), "Did you mean 'Dense'"),
    "a function of Python's": (
        serialized("function", "eval", "builtins"),
        "Unknown function 'eval'",
    ),
    "a registered name": (serialized("Mine", {}, None, "other>Mine"), "custom_objects="),
    "a lambda": (serialized("__lambda__", {"value": ["code"]}), "Code is never read from a file"),
    "a set": ({1, 2}, "cannot read set"),
}


@pytest.mark.parametrize("data,text", REFUSED.values(), ids=REFUSED)
def test_unknown_and_unsafe_data_is_refused(data, text):
    with pytest.raises((TypeError, ValueError), match=text):
        serialize.deserialize_keras_object(data, safe_mode=False)


def test_no_module_is_imported_because_data_names_it():
    sys.modules.pop("this", None)
    for data in (serialized("d", {}, "this"), serialized("function", "d", "this", "d")):
        with pytest.raises(TypeError, match="Unknown"):
            serialize.deserialize_keras_object(data)
    assert "this" not in sys.modules


UNWRITABLE = {
    "object": (object(), "object object .* cannot be written to a config"),
    "set": ({1}, "it has no `get_config`"),
    "partial": (functools.partial(halve, 1), "it has no `get_config`"),
}


@pytest.mark.parametrize("value,text", UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_cannot_be_written_is_told(value, text):
    with pytest.raises(TypeError, match=text):
        serialize.serialize_keras_object(value)


def test_a_lambda_is_written_as_one_and_not_read():
    data = serialize.serialize_keras_object(lambda x: x)
    assert data["class_name"] == "__lambda__"
    with pytest.raises(ValueError, match="lambda"):
        serialize.deserialize_keras_object(data)


def two_lambdas():
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((2,)),
            layers.Lambda(lambda x: x + 1, name="more"),
            layers.Lambda(lambda x: 2 * x, name="twice"),
            layers.Dense(2, activation=lambda x: -x, name="negative"),
        ]
    )


GIVEN = {"more": lambda x: x + 1, "twice": lambda x: 2 * x, "negative": lambda x: -x}


def test_functions_stand_for_lambdas_by_layer_name():
    model = two_lambdas()
    data = serialize.serialize_keras_object(model)
    again = serialize.deserialize_keras_object(data, {"<lambda>": GIVEN}, safe_mode=False)
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(np.ones((1, 2))), model(np.ones((1, 2))))
    by_argument = {**GIVEN, "negative": {"activation": lambda x: -x}}
    again = serialize.deserialize_keras_object(data, {"<lambda>": by_argument}, safe_mode=False)
    assert again.get_layer("negative").activation is by_argument["negative"]["activation"]


NOT_GIVEN = {
    "one for all": (
        abs,
        r"holds 3 lambdas, of 'more' \(`function`\), 'twice' .*one function cannot",
    ),
    "one left out": ({"more": abs, "twice": abs}, "has none for `activation` of 'negative'"),
    "another argument": (
        {**GIVEN, "negative": {"function": abs}},
        "has none for `activation` of 'negative'",
    ),
}


@pytest.mark.parametrize("given,text", NOT_GIVEN.values(), ids=NOT_GIVEN)
def test_one_function_does_not_stand_for_several_lambdas(given, text):
    data = serialize.serialize_keras_object(two_lambdas())
    with pytest.raises(ValueError, match=text):
        serialize.deserialize_keras_object(data, {"<lambda>": given}, safe_mode=False)


def test_two_lambdas_of_one_layer_are_told_by_argument():
    one = {"name": "both", "function": {"class_name": "__lambda__", "config": {}}}
    one["output_shape"] = {"class_name": "__lambda__", "config": {}}
    data = serialized("Lambda", one, "keras.layers")
    with pytest.raises(ValueError, match="'both'"):
        serialize.deserialize_keras_object(data, {"<lambda>": {"both": abs}}, safe_mode=False)


NO_FUNCTIONS = {
    "a class of kerasish's": ("Dense", {}, "names a class"),
    "a custom class": ("Mine", {"Mine": int}, "names a class"),
    "a model class": ("Model", {}, "names a class"),
    "a number": ("three", {"three": 3}, "names a int"),
}


@pytest.mark.parametrize("name,custom,text", NO_FUNCTIONS.values(), ids=NO_FUNCTIONS)
def test_a_function_in_a_config_is_a_function(name, custom, text):
    data = serialized("function", name, "builtins", "function")
    with pytest.raises(TypeError, match=text):
        serialize.deserialize_keras_object(data, custom)


def test_a_class_in_a_config_is_a_class():
    data = serialized("relu", {}, "keras.activations")
    with pytest.raises(TypeError, match="no `from_config`"):
        serialize.deserialize_keras_object(data)
    with pytest.raises(TypeError, match="no `from_config`"):
        serialize.deserialize_keras_object(serialized("It", {}), {"It": abs})


def test_a_class_without_config_cannot_be_registered():
    with pytest.raises(ValueError, match="has no `get_config`"):
        registry.register_keras_serializable()(type("Plain", (), {}))


RESOLVED = {
    "name": ("glorot_uniform", "GlorotUniform"),
    "class name": ("GlorotUniform", "GlorotUniform"),
    "class": (keras.initializers.Zeros, "Zeros"),
    "instance": (keras.initializers.Ones(), "Ones"),
    "config": (serialized("Ones", {}, "keras.initializers"), "Ones"),
    "short config": ({"class_name": "Constant", "config": {"value": 3.0}}, "Constant"),
}


@pytest.mark.parametrize("identifier,wanted", RESOLVED.values(), ids=RESOLVED)
def test_get_takes_names_configs_classes_and_instances(identifier, wanted):
    assert type(keras.initializers.get(identifier)).__name__ == wanted


UNRESOLVED = {
    "misspelt": ("glorot_unifrom", "Unknown initializer 'glorot_unifrom'. Did you mean"),
    "number": (3, "a name, a config, a class or a callable; got 3"),
    "plain dict": ({"a": 1}, "a serialized object with 'class_name'"),
}


@pytest.mark.parametrize("identifier,text", UNRESOLVED.values(), ids=UNRESOLVED)
def test_get_tells_what_it_does_not_know(identifier, text):
    with pytest.raises(ValueError, match=text):
        keras.initializers.get(identifier)
    assert keras.initializers.get(None) is None
