"""Calls of a model outside of compiled code: from the third alike on, they are compiled too.

A model that is called on arrays runs its Python layer by layer, so that it may be looked into, and
may do whatever Python does. One whose call does nothing but compute has no use for that: after a
few calls on arrays of the same shapes and dtypes the same call is compiled, and later ones go
straight there, as long as all that it stands on is as it was.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kerasish.core import dtypes, partitioning
from kerasish.core.dict_order import in_order, order_of, reordered
from kerasish.core.lowering import assume_local_devices
from kerasish.core.masking import get_mask, set_mask
from kerasish.core.state.changes import changes
from kerasish.core.state.functional import capture
from kerasish.core.state.program import Program
from kerasish.core.state.scope import UncapturedVariable
from kerasish.core.state.variable import values_of
from kerasish.layers.base.calling import fits_integers
from kerasish.layers.base.purity import Ground, Impure, Watch
from kerasish.layers.regularization import dropping

_CALLS_BEFORE = 2
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
        self._version, self._changes = changes.count, 0
        self._counts: dict[Any, int] = {}
        self._grounds: dict[Any, Ground | None] = {}
        self._compiled: dict[Any, _Compiled] = {}
        self._needed = _CALLS_BEFORE + len(list(model._flatten_layers())) // _LAYERS_A_CALL
        self.why: str | None = None  # the last call was not one to compile

    def __call__(self, args: tuple, kwargs: dict) -> Any:
        """The result of a call, or `MISSED` if it is to run uncompiled.

        Args:
            args: Its arguments by position.
            kwargs: Those by name.
        """
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
        if not arrays or self._changes > _MAX_CHANGES or not _is_usual():
            return MISSED
        if changes.count != self._version:
            self._look_again()
        found = self._compiled.get(key)
        if found is None:
            return self._uncompiled(key, leaves, tree)
        if not found.ground.holds():
            self._forget()
            return MISSED
        try:
            return found(arrays)
        except UncapturedVariable:  # traced anew under another setting of JAX's
            self._forget()
            return MISSED

    def _uncompiled(self, key, leaves, tree):
        count = self._counts.get(key, 0)
        if len(self._counts) >= _MAX_FORMS and not count:
            self._counts.clear()
        self._counts[key] = count + 1
        ground = self._grounds.get(key, MISSED)
        if count + 1 < self._needed or ground is None:
            return MISSED
        if ground is MISSED:
            return self._watched(key, leaves, tree)
        if not ground.holds():
            self._forget()
            return MISSED
        made = _Compiled.make(self, ground, leaves, tree)
        if made is None:
            self._grounds[key] = None
            return MISSED
        if len(self._compiled) >= _MAX_FORMS:
            self._forget()
        self._compiled[key] = made
        return made([leaf for leaf in leaves if _kind(type(leaf)) == "array"])

    def _watched(self, key, leaves, tree):
        """An uncompiled call, to see whether it only computes."""
        args, kwargs = jax.tree.unflatten(tree, leaves)
        before, watch = sys.getprofile(), Watch()
        if before is not None:
            return MISSED
        try:
            ground = Ground(self.model)
        except Impure as reason:
            self._grounds[key], self.why = None, str(reason)
            return MISSED
        version = changes.count
        sys.setprofile(watch)
        try:
            result = self.call(*args, **kwargs)
        finally:
            sys.setprofile(before)
        try:
            if changes.count != version:
                raise Impure("it sets attributes of layers")
            ground.check(watch)
        except Impure as reason:
            ground, self.why = None, str(reason)
        self._grounds[key] = ground
        return result

    def _look_again(self):
        """Some layer has changed: forget what was compiled if it is one of this model's."""
        if all(g is None or g.fingerprint.still_holds() for g in self._grounds.values()):
            self._version = changes.count
        else:
            self._forget()

    def _forget(self):
        self._changes += 1
        self._counts.clear()
        self._grounds.clear()
        self._compiled.clear()
        self._version = changes.count


class _Compiled:
    """One call, compiled."""

    def __init__(self, ground, program, jitted, order, masks):
        self.ground, self.program, self.jitted = ground, program, jitted
        self.order, self.masked = order, masks
        self.losses = [layer._added_losses for layer in ground.layers]

    @classmethod
    def make(cls, calls, ground, leaves, tree):
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
        except (Exception, UncapturedVariable) as error:
            calls.why = f"it cannot be traced: {error}"
            return None
        if captured.notes or not all(
            isinstance(y, jax.ShapeDtypeStruct) for y in jax.tree.leaves(captured.result)
        ):
            return None
        return cls(ground, program, jitted, seen["order"], seen["masked"])

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
