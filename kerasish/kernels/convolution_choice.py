"""Which form of a convolution pays on a CPU where XLA computes it, by its sizes."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax

from kerasish.kernels.convolution_im2col import im2col_product, row_im2col_product
from kerasish.kernels.convolution_shifted import shift_and_add
from kerasish.kernels.convolution_winograd import tiles_of, winograd_product


class Limits(NamedTuple):
    """From where on, or up to where, each form pays; measured on one kind of processor.

    Attributes:
        winograd_bytes: Most bytes of columns to copy for Winograd's form.
        im2col_bytes: Most bytes of patches; larger ones do not pay.
        row_im2col_bytes: Most bytes of rows; larger ones do not pay.
        deep: Channels from which on Winograd's form pays.
        wide: Filters from which on it does.
        work: Products of each element of the kernel from which on it does.
        filled: Least share of its tiles that is not padding.
        brief: Products for each position of one channel up to which shift and add rounds no more
            than a product of matrices, which adds up numbers of 16 bits as numbers of 32.
        many: Channels from which on XLA's own code for images is good.
        few: Channels up to which it is where no gradient is taken and positions are few.
        some: Channels from which on it is not, there.
        positions: Positions up to which it is, there.
    """

    winograd_bytes: int = 2**27
    im2col_bytes: int = 2**24
    row_im2col_bytes: int = 3 * 2**23
    deep: int = 16
    wide: int = 32
    work: int = 2**16
    filled: float = 0.7
    brief: int = 600
    many: int = 128
    few: int = 4
    some: int = 32
    positions: int = 2000


LIMITS = Limits()


def choose_product(
    by_itself: Callable, x: jax.Array, kernel: jax.Array, options: dict, forward_only: bool = False
) -> Callable | None:
    """The way to compute a convolution as products of matrices, if that pays.

    Args:
        by_itself: The convolution as XLA computes it.
        x: Its images.
        kernel: Its kernel.
        options: Its options.
        forward_only: Whether no gradient is taken.
    """
    *sizes, filters = jax.eval_shape(by_itself, x, kernel).shape
    *window, channels = kernel.shape[:-1]
    if not all(isinstance(n, int) for n in (*sizes, filters, *window, channels)):
        return None
    positions, images = math.prod(sizes), x.ndim == 4
    itemsize, last_step = kernel.dtype.itemsize, options["window_strides"][-1]
    if channels == 1 and itemsize >= 4 and math.prod(window) * filters <= LIMITS.brief:
        return shift_and_add
    if forward_only and not (
        images
        and positions > LIMITS.positions
        and (1 < channels <= LIMITS.few or channels >= LIMITS.some)
    ):
        return None
    if x.ndim > 3 and window[-1] == 3 and last_step == options["rhs_dilation"][-1] == 1:
        deep = channels >= LIMITS.deep and filters >= LIMITS.wide and itemsize >= 4
        tiled = positions // max(sizes[-1], 1) * 4 * tiles_of(sizes[-1])
        copies = tiled * 6 // 4 * math.prod(window[:-1]) * channels
        pays = (
            deep
            and positions * channels * filters >= LIMITS.work
            and positions >= LIMITS.filled * tiled
        )
        if pays and copies * itemsize <= LIMITS.winograd_bytes:
            return winograd_product
    if images and channels >= LIMITS.many:
        return None
    if positions * math.prod(window) * channels * itemsize <= LIMITS.im2col_bytes:
        return im2col_product
    copies = positions * math.prod(window[:-1]) * max(channels, filters)
    return (
        row_im2col_product
        if images and last_step == 1 and copies * itemsize <= LIMITS.row_im2col_bytes
        else None
    )
