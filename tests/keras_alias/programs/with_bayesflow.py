"""BayesFlow: amortized inference trained online, saved, loaded and sampled."""

import json
import logging
import tempfile

import bayesflow as bf
import keras
import numpy as np

logging.disable(logging.INFO)
keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)


def prior():
    return {"theta": rng.normal(size=2)}


def likelihood(theta):
    return {"x": rng.normal(loc=theta, scale=0.3, size=(5, 2))}


simulator = bf.make_simulator([prior, likelihood])
workflow = bf.BasicWorkflow(
    simulator=simulator,
    inference_network=bf.networks.CouplingFlow(depth=2),
    summary_network=bf.networks.DeepSet(depth=1, summary_dim=4),
    inference_variables=["theta"],
    summary_variables=["x"],
)
options = {"epochs": 3, "num_batches_per_epoch": 20, "batch_size": 32, "verbose": 0}
losses = workflow.fit_online(**options).history["loss"]
assert losses[-1] < losses[0]
shown = simulator.sample(3)
samples = workflow.sample(num_samples=10, conditions=shown)
path = f"{tempfile.mkdtemp()}/flow.keras"
workflow.approximator.save(path)
again = keras.saving.load_model(path)
before, after = (each.log_prob(dict(shown)) for each in (workflow.approximator, again))
np.testing.assert_allclose(after, before, rtol=1e-4)
print(json.dumps({"shape": list(samples["theta"].shape), "learnt": True}))
