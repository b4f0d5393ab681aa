"""Strings in batches: the host makes numbers of them, beside the work of the device.

What a model does with strings is found out once, by tracing its step on a first batch. Each batch
then brings, in place of its strings, the numbers that the model's layers make of them.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import hints
from kerasish.core.lowering import assume_local_devices
from kerasish.core.state.functional import capture
from kerasish.core.symbolic.host_tensor import (
    HostProgram,
    HostTensor,
    Recording,
    Replay,
    is_string_array,
    no_strings,
)
from kerasish.data import ArrayBatches, Batches
from kerasish.data.array_batches import RowBatches
from kerasish.data.array_conversion import to_arrays
from kerasish.training.chunk import batch_spec
from kerasish.training.host_cache import RowCache, as_array_batches


@jax.tree_util.register_pytree_node_class
class HostedInputs:
    """Inputs whose strings stayed on the host: the other inputs, and numbers made of strings.

    Args:
        numbers: Inputs that are arrays of numbers.
        results: What the program made of the strings.
        form: `(structure, trailing sizes of strings or None of numbers, program)`; for steps that
            are not compiled with the strings themselves in the program's place.
    """

    def __init__(self, numbers: Sequence, results: Sequence, form: tuple):
        self.numbers, self.results, self.form = numbers, results, form

    def tree_flatten(self) -> tuple:
        """For JAX: the arrays, and the form."""
        return (self.numbers, self.results), self.form

    @classmethod
    def tree_unflatten(cls, form: tuple, parts: tuple) -> "HostedInputs":
        """For JAX: from arrays, and the form.

        Args:
            form: The form.
            parts: The arrays.
        """
        return cls(*parts, form)

    def restore(self) -> Any:
        """The inputs as a model takes them, with what stands for strings in a traced step."""
        structure, tails, program = self.form
        if not isinstance(program, HostProgram):
            strings = iter(program)
        else:
            rows = [np.shape(x)[:1] for x in (*self.results, *self.numbers)] or [(None,)]
            trace, shapes = Replay(program, self.results), [t for t in tails if t is not None]
            strings = (HostTensor(trace, i, (*rows[0], *t)) for i, t in enumerate(shapes))
        return _joined(structure, tails, self.numbers, strings)


def _joined(structure, tails, numbers, strings):
    numbers, strings = iter(numbers), iter(strings)
    return structure.unflatten([next(numbers if tail is None else strings) for tail in tails])


def restoring(body: Callable) -> Callable:
    """A step's body that takes batches with `HostedInputs`.

    Args:
        body: Function of a batch.
    """

    def run(batch):
        if not (isinstance(batch, tuple) and batch and isinstance(batch[0], HostedInputs)):
            return body(batch)
        return _without_strings(body((batch[0].restore(), *batch[1:])))

    run.__name__ = getattr(body, "__name__", "step")
    return run


def _without_strings(results):
    for leaf in jax.tree.leaves(results):
        if isinstance(leaf, HostTensor):
            raise TypeError(no_strings("The result of a compiled step", leaf.shape))
    return results


class HostBatches(Batches):
    """Batches with the strings of their inputs made numbers, by whoever reads them.

    Args:
        model: The model, whose layers do so.
        kind: Of the step that takes the batches: `"train"`, say.
        batches: The batches as they are.
        epoch: Number of the first epoch, whose first batch shows what the model does.
    """

    def __init__(self, model: Any, kind: str, batches: Batches, epoch: int = 0):
        self.model, self.kind, self.batches = model, kind, batches
        self.one_shot, self.seed = batches.one_shot, batches.seed
        self.batch_size: Any = batches.batch_size
        self.num_samples = batches.num_samples
        read = batches.epoch(epoch)
        first = next(read, None)
        self._begun: tuple | None = (epoch, itertools.chain([] if first is None else [first], read))
        several = isinstance(batches, RowBatches) and kind != "predict" and not model.run_eagerly
        samples: Any = batches.num_samples
        self.cache: Any = RowCache(samples) if several else None
        if first is not None and not model.run_eagerly:
            self._program_for(first)  # here, as the thread that reads ahead is to trace nothing

    @property
    def num_batches(self) -> int | None:  # type: ignore[override]
        """Batches in an epoch, as far as is known now."""
        return self.batches.num_batches

    def on_epoch_begin(self) -> None:
        self.batches.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self.batches.on_epoch_end()

    def close(self) -> None:
        self.batches.close()

    def epoch(self, epoch: int) -> Iterator[tuple]:
        """The batches of that epoch, without strings.

        Args:
            epoch: Number of the epoch, from 0.
        """
        begun, self._begun = self._begun, None
        if begun is not None and (begun[0] == epoch or self.one_shot):
            read = begun[1]
        else:
            read = self.batches.epoch(epoch)
        order = None if self.cache is None else self.batches.order(epoch)
        for i, batch in enumerate(read):
            rows = None
            if self.cache is not None:
                rows = slice(i * self.batch_size, (i + 1) * self.batch_size)
                rows = rows if order is None else order[rows]
            yield self._converted(batch, rows)

    def from_memory(self) -> ArrayBatches | None:
        """The same batches from arrays, once the numbers of all rows are known."""
        cache = self.cache
        if cache is None or (results := cache.complete()) is None:
            return None
        batches: Any = self.batches
        x, *rest = batches.arrays
        numbers, _, structure, tails = _split(x)
        hosted = HostedInputs(numbers, results, (structure, tails, cache.program))
        return as_array_batches(batches, (hosted, *rest))

    def _converted(self, batch, rows=None):
        numbers, strings, structure, tails = _split(batch[0])
        if not strings:
            return batch
        if self.model.run_eagerly:
            counted = np.zeros(len(strings[0]), "bool")
            return HostedInputs(numbers, [counted], (structure, tails, strings)), *batch[1:]
        program = self._program_for(batch)
        results = program.run(strings)
        if rows is not None:
            self.cache.put(program, rows, results)
        return HostedInputs(numbers, results, (structure, tails, program)), *batch[1:]

    def _program_for(self, batch):
        """What the step does with strings in such a batch, which is found out but once."""
        numbers, strings, structure, tails = _split(batch[0])
        programs = self.model.__dict__.setdefault("_host_programs", {})
        key = self.kind, structure, tails
        if strings and key not in programs:
            body = self.model._step(self.kind).body
            programs[key] = _host_program(body, structure, tails, numbers, strings, batch[1:])
        return programs.get(key)


def _split(x):
    """Inputs as arrays of numbers, strings, their structure, and the strings' trailing sizes."""
    leaves, structure = jax.tree.flatten(x)
    tails = tuple(x.shape[1:] if is_string_array(x) else None for x in leaves)
    strings = [x for x in leaves if is_string_array(x)]
    return [x for x in leaves if not is_string_array(x)], strings, structure, tails


def _host_program(body, structure, tails, numbers, strings, rest):
    """What a step does with strings, seen by tracing it on some."""
    program = HostProgram(len(strings))

    def run(numbers, rest):
        trace = Recording(program, strings)
        held = (HostTensor(trace, i, x.shape) for i, x in enumerate(strings))
        return _without_strings(body((_joined(structure, tails, numbers, held), *rest)))

    with hints(), assume_local_devices():
        capture(run, batch_spec(numbers), batch_spec(rest))
    return program


def without_strings(model: Any, kind: str, batches: Batches, epoch: int = 0) -> Batches:
    """Batches as a step takes them: strings in them are made numbers by the model's layers.

    Args:
        model: The model.
        kind: Of the step: `"train"`, say.
        batches: The batches.
        epoch: Number of the first epoch that is read.

    Raises:
        ValueError: If there are strings, and no layer that takes them.
    """
    if isinstance(batches, ArrayBatches):
        return batches
    takes_strings = any(layer.takes_strings for layer in model._flatten_layers())
    if isinstance(batches, RowBatches):
        found = [x for x in jax.tree.leaves_with_path(batches.arrays[0]) if is_string_array(x[1])]
        if not found:
            return batches
        if not takes_strings:
            path, strings = found[0]
            to_arrays(strings, f"x{jax.tree_util.keystr(path)}")  # says that it must be numbers
    elif not takes_strings:
        return batches
    batches.strings = True
    return HostBatches(model, kind, batches, epoch)
