"""Reshaping, convolution, pooling, dropout: size arithmetic, unknown sizes and errors."""

import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerasish import layers
from kerasish.core.symbolic.keras_tensor import KerasTensor

TEXT, IMAGE, VOLUME = np.ones((2, 7, 4)), np.ones((2, 6, 7, 4)), np.ones((2, 5, 4, 6, 4))

sizes = st.integers(1, 9)
small = st.integers(1, 3)


@given(
    n=sizes,
    kernel=small,
    stride=small,
    dilation=small,
    padding=st.sampled_from(["valid", "same", "causal"]),
)
@settings(max_examples=40, deadline=None)
def test_conv_size_arithmetic(n, kernel, stride, dilation, padding):
    span = dilation * (kernel - 1) + 1
    if (stride > 1 and dilation > 1) or (padding == "valid" and span > n):
        return
    layer = layers.Conv1D(2, kernel, stride, padding, dilation_rate=dilation)
    wanted = -(-n // stride) if padding != "valid" else (n - span) // stride + 1
    assert layer(KerasTensor((None, n, 3))).shape == (None, wanted, 2)


@given(n=sizes, kernel=small, stride=small, padding=st.sampled_from(["valid", "same"]))
@settings(max_examples=40, deadline=None)
def test_transposed_conv_gives_back_a_size_that_conv_takes_there(n, kernel, stride, padding):
    back = layers.Conv1DTranspose(3, kernel, stride, padding)(KerasTensor((None, n, 2)))
    there = layers.Conv1D(2, kernel, stride, padding)(back)
    assert there.shape == (None, n, 2)


@given(n=sizes, window=small, stride=small, padding=st.sampled_from(["valid", "same"]))
@settings(max_examples=40, deadline=None)
def test_pooling_size_arithmetic(n, window, stride, padding):
    if padding == "valid" and window > n:
        return
    wanted = -(-n // stride) if padding == "same" else (n - window) // stride + 1
    layer = layers.MaxPooling1D(window, stride, padding)
    assert layer(KerasTensor((None, n, 3))).shape == (None, wanted, 3)


@pytest.mark.parametrize(
    ("layer", "given", "wanted"),
    [
        (lambda: layers.Flatten(), (None, None, 3), (None, None)),
        (lambda: layers.Reshape((-1, 3)), (None, None, 6), (None, None, 3)),
        (lambda: layers.Conv2D(4, 3, padding="same"), (None, None, None, 3), (None, None, None, 4)),
        (lambda: layers.Conv2D(4, 3, strides=2), (None, None, 9, 3), (None, None, 4, 4)),
        (lambda: layers.Conv2DTranspose(4, 3, strides=2), (None, None, 9, 3), (None, None, 19, 4)),
        (lambda: layers.MaxPooling2D(), (None, None, None, 3), (None, None, None, 3)),
        (
            lambda: layers.AveragePooling2D(2, padding="same"),
            (None, None, 5, 3),
            (None, None, 3, 3),
        ),
        (lambda: layers.GlobalAveragePooling2D(), (None, None, None, 3), (None, 3)),
        (lambda: layers.UpSampling2D(2), (None, None, 5, 3), (None, None, 10, 3)),
        (
            lambda: layers.UpSampling2D(2, interpolation="bilinear"),
            (None, 5, 5, 3),
            (None, 10, 10, 3),
        ),
        (lambda: layers.ZeroPadding1D(2), (None, None, 3), (None, None, 3)),
        (lambda: layers.Cropping2D(1), (None, None, 5, 3), (None, None, 3, 3)),
        (lambda: layers.Dense(2), (None, None, 3), (None, None, 2)),
        (lambda: layers.Dropout(0.5), (None, None, 3), (None, None, 3)),
        (lambda: layers.BatchNormalization(), (None, None, 3), (None, None, 3)),
        (lambda: layers.LayerNormalization(), (None, None, 3), (None, None, 3)),
        (lambda: layers.GroupNormalization(3), (None, None, 3), (None, None, 3)),
        (lambda: layers.Embedding(5, 2), (None, None), (None, None, 2)),
    ],
)
def test_unknown_sizes_stay_unknown(layer, given, wanted):
    assert layer()(KerasTensor(given)).shape == wanted


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.Reshape((-1, -1)), "one of them -1 at most"),
        (lambda: layers.Reshape((5, 5))(TEXT), "`target_shape` must be of 28 elements"),
        (lambda: layers.Permute((0, 1)), "`dims` must be the numbers 1 to n"),
        (lambda: layers.RepeatVector(0), "`n` must be a positive integer"),
        (lambda: layers.RepeatVector(2)(TEXT), "expected ndim=2, found ndim=3"),
        (lambda: layers.Cropping1D((4, 3))(TEXT), "`cropping` must be smaller than the input"),
        (
            lambda: layers.Cropping2D((1, 2, 3)),
            "`cropping` must be an integer, or 2 integers or pairs",
        ),
        (lambda: layers.ZeroPadding2D("1"), "`padding` must be an integer"),
        (lambda: layers.ZeroPadding3D(-1), "`padding` must be 2 integers of at least 0"),
        (lambda: layers.UpSampling1D(1.5), "`size` must be a positive integer"),
        (lambda: layers.UpSampling2D(2, interpolation="cubical"), "`interpolation` must be one of"),
        (lambda: layers.Flatten("first"), "`data_format` must be one of"),
        (lambda: layers.Conv2D(0, 3), "`filters` must be a positive integer; got 0"),
        (lambda: layers.Conv2D(4, (3, 0)), "`kernel_size` must be 2 integers of at least 1"),
        (lambda: layers.Conv2D(4, 3, padding="full"), "`padding` must be one of"),
        (lambda: layers.Conv2D(4, 3, padding="causal"), "`padding` must be one of"),
        (lambda: layers.Conv2D(4, 3, groups=3), "`groups` must be a divisor of the 4 filters"),
        (
            lambda: layers.Conv2D(3, 3, groups=3)(IMAGE),
            "`groups` must be a divisor of the 4 channels",
        ),
        (lambda: layers.Conv2D(4, 3, 2, dilation_rate=2), "`dilation_rate` must be 1 where"),
        (lambda: layers.Conv2D(4, 3)(TEXT), "expected ndim=4, found ndim=3"),
        (lambda: layers.Conv2D(4, 9)(IMAGE), "large enough for a kernel"),
        (
            lambda: layers.Conv2DTranspose(4, 3, 2, output_padding=2),
            "`output_padding` must be less",
        ),
        (
            lambda: layers.Conv2D(4, 3)(KerasTensor((None, 5, 5, None))),
            "must be known in its last axis",
        ),
        (
            lambda: layers.DepthwiseConv2D(3, depth_multiplier=0),
            "`depth_multiplier` must be a positive",
        ),
        (lambda: layers.MaxPooling2D((2, 2, 2)), "`pool_size` must be 2 integers of at least 1"),
        (lambda: layers.MaxPooling2D(2, padding="full"), "`padding` must be one of"),
        (lambda: layers.AdaptiveMaxPooling1D(0), "`output_size` must be 1 integer of at least 1"),
        (lambda: layers.Dropout(1.5), "dropout: `rate` must be from 0 to 1; got 1.5"),
        (lambda: layers.Dropout(0.5, noise_shape=3), "`noise_shape` must be a tuple"),
        (lambda: layers.GaussianDropout(1), "`rate` must be less than 1"),
        (lambda: layers.SpatialDropout2D(0.5)(TEXT), "expected ndim=4, found ndim=3"),
    ],
)
def test_bad_arguments_are_told(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_a_mask_leaves_steps_out_of_the_mean():
    x = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    mask = np.array([[True, True, False], [True, False, False]])
    ours, theirs = (m.GlobalAveragePooling1D()(x, mask=mask) for m in (layers, keras.layers))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_dropout_draws_anew_each_time_and_nothing_without_training():
    layer = layers.Dropout(0.5, seed=0)
    x = jnp.ones((1, 100))
    first, second = layer(x, training=True), layer(x, training=True)
    assert (first != second).any()
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layers.Dropout(1.0)(x, training=True), 0 * x)


def test_dropout_draws_keras_masks_again_and_again():
    x = np.ones((3, 50), "float32")
    ours, theirs = (m.Dropout(0.4, seed=9) for m in (layers, keras.layers))
    for _ in range(3):
        np.testing.assert_array_equal(ours(x, training=True), theirs(x, training=True))
    np.testing.assert_array_equal(ours.seed_generator.state, theirs.seed_generator.state)


def test_alpha_dropout_keeps_mean_and_variance():
    x = np.random.default_rng(0).normal(size=(200, 1000)).astype("float32")
    y = np.asarray(layers.AlphaDropout(0.3, seed=1)(x, training=True))
    assert y.mean() == pytest.approx(0, abs=0.02)
    assert y.var() == pytest.approx(1, abs=0.02)
