"""One line a layer: how to make it, here and in Keras 3, and what to call it on."""

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest


@dataclass
class Case:
    """A layer to make and the shape or shapes of its inputs.

    Attributes:
        name: Its class's name in `keras.layers`.
        shape: Shape of the input, or a list of shapes for a list of inputs; a tuple of these for
            several arguments.
        args: Positional arguments; a `Case` among them is made first.
        kwargs: Keyword arguments.
        ints: Number of different whole numbers that the input has; 0 for floats.
    """

    name: str
    shape: Any
    args: tuple = ()
    kwargs: dict = field(default_factory=dict)
    ints: int = 0

    @property
    def id(self):
        given = [_name(a) for a in self.args] + [f"{k}={v}" for k, v in self.kwargs.items()]
        return f"{self.name}({','.join(map(str, given))})".replace(" ", "").replace("::", "")

    def make(self, layers, **options):
        """The layer, out of the module `layers`; its own seeds the same each time."""
        random.seed(0)
        args = [_made(a, layers, options) for a in self.args]
        return getattr(layers, self.name)(*args, **self.kwargs, **options, name="layer")

    def inputs(self):
        """The same random inputs each time."""
        return self._arrays(np.random.default_rng(0), self.shape)

    def _arrays(self, rng, shape):
        if isinstance(shape, list) or not isinstance(shape[0], int):
            return type(shape)(self._arrays(rng, one) for one in shape)
        if self.ints:
            return rng.integers(self.ints, size=shape).astype("int32")
        return rng.normal(size=shape).astype("float32")


def _made(argument, layers, options):
    if isinstance(argument, list) and all(isinstance(a, Case) for a in argument):
        return [_made(a, layers, options) for a in argument]
    return argument.make(layers, **options) if isinstance(argument, Case) else argument


def _name(argument):
    if isinstance(argument, list):
        return [_name(a) for a in argument]
    return argument.id if isinstance(argument, Case) else argument


def arguments(inputs):
    """What to call a layer on: a tuple holds several arguments."""
    return inputs if isinstance(inputs, tuple) else (inputs,)


def case(name, shape, *args, ints=0, **kwargs):
    return Case(name, shape, args, kwargs, ints)


TEXT, IMAGE, VOLUME = (2, 7, 4), (2, 6, 7, 4), (2, 5, 4, 6, 4)
FILM, PHOTO = (2, 3, 4, 5, 3), (4, 6, 7, 3)
FIRST = {"data_format": "channels_first"}

DROPPING_CELLS = [
    case("GRUCell", (), 3, dropout=0.3, recurrent_dropout=0.2, seed=3),
    case("SimpleRNNCell", (), 2, dropout=0.5, seed=4),
]

CASES = [
    # activations
    case("Activation", (2, 3), "tanh"),
    case("ELU", (2, 3), alpha=0.5),
    case("LeakyReLU", (2, 3), 0.1),
    case("PReLU", TEXT, alpha_initializer="ones", shared_axes=[1]),
    case("ReLU", (2, 3), max_value=0.5, negative_slope=0.2, threshold=0.1),
    case("Softmax", (2, 3)),
    case("Softmax", TEXT, axis=[1, 2]),
    # core
    case("Dense", (2, 3), 4, activation="relu"),
    case("Dense", TEXT, 3, use_bias=False, kernel_regularizer="l2", bias_constraint="non_neg"),
    case("EinsumDense", (2, 5, 3), "abc,cd->abd", (None, 4), bias_axes="d", activation="tanh"),
    case("EinsumDense", (2, 5, 3), "btf,fhd->bthd", (None, 2, 3), bias_axes="hd"),
    case("EinsumDense", (2, 5, 3), "...x,xy->...y", 4, bias_axes="y"),
    case("EinsumDense", (2, 5, 3), "ab...,bc->ac...", 4, bias_axes="c"),
    case("Embedding", (2, 5), 6, 3, ints=6),
    case("Embedding", (2, 5), 6, 3, mask_zero=True, ints=6),
    case("ReversibleEmbedding", (2, 5), 6, 3, ints=6),
    case("ReversibleEmbedding", (2, 5), 6, 3, tie_weights=True, logit_soft_cap=2.0, ints=6),
    case("Identity", (2, 3)),
    case("Masking", TEXT, mask_value=1.0),
    # reshaping
    case("Cropping1D", TEXT, (1, 2)),
    case("Cropping2D", IMAGE, ((1, 2), (0, 3))),
    case("Cropping2D", IMAGE, 1, **FIRST),
    case("Cropping3D", VOLUME),
    case("Flatten", IMAGE),
    case("Flatten", IMAGE, **FIRST),
    case("Permute", TEXT, (2, 1)),
    case("RepeatVector", (2, 3), 4),
    case("Reshape", TEXT, (2, -1)),
    case("UpSampling1D", TEXT, 3),
    case("UpSampling2D", IMAGE, (2, 3)),
    case("UpSampling2D", IMAGE, 2, interpolation="bilinear", **FIRST),
    case("UpSampling3D", VOLUME, (1, 2, 2)),
    case("ZeroPadding1D", TEXT, (0, 2)),
    case("ZeroPadding2D", IMAGE, ((1, 2), (0, 3))),
    case("ZeroPadding2D", IMAGE, 1, **FIRST),
    case("ZeroPadding3D", VOLUME, (1, 0, 2)),
    # merging
    case("Add", [TEXT, TEXT, (2, 1, 4)]),
    case("Average", [TEXT, TEXT]),
    case("Concatenate", [TEXT, (2, 7, 2)]),
    case("Concatenate", [TEXT, (2, 3, 4)], axis=1),
    case("Dot", [(2, 3), (2, 3)], axes=1, normalize=True),
    case("Dot", [TEXT, (2, 4, 3)], axes=(2, 1)),
    case("Dot", [IMAGE, (2, 5, 7)], axes=(2, -1)),
    case("Maximum", [TEXT, TEXT]),
    case("Minimum", [TEXT, TEXT]),
    case("Multiply", [TEXT, (2, 4)]),
    case("Subtract", [TEXT, TEXT]),
    # convolution
    case("Conv1D", TEXT, 6, 3, padding="causal", dilation_rate=2),
    case("Conv1D", TEXT, 6, 3, strides=2, padding="same", groups=2),
    case("Conv2D", IMAGE, 6, (3, 2), activation="relu"),
    case("Conv2D", IMAGE, 6, 3, strides=2, padding="same", **FIRST),
    case("Conv3D", VOLUME, 2, 2, dilation_rate=2, use_bias=False),
    case("Conv1DTranspose", TEXT, 3, 3, strides=2, padding="same"),
    case("Conv2DTranspose", IMAGE, 3, 3, strides=(2, 3), output_padding=1),
    case("Conv2DTranspose", IMAGE, 3, 3, strides=2, padding="same", **FIRST),
    case("Conv3DTranspose", VOLUME, 2, 2, strides=2),
    case("DepthwiseConv1D", TEXT, 3, depth_multiplier=2),
    case("DepthwiseConv2D", IMAGE, 3, strides=2, padding="same", activation="tanh"),
    case("SeparableConv1D", TEXT, 5, 3, padding="same"),
    case("SeparableConv2D", IMAGE, 5, 3, depth_multiplier=2),
    # pooling
    case("AdaptiveAveragePooling1D", TEXT, 3),
    case("AdaptiveAveragePooling2D", IMAGE, (3, 4)),
    case("AdaptiveAveragePooling3D", VOLUME, 2),
    case("AdaptiveMaxPooling1D", TEXT, 3),
    case("AdaptiveMaxPooling2D", IMAGE, 4, **FIRST),
    case("AdaptiveMaxPooling3D", VOLUME, 2),
    case("AveragePooling1D", TEXT, 2, padding="same"),
    case("AveragePooling2D", IMAGE, 2),
    case("AveragePooling2D", IMAGE, 3, strides=2, padding="same"),
    case("AveragePooling3D", VOLUME, 2),
    case("GlobalAveragePooling1D", TEXT),
    case("GlobalAveragePooling2D", IMAGE, keepdims=True),
    case("GlobalAveragePooling3D", VOLUME, **FIRST),
    case("GlobalMaxPooling1D", TEXT, keepdims=True),
    case("GlobalMaxPooling2D", IMAGE, **FIRST),
    case("GlobalMaxPooling3D", VOLUME),
    case("MaxPooling1D", TEXT),
    case("MaxPooling2D", IMAGE),
    case("MaxPooling2D", IMAGE, 3, strides=2, padding="same", **FIRST),
    case("MaxPooling3D", VOLUME, 2),
    # normalization
    case("BatchNormalization", (8, 3)),
    case("BatchNormalization", IMAGE, axis=1, momentum=0.5, scale=False),
    case("BatchNormalization", (8, 3), renorm=True, renorm_clipping={"rmax": 1.2, "dmax": 0.5}),
    case("GroupNormalization", IMAGE, groups=2),
    case("GroupNormalization", IMAGE, groups=-1, axis=1, center=False),
    case("LayerNormalization", TEXT),
    case("LayerNormalization", TEXT, axis=[1, 2], epsilon=0.1),
    case("Normalization", TEXT, mean=[1.0, 2.0, 3.0, 4.0], variance=[1.0, 2.0, 3.0, 4.0]),
    case("Normalization", TEXT, axis=None, invert=True),
    case("Rescaling", IMAGE, 1 / 255, offset=-1.0),
    case("RMSNormalization", TEXT),
    case("SpectralNormalization", (2, 3), case("Dense", (2, 3), 4), power_iterations=2),
    case("UnitNormalization", TEXT, axis=1),
    # preparing data
    case("CategoryEncoding", TEXT[:2], 5, ints=5),
    case("CategoryEncoding", TEXT[:2], 5, output_mode="one_hot", ints=5),
    case("CategoryEncoding", TEXT[:2], 5, output_mode="count", ints=5),
    case("Discretization", TEXT, [-0.5, 0.0, 1.0]),
    case("Discretization", TEXT, [-0.5, 0.0, 1.0], output_mode="count"),
    case("CenterCrop", IMAGE, 3, 4),
    case("CenterCrop", IMAGE, 5, 9, **FIRST),
    case("Resizing", IMAGE, 4, 9),
    case("Resizing", IMAGE, 4, 9, "nearest", crop_to_aspect_ratio=True, **FIRST),
    case("RandomCrop", IMAGE, 6, 7, seed=3),
    # augmentation
    case("RandomFlip", PHOTO, seed=3),
    case("RandomRotation", PHOTO, 0.3, seed=3),
    case("RandomShear", PHOTO, (0.1, 0.3), seed=3),
    case("RandomTranslation", PHOTO, 0.3, (0.1, 0.2), "constant", seed=3),
    case("RandomZoom", PHOTO, 0.3, (-0.2, 0.1), "wrap", "nearest", seed=3),
    case("AutoContrast", PHOTO, value_range=[-4.0, 4.0]),
    case("Equalization", PHOTO, value_range=[-4.0, 4.0], bins=32),
    case("RandomBrightness", PHOTO, 0.3, value_range=[-4.0, 4.0], seed=3),
    case("RandomColorJitter", PHOTO, (-4.0, 4.0), 0.2, 0.3, seed=3),
    case("RandomContrast", PHOTO, 0.3, value_range=(-4.0, 4.0), seed=3),
    case("RandomGrayscale", PHOTO, 0.5),
    case("RandomHue", PHOTO, 0.3, value_range=(-4.0, 4.0), seed=3),
    case("RandomInvert", PHOTO, seed=3),
    case("RandomPosterization", PHOTO, (2, 5), value_range=[-4.0, 4.0], seed=3),
    case("RandomSaturation", PHOTO, (0.2, 0.7), value_range=[-4.0, 4.0], seed=3),
    case("RandomSharpness", PHOTO, 0.3, value_range=[-4.0, 4.0], seed=3),
    case("Solarization", PHOTO, 0.2, (0.1, 0.4), [-4.0, 4.0], seed=3),
    case("CutMix", PHOTO, seed=3),
    case("MixUp", PHOTO, seed=3),
    case("RandomErasing", PHOTO, value_range=(-4.0, 4.0), seed=3),
    case("RandomColorDegeneration", PHOTO, 0.3, value_range=[-4.0, 4.0], seed=3),
    case("RandomGaussianBlur", PHOTO, (0.2, 0.9), (3, 5), value_range=(-4.0, 4.0), seed=3),
    case("RandomElasticTransform", PHOTO, value_range=(-4.0, 4.0), seed=3),
    case("RandomPerspective", PHOTO, 0.9, 0.5, seed=3),
    case("RandAugment", PHOTO, (-4.0, 4.0), 3, 0.3, seed=3),
    case("AugMix", PHOTO, (-4.0, 4.0), 2, 2, seed=3),
    case("ContrastLimitedAdaptiveHistogramEqualization", PHOTO, (-4.0, 4.0), 4.0, (2, 3)),
    case("MaxNumBoundingBoxes", PHOTO, 5),
    case("STFTSpectrogram", (2, 40, 2), frame_length=16, fft_length=32),
    case("STFTSpectrogram", (2, 40, 1), "magnitude", 15, 4, padding="same", scaling=None),
    case("STFTSpectrogram", (2, 40, 3), "psd", 16, window="hamming", expand_dims=True),
    case("STFTSpectrogram", (2, 40, 2), "stft", 16, scaling="spectrum", periodic=True),
    case("STFTSpectrogram", (2, 40, 2), "real", 16, 16),
    case("STFTSpectrogram", (2, 2, 40), "imag", 16, data_format="channels_first"),
    case("STFTSpectrogram", (2, 2, 40), "log", 8, expand_dims=True, data_format="channels_first"),
    case("MelSpectrogram", (2, 300), 64, 32, 50, num_mel_bins=7, sampling_rate=2000),
    case("MelSpectrogram", (2, 300), 64, 16, power_to_db=False, mag_exp=1.0, num_mel_bins=5),
    case("MelSpectrogram", (2, 90), 64, 20, None, "hamming", 8000, 10, 50.0, 3900, top_db=9.0),
    case("Pipeline", IMAGE, [case("CenterCrop", (), 3, 4), case("Rescaling", (), 0.5)]),
    # regularization
    case("ActivityRegularization", (2, 3), l1=0.1, l2=0.2),
    case("AlphaDropout", (2, 30), 0.3, seed=3),
    case("Dropout", (2, 30), 0.3, seed=3),
    case("Dropout", TEXT, 0.5, noise_shape=(None, 1, 4), seed=3),
    case("GaussianDropout", (2, 30), 0.3, seed=3),
    case("GaussianNoise", (2, 30), 0.3, seed=3),
    case("SpatialDropout1D", TEXT, 0.5, seed=3),
    case("SpatialDropout2D", IMAGE, 0.5, seed=3),
    case("SpatialDropout3D", VOLUME, 0.5, seed=3, **FIRST),
    # recurrent
    case("SimpleRNNCell", ((2, 3), [(2, 4)]), 4, activation="relu", use_bias=False),
    case("LSTMCell", ((2, 3), [(2, 4), (2, 4)]), 4, kernel_regularizer="l2"),
    case("GRUCell", ((2, 3), [(2, 4)]), 4, reset_after=False),
    case(
        "StackedRNNCells",
        ((2, 3), [[(2, 4), (2, 4)], (2, 5)]),
        [case("LSTMCell", (), 4), case("GRUCell", (), 5)],
    ),
    case("RNN", TEXT, case("LSTMCell", (), 3), return_sequences=True, unroll=True),
    case("RNN", TEXT, [case("LSTMCell", (), 3), case("GRUCell", (), 2)], return_state=True),
    case("RNN", TEXT, DROPPING_CELLS, go_backwards=True, return_sequences=True),
    case("SimpleRNN", TEXT, 3, return_sequences=True),
    case("SimpleRNN", TEXT, 3, dropout=0.4, recurrent_dropout=0.3, go_backwards=True),
    case("LSTM", TEXT, 3, activity_regularizer="l2"),
    case("LSTM", TEXT, 3, return_sequences=True, return_state=True, go_backwards=True),
    case("LSTM", TEXT, 3, unit_forget_bias=False, activation="relu", unroll=True),
    case("LSTM", TEXT, 3, dropout=0.4, seed=3),
    case("LSTM", TEXT, 3, dropout=0.4, recurrent_dropout=0.3, seed=3),
    case("GRU", TEXT, 3),
    case("GRU", TEXT, 3, reset_after=False, return_sequences=True, go_backwards=True),
    case("GRU", TEXT, 3, use_bias=False, recurrent_activation="hard_sigmoid", unroll=True),
    case("GRU", TEXT, 3, dropout=0.4, return_state=True, seed=3),
    case("GRU", TEXT, 3, dropout=0.4, recurrent_dropout=0.3, reset_after=False, seed=3),
    case("ConvLSTM1D", (2, 3, 6, 4), 2, 3),
    case("ConvLSTM1D", (2, 3, 4, 6), 2, 3, strides=2, return_state=True, **FIRST),
    case("ConvLSTM2D", FILM, 3, (3, 2), padding="same", dropout=0.4, seed=3),
    case("ConvLSTM2D", FILM, 2, 2, go_backwards=True, return_sequences=True, dilation_rate=2),
    case("ConvLSTM2D", FILM, 2, 2, dropout=0.4, recurrent_dropout=0.3, seed=3, **FIRST),
    case("ConvLSTM3D", (2, 2, *VOLUME[1:]), 2, 2, unit_forget_bias=False, unroll=True),
    case("Bidirectional", TEXT, case("LSTM", (), 3)),
    case("Bidirectional", FILM, case("ConvLSTM2D", (), 2, 2, kernel_regularizer="l2")),
    case(
        "Bidirectional", TEXT, case("GRU", (), 3, return_sequences=True, dropout=0.3, seed=2), "ave"
    ),
    case("Bidirectional", TEXT, case("SimpleRNN", (), 3, return_state=True), merge_mode=None),
    case("TimeDistributed", TEXT, case("Dense", (), 3)),
    case("TimeDistributed", (2, 3, 5, 5, 2), case("Conv2D", (), 3, 2)),
    case("TimeDistributed", TEXT, case("BatchNormalization", ())),
    case("TimeDistributed", TEXT, case("Dropout", (), 0.5, seed=3)),
    # attention
    case("Attention", [TEXT, (2, 5, 4)], use_scale=True),
    case("Attention", [TEXT, (2, 5, 3), (2, 5, 4)], score_mode="concat", use_scale=True),
    case("Attention", [TEXT, TEXT], dropout=0.3, seed=3),
    case("AdditiveAttention", [TEXT, (2, 5, 4)]),
    case("MultiHeadAttention", (TEXT, (2, 5, 3)), 2, 3),
    case("MultiHeadAttention", (TEXT, TEXT, TEXT), 2, 3, value_dim=5, dropout=0.2, output_shape=6),
    case("MultiHeadAttention", (TEXT, TEXT), 2, 3, dropout=0.3, use_gate=True, seed=3),
    case("MultiHeadAttention", (IMAGE, IMAGE), 2, 3, attention_axes=(1, 2)),
    case("MultiHeadAttention", (IMAGE, IMAGE), 2, 3, attention_axes=-2, output_shape=(2, 3)),
    case("MultiHeadAttention", (TEXT, TEXT), 2, 3, sliding_window=2, activity_regularizer="l2"),
    case("GroupQueryAttention", (TEXT, (2, 5, 4)), 3, 4, 2),
    case("GroupQueryAttention", (TEXT, TEXT), 3, 4, 2, dropout=0.3, use_gate=True, seed=3),
    case("GroupQueryAttention", (TEXT, TEXT), 3, 4, 1, sliding_window=2, use_bias=False),
]


# What others of their family, on the same base, stand for in the fast tests.
LATER = {
    *("ConvLSTM1D", "ConvLSTM3D", "RandomShear", "RandomTranslation", "RandomZoom"),
    *("RandomBrightness", "RandomInvert", "RandomSaturation", "Solarization", "MixUp"),
    *("RandomHue", "RandomGrayscale", "RandomSharpness", "RandomErasing"),
    *("RandomColorDegeneration", "RandomGaussianBlur", "RandomElasticTransform", "AugMix"),
}


def parameters():
    """The cases for a fixture: the first of each layer is fast, the others are slow tests."""
    seen = set(LATER)
    for one in CASES:
        marks = [pytest.mark.slow] if one.name in seen else []
        seen.add(one.name)
        yield pytest.param(one, id=one.id, marks=marks)
