"""How convolutions are computed: each kind of device has its own best way.

On a CPU that is oneDNN, where it is there, and what XLA itself computes best where not. Everywhere
else it is JAX's primitive.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from kerasish.core.lowering import platform_dependent
from kerasish.kernels import onednn
from kerasish.kernels.convolution_primitive import Geometry, convolution
from kerasish.kernels.convolution_xla import convolve_on_cpu
from kerasish.kernels.noinline import is_undistributed


def convolve(
    x: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: str,
    dilation: Sequence[int],
    groups: int,
    channels: int,
) -> jax.Array:
    """Convolution with a kernel `(..., channels / groups, filters)`.

    Args:
        x: Images, their channels on the last axis or the one after the first.
        kernel: What they are convolved with.
        strides: Steps between the kernel's positions, for each axis.
        padding: `"VALID"` or `"SAME"`.
        dilation: Distance of the kernel's neighbouring elements, for each axis.
        groups: Number of groups of channels that do not mix.
        channels: Axis of the channels, 1 or -1.
    """
    last = x.ndim - 1
    spatial, kernel_spec = tuple(range(last - 1)), (last, last - 1, *range(last - 1))

    def by_primitive(x, kernel):
        images = (0, last, *(axis + 1 for axis in spatial))
        images = images if channels == -1 else tuple(range(last + 1))
        return lax.conv_general_dilated(
            x,
            kernel,
            strides,
            padding,
            rhs_dilation=dilation,
            dimension_numbers=lax.ConvDimensionNumbers(images, kernel_spec, images),
            feature_group_count=groups,
        )

    def on_cpu(x, kernel):
        x = x if channels == -1 else jnp.moveaxis(x, 1, -1)
        if fits_onednn(x, kernel):
            window = kernel.shape[:-2]
            reach = [(n - 1) * d + 1 for n, d in zip(window, dilation, strict=True)]
            pads = lax.padtype_to_pads(x.shape[1:-1], reach, strides, padding)
            arguments = x.shape[1:-1], window, tuple(strides), tuple(pads), tuple(dilation), groups
            y = convolution("output", Geometry(*arguments).canonical(), x, kernel)
        else:
            y = convolve_on_cpu(x, kernel, strides, padding, dilation, groups)
        return y if channels == -1 else jnp.moveaxis(y, -1, 1)

    return platform_dependent(x, kernel, cpu=on_cpu, default=by_primitive)


def fits_onednn(x: jax.Array, kernel: jax.Array) -> bool:
    """Whether oneDNN may compute a convolution: float32 of known sizes, on one device.

    Args:
        x: The images.
        kernel: The kernel.
    """
    arrays = jax.typeof(x), jax.typeof(kernel)
    return (
        all(a.dtype == jnp.float32 and not any(a.sharding.spec) for a in arrays)
        and all(isinstance(n, int) and n > 0 for a in arrays for n in a.shape)
        and is_undistributed()
        and onednn.is_available()
    )
