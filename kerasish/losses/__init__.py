"""Losses: what training makes small. Pure functions give one value per sample; classes reduce."""

from typing import Any

from kerasish.core.serialization.registry import custom_object_scope, publish
from kerasish.core.serialization.serialize import resolve, serialize_keras_object
from kerasish.losses.binary import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
)
from kerasish.losses.categorical import (
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    CategoricalGeneralizedCrossEntropy,
    SparseCategoricalCrossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    categorical_generalized_cross_entropy,
    sparse_categorical_crossentropy,
)
from kerasish.losses.labels import check_sparse_labels, label_kind
from kerasish.losses.loss import Loss, LossFunctionWrapper
from kerasish.losses.margin import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from kerasish.losses.probabilistic import KLDivergence, Poisson, kl_divergence, poisson
from kerasish.losses.regression import (
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from kerasish.losses.segmentation import Dice, Tversky, dice, tversky
from kerasish.losses.sequence import CTC, ctc
from kerasish.losses.similarity import Circle, CosineSimilarity, circle, cosine_similarity

_CLASSES = (
    *(Loss, LossFunctionWrapper),
    *(MeanSquaredError, MeanAbsoluteError, MeanAbsolutePercentageError),
    *(MeanSquaredLogarithmicError, Huber, LogCosh, CosineSimilarity),
    *(BinaryCrossentropy, BinaryFocalCrossentropy, CategoricalCrossentropy),
    *(CategoricalFocalCrossentropy, SparseCategoricalCrossentropy),
    *(CategoricalGeneralizedCrossEntropy, KLDivergence, Poisson),
    *(Hinge, SquaredHinge, CategoricalHinge, Dice, Tversky, Circle, CTC),
)
_FUNCTIONS = (
    *(mean_squared_error, mean_absolute_error, mean_absolute_percentage_error),
    *(mean_squared_logarithmic_error, huber, log_cosh, cosine_similarity),
    *(binary_crossentropy, binary_focal_crossentropy, categorical_crossentropy),
    *(categorical_focal_crossentropy, sparse_categorical_crossentropy),
    *(categorical_generalized_cross_entropy, kl_divergence, poisson),
    *(hinge, squared_hinge, categorical_hinge, dice, tversky, circle, ctc),
)
_SHORT = {
    "bce": binary_crossentropy,
    "kld": kl_divergence,
    "mae": mean_absolute_error,
    "mape": mean_absolute_percentage_error,
    "mse": mean_squared_error,
    "msle": mean_squared_logarithmic_error,
}
_OBJECTS = {obj.__name__: obj for obj in (*_CLASSES, *_FUNCTIONS)}
_KNOWN = {**_OBJECTS, **_SHORT, **{name.upper(): fn for name, fn in _SHORT.items()}}

publish("keras.losses", _OBJECTS)


def crossentropy_for(y_true_shape: tuple, y_pred_shape: tuple) -> Any:
    """The loss function that `loss="crossentropy"` means for outputs of these shapes.

    Example:
        >>> crossentropy_for((None,), (None, 10)).__name__
        'sparse_categorical_crossentropy'
    """
    functions = {
        "binary": binary_crossentropy,
        "sparse": sparse_categorical_crossentropy,
        "categorical": categorical_crossentropy,
    }
    return functions[label_kind(y_true_shape, y_pred_shape)]


def get(identifier: Any) -> Any:
    """The loss for a name, a config, a class, an instance or a function; `None` stays `None`.

    Example:
        >>> get("mse") is mean_squared_error
        True
    """
    if isinstance(identifier, dict):
        identifier = {"module": "keras.losses", **identifier}
    return resolve(identifier, _KNOWN, "loss")


def serialize(loss: Any) -> Any:
    """A loss as plain data."""
    return serialize_keras_object(loss)


def deserialize(name: Any, custom_objects: dict | None = None) -> Any:
    """The loss that `serialize` wrote, or that a name means."""
    with custom_object_scope(custom_objects or {}):
        return get(name)


__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CTC",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "CategoricalHinge",
    "Circle",
    "CosineSimilarity",
    "Dice",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "Tversky",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "categorical_generalized_cross_entropy",
    "categorical_hinge",
    "check_sparse_labels",
    "circle",
    "cosine_similarity",
    "crossentropy_for",
    "ctc",
    "deserialize",
    "dice",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "label_kind",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_crossentropy",
    "squared_hinge",
    "tversky",
]
