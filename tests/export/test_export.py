"""Exported models run with JAX alone, on any batch, and say what they need."""

import importlib.util
import json
import subprocess
import sys
import textwrap
import zipfile

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

pytest.importorskip("flatbuffers")


def dense():
    return keras.Sequential([keras.Input((4,), name="x"), layers.Dense(3, "gelu"), layers.Dense(2)])


def pictures():
    return keras.Sequential(
        [
            keras.Input((8, 8, 3), name="image"),
            layers.Conv2D(4, 3, activation="relu", padding="same"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(2),
        ]
    )


def two_inputs():
    a, b = keras.Input((3,), name="a"), keras.Input((None, 3), name="b")
    h = layers.Dense(3)(a) + keras.ops.mean(b, axis=1)
    return keras.Model({"a": a, "b": b}, {"sum": h, "half": h / 2})


def numbers():
    return keras.Sequential(
        [keras.Input((6,), dtype="int32", name="ids"), layers.Embedding(5, 3), layers.Flatten()]
    )


def half_precision():
    return keras.Sequential([keras.Input((4,), name="x"), layers.Dense(2, dtype="bfloat16")])


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = layers.Dense(2)

    def build(self, input_shape):
        self.inner.build(input_shape)

    def call(self, inputs):
        return self.inner(inputs)


def subclassed():
    model = Own()
    model.build((None, 4))
    return model


MODELS = [dense, pictures, two_inputs, numbers, half_precision, subclassed]


def inputs_of(meta, rows):
    rng = np.random.default_rng(0)
    found = {}
    for entry in meta["inputs"]:
        shape = (rows, *(5 if n is None else n for n in entry["shape"][1:]))
        whole = entry["dtype"].startswith("int")
        found[entry["name"]] = rng.integers(0, 5, shape) if whole else rng.normal(size=shape)
    return {k: v.astype("int32" if v.dtype.kind == "i" else "float32") for k, v in found.items()}


@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_it_computes_what_the_model_computes(make, tmp_path):
    model = make()
    model.export(tmp_path / "model.zip")
    loaded = keras.export.load(tmp_path / "model.zip")
    assert loaded.meta["platforms"] == ["cpu", "cuda", "tpu"]
    for rows in (1, 7):
        x = inputs_of(loaded.meta, rows)
        given = x if make is two_inputs else next(iter(x.values()))
        expected, got, in_order = model(given), loaded(**x), loaded(*x.values())
        for one, other, third in zip(
            *map(keras.tree.flatten, (expected, got, in_order)), strict=True
        ):
            one, other, third = (np.asarray(a, "float32") for a in (one, other, third))
            np.testing.assert_allclose(other, one, rtol=1e-5, atol=1e-6)
            np.testing.assert_array_equal(third, other)


ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from exported import load
import numpy as np
model = load(sys.argv[1])
print(np.asarray(model(x=np.ones((3, 4)))).tolist())
assert not [name for name in sys.modules if name.split(".")[0] in ("kerasish", "keras")]
"""


def test_it_runs_with_jax_alone(tmp_path):
    model = dense()
    model.export(tmp_path / "model.zip")
    words = [sys.executable, "-I", "-c", textwrap.dedent(ALONE), str(tmp_path / "model.zip")]
    run = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(json.loads(run.stdout), model(np.ones((3, 4), "f4")), rtol=1e-5)


def test_it_says_what_it_holds(tmp_path):
    dense().export(tmp_path / "model.zip", platforms=["cpu"])
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        meta = json.loads(archive.read("meta.json"))
    assert meta["inputs"] == [{"name": "x", "shape": [None, 4], "dtype": "float32"}]
    assert meta["platforms"] == ["cpu"]
    assert set(meta["versions"]) == {"jax", "jaxlib", "numpy"}


def test_wrong_calls_say_what_is_wrong(tmp_path):
    model = dense()
    with pytest.raises(ValueError, match=r"ends in one of \['.onnx', '.tflite', '.zip'\] where"):
        model.export(tmp_path / "model")
    with pytest.raises(ValueError, match=r"`filepath` must be a path that ends in '.onnx' for"):
        model.export(tmp_path / "model.zip", format="onnx")
    with pytest.raises(ValueError, match=r"`format` must be one of .*'stablehlo'"):
        model.export(tmp_path / "model.zip", format="torch")
    with pytest.raises(ValueError, match=r"`options` must be among \('platforms'"):
        model.export(tmp_path / "model.zip", opset_version=21)
    with pytest.raises(ValueError, match="`input_signature` must be given for this model"):
        Own().export(tmp_path / "model.zip")
    model.export(tmp_path / "model.zip")
    loaded = keras.export.load(tmp_path / "model.zip")
    with pytest.raises(ValueError, match=r"Input 'x' must have shape \[None, 4\]; got \(2, 3\)"):
        loaded(np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"The model's inputs are \['x'\]"):
        loaded(y=np.ones((2, 4)))


@pytest.mark.parametrize(("path", "format"), [("m", "tf_saved_model"), ("m.tflite", None)])
def test_without_tensorflow_the_commands_are_named(path, format, tmp_path):
    if importlib.util.find_spec("tensorflow") is not None:
        pytest.skip("TensorFlow is installed")
    with pytest.raises(ImportError) as raised:
        dense().export(tmp_path / path, format=format)
    for command in ("`pip install tensorflow`", "`pip install ai-edge-litert`"):
        assert command in str(raised.value)


def test_verify_finds_what_differs(tmp_path, capsys):
    model, x = dense(), np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    found = model.export(tmp_path / "m.zip", verify=x)
    assert found.max_error < 1e-5 and found.runtime == "JAX" and found.operators is None
    assert "differ by" in capsys.readouterr().out
    model.set_weights([w + 1 for w in model.get_weights()])
    assert keras.export.verify(tmp_path / "m.zip", model, x).max_error > 1e-2
    model.set_weights([w * np.nan for w in model.get_weights()])
    assert keras.export.verify(tmp_path / "m.zip", model, x).max_error == np.inf
    with pytest.raises(ValueError, match="`path` must be a file that ends in"):
        keras.export.verify(tmp_path / "m.keras", model, x)


def test_several_endpoints_share_their_weights(tmp_path):
    model = pictures()
    encode = keras.Model(model.inputs, model.layers[-2].output)
    kept = keras.Variable(np.arange(3.0), name="kept")
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("predict", model)
    archive.add_endpoint("encode", encode)

    def scaled(image, factor):
        return {"scaled": model(image) * factor, "kept": kept + 0}

    spec = keras.InputSpec(shape=(None, 8, 8, 3), dtype="float32", name="image")
    archive.add_endpoint("scaled", scaled, [spec, keras.InputSpec(shape=(), dtype="float32")])
    archive.add_variable_collection("more", [kept])
    archive.write_out(tmp_path / "m.zip", verbose=False)
    with zipfile.ZipFile(tmp_path / "m.zip") as held:
        weights = json.loads(held.read("meta.json"))["weights"]
    assert len(weights) == len(model.variables) + 1
    loaded = keras.export.load(tmp_path / "m.zip")
    assert list(loaded.endpoints) == ["predict", "encode", "scaled"]
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 3)).astype("float32")
    np.testing.assert_allclose(loaded(x), model(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(loaded.encode(x), encode(x), rtol=1e-5, atol=1e-6)
    found = loaded.scaled(x, 2.0)
    np.testing.assert_allclose(found["scaled"], 2 * model(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found["kept"], np.arange(3.0))
    np.testing.assert_array_equal(loaded.collections["more"][0], np.arange(3.0))
    with pytest.raises(AttributeError, match="There is no endpoint 'decode'; there are"):
        loaded.decode(x)


def test_layers_and_their_own_signature(tmp_path):
    layer = layers.Dense(2)
    archive = keras.export.ExportArchive()
    with pytest.raises(ValueError, match="`resource` must be built; got 'dense'"):
        archive.track(layer)
    layer.build((None, 3))
    archive.track_and_add_endpoint("call", layer, [keras.Input((3,), name="x")])
    archive.write_out(tmp_path / "m.zip", verbose=False)
    x = np.ones((4, 3), "float32")
    np.testing.assert_allclose(keras.export.load(tmp_path / "m.zip").call(x=x), layer(x), rtol=1e-6)


def test_wrong_archives_say_what_is_wrong(tmp_path):
    archive, model = keras.export.ExportArchive(), dense()
    with pytest.raises(ValueError, match="no endpoint was added"):
        archive.write_out(tmp_path / "m.zip")
    archive.add_endpoint("serve", model)
    for call, says in (
        (lambda: archive.add_endpoint("serve", model), "one that is not taken yet; got 'serve'"),
        (lambda: archive.add_endpoint("a b", model), "a name as of a function; got 'a b'"),
        (lambda: archive.add_endpoint("f", abs), "a list with what is like each argument"),
        (lambda: archive.add_endpoint("f", abs, [3]), "with a shape"),
        (lambda: archive.add_endpoint("f", model, jax2tf_kwargs={}), "they are for TensorFlow"),
        (lambda: archive.track(3), "`resource` must be a layer or model; got 'int'"),
        (lambda: archive.add_variable_collection("a", [3]), "all Variables; got 'int'"),
        (lambda: archive.write_out(tmp_path / "m.onnx"), "a path that ends in '.zip'"),
    ):
        with pytest.raises(ValueError) as raised:
            call()
        assert says in str(raised.value)


def test_what_assigns_is_warned_of(tmp_path):
    count = keras.Variable(0.0, name="count")

    def counted(x):
        count.assign_add(1.0)
        return x + count

    archive = keras.export.ExportArchive()
    with pytest.warns(UserWarning, match=r"endpoint 'f': the program assigns to \['count'\]"):
        archive.add_endpoint("f", counted, [keras.Input((2,), name="x")])
    assert float(count) == 0


def test_sizes_that_decide_are_named():
    archive = keras.export.ExportArchive()

    def halves(x):
        return x[: x.shape[0] // 2] if x.shape[0] > 4 else x

    with pytest.raises(ValueError, match="endpoint 'f': the program depends on a size that varies"):
        archive.add_endpoint("f", halves, [keras.Input((2,), name="x")])


@pytest.mark.parametrize("name", ["TFSMLayer", "TorchModuleWrapper"])
def test_layers_of_other_frameworks_say_what_to_do(name):
    with pytest.raises(NotImplementedError, match="backend"):
        getattr(layers, name)("something")
