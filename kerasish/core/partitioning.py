"""Where arrays are: on JAX's default device, or spread over many as a distribution says.

The core knows no distribution. It asks the current one for a Variable's sharding when the Variable
is made, and from then on a Variable stays laid out as its value is.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.ad_checkpoint import checkpoint_name
from jax.sharding import NamedSharding, Sharding

_GATHERED = "gathered weight"


class _State:
    distribution: Any = None  # has `sharding_of(variable)`; one for the process


class _Drawing(threading.local):
    sharding: Sharding | None = None


state = _State()
_drawing = _Drawing()


def spread(array: Any) -> NamedSharding | None:
    """The sharding of an array that is on a mesh; `None` for one on a single device.

    Args:
        array: The array.
    """
    sharding = array.sharding
    return sharding if isinstance(sharding, NamedSharding) else None


def put(value: Any, sharding: Sharding) -> Any:
    """An array laid out so. Of one on the host, each device gets its own part and no more.

    Args:
        value: The array.
        sharding: How to lay it out.
    """
    if isinstance(value, jax.ShapeDtypeStruct):
        return jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=sharding)
    if isinstance(value, jax.Array):
        if value.sharding == sharding:
            return value
        if not value.is_fully_addressable:
            return jax.jit(lambda x: x, out_shardings=sharding)(value)
        if sharding.is_fully_addressable:
            return jax.device_put(value, sharding, may_alias=False)
        value = np.asarray(value)
    if sharding.is_fully_addressable:
        return jax.device_put(value, sharding)
    return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])


def constrain(value: Any, sharding: Sharding | None) -> Any:
    """A traced value, constrained to a sharding if there is one.

    Args:
        value: The value.
        sharding: JAX's sharding, or `None`.
    """
    return value if sharding is None else jax.lax.with_sharding_constraint(value, sharding)


def in_use(variable: Any, value: Any) -> Any:
    """A Variable's value as layers compute with it: what is split only to be stored is gathered.

    Its gradient is split again, and the backward pass gathers anew what `regathering` lets go.

    Args:
        variable: The Variable.
        value: The value.
    """
    current = state.distribution
    if current is None or not isinstance(value, jax.core.Tracer):
        return value
    wanted, held = current.sharding_in_use(variable), spread(variable._value)
    if wanted is None or held is None:
        return value
    # Both constraints hold for the gradient too, in reverse order.
    return checkpoint_name(constrain(constrain(value, held), wanted), _GATHERED)


def lay_out(path: str, outputs: Any) -> Any:
    """What a layer computed, traced, laid out as the distribution says for that path.

    Args:
        path: Path of the layer.
        outputs: Pytree of traced arrays.
    """

    def lay(y):
        return constrain(y, state.distribution.sharding_of_output(path, y.shape))

    traced = any(isinstance(y, jax.core.Tracer) for y in jax.tree.leaves(outputs))
    return jax.tree.map(lay, outputs) if traced else outputs


def regathering(fn: Callable) -> Callable:
    """Let a function to differentiate keep no gathered weights for the way back.

    Args:
        fn: The function.
    """
    if not getattr(state.distribution, "gathers", False):
        return fn
    policy = jax.checkpoint_policies.save_anything_except_these_names(_GATHERED)
    return jax.checkpoint(fn, policy=policy)


@contextlib.contextmanager
def drawing(sharding: Sharding | None) -> Iterator[None]:
    """Inside, large random arrays are drawn laid out so, each device making its own part.

    Args:
        sharding: JAX's sharding, or `None`.
    """
    before, _drawing.sharding = _drawing.sharding, sharding
    try:
        yield
    finally:
        _drawing.sharding = before


def drawn_as() -> Sharding | None:
    """How the array being drawn is to be laid out."""
    return _drawing.sharding
