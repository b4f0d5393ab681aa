"""Sample arguments of every metric: one line each. 24 rows, or fewer of more steps."""

import numpy as np

from kerasish.core.state.compiled import jit

RNG = np.random.default_rng(0)
N = 24
REAL = RNG.normal(size=(2, N, 4)).astype("float32")
POSITIVE = np.abs(REAL)
BITS = RNG.integers(0, 2, (N, 4)).astype("float32")
SCORES = RNG.uniform(0.02, 0.98, (N, 4)).astype("float32")
SCORES[::5] = np.round(SCORES[::5] * 4) / 4  # on thresholds, 0 and 1 among them
SIMPLEX = SCORES[1:5].mean(0) + RNG.uniform(0.1, 1, (N, 4)).astype("float32")
SIMPLEX /= SIMPLEX.sum(-1, keepdims=True)
NUMBERS = RNG.integers(0, 4, N)
GUESSES = np.where(RNG.uniform(size=N) < 0.6, NUMBERS, RNG.integers(0, 4, N))
ONE_HOT = np.eye(4, dtype="float32")[NUMBERS]
MAP, GUESS_MAP = NUMBERS.reshape(4, 6), GUESSES.reshape(4, 6)
TIMED = SCORES.reshape(6, 4, 4)
WHOLE = RNG.integers(0, 4, N)
PART = RNG.uniform(0.1, 2, N).astype("float32")

PAIR = (BITS[:, 0], SCORES[:, 0])
LABELS = (BITS, SCORES)
# class, arguments, targets, predictions
CASES = [
    ("MeanSquaredError", {}, *REAL),
    ("MeanSquaredError", {}, REAL[0][:, 0], REAL[1][:, :1]),
    ("MeanAbsoluteError", {}, *REAL),
    ("MeanAbsolutePercentageError", {}, *REAL),
    ("MeanSquaredLogarithmicError", {}, *POSITIVE),
    ("RootMeanSquaredError", {}, *REAL),
    ("RootMeanSquaredError", {}, REAL[0][:, 0], REAL[1][:, :1]),
    ("CosineSimilarity", {}, *REAL),
    ("LogCoshError", {}, *REAL),
    ("R2Score", {}, *REAL),
    ("R2Score", {"class_aggregation": None}, *REAL),
    ("R2Score", {"class_aggregation": "variance_weighted_average", "num_regressors": 3}, *REAL),
    ("R2Score", {"num_regressors": 200}, *REAL),
    ("PearsonCorrelation", {}, *REAL),
    ("ConcordanceCorrelation", {}, *REAL),
    ("Accuracy", {}, NUMBERS, GUESSES),
    ("Accuracy", {}, MAP, GUESS_MAP),
    ("BinaryAccuracy", {}, *LABELS),
    ("BinaryAccuracy", {"threshold": 0.25}, PAIR[0], SCORES[:, :1]),
    ("CategoricalAccuracy", {}, ONE_HOT, SCORES),
    ("SparseCategoricalAccuracy", {}, NUMBERS, SCORES),
    ("SparseCategoricalAccuracy", {}, NUMBERS[:, None], SCORES),
    ("SparseCategoricalAccuracy", {}, NUMBERS.reshape(6, 4), TIMED),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT, SCORES),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT.reshape(6, 4, 4), TIMED),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, NUMBERS, SCORES),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, NUMBERS[:, None], SCORES),
    (
        "SparseTopKCategoricalAccuracy",
        {"k": 2, "from_sorted_ids": True},
        NUMBERS,
        np.argsort(-SCORES),
    ),
    ("BinaryCrossentropy", {}, *LABELS),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, BITS, REAL[1]),
    ("CategoricalCrossentropy", {}, ONE_HOT, SIMPLEX),
    ("CategoricalCrossentropy", {"from_logits": True}, ONE_HOT, REAL[1]),
    ("SparseCategoricalCrossentropy", {}, NUMBERS, SIMPLEX),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, NUMBERS, REAL[1]),
    ("KLDivergence", {}, SIMPLEX[::-1], SIMPLEX),
    ("Poisson", {}, BITS, SCORES),
    ("Hinge", {}, BITS, REAL[1]),
    ("SquaredHinge", {}, BITS, REAL[1]),
    ("CategoricalHinge", {}, ONE_HOT, REAL[1]),
    ("TruePositives", {}, *PAIR),
    ("FalsePositives", {"thresholds": [0.25, 0.8]}, *LABELS),
    ("TrueNegatives", {"thresholds": 0.3}, *LABELS),
    ("FalseNegatives", {"thresholds": [0.0, 0.5, 1.0]}, *LABELS),
    ("Precision", {}, *PAIR),
    ("Precision", {"thresholds": [0.2, 0.6]}, *LABELS),
    ("Precision", {"top_k": 2}, *LABELS),
    ("Precision", {"class_id": 1, "thresholds": 0.4}, *LABELS),
    ("Recall", {}, *PAIR),
    ("Recall", {"top_k": 2, "class_id": 3}, *LABELS),
    ("Recall", {"thresholds": [0.0, 0.25, 0.5, 0.75, 1.0]}, *LABELS),
    ("SensitivityAtSpecificity", {"specificity": 0.6}, *PAIR),
    ("SensitivityAtSpecificity", {"specificity": 0.6, "num_thresholds": 1}, *PAIR),
    ("SpecificityAtSensitivity", {"sensitivity": 0.6, "num_thresholds": 5}, *PAIR),
    ("PrecisionAtRecall", {"recall": 0.6, "class_id": 2}, *LABELS),
    ("RecallAtPrecision", {"precision": 0.5}, *PAIR),
    ("AUC", {}, *PAIR),
    ("AUC", {"num_thresholds": 5, "summation_method": "majoring"}, *LABELS),
    ("AUC", {"curve": "PR"}, *PAIR),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, *PAIR),
    ("AUC", {"curve": "PRGAIN"}, *PAIR),
    ("AUC", {"thresholds": [0.7, 0.1, 0.4]}, *PAIR),
    ("AUC", {"from_logits": True}, BITS[:, 0], REAL[1][:, 0]),
    ("AUC", {"multi_label": True}, *LABELS),
    ("AUC", {"multi_label": True, "curve": "PR", "num_labels": 4}, *LABELS),
    ("AUC", {"multi_label": True, "label_weights": [1.0, 2.0, 0.0, 0.5]}, *LABELS),
    ("AUC", {"multi_label": True, "thresholds": [0.3, 0.6, 0.7]}, *LABELS),
    ("AUC", {"label_weights": [1.0, 2.0, 0.0, 0.5]}, *LABELS),
    ("F1Score", {}, ONE_HOT, SCORES),
    ("F1Score", {"average": "macro", "threshold": 0.5}, *LABELS),
    ("FBetaScore", {"average": "micro", "beta": 2.0, "threshold": 0.5}, *LABELS),
    ("FBetaScore", {"average": "weighted", "beta": 0.5}, ONE_HOT, SCORES),
    ("IoU", {"num_classes": 4, "target_class_ids": [0, 2]}, NUMBERS, GUESSES),
    ("IoU", {"num_classes": 4, "target_class_ids": [1], "sparse_y_pred": False}, NUMBERS, SCORES),
    ("MeanIoU", {"num_classes": 4, "ignore_class": 1}, NUMBERS, GUESSES),
    ("MeanIoU", {"num_classes": 3}, NUMBERS, GUESSES),
    ("MeanIoU", {"num_classes": 6, "dtype": "float32"}, NUMBERS, GUESSES),
    ("BinaryIoU", {"threshold": 0.4}, *PAIR),
    ("BinaryIoU", {"target_class_ids": [1]}, *PAIR),
    ("OneHotIoU", {"num_classes": 4, "target_class_ids": [0, 3]}, ONE_HOT, SCORES),
    ("OneHotMeanIoU", {"num_classes": 4}, ONE_HOT, SCORES),
]
IDS = [f"{name}-{i}" for i, (name, *_) in enumerate(CASES)]
IS_FIRST = [case[0] not in [c[0] for c in CASES[:i]] for i, case in enumerate(CASES)]
FIRST = [case for case, first in zip(CASES, IS_FIRST, strict=True) if first]
FIRST_IDS = [case[0] for case in FIRST]


def feeder(metric):
    """A function of batches that takes them in, compiled, and gives the result."""
    update = jit(lambda *batch: metric.update_state(*batch))
    result = jit(metric.result)

    def feed(batches):
        metric.reset_state()
        for batch in batches:
            update(*batch)
        return result()

    return feed


def cut(rows, *arrays):
    """Batches of that many rows."""
    starts = range(0, len(arrays[0]), rows)
    return [tuple(array[i : i + rows] for array in arrays) for i in starts]
