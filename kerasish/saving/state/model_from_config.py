"""Models made as files say, which may say anything: bounded, with errors that name the file."""

from collections.abc import Mapping
from typing import Any

from kerasish.core.serialization.serialize import deserialize_keras_object
from kerasish.core.state.variable import limit_new_variables
from kerasish.saving.io.file_window import BadFile
from kerasish.saving.state.keras_2 import is_older, modernized

# A model may hold more than its file does: a frozen copy, metrics, an optimizer left out. What
# asks for much more than that is no model someone saved.
_ALLOWANCE = 2**26, 16


def make_model(
    config: dict,
    path: Any,
    stored: int,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    keras_version: Any = None,
) -> Any:
    """The model that a config describes, with weights of at most some times the bytes stored.

    Args:
        config: The plain data.
        path: The file's path, for errors.
        stored: Bytes that the file holds for weights.
        custom_objects: The caller's own classes and functions by name.
        safe_mode: As in `load_model`.
        keras_version: What the file says of who wrote it.

    Raises:
        ValueError: If the config cannot be read, or describes no model.
        TypeError: If it names a class or function that is not known.
    """
    slack, factor = _ALLOWANCE
    try:
        with limit_new_variables(slack + factor * stored):
            if is_older(keras_version):
                config = modernized(config, custom_objects)
            model = deserialize_keras_object(config, custom_objects, safe_mode=safe_mode)
    except Exception as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{path}: cannot make the model of its config: {_say(error)}") from error
    if not hasattr(model, "stop_training") and not hasattr(type(model), "save"):
        raise BadFile(f"{path}: its config describes a {type(model).__name__}, which is no model.")
    return model


def _say(error):
    if isinstance(error, RecursionError):
        return "it is nested too deeply."
    if isinstance(error, ValueError | TypeError | RuntimeError):
        return str(error)
    return f"{type(error).__name__}: {error}"
