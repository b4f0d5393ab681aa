"""Names of older Keras say what replaced them, wherever they are asked for."""

import importlib

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers
from kerasish.core import departed_names

NAMES = [(path, name) for path, names in departed_names._MODULES.items() for name in names]


@pytest.mark.parametrize(("path", "name"), NAMES)
def test_departed_names_are_gone_and_say_so(path, name):
    module = importlib.import_module(f"kerasish.{path}".rstrip("."))
    assert not hasattr(module, name)
    with pytest.raises(AttributeError, match=f"`{name}` is no longer in .*: use "):
        getattr(module, name)


def test_what_is_named_instead_is_there():
    told = [text for names in departed_names._MODULES.values() for text in names.values()]
    for text in (*told, *departed_names.MODEL.values()):
        for path in (word for word in text.split("`") if word.startswith("keras.")):
            found = keras
            for part in path.partition("(")[0].split(".")[1:]:
                found = getattr(found, part)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("from kerasish.preprocessing.text import Tokenizer", "keras.layers.TextVectorization"),
        ("from kerasish.preprocessing.image import ImageDataGenerator", "image_dataset_from_dir"),
        ("from kerasish.preprocessing.sequence import TimeseriesGenerator", "timeseries_dataset"),
        ("from kerasish.layers import CuDNNLSTM", "keras.layers.LSTM"),
        ("from kerasish.wrappers import KerasClassifier", "SKLearnClassifier"),
        ("from kerasish import estimator", "SKLearnClassifier"),
    ],
)
def test_imports_say_so_too(line, told):
    with pytest.raises(ImportError, match=told):
        exec(line, {})


def test_other_names_are_as_ever():
    with pytest.raises(ImportError, match="cannot import name 'Dens'"):
        exec("from kerasish.layers import Dens", {})
    with pytest.raises(AttributeError, match="has no attribute 'Dens'"):
        _ = layers.Dens


def model():
    made = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize("name", departed_names.MODEL)
def test_methods_of_models(name):
    assert not hasattr(model(), name)
    with pytest.raises(AttributeError, match=f"`{name}` is no longer in Sequential: use"):
        getattr(model(), name)


def test_a_class_may_have_such_a_name_of_its_own():
    class Own(keras.Model):
        def predict_proba(self, x):
            return 7

    assert Own().predict_proba(1) == 7


def test_a_learning_rate_by_its_old_name_is_not_lost():
    optimizer = model().optimizer
    for deed in (lambda: optimizer.lr, lambda: setattr(optimizer, "lr", 0.1)):
        with pytest.raises(AttributeError, match="`lr` is no longer in SGD: use `learning_rate`"):
            deed()


# -- misspelt arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: layers.Dense(unit=3),
            r"Dense: the argument `units` is missing\. It was given 'unit'\. Did you mean 'units'",
        ),
        (lambda: layers.Conv2D(filter=3, kernel_size=2), "Conv2D: .*Did you mean 'filters'"),
        (
            lambda: layers.Embedding(output_dim=3),
            r"Embedding: the argument `input_dim` is missing\.",
        ),
        (
            lambda: keras.losses.Huber(delt=1.0),
            "Huber: unknown argument `delt`. Did you mean 'delta'",
        ),
        (lambda: keras.regularizers.L2(l22=1.0), "L2: unknown argument `l22`. Did you mean 'l2'"),
        (
            lambda: model().fit(np.ones((2, 3)), np.ones(2), epoch=3),
            "fit: unknown argument `epoch`. Did you mean 'epochs'",
        ),
        (
            lambda: model().compile(optimiser="sgd"),
            "compile: unknown argument `optimiser`. Di",
        ),
        (lambda: model().predict(np.ones((2, 3)), batchsize=3), "Did you mean 'batch_size'"),
    ],
)
def test_misspelt_arguments_get_a_suggestion(call, message):
    with pytest.raises(TypeError, match=message):
        call()
