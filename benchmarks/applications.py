"""Image models of `applications` beside Keras': building, extracting features, a training step.

    python -m benchmarks.applications build --rounds 3
    python -m benchmarks.applications features step --models ResNet50 EfficientNetB0

Each figure comes from processes of their own, the frameworks taking turns; what is printed are the
least seconds of all rounds and their ratio. Nothing compiled is kept from one process to the next.
"""

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time

import jax
import numpy as np

FRAMEWORKS = ("kerasish", "keras")
CHOSEN = ("ResNet50", "MobileNetV3Small", "EfficientNetB0")  # whose features and step are measured
SIZE, BATCH, BATCHES, CLASSES = 96, 16, 4, 10
EPOCHS = 5  # the first of which compiles


def build(keras, name):
    """Seconds of the processor until a model with random weights is there, and those of the clock.

    The first are of use on a machine that does something else too.
    """
    clock, processor = time.perf_counter(), time.process_time()
    model = getattr(keras.applications, name)(weights=None)
    jax.block_until_ready([variable.value for variable in model.weights])
    return {
        "build, processor": time.process_time() - processor,
        "build": time.perf_counter() - clock,
    }


def images(count):
    """Images of noise: what is in them takes no more or less time."""
    return np.random.default_rng(0).uniform(0, 255, (count, SIZE, SIZE, 3)).astype("float32")


def features(keras, name):
    """Seconds of `predict` for a batch, by a model without its classifier."""
    make = getattr(keras.applications, name)
    model = make(weights=None, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3))
    x, times = images(BATCH * BATCHES), []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        model.predict(x, batch_size=BATCH, verbose=0)
        times.append(time.perf_counter() - start)
    return {"compile features": times[0], "features": statistics.median(times[1:]) / BATCHES}


def step(keras, name):
    """Seconds of a step of `fit`, and of the first epoch, compilation included."""
    make = getattr(keras.applications, name)
    model = make(weights=None, classes=CLASSES, input_shape=(SIZE, SIZE, 3))
    model.compile("adam", "sparse_categorical_crossentropy")
    x = images(BATCH * BATCHES)
    y, times = np.arange(len(x)) % CLASSES, []
    for _ in range(EPOCHS):
        start = time.perf_counter()
        model.fit(x, y, batch_size=BATCH, verbose=0)
        times.append(time.perf_counter() - start)
    return {"compile step": times[0], "step": statistics.median(times[1:]) / BATCHES}


MEASURES = {"build": build, "features": features, "step": step}


def run(framework, measure, model):
    """The figures of one process."""
    command = [sys.executable, "-m", "benchmarks.applications", measure, "--models", model]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "KERASISH_COMPILATION_CACHE": "0"}
    command += ["--run", framework]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{framework} failed on {model}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(measure, model, rounds):
    """Print the least of each figure, and how much of Keras' that is."""
    found = {framework: [] for framework in FRAMEWORKS}
    for turn in range(rounds):
        for framework in FRAMEWORKS if turn % 2 == 0 else FRAMEWORKS[::-1]:
            found[framework].append(run(framework, measure, model))
    for figure in found["keras"][0]:
        ours, theirs = (min(f[figure] for f in found[framework]) for framework in FRAMEWORKS)
        print(
            f"{model:20} {figure:18} {ours:9.3f} s {theirs:9.3f} s {ours / theirs:6.2f}x",
            flush=True,
        )


def main():
    """Measure in this process, if told so; else in others, and print a line a figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.applications", description=__doc__)
    parser.add_argument("measures", nargs="+", choices=MEASURES)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--rounds", type=int, default=3, help="processes a framework and model")
    parser.add_argument("--run", choices=FRAMEWORKS, help="measure this one, in this process")
    options = parser.parse_args()
    if options.run:
        keras = importlib.import_module(options.run)
        print(json.dumps(MEASURES[options.measures[0]](keras, options.models[0])))
        return
    names = importlib.import_module("kerasish").applications.__all__
    builders = [name for name in names if name[0].isupper()]
    for measure in options.measures:
        for model in options.models or (builders if measure == "build" else CHOSEN):
            compare(measure, model, options.rounds)


if __name__ == "__main__":
    main()
