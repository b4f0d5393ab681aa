"""Models made as files say, which may say anything: bounded, with errors that name the file."""

from typing import Any

from kerasish.core.serialization.serialize import deserialize_keras_object
from kerasish.core.state.variable import limit_new_variables
from kerasish.saving.io.file_window import BadFile

# A model may hold more than its file does: a frozen copy, metrics, an optimizer left out. What
# asks for much more than that is no model someone saved.
_ALLOWANCE = 2**26, 16


def make_model(config: dict, path: Any, stored: int, custom_objects=None, safe_mode=True) -> Any:
    """The model that a config describes, with weights of at most some times the bytes stored."""
    slack, factor = _ALLOWANCE
    try:
        with limit_new_variables(slack + factor * stored):
            model = deserialize_keras_object(config, custom_objects, safe_mode=safe_mode)
    except Exception as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{path}: cannot make the model of its config: {_say(error)}") from error
    if not hasattr(model, "stop_training"):
        raise BadFile(f"{path}: its config describes a {type(model).__name__}, which is no model.")
    return model


def _say(error):
    if isinstance(error, RecursionError):
        return "it is nested too deeply."
    if isinstance(error, ValueError | TypeError | RuntimeError):
        return str(error)
    return f"{type(error).__name__}: {error}"
