"""Monte Carlo dropout: 100 samples at once, against a loop and against as many predictions.

python -m benchmarks.monte_carlo
"""

import json
import pathlib
import statistics
import time

import jax.numpy as jnp
import numpy as np

import kerasish as keras
from kerasish import layers
from kerasish.training import monte_carlo

SAMPLES, ROUNDS = 100, 7
# name: features, units of the hidden layers, rows asked about
MODELS = {
    "digits, 5 x 100": (64, [100] * 5, 32),
    "MNIST, 300-100": (784, [300, 100], 32),
    "MNIST, 300-100, one row": (784, [300, 100], 1),
    "deep, 20 x 100": (64, [100] * 20, 32),
    "wide, 3 x 1000": (784, [1000] * 3, 256),
}


def make_model(features, units):
    """Dense layers of ReLU, each with dropout after it."""
    stack = []
    for n in units:
        stack += [layers.Dense(n, "relu"), layers.Dropout(0.1)]
    return keras.Sequential([keras.Input((features,)), *stack, layers.Dense(10, "softmax")])


def milliseconds(run, rounds=ROUNDS):
    """Median time of a call, after two to warm up."""
    run(), run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(1e3 * (time.perf_counter() - start))
    return statistics.median(times)


def measure(features, units, rows):
    """Times and operations of the three ways to ask a model `SAMPLES` times."""
    keras.utils.set_random_seed(0)
    model = make_model(features, units)
    x = np.random.default_rng(0).normal(size=(rows, features)).astype("float32")
    many = np.tile(x, (SAMPLES, 1))

    def at_once():
        return model.predict(x, batch_size=rows, mc_samples=SAMPLES, verbose=0)

    def loop():
        return np.std([model(x, training=True) for _ in range(SAMPLES)], axis=0)

    plain = keras.jit(lambda x: model(x, training=False))
    row = {
        "mc_ms": milliseconds(at_once),
        "loop_ms": milliseconds(loop, rounds=3),
        "fused_predictions_ms": milliseconds(lambda: np.asarray(plain(many))),
    }
    # XLA counts a loop's body once, so the samples must not wait their turn in one.
    monte_carlo._BYTES, limit = 2**50, monte_carlo._BYTES
    step = model._compiled_steps[f"predict, {SAMPLES} samples"]
    sampled = keras.jit(step.body).lower((jnp.asarray(x),)).compile().cost_analysis()["flops"]
    predicted = plain.lower(many).compile().cost_analysis()["flops"]
    monte_carlo._BYTES = limit
    return {**row, "arithmetic": sampled / predicted}


def main():
    """Print a line for each model; keep all figures in `out/monte_carlo.json`."""
    print(f"{'':26}{'at once':>10}{'loop':>11}{'fused':>10}{'loop/once':>11}{'arithmetic':>12}")
    rows = {}
    for name, sizes in MODELS.items():
        row = rows[name] = measure(*sizes)
        print(
            f"{name:26}{row['mc_ms']:7.2f} ms{row['loop_ms']:8.1f} ms"
            f"{row['fused_predictions_ms']:7.2f} ms{row['loop_ms'] / row['mc_ms']:10.0f}x"
            f"{row['arithmetic']:11.2f}x"
        )
    path = pathlib.Path("out/monte_carlo.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
