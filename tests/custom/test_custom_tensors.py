"""Arrays and Variables, used as one uses NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import ops

T = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "float32")


def test_arrays_are_made_indexed_and_computed_with():
    t = ops.convert_to_tensor(T)
    assert t.shape == (2, 3) and t.dtype == "float32"
    assert t[:, 1:].tolist() == [[2, 3], [5, 6]]
    assert t[..., 1, None].tolist() == [[2], [5]]
    assert (t + 10)[0, 0] == 11 and ops.square(t)[1, 2] == 36
    np.testing.assert_allclose(t @ ops.transpose(t), T @ T.T)
    assert ops.exp(t).dtype == t.dtype
    assert ops.cast(t, "int32").tolist() == T.astype(int).tolist()


def test_older_names_of_the_backend():
    K = keras.backend
    np.testing.assert_allclose(K.square(K.transpose(T)) + 10, T.T**2 + 10)


def test_to_numpy_and_back():
    t = ops.convert_to_tensor(T)
    assert isinstance(np.array(t), np.ndarray) and isinstance(ops.convert_to_numpy(t), np.ndarray)
    np.testing.assert_allclose(np.square(t), T**2)
    v = keras.Variable(T)
    np.testing.assert_allclose(np.square(v), T**2)
    np.testing.assert_allclose(np.mean(v, axis=0), T.mean(0))
    np.testing.assert_allclose(ops.matmul(v, T.T), T @ T.T)


def test_numpy_arrays_on_the_left_of_variables():
    v = keras.Variable(T)
    for run in (lambda: T + v, lambda: T * v, lambda: T @ v.T, lambda: v < T, lambda: T.T @ v):
        eager, compiled = run(), keras.jit(run)()
        assert isinstance(eager, jax.Array)
        np.testing.assert_allclose(eager, compiled)


def test_types_mix_as_jax_mixes_them():
    t = ops.convert_to_tensor(T)
    assert (t + 40).dtype == "float32"
    assert (t + np.float32(1)).dtype == "float32"
    assert (t + ops.cast(1, "int32")).dtype == "float32"
    assert (ops.cast(t, "bfloat16") + t).dtype == "float32"
    with pytest.raises((TypeError, ValueError), match=r"dtype|type"):
        t + "1"


def test_variables_are_assigned_whole_or_in_part():
    v = keras.Variable(T)
    v.assign(2 * v)
    assert v.numpy().tolist() == (2 * T).tolist()
    v.assign_add(np.ones_like(T))
    v.assign_sub(np.ones_like(T))
    v.assign(v.at[0, 1].set(42.0))
    v.assign(v.at[:, 2].set(np.array([0.0, 1.0])))
    assert v.numpy().tolist() == [[2, 42, 0], [8, 10, 1]]
    assert v[1:, :2].tolist() == [[8, 10]]
    for fn in (jnp.sum, jax.nn.relu, ops.sum, np.sum, jnp.linalg.norm):
        assert np.all(np.isfinite(fn(v)))


def test_slices_are_assigned_inside_compiled_functions():
    v = keras.Variable(np.zeros(4))

    @keras.jit
    def put(i, value):
        v.assign(v.at[i].set(value))
        return v.sum()

    assert float(put(2, 3.0)) == 3 and float(put(0, 1.0)) == 4
    assert v.numpy().tolist() == [1, 0, 3, 0]


def test_changing_an_array_in_place_is_told_how_to_do():
    t = ops.convert_to_tensor(T)
    with pytest.raises(TypeError, match=r"immutable(.|\n)*\.at\[idx\]\.set"):
        t[0, 0] = 1.0
