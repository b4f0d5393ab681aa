"""Models: stacks and graphs of layers that can be trained."""

from kerasish.core.serialization.registry import publish
from kerasish.models.cloning import clone_model
from kerasish.models.functional import Functional
from kerasish.models.functionalize import PureCall, Values, functionalize
from kerasish.models.graph.graph import Function
from kerasish.models.model import Model, model_from_json
from kerasish.models.sequential import Sequential
from kerasish.saving import load_model, save_model

__all__ = [
    "Function",
    "Functional",
    "Model",
    "PureCall",
    "Sequential",
    "Values",
    "clone_model",
    "functionalize",
    "load_model",
    "model_from_json",
    "save_model",
]

publish("keras", {"Model": Model, "Sequential": Sequential})
publish("keras.src.models.functional", {"Functional": Functional})
