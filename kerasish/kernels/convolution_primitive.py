"""One convolution primitive of three kinds, closed under derivatives and `jax.vmap`.

A convolution's input, kernel and output belong together: the sum of what the convolution makes of
the first two, times the third, is linear in each of them. The primitive takes two of the three and
returns the derivative of that sum by the third: the convolution itself (kind `"output"`), its
gradient by the input or its gradient by the kernel. So each kind's derivatives and transposes are
the other kinds, of any order, and a transposed convolution is the gradient by the input.

Inputs and outputs have their channels last, kernels are `(..., channels / groups, filters)`. On a
CPU oneDNN computes it, where it is there and the program is one device's; elsewhere XLA.
"""

import dataclasses
import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.sharding import Mesh

from kerasish.core.shard_map import match_varying_axes
from kerasish.kernels import onednn
from kerasish.kernels.convolution_xla import convolve_on_cpu

ROLES: tuple[str, ...] = ("input", "kernel", "output")


@dataclasses.dataclass(frozen=True)
class Geometry:
    """Sizes along the spatial axes, which all three kinds share.

    Args:
        image: Sizes of the input.
        window: Sizes of the kernel.
        strides: Steps between the kernel's positions.
        padding: Zeros before and after the input; fewer than none cut it.
        dilation: Distance of the kernel's neighbouring elements.
        groups: Number of groups of channels that do not mix.
    """

    image: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int

    @property
    def reach(self) -> tuple[int, ...]:
        """What the kernel covers."""
        return tuple((n - 1) * d + 1 for n, d in zip(self.window, self.dilation, strict=True))

    @property
    def positions(self) -> tuple[int, ...]:
        """Sizes of the output."""
        rooms = (
            n + sum(pads) - r
            for n, pads, r in zip(self.image, self.padding, self.reach, strict=True)
        )
        return tuple(max(0, room // s + 1) for room, s in zip(rooms, self.strides, strict=True))

    def canonical(self) -> "Geometry":
        """The same convolution, with no more zeros behind the input than the kernel reads."""
        padding = []
        each = zip(self.image, self.padding, self.reach, self.strides, self.positions, strict=True)
        for n, (before, after), reach, stride, positions in each:
            if positions:
                least = (positions - 1) * stride + reach - n - before
                after = min(max(least, 0), least + stride - 1)
            padding.append((before, after))
        return dataclasses.replace(self, padding=tuple(padding))


def convolution(kind: str, geometry: Geometry, a: jax.Array, b: jax.Array) -> jax.Array:
    """A convolution of this kind.

    Args:
        kind: What is computed: `"output"`, or the gradient by the `"input"` or the `"kernel"`.
        geometry: Sizes along the spatial axes.
        a: The first of the two others of (input, kernel, output).
        b: The second.
    """
    a, b = match_varying_axes((a, b))
    return _convolution.bind(a, b, kind=kind, geometry=geometry)


_convolution = Primitive("convolution")


@functools.partial(jax.jit, static_argnames=("kind", "geometry"))
def _run(a, b, *, kind, geometry):
    return _convolution.bind(a, b, kind=kind, geometry=geometry)


_convolution.def_impl(_run)


def _roles(kind):
    return tuple(role for role in ROLES if role != kind)


def _shapes(kind, geometry, a, b):
    """Those of input, kernel and output."""
    known = dict(zip(_roles(kind), (a.shape, b.shape), strict=True))
    batch = known["input" if "input" in known else "output"][0]
    if "kernel" in known:
        inner, filters = known["kernel"][-2:]
    else:
        inner, filters = known["input"][-1] // geometry.groups, known["output"][-1]
    return (
        (batch, *geometry.image, inner * geometry.groups),
        (*geometry.window, inner, filters),
        (batch, *geometry.positions, filters),
    )


@_convolution.def_abstract_eval
def _(a, b, *, kind, geometry):
    shapes = dict(zip(ROLES, _shapes(kind, geometry, a, b), strict=True))
    for role, x in zip(_roles(kind), (a, b), strict=True):
        if x.shape != shapes[role]:
            raise ValueError(
                f"convolution: the {role} must have the shape {shapes[role]} under {geometry}; "
                f"got {x.shape}."
            )
    return a.update(shape=shapes[kind], weak_type=False)


# Derivatives: what the tangent or the cotangent stands for is known by its role.
def _transposed_by(position):
    def rule(cotangent, a, b, *, kind, geometry):
        roles = _roles(kind)
        given = {kind: cotangent, roles[1 - position]: (a, b)[1 - position]}
        wanted = roles[position]
        return convolution(wanted, geometry, *(given[role] for role in _roles(wanted)))

    return rule


ad.defbilinear(_convolution, _transposed_by(0), _transposed_by(1))


# `jax.vmap`: the new axis becomes part of one that an argument shares with the result, or, where
# both arguments have it, of the groups. Axes of channels and filters hold the groups first.
def _where(first, second, groups):
    """Which axis two roles share, for each of them, and how many outer parts it has."""
    return {
        ("input", "output"): ((0, 1), (0, 1)),
        ("input", "kernel"): ((-1, groups), (-2, 1)),
        ("kernel", "output"): ((-1, groups), (-1, groups)),
    }[first, second]


def _fold(x, mapped, axis, outer):
    """The axis `mapped` between the outer parts and the inner ones of another."""
    x = jnp.moveaxis(x, mapped, 0)
    size, *shape = x.shape
    axis %= len(shape)
    x = x.reshape(size, *shape[:axis], outer, shape[axis] // outer, *shape[axis + 1 :])
    x = jnp.moveaxis(x, 0, axis + 1)
    shape[axis] *= size
    return x.reshape(shape)


def _unfold(x, size, axis, outer):
    axis %= x.ndim
    inner = x.shape[axis] // (outer * size)
    x = x.reshape(*x.shape[:axis], outer, size, inner, *x.shape[axis + 1 :])
    x = jnp.moveaxis(x, axis + 1, 0)
    return x.reshape(size, *x.shape[1 : axis + 1], outer * inner, *x.shape[axis + 3 :])


def _map(args, axes, *, kind, geometry):
    roles = _roles(kind)
    mapped = [i for i in (0, 1) if axes[i] is not None]
    size = args[mapped[0]].shape[axes[mapped[0]]]
    args = list(args)
    if len(mapped) == 2:
        into = [(-1, 1), (-1, 1)]
        there = (-1, 1)
        geometry = dataclasses.replace(geometry, groups=size * geometry.groups)
    else:
        role = roles[mapped[0]]
        pair = sorted((role, kind), key=ROLES.index)
        where = dict(zip(pair, _where(*pair, geometry.groups), strict=True))
        into = [where.get(name, ()) for name in roles]
        there = where[kind]
    for i in mapped:
        args[i] = _fold(args[i], axes[i], *into[i])
    return _unfold(convolution(kind, geometry, *args), size, *there), 0


batching.primitive_batchers[_convolution] = _map


# How it is computed.
def _by(forward: Callable, kind: str, geometry: Geometry, a, b) -> jax.Array:
    """What a way to compute a convolution makes of a kind, by its derivatives."""
    if kind == "output":
        return forward(geometry, a, b)
    zeros = jnp.zeros(_shapes(kind, geometry, a, b)[ROLES.index(kind)], a.dtype)
    zeros, a, b = match_varying_axes((zeros, a, b))
    if kind == "input":
        return jax.vjp(lambda x: forward(geometry, x, a), zeros)[1](b)[0]
    return jax.vjp(lambda kernel: forward(geometry, a, kernel), zeros)[1](b)[0]


def _lax(geometry, x, kernel):
    last = x.ndim - 1
    images = (0, last, *range(1, last))
    numbers = lax.ConvDimensionNumbers(images, (last, last - 1, *range(last - 1)), images)
    return lax.conv_general_dilated(
        x,
        kernel,
        geometry.strides,
        geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=numbers,
        feature_group_count=geometry.groups,
    )


def _xla_on_cpu(geometry, x, kernel):
    if not math.prod((*x.shape, *kernel.shape, *geometry.positions)):
        return _lax(geometry, x, kernel)
    strides, padding, dilation = geometry.strides, geometry.padding, geometry.dilation
    return convolve_on_cpu(x, kernel, strides, padding, dilation, geometry.groups)


def _onednn(a, b, *, kind, geometry):
    shapes = _shapes(kind, geometry, a, b)
    result = jax.typeof(a).update(shape=shapes[ROLES.index(kind)], weak_type=False)
    return onednn.call(_attribute(kind, geometry), result, a, b)


def _attribute(kind, geometry):
    """The numbers that the handler reads, in its order of kinds."""
    before, after = zip(*geometry.padding, strict=True)
    number = ("output", "input", "kernel").index(kind)
    axes = (*geometry.strides, *geometry.dilation, *before, *after)
    return (number, geometry.groups, *axes)


def _runs_on_one_device(ctx) -> bool:
    """Whether the program is not partitioned: XLA would gather what a custom call needs."""
    axes = ctx.module_context.axis_context
    if isinstance(mesh := getattr(axes, "mesh", None), Mesh):
        return mesh.size == 1 or set(axes.manual_axes) == set(mesh.axis_names)
    return getattr(axes, "num_devices", None) == 1


def _lower_on_cpu(ctx, a, b, *, kind, geometry):
    avals = ctx.avals_in
    shapes = _shapes(kind, geometry, *avals)
    stays_here = not ctx.module_context.lowering_parameters.for_export
    fit = all(aval.dtype == jnp.float32 for aval in avals) and math.prod(map(math.prod, shapes))
    if (
        stays_here
        and fit
        and onednn.is_available()
        and _runs_on_one_device(ctx)
        and onednn.is_fast(_attribute(kind, geometry), *shapes)
    ):
        way = functools.partial(_onednn, kind=kind, geometry=geometry)
    else:
        way = functools.partial(_by, _xla_on_cpu, kind, geometry)
    return mlir.lower_fun(way, multiple_results=False)(ctx, a, b)


def _by_lax(a, b, *, kind, geometry):
    return _by(_lax, kind, geometry, a, b)


mlir.register_lowering(_convolution, mlir.lower_fun(_by_lax, multiple_results=False))
mlir.register_lowering(_convolution, _lower_on_cpu, platform="cpu")
