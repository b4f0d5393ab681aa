"""Drawings of models as graphs, by pydot and Graphviz (`pip install "kerasish[plot]"`)."""

import pathlib
from collections.abc import Iterator
from typing import Any

from kerasish.core.symbolic.graph import node_of
from kerasish.layers.base.layer import Layer


def _pydot():
    try:
        import pydot  # noqa: PLC0415  (optional)
    except ImportError:
        raise ImportError(
            'Drawing a model needs pydot: run `pip install "kerasish[plot]"` (or `pip install '
            "pydot`), and install Graphviz (https://graphviz.org/download) to write pictures."
        ) from None
    return pydot


def model_to_dot(
    model: Any,
    show_shapes=False,
    show_dtype=False,
    show_layer_names=True,
    rankdir="TB",
    expand_nested=False,
    dpi=200,
    subgraph=False,
    show_layer_activations=False,
    show_trainable=False,
    splines="ortho",
) -> Any:
    """A model as a pydot graph.

    Args:
        model: A built model: a functional one or a `Sequential` is drawn by its calls, a subclassed
            one by its layers alone.
        show_shapes: Whether to show shapes of inputs and outputs.
        show_dtype: Whether to show types of outputs.
        show_layer_names: Whether to show names beside classes.
        rankdir: `"TB"` draws from top to bottom, `"LR"` from left to right.
        expand_nested: Whether to draw models inside in boxes of their own.
        dpi: Dots per inch.
        subgraph: Whether to return a cluster, to put into another graph.
        show_layer_activations: Whether to show activations.
        show_trainable: Whether to say what is trained.
        splines: How Graphviz draws lines: `"ortho"`, `"curved"`, `"polyline"`, `"spline"` or
            `"line"`.
    """
    pydot = _pydot()
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no graph to draw yet. Build it first: call it on data, or "
            "`build(input_shape)`."
        )
    shown = {
        "names": show_layer_names,
        "shapes": show_shapes,
        "dtype": show_dtype,
        "activations": show_layer_activations,
        "trainable": show_trainable,
    }
    if subgraph:
        graph = pydot.Cluster(_name(model), style="dashed", label=model.name, labeljust="l")
    else:
        looks = {"rankdir": rankdir, "concentrate": "true", "dpi": dpi, "splines": splines}
        graph = pydot.Dot(graph_type="digraph", **looks)
        graph.set_node_defaults(shape="record")
    _draw(pydot, graph, model, expand_nested, shown)
    return graph


def _draw(pydot, graph, model, expand_nested, shown):
    for operation in _operations(model):
        if expand_nested and _is_graph(operation):
            label = {"style": "dashed", "label": operation.name, "labeljust": "l"}
            cluster = pydot.Cluster(_name(operation), **label)
            _draw(pydot, cluster, operation, expand_nested, shown)
            graph.add_subgraph(cluster)
        else:
            graph.add_node(pydot.Node(_name(operation), label=_label(operation, shown)))
    for start, end in dict.fromkeys(_edges(model, expand_nested)):
        graph.add_edge(pydot.Edge(_name(start), _name(end)))


def _is_graph(operation):
    return getattr(operation, "_function", None) is not None


def _operations(model):
    return model._function.operations if _is_graph(model) else model.layers


def _edges(model, expand_nested) -> Iterator[tuple]:
    """Pairs of operations, the second called on what the first gave."""
    if not _is_graph(model):
        return
    for node in model._function.nodes:
        for place, tensor in enumerate(node.inputs):
            start, end = tensor._keras_history.operation, node.operation
            if expand_nested:
                start = _last(start, tensor._keras_history.tensor_index)
                end = _first(end, place)
            yield start, end


def _last(operation, place):
    """Where an output of a drawn-out model comes from."""
    while _is_graph(operation):
        history = operation.outputs[place]._keras_history
        operation, place = history.operation, history.tensor_index
    return operation


def _first(operation, place):
    while _is_graph(operation):
        operation, place = node_of(operation.inputs[place]).operation, 0
    return operation


def _name(operation):
    return str(id(operation))


def _label(operation, shown):
    """Graphviz' record: the class (and name), then what else is to be shown, in boxes."""
    kind = type(operation).__name__ if isinstance(operation, Layer) else operation.name
    title = f"{operation.name} ({kind})" if shown["names"] and kind != operation.name else kind
    rows = [title]
    activation = getattr(operation, "activation", None)
    if shown["activations"] and activation is not None:
        rows.append(f"Activation: {getattr(activation, '__name__', activation)}")
    nodes = getattr(operation, "_inbound_nodes", [])
    if shown["shapes"] and nodes:
        sides = ("Input", nodes[0].inputs or nodes[0].outputs), ("Output", nodes[0].outputs)
        rows.append("{" + "|".join(f"{side} shape: {_shapes(ts)}" for side, ts in sides) + "}")
    if shown["dtype"] and nodes:
        rows.append(f"Output dtype: {', '.join(dict.fromkeys(t.dtype for t in nodes[0].outputs))}")
    if shown["trainable"] and getattr(operation, "weights", None):
        rows.append("Trainable" if operation.trainable else "Non-trainable")
    return "{" + "|".join(_escaped(row) for row in rows) + "}"


def _shapes(tensors):
    return ", ".join(str(t.shape) for t in tensors)


def _escaped(row):
    return row.replace("<", r"\<").replace(">", r"\>")


def plot_model(
    model: Any,
    to_file="model.png",
    show_shapes=False,
    show_dtype=False,
    show_layer_names=False,
    rankdir="TB",
    expand_nested=False,
    dpi=200,
    show_layer_activations=False,
    show_trainable=False,
    splines="ortho",
) -> Any:
    """Draw a model into a file; in a notebook, show the picture.

    Args:
        model: A built model.
        to_file: Where to: `.png`, `.svg`, `.pdf`, or `.dot` for Graphviz' text.
        show_shapes: Whether to show shapes of inputs and outputs.
        show_dtype: Whether to show types of outputs.
        show_layer_names: Whether to show names beside classes.
        rankdir: `"TB"` draws from top to bottom, `"LR"` from left to right.
        expand_nested: Whether to draw models inside in boxes of their own.
        dpi: Dots per inch.
        show_layer_activations: Whether to show activations.
        show_trainable: Whether to say what is trained.
        splines: How Graphviz draws lines.
    """
    graph = model_to_dot(
        model,
        show_shapes=show_shapes,
        show_dtype=show_dtype,
        show_layer_names=show_layer_names,
        rankdir=rankdir,
        expand_nested=expand_nested,
        dpi=dpi,
        show_layer_activations=show_layer_activations,
        show_trainable=show_trainable,
        splines=splines,
    )
    kind = pathlib.Path(to_file).suffix.removeprefix(".") or "png"
    if kind == "dot":
        graph.write_raw(str(to_file))
        return None
    try:
        graph.write(str(to_file), format=kind)
    except FileNotFoundError:
        raise ImportError(
            "Writing a picture of a model needs Graphviz' program `dot`: install it from "
            "https://graphviz.org/download, or draw into a `.dot` file."
        ) from None
    if kind == "pdf":
        return None
    try:
        from IPython import display  # noqa: PLC0415  (optional)
    except ImportError:
        return None
    return (display.SVG if kind == "svg" else display.Image)(filename=str(to_file))
