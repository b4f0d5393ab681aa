"""Merge layers with masks, as functions, and what their errors say."""

import keras
import numpy as np
import pytest

import kerasish
from kerasish import layers
from kerasish.core.masking import get_mask

A, B, C = np.random.default_rng(0).normal(size=(3, 2, 4, 3)).astype("float32")
A[0, 1:] = 0
B[1, 3] = 0


@pytest.mark.parametrize(
    "name", ["Add", "Average", "Concatenate", "Maximum", "Minimum", "Multiply", "Subtract"]
)
@pytest.mark.parametrize("masked", [(True, True), (True, False), (False, True)])
def test_masks_are_merged_as_in_keras(name, masked):
    results = []
    for module in (layers, keras.layers):
        inputs = [module.Masking()(x) if m else x for x, m in zip((A, B), masked, strict=True)]
        y = getattr(module, name)()(inputs)
        mask = (
            get_mask(y)
            if module is layers
            else y._keras_mask
            if hasattr(y, "_keras_mask")
            else None
        )
        results.append((y, mask))
    (y, mask), (wanted, wanted_mask) = results
    np.testing.assert_allclose(y, wanted, rtol=1e-6)
    assert (mask is None) == (wanted_mask is None)
    if mask is not None:
        np.testing.assert_array_equal(mask, wanted_mask)


@pytest.mark.parametrize("name", ["add", "average", "maximum", "minimum", "multiply"])
def test_functions_are_keras(name):
    ours, theirs = (getattr(module, name)([A, B, C]) for module in (layers, keras.layers))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_functions_of_two_are_keras():
    np.testing.assert_array_equal(layers.subtract([A, B]), A - B)
    np.testing.assert_array_equal(layers.concatenate([A, B], axis=1), np.concatenate([A, B], 1))
    np.testing.assert_allclose(
        layers.dot([A, B], axes=2), np.einsum("bid,bjd->bij", A, B), rtol=1e-5, atol=1e-6
    )


def test_lower_ranks_get_axes_behind_the_batch():
    np.testing.assert_array_equal(layers.Add()([A, B[:, 0]]), A + B[:, :1])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.Add()(A), "`inputs` must be a list of arrays; got 'shape"),
        (lambda: layers.Subtract()([A, B, C]), "`inputs` must be a list of 2 arrays"),
        (lambda: layers.Add()([A, B[:1]]), "of one batch size"),
        (lambda: layers.Add()([A, B[:, :2]]), "of shapes that broadcast together"),
        (lambda: layers.Concatenate()([A, B[:, :2]]), "of equal shapes but for axis -1"),
        (lambda: layers.Concatenate(axis=5)([A, B]), "of equal shapes but for axis 5"),
        (lambda: layers.Dot(axes=(1, 2))([A, B]), "of equal size in axes"),
        (lambda: layers.Dot(axes=0)([A, B]), "axes behind the batch axis"),
        (lambda: layers.Dot(axes=(1, 2, 3)), "`axes` must be an integer or two"),
    ],
)
def test_bad_inputs_are_told(make, text):
    with pytest.raises(ValueError, match=text):
        make()


@pytest.mark.parametrize(
    ("make", "shapes", "wanted"),
    [
        (lambda k: k.layers.Concatenate(), [(None, 3), (4, 2)], (None, 4, 5)),
        (lambda k: k.layers.Concatenate(axis=1), [(None, 3), (4, 3)], (None, None, 3)),
        (lambda k: k.layers.Dot(axes=1), [(None, 3), (4, 5)], (None, 3, 5)),
        (lambda k: k.layers.Dot(axes=(2, 1)), [(3, None), (4, 5)], (None, 3, 5)),
        (lambda k: k.layers.Add(), [(None, 3), (4, 3)], (None, 4, 3)),
        (lambda k: k.layers.Multiply(), [(4,), (None, 4)], (None, None, 4)),
        (lambda k: k.layers.Maximum(), [(1, 3), (None, 3)], (None, None, 3)),
    ],
)
def test_unknown_sizes_agree_with_known_ones(make, shapes, wanted):
    inputs = [kerasish.Input(shape) for shape in shapes]
    assert make(kerasish)(inputs).shape == wanted


def test_mean_of_float16_does_not_overflow():
    xs = [np.full((1, 2), 60000.0)] * 3
    y = layers.Average(dtype="float16")(xs)
    assert y.dtype == "float16"
    np.testing.assert_array_equal(y, np.full((1, 2), 60000.0, "float16"))
