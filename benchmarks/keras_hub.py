"""KerasHub on kerasish and on Keras 3 with JAX: `python -m benchmarks.keras_hub`.

A GPT-2 that is trained by steps, and that generates with its cache; each in processes of its own,
the two taking turns. Seconds of the processor are of all threads; the least of all rounds counts.
Needs KerasHub, which comes without TensorFlow so (a folder named by `--packages` will do):

    pip install --no-deps keras-hub regex tokenizers kagglehub kagglesdk protobuf tqdm requests \\
        urllib3 idna certifi charset-normalizer grain array-record cloudpickle etils portpicker \\
        psutil importlib-resources zipp fsspec
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

PROGRAM = """
import json, sys, time
import keras, keras_hub
import numpy as np

width, layers, batch, length, new = map(int, sys.argv[1:])
keras.utils.set_random_seed(0)
backbone = keras_hub.models.GPT2Backbone(
    vocabulary_size=1000, num_layers=layers, num_heads=4, hidden_dim=width,
    intermediate_dim=4 * width, max_sequence_length=length,
)
model = keras_hub.models.GPT2CausalLM(backbone, preprocessor=None)
loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
model.compile(keras.optimizers.Adam(1e-3), loss, sampler="greedy")
ids = np.random.default_rng(0).integers(1, 1000, (8 * batch, length))
x = {"token_ids": ids, "padding_mask": np.ones_like(ids)}
given = np.broadcast_to(np.arange(length) < length - new, (batch, length))
prompt = {"token_ids": ids[:batch] * given, "padding_mask": given.astype("int32")}
found = {}
for name, run, count in (
    ("step", lambda: model.fit(x, ids, batch_size=batch, verbose=0), 8),
    ("generated token", lambda: model.generate(prompt, stop_token_ids=None), new),
):
    clock, processor = [], []
    for _ in range(6):
        began, used = time.perf_counter(), time.process_time()
        run()
        clock.append(time.perf_counter() - began)
        processor.append(time.process_time() - used)
    found[f"{name}, compile, processor"] = processor[0]
    found[f"{name}, processor"] = min(processor[1:]) / count
    found[name] = min(clock[1:]) / count
print(json.dumps(found))
"""


def run(start, options):
    """The figures of one process."""
    paths = [*filter(None, [options.packages]), str(pathlib.Path(__file__).parents[1])]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "KERASISH_COMPILATION_CACHE": "0"}
    environment["PYTHONPATH"] = os.pathsep.join([*paths, os.environ.get("PYTHONPATH", "")])
    sizes = (options.width, options.layers, options.batch, options.length, options.new)
    program = f"{start}\n{PROGRAM}"
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, sizes)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Print a line a figure: kerasish's, Keras', and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.keras_hub")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each (3)")
    parser.add_argument("--packages", help="a folder where KerasHub was installed by `--target`")
    for name, size in (("width", 128), ("layers", 4), ("batch", 8), ("length", 64), ("new", 32)):
        parser.add_argument(f"--{name}", type=int, default=size)
    options = parser.parse_args()
    starts = {"kerasish": "import kerasish.as_keras", "keras": ""}
    found = {name: [] for name in starts}
    for turn in range(options.rounds):
        for name in list(starts)[:: 1 if turn % 2 == 0 else -1]:
            found[name].append(run(starts[name], options))
    for figure in found["keras"][0]:
        ours, theirs = (min(f[figure] for f in found[name]) for name in starts)
        print(f"{figure:36} {ours:9.4f} s {theirs:9.4f} s {ours / theirs:6.2f}x", flush=True)


if __name__ == "__main__":
    main()
