"""Everything a training run is made of, as plain data and arrays: to save, and to resume from."""

import random
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from kerasish.callbacks.base.callback import Callback
from kerasish.core.state import seeds
from kerasish.core.state.variable import Variable

_ARRAY = "__array__"


class RunState(NamedTuple):
    """A run at one moment.

    Attributes:
        meta: What JSON can hold: the epoch, its batches done, the position in the data, the
            callbacks.
        arrays: Names to arrays: `model/0`, `optimizer/3`, ...
    """

    meta: dict
    arrays: dict[str, Any]


def collect(model: Any, callbacks: Sequence[Callback], epoch: int, batch: int) -> RunState:
    """The run as it stands now, in a `fit`.

    Args:
        model: The model.
        callbacks: Those of the run, whose states are part of it.
        epoch: The epoch.
        batch: Number of its batches that are done.
    """
    arrays = model_arrays(model)
    numpy_state = np.random.get_state(legacy=False)
    arrays["random/numpy"] = numpy_state["state"]["key"]
    version, python_state, gauss = random.getstate()
    arrays["random/python"] = np.array(python_state, "uint32")
    meta = {
        "epoch": epoch,
        "batch": batch,
        "data": model.place_in_data(),
        "trainable": [layer.trainable for layer in model._flatten_layers()],
        "python": [version, gauss],
        "numpy": [numpy_state["state"]["pos"], numpy_state["has_gauss"], numpy_state["gauss"]],
        "callbacks": {
            name: _pack(callback.get_state(), arrays, f"callbacks/{name}")
            for name, callback in _named(callbacks)
        },
    }
    return RunState(meta, arrays)


def restore(state: RunState, model: Any, callbacks: Sequence[Callback], where: str) -> None:
    """Put a run's state into a model and callbacks.

    Args:
        state: What `collect` gave.
        model: The model, built.
        callbacks: Those of the new run; one without a saved state begins anew.
        where: Whose state it is, for errors: "the backup in /tmp/x".
    """
    meta, arrays = state
    build(model, where)
    _freeze_as(model, meta.get("trainable"))
    set_variables(model, arrays, where, new_epoch=not meta["batch"])
    version, gauss = meta["python"]
    random.setstate((version, tuple(map(int, arrays["random/python"])), gauss))
    np.random.set_state(("MT19937", np.asarray(arrays["random/numpy"]), *meta["numpy"]))
    for name, callback in _named(callbacks):
        if meta["callbacks"].get(name):
            callback.set_state(_unpack(meta["callbacks"][name], arrays))


def _freeze_as(model, trainable):
    """Freeze the layers that a callback, say, had frozen in the run."""
    layers = list(model._flatten_layers())
    if trainable is None or trainable == [layer.trainable for layer in layers]:
        return
    if len(trainable) == len(layers):
        for layer, value in zip(layers, trainable, strict=True):
            layer.trainable = value
        model._step("train")  # lets the optimizer follow


def variables_of(model: Any) -> dict[str, list[Variable]]:
    """A model's Variables by kind: its own, its optimizer's, its metrics', the global seed.

    Args:
        model: The model, built.
    """
    metrics = model.metrics_variables
    known = {id(v) for v in metrics}
    return {
        "model": [v for v in model.variables if id(v) not in known],
        "optimizer": model.optimizer.variables if model.compiled else [],
        "metrics": metrics,
        "seed": [seeds.global_seed_generator().state],
    }


def model_arrays(model: Any) -> dict[str, Any]:
    """The arrays of all of a model's Variables by name, on their devices.

    Args:
        model: The model, built.
    """
    return {
        f"{kind}/{i}": variable.read()
        for kind, variables in variables_of(model).items()
        for i, variable in enumerate(variables)
    }


def set_variables(model: Any, arrays: dict, where: str, new_epoch: bool = True) -> None:
    """Give Variables the values of arrays as `model_arrays` names them.

    Args:
        model: The model, built.
        arrays: Names to arrays; kinds of which there is none stay as they are.
        where: Whose they are, for errors.
        new_epoch: Whether metrics start anew anyway, so that theirs need not fit.
    """
    build(model, where)
    pairs = []
    for kind, variables in variables_of(model).items():
        values = [value for name, value in arrays.items() if name.startswith(f"{kind}/")]
        if [v.shape for v in variables] == [value.shape for value in values]:
            pairs += zip(variables, values, strict=True)
        elif kind == "metrics":
            if not new_epoch:
                warnings.warn("The epoch's metrics begin anew.", stacklevel=4)
        elif values and (variables or kind == "model"):  # not compiled: weights only
            raise ValueError(
                f"{where} is of another {kind}: it has {len(values)} arrays where there are "
                f"{len(variables)}, or others' shapes. Use a folder of its own for each run."
            )
    for variable, value in pairs:
        variable.assign(value)


def build(model: Any, where: str) -> None:
    """Make sure that all Variables are there.

    Args:
        model: The model.
        where: What is restored, for the error.
    """
    if not model.built:
        raise ValueError(
            f"{where}: model {model.name!r} must be built to resume from there. Call it on a "
            "batch, or `build(input_shape)`, first."
        )
    if model.compiled:
        model.optimizer.build(model.trainable_variables)


def _named(callbacks: Sequence[Callback]) -> Iterator[tuple[str, Callback]]:
    """Callbacks with the names of their classes, numbered where there are several."""
    seen: dict[str, int] = {}
    for callback in callbacks:
        name = type(callback).__name__
        number = seen[name] = seen.get(name, -1) + 1
        yield (f"{name}_{number}" if number else name), callback


def _pack(value, arrays, path):
    """A value as JSON can hold it; arrays in it go into `arrays`."""
    if isinstance(value, np.ndarray | np.generic | jax.Array | Variable):
        arrays[path] = np.array(value)
        return {_ARRAY: path}
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _pack(item, arrays, f"{path}/{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_pack(item, arrays, f"{path}/{i}") for i, item in enumerate(value)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    name = path.split("/")[1]
    raise TypeError(
        f"{name}: `get_state` must return numbers, strings, arrays, None, and lists and dicts of "
        f"them with strings for keys; got {value!r}."
    )


def _unpack(value, arrays):
    if isinstance(value, list):
        return [_unpack(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {_ARRAY}:
        return np.asarray(arrays[value[_ARRAY]])[()]
    return {key: _unpack(item, arrays) for key, item in value.items()}
