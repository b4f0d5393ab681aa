"""The table of a model's layers: text in the terminal, HTML in a notebook."""

import os
import re
import shutil
import sys
from typing import Any, NamedTuple

from kerasish.core.symbolic.operation import Op
from kerasish.core.text_tables import (
    as_html,
    as_text,
    natural_width,
    readable_bytes,
    readable_count,
)
from kerasish.layers.base.layer import Layer
from kerasish.models.graph.op_config import class_of
from kerasish.models.inspection.cost import ModelCost, model_cost


class Row(NamedTuple):
    """One layer: its name and class, output shape, number of weights, sources, trained or not.

    If asked for, also its FLOPs forward and in training, and the bytes it moves in training.
    """

    layer: str
    shape: str
    params: str
    sources: str
    trainable: str
    depth: int
    flops: str = "-"
    trained_flops: str = "-"
    moved: str = "-"


def layer_rows(
    model: Any, expand_nested: bool = False, layer_range: Any = None, costs: ModelCost | None = None
) -> list[Row]:
    """The rows of the table.

    Args:
        model: The model.
        expand_nested: Whether rows of models inside are shown.
        layer_range: Names or patterns of the first and the last layer.
        costs: Costs of layers, or `None`.
    """
    layers = _in_range(_all_layers(model), layer_range)
    return list(_rows(layers, model, expand_nested, 0, costs.layers if costs else {}))


def _all_layers(model):
    is_graph = hasattr(model, "_graph_layers")  # and not a stack, whose input goes without saying
    return model.operations if is_graph else model.layers


def _in_range(layers, layer_range):
    if layer_range is None:
        return layers
    first, last = layer_range
    hits = [[i for i, x in enumerate(layers) if re.match(p, x.name)] for p in (first, last)]
    if not all(hits):
        raise ValueError(f"summary: `layer_range` {layer_range} matches no layers of the model.")
    return layers[min(hits[0]) : max(hits[1]) + 1]


def _rows(layers, model, expand_nested, depth, costs):
    nodes = {id(n) for n in model._function.nodes} if model._function is not None else set()
    for layer in layers:
        sources = []
        for node in getattr(layer, "_inbound_nodes", []):
            if id(node) in nodes:
                for tensor in node.inputs:
                    operation, index, output = tensor._keras_history
                    sources.append(f"{operation.name}[{index}][{output}]")
        sources = ", ".join(sources) or "-"
        if not isinstance(layer, Layer):
            kind = type(layer).__name__
            if isinstance(layer, Op):
                _, kind = class_of(layer.function.__name__)
            yield Row(f"{layer.name} ({kind})", _shape(layer), "0", sources, "-", depth)
            continue
        counted = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        trained = "-" if not layer.weights else "Y" if layer.trainable else "N"
        name = f"{layer.name} ({type(layer).__name__})"
        cost = _cost_cells(costs.get(id(layer)))
        yield Row(name, _shape(layer), counted, sources, trained, depth, *cost)
        inner = getattr(layer, "_function", None)
        if expand_nested and (inner is not None or getattr(layer, "layers", None)):
            yield from _rows(_all_layers(layer), layer, expand_nested, depth + 1, costs)


def _cost_cells(cost):
    if cost is None:
        return "-", "-", "-"
    flops = readable_count(cost.forward.flops), readable_count(cost.training.flops)
    return *flops, readable_bytes(cost.training.bytes)


def _shape(layer):
    nodes = getattr(layer, "_inbound_nodes", [])
    if nodes:
        return ", ".join(str(t.shape) for t in nodes[0].outputs)
    if not layer.built:
        return "? (unbuilt)"
    return ", ".join(map(str, layer._output_shapes)) or "?"


def totals(model: Any) -> dict[str, tuple[int, int]]:
    """Counts and bytes of all, trainable, non-trainable and the optimizer's numbers.

    Args:
        model: The model.
    """
    trained = model.trainable_weights
    others = model.non_trainable_weights
    optimizer = model.optimizer
    counts = {
        "Total params": [*trained, *others],
        "Trainable params": trained,
        "Non-trainable params": others,
    }
    if optimizer is not None and optimizer.built:
        counts["Optimizer params"] = list(optimizer.variables)
        counts["Total params"] = [*counts["Total params"], *optimizer.variables]
    return {
        k: (sum(v.size for v in vs), sum(v.size * v._value.dtype.itemsize for v in vs))
        for k, vs in counts.items()
    }


def summarize(
    model: Any,
    line_length: int | None = None,
    print_fn: Any = None,
    expand_nested: bool = False,
    show_trainable: bool = False,
    layer_range: Any = None,
    cost: Any = False,
    batch_size: int = 32,
) -> None:
    """Show the table; see `Model.summary`.

    Args:
        model: The model.
        line_length: Characters of a line.
        print_fn: What takes each line; `print` unless given.
        expand_nested: Whether rows of models inside are shown.
        show_trainable: Whether there is a column for it.
        layer_range: Names or patterns of the first and the last layer.
        cost: Whether to show operations and bytes.
        batch_size: Rows of a batch.
    """
    # Before the costs, for which the optimizer makes its state.
    lines = [f"{k}: {n:,} ({readable_bytes(size)})" for k, (n, size) in totals(model).items()]
    costs = None
    if cost is not False:
        costs = model_cost(model, batch_size, None if cost is True else cost)
    rows = layer_rows(model, expand_nested, layer_range, costs)
    linear = all(row.sources.count("[") <= 2 for row in rows)
    title = f'Model: "{model.name}"'
    lines += [] if costs is None else cost_lines(costs)
    columns = _columns(linear, show_trainable, costs)
    cells = [_cells(row, columns.values()) for row in rows]
    if print_fn is None and _in_notebook():
        from IPython.display import HTML, display  # noqa: PLC0415

        unbroken = [heading for heading in columns if heading != "Connected to"]
        display(HTML(as_html(title, list(columns), cells, lines, _RIGHT, unbroken)))
        return
    width = line_length or (80 if linear else 100) + (20 if costs else 0)
    colour = False
    if print_fn is None and line_length is None:
        width = _width_shown(width, natural_width(list(columns), cells))
        colour = sys.stdout.isatty()
    (print_fn or print)(as_text(title, list(columns), cells, lines, width, _RIGHT, colour))


def as_html_table(model: Any) -> str:
    """What a notebook shows of a model: the table of its layers, without costs.

    Args:
        model: A model, built or not.
    """
    rows = layer_rows(model)
    columns = _columns(all(row.sources.count("[") <= 2 for row in rows), False, None)
    cells = [_cells(row, columns.values()) for row in rows]
    (count, size) = totals(model)["Total params"]
    lines = [f"Total params: {count:,} ({readable_bytes(size)})"]
    title = f"{type(model).__name__} {model.name!r}"
    unbroken = [heading for heading in columns if heading != "Connected to"]
    return as_html(title, list(columns), cells, lines, _RIGHT, unbroken)


def _width_shown(usual, needed):
    """As wide as needed, at least as usual, and at most as the terminal is."""
    if not sys.stdout.isatty() and "COLUMNS" not in os.environ:
        return usual
    return min(max(usual, needed), shutil.get_terminal_size((usual, 24)).columns)


_RIGHT = ("Param #", "FLOPs", "in training", "Bytes")


def _cells(row, fields):
    indent = "    " * row.depth
    return [indent + row.layer if f == "layer" else getattr(row, f) for f in fields]


def cost_lines(costs: ModelCost) -> list[str]:
    """What stands below the table of costs: totals, and what they mean.

    Args:
        costs: Costs of layers.
    """
    lines = ["", f"One batch of {costs.batch_size}, as XLA counts it:"]
    wholes = {"Forward": costs.forward, "Training step": costs.step}
    for name, whole in wholes.items():
        if whole is not None:
            flops, moved = readable_count(whole.flops), readable_bytes(whole.bytes)
            lines.append(f"{name}: {flops} FLOPs, {moved} read and written")
    return [
        *lines,
        "FLOPs of a layer: forward; in training: with gradients. Bytes: read and written in",
        "training by the layer by itself. The model moves fewer, as XLA fuses layers together.",
    ]


def _columns(linear, show_trainable, costs):
    columns = {"Layer (type)": "layer", "Output Shape": "shape", "Param #": "params"}
    if costs:
        columns |= {"FLOPs": "flops", "in training": "trained_flops", "Bytes": "moved"}
    if not linear:
        columns["Connected to"] = "sources"
    if show_trainable:
        columns["Trainable"] = "trainable"
    return columns


def _in_notebook():
    shell = sys.modules.get("IPython")
    shell = shell.get_ipython() if shell is not None else None
    return shell is not None and hasattr(shell, "kernel")
