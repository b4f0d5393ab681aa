"""A public name that Keras has too takes Keras' arguments, in its order and with its defaults."""

import inspect
import types

import keras
import pytest

import kerasish

# Where kerasish does otherwise, and why.
OTHERWISE = {
    "ExportArchive.format": "there is no TensorFlow to write its own",
    "LayoutMap.device_mesh": "the mesh of the distribution, if none is given",
    "smart_resize.data_format": "`None`: the global one",
    "timeseries_dataset_from_array.format": "there is no TensorFlow to be the default",
}


def pairs(theirs, ours, path=""):
    """`(path, Keras' object, ours)` of all callables under public names that both have."""
    for name in sorted(n for n in dir(theirs) if not n.startswith("_") and hasattr(ours, n)):
        a, b = getattr(theirs, name), getattr(ours, name)
        if isinstance(a, types.ModuleType):
            if a.__name__.startswith("keras.") and path.count(".") < 3:
                yield from pairs(a, b, f"{path}{name}.")
        elif callable(a):
            yield f"{path}{name}", a, b


PAIRS = {path: found for path, *found in pairs(keras, kerasish)}


def arguments(function):
    """Names and defaults of the arguments, but of `*args` and `**kwargs`."""
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: p.default for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }


def takes_any(function):
    return any(p.kind == p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def alike(wanted, found):
    """Whether two defaults say the same; `(2, 2)` is 2, and one may be given where none is."""
    if isinstance(wanted, tuple) and wanted and set(wanted) == {found}:
        return True
    return wanted is inspect.Parameter.empty or repr(wanted) == repr(found)


@pytest.mark.parametrize("path", PAIRS)
def test_arguments_are_those_of_keras(path):
    theirs, ours = PAIRS[path]
    wanted, found = arguments(theirs), arguments(ours)
    name = path.rsplit(".", 1)[-1]
    for argument, default in wanted.items():
        if argument not in found:
            assert takes_any(ours), argument
        elif f"{name}.{argument}" not in OTHERWISE:
            assert alike(default, found[argument]), argument
    both = [argument for argument in wanted if argument in found]
    assert both == [argument for argument in found if argument in both]
