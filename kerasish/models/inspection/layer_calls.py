"""What each layer of a model is called on in one pass, so that its call can be isolated."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from kerasish.core import dtypes
from kerasish.core.state.functional import capture, pure
from kerasish.layers.base.calling import training_here
from kerasish.layers.base.signatures import signature_of
from kerasish.layers.core.input_layer import InputLayer


class Call(NamedTuple):
    """One call of a layer in a pass through a model.

    Attributes:
        layer: The layer.
        outer: Layers whose calls it is inside of.
        arrays: Arrays among its arguments (or, of a call that was only traced, their shapes).
        run: `run(*arrays)` makes the call again.
        reached: Whether gradients must pass through it to weights before it.
    """

    layer: Any
    outer: tuple
    arrays: list
    run: Callable
    reached: bool


def calls_of(model: Any, batch: Any, training: bool, values: bool = False) -> list[Call]:
    """The calls of all layers inside a model, for a batch of inputs, in the order they begin.

    Args:
        model: A built model.
        batch: Its inputs: arrays or shapes.
        training: Whether the pass is one of training.
        values: Whether `arrays` must hold numbers; computed in one compiled pass.
    """
    calls: list[Call] = []

    def forward(batch):
        calls.clear()
        with _watched(model, calls):
            model(batch, training=training)
        return [call.arrays for call in calls]

    seen = capture(forward, batch)
    if values:
        variables = [*seen.reads, *seen.written]
        run = jax.jit(pure(forward, variables))
        arrays, _ = run([v.read() for v in variables], batch)
    else:
        arrays = jax.tree.map(shape_of, seen.result)
    return [call._replace(arrays=xs) for call, xs in zip(calls, arrays, strict=True)]


@contextlib.contextmanager
def _watched(model, calls) -> Iterator[None]:
    from jax.extend.core import get_opaque_trace_state  # noqa: PLC0415  (brings much with it)

    layers = list(model._flatten_layers(include_self=False))
    stack: list = []
    seen_weights = False
    here = get_opaque_trace_state()

    def watch(layer):
        compute = layer._run_call

        def run(bound):
            nonlocal seen_weights
            # What a layer is called on inside `scan`, `vmap` or `remat` cannot leave that trace.
            if get_opaque_trace_state() != here:
                return compute(bound)
            calls.append(_call_again(layer, bound, tuple(stack), seen_weights))
            stack.append(layer)
            try:
                return compute(bound)
            finally:
                stack.pop()
                seen_weights = seen_weights or any(v.trainable for v in layer._own_variables())

        object.__setattr__(layer, "_run_call", run)

    for layer in layers:
        if not isinstance(layer, InputLayer):
            watch(layer)
    try:
        yield
    finally:
        for layer in layers:
            vars(layer).pop("_run_call", None)


def _call_again(layer, bound, outer, reached):
    leaves, tree = jax.tree.flatten((bound.args, bound.kwargs))
    positions = [i for i, leaf in enumerate(leaves) if isinstance(leaf, jax.Array | np.ndarray)]
    arrays = [jnp.asarray(leaves[i]) for i in positions]
    for i in positions:  # traced values must not outlive the trace
        leaves[i] = None
    # A layer without the argument passes it on to those inside it.
    signature = signature_of(type(layer), "call")
    silent = "training" in signature.parameters or signature.takes_any
    extra = {} if silent else {"training": training_here()}

    def run(*arrays):
        filled = [*leaves]
        for position, array in zip(positions, arrays, strict=True):
            filled[position] = array
        args, kwargs = jax.tree.unflatten(tree, filled)
        return layer(*args, **kwargs, **extra)

    return Call(layer, outer, arrays, run, reached)


def shape_of(x: Any) -> jax.ShapeDtypeStruct:
    """Shape and dtype of an array, as JAX knows it.

    Args:
        x: The array.
    """
    return jax.ShapeDtypeStruct(x.shape, jax.dtypes.canonicalize_dtype(x.dtype))


class IsolatedCall(NamedTuple):
    """A call as pure functions of arrays, to compile, cost or time.

    Attributes:
        forward: `forward(trained, others, arrays)`: the outputs.
        both: `both(trained, others, arrays, upstream)`: the outputs, and the gradients by the
            trained weights and, if they are needed, by the inputs; `None` where there is none.
        arguments: Those of `forward`.
        upstream: Shapes of what `both` takes besides: gradients by the float outputs.
    """

    forward: Callable
    both: Callable | None
    arguments: tuple
    upstream: list


def isolated(call: Call, trainable: list) -> IsolatedCall:
    """A call as pure functions; `trainable` are the model's trained Variables.

    Args:
        call: The call.
        trainable: The model's trained Variables.
    """
    shapes = [shape_of(x) for x in call.arrays]
    seen = capture(call.run, *shapes)
    chosen = {id(v) for v in trainable}
    touched = [*seen.reads, *seen.written]
    trained = [v for v in touched if id(v) in chosen]
    others = [v for v in touched if id(v) not in chosen]
    run = pure(call.run, [*trained, *others])

    def forward(trained, others, arrays):
        outputs, new = run([*trained, *others], *arrays)
        return jax.tree.leaves(outputs), new

    floats = [i for i, x in enumerate(shapes) if dtypes.is_float(x.dtype)] if call.reached else []
    outputs = jax.tree.leaves(seen.result)
    sent = [i for i, x in enumerate(outputs) if dtypes.is_float(x.dtype)]

    def both(trained, others, arrays, upstream):
        def of_floats(trained, inputs):
            filled = [*arrays]
            for i, x in zip(floats, inputs, strict=True):
                filled[i] = x
            found, new = forward(trained, others, filled)
            return [found[i] for i in sent], (found, new)

        inputs = [arrays[i] for i in floats]
        _, back, results = jax.vjp(of_floats, trained, inputs, has_aux=True)
        return results, back(upstream)

    values = ([v.read() for v in trained], [v.read() for v in others], call.arrays)
    has_gradient = bool((trained or floats) and sent)
    upstream = [shape_of(outputs[i]) for i in sent]
    return IsolatedCall(forward, both if has_gradient else None, values, upstream)
