"""The form of the batch that `predict` was last given: the next one of it goes straight through."""

from typing import Any

import jax
import numpy as np

from kerasish.core import partitioning, settings
from kerasish.core.dict_order import reordered
from kerasish.core.lowering import assume_local_devices
from kerasish.core.state.changes import changes
from kerasish.core.state.program import Program
from kerasish.core.state.scope import innermost
from kerasish.training.chunk import rows_of


class LastForm:
    """A compiled step of prediction, for inputs of one structure, shape and dtype.

    Args:
        program: The step's program.
        step: The compiled step that holds it.
        x: Inputs as they were given.
        batch: The batch that was made of them.
        outputs: What came of it.
    """

    def __init__(self, program: Program, step: Any, x: Any, batch: Any, outputs: Any):
        self.program, self.step = program, step
        self.version = changes.structure
        self.settings = settings.current()
        # A single array is compared without a search for leaves.
        single = _is_array(x)
        self.type = type(x) if single else None
        self.form: Any = (x.shape, x.dtype) if single else _form(x)
        self.rows, self.gives_one = rows_of(batch), isinstance(outputs, jax.Array)
        self.dtypes = [a.dtype for a in jax.tree.leaves(batch)]
        with assume_local_devices():
            self.jitted = program.jitted()

    def fits(self, x: Any, steps: dict, batch_size: int | None = None) -> bool:
        """Whether inputs have this form, and all is as it was.

        Args:
            x: The inputs.
            steps: The model's compiled steps now.
            batch_size: The most rows there may be.
        """
        if type(x) is self.type:
            if (x.shape, x.dtype) != self.form:
                return False
        elif self.type is not None or _form(x) != self.form:
            return False
        return (
            changes.structure == self.version
            and steps.get("predict") is self.step
            and (batch_size is None or self.rows <= batch_size)
            and partitioning.state.distribution is None
            and innermost.scope is None
            and self.settings == settings.current()
        )

    def __call__(self, x: Any) -> Any:
        """Outputs for inputs of the form, as NumPy arrays."""
        if self.type is None:
            leaves, tree = jax.tree.flatten(x)
            pairs = zip(leaves, self.dtypes, strict=True)
            x = tree.unflatten([_cast(leaf, dtype) for leaf, dtype in pairs])
        elif self.form[1] != self.dtypes[0]:
            x = x.astype(self.dtypes[0])
        outputs = self.program.run(self.jitted, ((x,),))[2]
        if self.gives_one:
            return np.array(outputs)
        return reordered(jax.tree.map(np.array, outputs), self.step.output_order)


def _cast(array, dtype):
    return array if array.dtype == dtype else array.astype(dtype)


def last_form(step: Any, x: Any, batch: Any, outputs: Any) -> LastForm | None:
    """What to remember of a batch that a step has just run; `None` where it is more than arrays.

    Args:
        step: The compiled step of prediction.
        x: Inputs as they were given.
        batch: The batch that was made of them.
        outputs: What came of it.
    """
    program = step.single_batch_program()
    if program is None or _form(x) is None or partitioning.state.distribution is not None:
        return None
    if jax.tree.structure((x,)) != jax.tree.structure(batch):
        return None
    return LastForm(program, step, x, batch, outputs)


def _form(x):
    """Structure, types, shapes and dtypes; `None` of anything but numerical arrays."""
    leaves, tree = jax.tree.flatten(x)
    if not all(map(_is_array, leaves)):
        return None
    return tree, [(type(a), a.shape, a.dtype) for a in leaves]


def _is_array(x):
    concrete = isinstance(x, jax.Array) and not isinstance(x, jax.core.Tracer)
    return (type(x) is np.ndarray and x.dtype.kind not in "OSTU") or concrete
