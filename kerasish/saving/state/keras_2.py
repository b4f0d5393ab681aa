"""Configs that Keras 1 and 2 wrote, in the words of Keras 3."""

import re
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from kerasish.core.serialization.registry import (
    get_registered_name,
    get_registered_object,
    publish,
    register_keras_serializable,
)
from kerasish.saving.state.keras_2_graph import is_older_config, with_calls, without_slashes

_HARD_SIGMOID = "hard_sigmoid"


@register_keras_serializable("kerasish")
def hard_sigmoid_of_keras_2(x: Any) -> jax.Array:
    """`0.2 x + 0.5`, clipped to between 0 and 1: `hard_sigmoid` before Keras 3, which has `x / 6`.

    Args:
        x: Array.

    Returns:
        An array of the shape of `x`.

    Example:
        >>> from kerasish.saving.state.keras_2 import hard_sigmoid_of_keras_2
        >>> hard_sigmoid_of_keras_2(np.array([-2.5, 0.0, 1.0], "float32"))
        Array([0. , 0.5, 0.7], dtype=float32)
    """
    return jnp.clip(0.2 * jnp.asarray(x) + 0.5, 0, 1)


# Found too where a program has cleared the table of registered objects.
_OLD_SLOPE = get_registered_name(hard_sigmoid_of_keras_2)
publish("kerasish", {_OLD_SLOPE: hard_sigmoid_of_keras_2})


def is_older(version: Any) -> bool:
    """Whether a file's `keras_version` is before 3; so it is where there is none.

    Args:
        version: `"2.4.0-tf"`, the same as bytes, or `None`.

    Example:
        >>> from kerasish.saving.state.keras_2 import is_older
        >>> is_older("2.4.0-tf"), is_older("3.9.0")
        (True, False)
    """
    text = version.decode(errors="replace") if isinstance(version, bytes) else str(version or "0")
    digits = re.match(r"\d{1,9}", text)
    return digits is not None and int(digits.group()) < 3


def modernized(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A config of an older version in the words of Keras 3, with the same meaning.

    Args:
        config: The plain data.
        custom_objects: The caller's own names; a `hard_sigmoid` among them is kept.
    """
    config = _renamed(without_slashes(config))
    own = get_registered_object(_HARD_SIGMOID, custom_objects) is not None
    return config if own else _with_old_slope(config)


def modernized_arguments(config: Any, kind: str, custom_objects: Any = None) -> Any:
    """What a model's `from_config` is given, in the words of Keras 3, if older ones wrote it.

    Args:
        config: The plain data.
        kind: The model's kind: `"Functional"` or `"Sequential"`.
        custom_objects: The caller's own names.
    """
    if not is_older_config(config):
        return config
    return modernized({"class_name": kind, "config": config}, custom_objects)["config"]


def _renamed(config):
    if isinstance(config, list):
        return [_renamed(item) for item in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "Sequential":
        config = {**config, "config": _stack(config.get("config"))}
    config = {key: _renamed(value) for key, value in config.items()}
    inner = config.get("config")
    if not isinstance(inner, dict):
        return config
    config.pop("build_config", None)  # a call builds what a graph is made of
    kind = str(config.get("class_name"))
    if kind.removeprefix("Custom>") in _OPTIMIZERS and kind.startswith("Custom>"):
        config = {**config, "class_name": kind.removeprefix("Custom>"), "registered_name": None}
    shape = inner.pop("batch_input_shape", None)
    if config.get("class_name") == "InputLayer" and shape is not None:
        inner["batch_shape"] = shape
    if config.get("class_name") in ("Model", "Functional") and isinstance(
        inner.get("layers"), list
    ):
        kind = {"class_name": "Functional", "module": "keras.src.models.functional"}
        return {**config, **kind, "config": with_calls(inner)}
    rule = _RULES.get(str(config.get("class_name")))
    return rule(config, inner) if rule else config


def _thresholded(config, inner):
    named = {key: inner[key] for key in ("name", "trainable", "dtype") if key in inner}
    named["threshold"] = inner.get("theta", 1.0)
    return {**config, "class_name": "ReLU", "config": named}


def _gated(config, inner):
    """The recurrent layers that only ran on GPUs."""
    kind = str(config["class_name"]).removeprefix("CuDNN")
    inner = {"activation": "tanh", "recurrent_activation": "sigmoid", **inner}
    inner = {**inner, "reset_after": True} if kind == "GRU" else inner
    module = {"module": "keras.layers"} if "module" in config else {}
    return {**config, **module, "class_name": kind, "config": inner}


def _reset_before(config, inner):
    """A GRU: where nothing is said, as before there was a choice."""
    return {**config, "config": {"reset_after": False, **inner}}


def _optimizer(config, inner):
    inner = {key: x for key, x in inner.items() if key not in _GONE_FROM_OPTIMIZERS}
    if "lr" in inner:
        inner = {"learning_rate": inner.pop("lr"), **inner}
    decay = inner.pop("decay", None)
    if inner.get("epsilon", 0) is None:
        del inner["epsilon"]
    rate = inner.get("learning_rate")
    if decay and isinstance(rate, int | float):
        steps = {"initial_learning_rate": rate, "decay_steps": 1, "decay_rate": decay}
        inner["learning_rate"] = {"class_name": "InverseTimeDecay", "config": steps}
    return {**config, "config": inner}


def _mean_metric(config, inner):
    """A metric that was made of a function, which stands there by its name."""
    function = inner.get("fn")
    if not isinstance(function, str):
        return config
    found = {"module": "builtins", "class_name": "function", "config": function}
    return {**config, "config": {**inner, "fn": {**found, "registered_name": "function"}}}


_GONE_FROM_OPTIMIZERS = ("schedule_decay", "is_legacy_optimizer", "jit_compile")
_OPTIMIZERS = "Adadelta Adagrad Adam AdamW Adamax Ftrl Nadam RMSprop SGD".split()
_RULES = {
    "ThresholdedReLU": _thresholded,
    "CuDNNLSTM": _gated,
    "CuDNNGRU": _gated,
    "GRU": _reset_before,
    "GRUCell": _reset_before,
    "MeanMetricWrapper": _mean_metric,
    **dict.fromkeys(_OPTIMIZERS, _optimizer),
}


def _stack(config):
    """A `Sequential`'s config: it was a list, and the first layer had the input's shape."""
    config = {"layers": config} if isinstance(config, list) else config
    layers = config.get("layers") if isinstance(config, dict) else None
    first = layers[0] if isinstance(layers, list) and layers else None
    if not isinstance(first, dict) or first.get("class_name") == "InputLayer":
        return config
    inner = first.get("config")
    if not isinstance(inner, dict):
        return config
    shape = inner.get("batch_input_shape")
    return config if shape is None else {"build_input_shape": shape, **config}


def _with_old_slope(config, key=""):
    """The config with `hard_sigmoid` as it was, wherever an argument is an activation."""
    if key.endswith("activation") and _names_hard_sigmoid(config):
        return {
            "module": "builtins",
            "class_name": "function",
            "config": _OLD_SLOPE,
            "registered_name": "function",
        }
    if isinstance(config, list):
        return [_with_old_slope(item, key) for item in config]
    if isinstance(config, dict):
        return {name: _with_old_slope(value, str(name)) for name, value in config.items()}
    return config


def _names_hard_sigmoid(value):
    if isinstance(value, dict):
        return value.get("class_name") == "function" and value.get("config") == _HARD_SIGMOID
    return value == _HARD_SIGMOID
