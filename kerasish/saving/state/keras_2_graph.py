"""Graphs of layers in configs that Keras 1 and 2 wrote, in the form of Keras 3.

There a call is a list of references `[layer, call, output, keyword arguments]`, and calls of a
model within are counted from 1: its own making was the first.
"""

from collections.abc import Iterator
from typing import Any

_MODELS = ("Model", "Functional", "Sequential")
_RECURRENT = ("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "LSTM", "RNN")
_RECURRENT += ("SimpleRNN", "CuDNNGRU", "CuDNNLSTM")


def is_older_config(config: Any) -> bool:
    """Whether the config of a model is in a form that only Keras 1 and 2 wrote.

    Args:
        config: The plain data.
    """
    if isinstance(config, list):
        return bool(config) and all(isinstance(x, dict) and "class_name" in x for x in config)
    if not isinstance(config, dict):
        return False
    layers = config.get("layers")
    if not isinstance(layers, list):
        inner = config.get("config")
        return isinstance(inner, list | dict) and is_older_config(inner)
    return any(map(_is_older_layer, layers))


def _is_older_layer(element):
    if not isinstance(element, dict):
        return False
    inner, nodes = element.get("config"), element.get("inbound_nodes") or []
    has_shape = isinstance(inner, dict) and "batch_input_shape" in inner
    return has_shape or any(isinstance(node, list) for node in nodes) or is_older_config(inner)


def without_slashes(config: Any) -> Any:
    """A config in which names of layers have no `/`, which parts paths in files.

    Args:
        config: The plain data of a model.
    """
    names = {name for name in _names_in(config) if "/" in name}
    if not names:
        return config
    return _with_names(config, {name: name.replace("/", "_") for name in names})


def _names_in(config) -> Iterator[str]:
    if isinstance(config, list):
        for item in config:
            yield from _names_in(item)
    elif isinstance(config, dict):
        inner = config.get("config")
        if (
            "class_name" in config
            and isinstance(inner, dict)
            and isinstance(inner.get("name"), str)
        ):
            yield inner["name"]
        for item in config.values():
            yield from _names_in(item)


def _with_names(config, names):
    if isinstance(config, str):
        return names.get(config, config)
    if isinstance(config, list):
        return [_with_names(item, names) for item in config]
    if isinstance(config, dict):
        return {names.get(k, k): _with_names(value, names) for k, value in config.items()}
    return config


def with_calls(config: dict) -> dict:
    """A functional model's config whose calls are in the form of Keras 3.

    Args:
        config: The `config` within that of the model.
    """
    layers = [x for x in config["layers"] if isinstance(x, dict) and isinstance(x.get("name"), str)]
    kinds = {layer["name"]: layer.get("class_name") for layer in layers}
    counts = {layer["name"]: len(layer.get("inbound_nodes") or []) for layer in layers}
    last: dict[str, int] = {}
    ends = [config.get("input_layers"), config.get("output_layers")]
    for name, call, _ in _references([[x.get("inbound_nodes") for x in layers], ends], kinds):
        last[name] = max(last.get(name, 0), call)
    from_one = {n for n, kind in kinds.items() if kind in _MODELS and last.get(n) == counts[n] > 0}

    def call_of(reference):
        return reference[1] - (reference[0] in from_one)

    def end(reference):
        own = kinds[reference[0]] in ("Model", "Functional")  # as Keras 3 counts at the ends
        return [reference[0], call_of(reference) + own, reference[2]]

    def modern(layer):
        nodes = layer.get("inbound_nodes") or []
        if not any(isinstance(node, list) for node in nodes):
            return layer
        found = [_modern_call(node, layer.get("class_name"), kinds, call_of) for node in nodes]
        return {**layer, "inbound_nodes": found}

    ends = {
        key: _mapped(config[key], kinds, end)
        for key in ("input_layers", "output_layers")
        if key in config
    }
    return {**config, "layers": [modern(x) for x in config["layers"]], **ends}


def _is_reference(x, names):
    return (
        isinstance(x, list)
        and len(x) in (3, 4)
        and isinstance(x[0], str)
        and x[0] in names
        and all(isinstance(n, int) for n in x[1:3])
    )


def _references(tree, names) -> Iterator[tuple]:
    if _is_reference(tree, names):
        yield tuple(tree[:3])
        tree = tree[3:]
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, list):
        for item in tree:
            yield from _references(item, names)


def _mapped(tree, names, function):
    """The data with each reference replaced."""
    if _is_reference(tree, names):
        return function(tree)
    if isinstance(tree, list):
        return [_mapped(item, names, function) for item in tree]
    if isinstance(tree, dict):
        return {key: _mapped(item, names, function) for key, item in tree.items()}
    return tree


def _modern_call(node, kind, names, call_of):
    def tensor(reference):
        history = [reference[0], call_of(reference), reference[2]]
        return {"class_name": "__keras_tensor__", "config": {"keras_history": history}}

    if not isinstance(node, list):
        return {"args": [_mapped(node, names, tensor)], "kwargs": {}}
    if node and not isinstance(node[0], list):
        node = [node]
    constants = {i for i, x in enumerate(node) if x and x[0] == "_CONSTANT_VALUE"}
    parts = [x[2] if i in constants else tensor(x) for i, x in enumerate(node)]
    kwargs = next((x[3] for x in node if len(x) > 3 and x[3]), {})
    kwargs: Any = _mapped(kwargs, names, tensor)
    if len(parts) > 1 and kind in _RECURRENT:  # the states came along with the input
        return {"args": parts[:1], "kwargs": {"initial_state": parts[1:], **kwargs}}
    return {"args": [parts[0] if len(parts) == 1 else parts], "kwargs": kwargs}
