"""One accelerator: kerasish beside Keras, Flax and a hand-written step; precision, memory, remat.

    python -m benchmarks.accelerator                     # on a GPU or TPU, about ten minutes
    python -m benchmarks.accelerator --size small        # a smoke run, on a CPU too

The same models on the same data, Adam, cross-entropy. Each run has a process of its own, prints its
row as it ends, and is kept in a file, from which a run that was broken off goes on (`--fresh`
begins anew). Memory is the device's own count of the most bytes in use; on a CPU, the process's.
"""

import argparse
import importlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks.accelerator_cases import CASES, CLASSES, HEADS, VOCABULARY, make_data
from benchmarks.measure import peak_memory

FRAMEWORKS = ("kerasish", "keras", "flax", "hand")
PRECISIONS = ("float32", "mixed_bfloat16")
ROWS = {
    "until the first epoch": (1e3, "ms"),
    "step": (1e3, "ms"),
    "predict a batch": (1e3, "ms"),
    "peak memory": (1e-6, "MB"),
}


# -- Keras programs


def keras_model(keras, case):
    """The model as a Keras program; remat and precision are set outside."""
    layers = keras.layers

    def normed(x, filters, size=3, strides=1, relu=True):
        x = layers.Conv2D(filters, size, strides, "same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        return layers.ReLU()(x) if relu else x

    if case.kind == "mlp":
        x = inputs = keras.Input((case.extent,))
        for _ in range(case.depth):
            x = layers.Dense(case.width, activation="relu")(x)
        return keras.Model(inputs, layers.Dense(CLASSES, dtype="float32")(x))
    if case.kind == "residual":
        inputs = keras.Input((case.extent, case.extent, 3))
        x = normed(inputs, case.width)
        for stage in range(3):
            for block in range(case.depth):
                filters, strides = case.width * 2**stage, 2 if stage and not block else 1
                y = normed(normed(x, filters, 3, strides), filters, relu=False)
                if strides == 2:
                    x = normed(x, filters, 1, 2, relu=False)
                x = layers.ReLU()(layers.Add()([x, y]))
        x = layers.GlobalAveragePooling2D()(x)
        return keras.Model(inputs, layers.Dense(CLASSES, dtype="float32")(x))
    x = inputs = keras.Input((case.extent,), dtype="int32")
    x = layers.Embedding(VOCABULARY, case.width)(x)
    for _ in range(case.depth):
        y = layers.LayerNormalization()(x)
        attention = layers.MultiHeadAttention(HEADS, case.width // HEADS)
        x = layers.Add()([x, attention(y, y, use_causal_mask=True)])
        y = layers.LayerNormalization()(x)
        y = layers.Dense(4 * case.width, activation="gelu")(y)
        x = layers.Add()([x, layers.Dense(case.width)(y)])
    return keras.Model(inputs, layers.Dense(VOCABULARY, dtype="float32")(x))


def keras_program(framework, case, precision, remat):
    """Training by `fit`, prediction by `predict_on_batch`."""
    keras = importlib.import_module(framework)
    keras.config.set_dtype_policy(precision)
    with keras.RematScope(mode="full" if remat else None):
        model = keras_model(keras, case)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)

    def train(x, y, tick, epochs):
        class Ticks(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                float(logs["loss"])
                tick()

        ticks = [Ticks()]
        model.fit(x, y, batch_size=case.batch, epochs=epochs, verbose=0, callbacks=ticks)

    return train, model.predict_on_batch


# -- measuring


def measure(options):
    """Run one program in this process and print its figures as a line of JSON."""
    case = CASES[options.size][options.models[0]]
    x, y = make_data(case)
    began = time.perf_counter()
    what = case, options.precisions[0], options.remat == ["yes"]
    if options.inside in ("kerasish", "keras"):
        train, predict = keras_program(options.inside, *what)
    else:
        module = importlib.import_module(f"benchmarks.accelerator_{options.inside}")
        train, predict = module.program(*what)
    times = [time.perf_counter()]
    train(x, y, lambda: times.append(time.perf_counter()), 2 + options.epochs)
    lengths = np.diff(times)[2:]
    calls = []
    for _ in range(12):
        start = time.perf_counter()
        predict(x[: case.batch])
        calls.append(time.perf_counter() - start)
    import jax  # noqa: PLC0415

    device = jax.devices()[0]
    stats = device.memory_stats() or {}
    figures = {
        "until the first epoch": times[1] - began,
        "step": statistics.median(lengths) / case.steps,
        "predict a batch": statistics.median(calls[2:]),
        "peak memory": stats.get("peak_bytes_in_use") or peak_memory(),
        "device": device.device_kind,
    }
    print(json.dumps(figures))


def run(options, framework, model, precision, remat):
    """The figures of one process, or `{"failed": why}`."""
    command = [sys.executable, "-m", "benchmarks.accelerator", "--inside", framework]
    command += ["--size", options.size, "--models", model, "--precisions", precision]
    command += ["--remat", remat, "--epochs", str(options.epochs)]
    with tempfile.TemporaryDirectory() as cache:
        environment = {"KERAS_BACKEND": "jax", "KERASISH_COMPILATION_CACHE": cache}
        environment["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        environment = {**os.environ, **environment}
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False,
                timeout=options.limit,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return {"failed": f"over {options.limit:g} s"}
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        return {"failed": lines[-1] if lines else f"exit {done.returncode}", "stderr": done.stderr}
    return json.loads(done.stdout.splitlines()[-1])


def main():
    """Measure every combination that is asked for and not in the file yet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accelerator")
    parser.add_argument("--size", default="full", choices=CASES)
    parser.add_argument("--models", nargs="+", metavar="MODEL")
    parser.add_argument("--frameworks", nargs="+", default=FRAMEWORKS, choices=FRAMEWORKS)
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--remat", nargs="+", default=["no", "yes"], choices=("no", "yes"))
    parser.add_argument("--epochs", type=int, default=3, help="epochs measured once warm")
    parser.add_argument("--limit", type=float, default=150.0, help="seconds a process may take")
    parser.add_argument("--fresh", action="store_true", help="measure again what is in the file")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/accelerator.json"))
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        measure(options)
        return
    results = {}
    if options.out.exists() and not options.fresh:
        results = json.loads(options.out.read_text())
    options.out.parent.mkdir(parents=True, exist_ok=True)
    print(f"| {options.size} | {' | '.join(options.frameworks)} |")
    print(f"|---|{'---:|' * len(options.frameworks)}", flush=True)
    for model in options.models or CASES[options.size]:
        for remat in options.remat:
            if remat == "yes" and model.startswith("mlp"):
                continue  # it keeps next to nothing
            for precision in options.precisions:
                key = f"{options.size}, {model}, {precision}{', remat' * (remat == 'yes')}"
                found = results.setdefault(key, {})
                for framework in options.frameworks:
                    if "step" not in found.get(framework, {}):
                        found[framework] = run(options, framework, model, precision, remat)
                        options.out.write_text(json.dumps(results, indent=1))
                show(key, found, options.frameworks)


def show(key, found, frameworks):
    """Print the rows of one combination, with ratios to the first framework's figures."""
    first = found[frameworks[0]]
    for name, (scale, unit) in ROWS.items():
        cells = []
        for framework in frameworks:
            value = found[framework].get(name)
            text = "failed" if value is None else f"{value * scale:,.{2 if scale > 1 else 0}f}"
            if value is not None and framework != frameworks[0] and name in first:
                text += f" ({value / first[name]:.2f}x)"
            cells.append(text)
        print(f"| {key}: {name}, {unit} | {' | '.join(cells)} |", flush=True)
    for framework in frameworks:
        if "failed" in found[framework]:
            print(f"  {framework}: {found[framework]['failed']}", flush=True)


if __name__ == "__main__":
    main()
