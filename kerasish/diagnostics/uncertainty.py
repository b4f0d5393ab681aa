"""How sure a classifier is, and whether it is right to be: entropy, agreement, calibration."""

from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument

_BINS = 15
_TINY = 1e-12  # keeps the logarithm of a probability of 0 finite


class UncertaintyReport:
    """What samples of class probabilities say about each input, and how far they can be trusted.

    Attributes:
        mean: Mean probabilities, `(n, classes)`.
        prediction: The likeliest classes, `(n,)`.
        confidence: Their probabilities, `(n,)`.
        entropy: Of the mean probabilities, in nats: the uncertainty in all, `(n,)`.
        mutual_information: The part of it that comes from the model, not from the data: what
            knowing the right weights would tell, `(n,)`.
        agreement: Part of the samples that predict what the mean predicts, `(n,)`.
        correct: Whether the prediction is right, `(n,)`; `None` without labels.
        accuracy: Part of right ones; `None` without labels.
        calibration_error: Expected calibration error, from 0 to 1; `None` without labels.
        bins: For each bin of confidence its mean confidence, accuracy and count, `(bins, 3)`;
            `None` without labels.

    Args:
        samples, y_true, bins: As for `uncertainty_report`, which makes it.

    Example:
        >>> samples = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.9, 0.1], [0.1, 0.9]]])
        >>> report = uncertainty_report(samples, [0, 1])
        >>> report.prediction, report.agreement, report.accuracy
        (array([0, 1]), array([1. , 0.5]), 1.0)
    """

    def __init__(self, samples: Any, y_true: Any = None, bins: int = _BINS):
        samples = _as_probabilities(samples)
        self.mean = samples.mean(0)
        self.prediction = self.mean.argmax(-1)
        self.confidence = self.mean.max(-1)
        self.entropy = _entropy(self.mean)
        self.mutual_information = np.maximum(self.entropy - _entropy(samples).mean(0), 0)
        self.agreement = (samples.argmax(-1) == self.prediction).mean(0)
        self.correct: Any = None
        self.accuracy: Any = None
        self.calibration_error: Any = None
        self.bins: Any = None
        if y_true is not None:
            labels = _as_labels(y_true, self.mean)
            self.correct = self.prediction == labels
            self.accuracy = float(self.correct.mean())
            self.bins = _bins(self.confidence, self.correct, bins)
            self.calibration_error = _calibration_error(self.bins)

    def plot(self, path: Any = None, show: bool | None = None) -> Any:
        """Draw how often predictions of each confidence are right, and how confident they are.

        Args:
            path: File to save the figure to.
            show: Whether to open a window. `None`: if there can be one and `path` is not given.

        Returns:
            The figure; a notebook shows it when it is a cell's last value.
        """
        import matplotlib.pyplot as plt

        if self.bins is None:
            raise ValueError("UncertaintyReport: a reliability plot needs labels: give `y_true`.")
        figure, (top, bottom) = plt.subplots(
            2, 1, figsize=(4.2, 5), sharex=True, height_ratios=(3, 1), layout="constrained"
        )
        confidence, accuracy, count = self.bins[self.bins[:, 2] > 0].T
        top.plot([0, 1], [0, 1], "--", color="gray", label="perfectly calibrated")
        top.plot(confidence, accuracy, "o-", label=f"error {self.calibration_error:.3f}")
        top.set(ylabel="part that is right", title="Reliability")
        top.legend()
        bottom.bar(confidence, count, width=0.8 / len(self.bins))
        bottom.set(xlabel="confidence", ylabel="inputs")
        if path is not None:
            figure.savefig(path)
        if show is None:
            show = path is None and figure.canvas.required_interactive_framework is not None
        plt.show() if show else plt.close(figure)
        return figure

    def __repr__(self):
        parts = [
            f"confidence {self.confidence.mean():.3f}",
            f"entropy {self.entropy.mean():.3f}",
            f"mutual information {self.mutual_information.mean():.3f}",
            f"agreement {self.agreement.mean():.3f}",
        ]
        if self.accuracy is not None:
            parts += [
                f"accuracy {self.accuracy:.3f}",
                f"calibration error {self.calibration_error:.3f}",
            ]
        return f"<UncertaintyReport of {len(self.mean)} inputs: {', '.join(parts)}>"


def uncertainty_report(samples: Any, y_true: Any = None, bins: int = _BINS) -> UncertaintyReport:
    """What a classifier's samples say about each input, and how far they can be trusted.

    Args:
        samples: Probabilities: `model.predict(x, mc_samples=100, mc_keep=True)`, or its samples, or
            a plain prediction. Of two classes, the probability of the second will do.
        y_true: Class numbers `(n,)` or one-hot rows, to see how often it is right.
        bins: Number of bins of confidence that calibration is measured in.

    Shapes:
        `(samples, n, classes)`, `(n, classes)` or `(samples, n, 1)`.

    References:
        Gal, 2016, "Uncertainty in Deep Learning". Guo, Pleiss, Sun and Weinberger, 2017, "On
        Calibration of Modern Neural Networks".

    Example:
        >>> samples = np.array([[[0.9, 0.1]], [[0.1, 0.9]], [[0.8, 0.2]]])
        >>> report = uncertainty_report(samples)
        >>> report.prediction, report.agreement.round(2)
        (array([0]), array([0.67]))
    """
    return UncertaintyReport(samples, y_true, bins)


def expected_calibration_error(y_true: Any, y_pred: Any, bins: int = _BINS) -> float:
    """Mean distance between confidence and accuracy, over bins of equal width in confidence.

    Args:
        y_true: Class numbers or one-hot rows.
        y_pred: Probabilities.
        bins: Number of bins.

    Shapes:
        `(n,)` or `(n, classes)`, and `(n, classes)` -> a float from 0 to 1.

    References:
        Naeini, Cooper and Hauskrecht, 2015, "Obtaining Well Calibrated Probabilities Using Bayesian
        Binning".

    Example:
        >>> expected_calibration_error([0, 1], [[0.75, 0.25], [0.75, 0.25]])
        0.25
    """
    return UncertaintyReport(y_pred, y_true, bins).calibration_error


def _as_probabilities(samples):
    samples = getattr(samples, "samples", samples)
    array = np.asarray(samples, "float64")
    if array.ndim == 2:
        array = array[None]
    if array.ndim != 3:
        wanted = "class probabilities of shape (samples, n, classes) or (n, classes)"
        raise bad_argument("uncertainty_report", "samples", wanted, array.shape)
    if array.shape[-1] == 1:
        array = np.concatenate([1 - array, array], -1)
    if array.min() < -1e-3 or np.abs(array.sum(-1) - 1).max() > 1e-2:
        hint = "Apply a softmax to the model's outputs first."
        raise bad_argument(
            "uncertainty_report", "samples", "probabilities, which add up to 1", "others", hint
        )
    return array


def _as_labels(y_true, mean):
    labels = np.asarray(y_true)
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(-1)
    if labels.shape != mean.shape[:1]:
        wanted = f"labels of {len(mean)} inputs"
        raise bad_argument("uncertainty_report", "y_true", wanted, np.shape(y_true))
    return labels


def _entropy(p):
    return -(p * np.log(p + _TINY)).sum(-1)


def _bins(confidence, correct, count):
    index = np.clip(np.ceil(confidence * count).astype(int) - 1, 0, count - 1)
    number = np.bincount(index, minlength=count)
    sums = [np.bincount(index, values, count) for values in (confidence, correct)]
    means = [s / np.maximum(number, 1) for s in sums]
    return np.stack([*means, number], -1)


def _calibration_error(bins):
    confidence, accuracy, count = bins.T
    return float((np.abs(confidence - accuracy) * count).sum() / count.sum())
