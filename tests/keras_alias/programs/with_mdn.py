"""keras-mdn-layer: a mixture density network trained, saved, loaded and sampled."""

import json
import tempfile

import keras
import keras_mdn_layer as mdn
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x = rng.normal(size=(256, 1)).astype("float32")
y = (2 * x + 0.1 * rng.normal(size=x.shape)).astype("float32")
layers = [keras.layers.Dense(16, activation="relu"), mdn.MDN(1, 3)]
model = keras.Sequential([keras.Input((1,)), *layers])
loss = mdn.get_mixture_loss_func(1, 3)
model.compile(loss=loss, optimizer=keras.optimizers.Adam(0.01))
history = model.fit(x, y, epochs=5, shuffle=False, verbose=0).history
path = f"{tempfile.mkdtemp()}/mdn.keras"
model.save(path)
known = {"MDN": mdn.MDN, "mdn_loss_func": loss}
again = keras.models.load_model(path, custom_objects=known)
outputs = again.predict(x, verbose=0)
np.testing.assert_allclose(outputs, model.predict(x, verbose=0), rtol=1e-5)
sample = np.apply_along_axis(mdn.sample_from_output, 1, outputs[:5], 1, 3, temp=1.0)
print(json.dumps({"loss": history["loss"], "shape": list(sample.shape)}))
