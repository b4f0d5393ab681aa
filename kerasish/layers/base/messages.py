"""What layers say of themselves, and to mistakes."""

from typing import Any

from kerasish.core.errors import did_you_mean
from kerasish.layers.base.signatures import read_signature, signature_of


def adds_state(layer: Any, name: str) -> str:
    """The error text for state that is set in a layer after it was built.

    Args:
        layer: The layer.
        name: The attribute's name.
    """
    return (
        f"Layer {layer.name!r} ({type(layer).__name__}) is built; `{name}` would add state "
        "to it. Set layers and weights in `__init__` or `build`."
    )


def is_property(layer: Any, name: str) -> str:
    """The error text for an attribute that cannot be set.

    Args:
        layer: The layer.
        name: The attribute's name.
    """
    kind = "model" if hasattr(layer, "fit") else "layer"
    return (
        f"Layer {layer.name!r} ({type(layer).__name__}): `{name}` is a property that every {kind} "
        "has, and cannot be set. Use another name."
    )


def description(layer: Any) -> str:
    """A layer as its class, with the arguments that it was made with.

    Args:
        layer: The layer.
    """
    args, kwargs = layer._given
    names = list(signature_of(type(layer), "__init__").parameters)
    shown = {**dict(zip(names, args, strict=False)), **kwargs, "name": layer.name}
    inside = ", ".join(f"{k}={getattr(v, '__name__', None) or repr(v)}" for k, v in shown.items())
    return f"<{type(layer).__name__}({inside}), {'built' if layer.built else 'not built'}>"


def unknown_arguments(cls: type, given: dict) -> str:
    """The error text for arguments that a layer class does not take, with the nearest it does.

    Args:
        cls: The layer's class.
        given: All arguments given by name.
    """
    own = signature_of(cls, "__init__").parameters
    methods = [vars(base).get("__init__") for base in cls.__mro__[:-1]]
    signatures = [read_signature(method) for method in methods if method is not None]
    known = [
        name for s in signatures for name, p in s.parameters.items() if p.kind != p.VAR_KEYWORD
    ]
    unknown = sorted(name for name in given if name not in own)
    nearest = [did_you_mean(name, known) for name in unknown]
    return " ".join(
        [
            f"{cls.__name__}: unknown argument(s) {unknown}.",
            *filter(None, nearest),
            "Every layer takes `name`, `dtype`, `trainable`, `autocast`, `activity_regularizer`.",
        ]
    )
