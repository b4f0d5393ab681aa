"""Names and paths, devices, and what is the same for the whole process."""

import threading

import jax
import keras as oracle
import numpy as np
import pytest

import kerasish as keras
from kerasish import Variable
from kerasish.core import errors, names, settings

WORDS = (
    *("Dense", "MaxPooling2D", "Conv2DTranspose", "GRUCell", "RMSprop", "my_Layer", "ABC", "LSTM"),
    *("_Private", "CSVLogger", "a b-C", "already_snake"),
)


@pytest.mark.parametrize("word", WORDS)
def test_snake_case_is_keras(word):
    assert names.snake_case(word) == oracle.src.utils.naming.to_snake_case(word)


def test_names_count_up_until_cleared():
    assert [names.auto_name("Dense") for _ in range(3)] == ["dense", "dense_1", "dense_2"]
    assert names.auto_name("Conv") == "conv"
    keras.utils.clear_session()
    assert names.auto_name("Dense") == "dense"


def test_no_name_is_given_twice_between_threads():
    given = []
    threads = [
        threading.Thread(target=lambda: [given.append(names.auto_name("x")) for _ in range(200)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(given)) == 800


def test_a_path_is_the_open_scopes_and_the_name():
    with keras.name_scope("a"), keras.name_scope("b"):
        v = Variable(1.0, name="v")
        elsewhere = []
        thread = threading.Thread(target=lambda: elsewhere.append(names.current_path()))
        thread.start()
        thread.join()
    assert (v.path, v.name, Variable(1.0, name="w").path, elsewhere) == ("a/b/v", "v", "w", [""])


def test_an_error_closes_the_name_scopes():
    with pytest.raises(ZeroDivisionError), keras.name_scope("a"), keras.name_scope("b"):
        1 / 0  # noqa: B018
    assert names.current_path() == ""


def test_an_owner_enters_its_scope_once():
    with names.name_scope("a", owner=3), names.name_scope("a", owner=3):
        assert names.current_path() == "a"
        with names.name_scope("a", owner=4):
            assert names.current_path() == "a/a"


def test_layer_weights_have_keras_paths():
    def paths(k):
        inputs = k.layers.Input((3,))
        x = k.layers.Dense(2)(inputs)
        x = k.layers.BatchNormalization(name="norm")(x)
        return [w.path for w in k.Model(inputs, k.layers.Dense(2)(x)).weights]

    assert paths(keras) == paths(oracle)


@pytest.mark.parametrize("name", ["cpu", "cpu:0", "CPU:1", "/cpu:2", "device:cpu:3"])
def test_arrays_are_made_on_the_device_that_is_named(name):
    number = int(name[-1]) if name[-1].isdigit() else 0
    with keras.device(name):
        made = [jax.numpy.ones(2), Variable(np.ones(2)).value, keras.ops.zeros((2,))]
    assert {d.id for x in made for d in x.devices()} == {number}


BAD = {
    "device": (
        lambda: keras.device("abc").__enter__(),
        r"a device here, of kind \['cpu'\]; got 'abc'",
    ),
    "number": (lambda: keras.device("cpu:99").__enter__(), "one of .* cpu device"),
    "no text": (lambda: keras.device(0).__enter__(), "a string like 'cpu:0'"),
    "floatx": (lambda: keras.config.set_floatx("int8"), "`value` must be one of"),
    "layout": (lambda: keras.config.set_image_data_format("last"), "'channels_last'"),
}


@pytest.mark.parametrize("act,text", BAD.values(), ids=BAD)
def test_bad_values_are_told(act, text):
    with pytest.raises(ValueError, match=text):
        act()


def test_settings_are_kept_and_have_keras_defaults():
    for name in ("floatx", "epsilon", "image_data_format", "backend"):
        assert getattr(keras.config, name)() == getattr(oracle.config, name)()
    keras.config.set_epsilon(1e-3)
    keras.config.set_image_data_format("channels_first")
    assert (settings.epsilon(), settings.standardize_data_format(None)) == (1e-3, "channels_first")
    assert settings.standardize_data_format("Channels_Last") == "channels_last"


@pytest.mark.parametrize("choice", ["0", "off", "False"])
def test_the_compilation_cache_can_be_turned_off(choice, monkeypatch):
    updates = []
    monkeypatch.setenv("KERASISH_COMPILATION_CACHE", choice)
    monkeypatch.setattr(jax.config, "update", lambda *pair: updates.append(pair))
    settings.use_compilation_cache()
    assert updates == []


def test_an_error_says_who_what_and_what_came():
    error = errors.bad_argument("Dense", "units", "positive", -1, "Try 3.")
    assert str(error) == "Dense: `units` must be positive; got -1. Try 3."
    assert errors.did_you_mean("rleu", ["relu", "elu"]) == "Did you mean 'relu'?"
    assert errors.did_you_mean("xyz", ["relu"]) == ""
