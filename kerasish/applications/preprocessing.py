"""`preprocess_input` of the models, by the way they were trained."""

from typing import Any

from kerasish.applications import imagenet_utils


def caffe(x: Any, data_format: str | None = None) -> Any:
    """Images of values from 0 to 255 in blue, green, red, less ImageNet's mean.

    See `keras.applications.imagenet_utils.preprocess_input`.

    Args:
        x: Images of values from 0 to 255.
        data_format: Where the channels are.

    Example:
        >>> print(caffe(np.full((1, 1, 3), 128.0)))
        [[[24.061 11.221  4.32 ]]]
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="caffe")


def tf(x: Any, data_format: str | None = None) -> Any:
    """Images of values from 0 to 255 scaled to values from -1 to 1.

    See `keras.applications.imagenet_utils.preprocess_input`.

    Args:
        x: Images of values from 0 to 255.
        data_format: Where the channels are.

    Example:
        >>> print(tf(np.array([[[0.0, 127.5, 255.0]]])))
        [[[-1.  0.  1.]]]
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="tf")


def torch(x: Any, data_format: str | None = None) -> Any:
    """Images of values from 0 to 255, of which ImageNet's have mean 0 and variance 1.

    See `keras.applications.imagenet_utils.preprocess_input`.

    Args:
        x: Images of values from 0 to 255.
        data_format: Where the channels are.

    Example:
        >>> print(torch(np.full((1, 1, 3), 255.0)).round(2))
        [[[2.25 2.43 2.64]]]
    """
    return imagenet_utils.preprocess_input(x, data_format, mode="torch")


def unchanged(x: Any, data_format: str | None = None) -> Any:
    """The images as they are: the model scales them itself.

    Args:
        x: Images of values from 0 to 255.
        data_format: Where the channels are.

    Example:
        >>> print(unchanged(np.array([[[0.0, 127.5, 255.0]]])))
        [[[  0.  127.5 255. ]]]
    """
    return x
