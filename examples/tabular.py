"""Learn from a table: strings, whole numbers, decimals and missing values.

Shows: `FeatureSpace` (normalized, discretized, crossed and categorical columns), missing values
as a category or as a column of their own, stopping by AUC, and a comparison with the best there
can be.

    python examples/tabular.py
    python examples/tabular.py --rows 50000 --epochs 30

Prints a line an epoch and the AUC on unseen rows, about 0.82, next to that of the rule the table
was made by, which no model can beat. Replace `make_table` by your own, for instance `{name:
column.to_numpy() for name, column in pandas.read_csv(path).items()}`.
"""

import argparse

import numpy as np

import kerasish as keras
from kerasish import layers

JOBS = ["nurse", "teacher", "driver", "engineer", "cook", "clerk"]
TOWNS = [f"town {i}" for i in range(12)]


def make_table(rows, seed=0):
    """Customers, whether each cancels, and the probability that each had of doing so."""
    rng = np.random.default_rng(seed)
    table = {
        "age": rng.integers(18, 80, rows),
        "income": np.exp(rng.normal(7.5, 0.5, rows)).astype("float32"),
        "months": rng.integers(0, 120, rows),
        "job": rng.choice(JOBS, rows),
        "town": rng.choice(TOWNS, rows),
        "contract": rng.choice(["monthly", "yearly"], rows, p=[0.6, 0.4]),
    }
    logit = (
        -2.2
        + 1.5 * (table["contract"] == "monthly") * (table["months"] < 24)
        - 0.8 * (np.log(table["income"]) - 7.5) / 0.5
        + 1.2 * np.isin(table["job"], ["driver", "cook"])
        + 0.9 * np.cos(table["age"] / 10)
        + rng.normal(0, 0.8, len(TOWNS))[np.searchsorted(np.sort(TOWNS), table["town"])]
    )
    probability = 1 / (1 + np.exp(-logit))
    table["income"][rng.random(rows) < 0.1] = np.nan
    table["job"][rng.random(rows) < 0.1] = ""
    return table, (rng.random(rows) < probability).astype("float32"), probability


def without_gaps(table):
    """The table with a column that says where the income is missing, and the typical one there."""
    gap = np.isnan(table["income"])
    income = np.log(np.where(gap, np.nanmedian(table["income"]), table["income"]))
    return {**table, "income": income.astype("float32"), "no_income": gap.astype("float32")}


def make_features():
    """What each column is."""
    space = keras.utils.FeatureSpace
    return space(
        {
            "age": space.float_discretized(num_bins=16),  # its effect need not rise or fall
            "income": "float_normalized",
            "no_income": "float",
            "months": space.float_discretized(num_bins=10),
            "job": "string_categorical",  # the empty string is a job like the others
            "town": "string_categorical",
            "contract": "string_categorical",
        },
        crosses=[space.cross(("contract", "job"), crossing_dim=32)],
        output_mode="concat",
    )


def take(table, rows):
    """Some rows of each column."""
    return {name: column[rows] for name, column in table.items()}


def main():
    """Fit the columns' statistics, train, evaluate, ask about one customer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=10)
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    raw, y, probability = make_table(options.rows)
    table = without_gaps(raw)
    test, training = slice(None, options.rows // 5), slice(options.rows // 5, None)
    features = make_features()
    features.adapt(take(table, training))  # the unseen rows take no part in it
    x, x_test = np.asarray(features(take(table, training))), np.asarray(features(take(table, test)))

    model = keras.Sequential(
        [
            keras.Input(x.shape[1:]),
            layers.Dense(64, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-4)),
            layers.Dropout(0.3),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.3),
            layers.Dense(1, activation="sigmoid"),
        ],
        name="cancellations",
    )
    auc = keras.metrics.AUC(name="auc")
    model.compile(keras.optimizers.Adam(2e-3), "binary_crossentropy", weighted_metrics=[auc])
    stop = keras.callbacks.EarlyStopping(
        "val_auc", mode="max", patience=4, restore_best_weights=True
    )
    model.fit(
        x,
        y[training],
        validation_split=0.15,
        epochs=options.epochs,
        callbacks=[stop],
        verbose=2,
    )

    one = {name: column[:1] for name, column in table.items()}
    asked = float(model.predict(features(one), verbose=0)[0, 0])
    print(f"Customer 0 cancels with probability {asked:.0%}; made with {probability[0]:.0%}.")
    auc.reset_state()
    auc.update_state(y[test], probability[test])
    print(f"AUC of the rule that the table was made by: {float(auc.result()):.3f}")
    result = model.evaluate(x_test, y[test], verbose=0, return_dict=True)
    print(f"AUC on unseen rows: {result['auc']:.3f}")


if __name__ == "__main__":
    main()
