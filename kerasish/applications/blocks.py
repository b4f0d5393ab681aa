"""Layers that image models are made of, a function a pattern: each takes and gives a tensor."""

from typing import Any

from kerasish import backend, layers


def channel_axis(last: int = -1) -> int:
    """The axis of the channels: 1 where they come first, else `last`, which is -1 or 3.

    Args:
        last: Axis where channels come last.
    """
    return 1 if backend.image_data_format() == "channels_first" else last


def conv(
    x: Any, filters: int, kernel: Any = 1, strides: Any = 1, name: str | None = None, **options: Any
) -> Any:
    """Convolution whose output has the input's size over `strides`; no bias unless asked for.

    Args:
        x: Tensor of the network.
        filters: Channels of the output.
        kernel: Height and width of the kernel, or one number for both.
        strides: Steps between positions of the kernel.
        name: Name of the layer.
        **options: Further arguments of the layer.
    """
    options = {"padding": "same", "use_bias": False, **options}
    return layers.Conv2D(filters, kernel, strides=strides, name=name, **options)(x)


def norm(x: Any, name: str | None = None, last: int = -1, **options: Any) -> Any:
    """Batch normalization of the channels.

    Args:
        x: Tensor of the network.
        name: Name of the layer.
        last: Axis where channels come last.
        **options: Further arguments of the layer.
    """
    return layers.BatchNormalization(axis=channel_axis(last), name=name, **options)(x)


def act(x: Any, function: Any = "relu", name: str | None = None) -> Any:
    """Activation, as a layer of its own.

    Args:
        x: Tensor of the network.
        function: The activation, or its name.
        name: Name of the layer.
    """
    return layers.Activation(function, name=name)(x)


def join(branches: list, name: str | None = None, last: int = -1) -> Any:
    """The channels of all branches, one branch after the other.

    Args:
        branches: Tensors of one height and width.
        name: Name of the layer.
        last: Axis where channels come last.
    """
    return layers.Concatenate(axis=channel_axis(last), name=name)(branches)


def conv_norm_relu(
    x: Any, filters: int, kernel: Any = 1, strides: Any = 1, padding: str = "same"
) -> Any:
    """What Inception networks are made of: no bias, no scale, and generated names.

    Args:
        x: Tensor of the network.
        filters: Channels of the output.
        kernel: Height and width of the kernel, or one number for both.
        strides: Steps between positions of the kernel.
        padding: `"same"` or `"valid"`.
    """
    x = conv(x, filters, kernel, strides, padding=padding)
    return act(norm(x, last=3, scale=False))


def halving_pad(x: Any, kernel: int, name: str) -> Any:
    """Zeros around an image, so that a convolution of stride 2 and no padding halves it.

    One row and column fewer before the image where its size is even, as in `"same"` padding of
    TensorFlow; where the size is not known, it is taken for even.

    Args:
        x: Tensor of the network.
        kernel: Height and width of the kernel, or one number for both.
        name: Name of the layer.
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

    Args:
        filters: The number.
        at_least: Share of the number that the result has at least.
        divisor: What the result is a multiple of.

    >>> round_filters(16 * 1.2), round_filters(16 * 1.2, at_least=0)
    (24, 16)
    """
    rounded = max(divisor, int(filters + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < at_least * filters else rounded
