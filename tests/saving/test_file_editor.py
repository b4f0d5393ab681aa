"""Files of weights looked into, changed and compared."""

import h5py
import keras
import numpy as np
import pytest

import kerasish

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


def make(k, name="first"):
    layers = [k.layers.Dense(2, name=name), k.layers.BatchNormalization(), k.layers.Dense(1)]
    model = k.Sequential([k.Input((3,)), *layers])
    model.compile("adam", "mse")
    model.fit(X, X[:, 0], verbose=0)
    return model


@pytest.mark.parametrize("k", [kerasish, keras], ids=["kerasish", "keras"])
@pytest.mark.parametrize("ending", ["keras", "weights.h5"])
def test_sees_what_keras_sees(tmp_path, k, ending, capsys):
    path = str(tmp_path / f"model.{ending}")
    model = make(k)
    (model.save if ending == "keras" else model.save_weights)(path)
    ours, theirs = (m.saving.KerasFileEditor(path) for m in (kerasish, keras))
    assert dict(theirs.weights_dict).keys() == ours.weights_dict.keys()
    for name, layer in theirs.weights_dict["layers"].items():
        for number, value in layer.items():
            np.testing.assert_array_equal(ours.weights_dict["layers"][name][number], value)
    assert ours.object_metadata == theirs.object_metadata
    assert (ours.metadata, ours.config) == (theirs.metadata, theirs.config)
    ours.summary()
    assert "0: shape=(3, 2), dtype=float32" in capsys.readouterr().out


def test_changes_are_saved_for_both(tmp_path):
    model = make(kerasish)
    model.save(tmp_path / "model.keras")
    editor = kerasish.saving.KerasFileEditor(tmp_path / "model.keras")
    assert editor.compare(model)["error_count"] == 0
    editor.add_weights("layers/dense_1", {"1": np.array([7.0], "float32")})
    editor.save(tmp_path / "new.weights.h5")
    for k in (kerasish, keras):
        again = make(k)
        again.load_weights(tmp_path / "new.weights.h5")
        np.testing.assert_array_equal(again.layers[-1].bias, [7.0])
        np.testing.assert_array_equal(again.layers[0].kernel, model.layers[0].kernel)


def test_comparison_names_each_difference(tmp_path, capsys):
    model = make(kerasish)
    model.save_weights(tmp_path / "m.weights.h5")
    editor = kerasish.saving.KerasFileEditor(tmp_path / "m.weights.h5")
    whole = editor.compare(model)
    assert whole["status"] == "success" and whole["match_count"] >= 8
    editor.delete_weight("batch_normalization", "0")
    editor.add_weights("layers/dense", {"1": np.zeros(5)})
    editor.add_object("layers/dense_9", {"0": np.zeros(1)})
    result = editor.compare(model)
    assert (result["status"], result["error_count"]) == ("error", 3)
    assert result["match_count"] == whole["match_count"] - 2
    said = capsys.readouterr().out
    assert "layers/batch_normalization/0 is in the reference model" in said
    assert "layers/dense/1 has shape (5,) in the saved file, (2,)" in said
    assert "layers/dense_9/0 is in the saved file, but not" in said


@pytest.fixture
def editor(tmp_path):
    make(kerasish).save_weights(tmp_path / "m.weights.h5")
    editor = kerasish.saving.KerasFileEditor(tmp_path / "m.weights.h5")
    editor.add_object("more", {"0": np.zeros(1)})
    editor.weights_dict["more"]["dense"] = {"0": np.zeros(1)}
    return editor


ERRORS = {
    r"`object_name` must be one of \['layers/dense', 'more/dense'\]": lambda e: e.delete_object(
        "dense"
    ),
    r"`object_name` must be in the file; got 'dence'. Did you mean 'dense": lambda e: (
        e.delete_object("dence")
    ),
    r"`new_name` must be a name, not": lambda e: e.rename_object("layers/dense", "a/b"),
    r"`weight_name` must be one of \['0', '1'\]": lambda e: e.delete_weight("layers/dense", "7"),
    r"`object_path` must be in the file": lambda e: e.add_object("nowhere/dense", {}),
    r"`weights` must be a dict": lambda e: e.add_object("dense", [1]),
    r"`filepath` must be a name ending": lambda e: e.save("model.h5"),
    r"`filepath` must be a file whose name": lambda e: type(e)("model.h5"),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(editor, message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message](editor)


def test_files_that_point_elsewhere_are_refused(tmp_path):
    with h5py.File(tmp_path / "m.weights.h5", "w") as file:
        file["layers"] = h5py.ExternalLink("other.h5", "/x")
    with pytest.raises(ValueError, match="links to somewhere else"):
        kerasish.saving.KerasFileEditor(tmp_path / "m.weights.h5")
