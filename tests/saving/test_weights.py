"""Weights in all their formats: there and back, from and to Keras, whole or not at all."""

import json
import os
import warnings

import h5py
import keras
import numpy as np
import pytest

import kerasish
from kerasish import layers
from tests.support import model_cases


def small(k=kerasish, units=3, name="small"):
    return k.Sequential(
        [
            k.Input((4,)),
            k.layers.Dense(units, name="first"),
            k.layers.BatchNormalization(name="norm"),
            k.layers.Dense(2, name="last"),
        ],
        name=name,
    )


def trained(k=kerasish):
    model = small(k)
    model.compile("adam", k.losses.MeanSquaredError())
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.normal(size=(8, 4)).astype("f4"), rng.normal(size=(8, 2)).astype("f4"))
    return model


def state(model):
    found = [np.asarray(v) for v in model.weights]
    if getattr(model, "optimizer", None) is not None:
        found += [np.asarray(v) for v in model.optimizer.variables]
    return found


def assert_same(a, b):
    for one, other in zip(a, b, strict=True):
        np.testing.assert_array_equal(one, other)


def scrambled(k=kerasish):
    model = trained(k)
    for v in model.weights:
        v.assign(np.full(v.shape, 0.5))
    return model


FORMATS = {
    "x.weights.h5": {},
    "x.weights.json": {"max_shard_size": 1e-7},
    "x.safetensors": {},
}


@pytest.mark.parametrize("name", FORMATS)
def test_weights_come_back(name, tmp_path):
    model = trained()
    model.save_weights(tmp_path / name, **FORMATS[name])
    other = scrambled()
    other.load_weights(tmp_path / name)
    assert_same(state(other), state(model))


@pytest.mark.parametrize("name", ["x.weights.h5", "x.weights.json"])
@pytest.mark.parametrize(("writer", "reader"), [(kerasish, keras), (keras, kerasish)])
def test_weights_go_to_and_from_keras(name, writer, reader, tmp_path):
    model, other = trained(writer), scrambled(reader)
    model.save_weights(tmp_path / name, **FORMATS[name])
    other.load_weights(tmp_path / name)
    assert_same(state(other), state(model))


def test_shards_are_named_mapped_and_sized_as_keras_has_them(tmp_path):
    written = {}
    for k in (kerasish, keras):
        folder = tmp_path / k.__name__
        folder.mkdir()
        trained(k).save_weights(folder / "x.weights.json", max_shard_size=1e-7)
        written[k] = json.loads((folder / "x.weights.json").read_text())
        written[k]["files"] = sorted(os.listdir(folder))
    assert written[kerasish] == written[keras]


def test_an_array_larger_than_a_shard_is_refused_and_nothing_is_left(tmp_path):
    with pytest.raises(ValueError, match="more than `max_shard_size` 1e-09 GB allows"):
        trained().save_weights(tmp_path / "x.weights.json", max_shard_size=1e-9)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_safetensors_is_the_format_others_read(dtype, tmp_path):
    model = kerasish.Sequential([kerasish.Input((4,)), layers.Dense(3, dtype=dtype)])
    model.save_weights(tmp_path / "x.safetensors")
    data = (tmp_path / "x.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    entry = header["layers/dense/vars/0"]
    assert entry["dtype"] == {"float32": "F32", "bfloat16": "BF16", "float16": "F16"}[dtype]
    assert entry["shape"] == [4, 3]
    start, end = entry["data_offsets"]
    raw = data[8 + length :][start:end]
    assert raw == np.asarray(model.weights[0].read()).tobytes()
    assert length % 8 == 0


# -- the older format


@pytest.mark.parametrize("writer", [kerasish, keras])
@pytest.mark.parametrize("reader", [kerasish, keras])
@pytest.mark.filterwarnings("ignore:.*older HDF5 format:UserWarning")
def test_whole_models_in_the_older_format(writer, reader, tmp_path):
    model = trained(writer)
    model.save(tmp_path / "x.h5")
    loaded = reader.models.load_model(tmp_path / "x.h5")
    assert_same(loaded.get_weights(), model.get_weights())
    if reader is kerasish:  # Keras 3 starts its optimizer anew
        assert_same(state(loaded), state(model))
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(np.asarray(loaded(x)), np.asarray(model(x)), rtol=1e-5)


@pytest.mark.parametrize("case", ["functional_chain", "twice_nested", "shared_layer", "embedding"])
def test_older_files_of_keras_load(case, tmp_path):
    theirs = model_cases.CASES[case](keras)
    theirs.save(tmp_path / "x.h5")
    ours = kerasish.models.load_model(tmp_path / "x.h5", compile=False)
    x, _ = model_cases.data_for(ours)
    np.testing.assert_allclose(np.asarray(ours(x)), np.asarray(theirs(x)), rtol=1e-5, atol=1e-6)


def test_older_weights_load_in_order_or_by_name(tmp_path):
    keras.utils.set_random_seed(1)
    theirs = small(keras)
    theirs.save(tmp_path / "x.h5")
    ours = small()
    ours.load_weights(tmp_path / "x.h5")
    assert_same(ours.get_weights(), theirs.get_weights())
    other = kerasish.Sequential(
        [
            kerasish.Input((4,)),
            layers.Dense(7, name="new"),
            layers.Dense(3),
            layers.Dense(2, name="last"),
        ]
    )
    with pytest.raises(ValueError, match="`by_name=True` loads those that have the same name") as e:
        short = kerasish.Sequential([kerasish.Input((4,)), layers.Dense(3)])
        short.load_weights(tmp_path / "x.h5")
    assert "x.h5" in str(e.value)
    other.load_weights(tmp_path / "x.h5", by_name=True)
    assert_same(other.layers[-1].get_weights(), theirs.layers[-1].get_weights())


def test_older_weights_of_another_shape_are_skipped_or_an_error(tmp_path):
    small(keras).save(tmp_path / "x.h5")
    other = small(units=5)
    before = other.get_weights()
    with pytest.raises(ValueError, match=r"has shape \(4, 5\); the file's has \(4, 3\)"):
        other.load_weights(tmp_path / "x.h5")
    assert_same(other.get_weights(), before)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        other.load_weights(tmp_path / "x.h5", skip_mismatch=True)
    names = [layer.name for layer in other.layers]
    assert [str(w.message).split("'")[1] for w in seen] == names
    assert_same(other.get_weights()[:1], before[:1])


# -- what does not fit


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_of_another_model_changes_nothing(name, tmp_path):
    small(units=5).save_weights(tmp_path / name, **FORMATS[name])
    model = scrambled()
    before = state(model)
    with pytest.raises(ValueError, match=r"does not fit 'first'.*\(4, 3\).*\(4, 5\)") as error:
        model.load_weights(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert_same(state(model), before)


def test_what_does_not_fit_can_be_skipped(tmp_path):
    source = small(units=3)
    source.save_weights(tmp_path / "x.weights.h5")
    model = kerasish.Sequential([kerasish.Input((4,)), layers.Dense(3), layers.Dense(5)])
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model.load_weights(tmp_path / "x.weights.h5", skip_mismatch=True)
    assert len(seen) == 1 and "Skipped" in str(seen[0].message)
    assert_same(model.layers[0].get_weights(), source.layers[0].get_weights())


def test_parts_can_be_left_out(tmp_path):
    model = trained()
    model.save_weights(tmp_path / "x.weights.h5")
    other = scrambled()
    other.load_weights(tmp_path / "x.weights.h5", objects_to_skip=[other.layers[0]])
    assert np.all(other.layers[0].get_weights()[0] == 0.5)
    assert_same(other.layers[-1].get_weights(), model.layers[-1].get_weights())
    model.save_weights(tmp_path / "y.weights.h5", objects_to_skip=[model.layers[0]])
    with h5py.File(tmp_path / "y.weights.h5") as h5:
        assert sorted(h5["layers"]) == ["batch_normalization", "dense_1"]


REFUSED = {
    "save_weights of a wrong name": (
        lambda m, p: m.save_weights(p / "x.h5"),
        r"`filepath` must be a path that ends in .weights.h5 or .safetensors; got",
    ),
    "save of a wrong name": (
        lambda m, p: m.save(p / "x.bin"),
        "must be a path that ends in '.keras'",
    ),
    "shards of a wrong name": (
        lambda m, p: m.save_weights(p / "x.weights.h5", max_shard_size=1),
        "ends in .weights.json",
    ),
    "no file": (lambda m, p: m.load_weights(p / "none.weights.h5"), "there is no file"),
    "unknown format": (
        lambda m, p: (p / "x.bin").touch() or m.load_weights(p / "x.bin"),
        "no format",
    ),
    "by_name": (
        lambda m, p: (
            m.save_weights(p / "x.weights.h5") or m.load_weights(p / "x.weights.h5", by_name=True)
        ),
        "`by_name` must be left out but for older",
    ),
    "overwriting": (
        lambda m, p: (p / "x.keras").touch() or m.save(p / "x.keras", overwrite=False),
        "exists, and `overwrite` is False",
    ),
    "no model": (lambda m, p: kerasish.models.load_model(p / "none.keras"), "there is no file"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_wrong_calls_say_what_is_wrong(case, tmp_path):
    act, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        act(small(), tmp_path)


def test_an_unbuilt_model_has_no_weights_to_save(tmp_path):
    with pytest.raises(ValueError, match="is not built, so it has no weights yet"):
        kerasish.Sequential([layers.Dense(2)]).save_weights(tmp_path / "x.weights.h5")


def nested(k, frozen, made_before=0):
    for _ in range(made_before):
        k.layers.Dense(1)
    inside = [k.layers.Dense(3) for _ in range(11)]
    for index in frozen:
        inside[index].trainable = False
    inner = k.Sequential([k.Input((3,)), *inside, k.layers.BatchNormalization()])
    return k.Sequential([k.Input((3,)), inner, k.layers.Dense(1)])


@pytest.mark.parametrize("saved", [[], [0, 5], [10]])
@pytest.mark.parametrize("loaded", [[], [0], [3, 9]])
def test_older_files_of_nested_models_whatever_is_frozen(saved, loaded, tmp_path):
    theirs = nested(keras, saved, made_before=1)
    theirs.save_weights(tmp_path / "x.weights.h5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.save(tmp_path / "x.h5")
    ours = nested(kerasish, loaded, made_before=4)
    x = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    for path in ("x.h5", "x.weights.h5"):
        ours.load_weights(tmp_path / path)
        np.testing.assert_allclose(ours(x), np.asarray(theirs(x)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("end", ["weights.h5", "safetensors", "weights.json", "keras"])
def test_weights_that_no_part_takes_are_said(end, tmp_path):
    def made(widths):
        stack = [kerasish.Input((2,)), *map(layers.Dense, widths)]
        return kerasish.Sequential(stack, name="small")

    path, model = tmp_path / f"x.{end}", made([2, 2, 2, 2, 2, 2])
    if end == "keras":
        model.save(path)
    else:
        model.save_weights(path, max_shard_size=1 if end == "weights.json" else None)
    kept = made([2, 2])
    untaken = r"\['layers/dense_2', 'layers/dense_3', 'layers/dense_4'\] and 1 more"
    with pytest.warns(UserWarning, match=rf"no part of 'small' takes: {untaken}"):
        kept.load_weights(path)
    assert_same(kept.get_weights(), model.get_weights()[:4])
