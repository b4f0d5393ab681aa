"""KerasHub without TensorFlow: a Bert classifier fitted and saved, a GPT-2 that generates."""

import json
import tempfile

import keras
import keras_hub
import numpy as np

keras.utils.set_random_seed(0)
rng = np.random.default_rng(0)
sizes = {"vocabulary_size": 50, "num_layers": 2, "num_heads": 2, "hidden_dim": 16}
sizes |= {"intermediate_dim": 32, "max_sequence_length": 12}
ones = np.ones((8, 12), "int32")
x = {"token_ids": rng.integers(1, 50, (8, 12)), "segment_ids": 0 * ones, "padding_mask": ones}
bert = keras_hub.models.BertBackbone(**sizes)
classifier = keras_hub.models.BertTextClassifier(bert, num_classes=2, preprocessor=None)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
classifier.compile(keras.optimizers.Adam(1e-3), loss, metrics=["accuracy"])
found = {"bert": classifier.fit(x, np.arange(8) % 2, epochs=2, verbose=0).history["loss"]}
folder = tempfile.mkdtemp()
classifier.save(f"{folder}/bert.keras")
again = keras.models.load_model(f"{folder}/bert.keras")
before, after = (each.predict(x, verbose=0) for each in (classifier, again))
np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)
bert.save_to_preset(f"{folder}/preset")
preset = keras_hub.models.Backbone.from_preset(f"{folder}/preset")
outputs = [each(x)["pooled_output"] for each in (bert, preset)]
np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-5)
gpt = keras_hub.models.GPT2Backbone(**sizes)
speaker = keras_hub.models.GPT2CausalLM(gpt, preprocessor=None)
speaker.compile(sampler="greedy")
room = ((0, 0), (0, 8))
prompt = {
    "token_ids": np.pad(rng.integers(1, 50, (2, 4)), room),
    "padding_mask": np.pad(np.ones((2, 4), "int32"), room),
}
found["said"] = np.asarray(speaker.generate(prompt, stop_token_ids=None)["token_ids"]).tolist()
print(json.dumps(found))
