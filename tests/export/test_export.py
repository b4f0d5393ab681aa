"""Exported models run with JAX alone, on any batch, and say what they need."""

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
    with pytest.raises(ValueError, match=r"`filepath` must be a path that ends in '.zip'"):
        model.export(tmp_path / "model.onnx")
    with pytest.raises(ValueError, match="`format` must be 'stablehlo'"):
        model.export(tmp_path / "model.zip", format="tf_saved_model")
    with pytest.raises(ValueError, match="`input_signature` must be given for this model"):
        Own().export(tmp_path / "model.zip")
    model.export(tmp_path / "model.zip")
    loaded = keras.export.load(tmp_path / "model.zip")
    with pytest.raises(ValueError, match=r"Input 'x' must have shape \[None, 4\]; got \(2, 3\)"):
        loaded(np.ones((2, 3)))
    with pytest.raises(TypeError, match=r"The model's inputs are \['x'\]"):
        loaded(y=np.ones((2, 4)))
