"""`keras.ops.nn`: the ops that networks are made of."""

# Packed by hand: one name a line would be hundreds.
# fmt: off
# ruff: noqa: I001

from kerasish.ops.nn.activations import (
    celu, elu, gelu, glu, hard_shrink, hard_sigmoid, hard_silu, hard_swish, hard_tanh, leaky_relu,
    log_sigmoid, log_softmax, relu, relu6, selu, sigmoid, silu, soft_shrink, softmax, softplus,
    softsign, sparse_plus, sparse_sigmoid, sparsemax, squareplus, swish, tanh_shrink, threshold,
)
from kerasish.ops.nn.ctc import ctc_decode
from kerasish.ops.math import polar
from kerasish.ops.nn.normalization import (
    batch_normalization, binary_crossentropy, categorical_crossentropy, ctc_loss,
    dot_product_attention, layer_normalization, moments, multi_hot, normalize, one_hot, psnr,
    rms_normalization, sparse_categorical_crossentropy,
)
from kerasish.ops.nn.patches import depth_to_space, fold, space_to_depth, unfold
from kerasish.ops.nn.convolution import (
    adaptive_average_pool, adaptive_max_pool, average_pool, conv, conv_transpose, depthwise_conv,
    max_pool, separable_conv,
)

__all__ = [
    "adaptive_average_pool", "adaptive_max_pool", "average_pool", "batch_normalization",
    "binary_crossentropy", "categorical_crossentropy", "celu", "conv", "conv_transpose",
    "ctc_decode", "ctc_loss", "depth_to_space", "depthwise_conv", "dot_product_attention", "elu",
    "fold", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish", "hard_tanh",
    "layer_normalization", "leaky_relu", "log_sigmoid", "log_softmax", "max_pool", "moments",
    "multi_hot", "normalize", "one_hot", "polar", "psnr", "relu", "relu6", "rms_normalization",
    "selu", "separable_conv", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign",
    "space_to_depth", "sparse_categorical_crossentropy", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "squareplus", "swish", "tanh_shrink", "threshold", "unfold",
]
