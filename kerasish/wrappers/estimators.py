"""Estimators of scikit-learn whose work a model does."""

import copy
from typing import Any

import numpy as np
from sklearn import get_config as sklearn_config
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, TransformerMixin
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from kerasish.core.errors import bad_argument
from kerasish.models import Model, clone_model


class ModelEstimator(BaseEstimator):
    """Base of the estimators: makes a model, fits it, and predicts with it.

    A subclass says how targets become what the model is fitted to, and back.
    """

    def __init__(
        self,
        model: Any,
        warm_start: bool = False,
        model_kwargs: dict | None = None,
        fit_kwargs: dict | None = None,
    ):
        self.model = model
        self.warm_start = warm_start
        self.model_kwargs = model_kwargs
        self.fit_kwargs = fit_kwargs

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.non_deterministic = True
        return tags

    def __sklearn_clone__(self):
        """What `sklearn.base.clone` gives: the same arguments, nothing fitted."""
        given = self.get_params(deep=False)
        is_model = isinstance(self.model, Model)
        given["model"] = copy.deepcopy(self.model) if is_model else self.model
        return type(self)(**given)

    @property
    def epoch_(self) -> int:
        """How many epochs the last `fit` ran."""
        history = getattr(self, "history_", None)
        return 0 if history is None else len(history.epoch)

    def set_fit_request(self, **kwargs: Any) -> Any:
        """Ask scikit-learn's metadata routing for arguments of `fit`.

        Args:
            **kwargs: Names of arguments, each with `True`, `False`, `None` or another name.

        Returns:
            The estimator.
        """
        if not sklearn_config().get("enable_metadata_routing", False):
            raise RuntimeError(
                f"{type(self).__name__}.set_fit_request: metadata routing is off. Turn it on with "
                "`sklearn.set_config(enable_metadata_routing=True)`."
            )
        self._metadata_request = MetadataRequest(owner=type(self).__name__)
        for param, alias in kwargs.items():
            self._metadata_request.fit.add_request(param=param, alias=alias)
        return self

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:
        """Make the model and fit it.

        Args:
            X: Array-like `(samples, features)`.
            y: Array-like `(samples,)` or `(samples, outputs)`.
            **kwargs: Arguments of `model.fit`, over those of `fit_kwargs`.

        Returns:
            The estimator.
        """
        X, y = validate_data(self, X, y, multi_output=True)
        target = self._learn_target(y)
        model = self._make_model(X, target)
        if not model.compiled or not model.loss or not model.optimizer:
            raise RuntimeError(
                f"{type(self).__name__}: the model must be compiled with a loss and an optimizer. "
                "Call `model.compile(...)` first."
            )
        self.history_ = model.fit(X, target, **{**(self.fit_kwargs or {}), **kwargs})
        self.model_ = model
        return self

    def _make_model(self, X, y):
        if self.warm_start and hasattr(self, "model_"):
            return self.model_
        if isinstance(self.model, Model):
            return self.model if self.warm_start else _clone(self.model)
        if not callable(self.model):
            wanted = "a model, or a function that makes one from `X` and `y`"
            raise bad_argument(type(self), "model", wanted, self.model)
        return self.model(X=X, y=y, **(self.model_kwargs or {}))

    def _outputs(self, X) -> np.ndarray:
        """What the model predicts."""
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        return np.asarray(self.model_.predict(X, verbose=0))

    def _learn_target(self, y: np.ndarray) -> np.ndarray:
        """What the model is fitted to: targets in two axes."""
        if type_of_target(y) == "unknown":
            raise bad_argument(type(self), "y", "numbers or labels", y)
        self._target_axes = y.ndim
        return y.reshape(-1, 1) if y.ndim == 1 else y

    def predict(self, X: Any) -> np.ndarray:
        """Targets of samples, in the form that `fit` was given.

        Args:
            X: Array-like `(samples, features)`.
        """
        outputs = self._outputs(X)
        one = self._target_axes == 1 and outputs.ndim == 2 and outputs.shape[1] == 1
        return outputs[:, 0] if one else outputs


def _clone(model):
    """A model of new weights, compiled alike."""
    made = clone_model(model)
    if model.compiled and not made.compiled:
        made.compile_from_config(model.get_compile_config())
    return made


class SKLearnClassifier(ClassifierMixin, ModelEstimator):
    """A model as a classifier of scikit-learn, fitted to one-hot vectors of the classes.

    Args:
        model: A compiled model, of which each `fit` trains a clone; or a function `(X, y, ...)`
            that makes one, from the samples and the one-hot targets.
        warm_start: Whether to go on with the weights of the fit before, or of the model given.
        model_kwargs: More arguments of the function.
        fit_kwargs: Arguments of `model.fit`.

    Example:
        >>> def make(X, y):
        ...     layers = [keras.layers.Dense(y.shape[1], activation="softmax")]
        ...     model = keras.Sequential(layers)
        ...     model.compile(loss="categorical_crossentropy")
        ...     return model
        >>> X, y = np.array([[0.0], [1.0]]), np.array(["no", "yes"])
        >>> keras.wrappers.SKLearnClassifier(make).fit(X, y, verbose=0).classes_.tolist()
        ['no', 'yes']
    """

    def _learn_target(self, y):
        kind = type_of_target(y)
        if kind not in ("binary", "multiclass"):
            raise bad_argument(type(self), "y", "of two or more classes", kind)
        y = np.asarray(y).reshape(-1)
        self.classes_, indices = np.unique(y, return_inverse=True)
        if len(self.classes_) == 1:
            raise bad_argument(type(self), "y", "of two classes at least", self.classes_.tolist())
        return np.eye(len(self.classes_))[indices.reshape(-1)]

    def decision_function(self, X: Any) -> np.ndarray:
        """The model's outputs, `(samples, classes)`.

        Args:
            X: Samples, a row each.
        """
        return self._outputs(X)

    def predict(self, X: Any) -> np.ndarray:
        """The class of each sample, that of the greatest output.

        Args:
            X: Array-like `(samples, features)`.
        """
        outputs = self._outputs(X)
        if outputs.ndim == 2 and outputs.shape[1] == 1 and len(self.classes_) == 2:
            return self.classes_[(outputs[:, 0] > 0.5).astype(int)]
        return self.classes_[outputs.argmax(axis=-1)]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.poor_score = True
        return tags


class SKLearnRegressor(RegressorMixin, ModelEstimator):
    """A model as a regressor of scikit-learn.

    Args:
        model: A compiled model, of which each `fit` trains a clone; or a function `(X, y, ...)`
            that makes one.
        warm_start: Whether to go on with the weights of the fit before, or of the model given.
        model_kwargs: More arguments of the function.
        fit_kwargs: Arguments of `model.fit`.

    Example:
        >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        >>> model.compile(loss="mse")
        >>> estimator = keras.wrappers.SKLearnRegressor(model)
        >>> estimator.fit(np.ones((4, 1)), np.ones(4), verbose=0).predict(np.ones((2, 1))).shape
        (2,)
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags


class SKLearnTransformer(TransformerMixin, ModelEstimator):
    """A model as a transformer of scikit-learn: a step that gives, say, an embedding.

    Args:
        model: A compiled model, of which each `fit` trains a clone; or a function `(X, y, ...)`
            that makes one.
        warm_start: Whether to go on with the weights of the fit before, or of the model given.
        model_kwargs: More arguments of the function.
        fit_kwargs: Arguments of `model.fit`.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        >>> model.compile(loss="mse")
        >>> estimator = keras.wrappers.SKLearnTransformer(model)
        >>> X, y = np.ones((4, 3)), np.ones((4, 2))
        >>> estimator.fit(X, y, verbose=0).transform(X).shape
        (4, 2)
    """

    def transform(self, X: Any) -> np.ndarray:
        """The model's outputs for samples.

        Args:
            X: Array-like `(samples, features)`.
        """
        return self._outputs(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags
