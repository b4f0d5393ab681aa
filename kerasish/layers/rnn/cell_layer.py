"""What the recurrent layers with a cell of their own share."""

import inspect
import operator

from kerasish.core.names import snake_case
from kerasish.layers.rnn.rnn import RNN

_FOR_THE_CELL = ("dtype", "trainable")


class CellLayer(RNN):
    """Base of recurrent layers that make their cell, a `cell_class`, and show its arguments."""

    cell_class: type

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        if "cell_class" in vars(cls):
            for name in _arguments(cls.cell_class):
                setattr(cls, name, property(operator.attrgetter(f"cell.{name}")))

    @classmethod
    def from_config(cls, config):
        return cls(**config)  # nothing made before it is asked for: seeds are drawn in Keras' order

    def get_config(self):
        config = super().get_config()
        return {k: v for k, v in config.items() if k not in ("cell", "use_cudnn")}


def with_cell(cell_class: type, given: dict) -> dict:
    """Arguments for `RNN`, with the cell made, from the `locals()` of a layer's `__init__`."""
    kwargs = given["kwargs"]
    names = _arguments(cell_class)
    options = {name: given[name] for name in names}
    options |= {name: kwargs[name] for name in _FOR_THE_CELL if name in kwargs}
    if "implementation" in kwargs:
        options["implementation"] = kwargs["implementation"]
    cell = cell_class(**options, name=snake_case(cell_class.__name__))
    left_out = {"self", "kwargs", "__class__", "use_cudnn", *names}
    rest = {name: value for name, value in given.items() if name not in left_out}
    own = {name: value for name, value in kwargs.items() if name != "implementation"}
    return {"cell": cell, **rest, **own}


def _arguments(cell_class):
    parameters = inspect.signature(cell_class.__init__).parameters.values()
    return [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD and p.name != "self"]
