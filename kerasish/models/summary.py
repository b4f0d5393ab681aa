"""The table of a model's layers: text in the terminal, HTML in a notebook."""

import html
import io
import re
import sys
from typing import Any, NamedTuple

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kerasish.core.symbolic import Op
from kerasish.models.op_nodes import class_of


class Row(NamedTuple):
    """One layer: its name and class, output shape, number of weights, sources, trained or not."""

    layer: str
    shape: str
    params: str
    sources: str
    trainable: str
    depth: int


def layer_rows(model: Any, expand_nested: bool = False, layer_range=None) -> list[Row]:
    """The rows of the table."""
    return list(_rows(_in_range(_all_layers(model), layer_range), model, expand_nested, 0))


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


def _rows(layers, model, expand_nested, depth):
    nodes = {id(n) for n in model._function.nodes} if model._function is not None else set()
    for layer in layers:
        sources = []
        for node in getattr(layer, "_inbound_nodes", []):
            if id(node) in nodes:
                for tensor in node.inputs:
                    operation, index, output = tensor._keras_history
                    sources.append(f"{operation.name}[{index}][{output}]")
        sources = ", ".join(sources) or "-"
        if isinstance(layer, Op):
            _, kind = class_of(layer.function.__name__)
            yield Row(f"{layer.name} ({kind})", _shape(layer), "0", sources, "-", depth)
            continue
        counted = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        trained = "-" if not layer.weights else "Y" if layer.trainable else "N"
        name = f"{layer.name} ({type(layer).__name__})"
        yield Row(name, _shape(layer), counted, sources, trained, depth)
        inner = getattr(layer, "_function", None)
        if expand_nested and (inner is not None or getattr(layer, "layers", None)):
            yield from _rows(_all_layers(layer), layer, expand_nested, depth + 1)


def _shape(layer):
    nodes = getattr(layer, "_inbound_nodes", [])
    if nodes:
        return ", ".join(str(t.shape) for t in nodes[0].outputs)
    if not layer.built:
        return "? (unbuilt)"
    return ", ".join(map(str, layer._output_shapes)) or "?"


def totals(model: Any) -> dict[str, tuple[int, int]]:
    """Counts and bytes of all, trainable, non-trainable and the optimizer's numbers."""
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


def readable_bytes(n: float) -> str:
    """`"1.50 KB"`."""
    for unit in ("B", "KB", "MB", "GB"):
        if n < 1024:
            return f"{n:.2f} {unit}"
        n /= 1024
    return f"{n:.2f} TB"


def summarize(
    model,
    line_length=None,
    print_fn=None,
    expand_nested=False,
    show_trainable=False,
    layer_range=None,
):
    """Show the table; see `Model.summary`."""
    rows = layer_rows(model, expand_nested, layer_range)
    linear = all(row.sources.count("[") <= 2 for row in rows)
    title = f'Model: "{model.name}"'
    lines = [f"{k}: {n:,} ({readable_bytes(size)})" for k, (n, size) in totals(model).items()]
    if print_fn is None and _in_notebook():
        from IPython.display import HTML, display  # noqa: PLC0415

        display(HTML(as_html(title, rows, lines, linear, show_trainable)))
        return
    text = as_text(title, rows, lines, linear, show_trainable, line_length)
    (print_fn or print)(text)


def _columns(linear, show_trainable):
    columns = [("Layer (type)", "layer"), ("Output Shape", "shape"), ("Param #", "params")]
    if not linear:
        columns.append(("Connected to", "sources"))
    if show_trainable:
        columns.append(("Trainable", "trainable"))
    return columns


def as_text(title, rows, lines, linear, show_trainable, line_length=None) -> str:
    """The table in box characters."""
    width = line_length or (80 if linear else 100)
    table = Table(width=width, show_lines=False)
    columns = _columns(linear, show_trainable)
    for heading, field in columns:
        table.add_column(heading, justify="right" if field == "params" else "left", overflow="fold")
    for row in rows:
        indent = "    " * row.depth
        table.add_row(
            *(escape(indent + row.layer if f == "layer" else getattr(row, f)) for _, f in columns)
        )
    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=sys.stdout.isatty() and line_length is None
    )
    console.print(f"[bold]{escape(title)}[/bold]", highlight=False)
    console.print(table)
    for line in lines:
        console.print(f" {line}", highlight=False)
    return out.getvalue().rstrip("\n")


def as_html(title, rows, lines, linear, show_trainable) -> str:
    """The table as HTML."""
    columns = _columns(linear, show_trainable)
    head = "".join(f"<th style='text-align:left'>{html.escape(h)}</th>" for h, _ in columns)
    body = ""
    for row in rows:
        cells = ""
        for _, field in columns:
            align = "right" if field == "params" else "left"
            pad = f"padding-left:{1 + 2 * row.depth}em;" if field == "layer" else ""
            cells += f"<td style='text-align:{align};{pad}'>{html.escape(getattr(row, field))}</td>"
        body += f"<tr>{cells}</tr>"
    foot = "<br>".join(html.escape(line) for line in lines)
    return (
        f"<div><b>{html.escape(title)}</b><table><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table><div>{foot}</div></div>"
    )


def _in_notebook():
    shell = sys.modules.get("IPython")
    shell = shell.get_ipython() if shell is not None else None
    return shell is not None and hasattr(shell, "kernel")
