"""Names that libraries use, seen from a program that only knows Keras."""

import sys

import keras
import keras.layers
import keras.optimizers.schedules
import keras.preprocessing.image
import keras.src.callbacks
import keras.src.layers.core.dense as dense
import keras.utils.bounding_boxes
import numpy as np
from keras import backend as public_backend
from keras import ops
from keras.layers import Dense
from keras.src import backend
from keras.src import saving as source_saving
from keras.src.backend import get_keras_mask, set_keras_mask, standardize_data_format
from keras.src.distribution import distribution_lib
from keras.src.layers.layer import Layer
from keras.src.losses.losses import LossFunctionWrapper, MeanSquaredError
from keras.src.models.functional import Functional
from keras.src.ops import *  # noqa: F403
from keras.src.saving import saving_lib, serialization_lib
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights
from keras.src.utils.argument_validation import standardize_tuple
from keras.src.utils.backend_utils import in_grain_data_pipeline
from keras.src.utils.module_utils import LazyModule

import kerasish
import kerasish.losses.loss

assert keras is kerasish and sys.modules["keras"] is kerasish
assert sys.modules["keras.layers"] is kerasish.layers
assert source_saving.load_model is kerasish.saving.load_model
assert keras.src.layers.GroupedQueryAttention is keras.layers.GroupQueryAttention
assert keras.src.layers.Dense is kerasish.layers.Dense and keras.src.layers.__all__
assert keras.__spec__.name == "kerasish" and keras.layers.__spec__.name == "kerasish.layers"
assert dense.Dense is Dense is kerasish.layers.Dense
assert MeanSquaredError is keras.losses.MeanSquaredError
assert Layer is keras.Layer and Functional is kerasish.models.Functional
assert issubclass(LossFunctionWrapper, keras.losses.Loss)
assert keras.__version__ == keras.version() == "3.15.1"
assert keras.config.backend() == backend.backend() == public_backend.backend() == "jax"
assert serialization_lib.deserialize_keras_object is keras.saving.deserialize_keras_object
assert distribution_lib.distribution() is None and not in_grain_data_pipeline()
assert standardize_data_format(None) == "channels_last" and standardize_tuple(2, 2, "n") == (2, 2)
assert standardize_tuple((0, 1), 2, "n", allow_zero=True) == (0, 1)
assert matmul is ops.matmul  # noqa: F405
x = ops.ones((2, 3))
set_keras_mask(x, [[True, False, True]])
assert get_keras_mask(x) == [[True, False, True]]
weights = class_weight_to_sample_weights(np.array([0, 1, 1]), {0: 2.0, 1: 3.0})
assert weights.tolist() == [2.0, 3.0, 3.0]
assert keras.src.backend.jax.random.jax_draw_seed(3).shape == (2,)
assert LazyModule("json").dumps([1]) == "[1]" and not LazyModule("no_such_module").available


# Paths under `keras.src` change no module of kerasish's own that has the same name.
import keras.src.losses.loss  # noqa: E402

assert kerasish.losses.loss.__name__ == "kerasish.losses.loss"
metric = keras.metrics.R2Score()
assert metric([[1.0], [2.0]], [[1.0], [2.0]]) == 1


class Holder(keras.Layer):
    @keras.src.utils.tracking.no_automatic_dependency_tracking
    def borrow(self, layer):
        self.borrowed = layer


holder, lent = Holder(), Dense(2)
lent.build((None, 3))
holder.borrow(lent)
assert holder.weights == [] and holder.borrowed is lent
holder.owned = Dense(1)
holder.owned.build((None, 3))
assert len(holder.weights) == 2 and len(holder._metrics) == 0

path = sys.argv[1]
store = saving_lib.H5IOStore(path, mode="w")
store.make("lora/0")["a"] = lent.kernel
store.close()
again = saving_lib.H5IOStore(path, mode="r").get("lora/0")["a"]
np.testing.assert_array_equal(again, lent.kernel)

for absent in ("keras.nothing", "keras.src.nothing", "keras.layers.nothing"):
    try:
        __import__(absent)
    except ModuleNotFoundError as error:
        assert "kerasish stands for Keras here" in str(error) and error.name == absent
    else:
        raise AssertionError(f"{absent} was found")
try:
    from keras.src.layers.core import Nothing  # noqa: F401
except ImportError as error:
    assert "Nothing" in str(error)
print("all names", sys.argv[2:])
