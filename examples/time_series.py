"""Forecast a time series a day ahead, with the range that the truth will probably be in.

Shows: `timeseries_dataset_from_array` on a series split by time, `Normalization` adapted to the
training part alone, a GRU that forecasts 24 hours at once, quantiles by the pinball loss, a
learning rate that falls when validation stalls, and a comparison with the naive forecast any
model must beat.

    python examples/time_series.py
    python examples/time_series.py --days 2000 --epochs 30

Prints a line an epoch, the mean absolute error of the median and of "as a day ago" on the last
fifth of the series (about 1.7 and 2.1 degrees), and how often the truth lies within the 80%
range. The series is a made-up temperature with days, years and weather; replace `make_series` by
your own.
"""

import argparse

import numpy as np

import kerasish as keras
from kerasish import layers, ops

PAST, AHEAD = 48, 24  # hours
QUANTILES = (0.1, 0.5, 0.9)


def make_series(days, seed=0):
    """Hourly temperatures: a year, a day that is stronger in summer, and weather that drifts."""
    rng = np.random.default_rng(seed)
    hours = np.arange(24 * days)
    summer = -np.cos(2 * np.pi * hours / (24 * 365))
    day = -np.cos(2 * np.pi * (hours - 4) / 24) * (4 + 2 * summer)
    weather = np.zeros(len(hours))
    for i in range(1, len(hours)):
        weather[i] = 0.97 * weather[i - 1] + rng.normal(0, 0.6)
    series = 10 + 8 * summer + day + weather + rng.normal(0, 0.3, len(hours))
    return series.astype("float32")


def windows(series, **options):
    """The past 48 hours with the time of day, and the 24 hours that follow."""
    hours = np.arange(len(series)) * (2 * np.pi / 24)
    features = np.stack([series, np.sin(hours), np.cos(hours)], -1).astype("float32")
    count = len(series) - PAST - AHEAD + 1
    ahead = np.lib.stride_tricks.sliding_window_view(series[PAST:], AHEAD)[:count]
    return keras.utils.timeseries_dataset_from_array(
        features[: count + PAST - 1], ahead, PAST, batch_size=64, **options
    )


def pinball(y_true, y_pred):
    """Tilted absolute errors: each output is drawn to its own quantile."""
    error = y_true[..., None] - y_pred
    quantiles = np.array(QUANTILES, "float32")
    return ops.mean(ops.maximum(quantiles * error, (quantiles - 1) * error), axis=(1, 2))


def make_model(normalize):
    """A GRU over the past, and of each hour ahead three numbers."""
    inputs = keras.Input((PAST, 3))
    x = layers.GRU(32)(normalize(inputs))
    x = layers.Dense(64, activation="relu")(x)
    x = layers.Dense(AHEAD * len(QUANTILES))(x)
    change = layers.Reshape((AHEAD, len(QUANTILES)))(x)
    a_day_ago = inputs[:, -AHEAD:, :1]  # the network learns the difference from yesterday
    return keras.Model(inputs, a_day_ago + change, name="forecaster")


def main():
    """Train on the first 60%, choose by the next 20%, judge by the last 20%."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=400, help="length of the series")
    parser.add_argument("--epochs", type=int, default=8)
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    series = make_series(options.days)
    first, second = len(series) * 6 // 10, len(series) * 8 // 10
    training = windows(series[:first], shuffle=True, seed=0)
    validation, test = windows(series[first:second]), windows(series[second:])
    normalize = layers.Normalization()
    normalize.adapt(np.concatenate([x for x, _ in training]))

    model = make_model(normalize)
    model.compile(keras.optimizers.Adam(3e-3), pinball)
    slower = keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.3)
    stop = keras.callbacks.EarlyStopping(patience=5, restore_best_weights=True)
    model.fit(
        training,
        validation_data=validation,
        epochs=options.epochs,
        callbacks=[slower, stop],
        verbose=2,
    )

    low, median, high = np.moveaxis(model.predict(test, verbose=0), -1, 0)
    truth = np.concatenate([y for _, y in test])
    a_day_ago = np.concatenate([x[:, -AHEAD:, 0] for x, _ in test])
    inside = np.mean((low <= truth) & (truth <= high))
    print(f"Truth within the range meant to hold 80%: {inside:.0%}")
    print(f"Mean absolute error of 'as a day ago': {np.abs(truth - a_day_ago).mean():.2f} degrees")
    print(f"Mean absolute error of the forecast: {np.abs(truth - median).mean():.2f} degrees")


if __name__ == "__main__":
    main()
