"""Python's operators and array methods on symbolic tensors, each recorded as an op."""

import jax
import jax.numpy as jnp

from kerasish.core import dtypes
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.core.symbolic.operation import symbolic
from kerasish.core.tracebacks import short_tracebacks


def _getitem(x, key):
    """`x[key]`.

    Args:
        x: Symbolic tensor.
        key: Index, slice or tuple of them.
    """
    return x[jax.tree.map(lambda part: part, key)]  # Variables in the key become arrays


def _cast(x, dtype):
    """`x` as another type.

    Args:
        x: Symbolic tensor.
        dtype: Name of the type.
    """
    return dtypes.to_array(x, dtype)


getitem = symbolic(_getitem, "get_item")
reshape = symbolic(jnp.reshape, "reshape")
squeeze = symbolic(jnp.squeeze, "squeeze")
transpose = symbolic(jnp.transpose, "transpose")
cast = symbolic(_cast, "cast")


@short_tracebacks
def _reshape(self, *shape):
    """The same elements in another shape."""
    return reshape(
        self, shape[0] if len(shape) == 1 and isinstance(shape[0], list | tuple) else shape
    )


@short_tracebacks
def _squeeze(self, axis=None):
    """Without axes of size 1.

    Args:
        self: The symbolic tensor.
        axis: Axis of size 1, or several; `None` is all there are.
    """
    return squeeze(self, axis)


@short_tracebacks
def _transposed(self):
    """With axes in reverse."""
    return transpose(self)


@short_tracebacks
def _astype(self, dtype):
    """Cast to another type.

    Args:
        self: The symbolic tensor.
        dtype: Name of the type.
    """
    return cast(self, dtype)


OPERATORS = {
    "add": symbolic(jnp.add, "add"),
    "sub": symbolic(jnp.subtract, "subtract"),
    "mul": symbolic(jnp.multiply, "multiply"),
    "truediv": symbolic(jnp.true_divide, "true_divide"),
    "floordiv": symbolic(jnp.floor_divide, "floor_divide"),
    "mod": symbolic(jnp.mod, "mod"),
    "pow": symbolic(jnp.power, "power"),
    "matmul": symbolic(jnp.matmul, "matmul"),
    "and": symbolic(jnp.logical_and, "logical_and"),
    "or": symbolic(jnp.logical_or, "logical_or"),
    "xor": symbolic(jnp.logical_xor, "logical_xor"),
    "neg": symbolic(jnp.negative, "negative"),
    "abs": symbolic(jnp.abs, "absolute"),
    "round": symbolic(jnp.round, "round"),
    "invert": symbolic(jnp.logical_not, "logical_not"),
    "eq": symbolic(jnp.equal, "equal"),
    "ne": symbolic(jnp.not_equal, "not_equal"),
    "lt": symbolic(jnp.less, "less"),
    "le": symbolic(jnp.less_equal, "less_equal"),
    "gt": symbolic(jnp.greater, "greater"),
    "ge": symbolic(jnp.greater_equal, "greater_equal"),
}
_SIDED = "add sub mul truediv floordiv mod pow matmul and or xor".split()
for _name, _operator in OPERATORS.items():
    setattr(KerasTensor, f"__{_name}__", _operator)


def _reflected(operator):
    return short_tracebacks(lambda self, other: operator(other, self))


for _name in _SIDED:
    setattr(KerasTensor, f"__r{_name}__", _reflected(OPERATORS[_name]))


def _comparison(name, same):
    """`==` or `!=`: as a truth value, which `in` and `list.index` ask for, of identity."""

    @short_tracebacks
    def compare(self, other):
        try:
            result = OPERATORS[name](self, other)
        except (TypeError, ValueError):  # shapes or types that do not mix
            return NotImplemented
        if isinstance(other, KerasTensor):
            result._truth = (self is other) == same
        return result

    return compare


KerasTensor.__eq__, KerasTensor.__ne__ = _comparison("eq", True), _comparison("ne", False)
KerasTensor.__hash__ = object.__hash__
KerasTensor.__getitem__ = getitem
KerasTensor.reshape, KerasTensor.squeeze, KerasTensor.astype = _reshape, _squeeze, _astype
KerasTensor.T = property(_transposed)
