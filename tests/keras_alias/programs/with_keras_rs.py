"""keras-rs: layers, losses and metrics of recommender systems."""

import json
import tempfile

import keras
import keras_rs
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
x = rng.normal(size=(16, 8)).astype("float32")
model = keras.Sequential(
    [keras.Input((8,)), keras_rs.layers.FeatureCross(projection_dim=4), keras.layers.Dense(1)]
)
model.compile("adam", "mse")
found = {"loss": model.fit(x, x[:, :1], epochs=2, shuffle=False, verbose=0).history["loss"]}
path = f"{tempfile.mkdtemp()}/cross.keras"
model.save(path)
again = keras.models.load_model(path)
np.testing.assert_allclose(again.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5)
candidates = rng.normal(size=(30, 8)).astype("float32")
retrieval = keras_rs.layers.BruteForceRetrieval(candidates, k=5, return_scores=True)
scores, indices = retrieval(x)
found["dot"] = np.asarray(keras_rs.layers.DotInteraction()([x, 2 * x, x + 1]))[0].tolist()
found["retrieved"] = [np.asarray(scores)[0].tolist(), np.asarray(indices)[0].tolist()]
labels = rng.integers(0, 2, size=(4, 6)).astype("float32")
predictions = rng.normal(size=(4, 6)).astype("float32")
for loss in (keras_rs.losses.PairwiseHingeLoss(), keras_rs.losses.ListMLELoss()):
    found[loss.name] = float(loss(labels, predictions))
for name in ("NDCG", "MeanReciprocalRank", "PrecisionAtK"):
    metric = getattr(keras_rs.metrics, name)(k=3)
    metric.update_state(labels, predictions)
    found[name] = float(metric.result())
table = keras_rs.layers.TableConfig("table", 20, 8, placement="default_device")
feature = keras_rs.layers.FeatureConfig("feature", table, input_shape=(4, 3), output_shape=(4, 8))
embedding = keras_rs.layers.DistributedEmbedding(feature)
found["embedded"] = list(embedding(rng.integers(0, 20, (4, 3))).shape)
print(json.dumps(found))
