"""Shapes of a batch for a model, from what it was made, built or trained with."""

from typing import Any

import jax
import numpy as np

from kerasish.core import dtypes, settings
from kerasish.core.errors import see
from kerasish.core.state.functional import capture
from kerasish.data import unpack_x_y_sample_weight
from kerasish.layers.base.signatures import map_shapes


def sample_inputs(model: Any, batch_size: int, given: Any = None) -> Any:
    """Shapes and dtypes of a batch of inputs.

    Args:
        model: A built model.
        batch_size: Rows of the batch.
        given: Arrays (or shapes with dtypes) like the inputs, when the model cannot tell.
    """
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no weights yet, so there is nothing to count. Build it "
            f"first: call it on data, or `build(input_shape)`. {see('E05')}"
        )
    refuse_strings(model, "summary")
    if given is not None:
        return _with_rows(given, batch_size)
    seen = _seen_in_training(model)
    if seen is not None:
        return _with_rows(unpack_x_y_sample_weight(seen)[0], batch_size)
    if model._function is not None:
        tree = model._function._inputs_struct
        found = jax.tree.map(lambda t: _sized(model, t.shape, batch_size, t.dtype), tree)
        return found[0] if isinstance(found, list | tuple) and len(found) == 1 else found
    shapes = list((model._built_with or {}).values())
    if len(shapes) != 1 or shapes[0] is None:
        raise ValueError(
            f"Model {model.name!r} does not say what its inputs are like. Give a sample of them."
        )
    floats = settings.floatx()
    return map_shapes(lambda shape: _sized(model, shape, batch_size, floats), shapes[0])


def sample_batch(model: Any, batch_size: int, x: Any = None, y: Any = None) -> tuple:
    """Shapes of a batch `(x, y)` (or more) of training data, as `sample_inputs` has those of `x`.

    Targets that are neither given nor known from training are taken to be like the outputs, or
    class numbers where a sparse loss wants them.

    Args:
        model: The model.
        batch_size: Rows of a batch.
        x: Inputs, or `None` for the model's own shapes.
        y: Targets, or `None`.
    """
    seen = _seen_in_training(model)
    if seen is not None and x is None and y is None:
        return _with_rows(seen, batch_size)
    x = sample_inputs(model, batch_size, x)
    if y is not None:
        return x, _with_rows(y, batch_size)
    if model._compiled_loss is None:
        return (x,)
    outputs = capture(lambda x: model(x, training=True), x).result
    leaves, tree = jax.tree.flatten(outputs)
    is_one = lambda one: not isinstance(one, dict | list | tuple)  # noqa: E731
    names = [_name(one) for one in jax.tree.leaves(model.loss, is_leaf=is_one)]
    names = names if len(names) == len(leaves) else names[:1] * len(leaves)
    targets = [_target(*pair) for pair in zip(names, leaves, strict=True)]
    return x, jax.tree.unflatten(tree, targets)


def trial_step(model: Any, batch: Any) -> Any:
    """A training step of its own to look at: the model's own step stays as it is.

    Args:
        model: The model.
        batch: Shapes of a batch, as `sample_batch` gives.
    """
    own, trial = model._step("train"), model._make_step("train")
    trial.prepare(batch)
    if own.trained is None:  # the optimizer is built now, and must know when layers are frozen
        own.trained, own.frozen = trial.trained, trial.frozen
    return trial


def refuse_strings(model: Any, who: str) -> None:
    """Raise a `ValueError` for a model that takes strings: part of its work is the host's.

    Args:
        model: The model.
        who: Who asks, for the error.
    """
    graph = model._function is not None and any(t.dtype == "string" for t in model.inputs)
    if graph or vars(model).get("_string_inputs"):
        raise ValueError(
            f"{who}: model {model.name!r} takes strings, and what the host does with them has no "
            "place in a count of the device's work. Look at the part after the layers that take "
            "strings: a model of its own, on the numbers that they give."
        )


def _name(loss):
    return str(getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss)


def _target(loss, output):
    if "sparse" in loss:
        return jax.ShapeDtypeStruct(output.shape[:-1], "int32")
    return jax.ShapeDtypeStruct(output.shape, output.dtype)


def _seen_in_training(model):
    """Shapes of the batch of most rows that was trained on."""
    steps = model._compiled_steps
    kinds = ("train", "train on batch")
    forms = [form for kind in kinds if kind in steps for form in steps[kind].forms()]
    return max(forms, key=lambda form: jax.tree.leaves(form)[0].shape[0], default=None)


def _with_rows(tree, rows):
    def sized(a):
        a = a if hasattr(a, "dtype") else np.asarray(a)
        dtype = jax.dtypes.canonicalize_dtype(a.dtype)
        return jax.ShapeDtypeStruct((rows, *a.shape[1:]), dtype)

    return jax.tree.map(sized, tree, is_leaf=lambda a: isinstance(a, list) and not _is_pytree(a))


def _is_pytree(items):
    return any(hasattr(a, "shape") for a in jax.tree.leaves(items))


def _sized(model, shape, rows, dtype):
    if any(n is None for n in shape[1:]):
        raise ValueError(
            f"Model {model.name!r} takes inputs of shape {tuple(shape)}, whose cost depends on the "
            "sizes that are not set. Give a sample of the inputs."
        )
    return jax.ShapeDtypeStruct((rows, *shape[1:]), dtypes.standardize_dtype(dtype))
