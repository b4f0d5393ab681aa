"""Twenty hidden layers of 100 units, trained in six ways, and a table that compares them.

CIFAR-10 is downloaded at the first run (170 MB) and kept. Without a network, `--data digits` takes
the 8 x 8 digits that come with scikit-learn, and `--data random` images made on the spot.

    python examples/cifar10_deep.py
    python examples/cifar10_deep.py --data digits --epochs 20
    python examples/cifar10_deep.py --ways elu onecycle --hidden 30 --out out/deep30
"""

import argparse
import json
import pathlib
import time

import numpy as np
from matplotlib.figure import Figure

import kerasish as keras
from kerasish import callbacks, layers, optimizers
from kerasish.diagnostics import check_self_normalizing, uncertainty_report

SAMPLES = 100  # of Monte Carlo dropout


def load_data(name, samples):
    """Rows of standardised numbers and class numbers: training, validation and test set."""
    if name == "random":
        rng = np.random.default_rng(0)
        means = rng.normal(size=(10, 32, 32, 3))
        y = rng.integers(0, 10, 6000)
        x = means[y] + 4 * rng.normal(size=(6000, 32, 32, 3))
        train, test = (x[:5000], y[:5000]), (x[5000:], y[5000:])
    else:
        train, test = getattr(keras.datasets, name).load_data()
    (x, y), (x_test, y_test) = (
        (a.reshape(len(a), -1).astype("float32"), b.ravel().astype("int32"))
        for a, b in (train, test)
    )
    x, y = x[:samples], y[:samples]
    mean, std = x.mean(0), x.std(0) + 1e-3 * x.std()
    x, x_test = (x - mean) / std, (x_test - mean) / std
    held_out = len(x) // 10
    return (x[held_out:], y[held_out:]), (x[:held_out], y[:held_out]), (x_test, y_test)


def make_model(features, hidden, way):
    """The network of one way: a stack of dense layers with ten outputs."""
    selu = way in ("selu", "alpha_dropout")
    activation, start = ("selu", "lecun_normal") if selu else ("elu", "he_normal")
    model = keras.Sequential([keras.Input((features,))], name=way)
    for _ in range(hidden):
        if way in ("batch_norm", "onecycle"):
            model.add(layers.Dense(100, kernel_initializer=start, use_bias=False))
            model.add(layers.BatchNormalization())
            model.add(layers.Activation(activation))
        else:
            model.add(layers.Dense(100, activation, kernel_initializer=start))
    if way == "alpha_dropout":
        model.add(layers.AlphaDropout(0.1))
    model.add(layers.Dense(10, "softmax"))
    return model


def make_optimizer(way):
    """Nadam, and for 1cycle SGD with momentum."""
    return optimizers.SGD(momentum=0.9, nesterov=True) if way == "onecycle" else optimizers.Nadam()


class Stopwatch(callbacks.Callback):
    """Notes the seconds of each epoch; the first one's, which compiles, do not count."""

    def on_train_begin(self, logs=None):
        self.ends = []

    def on_epoch_end(self, epoch, logs=None):
        self.ends.append(time.perf_counter())

    def median(self):
        return float(np.median(np.diff(self.ends))) if len(self.ends) > 1 else float("nan")


def train(way, data, options):
    """Find a rate, train, evaluate; returns the model, its history and a row of the table."""
    (x, y), validation, (x_test, y_test) = data
    keras.utils.set_random_seed(options.seed)
    model = make_model(x.shape[1], options.hidden, way)
    model.compile(make_optimizer(way), "sparse_categorical_crossentropy", metrics=["accuracy"])
    if way in ("selu", "alpha_dropout"):
        check_self_normalizing(model, x)
    curve = model.find_learning_rate(x, y, batch_size=options.batch, start=1e-5)
    model.optimizer.learning_rate = curve.suggestion
    watch = [callbacks.EarlyStopping(patience=options.patience, restore_best_weights=True)]
    if way == "onecycle":
        # A cycle is made to be run to its end; its top may lie nearer to where training fails.
        watch = [callbacks.OneCycle(curve.lowest / 3)]
    clock = Stopwatch()
    history = model.fit(
        x, y, options.batch, options.epochs, 2, [*watch, clock], validation_data=validation
    )
    report = uncertainty_report(model.predict(x_test, verbose=0), y_test)
    losses = history.history["val_loss"]
    row = {
        "way": way,
        "rate": curve.suggestion,
        "epochs": len(losses),
        "best epoch": int(np.argmin(losses)) + 1,
        "seconds an epoch": clock.median(),
        "test accuracy": report.accuracy,
        "calibration error": report.calibration_error,
    }
    return model, history, row


def monte_carlo(model, row, data):
    """A row of the table for the same weights, asked with dropout on."""
    x_test, y_test = data[2]
    start = time.perf_counter()
    prediction = model.predict(x_test, verbose=0, mc_samples=SAMPLES, mc_seed=0, mc_keep=True)
    report = uncertainty_report(prediction, y_test)
    print(
        f"{SAMPLES} samples of all test images took {time.perf_counter() - start:.2f} s: {report}"
    )
    scores = {"test accuracy": report.accuracy, "calibration error": report.calibration_error}
    return {**row, "way": "mc_dropout", **scores}, report


def draw_curves(histories, path):
    """Loss and accuracy on the validation set, all ways side by side."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    for axis, name in zip(figure.subplots(1, 2), ("val_loss", "val_accuracy"), strict=True):
        for way, history in histories.items():
            values = history.history[name]
            axis.plot(range(1, len(values) + 1), values, label=way)
        axis.set(xlabel="epoch", title=name)
        axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=120)


def print_table(rows):
    """The rows, as text."""
    names = list(rows[0])
    cells = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    for line in (names, *cells):
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


WAYS = ("elu", "batch_norm", "selu", "alpha_dropout", "onecycle")


def main():
    """Train in the ways asked for; draw and write what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", choices=("cifar10", "digits", "random"), default="cifar10")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--hidden", type=int, default=20, help="number of hidden layers")
    parser.add_argument("--epochs", type=int, default=100, help="most passes over the training set")
    parser.add_argument("--patience", type=int, default=10, help="epochs without a better loss")
    parser.add_argument("--batch", type=int, default=128, help="images in a batch")
    parser.add_argument("--samples", type=int, help="images to train on; all if not given")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/cifar10_deep"))
    parser.add_argument("--seed", type=int, default=0, help="fixes weights, dropout and order")
    options = parser.parse_args()
    data = load_data(options.data, options.samples)
    print(f"{len(data[0][0]):,} images to train on, {len(data[2][0]):,} to test on.")
    options.out.mkdir(parents=True, exist_ok=True)
    rows, histories = [], {}
    for way in options.ways:
        print(f"\n{way}")
        model, histories[way], row = train(way, data, options)
        rows.append(row)
        if way == "alpha_dropout":
            row, report = monte_carlo(model, row, data)
            rows.append(row)
            report.plot(options.out / "reliability.png")
    print()
    print_table(rows)
    draw_curves(histories, options.out / "curves.png")
    (options.out / "table.json").write_text(json.dumps(rows, indent=1))
    print(f"\nCurves and table are in {options.out}.")


if __name__ == "__main__":
    main()
