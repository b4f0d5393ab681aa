"""A model's inference, or any function of Variables, as a pure function with named arrays."""

import contextlib
import dataclasses
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.state.functional import capture, pure
from kerasish.export.signature import input_names, model_signature, output_names, spec_of
from kerasish.models import Model


@dataclasses.dataclass
class Inference:
    """What is exported.

    Attributes:
        run: Function `(values, arrays) -> outputs`, pure: values of the variables, and arrays in
            the inputs' order.
        variables: The Variables that it reads.
        specs: Shapes of the arrays, with symbols for sizes that vary.
        inputs: Name, shape and dtype of each input.
        outputs: Name, shape and dtype of each output, in the order of their pytree's leaves.
    """

    run: Callable
    variables: list
    specs: list
    inputs: list[dict]
    outputs: list[dict]

    @property
    def values(self) -> list[np.ndarray]:
        """The variables' values."""
        return [np.asarray(v.read()) for v in self.variables]

    def leaves(self, *arrays: Any) -> list:
        """The outputs in order, for arrays in order, with the variables' values in it.

        Args:
            *arrays: The inputs.
        """
        return jax.tree.leaves(self.run([v.read() for v in self.variables], list(arrays)))


def model_inference(model: Model, input_signature: Any = None) -> Inference:
    """A model called with `training=False`.

    Args:
        model: The model, built.
        input_signature: As of `export`.
    """
    signature = model_signature(model, input_signature)

    def call(inputs):
        return model(inputs, training=False)

    return _inference(call, signature, model.variables, lambda out: output_names(model, out))


def function_inference(fn: Callable, signature: list, name: str) -> Inference:
    """A function of one or more arguments, each a pytree of symbolic tensors in the signature.

    Args:
        fn: The function.
        signature: Pytree of symbolic tensors.
        name: Name of the endpoint.
    """

    def call(arguments):
        return fn(*arguments)

    def names(outputs):
        return output_names(None, outputs)

    return _inference(call, list(signature), None, names, name)


def _inference(call, signature, variables, names_of, who="export"):
    tensors = jax.tree.leaves(signature)
    structure = jax.tree.structure(signature)
    for tensor in tensors:
        if str(tensor.dtype) == "string":
            hint = "Export the part after the layers that take strings."
            raise bad_argument(who, "input_signature", "of numbers", "strings", hint)
    specs = symbolic_shapes(tensors)

    def on_arrays(*arrays):
        return call(jax.tree.unflatten(structure, arrays))

    with sizes_explained(who, specs):
        seen = capture(on_arrays, *specs)
    _warn_of_writes(seen.written, who)
    if variables is None:
        variables = [*seen.reads, *seen.written]
    found = jax.tree.leaves(seen.result)

    def run(values, arrays):
        return pure(lambda: on_arrays(*arrays), variables)(values)[0]

    inputs = [spec_of(n, t) for n, t in zip(input_names(tensors), tensors, strict=True)]
    outputs = [spec_of(n, t) for n, t in zip(names_of(seen.result), found, strict=True)]
    return Inference(run, list(variables), specs, inputs, outputs)


@contextlib.contextmanager
def sizes_explained(who: str, specs: list) -> Iterator[None]:
    """Say what to do where a program depends on a size that varies.

    Args:
        who: Name of the model.
        specs: Specs of the inputs.
    """
    try:
        yield
    except Exception as error:
        sizes = [(i, n) for spec in specs for i, n in enumerate(spec.shape)]
        varying = [f"axis {i}" for i, n in sizes if i and not isinstance(n, int)]
        depends = isinstance(error, jax.errors.InconclusiveDimensionOperation)
        is_ours = str(error).startswith("export: ")
        if is_ours or not (depends or (varying and isinstance(error, TypeError | ValueError))):
            raise
        first = (str(error).splitlines() or [""])[0]
        raise ValueError(
            f"{who}: the program depends on a size that varies ({', '.join(varying) or 'axis 0'}): "
            f"{first} Set the sizes in `input_signature`: `[keras.Input(batch_shape=(8, 28, 28, 1)"
            ")]`."
        ) from error


def _warn_of_writes(written, who):
    names = [v.path for v in written]
    if names:
        warnings.warn(
            f"{who}: the program assigns to {names}. What is exported holds no state: it computes "
            "with the values of now, each time.",
            stacklevel=5,
        )


def symbolic_shapes(tensors: list) -> list[jax.ShapeDtypeStruct]:
    """Shapes in which each unknown axis is a symbol: the same for the same axis of all inputs.

    Args:
        tensors: Symbolic tensors.
    """
    scope = jax.export.SymbolicScope()

    def symbols(shape):
        names = ["b" if axis == 0 else f"d{axis}" for axis in range(len(shape))]
        pairs = zip(names, shape, strict=True)
        text = ", ".join(name if n is None else str(n) for name, n in pairs)
        return jax.export.symbolic_shape(f"({text},)" if shape else "()", scope=scope)

    def dtype(tensor):
        return jax.dtypes.canonicalize_dtype(np.dtype(tensor.dtype))

    return [jax.ShapeDtypeStruct(symbols(t.shape), dtype(t)) for t in tensors]
