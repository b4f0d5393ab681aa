"""Calls of a model outside of compiled code: from the fourth alike on, they are compiled too.

A model that is called on arrays runs its Python layer by layer, so that it may be looked into, and
may do whatever Python does. Layers of kerasish's own do nothing but compute: a model of them alone
has no use for that. After a few calls on arrays of the same shapes and dtypes the same call is
compiled, and later ones go straight there, as long as no layer is changed. A model with code of the
user's, which may have side effects, stays as it is; `keras.jit` compiles its calls.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kerasish.core import dtypes, partitioning, settings
from kerasish.core.dict_order import in_order, order_of, reordered
from kerasish.core.lowering import assume_local_devices
from kerasish.core.masking import get_mask, set_mask
from kerasish.core.state.changes import changes
from kerasish.core.state.functional import capture
from kerasish.core.state.program import Program
from kerasish.core.state.scope import UncapturedVariable
from kerasish.core.state.variable import values_of
from kerasish.layers.base.calling import fits_integers
from kerasish.layers.base.fingerprint import Fingerprint, is_of_own_code
from kerasish.layers.regularization import dropping

_CALLS_BEFORE = 3
_LAYERS_A_CALL = 8  # a program takes longer to compile the more layers it has
_MAX_FORMS = 16
_MAX_CHANGES = 32  # models that change more often than this are not compiled again
MISSED = object()  # what stands for no result


class RepeatedCalls:
    """The compiled calls of one model, by what they were called on.

    Args:
        model: The model.
        call: Its call, uncompiled: `call(*args, **kwargs)`.
    """

    def __init__(self, model: Any, call: Callable):
        self.model, self.call = model, call
        self._changes = -1
        self._counts: dict[Any, int] = {}
        self._compiled: dict[Any, _Compiled | None] = {}
        self._start()

    def _start(self):
        """Look at the model as it is now, and forget what was compiled of it before."""
        self._changes += 1
        self._counts.clear()
        self._compiled.clear()
        self._version, self._settings = changes.count, settings.current()
        self.layers = list(self.model._flatten_layers())
        classes = dict.fromkeys(map(type, self.layers))
        self._methods = [(cls, cls.call, cls.__call__) for cls in classes]
        self._fingerprint = Fingerprint([self.model])
        self._needed = _CALLS_BEFORE + len(self.layers) // _LAYERS_A_CALL
        self._is_possible = self._changes <= _MAX_CHANGES and is_of_own_code(self.layers)

    def __call__(self, args: tuple, kwargs: dict) -> Any:
        """The result of a call, or `MISSED` if it is to run uncompiled.

        Args:
            args: Its arguments by position.
            kwargs: Those by name.
        """
        if self._changes <= _MAX_CHANGES and not self._is_as_it_was():
            self._start()
        if not self._is_possible or not _is_usual():
            return MISSED
        if kwargs:
            kwargs = {name: in_order(value) for name, value in kwargs.items()}
        leaves, tree = jax.tree.flatten((in_order(args), kwargs), is_leaf=_is_nothing)
        key, arrays = [tree], []
        for leaf in leaves:
            kind = _kind(type(leaf))
            if kind is None or (kind == "array" and not _is_plain(leaf)):
                return MISSED
            if kind == "array":
                arrays.append(leaf)
                key.append((leaf.shape, leaf.dtype))
            else:
                key.append(leaf)
        key = tuple(key)
        if not arrays:
            return MISSED
        if key not in self._compiled:
            count = self._counts[key] = self._counts.get(key, 0) + 1
            if count < self._needed:
                return MISSED
            if len(self._compiled) >= _MAX_FORMS:
                self._counts.clear()
                self._compiled.clear()
            self._compiled[key] = _Compiled.make(self, leaves, tree)
        found = self._compiled[key]
        if found is None:
            return MISSED
        try:
            return found(arrays)
        except UncapturedVariable:  # traced anew under another setting of JAX's
            self._start()
            return MISSED

    def _is_as_it_was(self):
        if changes.count != self._version:
            if not self._fingerprint.still_holds():
                return False
            self._version = changes.count
        if self._settings != settings.current():
            return False
        return all(cls.call is call and cls.__call__ is run for cls, call, run in self._methods)


class _Compiled:
    """One call, compiled."""

    def __init__(self, layers, program, jitted, order, masked):
        self.program, self.jitted = program, jitted
        self.order, self.masked = order, masked
        self.losses = [layer._added_losses for layer in layers]

    @classmethod
    def make(cls, calls, leaves, tree):
        """Compile it; `None` if it cannot be traced."""
        seen: dict[str, Any] = {}

        def run(arrays):
            rest = iter(arrays)
            filled = [next(rest) if _kind(type(x)) == "array" else x for x in leaves]
            args, kwargs = jax.tree.unflatten(tree, filled)
            result = calls.call(*args, **kwargs)
            outputs = values_of(result)
            seen["order"] = order_of(outputs)
            masks = [get_mask(y) for y in jax.tree.leaves(result)]
            seen["masked"] = any(mask is not None for mask in masks)
            return outputs, masks if seen["masked"] else None

        arrays = [x for x in leaves if _kind(type(x)) == "array"]
        specs = [
            jax.ShapeDtypeStruct(x.shape, jax.dtypes.canonicalize_dtype(x.dtype)) for x in arrays
        ]
        try:
            with assume_local_devices():
                captured = capture(run, specs)
                program = Program(run, captured.written, captured.reads, donate=False, tuned=True)
                jitted = program.jitted()
                jitted.trace(*program.read(), specs)
        except (Exception, UncapturedVariable):  # it needs values; what is wrong, the call says
            return None
        if captured.notes or not all(
            isinstance(y, jax.ShapeDtypeStruct) for y in jax.tree.leaves(captured.result)
        ):
            return None
        return cls(calls.layers, program, jitted, seen["order"], seen["masked"])

    def __call__(self, arrays):
        arrays = [x.copy() if type(x) is np.ndarray else x for x in arrays]
        for losses in self.losses:
            if losses._own:
                losses.clear()
        program = self.program
        if program.written:
            outputs, masks = program._call_and_store(self.jitted, (arrays,))
        else:
            (outputs, masks), _ = self.jitted(*program.read(), arrays)
        if self.order is not None:
            outputs = reordered(outputs, self.order)
        if self.masked:
            for y, mask in zip(jax.tree.leaves(outputs), masks, strict=True):
                if mask is not None:
                    set_mask(y, mask)
        return outputs


def _is_usual():
    """Whether nothing is in force here that a call would depend on."""
    return dtypes.autocast_dtype() is None and not dropping(None)


def _is_nothing(x):
    return x is None


@functools.cache
def _kind(cls):
    """What the leaves of a type are: `"array"`, `"static"`, or `None` for anything else."""
    if cls is np.ndarray or (issubclass(cls, jax.Array) and not issubclass(cls, jax.core.Tracer)):
        return "array"
    return "static" if issubclass(cls, bool | str | type(None)) else None


def _is_plain(array):
    """Whether an array is one that compiled calls take as uncompiled ones do."""
    if type(array) is np.ndarray:
        return array.dtype.kind in "biufc" and fits_integers(array)
    return get_mask(array) is None


def is_possible() -> bool:
    """Whether a compiled call may stand for an uncompiled one here and now."""
    return (
        partitioning.state.distribution is None
        and sys.gettrace() is None
        and not jax.config.jax_disable_jit
    )
