"""Every public name of Keras 3 is here, with its arguments in order and their defaults.

What is not, or not the same, stands in a table below, with the reason.
"""

import importlib
import inspect
import pathlib
import types

import keras
import pytest

import kerasish

QUANTIZED = "quantization is a part of its own"
ABSENT = {
    "keras.Quantizer": QUANTIZED,
    "keras.dtype_policies.AWQDTypePolicy": QUANTIZED,
    "keras.dtype_policies.GPTQDTypePolicy": QUANTIZED,
    "keras.dtype_policies.Int4DTypePolicy": QUANTIZED,
    "keras.dtype_policies.QuantizedDTypePolicy": QUANTIZED,
    "keras.dtype_policies.QuantizedFloat8DTypePolicy": QUANTIZED,
}
NO_TF_DATA = "tf.data is not a dependency: without `format`, arrays come in kerasish's own form"
OTHER = {
    ("keras.export.ExportArchive", "format"): "StableHLO needs no TensorFlow, a SavedModel does",
    ("keras.layers.EinsumDense", "gptq_unpacked_column_size"): QUANTIZED,
    ("keras.layers.EinsumDense", "quantization_config"): QUANTIZED,
    ("keras.preprocessing.timeseries_dataset_from_array", "format"): NO_TF_DATA,
    ("keras.utils.timeseries_dataset_from_array", "format"): NO_TF_DATA,
}
LEFT_OUT = ("src", "_tf_keras", "applications", "quantizers")
PARAMETER = inspect.Parameter


def public_names():
    """Each public name of Keras: where it stands, and what it is."""
    root = pathlib.Path(keras.__file__).parent
    for path in sorted(root.rglob("__init__.py")):
        parts = path.relative_to(root).parent.parts
        if parts and parts[0] in LEFT_OUT:
            continue
        module = importlib.import_module(".".join(("keras", *parts)))
        for name, value in sorted(vars(module).items()):
            if not name.startswith("_") and (parts or name not in LEFT_OUT):
                yield ".".join(("keras", *parts, name)), value


NAMES = dict(public_names())


def ours(path):
    """What has the same name here; an AttributeError if nothing has."""
    found = kerasish
    for name in path.split(".")[1:]:
        found = getattr(found, name)
    return found


def test_every_name_is_here():
    absent = []
    for path in NAMES:
        try:
            ours(path)
        except AttributeError:
            absent.append(path)
    assert len(NAMES) > 1300
    assert sorted(absent) == sorted(ABSENT)


def parameters(item):
    """The arguments of a function or class, those of bases that `**kwargs` pass on included."""
    found = dict(inspect.signature(item).parameters)
    if not inspect.isclass(item):
        return found
    for base in item.__mro__:
        if "__init__" in vars(base) and base is not object:
            own = list(inspect.signature(base.__init__).parameters.values())[1:]
            for each in own:
                found.setdefault(each.name, each)
            if not any(each.kind is PARAMETER.VAR_KEYWORD for each in own):
                break
    return found


def by_position(item):
    kinds = PARAMETER.POSITIONAL_ONLY, PARAMETER.POSITIONAL_OR_KEYWORD
    return [p.name for p in inspect.signature(item).parameters.values() if p.kind in kinds]


def same(first, second):
    """Whether two defaults mean the same: equal, or functions or classes of one name."""
    if first is second or (type(first) is type(second) and first == second):
        return True
    if callable(first) and callable(second):
        return first.__name__ == second.__name__
    return "object at" in repr(first) and type(first).__name__ == type(second).__name__


def differences(path):
    """The arguments of Keras' that are missing here, stand elsewhere or have another default."""
    theirs, mine = NAMES[path], ours(path)
    taken, places = parameters(mine), by_position(mine)
    for place, name in enumerate(by_position(theirs)):
        if places[place : place + 1] != [name]:
            yield name
    for name, parameter in inspect.signature(theirs).parameters.items():
        if parameter.kind in (PARAMETER.VAR_KEYWORD, PARAMETER.VAR_POSITIONAL):
            continue
        if name not in taken:
            yield name
        elif parameter.default is PARAMETER.empty:
            continue  # what Keras requires may have a default here
        elif not same(parameter.default, taken[name].default):
            yield name


CALLABLE = [
    path
    for path, value in NAMES.items()
    if callable(value) and not isinstance(value, types.ModuleType) and path not in ABSENT
]


def test_every_argument_is_keras():
    found = {(path, name) for path in CALLABLE for name in differences(path)}
    assert found == set(OTHER)


EVERY_LAYER = "activity_regularizer", "trainable", "dtype", "autocast", "name"


def test_every_layer_takes_what_keras_layers_take():
    lost = []
    for path in CALLABLE:
        theirs = NAMES[path]
        if inspect.isclass(theirs) and issubclass(theirs, keras.Layer):
            bases = [c.__name__ for c in theirs.__mro__]
            images = "BaseImagePreprocessingLayer" in bases
            wanted = (*EVERY_LAYER, *(("bounding_box_format", "data_format") if images else ()))
            theirs, mine = parameters(theirs), parameters(ours(path))
            lost += [(path, name) for name in wanted if name in theirs and name not in mine]
    assert not lost


# Of use in a `with` statement alone: functions that make contexts.
CONTEXTS = {
    "keras.name_scope",
    *(f"keras.{part}.CustomObjectScope" for part in ("saving", "utils")),
    *(f"keras.{part}.custom_object_scope" for part in ("saving", "utils")),
}


def test_classes_are_classes():
    """What a program subclasses or asks `isinstance` of is a class here too."""
    kinds = [path for path in CALLABLE if inspect.isclass(NAMES[path])]
    other = {path for path in kinds if not inspect.isclass(ours(path))}
    assert other == CONTEXTS


FOREIGN = {
    "TFSMLayer": (NotImplementedError, "TensorFlow backend"),
    "TorchModuleWrapper": (NotImplementedError, "PyTorch backend"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_cannot_be_on_jax_says_so(name):
    error, message = FOREIGN[name]
    with pytest.raises(error, match=message):
        getattr(kerasish.layers, name)("x")


def test_old_optimizers_say_what_to_use():
    with pytest.raises(ImportError, match=r"Use the one of the same name"):
        kerasish.optimizers.legacy.Adam(1e-3)
