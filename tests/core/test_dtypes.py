"""Dtypes by name, policies and autocasting, against Keras 3."""

import warnings

import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

import kerasish as keras
from kerasish import Variable
from kerasish.core import dtypes

NAMES = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"),
    *("bfloat16", "float16", "float32", "float64"),
)


@pytest.mark.parametrize("one", [*NAMES, int, float, bool], ids=str)
def test_mixing_gives_keras_type(one):
    with warnings.catch_warnings():  # 64 bits become 32
        warnings.simplefilter("ignore")
        for other in (*NAMES, int, float, bool):
            ours, theirs = dtypes.result_type(one, other), oracle.backend.result_type(one, other)
            assert ours == theirs, (one, other)


SPELLINGS = (None, "int8", np.float16, np.dtype("uint8"), jnp.bfloat16, bool, int, float)


@pytest.mark.parametrize("dtype", SPELLINGS, ids=str)
def test_standard_name_is_keras(dtype):
    assert dtypes.standardize_dtype(dtype) == oracle.backend.standardize_dtype(dtype)


POLICIES = ("float32", "float16", "bfloat16", "float64", "mixed_float16", "mixed_bfloat16")


@pytest.mark.parametrize("name", POLICIES)
def test_policies_are_keras(name):
    ours, theirs = keras.DTypePolicy(name), oracle.DTypePolicy(name)
    for part in ("name", "compute_dtype", "variable_dtype", "quantization_mode"):
        assert getattr(ours, part) == getattr(theirs, part)
    assert ours.get_config() == theirs.get_config()
    assert keras.DTypePolicy.from_config(ours.get_config()) == ours == dtypes.get_policy(name)
    written = keras.saving.serialize_keras_object(ours)
    assert written == oracle.saving.serialize_keras_object(theirs)
    assert dtypes.get_policy(written) == ours


def test_the_global_policy_is_that_of_layers_given_none():
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    layer = keras.layers.Dense(2)
    y = layer(np.ones((1, 2), "float32"))
    assert (y.dtype, layer.kernel.dtype, layer.compute_dtype) == ("bfloat16", "float32", "bfloat16")
    assert keras.DTypePolicy() == keras.mixed_precision.global_policy()
    assert keras.layers.Dense(2, dtype="float32").compute_dtype == "float32"


def test_autocast_reads_floats_in_the_other_type_and_keeps_them():
    weight, count, fixed = Variable(1.0), Variable(1), Variable(1.0, autocast=False)
    with dtypes.autocast("float16"):
        read = [weight.value.dtype, weight.dtype, count.dtype, fixed.dtype, weight.read().dtype]
        assert read == ["float16", "float16", "int32", "float32", "float32"]
        assert (weight + weight).dtype == "float16"
        weight.assign_add(1 / 4096)  # less than float16 can add to 1
        with dtypes.autocast(None):
            assert weight.value.dtype == "float32"
    assert float(weight) == 1 + 1 / 4096 and dtypes.autocast_dtype() is None


def test_floatx_is_the_type_of_python_floats():
    keras.config.set_floatx("bfloat16")
    assert (
        Variable([1.0, 2.0]).dtype == "bfloat16"
        and Variable("zeros", shape=(2,)).dtype == "bfloat16"
    )
    assert Variable(1).dtype == "int32" and Variable(np.float32(1)).dtype == "float32"


BAD = {
    "standardize": (lambda: dtypes.standardize_dtype("flaot32"), "Did you mean 'float32'"),
    "policy": (lambda: keras.DTypePolicy("mixed_float61"), "Did you mean 'mixed_float16'"),
    "strange": (lambda: dtypes.standardize_dtype(object()), "must be one of"),
}


@pytest.mark.parametrize("act,text", BAD.values(), ids=BAD)
def test_unknown_types_are_told(act, text):
    with pytest.raises(ValueError, match=text):
        act()


@pytest.mark.parametrize("name", NAMES)
def test_arrays_of_any_type_become_jax_arrays_without_a_warning(name):
    wanted = {"int64": "int32", "float64": "float32"}.get(name, name)
    assert dtypes.to_array(np.ones(2, dtype=jnp.dtype(name))).dtype == wanted
    assert dtypes.to_array([1, 0], name).dtype == wanted
