"""K3IM: a vision transformer for series, fitted and saved."""

import json
import tempfile

import keras
import numpy as np
from k3im.simple_vit_1d import SimpleViT1DModel

keras.utils.set_random_seed(0)
x = np.random.default_rng(0).normal(size=(16, 24, 3)).astype("float32")
y = np.arange(16) % 4
sizes = {"dim": 16, "depth": 2, "heads": 2, "mlp_dim": 32, "channels": 3, "dim_head": 8}
model = SimpleViT1DModel(seq_len=24, patch_size=4, num_classes=4, **sizes)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(1e-3), loss)
found = {"loss": model.fit(x, y, epochs=3, shuffle=False, verbose=0).history["loss"]}
path = f"{tempfile.mkdtemp()}/m.weights.h5"
model.save_weights(path)
again = SimpleViT1DModel(seq_len=24, patch_size=4, num_classes=4, **sizes)
again.load_weights(path)
np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-4)
found["weights"] = sorted([list(w.shape) for w in model.weights])
print(json.dumps(found))
