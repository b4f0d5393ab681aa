"""One line for each loss, metric, initializer, regularizer, constraint and optimizer."""

import numpy as np

RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(2, 6, 4)).astype("float32")
BITS = RNG.integers(0, 2, (6, 4)).astype("float32")
SCORES = RNG.uniform(0.05, 0.95, (6, 4)).astype("float32")
NUMBERS = np.array([0, 3, 1, 2, 2, 0])
GUESSES = np.array([0, 3, 2, 2, 1, 0])
ONE_HOT = np.eye(4, dtype="float32")[NUMBERS]
UNIT = B / np.linalg.norm(B, axis=-1, keepdims=True)
PAIR = BITS[:, 0], SCORES[:, 0]
REAL = A, B
POSITIVE = abs(A) + 0.1, abs(B) + 0.1
LABELS = BITS, SCORES
CLASSES = ONE_HOT, SCORES / SCORES.sum(-1, keepdims=True)
SPARSE = NUMBERS, CLASSES[1]

LOSSES = {
    "BinaryCrossentropy": ({"label_smoothing": 0.1}, LABELS),
    "BinaryFocalCrossentropy": ({"gamma": 1.5}, LABELS),
    "CTC": ({}, (np.array([[1, 2, 0], [3, 3, 1]]), RNG.normal(size=(2, 6, 4)))),
    "CategoricalCrossentropy": ({}, CLASSES),
    "CategoricalFocalCrossentropy": ({}, CLASSES),
    "CategoricalGeneralizedCrossEntropy": ({"q": 0.7}, SPARSE),
    "CategoricalHinge": ({}, CLASSES),
    "Circle": ({"gamma": 2.0}, (NUMBERS, UNIT)),
    "CosineSimilarity": ({}, REAL),
    "Dice": ({}, LABELS),
    "Hinge": ({}, (BITS, A)),
    "Huber": ({"delta": 0.3}, REAL),
    "KLDivergence": ({}, CLASSES),
    "LogCosh": ({}, REAL),
    "MeanAbsoluteError": ({}, REAL),
    "MeanAbsolutePercentageError": ({}, REAL),
    "MeanSquaredError": ({}, REAL),
    "MeanSquaredLogarithmicError": ({}, POSITIVE),
    "Poisson": ({}, POSITIVE),
    "SparseCategoricalCrossentropy": ({}, SPARSE),
    "SquaredHinge": ({}, (BITS, A)),
    "Tversky": ({"alpha": 0.2}, LABELS),
}
# One number for a whole batch, as in Keras.
OF_THE_BATCH = {"Dice", "Tversky"}

METRICS = {
    "AUC": ({"num_thresholds": 9}, PAIR),
    "Accuracy": ({}, (NUMBERS, GUESSES)),
    "BinaryAccuracy": ({"threshold": 0.4}, LABELS),
    "BinaryCrossentropy": ({}, LABELS),
    "BinaryIoU": ({"threshold": 0.4}, PAIR),
    "CategoricalAccuracy": ({}, CLASSES),
    "CategoricalCrossentropy": ({}, CLASSES),
    "CategoricalHinge": ({}, CLASSES),
    "ConcordanceCorrelation": ({}, REAL),
    "CosineSimilarity": ({}, REAL),
    "F1Score": ({"average": "macro"}, CLASSES),
    "FBetaScore": ({"average": "macro", "beta": 2.0}, CLASSES),
    "FalseNegatives": ({"thresholds": 0.3}, LABELS),
    "FalsePositives": ({"thresholds": 0.3}, LABELS),
    "Hinge": ({}, (BITS, A)),
    "IoU": ({"num_classes": 4, "target_class_ids": [0, 2]}, (NUMBERS, GUESSES)),
    "KLDivergence": ({}, CLASSES),
    "LogCoshError": ({}, REAL),
    "MeanAbsoluteError": ({}, REAL),
    "MeanAbsolutePercentageError": ({}, REAL),
    "MeanIoU": ({"num_classes": 4}, (NUMBERS, GUESSES)),
    "MeanSquaredError": ({}, REAL),
    "MeanSquaredLogarithmicError": ({}, POSITIVE),
    "OneHotIoU": ({"num_classes": 4, "target_class_ids": [0, 3]}, CLASSES),
    "OneHotMeanIoU": ({"num_classes": 4}, CLASSES),
    "PearsonCorrelation": ({}, REAL),
    "Poisson": ({}, POSITIVE),
    "Precision": ({"thresholds": 0.4}, LABELS),
    "PrecisionAtRecall": ({"recall": 0.6}, PAIR),
    "R2Score": ({}, REAL),
    "Recall": ({"thresholds": 0.4}, LABELS),
    "RecallAtPrecision": ({"precision": 0.5}, PAIR),
    "RootMeanSquaredError": ({}, REAL),
    "SensitivityAtSpecificity": ({"specificity": 0.6}, PAIR),
    "SparseCategoricalAccuracy": ({}, SPARSE),
    "SparseCategoricalCrossentropy": ({}, SPARSE),
    "SparseTopKCategoricalAccuracy": ({"k": 2}, SPARSE),
    "SpecificityAtSensitivity": ({"sensitivity": 0.6}, PAIR),
    "SquaredHinge": ({}, (BITS, A)),
    "TopKCategoricalAccuracy": ({"k": 2}, CLASSES),
    "TrueNegatives": ({"thresholds": 0.3}, LABELS),
    "TruePositives": ({"thresholds": 0.3}, LABELS),
}

INITIALIZERS = {
    "Constant": {"value": 2.5},
    "GlorotNormal": {},
    "GlorotUniform": {"seed": 3},
    "HeNormal": {},
    "HeUniform": {},
    "Identity": {"gain": 0.5},
    "LecunNormal": {},
    "LecunUniform": {},
    "Ones": {},
    "Orthogonal": {"gain": 2.0},
    "RandomNormal": {"stddev": 0.1},
    "RandomUniform": {"minval": -0.3},
    "STFT": {"side": "imag"},
    "TruncatedNormal": {"stddev": 0.1},
    "VarianceScaling": {"scale": 3.0, "mode": "fan_out"},
    "Zeros": {},
}

REGULARIZERS = {
    "L1": {"l1": 0.1},
    "L1L2": {"l1": 0.1, "l2": 0.2},
    "L2": {"l2": 0.1},
    "OrthogonalRegularizer": {"factor": 0.1},
}

CONSTRAINTS = {
    "MaxNorm": {"max_value": 1.0},
    "MinMaxNorm": {"min_value": 0.5, "rate": 0.7},
    "NonNeg": {},
    "UnitNorm": {"axis": 0},
}

OPTIMIZERS = {
    "Adadelta": {"learning_rate": 1.0},
    "Adafactor": {"learning_rate": 0.1},
    "Adagrad": {"learning_rate": 0.1},
    "Adam": {"learning_rate": 0.01, "weight_decay": 0.1},
    "AdamW": {"learning_rate": 0.01},
    "Adamax": {"learning_rate": 0.01},
    "Ftrl": {"learning_rate": 0.1},
    "Lamb": {"learning_rate": 0.01},
    "Lion": {"learning_rate": 0.01},
    "Muon": {"learning_rate": 0.01},
    "Nadam": {"learning_rate": 0.01},
    "RMSprop": {"learning_rate": 0.01, "momentum": 0.9},
    "SGD": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True},
    "ScheduleFreeAdamW": {"learning_rate": 0.01},
}
