"""Know what one does not know: Monte Carlo dropout and a deep ensemble, on digits never seen.

Shows: `predict(mc_samples=, mc_keep=True)`, `diagnostics.uncertainty_report` (entropy,
disagreement of the samples, calibration), refusing to answer where unsure, and telling unknown
classes apart.

    python examples/bayesian_uncertainty.py
    python examples/bayesian_uncertainty.py --members 10 --epochs 60

The networks learn the digits 0 to 7 alone.

Prints, for a plain prediction, Monte Carlo dropout and an ensemble: accuracy on 0 to 7 (99%), the
same where only the 80% that it is surest of are answered (all right), and how well doubt tells 8
and 9 from what was learned (AUC: 96%, where chance has 50%).

Gal and Ghahramani, 2016, "Dropout as a Bayesian Approximation"; Lakshminarayanan, Pritzel and
Blundell, 2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles".
"""

import argparse

import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

import kerasish as keras
from kerasish import layers

KNOWN = 8  # digits 0 to 7


def load_data():
    """Training set and test set of known digits, and the unknown ones."""
    digits = load_digits()
    x = (digits.data / 16).astype("float32")
    known = digits.target < KNOWN
    x_known, y = x[known], digits.target[known]
    order = np.random.default_rng(0).permutation(len(y))
    training, test = order[400:], order[:400]
    return (x_known[training], y[training]), (x_known[test], y[test]), x[~known]


def make_model(dropout):
    """A network with dropout before every layer but the first."""
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(128, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(128, activation="relu"),
            layers.Dropout(dropout),
            layers.Dense(KNOWN, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def judge(name, samples, unknown, y):
    """Print what the samples of known and unknown digits are worth; return the report."""
    report = keras.diagnostics.uncertainty_report(samples, y)
    doubt, doubt_of_unknown = report.entropy, keras.diagnostics.uncertainty_report(unknown).entropy
    mean = samples.mean(0) if samples.ndim == 3 else samples
    right = mean.argmax(-1) == y
    surest = np.argsort(doubt)[: len(y) * 8 // 10]
    is_unknown = np.repeat([0, 1], [len(doubt), len(doubt_of_unknown)])
    auc = roc_auc_score(is_unknown, np.concatenate([doubt, doubt_of_unknown]))
    print(
        f"{name}: accuracy {right.mean():.1%}, of the surest 80% {right[surest].mean():.1%}, "
        f"AUC of doubt about unknown digits: {auc:.1%}"
    )
    return report


def main():
    """Train an ensemble, ask it in three ways."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=4, help="networks in the ensemble")
    parser.add_argument("--samples", type=int, default=50, help="samples of Monte Carlo dropout")
    parser.add_argument("--dropout", type=float, default=0.3)
    parser.add_argument("--epochs", type=int, default=20)
    options = parser.parse_args()

    training, (x, y), unknown = load_data()
    members = []
    for seed in range(options.members):
        keras.utils.set_random_seed(seed)
        members.append(make_model(options.dropout))
        history = members[-1].fit(*training, epochs=options.epochs, verbose=0)
        print(f"member {seed}: training accuracy {history.history['accuracy'][-1]:.1%}")

    first = members[0]
    print(f"{len(y)} digits from 0 to 7, {len(unknown)} that are 8 or 9:")
    plain = [first.predict(some, verbose=0) for some in (x, unknown)]
    judge("Plain prediction", *plain, y)
    ask = {"mc_samples": options.samples, "mc_seed": 0, "mc_keep": True, "verbose": 0}
    sampled = [first.predict(some, **ask).samples for some in (x, unknown)]
    report = judge("Monte Carlo dropout", *sampled, y)
    ensemble = [np.stack([m.predict(some, verbose=0) for m in members]) for some in (x, unknown)]
    judge("Ensemble", *ensemble, y)
    print(report)


if __name__ == "__main__":
    main()
