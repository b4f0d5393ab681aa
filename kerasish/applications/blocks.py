"""Layers that image models are made of, a function a pattern: each takes and gives a tensor."""

from typing import Any

from kerasish import backend, layers


def channel_axis(last: int = -1) -> int:
    """The axis of the channels: 1 where they come first, else `last`, which is -1 or 3."""
    return 1 if backend.image_data_format() == "channels_first" else last


def conv(
    x: Any, filters: int, kernel: Any = 1, strides: Any = 1, name: str | None = None, **options: Any
) -> Any:
    """Convolution whose output has the input's size over `strides`; no bias unless asked for."""
    options = {"padding": "same", "use_bias": False, **options}
    return layers.Conv2D(filters, kernel, strides=strides, name=name, **options)(x)


def norm(x: Any, name: str | None = None, last: int = -1, **options: Any) -> Any:
    """Batch normalization of the channels."""
    return layers.BatchNormalization(axis=channel_axis(last), name=name, **options)(x)


def act(x: Any, function: Any = "relu", name: str | None = None) -> Any:
    """Activation, as a layer of its own."""
    return layers.Activation(function, name=name)(x)


def join(branches: list, name: str | None = None, last: int = -1) -> Any:
    """The channels of all branches, one branch after the other."""
    return layers.Concatenate(axis=channel_axis(last), name=name)(branches)


def conv_norm_relu(
    x: Any, filters: int, kernel: Any = 1, strides: Any = 1, padding: str = "same"
) -> Any:
    """What Inception networks are made of: no bias, no scale, and generated names."""
    x = conv(x, filters, kernel, strides, padding=padding)
    return act(norm(x, last=3, scale=False))


def halving_pad(x: Any, kernel: int, name: str) -> Any:
    """Zeros around an image, so that a convolution of stride 2 and no padding halves it.

    One row and column fewer before the image where its size is even, as in `"same"` padding of
    TensorFlow; where the size is not known, it is taken for even.
    """
    first = 2 if channel_axis() == 1 else 1
    after = kernel // 2
    rows, columns = x.shape[first : first + 2]
    before = [after - (1 if rows is None else 1 - size % 2) for size in (rows, columns)]
    padding = tuple((size, after) for size in before)
    return layers.ZeroPadding2D(padding, name=name)(x)


def depthwise(
    x: Any, kernel: int, stride: int, name: str, pad: str | None = None, **options: Any
) -> Any:
    """Convolution of each channel by itself, padded so that its output is 1 / `stride` as large.

    Args:
        x: Images.
        kernel: Height and width of the filters.
        stride: 1 or 2.
        name: Name of the layer.
        pad: Name of a layer that pads as `halving_pad` does, where the stride is 2; `None`: the
            convolution pads by itself.
        options: Other arguments of the convolution.
    """
    padding = "same"
    if pad is not None and stride == 2:
        x, padding = halving_pad(x, kernel, pad), "valid"
    options = {"strides": stride, "padding": padding, "use_bias": False, **options}
    return layers.DepthwiseConv2D(kernel, name=name, **options)(x)


def round_filters(filters: float, at_least: float = 0.9, divisor: int = 8) -> int:
    """The multiple of `divisor` nearest to a number, but not under `at_least` times it.

    >>> round_filters(16 * 1.2), round_filters(16 * 1.2, at_least=0)
    (24, 16)
    """
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < at_least * filters else rounded
