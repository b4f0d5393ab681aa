"""Image models of `applications` beside Keras': building, extracting features, a training step.

    python -m benchmarks.applications build --rounds 3
    python -m benchmarks.applications features step --models ResNet50 EfficientNetB0
    python -m benchmarks.applications step --torch-python /path/to/python  # torchvision too

Each figure comes from processes of their own, the frameworks taking turns; what is printed are the
least seconds of all rounds, and kerasish's as a multiple of each other's. Those of the processor
are of all threads, and hold on a machine that does something else too. Nothing compiled is kept
from one process to the next.
"""

import argparse
import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import jax
import numpy as np

FRAMEWORKS = ("kerasish", "keras")
TORCHVISION = ("ResNet50", "MobileNetV3Small", "MobileNetV3Large", "EfficientNetB0")
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


def timed(what, run):
    """The first epoch, and a batch of the later ones, in seconds of clock and processor."""
    clock, processor = [], []
    for _ in range(EPOCHS):
        start, used = time.perf_counter(), time.process_time()
        run()
        clock.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
    return {
        f"compile {what}, processor": processor[0],
        f"compile {what}": clock[0],
        f"{what}, processor": min(processor[1:]) / BATCHES,
        what: statistics.median(clock[1:]) / BATCHES,
    }


def features(keras, name):
    """Seconds of `predict` for a batch, by a model without its classifier."""
    make = getattr(keras.applications, name)
    model = make(weights=None, include_top=False, pooling="avg", input_shape=(SIZE, SIZE, 3))
    x = images(BATCH * BATCHES)
    return timed("features", lambda: model.predict(x, batch_size=BATCH, verbose=0))


def step(keras, name):
    """Seconds of a step of `fit`, and of the first epoch, compilation included."""
    make = getattr(keras.applications, name)
    model = make(weights=None, classes=CLASSES, input_shape=(SIZE, SIZE, 3))
    model.compile("adam", "sparse_categorical_crossentropy")
    x = images(BATCH * BATCHES)
    y = np.arange(len(x)) % CLASSES
    return timed("step", lambda: model.fit(x, y, batch_size=BATCH, verbose=0))


MEASURES = {"build": build, "features": features, "step": step}


def run(framework, measure, model, python):
    """The figures of one process."""
    if framework == "torchvision":
        program = str(pathlib.Path(__file__).with_name("applications_torch.py"))
        sizes = map(str, (SIZE, BATCH, BATCHES, CLASSES, EPOCHS))
        command = [python, program, measure, model, *sizes]
    else:
        command = [python, "-m", "benchmarks.applications", measure, "--models", model]
        command += ["--run", framework]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "KERASISH_COMPILATION_CACHE": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{framework} failed on {model}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def compare(measure, model, rounds, pythons):
    """Print the least of each figure, and what multiple of the others' kerasish's is."""
    found = {framework: [] for framework in pythons}
    for turn in range(rounds):
        for framework in list(pythons)[:: 1 if turn % 2 == 0 else -1]:
            found[framework].append(run(framework, measure, model, pythons[framework]))
    for figure in found["keras"][0]:
        least = {name: min(f[figure] for f in figures) for name, figures in found.items()}
        ours = least.pop("kerasish")
        others = "".join(f"  {n} {s:8.3f} s {ours / s:5.2f}x" for n, s in least.items())
        print(f"{model:18} {figure:28} {ours:8.3f} s{others}", flush=True)


def main():
    """Measure in this process, if told so; else in others, and print a line a figure."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.applications", description=__doc__)
    parser.add_argument("measures", nargs="+", choices=MEASURES)
    parser.add_argument("--models", nargs="+")
    parser.add_argument("--rounds", type=int, default=3, help="processes a framework and model")
    parser.add_argument("--run", choices=FRAMEWORKS, help="measure this one, in this process")
    parser.add_argument("--torch-python", help="an interpreter that has torch and torchvision")
    options = parser.parse_args()
    if options.run:
        keras = importlib.import_module(options.run)
        print(json.dumps(MEASURES[options.measures[0]](keras, options.models[0])))
        return
    names = importlib.import_module("kerasish").applications.__all__
    builders = [name for name in names if name[0].isupper()]
    for measure in options.measures:
        for model in options.models or (builders if measure == "build" else CHOSEN):
            pythons = dict.fromkeys(FRAMEWORKS, sys.executable)
            if options.torch_python and model in TORCHVISION:
                pythons["torchvision"] = options.torch_python
            compare(measure, model, options.rounds, pythons)


if __name__ == "__main__":
    main()
