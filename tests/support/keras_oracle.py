"""One program run with kerasish and with Keras 3, its results held against each other."""

import warnings

import jax
import keras
import numpy as np

import kerasish


def both(program, *args):
    """Run `program(keras, *args)` with either, and fail with a list of all that differs."""
    results = []
    for module in (kerasish, keras):
        module.utils.clear_session(free_memory=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results.append(plain(program(module, *args)))
    differences = list(_differences(*results))
    assert not differences, "\n".join(["path: kerasish, then Keras", *differences])
    return results[0]


def plain(x):
    """Arrays as NumPy's, tuples as lists, policies by name, and no `mask` or `training` of calls.

    Keras writes the last two into a config whether or not they were given.
    """
    if isinstance(x, dict) and x.get("class_name") == "DTypePolicy":
        return x["config"]["name"]
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items() if not _is_noise(key, value)}
    if isinstance(x, list | tuple):
        return [plain(value) for value in x]
    if type(x).__name__ == "KerasTensor":
        return ["symbolic", list(x.shape), x.dtype]
    return np.asarray(x) if isinstance(x, jax.Array) or hasattr(x, "assign") else x


def _is_noise(key, value):
    if key in ("build_config", "compile_config"):  # what Keras builds at once has none
        return True
    return (key == "mask" and value is None) or (key == "training" and value in (None, False))


def _differences(ours, theirs, path=""):
    if isinstance(ours, np.ndarray) or isinstance(theirs, np.ndarray):
        ours, theirs = np.asarray(ours), np.asarray(theirs)
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            yield f"{path}: {ours.shape} {ours.dtype}, {theirs.shape} {theirs.dtype}"
        elif not np.allclose(ours.astype("float64"), theirs.astype("float64"), atol=1e-5):
            yield f"{path}: {ours}, {theirs}"
    elif isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() | theirs.keys()):
            if key in ours and key in theirs:
                yield from _differences(ours[key], theirs[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}: only in {'kerasish' if key in ours else 'Keras'}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(*pair, f"{path}[{i}]")
    elif type(ours) is not type(theirs) or ours != theirs:
        yield f"{path}: {ours!r}, {theirs!r}"


def fill(model):
    """Give a model (or layer) the same weights wherever it was made, and return it."""
    random = np.random.default_rng(0)
    values = [random.normal(size=w.shape).astype(w.dtype) for w in model.weights]
    names = [w.name for w in model.weights]
    pairs = zip(names, values, strict=True)
    model.set_weights([abs(v) if "variance" in name else v for name, v in pairs])
    return model


def weights(model):
    """What a file depends on: weights in order with shape and path, and their groups."""
    return {
        "name": model.name,
        "weights": [(w.path, w.shape, str(w.dtype)) for w in model.weights],
        "trainable": [w.path for w in model.trainable_weights],
        "non_trainable": [w.path for w in model.non_trainable_weights],
        "variables": [v.path for v in model.variables],
        "layers": [layer.name for layer in model.layers],
    }


def graph(model):
    """All that a functional model or built Sequential says of itself."""
    return {
        **weights(model),
        "config": model.get_config(),
        "count": model.count_params(),
        "inputs": model.inputs,
        "outputs": model.outputs,
        "input_shape": model.input_shape,
        "output_shape": model.output_shape,
    }


X = np.random.default_rng(1).normal(size=(5, 4)).astype("float32")
