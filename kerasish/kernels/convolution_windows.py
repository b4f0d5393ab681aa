"""What convolutions on a CPU are made of: windows over images, and what is under their elements.

Images have their channels last, kernels are `(..., channels, filters)`, and `options` are as
`jax.lax.conv_general_dilated` takes them. These and the forms made of them are written with
`jax.lax`, as `jax.numpy`'s functions and operators, each a compiled function of its own, take
several times as long to trace and to differentiate.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence

import jax
import numpy as np
from jax import lax

from kerasish.kernels.noinline import materialize


def reach_and_pads(
    x: jax.Array, window: Sequence[int], options: dict
) -> tuple[list[int], list[tuple[int, int]]]:
    """What a window covers, and the padding around images, along each axis.

    Args:
        x: Images.
        window: Sizes of the kernel.
        options: Options of the convolution.
    """
    reach = [(n - 1) * d + 1 for n, d in zip(window, options["rhs_dilation"], strict=True)]
    padding, strides = options["padding"], options["window_strides"]
    if isinstance(padding, str):
        padding = lax.padtype_to_pads(x.shape[1:-1], reach, strides, padding)
    return reach, list(padding)


def padded(x: jax.Array, pads: Sequence[tuple[int, int]], window: Sequence[int]) -> jax.Array:
    """Images with zeros around them, materialized if they are read more than once.

    Args:
        x: Images.
        pads: Zeros before and after, for each spatial axis.
        window: Sizes of the kernel.
    """
    if any(map(any, pads)):
        around = [(before, after, 0) for before, after in pads]
        x = lax.pad(x, np.zeros((), x.dtype), [(0, 0, 0), *around, (0, 0, 0)])
    # What is fused into the copies would be done again for each of them.
    return materialize(x) if math.prod(window) > 1 else x


def elements(options: dict, x: jax.Array, window: Sequence[int]) -> Iterator[jax.Array]:
    """What is under the first, second, ... element of a window, at all its positions.

    A window of fewer axes than the images have takes all that there is along the others.

    Args:
        options: Options of the convolution.
        x: Images, padded.
        window: Sizes of the window.
    """
    strides, dilation = (options[n][: len(window)] for n in ("window_strides", "rhs_dilation"))
    reach = [(n - 1) * d + 1 for n, d in zip(window, dilation, strict=True)]
    sizes, others = x.shape[1 : 1 + len(window)], x.shape[1 + len(window) :]
    each = zip(sizes, reach, strides, strict=True)
    spans = [(n - r) // s * s + 1 for n, r, s in each]
    for position in itertools.product(*map(range, window)):
        start = [i * d for i, d in zip(position, dilation, strict=True)]
        ends = [first + n for first, n in zip(start, spans, strict=True)]
        none = [0] * len(others)
        limits = (x.shape[0], *ends, *others)
        yield lax.slice(x, (0, *start, *none), limits, (1, *strides, *[1 for _ in others]))


def joined(parts: Iterable[jax.Array]) -> jax.Array:
    """Arrays side by side along their last axis.

    Args:
        parts: The arrays.
    """
    parts = list(parts)
    return lax.concatenate(parts, parts[0].ndim - 1) if parts[1:] else parts[0]
