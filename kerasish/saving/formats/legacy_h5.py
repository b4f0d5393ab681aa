"""The older `.h5` files: a config in an attribute, and a group of named weights for each layer."""

import itertools
import json
import re
import warnings
import zlib
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from kerasish.core.serialization.serialize import serialize_keras_object
from kerasish.saving.formats.cudnn_weights import Converted, from_cudnn
from kerasish.saving.formats.h5_dataset import write_array
from kerasish.saving.formats.h5_reader import Tree
from kerasish.saving.io import bounded_json
from kerasish.saving.io.file_window import BadFile
from kerasish.saving.state.model_from_config import make_model

_COMPILED = ("loss", "loss_weights", "metrics", "weighted_metrics")
_SUM = "sum"
_OWN = "top_level_model_weights"
_NUMBERED = re.compile(r"(.*?)(?:_(\d{1,9}))?", re.DOTALL)  # a layer's name, and its number
_HEADER_LIMIT = 64512  # bytes that HDF5 has for an attribute


# -- writing


def save_model(model: Any, path: Any, include_optimizer: bool, version: str) -> None:
    """Write a whole model as Keras writes `.h5` files.

    Args:
        model: The model.
        path: Path of the file.
        include_optimizer: Whether to write the optimizer too.
        version: Version of Keras to write down.
    """
    learnt = [layer.name for layer in model._flatten_layers() if _has_assets(layer)]
    if learnt:
        warnings.warn(
            f"{path}: the older HDF5 format holds no vocabularies, and the layers {learnt} have "
            "learnt theirs. Save to a `.keras` file, or give the layers their `vocabulary`.",
            stacklevel=5,
        )
    with h5py.File(path, "w") as h5:
        h5.attrs["keras_version"] = version
        h5.attrs["backend"] = "jax"
        h5.attrs["model_config"] = json.dumps(_config_of(model))
        group = h5.create_group("model_weights")
        group.attrs["backend"], group.attrs["keras_version"] = "jax", version
        _write_names(group, "layer_names", [layer.name for layer in model.layers])
        for layer in model.layers:
            _write_weights(group.create_group(layer.name), _weights_of(layer))
        _write_weights(group.create_group(_OWN), _own_weights(model))
        if include_optimizer and model.compiled:
            h5.attrs["training_config"] = json.dumps(_training_config(model))
            _write_weights(h5.create_group("optimizer_weights"), model.optimizer.variables)
        h5.attrs[_SUM] = _sum_of_strings(h5)


def _has_assets(layer):
    """Whether a layer has learnt something that is neither in its config nor in its weights."""
    return bool(getattr(layer, "has_assets", False))


def _sum_of_strings(h5):
    """What Keras does not look at: a checksum of the configs, as arrays have theirs."""
    strings = (h5.attrs.get(name, "") for name in ("model_config", "training_config"))
    return np.uint32(zlib.crc32("".join(map(str, strings)).encode(errors="surrogateescape")))


def _config_of(model):
    config = serialize_keras_object(model)
    config.pop("compile_config", None)
    return config


def _training_config(model):
    config = model.get_compile_config()
    return {"optimizer_config": config["optimizer"], **{name: config[name] for name in _COMPILED}}


def _write_names(group, attribute, names):
    data = np.array([name.encode() for name in names]) if names else np.zeros(0, "S1")
    pieces = max(1, -(-data.nbytes // _HEADER_LIMIT))
    for i, piece in enumerate(np.array_split(data, pieces)):
        group.attrs[f"{attribute}{i}" if pieces > 1 else attribute] = piece


def _write_weights(group, variables):
    _write_names(group, "weight_names", [v.path for v in variables])
    for variable in variables:
        write_array(group, variable.path, variable.numpy())


# -- reading


def load_model(
    tree: Tree, custom_objects: Mapping[str, Any] | None, compile: bool, safe_mode: bool
) -> Any:
    """Read a whole model.

    Args:
        tree: The file, open to read.
        custom_objects: Classes and functions by the names that the config has.
        compile: Whether to compile it as the file says.
        safe_mode: Whether to refuse code in the file.
    """
    if _SUM in tree.h5.attrs and tree.h5.attrs[_SUM] != _sum_of_strings(tree.h5):
        raise BadFile(f"{tree.where} is damaged: the checksum of its configs does not fit.")
    config = _json_attribute(tree, "model_config")
    if config is None:
        raise BadFile(
            f"{tree.where} has no model config: it holds only weights. Make the model, then "
            "`load_weights`."
        )
    training = _json_attribute(tree, "training_config") if compile else None
    if compile and training is None:
        warnings.warn(f"{tree.where} does not say how to compile the model.", stacklevel=3)
    if training is not None:
        named = {name: training.get(name) for name in _COMPILED}
        named["optimizer"] = training.get("optimizer_config")
        config["compile_config"] = named
    version = tree.h5.attrs.get("keras_version")
    model = make_model(config, tree.where, tree.size, custom_objects, safe_mode, version)
    load_weights(model, tree)
    if training is not None:
        _load_optimizer(model, tree)
    return model


def _json_attribute(tree, name):
    text = tree.h5.attrs.get(name)
    if text is None:
        return None
    return bounded_json.parse(text, tree.where, f"its {name!r}")


def _load_optimizer(model, tree):
    group = tree.group("optimizer_weights")
    if group is None:
        warnings.warn(
            f"{tree.where} holds no optimizer state; the optimizer starts anew.", stacklevel=4
        )
        return
    arrays, state = [a for _, a in _arrays(tree, group)], model.optimizer.variables
    if _mismatch(state, arrays):
        warnings.warn(
            f"{tree.where}: the optimizer's state does not fit; it starts anew.", stacklevel=4
        )
        return
    _assign(tree, list(zip(state, arrays, strict=True)))


def load_weights(
    model: Any, tree: Tree, by_name: bool | None = False, skip_mismatch: bool = False
) -> None:
    """Load weights layer by layer: in order, or by the layers' names; all of them or none.

    Args:
        model: The model.
        tree: The file, open to read.
        by_name: Whether layers are matched by name.
        skip_mismatch: Whether to leave out layers that do not fit.
    """
    whole = {"layer_names", "layer_names0"} & set(tree.h5.attrs)
    group = tree.group("" if whole else "model_weights")
    if group is None:
        raise BadFile(f"{tree.where} holds no weights of layers.")
    pairs = _by_name(model, tree, group) if by_name else _in_order(model, tree, group)
    own = tree.group(_OWN, group)
    if own is not None:
        pairs.append((model.name, _own_weights(model), _arrays(tree, own)))
    found = []
    for name, variables, stored in pairs:
        arrays = from_cudnn(variables, _in_order_of(variables, stored))
        problem = _mismatch(variables, arrays)
        if problem and not skip_mismatch:
            raise ValueError(f"{tree.where} does not fit layer {name!r}: {problem}")
        if problem:
            warnings.warn(f"Skipped layer {name!r}: {problem}", stacklevel=4)
            continue
        found += zip(variables, arrays, strict=True)
    _assign(tree, found)


def _in_order_of(variables, stored):
    """A layer's arrays as its weights stand: by their names, where these say which is which.

    A nested model's are listed trained ones first, so their order is that of the model which was
    saved, with what was frozen then.
    """
    arrays = [array for _, array in stored]
    names = [name.split(":")[0].split("/") for name, _ in stored]
    paths = [variable.path.split("/") for variable in variables]
    for theirs, ours in ((names, paths), (_ranked(names), _ranked(paths))):
        for depth in range(1, max(map(len, ours), default=0) + 1):
            keys = [tuple(name[-depth:]) for name in theirs]
            found = dict(zip(keys, arrays, strict=True))
            wanted = [tuple(path[-depth:]) for path in ours]
            if len(found) == len(arrays) == len({*wanted}) and {*wanted} == {*found}:
                return [found[key] for key in wanted]
    return arrays


def _ranked(paths):
    """Paths with numbers of layers made anew from 0, as they are in a model made before others."""
    matches = [[_NUMBERED.fullmatch(part) for part in path[:-1]] for path in paths]
    parts = [[match.groups() for match in row if match] for row in matches]
    numbers: dict[str, set] = {}
    for base, number in itertools.chain.from_iterable(parts):
        numbers.setdefault(base, set()).add(int(number or 0))
    rank = {(b, n): i for b, found in numbers.items() for i, n in enumerate(sorted(found))}
    return [
        [*(f"{base}_{rank[base, int(number or 0)]}" for base, number in before), path[-1]]
        for before, path in zip(parts, paths, strict=True)
    ]


def _assign(tree, pairs):
    begun = [(variable, _begin(tree, array)) for variable, array in pairs]
    values = [(variable, wait()) for variable, wait in begun]  # all are whole, or none is taken
    for variable, value in values:
        variable.assign(value)


def _begin(tree, array):
    if not isinstance(array, Converted):
        return tree.begin(array, array.shape)
    wait = tree.begin(array.stored, array.stored.shape)
    return lambda: array.convert(wait())


def _by_name(model, tree, group):
    layers = {layer.name: layer for layer in model.layers}
    stored = tree.names(group, "layer_names")
    ours = {name: name if name in layers else name.replace("/", "_") for name in stored}
    return [
        (name, _weights_of(layers[ours[name]]), _layer_arrays(tree, group, name))
        for name in stored
        if ours[name] in layers
    ]


def _in_order(model, tree, group):
    layers = [layer for layer in model.layers if _weights_of(layer)]
    stored = [(n, _layer_arrays(tree, group, n)) for n in tree.names(group, "layer_names")]
    stored = [(name, arrays) for name, arrays in stored if arrays]
    if len(layers) != len(stored):
        raise ValueError(
            f"{tree.where} has weights for {len(stored)} layers; the model has {len(layers)} "
            "layers with weights. `by_name=True` loads those that have the same name."
        )
    return [
        (layer.name, _weights_of(layer), arrays)
        for layer, (_, arrays) in zip(layers, stored, strict=True)
    ]


def _mismatch(variables, arrays):
    if len(variables) != len(arrays):
        return f"it has {len(variables)} weights; the file has {len(arrays)}."
    for variable, array in zip(variables, arrays, strict=True):
        if variable.shape != array.shape:
            shapes = f"{variable.shape}; the file's has {array.shape}"
            return f"weight {variable.name!r} has shape {shapes}."
    return ""


def _layer_arrays(tree, group, name):
    inner = tree.group(name, group)
    return [] if inner is None else _arrays(tree, inner)


def _arrays(tree, group):
    """Names of a layer's arrays, and where they are in the file: only what fits is read."""
    return [(name, tree.dataset(group, name)) for name in tree.names(group, "weight_names")]


def _weights_of(layer):
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _own_weights(model):
    return model._own_variables()
