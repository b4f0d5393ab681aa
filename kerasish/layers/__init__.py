"""Layers: what models are made of."""

import inspect
import typing

from kerasish.core.serialization.registry import custom_object_scope, publish, published
from kerasish.core.serialization.serialize import resolve, serialize_keras_object
from kerasish.layers.attention.attention import AdditiveAttention, Attention
from kerasish.layers.attention.grouped_query_attention import (
    GroupedQueryAttention as GroupQueryAttention,
)
from kerasish.layers.attention.multi_head_attention import MultiHeadAttention
from kerasish.layers.base.input_spec import InputSpec
from kerasish.layers.base.layer import Layer
from kerasish.layers.convolutional.conv import (
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    Conv3D,
    Conv3DTranspose,
)
from kerasish.layers.convolutional.separable_conv import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from kerasish.layers.core.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from kerasish.layers.core.basic import Identity, Lambda, Masking, Wrapper
from kerasish.layers.core.dense import Dense, EinsumDense
from kerasish.layers.core.embedding import Embedding, ReversibleEmbedding
from kerasish.layers.core.foreign_layer import TFSMLayer, TorchModuleWrapper
from kerasish.layers.core.input_layer import Input, InputLayer
from kerasish.layers.core.jax_layer import FlaxLayer, JaxLayer
from kerasish.layers.merging import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from kerasish.layers.normalization.batch_normalization import (
    BatchNormalization,
    LayerNormalization,
)
from kerasish.layers.normalization.group_normalization import (
    GroupNormalization,
    RMSNormalization,
    UnitNormalization,
)
from kerasish.layers.normalization.spectral_normalization import SpectralNormalization
from kerasish.layers.pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
)
from kerasish.layers.preprocessing.category_encoding import CategoryEncoding, Discretization
from kerasish.layers.preprocessing.hashing import HashedCrossing, Hashing
from kerasish.layers.preprocessing.image.blur import RandomGaussianBlur
from kerasish.layers.preprocessing.image.clahe import ContrastLimitedAdaptiveHistogramEqualization
from kerasish.layers.preprocessing.image.color import (
    RandomBrightness,
    RandomColorDegeneration,
    RandomColorJitter,
    RandomContrast,
    RandomGrayscale,
    RandomHue,
    RandomSaturation,
)
from kerasish.layers.preprocessing.image.distortion import RandomElasticTransform, RandomPerspective
from kerasish.layers.preprocessing.image.geometric import (
    RandomFlip,
    RandomRotation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
)
from kerasish.layers.preprocessing.image.max_boxes import MaxNumBoundingBoxes
from kerasish.layers.preprocessing.image.mixing import CutMix, MixUp, RandomErasing
from kerasish.layers.preprocessing.image.policies import AugMix, RandAugment
from kerasish.layers.preprocessing.image.resizing import CenterCrop, RandomCrop, Resizing
from kerasish.layers.preprocessing.image.tone import (
    AutoContrast,
    Equalization,
    RandomInvert,
    RandomPosterization,
    RandomSharpness,
    Solarization,
)
from kerasish.layers.preprocessing.lookup import IntegerLookup, StringLookup
from kerasish.layers.preprocessing.normalization import Normalization, Rescaling
from kerasish.layers.preprocessing.pipeline import Pipeline
from kerasish.layers.preprocessing.spectrogram import MelSpectrogram, STFTSpectrogram
from kerasish.layers.preprocessing.text_vectorization import TextVectorization
from kerasish.layers.regularization import (
    ActivityRegularization,
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from kerasish.layers.reshaping.crop_and_pad import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from kerasish.layers.reshaping.reshape import (
    Flatten,
    Permute,
    RepeatVector,
    Reshape,
    UpSampling1D,
    UpSampling2D,
    UpSampling3D,
)
from kerasish.layers.rnn.bidirectional import Bidirectional
from kerasish.layers.rnn.cell import StackedRNNCells
from kerasish.layers.rnn.conv_lstm import ConvLSTM1D, ConvLSTM2D, ConvLSTM3D
from kerasish.layers.rnn.gru import GRU, GRUCell
from kerasish.layers.rnn.lstm import LSTM, LSTMCell
from kerasish.layers.rnn.rnn import RNN
from kerasish.layers.rnn.simple_rnn import SimpleRNN, SimpleRNNCell
from kerasish.layers.rnn.time_distributed import TimeDistributed

# Keras' other names for the same.
AvgPool1D = AveragePooling1D
AvgPool2D = AveragePooling2D
AvgPool3D = AveragePooling3D
Convolution1D = Conv1D
Convolution1DTranspose = Conv1DTranspose
Convolution2D = Conv2D
Convolution2DTranspose = Conv2DTranspose
Convolution3D = Conv3D
Convolution3DTranspose = Conv3DTranspose
GlobalAvgPool1D = GlobalAveragePooling1D
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalAvgPool3D = GlobalAveragePooling3D
GlobalMaxPool1D = GlobalMaxPooling1D
GlobalMaxPool2D = GlobalMaxPooling2D
GlobalMaxPool3D = GlobalMaxPooling3D
MaxPool1D = MaxPooling1D
MaxPool2D = MaxPooling2D
MaxPool3D = MaxPooling3D
SeparableConvolution1D = SeparableConv1D
SeparableConvolution2D = SeparableConv2D

publish(
    "keras.layers",
    {
        name: item
        for name, item in globals().items()
        if inspect.isclass(item) and issubclass(item, Layer)
    },
)


def get(identifier: typing.Any) -> typing.Any:
    """A layer from its class's name or config; a layer stays itself.

    Args:
        identifier: A layer, its class, its name, or its config.

    Example:
        >>> get("Flatten").name
        'flatten'
    """
    return resolve(identifier, published("keras.layers"), "layer")


def serialize(layer: typing.Any) -> dict:
    """A layer as plain data.

    Args:
        layer: The layer.

    Example:
        >>> serialize(keras.layers.Flatten(name="flat"))["class_name"]
        'Flatten'
    """
    return serialize_keras_object(layer)


def deserialize(config: dict, custom_objects: dict | None = None) -> typing.Any:
    """A layer from plain data.

    Args:
        config: What `serialize` gave.
        custom_objects: Classes and functions by the names that the config has for them.

    Example:
        >>> deserialize(serialize(keras.layers.Flatten(name="flat"))).name
        'flat'
    """
    with custom_object_scope(custom_objects or {}):
        return resolve(config, published("keras.layers"), "layer")


__all__ = [
    "Activation",
    "ActivityRegularization",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "Add",
    "AdditiveAttention",
    "AlphaDropout",
    "Attention",
    "AugMix",
    "AutoContrast",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormalization",
    "Bidirectional",
    "CategoryEncoding",
    "CenterCrop",
    "Concatenate",
    "ContrastLimitedAdaptiveHistogramEqualization",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "ConvLSTM1D",
    "ConvLSTM2D",
    "ConvLSTM3D",
    "Convolution1D",
    "Convolution1DTranspose",
    "Convolution2D",
    "Convolution2DTranspose",
    "Convolution3D",
    "Convolution3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "CutMix",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Discretization",
    "Dot",
    "Dropout",
    "ELU",
    "EinsumDense",
    "Embedding",
    "Equalization",
    "Flatten",
    "FlaxLayer",
    "GRU",
    "GRUCell",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupQueryAttention",
    "HashedCrossing",
    "Hashing",
    "Identity",
    "Input",
    "InputLayer",
    "InputSpec",
    "IntegerLookup",
    "JaxLayer",
    "LSTM",
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Masking",
    "MaxNumBoundingBoxes",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "MelSpectrogram",
    "Minimum",
    "MixUp",
    "MultiHeadAttention",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "Pipeline",
    "RMSNormalization",
    "RNN",
    "RandAugment",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPerspective",
    "RandomPosterization",
    "RandomRotation",
    "RandomSaturation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Resizing",
    "ReversibleEmbedding",
    "STFTSpectrogram",
    "SeparableConv1D",
    "SeparableConv2D",
    "SeparableConvolution1D",
    "SeparableConvolution2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "Softmax",
    "Solarization",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "StackedRNNCells",
    "StringLookup",
    "Subtract",
    "TFSMLayer",
    "TextVectorization",
    "TimeDistributed",
    "TorchModuleWrapper",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "Wrapper",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "add",
    "average",
    "concatenate",
    "deserialize",
    "dot",
    "get",
    "maximum",
    "minimum",
    "multiply",
    "serialize",
    "subtract",
]
