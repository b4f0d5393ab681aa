"""Strings in traced functions: JAX has none, so what is done with them is done on the host.

A traced function gets a `HostTensor` where strings come in. What layers do with it is noted in a
`HostProgram`; the numbers that come out are inputs of the compiled function. For each batch, the
host runs the program on NumPy's arrays, and the device the compiled function on its results.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_STRING_KINDS = "USTO"


def is_string_array(x: Any) -> bool:
    """Whether an array holds strings, or Python's objects that may be.

    Args:
        x: Anything.
    """
    return isinstance(x, np.ndarray) and x.dtype.kind in _STRING_KINDS


def is_string(x: Any) -> bool:
    """Whether a tensor holds strings: an array, what stands for one, or a symbolic tensor.

    Args:
        x: The tensor.
    """
    return is_string_array(x) or (not isinstance(x, np.ndarray) and x.dtype == "string")


class HostTensor:
    """Strings inside a traced function, which knows their shape; the host knows the strings.

    Layers that take strings take it. It may be indexed, which the host does too.

    Attributes:
        trace: What notes (or replays) what is done with it.
        number: Its number in there.
        shape: Its sizes.
    """

    dtype = "string"

    def __init__(self, trace: Any, number: int, shape: Sequence):
        self.trace, self.number, self.shape = trace, number, tuple(shape)

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, index):
        shape = jax.eval_shape(lambda x: x[index], _struct(self.shape)).shape
        return call_on_host(_At(index), "pick", self, shape=shape, dtype=self.dtype)

    def reshape(self, *shape: Any) -> "HostTensor":
        """The same strings in another shape; the first axis must stay.

        Args:
            *shape: The new sizes, one of which may be -1.
        """
        shape = tuple(shape[0]) if shape and isinstance(shape[0], list | tuple) else shape
        found = jax.eval_shape(lambda x: x.reshape(shape), _struct(self.shape)).shape
        sizes = (-1, *(n for n in found[1:]))
        return call_on_host(_Shaped(sizes), "shaped", self, shape=found, dtype=self.dtype)

    @property
    def __jax_array__(self):
        raise TypeError(no_strings("JAX's functions", self.shape))

    def __array__(self, *args, **kwargs):
        raise TypeError(no_strings("NumPy's functions", self.shape))

    def __eq__(self, other):
        raise TypeError(no_strings("comparisons", self.shape))

    __hash__ = object.__hash__

    def __repr__(self):
        return f"<HostTensor shape={self.shape}: strings, which only the host knows>"


def no_strings(who: str, shape: Sequence) -> str:
    """The message that something takes no strings, and what does.

    Args:
        who: What was given some.
        shape: Their shape.
    """
    return (
        f"{who}: must get numbers; got strings of shape {tuple(shape)}, which JAX does not have. "
        "Turn them into numbers first: with a layer in the model (`keras.layers.StringLookup`, "
        "`TextVectorization`, `Hashing`, `HashedCrossing`) or, in the data, with pandas' "
        "`get_dummies`."
    )


class _At:
    host_version = ()

    def __init__(self, index):
        self.index = index

    def pick(self, strings):
        return strings[self.index]

    def __eq__(self, other):
        return isinstance(other, _At) and repr(self.index) == repr(other.index)

    def __hash__(self):
        return hash(repr(self.index))


class _Shaped(NamedTuple):
    sizes: tuple

    @property
    def host_version(self):
        return ()

    def shaped(self, strings):
        return strings.reshape(self.sizes)


def _struct(shape):
    return jax.ShapeDtypeStruct(shape, "bool")


def call_on_host(
    owner: Any, method: str, *inputs: Any, shape: Sequence, dtype: Any = "int32"
) -> Any:
    """What a method makes of arrays in NumPy: at once, or for each batch if a function is traced.

    Args:
        owner: The layer, or another object.
        method: Name of its method, a function of NumPy's arrays that gives one.
        *inputs: Arrays, or strings in a traced function.
        shape: Shape of the result; `None` for sizes that only the strings tell.
        dtype: Its dtype; `"string"` where strings come out.

    Returns:
        The array; in traced functions, one that JAX traces, or a `HostTensor`.

    Raises:
        TypeError: If strings, of which only the host knows, are to meet numbers that only the
            compiled function has.
    """
    held = [x for x in inputs if isinstance(x, HostTensor)]
    traced = [x for x in inputs if isinstance(x, jax.core.Tracer)]
    if held and traced:
        raise TypeError(
            f"{getattr(owner, 'name', owner)}: strings and numbers that the model computes cannot "
            "meet in one function on the host: strings are worked on before the compiled step."
        )
    if held:
        return held[0].trace.call(owner, method, inputs, tuple(shape), dtype)
    function = getattr(owner, method)
    if traced:
        result = jax.ShapeDtypeStruct(tuple(shape), dtype)
        return jax.pure_callback(lambda *x: function(*map(np.asarray, x)), result, *inputs)
    return function(*inputs)


class HostCall(NamedTuple):
    """One call in a `HostProgram`.

    Attributes:
        owner: Whose method it is.
        method: The method's name.
        inputs: Numbers of earlier values, or arrays that are always the same.
    """

    owner: Any
    method: str
    inputs: tuple

    def run(self, values: list) -> Any:
        """The call's result.

        Args:
            values: Inputs of the program, and results of the calls before.
        """
        inputs = [values[x] if isinstance(x, int) else x for x in self.inputs]
        return getattr(self.owner, self.method)(*inputs)


class HostProgram:
    """What the host does with the strings of each batch: calls, in order.

    Args:
        inputs: Number of arrays of strings that come in.

    Attributes:
        calls: The calls.
        results: Numbers of the calls whose results are numbers, which go to the device.
    """

    def __init__(self, inputs: int):
        self.inputs = inputs
        self.calls: list[HostCall] = []
        self.results: list[int] = []
        self._known: dict = {}

    def run(self, strings: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The numbers for some strings.

        Args:
            strings: As many arrays as come in.
        """
        values: list = list(strings)
        for call in self.calls:
            values.append(call.run(values))
        return [values[number] for number in self.results]

    def version(self) -> tuple | None:
        """What changes when other numbers would come out; `None` if they may differ any time.

        They depend on nothing but a row's strings, and what a layer has learnt, where a call's
        owner says so by `host_version`.
        """
        found = [getattr(call.owner, "host_version", None) for call in self.calls]
        return None if None in found else tuple(found)

    def number_of(self, call: HostCall) -> int | None:
        """The number of a call's result, if it is in the program.

        Args:
            call: The call.
        """
        return self._known.get(_key(call))

    def add(self, call: HostCall) -> int:
        """Put a call at the end; returns the number of its result.

        Args:
            call: The call.
        """
        number = self._known[_key(call)] = self.inputs + len(self.calls)
        self.calls.append(call)
        return number


def _key(call):
    same = [x if isinstance(x, int) else ("array", id(x)) for x in call.inputs]
    owner = call.owner if isinstance(call.owner, _At | _Shaped) else id(call.owner)
    return owner, call.method, *same


def _call(owner, method, inputs):
    return HostCall(
        owner, method, tuple(x.number if isinstance(x, HostTensor) else x for x in inputs)
    )


class Recording:
    """A trace that finds out what a function does with strings, to make a program of it.

    Args:
        program: The program, which gets the calls.
        strings: Examples of what comes in.
    """

    def __init__(self, program: HostProgram, strings: Sequence[np.ndarray]):
        self.program, self.values = program, list(strings)

    def call(self, owner: Any, method: str, inputs: tuple, shape: tuple, dtype: Any) -> Any:
        """Note a call; its result is computed for the examples, as its shape is needed.

        Args:
            owner: The layer.
            method: Name of its method.
            inputs: What it is called on.
            shape: Shape of the result.
            dtype: Type of the result.
        """
        call = _call(owner, method, inputs)
        number = self.program.number_of(call)
        if number is None:
            result = np.asarray(call.run(self.values))
            number = self.program.add(call)
            self.values.append(result)
            if not is_string_array(result):
                self.program.results.append(number)
        result = self.values[number]
        if is_string_array(result):
            return HostTensor(self, number, result.shape)
        return jnp.zeros(result.shape, jax.dtypes.canonicalize_dtype(result.dtype))


class Replay:
    """A trace in which the results of a program's calls are at hand.

    Args:
        program: The program.
        results: Its results, traced.
    """

    def __init__(self, program: HostProgram, results: Sequence):
        self.program = program
        self.found = dict(zip(program.results, results, strict=True))

    def call(self, owner: Any, method: str, inputs: tuple, shape: tuple, dtype: Any) -> Any:
        """The result of a call of the program.

        Args:
            owner: The layer.
            method: Name of its method.
            inputs: What it is called on.
            shape: Shape of the result.
            dtype: Type of the result.
        """
        number = self.program.number_of(_call(owner, method, inputs))
        if number is None:
            raise RuntimeError(
                f"{getattr(owner, 'name', owner)}: it was not called on these strings when the "
                "step was first traced, so the host has no numbers ready for it. What a model does "
                "with strings must stay the same; call `compile` after a change."
            )
        if number in self.found:
            return self.found[number]
        return HostTensor(self, number, shape)


class Shapes:
    """A trace in which only shapes are asked for.

    Args:
        size: Function of an axis that gives what stands for an unknown size.
    """

    def __init__(self, size: Callable[[int], Any]):
        self.size = size

    def tensor(self, shape: Sequence) -> HostTensor:
        """Strings of a shape, whose unknown sizes are `None`.

        Args:
            shape: The shape.
        """
        return HostTensor(self, 0, self._known(shape))

    def call(self, owner: Any, method: str, inputs: tuple, shape: tuple, dtype: Any) -> Any:
        """Something of the result's shape.

        Args:
            owner: The layer.
            method: Name of its method.
            inputs: What it is called on.
            shape: Shape of the result.
            dtype: Type of the result.
        """
        if dtype == "string":
            return self.tensor(shape)
        return jnp.zeros(self._known(shape), jax.dtypes.canonicalize_dtype(dtype))

    def _known(self, shape):
        return tuple(self.size(i) if n is None else n for i, n in enumerate(shape))
