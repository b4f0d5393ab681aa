"""minGRU: a recurrent classifier fitted, saved as weights, and loaded."""

import json
import tempfile

import keras
import mingru_keras
import numpy as np

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(32, 10, 3)).astype("float32")
y = (x.sum((1, 2)) > 0).astype("int32")


def make():
    inputs = keras.Input((10, 3))
    h = keras.layers.GlobalAveragePooling1D()(mingru_keras.MinGRU(6)(inputs))
    return keras.Model(inputs, keras.layers.Dense(2)(h))


model = make()
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(1e-2), loss)
found = {"loss": model.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"]}
path = f"{tempfile.mkdtemp()}/m.weights.h5"
model.save_weights(path)
again = make()
again.load_weights(path)
np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)
found["outputs"] = model.predict(x[:3], verbose=0).tolist()
print(json.dumps(found))
