"""Linear functions with a transpose written by hand, through all of JAX's transformations."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir

from kerasish.core.shard_map import match_varying_axes


def differentiated_as(plain: Callable, fast: Callable) -> Callable:
    """A function that computes as `fast`, and is differentiated as `plain`, which returns the same.

    Args:
        plain: The function to differentiate.
        fast: The function to compute.

    Example:
        >>> square = differentiated_as(lambda x: x * x, lambda x: x**2)
        >>> float(square(3.0)), float(jax.grad(square)(3.0))
        (9.0, 6.0)
    """
    fn = jax.custom_jvp(fast)
    fn.defjvp(lambda primals, tangents: jax.jvp(plain, primals, tangents))
    return fn


def linear_call(fn: Callable, transposed: Callable, fixed: Any, given: Any) -> Any:
    """`fn(fixed, given)`, linear in `given`, with a transpose that somebody wrote.

    `jax.custom_derivatives.linear_call` does that too, but can neither be mapped by `jax.vmap` nor
    be differentiated by what is fixed.

    Args:
        fn: The function. It uses no arrays but its arguments.
        transposed: `transposed(fixed, gradients of what fn returns) -> gradients of given`.
        fixed: A pytree of arrays in which neither needs to be linear.
        given: A pytree of the others.

    Returns:
        What `fn` returns.

    Example:
        >>> def double(_, x):
        ...     return 2 * x
        >>> float(jax.grad(lambda x: linear_call(double, double, (), x))(3.0))
        2.0
    """
    fixed, given = match_varying_axes((fixed, given))
    constants, around = jax.tree.flatten(fixed)
    values, into = jax.tree.flatten(given)
    jaxpr, shapes = jax.make_jaxpr(fn, return_shape=True)(fixed, given)
    out_of = jax.tree.structure(shapes)

    def back(*flat):
        fixed = around.unflatten(flat[: len(constants)])
        return into.flatten_up_to(transposed(fixed, out_of.unflatten(flat[len(constants) :])))

    return out_of.unflatten(_bind(jaxpr, back, constants, values))


# The function and its transpose take what is fixed, then the rest, as flat lists of arrays. The
# transpose is traced when it is needed.
_linear = Primitive("linear")
_linear.multiple_results = True


def _bind(jaxpr: ClosedJaxpr, back: Callable, fixed: Sequence, given: Sequence) -> list:
    return _linear.bind(*fixed, *given, jaxpr=jaxpr, back=back, count=len(fixed))


def _evaluate(*args, jaxpr, back, count):
    return jaxpr_as_fun(jaxpr)(*args)


def _jvp(primals, tangents, *, jaxpr, back, count):
    fixed, given = primals[:count], primals[count:]
    made = _bind(jaxpr, back, fixed, given)
    dgiven = list(map(ad.instantiate_zeros, tangents[count:]))
    dmade = _bind(jaxpr, back, fixed, dgiven)
    varying = [i for i in range(count) if not isinstance(tangents[i], ad.Zero)]
    if varying:

        def by_moving(*some):
            args = dict(enumerate(primals)) | dict(zip(varying, some, strict=True))
            return jaxpr_as_fun(jaxpr)(*args.values())

        at, along = ([values[i] for i in varying] for values in (primals, tangents))
        dmade = list(map(jnp.add, dmade, jax.jvp(by_moving, at, along)[1]))
    return made, dmade


def _transpose(gradients, *args, jaxpr, back, count):
    fixed, given = args[:count], args[count:]
    gradients = list(map(ad.instantiate_zeros, gradients))
    transposed_jaxpr = jax.make_jaxpr(back)(*fixed, *gradients)
    made = _bind(transposed_jaxpr, jaxpr_as_fun(jaxpr), fixed, gradients)
    asked = [ad.is_undefined_primal(x) for x in given]
    return [None] * count + [y if wanted else None for y, wanted in zip(made, asked, strict=True)]


def _batch(args, axes, *, jaxpr, back, count):
    size = next(x.shape[axis] for x, axis in zip(args, axes, strict=True) if axis is not None)

    def first(x, axis):
        return x if axis is None else jnp.moveaxis(x, axis, 0)

    def each(x, axis):
        return jnp.broadcast_to(x, (size, *x.shape)) if axis is None else first(x, axis)

    fixed = list(map(first, args[:count], axes[:count]))
    given = list(map(each, args[count:], axes[count:]))
    of_fixed = [None if axis is None else 0 for axis in axes[:count]]

    def mapped(fn):
        return lambda *flat: jax.vmap(fn, (*of_fixed, *[0] * (len(flat) - count)))(*flat)

    forward = jax.make_jaxpr(mapped(jaxpr_as_fun(jaxpr)))(*fixed, *given)
    made = _bind(forward, mapped(back), fixed, given)
    return made, [0] * len(made)


_linear.def_impl(_evaluate)
_linear.def_abstract_eval(lambda *_, jaxpr, back, count: jaxpr.out_avals)
ad.primitive_jvps[_linear] = _jvp
ad.primitive_transposes[_linear] = _transpose
batching.primitive_batchers[_linear] = _batch
mlir.register_lowering(_linear, mlir.lower_fun(_evaluate, multiple_results=True))
