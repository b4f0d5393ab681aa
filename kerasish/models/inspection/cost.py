"""What a model costs: XLA's count of the arithmetic and of the bytes moved, layer by layer."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from kerasish.core.state.functional import capture, pure
from kerasish.kernels import onednn
from kerasish.models.inspection.batch_specs import sample_batch, sample_inputs, trial_step
from kerasish.models.inspection.layer_calls import Call, calls_of, isolated


class Cost(NamedTuple):
    """What one run of a program costs by XLA's own analysis.

    Attributes:
        flops: Additions, multiplications, comparisons and the like; a product of matrices has two
            for each pair of numbers multiplied. Exponentials, roots and so on are not among them.
        bytes: Read and written by the program's operations, after XLA has fused them.
    """

    flops: float = 0.0
    bytes: float = 0.0

    def __add__(self, other):
        return Cost(self.flops + other.flops, self.bytes + other.bytes)


class LayerCost(NamedTuple):
    """Cost of a layer's calls in a pass: of the forward pass, and with the gradients."""

    forward: Cost = Cost()
    training: Cost = Cost()

    def __add__(self, other):
        return LayerCost(self.forward + other.forward, self.training + other.training)


class ModelCost(NamedTuple):
    """Costs of a model for one batch.

    Attributes:
        batch_size: Rows of the batch.
        layers: `LayerCost` of each layer by its `id`, those inside others too.
        forward: Cost of a pass forward, of the whole as XLA fuses it.
        step: Cost of a training step (forward, gradients, update, metrics); `None` for a model that
            is not compiled.
    """

    batch_size: int
    layers: dict[int, LayerCost]
    forward: Cost
    step: Cost | None


def model_cost(model: Any, batch_size: int = 32, x: Any = None) -> ModelCost:
    """Costs of a model, its layers and its training step for one batch; nothing is run.

    Args:
        model: A built model.
        batch_size: Rows of the batch.
        x: A sample of the inputs, for a model that does not know their shapes.
    """
    inputs = sample_inputs(model, batch_size, x)
    layers: dict[int, LayerCost] = {}
    known: dict[str, Cost] = {}
    for call in calls_of(model, inputs, training=True):
        found = layers.get(id(call.layer), LayerCost())
        layers[id(call.layer)] = found + call_cost(call, model.trainable_variables, known)
    forward = capture(lambda x: model(x, training=False), inputs)
    touched = [*forward.reads, *forward.written]
    run = pure(lambda x: model(x, training=False), touched)
    whole = cost_of(run, [v.read() for v in touched], inputs, known=known)
    return ModelCost(batch_size, layers, whole, _step_cost(model, batch_size, x, known))


def call_cost(call: Call, trainable: list, known: dict[str, Cost]) -> LayerCost:
    """Cost of one call of a layer, forward and with gradients.

    Args:
        call: One call of a layer.
        trainable: The model's trained Variables.
        known: Costs already found, which is added to.
    """
    functions = isolated(call, trainable)
    forward = cost_of(functions.forward, *functions.arguments, known=known)
    if functions.both is None:
        return LayerCost(forward, forward)
    arguments = (*functions.arguments, functions.upstream)
    return LayerCost(forward, cost_of(functions.both, *arguments, known=known))


def _step_cost(model, batch_size, x, known):
    if not model.compiled or model.run_eagerly:
        return None
    batch = sample_batch(model, batch_size, x)
    return _cost(trial_step(model, batch).trace(batch, one=True), known)


def cost_of(fn: Callable, *args: Any, known: dict[str, Cost] | None = None) -> Cost:
    """Cost of a function of arrays, compiled for these (or for their shapes).

    XLA counts the body of a loop once. Loops of known length count once per iteration; others,
    whose length the program decides, once.

    Args:
        fn: The function.
        *args: Arrays or shapes.
        known: Costs found before, by program; filled.
    """
    return _cost(jax.jit(fn).trace(*args), {} if known is None else known)


@onednn.left_out()
def _cost(traced, known):
    from jax.extend.core import jaxpr_as_fun  # noqa: PLC0415  (brings much with it)

    lowered = traced.lower()
    text = lowered.as_text()
    if text not in known:
        known[text] = _analysed(lowered)
    total = known[text]
    for body, length, counted in loops(traced.jaxpr.jaxpr):
        shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in body.jaxpr.invars]
        iteration = jax.jit(jaxpr_as_fun(body)).trace(*shapes)
        once, full = _analysed(iteration.lower()), _cost(iteration, known)
        flops = length * full.flops - counted * once.flops
        total += Cost(flops, max(length * full.bytes - counted * once.bytes, 0.0))
    return total


def _analysed(lowered):
    # Before it compiles, XLA sees all the arithmetic; afterwards it sees what is fused, but not
    # into the library calls that products of matrices may have become.
    before, after = lowered.cost_analysis() or {}, lowered.compile().cost_analysis() or {}
    return Cost(max(before.get("flops", 0.0), 0.0), max(after.get("bytes accessed", 0.0), 0.0))


def loops(jaxpr: Any) -> list[tuple]:
    """The outermost loops of known length: their body, length, and how often XLA counts it.

    Args:
        jaxpr: The traced program.
    """
    found: list[tuple] = []
    for eqn in jaxpr.eqns:
        if eqn.primitive.name == "scan":
            length, unroll = eqn.params["length"], eqn.params["unroll"]
            counted = length if length <= unroll else unroll + length % unroll
            found.append((eqn.params["jaxpr"], length, counted))
            continue
        for value in jax.tree.leaves(list(eqn.params.values()), is_leaf=_is_jaxpr):
            if _is_jaxpr(value):
                found += loops(getattr(value, "jaxpr", value))
    return found


def _is_jaxpr(x):
    return hasattr(x, "eqns") or hasattr(x, "jaxpr")
