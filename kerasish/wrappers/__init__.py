"""`keras.wrappers`: models as estimators of scikit-learn, which is imported when one is named."""

from typing import TYPE_CHECKING, Any

from kerasish.core.departed_names import missing

if TYPE_CHECKING:
    from kerasish.wrappers.estimators import (
        SKLearnClassifier,
        SKLearnRegressor,
        SKLearnTransformer,
    )

__all__ = ["SKLearnClassifier", "SKLearnRegressor", "SKLearnTransformer"]


def __getattr__(name: str) -> Any:
    """Find an estimator in the module that needs scikit-learn."""
    if name not in __all__:
        raise missing(__name__, name, depth=2)
    try:
        from kerasish.wrappers import estimators
    except ModuleNotFoundError as error:
        raise ImportError(f"{name}: scikit-learn is needed: `pip install scikit-learn`.") from error
    return getattr(estimators, name)
