"""Images scaled as Keras scales them, and classes named as it names them."""

import hashlib
import json

import keras
import numpy as np
import pytest

import kerasish
from kerasish.applications import imagenet_utils

MODULES = [
    name for name in kerasish.applications.__all__ if name.islower() and name != "imagenet_utils"
]
LAYOUTS = {"channels_last": (4, 5, 3), "channels_first": (3, 4, 5)}
NAMES = {str(i): [f"n{i:08}", f"class {i}"] for i in range(1000)}


def images(shape, dtype):
    return np.random.default_rng(0).uniform(0, 255, shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int32"])
@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("data_format", LAYOUTS)
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_arrays_are_scaled_as_by_keras(mode, data_format, batch, dtype):
    x = images(batch + LAYOUTS[data_format], dtype)
    before = x.copy()
    found = imagenet_utils.preprocess_input(x, data_format, mode)
    wanted = keras.applications.imagenet_utils.preprocess_input(x.copy(), data_format, mode)
    assert isinstance(found, np.ndarray)
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-3 if dtype == "float16" else 1e-6)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("batch", [(), (2,)])
@pytest.mark.parametrize("data_format", LAYOUTS)
@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_tensors_and_symbols_are_scaled_as_by_keras(mode, data_format, batch):
    x = images(batch + LAYOUTS[data_format], "float32")
    wanted = keras.applications.imagenet_utils.preprocess_input(
        keras.ops.convert_to_tensor(x), data_format, mode
    )
    tensor = kerasish.ops.convert_to_tensor(x)
    found = imagenet_utils.preprocess_input(tensor, data_format, mode)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-5)
    symbol = kerasish.Input(batch_shape=x.shape)
    scaled = imagenet_utils.preprocess_input(symbol, data_format, mode)
    assert scaled.shape == x.shape
    model = kerasish.Model(symbol, scaled)
    np.testing.assert_allclose(model(tensor), wanted, rtol=1e-6, atol=1e-5)


def test_integers_of_a_graph_become_floats():
    x = images((2, 4, 5, 3), "uint8")
    image = kerasish.Input((None, None, 3), dtype="uint8")
    model = kerasish.Model(image, imagenet_utils.preprocess_input(image))
    wanted = keras.applications.imagenet_utils.preprocess_input(x.astype("float32"))
    np.testing.assert_allclose(model(x), wanted, rtol=1e-6)


@pytest.mark.parametrize("module", MODULES)
def test_each_module_scales_as_its_namesake(module):
    x = images((2, 4, 5, 3), "float32")
    ours, theirs = (getattr(m.applications, module) for m in (kerasish, keras))
    np.testing.assert_allclose(ours.preprocess_input(x), theirs.preprocess_input(x.copy()), 1e-5)
    assert ours.decode_predictions is imagenet_utils.decode_predictions


@pytest.mark.parametrize(
    ("shape", "options", "text"),
    [
        ((4, 4, 3), {"mode": "pytorch"}, r"`mode` must be one of \('caffe', 'tf', 'torch'\)"),
        ((4, 4, 3), {"data_format": "last"}, r"`data_format` must be one of"),
        ((4, 4, 4), {}, r"images with 3 colours in axis 2, channels_last; got \(4, 4, 4\)"),
        ((4, 4, 3), {"data_format": "channels_first"}, r"3 colours in axis 0, channels_first"),
        ((4, 3), {"mode": "torch"}, r"images with 3 colours"),
    ],
)
def test_images_of_another_form_are_refused(shape, options, text):
    with pytest.raises(ValueError, match=text):
        imagenet_utils.preprocess_input(np.ones(shape), **options)


@pytest.fixture
def names(tmp_path, monkeypatch):
    """A file of names, in place of the network's."""
    origin = tmp_path / "index.json"
    origin.write_text(json.dumps(NAMES))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(imagenet_utils, "CLASS_INDEX_PATH", origin.as_uri())
    monkeypatch.setattr(
        imagenet_utils, "CLASS_INDEX_HASH", hashlib.md5(origin.read_bytes()).hexdigest()
    )
    imagenet_utils._names.cache_clear()
    yield tmp_path / "home" / "models" / "imagenet_class_index.json"
    imagenet_utils._names.cache_clear()


@pytest.mark.parametrize("top", [1, 5, 1000])
def test_predictions_are_named_as_by_keras(names, monkeypatch, top):
    monkeypatch.setattr(keras.src.applications.imagenet_utils, "CLASS_INDEX", NAMES)
    preds = np.random.default_rng(0).permutation(3000).reshape(3, 1000).astype("float32")
    found = imagenet_utils.decode_predictions(preds, top)
    assert found == keras.applications.imagenet_utils.decode_predictions(preds, top)
    assert found == imagenet_utils.decode_predictions(kerasish.ops.convert_to_tensor(preds), top)
    assert names.exists()


@pytest.mark.parametrize(
    ("shape", "top", "text"),
    [
        ((2, 10), 5, r"`preds` must be an array of shape \(batch, 1000\); got \(2, 10\)"),
        ((1000,), 5, r"`preds` must be an array of shape"),
        ((1, 1000), 0, r"`top` must be a positive integer; got 0"),
    ],
)
def test_other_predictions_are_refused(shape, top, text):
    with pytest.raises(ValueError, match=text):
        imagenet_utils.decode_predictions(np.zeros(shape), top)


def test_names_and_hash_are_those_of_keras():
    theirs = keras.src.applications.imagenet_utils
    assert theirs.CLASS_INDEX_PATH == imagenet_utils.CLASS_INDEX_PATH
    assert imagenet_utils.CLASS_INDEX_HASH == "c2c37ea517e94d9795004a39431a14cb"
