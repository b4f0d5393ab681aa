"""What the checks share: comparing, configs, files, and errors that say what to do."""

import contextlib
import inspect
import json
import pathlib
import tempfile
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.serialization.registry import (
    custom_object_scope,
    get_registered_name,
    module_of,
    published,
)
from kerasish.saving import load_model

AT_ZERO = "Look for divisions, logarithms and roots at 0, and choose larger epsilons."
IN_CONFIG = "All that it computes with must be in its config."
KEEP_ARGUMENTS = "Keep each argument as the attribute of the same name."
ONLY_JAX = (
    "Use `jax.numpy` or `keras.ops` instead of NumPy, and `keras.ops.where` or `keras.ops.cond` "
    "instead of `if`."
)


def name_of(obj: Any) -> str:
    """What an error calls it: its function's or class's name.

    Args:
        obj: The function, layer or other object.
    """
    return getattr(obj, "__name__", None) or type(obj).__name__


def require(holds: Any, obj: Any, failed: str, advice: str) -> None:
    """Raise an `AssertionError` that says whose fault, which one, and what to do.

    Args:
        holds: Whether it is as it must be.
        obj: The function, layer or other object.
        failed: What is wrong, in words.
        advice: What to do.
    """
    if not holds:
        raise AssertionError(f"{name_of(obj)}: {failed}. {advice}")


@contextlib.contextmanager
def attempt(obj: Any, doing: str, advice: str) -> Any:
    """Turn any error inside into an `AssertionError` that says what was tried.

    Args:
        obj: The function, layer or other object.
        doing: What is tried, in words.
        advice: What to do.
    """
    try:
        yield
    except AssertionError:
        raise
    except Exception as error:
        said = "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
        raise AssertionError(f"{name_of(obj)}: {doing} failed with {said}\n{advice}") from error


def require_close(
    obj: Any,
    got: Any,
    wanted: Any,
    failed: str,
    advice: str,
    rtol: float = 1e-5,
    atol: float = 1e-5,
) -> None:
    """Raise when two pytrees of arrays differ.

    Args:
        obj: The function, layer or other object.
        got: What came.
        wanted: What should have come.
        failed: What is wrong, in words.
        advice: What to do.
        rtol: Relative tolerance.
        atol: Absolute tolerance.
    """
    ours, theirs = jax.tree.leaves(got), jax.tree.leaves(wanted)
    require(
        len(ours) == len(theirs), obj, f"{failed}: {len(ours)} arrays, not {len(theirs)}", advice
    )
    for a, b in zip(ours, theirs, strict=True):
        a, b = (
            np.asarray(x, "float64" if np.asarray(x).dtype.kind not in "c" else None)
            for x in (a, b)
        )
        require(a.shape == b.shape, obj, f"{failed}: shape {a.shape}, not {b.shape}", advice)
        if not np.allclose(a, b, rtol, atol, equal_nan=True):
            gap = np.max(np.abs(a - b))
            require(False, obj, f"{failed}: they differ by up to {gap:.3g}", advice)


def _wide(x):
    x = np.asarray(x)
    return x if x.dtype.kind == "c" else x.astype("float64")


def require_finite(obj: Any, tree: Any, failed: str, advice: str) -> None:
    """Raise when a pytree of arrays holds NaN or infinity.

    Args:
        obj: The function, layer or other object.
        tree: The pytree.
        failed: What is wrong, in words.
        advice: What to do.
    """
    bad = [x for x in jax.tree.leaves(tree) if not np.all(np.isfinite(np.asarray(x, "float32")))]
    require(not bad, obj, failed, advice)


def run_checks(checks: Mapping[str, Callable], without: Iterable[str]) -> None:
    """Run the named checks but those left out.

    Args:
        checks: Checks by name.
        without: Names of those to leave out.
    """
    without = [without] if isinstance(without, str) else list(without)
    for name in without:
        if name not in checks:
            raise bad_argument("keras.testing", "without", f"among {list(checks)}", name)
    for name, check in checks.items():
        if name not in without:
            check()


def own_names(obj: Any, custom_objects: Mapping | None = None) -> dict:
    """What a file that uses `obj` needs as `custom_objects`: nothing for what is registered.

    Args:
        obj: The function, layer or other object.
        custom_objects: Classes and functions by the names that the config has.
    """
    found = dict(custom_objects or {})
    named = obj if hasattr(obj, "__name__") else type(obj)
    known = module_of(named) if inspect.isclass(named) else _is_published(named)
    if not known and ">" not in get_registered_name(named):
        found.setdefault(named.__name__, named)
    return found


def _is_published(fn):
    return any(
        table.get(fn.__name__) is fn
        for table in map(published, ("keras.losses", "keras.metrics", "keras.activations"))
    )


def twin(obj: Any, custom_objects: Mapping, change: Callable = lambda config: config) -> Any:
    """A new object from the config, changed by a function.

    Args:
        obj: The function, layer or other object.
        custom_objects: Classes and functions by the names that the config has.
        change: Function that makes one config of another.
    """
    if not hasattr(obj, "get_config"):
        return obj
    with custom_object_scope(custom_objects):
        return type(obj).from_config(change(obj.get_config()))


def check_config(obj: Any, custom_objects: Mapping) -> None:
    """The config is plain data, holds every argument, and makes the same object again.

    Args:
        obj: The function, layer or other object.
        custom_objects: Classes and functions by the names that the config has.
    """
    if not hasattr(obj, "get_config"):
        return
    config = obj.get_config()
    for name, value in config.items():
        with attempt(
            obj,
            f"writing {name!r} of its config as JSON",
            f"Let `get_config` return plain data: `keras.saving.serialize_keras_object({name})`.",
        ):
            json.dumps(value)
    for name in _arguments_given(obj):
        require(
            name in config,
            obj,
            f"the argument `{name}` is not in its config",
            f"{KEEP_ARGUMENTS} Leave out `get_config`, or return it there too.",
        )
    with attempt(
        obj,
        "`from_config(get_config())`",
        "Each element of the config must be an argument of `__init__`. Classes of your own among "
        "them must be registered, or given in `custom_objects`.",
    ):
        again = twin(obj, custom_objects).get_config()
    for name in [*config, *again]:
        before, after = (json.dumps(c.get(name), sort_keys=True) for c in (config, again))
        require(
            before == after,
            obj,
            f"`{name}` is {before} in its config, and {after} after a round trip",
            f"Keep the argument as given in `self.{name}`, what is made of it under another name.",
        )


def _arguments_given(obj):
    """Names of its own arguments that were given a value other than their default."""
    parameters = dict(list(inspect.signature(type(obj).__init__).parameters.items())[1:])
    args, kwargs = getattr(obj, "_given", ((), {}))
    given = {**dict(zip(parameters, args, strict=False)), **kwargs}
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        name
        for name, value in given.items()
        if name in parameters
        and parameters[name].kind in plain
        and name not in ("dtype", "autocast", "activity_regularizer")
        and value is not parameters[name].default
    ]


def _refuse_lambda(obj):
    require(
        getattr(obj, "__name__", "") != "<lambda>",
        obj,
        "a lambda cannot be saved",
        "Write it with `def`, under a name that can be registered.",
    )


_WHEN_NOT_READ = (
    "Register your own classes and functions with `@keras.saving.register_keras_serializable()`, "
    "or give them in `custom_objects={name: object}`."
)


def through_file(obj: Any, model: Any, custom_objects: Mapping) -> Any:
    """A model that uses `obj`, saved to a file and loaded from it.

    Args:
        obj: The function, layer or other object.
        model: The model.
        custom_objects: Classes and functions by the names that the config has.
    """
    _refuse_lambda(obj)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        with attempt(obj, "saving a model with it", "Its config must be plain data."):
            model.save(path)
        with attempt(obj, "loading a model with it", _WHEN_NOT_READ):
            return load_model(path, custom_objects=dict(custom_objects))
