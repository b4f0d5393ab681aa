"""Arguments and inputs of layers that Keras takes: sparse matrices, older switches, odd shapes."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

import kerasish
from kerasish import KerasTensor, layers

X = np.array([[1, 0, -2], [0, 3, 0]], "float32")


@pytest.mark.parametrize(
    ("make", "inputs"),
    [
        (lambda: layers.Dense(2, kernel_initializer="ones"), X),
        (lambda: layers.Embedding(4, 2, embeddings_initializer="ones"), np.abs(X).astype("int32")),
        (layers.Identity, X),
        (layers.Flatten, X),
        (layers.Add, [X, X]),
        (layers.Multiply, [X, X]),
        (layers.Concatenate, [X, X]),
        (lambda: kerasish.Sequential([layers.Dense(2, kernel_initializer="ones")]), X),
    ],
)
def test_sparse_matrices_are_inputs(make, inputs):
    several = isinstance(inputs, list)
    arrays = inputs if several else [inputs]
    matrices = [BCOO.fromdense(jnp.asarray(x)) for x in arrays]
    found = make()(matrices if several else matrices[0])
    np.testing.assert_allclose(found, make()(inputs), rtol=1e-6)


@pytest.mark.parametrize("options", [{}, {"axis": (1, 2)}, {"scale": False}])
def test_rms_scaling_is_keras(options):
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    found = []
    for module in (layers, keras.layers):
        with pytest.warns(UserWarning, match="rms_scaling=True"):
            layer = module.LayerNormalization(rms_scaling=True, **options)
        found.append(layer(x))
        assert [v.name for v in layer.weights] == ["gamma"]
        assert layer.get_config()["rms_scaling"] is True
    np.testing.assert_allclose(*found, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("equation", "output_shape", "shape"),
    [
        ("ab,bc->ac", (7,), (None, 5)),
        ("abc,cd->abd", (None, 4), (None, 3, 8)),
        ("...x,xy->...y", 6, (None, None, 3, 8)),
        ("abc,cde->abde", (None, 4, 5), (2, None, 8)),
    ],
)
def test_shapes_of_einsum_dense_before_it_is_built(equation, output_shape, shape):
    layer = layers.EinsumDense(equation, output_shape)
    found = layer.compute_output_shape(shape)
    assert not layer.built
    assert found == layer(KerasTensor(shape)).shape


@pytest.mark.parametrize(
    "name", ["Add", "Average", "Maximum", "Minimum", "Multiply", "Concatenate"]
)
def test_merging_one_symbolic_tensor_is_told(name):
    with pytest.raises(ValueError, match="`inputs` must be a list"):
        getattr(layers, name)()(KerasTensor((2, 4, 5)))
    with pytest.raises(ValueError, match="`inputs` must be a list"):
        getattr(layers, name)().compute_mask(KerasTensor((2, 4, 5)), [None, None])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"value_dim": 0}, "`value_dim` must be a positive integer; got 0"),
        ({"output_shape": 1.5}, "`output_shape` must be an integer, a list"),
    ],
)
def test_attention_sizes_are_told(options, text):
    with pytest.raises(ValueError, match=text):
        layers.MultiHeadAttention(2, 4, **options)
