"""Files of Keras 1 and 2: what their words meant then."""

import json
import zipfile

import h5py
import numpy as np
import pytest

import kerasish as keras
from kerasish import Input, Model, Sequential, layers
from kerasish.saving.state.keras_2 import hard_sigmoid_of_keras_2

X = np.linspace(-4, 4, 30, dtype="float32").reshape(2, 5, 3)
OLD = np.clip(0.2 * X + 0.5, 0, 1)
NEW = np.clip(X / 6 + 0.5, 0, 1)


def activated():
    return Sequential([Input((5, 3)), layers.Activation("hard_sigmoid")])


def as_saved_by(path, version, edit=None):
    """Let an `.h5` file be of another version, or of none."""
    with h5py.File(path, "a") as h5:
        config = json.loads(h5.attrs["model_config"])
        h5.attrs["model_config"] = json.dumps((edit or (lambda c: c))(config))
        del h5.attrs["sum"], h5.attrs["keras_version"]
        if version is not None:
            h5.attrs["keras_version"] = version
    return path


@pytest.mark.filterwarnings("ignore:.*older HDF5", "ignore:.*does not say how to compile")
@pytest.mark.parametrize(
    "version, expected",
    [
        *((version, OLD) for version in ("2.2.4", "2.15.0", "2.4.0-tf", b"1.2.2", None)),
        *((version, NEW) for version in ("3.0.0", "3.15.1", b"3.1.0", "10.0")),
    ],
)
def test_h5_files_by_their_version(version, expected, tmp_path):
    activated().save(tmp_path / "model.h5")
    model = keras.models.load_model(as_saved_by(tmp_path / "model.h5", version))
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "version, expected", [("2.13.1", OLD), ("3.0.0", NEW), (None, NEW)], ids=str
)
def test_archives_by_their_version(version, expected, tmp_path):
    activated().save(tmp_path / "new.keras")
    with zipfile.ZipFile(tmp_path / "new.keras") as new:
        members = {name: new.read(name) for name in new.namelist()}
    members["metadata.json"] = json.dumps({"keras_version": version} if version else {}).encode()
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as old:
        for name, data in members.items():
            old.writestr(name, data)
    model = keras.models.load_model(tmp_path / "old.keras")
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("version, expected", [("2.2.4", OLD), ("3.0.0", NEW), (None, NEW)])
def test_json_by_its_version(version, expected):
    config = json.loads(activated().to_json())
    config |= {} if version is None else {"keras_version": version, "backend": "tensorflow"}
    model = keras.models.model_from_json(json.dumps(config))
    np.testing.assert_allclose(model(X), expected, rtol=1e-5, atol=1e-6)
    again = keras.models.model_from_json(model.to_json())  # says itself what it means
    np.testing.assert_allclose(again(X), expected, rtol=1e-5, atol=1e-6)


def old_json(model):
    return json.dumps({**json.loads(model.to_json()), "keras_version": "2.3.1"})


def in_graph(layer):
    x = Input((5, 3))
    return Model(x, layer(x))


GATED = {
    "gates": lambda f: layers.LSTM(4, recurrent_activation=f),
    "both ways": lambda f: layers.Bidirectional(layers.GRU(4, recurrent_activation=f)),
    "a cell": lambda f: layers.RNN([layers.LSTMCell(4, recurrent_activation=f)]),
    "in a wrapper": lambda f: layers.TimeDistributed(layers.Dense(4, activation=f)),
    "in a model": lambda f: Sequential([layers.Dense(4, activation=f)]),
}


@pytest.mark.parametrize("make", GATED.values(), ids=GATED)
@pytest.mark.parametrize("wrap", [in_graph, lambda layer: Sequential([Input((5, 3)), layer])])
def test_wherever_an_activation_is_given(make, wrap):
    old = keras.models.model_from_json(old_json(wrap(make("hard_sigmoid"))))
    expected = wrap(make(hard_sigmoid_of_keras_2))
    old.set_weights(expected.get_weights())
    np.testing.assert_allclose(old(X), expected(X), rtol=1e-6)
    assert not np.allclose(old(X), wrap(make("hard_sigmoid"))(X))


def test_names_that_are_no_activations_stay():
    model = Sequential([Input((3,)), layers.Dense(2, name="hard_sigmoid")])
    old = keras.models.model_from_json(old_json(model))
    assert old.layers[0].name == "hard_sigmoid"


def test_an_own_function_of_that_name_is_taken():
    own = {"hard_sigmoid": lambda x: -x}
    model = keras.models.model_from_json(old_json(activated()), own)
    np.testing.assert_array_equal(model(X), -X)


@pytest.mark.filterwarnings("ignore:.*older HDF5", "ignore:.*does not say how to compile")
@pytest.mark.parametrize("is_list", [True, False])
def test_a_stack_whose_first_layer_has_the_shape(is_list, tmp_path):
    model = Sequential([Input((5, 3)), layers.LSTM(4), layers.Dense(2)])
    model.save(tmp_path / "model.h5")

    def edit(config):
        found = config["config"]["layers"][1:]
        found[0]["config"]["batch_input_shape"] = [None, 5, 3]
        plain = [{k: layer[k] for k in ("class_name", "config")} for layer in found]
        inner = plain if is_list else {"name": "old", "layers": plain}
        return {"class_name": "Sequential", "config": inner}

    path = as_saved_by(tmp_path / "model.h5", "2.0.9", edit)
    np.testing.assert_allclose(keras.models.load_model(path)(X), model(X), rtol=1e-6)
