"""Complex numbers as pairs of real ones, for runtimes that have none."""

import dataclasses
import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax


@dataclasses.dataclass
class Pair:
    """A complex array: its real and its imaginary part."""

    real: Any
    imag: Any


# What moves elements, or treats both parts alike.
_PARTWISE = (
    "add broadcast_in_dim concatenate copy cumsum dynamic_slice expand_dims gather neg pad "
    "reduce_sum reshape rev select_n slice squeeze stop_gradient sub transpose"
).split()


def has_complex(equation: Any) -> bool:
    """Whether an equation takes or gives complex numbers.

    Args:
        equation: Equation of a jaxpr.
    """
    return any(_is_complex(atom.aval) for atom in (*equation.invars, *equation.outvars))


def _is_complex(x):
    return jnp.issubdtype(getattr(x, "dtype", bool), jnp.complexfloating)


def pair_of(value: Any) -> Any:
    """A complex array as a pair; others as they are.

    Args:
        value: The array.
    """
    if isinstance(value, Pair) or not _is_complex(value):
        return value
    value = np.asarray(value)
    return Pair(value.real.copy(), value.imag.copy())


def apply(equation: Any, operands: list, bind: Any) -> Any:
    """The results of an equation with complex numbers, or `NotImplemented`.

    Args:
        equation: The equation.
        operands: Its operands, complex ones as pairs.
        bind: Function `(equation, operands) -> results` for real ones.
    """
    name, params = equation.primitive.name, equation.params
    if name in _OPERATIONS:
        return [_OPERATIONS[name](params, *operands)]
    if name in _PARTWISE:
        is_complex = [
            _is_complex(atom.aval) or isinstance(x, Pair)
            for atom, x in zip(equation.invars, operands, strict=True)
        ]
        halves = [
            [getattr(_pair(x), part) if c else x for c, x in zip(is_complex, operands, strict=True)]
            for part in ("real", "imag")
        ]
        parts = [bind(equation, half)[0] for half in halves]
        return [Pair(*parts)]
    return NotImplemented


def _pair(x):
    return x if isinstance(x, Pair) else Pair(x, jnp.zeros_like(x))


def _multiply(params, x, y):
    x, y = _pair(x), _pair(y)
    return Pair(x.real * y.real - x.imag * y.imag, x.real * y.imag + x.imag * y.real)


def _divide(params, x, y):
    x, y = _pair(x), _pair(y)
    size = y.real * y.real + y.imag * y.imag
    real = x.real * y.real + x.imag * y.imag
    return Pair(real / size, (x.imag * y.real - x.real * y.imag) / size)


def _convert(params, x):
    if np.issubdtype(params["new_dtype"], np.complexfloating):
        return _pair(x) if isinstance(x, Pair) else _pair(x.astype("float32"))
    return x.real.astype(params["new_dtype"])


def _absolute(params, x):
    """Scaled by the larger part, so that no square overflows."""
    a, b = jnp.abs(x.real), jnp.abs(x.imag)
    large, small = jnp.maximum(a, b), jnp.minimum(a, b)
    ratio = small / jnp.where(large == 0, 1, large)
    return large * jnp.sqrt(1 + ratio * ratio)


def _exponential(params, x):
    size = jnp.exp(x.real)
    return Pair(size * jnp.cos(x.imag), size * jnp.sin(x.imag))


def _square(params, x):
    return _multiply(params, x, x)


def _fourier(params, x):
    """The discrete transform of the last axis as a product with sines and cosines."""
    kind = getattr(params["fft_type"], "name", str(params["fft_type"]))
    size = params["fft_lengths"][-1]
    if len(params["fft_lengths"]) != 1 or kind not in ("FFT", "IFFT", "RFFT", "IRFFT"):
        raise NotImplementedError("a transform of several axes")
    if kind == "IRFFT":
        return _inverse_of_real(x, size)
    found = size // 2 + 1 if kind == "RFFT" else size
    cos, sin = _waves(size, found)
    if kind == "RFFT":
        return Pair(_times(x, cos), _times(x, -sin))
    sign, scale = (1.0, 1 / size) if kind == "IFFT" else (-1.0, 1.0)
    cos, sin = cos * scale, sign * sin * scale
    return Pair(
        _times(x.real, cos) - _times(x.imag, sin), _times(x.real, sin) + _times(x.imag, cos)
    )


def _waves(size, found):
    turns = np.outer(np.arange(size), np.arange(found)) % size * (2 * math.pi / size)
    return np.cos(turns), np.sin(turns)


def _inverse_of_real(x, size):
    """Each frequency counts twice, for its mirror image, but for the first and the middle one."""
    half = size // 2 + 1
    cos, sin = (wave.T for wave in _waves(size, half))
    counts = np.full((half, 1), 2.0)
    counts[0] = 1
    if size % 2 == 0:
        counts[-1] = 1
    return _times(x.real, cos * counts / size) - _times(x.imag, sin * counts / size)


def _times(x, matrix):
    return jnp.matmul(x, jnp.asarray(matrix, x.dtype), precision=lax.Precision.HIGHEST)


_OPERATIONS = {
    "complex": lambda params, a, b: Pair(a, b),
    "real": lambda params, x: x.real,
    "imag": lambda params, x: x.imag,
    "conj": lambda params, x: Pair(_pair(x).real, -_pair(x).imag),
    "abs": _absolute,
    "mul": _multiply,
    "div": _divide,
    "square": _square,
    "exp": _exponential,
    "convert_element_type": _convert,
    "fft": _fourier,
}
