"""Models that take strings, through files to Keras 3 on TensorFlow and back."""

import json
import os
import pathlib
import subprocess
import venv

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

PROGRAM = pathlib.Path(__file__).parent / "programs" / "strings_in_keras.py"
TEXTS = ["a good film", "A bad film!", "so good, so long", "very bad indeed"]
TABLE = {
    "city": ["Oslo", "Rome", "Oslo", "Bern"],
    "code": ["x1", "x2", "x3", "x1"],
    "age": [20.0, 30.0, 40.0, 50.0],
}
LABELS = np.array([1.0, 0.0, 1.0, 0.0])


def text_model(mode):
    words = layers.TextVectorization(
        output_mode=mode, output_sequence_length=4 if mode == "int" else None
    )
    words.adapt(TEXTS)
    body = [layers.Embedding(20, 3), layers.GlobalAveragePooling1D()] if mode == "int" else []
    return keras.Sequential([keras.Input((1,), dtype="string"), words, *body, layers.Dense(1)])


def table_model():
    kinds = {"city": "string_categorical", "code": "string_hashed", "age": "float_normalized"}
    space = keras.utils.FeatureSpace(kinds, crosses=[("city", "code")], crossing_dim=7)
    space.adapt(TABLE)
    outputs = layers.Dense(1)(space.get_encoded_features())
    return keras.Model(space.get_inputs(), outputs)


def inputs_of(name):
    if "table" not in name:
        return np.array(TEXTS, object)
    return {key: np.array(column)[:, None] for key, column in TABLE.items()}


@pytest.mark.slow
def test_keras_reads_what_is_written_here_and_the_reverse(tmp_path):
    makers = {mode: lambda mode=mode: text_model(mode) for mode in ("int", "count", "tf_idf")}
    wanted = {}
    for name, make in {**makers, "table": table_model}.items():
        model = make()
        model.compile("adam", "mse")
        model.fit(inputs_of(name), LABELS, epochs=2, verbose=0)
        model.save(tmp_path / f"ours-{name}.keras")
        wanted[f"ours-{name}"] = model.predict(inputs_of(name), verbose=0)
    (tmp_path / "data.json").write_text(json.dumps({"texts": TEXTS, "table": TABLE}))
    python = os.environ.get("KERASISH_TENSORFLOW_PYTHON") or with_tensorflow(tmp_path / "venv")
    subprocess.run([python, str(PROGRAM), str(tmp_path)], check=True, capture_output=True)
    found = json.loads((tmp_path / "found.json").read_text())
    for name, outputs in found.items():
        if name not in wanted:
            model = keras.models.load_model(tmp_path / f"{name}.keras")
            wanted[name] = model.predict(inputs_of(name), verbose=0)
        np.testing.assert_allclose(outputs, wanted[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert len(found) == 9


def with_tensorflow(folder):
    """The Python of a new environment that has Keras 3 and TensorFlow."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    packages = ["keras==3.15.*", "tensorflow"]
    subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
    return str(python)
