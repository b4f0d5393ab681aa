"""Names of older Keras that are gone, and what replaced them."""

import dis
import sys
from collections.abc import Callable
from typing import Any

_IMAGES = "`keras.utils.image_dataset_from_directory`, and layers such as `RandomFlip`"
_TEXTS = "`keras.layers.TextVectorization`"
_PLAIN = "`keras.utils`, which has its functions directly"

# By module below `keras`: the name, and what to use.
_MODULES: dict[str, dict[str, str]] = {
    "": {
        "estimator": "`fit`, or `keras.wrappers.SKLearnClassifier`",
        "experimental": "the names without `experimental`",
        "engine": "the public names, `keras.layers.Layer`, say",
        "premade_models": "a `keras.Model` of your own",
        "__internal__": "the public names",
    },
    "backend": {
        "set_session": "nothing: JAX has no sessions",
        "get_session": "nothing: JAX has no sessions",
        "function": "`keras.Model(inputs, outputs)`, or `keras.jit`",
        "placeholder": "`keras.Input`",
        "gradients": "`keras.grad`",
        "learning_phase": "the argument `training` of `call`",
        "set_learning_phase": "the argument `training` of `call`",
    },
    "callbacks": {"TensorBoardV1": "`keras.callbacks.TensorBoard`"},
    "initializers": {
        "normal": "`keras.initializers.RandomNormal`",
        "uniform": "`keras.initializers.RandomUniform`",
    },
    "layers": {
        "AtrousConvolution1D": "`Conv1D(dilation_rate=...)`",
        "AtrousConvolution2D": "`Conv2D(dilation_rate=...)`",
        "CuDNNGRU": "`keras.layers.GRU`",
        "CuDNNLSTM": "`keras.layers.LSTM`",
        "Deconvolution2D": "`keras.layers.Conv2DTranspose`",
        "DenseFeatures": "`keras.utils.FeatureSpace`",
        "Highway": "a layer of your own",
        "LocallyConnected1D": "`Conv1D`, or a layer of your own",
        "LocallyConnected2D": "`Conv2D`, or a layer of your own",
        "MaxoutDense": "a layer of your own",
        "Merge": "`keras.layers.Concatenate`, `Add` and the like",
        "ThresholdedReLU": "`keras.layers.ReLU(threshold=...)`",
        "advanced_activations": "`keras.layers` itself: `keras.layers.LeakyReLU`, say",
        "embeddings": "`keras.layers.Embedding`",
        "experimental": "`keras.layers` itself: `keras.layers.Normalization`, say",
        "merge": "`keras.layers.concatenate`, `add` and the like",
        "recurrent": "`keras.layers` itself: `keras.layers.LSTM`, say",
        "wrappers": "`keras.layers` itself: `keras.layers.Bidirectional`, say",
    },
    "losses": {"cosine_proximity": "`keras.losses.cosine_similarity`"},
    "metrics": {"cosine_proximity": "`keras.metrics.CosineSimilarity`"},
    "models": {"wrappers": "`keras.wrappers`"},
    "optimizers": {
        "adam_v2": "`keras.optimizers.Adam`",
        "gradient_descent_v2": "`keras.optimizers.SGD`",
        "rmsprop_v2": "`keras.optimizers.RMSprop`",
        "experimental": "`keras.optimizers` itself",
        "TFOptimizer": "an optimizer of `keras.optimizers`, or optax's",
    },
    "preprocessing": {"dataset_utils": "`keras.utils`"},
    "preprocessing.image": {
        "DirectoryIterator": _IMAGES,
        "ImageDataGenerator": _IMAGES,
        "Iterator": _IMAGES,
        "NumpyArrayIterator": "`fit` on arrays, and layers such as `RandomFlip`",
        "apply_affine_transform": "`keras.ops.image.affine_transform`",
        "random_brightness": "`keras.layers.RandomBrightness`",
        "random_channel_shift": "`keras.layers.RandomColorJitter`",
        "random_rotation": "`keras.layers.RandomRotation`",
        "random_shear": "`keras.layers.RandomShear`",
        "random_shift": "`keras.layers.RandomTranslation`",
        "random_zoom": "`keras.layers.RandomZoom`",
    },
    "preprocessing.sequence": {
        "TimeseriesGenerator": "`keras.utils.timeseries_dataset_from_array`",
        "make_sampling_table": "NumPy, in a line of your own",
        "skipgrams": "NumPy, in a few lines of your own",
    },
    "preprocessing.text": {
        "Tokenizer": _TEXTS,
        "hashing_trick": "`keras.layers.Hashing`",
        "one_hot": "`keras.layers.Hashing`",
        "text_to_word_sequence": _TEXTS,
        "tokenizer_from_json": _TEXTS,
    },
    "utils": {
        "HDF5Matrix": "`numpy.memmap`, or a `keras.utils.PyDataset`",
        "OrderedEnqueuer": "`keras.utils.PyDataset(workers=...)`",
        "GeneratorEnqueuer": "`keras.utils.PyDataset(workers=...)`",
        "SidecarEvaluator": "`validation_data` in `fit`",
        "data_utils": _PLAIN,
        "experimental": _PLAIN,
        "generic_utils": _PLAIN,
        "layer_utils": _PLAIN,
        "multi_gpu_model": "`keras.distribution.DataParallel`",
        "np_utils": _PLAIN,
        "vis_utils": "`keras.utils.plot_model`",
    },
    "wrappers": {
        "KerasClassifier": "`keras.wrappers.SKLearnClassifier`",
        "KerasRegressor": "`keras.wrappers.SKLearnRegressor`",
        "scikit_learn": "`keras.wrappers.SKLearnClassifier` and `SKLearnRegressor`",
    },
}

# Of objects.
MODEL: dict[str, str] = {
    "evaluate_generator": "`evaluate`, which takes generators",
    "fit_generator": "`fit`, which takes generators",
    "get_input_at": "`input`, or the graph of another model",
    "get_output_at": "`output`, or the graph of another model",
    "predict_classes": "`model.predict(x).argmax(-1)`, or `model.predict(x) > 0.5`",
    "predict_generator": "`predict`, which takes generators",
    "predict_proba": "`predict`",
    "total_loss": "`compute_loss`",
    "uses_learning_phase": "the argument `training` of `call`",
}
OPTIMIZER: dict[str, str] = {
    "get_gradients": "`keras.value_and_grad`",
    "get_updates": "`apply`",
    "lr": "`learning_rate`",
}


def gone(owner: str, name: str, instead: str) -> str:
    """What an error about a departed name says.

    Args:
        owner: What had it.
        name: The name.
        instead: What to use.

    Example:
        >>> gone("keras.layers", "CuDNNLSTM", "`keras.layers.LSTM`")
        '`CuDNNLSTM` is no longer in keras.layers: use `keras.layers.LSTM`.'
    """
    return f"`{name}` is no longer in {owner}: use {instead}."


def missing(module: str, name: str, depth: int = 1) -> Exception:
    """The error for a name that a module lacks; it says what replaced a departed one.

    An `AttributeError`, of which `hasattr` makes an answer; in `from module import name`, whose own
    words would replace it, an `ImportError`.

    Args:
        module: The module's `__name__`.
        name: The name.
        depth: How many calls lie between the code that asks for the name and this function.
    """
    instead = _MODULES.get(module.partition(".")[2], {}).get(name)
    if instead is None:
        return AttributeError(f"module {module!r} has no attribute {name!r}", name=name)
    message = gone(module, name, instead)
    frame = sys._getframe(depth)
    code, at = frame.f_code.co_code, frame.f_lasti
    if at >= 0 and dis.opname[code[at]] == "IMPORT_FROM":
        return ImportError(message, name=module)
    return AttributeError(message, name=name)


def point_to_replacements(package: str) -> None:
    """Let the modules of a package that are loaded say what replaced their departed names.

    Args:
        package: The package's name.
    """
    for path in _MODULES:
        module = sys.modules.get(f"{package}.{path}")
        if module is not None and "__getattr__" not in vars(module):
            module.__getattr__ = _getter(module.__name__)  # Python's own hook for modules


def _getter(module) -> Callable[[str], Any]:
    def get(name):
        raise missing(module, name, depth=2)

    return get
