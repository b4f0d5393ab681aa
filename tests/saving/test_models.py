"""Whole models: classes of one's own, ways to save and load, configs as JSON."""

import keras
import numpy as np
import pytest

import kerasish
from kerasish import layers
from tests.support import model_cases

X = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
BOTH = [(kerasish, keras), (keras, kerasish)]


@pytest.mark.parametrize(("writer", "reader"), BOTH)
def test_subclassed_models_go_there_and_back(writer, reader, tmp_path):
    made = {k: model_cases.subclassed(k) for k in (writer, reader)}
    model = made[writer](units=5, name="net")
    model.build((None, 4))
    model.compile("adam", "mse")
    model.train_on_batch(X, X[:, :1])
    model.save(tmp_path / "x.keras")
    loaded = reader.saving.load_model(tmp_path / "x.keras")
    assert type(loaded) is made[reader] and loaded.units == 5
    np.testing.assert_allclose(np.asarray(loaded(X)), np.asarray(model(X)), rtol=1e-5, atol=1e-6)
    for ours, theirs in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))
    losses = [float(m.train_on_batch(X, X[:, :1])) for m in (model, loaded)]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@pytest.mark.parametrize(("writer", "reader"), BOTH)
def test_layers_of_ones_own_go_there_and_back(writer, reader, tmp_path):
    made = {k: model_cases.own_layer(k) for k in (writer, reader)}
    x = writer.Input((4,))
    model = writer.Model(x, writer.layers.Dense(1)(made[writer](3, factor=0.5)(x)))
    model.save(tmp_path / "x.keras")
    loaded = reader.saving.load_model(tmp_path / "x.keras")
    assert isinstance(loaded.layers[1], made[reader])
    np.testing.assert_allclose(np.asarray(loaded(X)), np.asarray(model(X)), rtol=1e-5, atol=1e-6)


def halve(x):
    return x / 2


def test_an_unknown_class_is_asked_for_by_name(tmp_path):
    class Mine(layers.Dense):
        pass

    model = kerasish.Sequential([kerasish.Input((4,)), Mine(2), layers.Dense(1, activation=halve)])
    model.save(tmp_path / "x.keras")
    with pytest.raises(TypeError, match=r"x.keras.*Unknown class 'Mine'.*custom_objects"):
        kerasish.models.load_model(tmp_path / "x.keras")
    custom = {"Mine": Mine, "halve": halve}
    loaded = kerasish.models.load_model(tmp_path / "x.keras", custom_objects=custom)
    np.testing.assert_array_equal(loaded(X), model(X))
    with kerasish.saving.custom_object_scope(custom):
        assert isinstance(kerasish.models.load_model(tmp_path / "x.keras").layers[0], Mine)


@pytest.mark.parametrize("k", [kerasish, keras])
def test_a_lambda_is_refused_unless_given_by_the_caller(k, tmp_path):
    model = k.Sequential([k.Input((4,)), k.layers.Lambda(lambda x: 3 * x), k.layers.Dense(2)])
    model.save(tmp_path / "x.keras")
    load = kerasish.models.load_model
    for options in ({}, {"safe_mode": False}, {"custom_objects": {"<lambda>": abs}}):
        with pytest.raises(
            ValueError, match=r"x.keras.*holds a lambda. Code is never read from a file"
        ):
            load(tmp_path / "x.keras", **options)
    own = {"<lambda>": lambda x: 3 * x}
    loaded = load(tmp_path / "x.keras", custom_objects=own, safe_mode=False)
    np.testing.assert_allclose(np.asarray(loaded(X)), np.asarray(model(X)), rtol=1e-5, atol=1e-6)


def test_all_ways_to_save_and_load_are_one(tmp_path):
    model = model_cases.CASES["residual"](kerasish)
    model.compile("adam", "mse")
    ways = {
        "a": lambda p: model.save(p),
        "b": lambda p: kerasish.models.save_model(model, p),
        "c": lambda p: kerasish.saving.save_model(model, str(p)),
    }
    for name, save in ways.items():
        save(tmp_path / f"{name}.keras")
        for load in (kerasish.models.load_model, kerasish.saving.load_model):
            np.testing.assert_array_equal(load(tmp_path / f"{name}.keras")(X), model(X))
    assert not kerasish.models.load_model(tmp_path / "a.keras", compile=False).compiled
    kerasish.saving.save_weights(model, tmp_path / "w.weights.h5")
    other = model_cases.CASES["residual"](kerasish)
    kerasish.saving.load_weights(other, tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(other(X), model(X))
    other.load_weights(tmp_path / "a.keras")


@pytest.mark.parametrize("case", ["dense_stack", "residual", "ops_of_many_kinds", "twice_nested"])
@pytest.mark.parametrize(("writer", "reader"), BOTH)
def test_architectures_travel_as_json(case, writer, reader):
    model = model_cases.CASES[case](writer)
    made = reader.models.model_from_json(model.to_json())
    x, _ = model_cases.data_for(model_cases.CASES[case](kerasish))
    assert made(x).shape == model(x).shape
    assert [layer.name for layer in made.layers] == [layer.name for layer in model.layers]


def test_a_model_that_calls_no_known_op_says_so(tmp_path):
    from kerasish.core.symbolic.operation import symbolic

    x = kerasish.Input((4,))
    model = kerasish.Model(x, symbolic(halve)(x))
    with pytest.raises(ValueError, match=r"'halve', which is no op of `keras.ops`"):
        model.save(tmp_path / "x.keras")
    assert not list(tmp_path.iterdir())
