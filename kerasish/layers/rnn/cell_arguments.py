"""Arguments of recurrent layers that make their cell themselves."""

import inspect

from kerasish.core.names import snake_case

_FOR_THE_CELL = ("dtype", "trainable")


def with_cell(cell_class: type, given: dict) -> dict:
    """Arguments for `RNN`, with the cell made, from the `locals()` of a layer's `__init__`.

    Args:
        cell_class: The cell's class.
        given: The `locals()`.
    """
    kwargs = given["kwargs"]
    names = cell_arguments(cell_class)
    options = {name: given[name] for name in names}
    options |= {name: kwargs[name] for name in _FOR_THE_CELL if name in kwargs}
    if "implementation" in kwargs:
        options["implementation"] = kwargs["implementation"]
    cell = cell_class(**options, name=snake_case(cell_class.__name__))
    left_out = {"self", "kwargs", "__class__", "use_cudnn", *names}
    rest = {name: value for name, value in given.items() if name not in left_out}
    own = {name: value for name, value in kwargs.items() if name != "implementation"}
    return {"cell": cell, **rest, **own}


def cell_arguments(cell_class: type) -> list[str]:
    """The names of a cell's own arguments.

    Args:
        cell_class: The cell's class.
    """
    parameters = inspect.signature(cell_class.__init__).parameters.values()
    return [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD and p.name != "self"]
