"""Each application beside Keras': names, counts, configs, and outputs from Keras' weight files."""

import h5py
import jax
import keras
import numpy as np
import pytest
from keras.src.backend.common.variables import initialize_all_variables
from keras.src.legacy.saving import legacy_h5_format

import kerasish
from tests.support.keras_oracle import _differences, plain

# One of each family, with the smallest image it takes.
FAMILIES = {
    "ConvNeXtTiny": 32,
    "DenseNet121": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "InceptionResNetV2": 75,
    "InceptionV3": 75,
    "MobileNet": 32,
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "NASNetMobile": 32,
    "ResNet50": 32,
    "ResNet50V2": 32,
    "VGG16": 32,
    "Xception": 71,
}
QUICK = ("MobileNet", "MobileNetV3Small")  # whose outputs are compared in seconds
ALL = sorted(name for name in kerasish.applications.__all__ if name[0].isupper())
LESS = {"include_top": False, "pooling": "max"}
# Arguments that some have and others have not.
OWN = [
    ("MobileNet", {"alpha": 0.5, "depth_multiplier": 2, "dropout": 0.3}),
    ("MobileNetV2", {"alpha": 1.4}),
    ("MobileNetV2", {"alpha": 0.35, **LESS}),
    ("MobileNetV3Small", {"minimalistic": True, "alpha": 1.25, "dropout_rate": 0}),
    ("MobileNetV3Large", {"alpha": 0.75, "include_preprocessing": False}),
    ("EfficientNetV2B1", {"include_preprocessing": False}),
    ("EfficientNetV2S", LESS),
    ("ConvNeXtTiny", {"include_preprocessing": False, "name": "mine"}),
    ("ConvNeXtTiny", {"include_top": False, "pooling": "avg"}),
]

SCALING = (keras.layers.Rescaling, keras.layers.Normalization)


@pytest.fixture(autouse=True)
def nothing_left():
    """Let no later test give values to what Keras has yet to give some."""
    yield
    keras.utils.clear_session(free_memory=False)


def size_of(name):
    return max((size for family, size in FAMILIES.items() if name.startswith(family)), default=32)


def slow_but(quick):
    return [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in ALL]


def keras_model(builder, /, **options):
    """Keras' model, whose variables have no values yet: those take it long to draw."""
    keras.utils.clear_session(free_memory=False)
    with keras.StatelessScope(initialize_variables=False):
        return getattr(keras.applications, builder)(weights=None, **options)


def our_model(builder, /, **options):
    kerasish.utils.clear_session(free_memory=False)
    return getattr(kerasish.applications, builder)(**{"weights": None, **options})


def said(model):
    """All that two models of one architecture have alike."""
    return {
        "layers": [(layer.name, type(layer).__name__) for layer in model.layers],
        "operations": [operation.name for operation in model.operations],
        "weights": [(w.path, tuple(w.shape)) for w in model.weights],
        "trainable": [w.path for w in model.trainable_weights],
        "count": model.count_params(),
        "config": without_lists(model.get_config()),
        "shapes": [model.input_shape, model.output_shape],
    }


def without_lists(config):
    """Keras' layer normalization makes its axis a list when built."""
    if isinstance(config, dict):
        axis = config.get("axis")
        config = {**config, "axis": -1} if axis == [-1] else config
        return {key: without_lists(value) for key, value in config.items()}
    return list(map(without_lists, config)) if isinstance(config, list | tuple) else config


def assert_alike(ours, theirs):
    assert list(_differences(plain(ours), plain(theirs))) == []


def assert_same(builder, /, **options):
    theirs, ours = keras_model(builder, **options), our_model(builder, **options)
    assert_alike(said(ours), said(theirs))


@pytest.mark.parametrize("name", slow_but(FAMILIES))
def test_layers_weights_and_configs_are_those_of_keras(name):
    assert_same(name)


@pytest.mark.parametrize(("name", "options"), OWN)
def test_own_arguments_do_what_they_do_in_keras(name, options):
    assert_same(name, **options)


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("name", ["ResNet50", "EfficientNetV2B0", "ConvNeXtTiny"])
@pytest.mark.filterwarnings("ignore:.* is made for images of 1 or 3 channels:UserWarning")
def test_images_of_any_size_and_other_channels(name, channels):
    assert_same(name, include_top=False, input_shape=(None, None, channels))


@pytest.mark.parametrize("name", ["MobileNetV2", "EfficientNetB0", "VGG16"])
def test_channels_first(name):
    keras.config.set_image_data_format("channels_first")
    kerasish.config.set_image_data_format("channels_first")
    try:
        assert_same(name, include_top=False, input_shape=(3, 96, 80))
    finally:
        keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("name", ["ConvNeXtTiny", "DenseNet121", "NASNetMobile"])
def test_channels_first_is_refused_where_keras_refuses_it(name):
    kerasish.config.set_image_data_format("channels_first")
    with pytest.raises(ValueError, match=rf"{name} needs images with channels last"):
        our_model(name)


def after_convolution(module, name):
    x = module.Input((64, 64, 4), name="image")
    x = module.layers.Conv2D(3, 2, strides=2)(x)
    make = getattr(module.applications, name)
    return make(weights=None, include_top=False, input_tensor=x)


@pytest.mark.parametrize("name", ["MobileNetV2", "MobileNetV3Small", "EfficientNetB0"])
def test_a_model_may_go_on_from_a_tensor(name):
    keras.utils.clear_session(free_memory=False)
    theirs = said(after_convolution(keras, name))
    kerasish.utils.clear_session(free_memory=False)
    assert_alike(said(after_convolution(kerasish, name)), theirs)


# -- outputs


def value_for(variable, random):
    """The value of a variable, and whether it is scaled by the gain."""
    shape, name = tuple(variable.shape), variable.path.rsplit("/", 1)[-1]
    value = random.standard_normal(shape, dtype="float32")
    if "variance" in name or name in ("gamma", "variable"):
        return np.exp(0.1 * value), False
    if "kernel" in name:
        each = "depthwise" in variable.path or "dw" in variable.path  # channel has its own filter
        fan_in = shape[0] * shape[1] if each else np.prod(shape[:-1])
        return value / np.sqrt(fan_in, dtype="float32"), True
    return 0.1 * value, False


def keras_outputs(model, x):
    """Outputs with random weights that the model is left with.

    They are such that the images matter, and that rounding them does not: deep models with large
    weights may make a difference of 1e-7 in their input one of 1e-2 in their output.
    """
    initialize_all_variables()
    random = np.random.default_rng(0)
    values = [value_for(variable, random) for variable in model.weights]
    run = compiled(model)
    for gain in (1.5, 2, 2.5, 3, 4, 6, 12):
        for variable, (value, scaled) in zip(model.weights, values, strict=True):
            if scaled or gain == 1.5:
                variable.assign(value * gain**0.5 if scaled else value)
        for layer in model.layers:
            if isinstance(layer, keras.layers.Normalization):
                layer.finalize_state()  # it keeps what it computes from its weights
        found, nearby = run(x), run(x * np.float32(1 + 3e-7))
        largest = abs(found).max()
        matters = np.isfinite(found).all() and np.ptp(found, axis=0).max() > 1e-2 * largest
        if matters and abs(found - nearby).max() < 2e-5 * largest:
            return found
    raise AssertionError("no weights with which the images, but not their rounding, matter")


def compiled(model):
    """From images to what the model makes of them in inference, with the weights it has then."""
    run = jax.jit(lambda *given: model.stateless_call(*given, training=False)[0])

    def call(x):
        trained = [v.value for v in model.trainable_variables]
        return np.asarray(run(trained, [v.value for v in model.non_trainable_variables], x))

    return call


def write_older(model, path):
    with h5py.File(path, "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)


def assert_loads(tmp_path, builder, /, **options):
    size, random = size_of(builder), np.random.default_rng(1)
    options = {"input_shape": (size, size + 5, 3), "classifier_activation": None, **options}
    theirs = keras_model(builder, classes=7, **options)
    x = random.uniform(-1, 1, (2, *options["input_shape"])).astype("float32")
    if any(isinstance(layer, SCALING) for layer in theirs.layers):
        x = 127.5 * (x + 1)
    x[1] /= 5
    wanted = keras_outputs(theirs, x)
    paths = [tmp_path / "new.weights.h5", tmp_path / "older.h5"]
    theirs.save_weights(paths[0])
    write_older(theirs, paths[1])
    weights = [np.asarray(w) for w in theirs.weights]
    del theirs
    ours = our_model(builder, weights=paths[0], classes=7, **options)
    run, close = compiled(ours), {"rtol": 1e-4, "atol": 1e-4 * abs(wanted).max()}
    np.testing.assert_allclose(run(x), wanted, **close)
    for by_name in (None, True):
        for weight in ours.weights:
            weight.assign(np.zeros(weight.shape))
        ours.load_weights(paths[1], by_name=by_name)
        for one, other in zip(ours.weights, weights, strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(run(x), wanted, **close)


@pytest.mark.parametrize("name", slow_but(QUICK))
def test_weights_that_keras_wrote_give_keras_outputs(tmp_path, name):
    assert_loads(tmp_path, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_features_of_one_channel_are_those_of_keras(tmp_path, name):
    size = size_of(name)
    assert_loads(tmp_path, name, include_top=False, input_shape=(size, size + 5, 1))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), OWN)
def test_outputs_with_own_arguments_are_those_of_keras(tmp_path, name, options):
    assert_loads(tmp_path, name, **options)


def test_a_saved_model_is_read_with_layers_of_its_own(tmp_path):
    scale = keras.src.applications.inception_resnet_v2.CustomScaleLayer(0.3)
    gamma = keras.src.applications.convnext.LayerScale(0.5, 3)
    x = keras.Input((3,))
    theirs = keras.Model(x, gamma(scale([x, x])))
    theirs.save(tmp_path / "model.keras")
    ours = kerasish.saving.load_model(tmp_path / "model.keras")
    assert_alike(said(ours), said(theirs))
    x = np.arange(6, dtype="float32").reshape(2, 3)
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-6)
    ours.save(tmp_path / "ours.keras")
    again = kerasish.saving.load_model(tmp_path / "ours.keras")
    np.testing.assert_array_equal(again(x), ours(x))
