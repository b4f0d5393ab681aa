"""Keras 3 on TensorFlow: reads models that take strings, and writes some, with what they predict.

python strings_in_keras.py folder
"""

import json
import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import numpy as np
import tensorflow as tf
from keras import layers

folder = pathlib.Path(sys.argv[1])
data = json.loads((folder / "data.json").read_text())
texts = tf.constant(data["texts"])[:, None]
table = {name: tf.constant(column)[:, None] for name, column in data["table"].items()}


def classifier(mode):
    """A classifier of texts."""
    words = layers.TextVectorization(
        output_mode=mode, output_sequence_length=4 if mode == "int" else None
    )
    words.adapt(data["texts"])
    body = [layers.Embedding(20, 3), layers.GlobalAveragePooling1D()] if mode == "int" else []
    return keras.Sequential([keras.Input((1,), dtype="string"), words, *body, layers.Dense(1)])


def regression():
    """A model of a table, its columns prepared by a feature space."""
    space = keras.utils.FeatureSpace(
        {"city": "string_categorical", "code": "string_hashed", "age": "float_normalized"},
        crosses=[("city", "code")],
        crossing_dim=7,
    )
    space.adapt(tf.data.Dataset.from_tensor_slices(data["table"]))
    outputs = layers.Dense(1)(space.get_encoded_features())
    return keras.Model(space.get_inputs(), outputs)


def predictions(model, x):
    """What a model predicts."""
    return np.asarray(model(x)).tolist()


found = {}
for path in sorted(folder.glob("ours-*.keras")):
    model = keras.models.load_model(path)
    found[path.stem] = predictions(model, table if "table" in path.stem else texts)
for mode in ("int", "multi_hot", "count", "tf_idf"):
    model = classifier(mode)
    model.save(folder / f"keras-{mode}.keras")
    found[f"keras-{mode}"] = predictions(model, texts)
model = regression()
model.save(folder / "keras-table.keras")
found["keras-table"] = predictions(model, table)
(folder / "found.json").write_text(json.dumps(found))
