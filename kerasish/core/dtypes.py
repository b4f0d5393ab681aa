"""Data types by name, the policies layers compute under, and autocasting."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import settings
from kerasish.core.errors import bad_argument, did_you_mean
from kerasish.core.sparse import SparseInput, is_sparse

DTYPES = (
    "bool",
    *("int4", "int8", "int16", "int32", "int64"),
    *("uint4", "uint8", "uint16", "uint32", "uint64"),
    *("bfloat16", "float16", "float32", "float64"),
    *("float8_e4m3fn", "float8_e5m2"),
    *("complex64", "complex128", "string"),
)
_PYTHON_TYPES = {bool: "bool", int: "int32", float: None, complex: "complex64"}


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype given as a name, a NumPy or JAX dtype, a Python type, or `None`.

    Args:
        dtype: The dtype.

    Example:
        >>> standardize_dtype(jnp.bfloat16), standardize_dtype(int), standardize_dtype(None)
        ('bfloat16', 'int32', 'float32')
    """
    if dtype is None:
        return settings.floatx()
    if isinstance(dtype, str):
        name = "int32" if dtype == "int" else dtype
    elif dtype in _PYTHON_TYPES:
        name = _PYTHON_TYPES[dtype] or settings.floatx()
    else:
        name = getattr(dtype, "name", None) or getattr(dtype, "__name__", str(dtype))
        name = name.removeprefix("torch.")
    if name not in DTYPES:
        hint = did_you_mean(name, DTYPES)
        raise bad_argument("standardize_dtype", "dtype", f"one of {DTYPES}", dtype, hint)
    return name


def is_float(dtype: Any) -> bool:
    """Whether a dtype is a real floating-point type (bfloat16 and the float8 ones included).

    Args:
        dtype: The dtype.

    Example:
        >>> is_float("bfloat16"), is_float("int32")
        (True, False)
    """
    return jnp.issubdtype(dtype, jnp.floating)


def is_inexact(dtype: Any) -> bool:
    """Whether a dtype is real or complex floating-point: what has gradients.

    Args:
        dtype: The dtype.

    Example:
        >>> is_inexact("complex64"), is_inexact("int32")
        (True, False)
    """
    return jnp.issubdtype(dtype, jnp.inexact)


def result_type(*dtypes: Any) -> str:
    """The type that mixing these gives, by JAX's promotion rules; Python's types are weak.

    Args:
        *dtypes: Names of dtypes, dtypes or Python types.

    Example:
        >>> result_type("int32", "float16"), result_type("bfloat16", float)
        ('float16', 'bfloat16')
    """
    # NumPy's dtypes equal Python's types, but are none.
    weak = [isinstance(t, type) and t in (int, float, bool) for t in dtypes]
    samples = [t(0) if w else jnp.dtype(t) for t, w in zip(dtypes, weak, strict=True)]
    return standardize_dtype(jnp.result_type(*samples))


def to_array(x: Any, dtype: Any = None) -> jax.Array:
    """A JAX array of `x`; 64-bit types become what JAX's `x64` switch allows, without a warning.

    Args:
        x: A number, an array, a Variable, or lists of them.
        dtype: Name of the result's type; the value's own, or the global float type, unless given.

    Example:
        >>> to_array([1, 2.5]).dtype.name
        'float32'
    """
    if isinstance(x, jax.Array) and dtype is not None and x.dtype == dtype and not x.weak_type:
        return x
    if isinstance(x, jax.Array) or hasattr(x, "__jax_array__"):
        x = jnp.asarray(x)
        return x if dtype is None else x.astype(jax.dtypes.canonicalize_dtype(dtype))
    if not isinstance(x, np.ndarray):
        if is_sparse(x):
            raise SparseInput
        if any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(x)):
            return jnp.asarray(x, dtype and jax.dtypes.canonicalize_dtype(dtype))
        if dtype is None and _holds_python_floats(x):
            dtype = settings.floatx()
        x = np.asarray(x)
    wanted = jax.dtypes.canonicalize_dtype(dtype or x.dtype)
    # Not `jnp.asarray`, which compiles a program for each new shape.
    return jax.device_put(x if x.dtype == wanted else x.astype(wanted))


def _holds_python_floats(x):
    while isinstance(x, list | tuple) and x:
        x = x[0]
    return isinstance(x, float) and not isinstance(x, np.floating)


class DTypePolicy:
    """What a layer computes in and what it keeps its variables in.

    Args:
        name: A dtype's name for both, or `"mixed_float16"` / `"mixed_bfloat16"`: computing in 16
            bits, variables in float32. `None` is the global policy's name.

    Example:
        >>> DTypePolicy("mixed_bfloat16").compute_dtype
        'bfloat16'
    """

    def __init__(self, name: str | None = None):
        name = dtype_policy().name if name is None else name
        if not isinstance(name, str):
            raise TypeError(f"DTypePolicy: `name` must be a string; got {name!r}.")
        self.name = name
        if name in ("mixed_float16", "mixed_bfloat16"):
            self.compute_dtype, self.variable_dtype = name.removeprefix("mixed_"), "float32"
        elif name in DTYPES:
            self.compute_dtype = self.variable_dtype = name
        else:
            hint = did_you_mean(name, (*DTYPES, "mixed_float16", "mixed_bfloat16"))
            raise bad_argument(
                self, "name", "a dtype, 'mixed_float16' or 'mixed_bfloat16'", name, hint
            )

    quantization_mode = None

    def at(self, path: str) -> "DTypePolicy":
        """The policy of a layer at this path: of every layer, this one.

        Args:
            path: Path of the layer.
        """
        return self

    def get_config(self) -> dict:
        """Keras' form: the name."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict) -> "DTypePolicy":
        """Make the policy that `get_config` described.

        Args:
            config: What `get_config` gave.
        """
        return cls(**config)

    def __eq__(self, other):
        return isinstance(other, DTypePolicy) and self.name == other.name

    def __hash__(self):
        return hash(self.name)

    def __repr__(self):
        return f'<DTypePolicy "{self.name}">'


class FloatDTypePolicy(DTypePolicy):
    """Another name of `DTypePolicy`, which files may hold.

    Example:
        >>> FloatDTypePolicy("mixed_float16").variable_dtype
        'float32'
    """


class _Global:
    policy: DTypePolicy | None = None


_global = _Global()


def dtype_policy() -> DTypePolicy:
    """The policy of layers that are given none.

    Example:
        >>> dtype_policy().name
        'float32'
    """
    return _global.policy or DTypePolicy(settings.floatx())


def set_dtype_policy(policy: str | DTypePolicy) -> None:
    """Set the policy of layers made from now on.

    Args:
        policy: The policy, or its name.

    Example:
        >>> set_dtype_policy("mixed_bfloat16")
        >>> keras.layers.Dense(1).compute_dtype
        'bfloat16'
    """
    _global.policy = get_policy(policy)


def get_policy(identifier: Any) -> DTypePolicy:
    """A policy from a policy, a name, a dtype, its config form, or `None` (the global one).

    Args:
        identifier: What stands for a policy.

    Example:
        >>> get_policy("mixed_float16").compute_dtype
        'float16'
    """
    if identifier is None:
        return dtype_policy()
    if isinstance(identifier, DTypePolicy):
        return identifier
    if isinstance(identifier, dict):
        kinds = {cls.__name__: cls for cls in (DTypePolicy, *DTypePolicy.__subclasses__())}
        return kinds[identifier.get("class_name", "DTypePolicy")].from_config(identifier["config"])
    return DTypePolicy(identifier if isinstance(identifier, str) else standardize_dtype(identifier))


class _Autocast(threading.local):
    dtype: str | None = None


_autocast = _Autocast()


@contextlib.contextmanager
def autocast(dtype: str | None) -> Iterator[None]:
    """Read float Variables as `dtype` inside; `None` reads them as they are.

    Args:
        dtype: Name of the type, or `None`.

    Example:
        >>> weight = keras.Variable(1.0)
        >>> with autocast("bfloat16"):
        ...     weight.value.dtype.name
        'bfloat16'
    """
    before = _autocast.dtype
    _autocast.dtype = dtype if dtype and is_float(dtype) else None
    try:
        yield
    finally:
        _autocast.dtype = before


def autocast_dtype() -> str | None:
    """The dtype that Variables are read as just now, if any.

    Example:
        >>> with autocast("float16"):
        ...     autocast_dtype()
        'float16'
    """
    return _autocast.dtype
