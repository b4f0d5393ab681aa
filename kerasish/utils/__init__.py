"""`keras.utils`: the names Keras users look for there."""

import gc

import jax

from kerasish.callbacks import Progbar
from kerasish.core.dtypes import standardize_dtype
from kerasish.core.malloc import trim_heap
from kerasish.core.names import clear_names
from kerasish.core.serialization.registry import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object
from kerasish.core.settings import (
    disable_interactive_logging,
    enable_interactive_logging,
    is_interactive_logging_enabled,
)
from kerasish.core.state.seeds import set_random_seed
from kerasish.core.symbolic.keras_tensor import is_keras_tensor
from kerasish.data import (
    PyDataset,
    array_to_img,
    audio_dataset_from_directory,
    balanced_class_weight,
    get_file,
    image_dataset_from_directory,
    img_to_array,
    load_img,
    normalize,
    pack_x_y_sample_weight,
    pad_sequences,
    save_img,
    split_dataset,
    text_dataset_from_directory,
    timeseries_dataset_from_array,
    to_categorical,
    unpack_x_y_sample_weight,
)
from kerasish.models.graph.graph import get_source_inputs
from kerasish.models.inspection.plot_model import model_to_dot, plot_model
from kerasish.utils import bounding_boxes, legacy
from kerasish.utils.config_dict import Config
from kerasish.utils.feature_space import FeatureSpace

__all__ = [
    "Config",
    "CustomObjectScope",
    "FeatureSpace",
    "Progbar",
    "PyDataset",
    "Sequence",
    "array_to_img",
    "audio_dataset_from_directory",
    "balanced_class_weight",
    "bounding_boxes",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "disable_interactive_logging",
    "enable_interactive_logging",
    "get_custom_objects",
    "get_file",
    "get_registered_name",
    "get_registered_object",
    "get_source_inputs",
    "image_dataset_from_directory",
    "img_to_array",
    "is_interactive_logging_enabled",
    "is_keras_tensor",
    "legacy",
    "load_img",
    "model_to_dot",
    "normalize",
    "pack_x_y_sample_weight",
    "pad_sequences",
    "plot_model",
    "register_keras_serializable",
    "save_img",
    "serialize_keras_object",
    "set_random_seed",
    "split_dataset",
    "standardize_dtype",
    "text_dataset_from_directory",
    "timeseries_dataset_from_array",
    "to_categorical",
    "unpack_x_y_sample_weight",
]

Sequence = PyDataset


def clear_session(free_memory: bool = True) -> None:
    """Start names anew and let go of compiled programs and memory no one uses.

    Args:
        free_memory: Whether to run the garbage collector too.

    Example:
        >>> _ = keras.layers.Dense(1)
        >>> clear_session()
        >>> keras.layers.Dense(1).name
        'dense'
    """
    clear_names()
    if free_memory:
        jax.clear_caches()
        gc.collect()
        trim_heap()
