"""What tab completion offers: the names that users write, and no others."""

import types

import pytest

import kerasish as keras
from kerasish import layers


def public_modules(module, path="keras"):
    yield path, module
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if isinstance(value, types.ModuleType) and value.__name__.startswith("kerasish."):
            yield from public_modules(value, f"{path}.{name}")


MODULES = dict(public_modules(keras))


@pytest.mark.parametrize("path", sorted(MODULES.keys() - {"keras.backend"}))
def test_modules_list_public_names(path):
    shown = {name for name in dir(MODULES[path]) if not name.startswith("__")}
    assert shown == set(MODULES[path].__all__)


def test_every_module_is_looked_at():
    assert len(MODULES) > 50
    assert {"keras.ops.numpy", "keras.datasets.mnist", "keras.optimizers.schedules"} <= set(MODULES)


def test_dir_still_has_what_python_needs():
    assert {"__doc__", "__file__", "__name__", "__version__"} <= set(dir(keras))


def test_layers_and_models_list_no_inner_names():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, name="out")])
    hidden = {"adapted_weight", "old_arguments", "place_in_data", "resume_from"}
    for part in (model, model.layers[0], layers.LSTM(1)):
        assert not hidden & set(dir(part))
    assert {"fit", "summary", "weights", "layers"} <= set(dir(model))
    assert {"kernel", "bias", "units"} <= set(dir(model.layers[0]))
    model.mine = 3  # the user's own
    assert "mine" in dir(model)
