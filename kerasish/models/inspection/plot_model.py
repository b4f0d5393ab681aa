"""Drawings of models as graphs: SVG, or what pydot and Graphviz write (`kerasish[plot]`)."""

import itertools
import pathlib
from collections.abc import Iterator
from typing import Any

from kerasish.core.symbolic.graph import node_of
from kerasish.layers.base.layer import Layer
from kerasish.models.inspection.svg_diagram import Box, draw


def _pydot():
    try:
        import pydot  # noqa: PLC0415  (optional)
    except ImportError:
        raise ImportError(
            'Drawing a model needs pydot: run `pip install "kerasish[plot]"` (or `pip install '
            "pydot`), and install Graphviz (https://graphviz.org/download) to write images. "
            "An `.svg` file needs neither."
        ) from None
    return pydot


def model_to_dot(
    model: Any,
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = True,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    subgraph: bool = False,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """A model as a pydot graph.

    Args:
        model: A built model: a functional one or a `Sequential` is drawn by its calls, a subclassed
            one by its layers only.
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

    Example:
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, name="out")])
        >>> "out" in str(model_to_dot(model))
        True
    """
    pydot = _pydot()
    _check_built(model)
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


def _check_built(model):
    if not model.built:
        raise ValueError(
            f"Model {model.name!r} has no graph to draw yet. Build it first: call it on data, or "
            "`build(input_shape)`."
        )


def model_to_svg(
    model: Any, shown: dict[str, bool], sideways: bool = False, expand_nested: bool = False
) -> str:
    """A model as SVG; no other program is needed.

    Args:
        model: A built model.
        shown: Which of `"names"`, `"shapes"`, `"dtype"`, `"activations"`, `"trainable"` to show.
        sideways: Whether to draw from left to right.
        expand_nested: Whether to draw models inside in frames of their own.

    Raises:
        ValueError: If the model is not built.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, name="head")])
        >>> "head (Dense)" in model_to_svg(model, {"names": True})
        True
    """
    _check_built(model)
    boxes: dict[str, Box] = {}
    _add_boxes(boxes, model, {**dict.fromkeys(_SHOWN, False), **shown}, expand_nested, ())
    ends = _all_edges(model, expand_nested)
    edges = dict.fromkeys((_name(start), _name(end)) for start, end in ends)
    return draw(boxes, list(edges), sideways)


_SHOWN = ("names", "shapes", "dtype", "activations", "trainable")


def _add_boxes(boxes, model, shown, expand_nested, group):
    for operation in _in_order(model):
        if expand_nested and _is_graph(operation):
            _add_boxes(boxes, operation, shown, True, (*group, operation.name))
        else:
            rows = [[row] if isinstance(row, str) else row for row in _rows(operation, shown)]
            lines = list(itertools.chain(*rows))
            boxes[_name(operation)] = Box(lines, _colour(operation), group)


def _in_order(model):
    """The operations, each after those that it needs."""
    if not _is_graph(model):
        return model.layers
    return list(dict.fromkeys(node.operation for node in model._function.nodes))


def _all_edges(model, expand_nested):
    yield from _edges(model, expand_nested)
    for operation in _operations(model) if expand_nested else ():
        if _is_graph(operation):
            yield from _all_edges(operation, expand_nested)


# Colours by the part of `kerasish.layers` that a layer's class, or the first of its bases, is in.
_COLOURS = {
    "input_layer": "#e8e8e8",
    "core": "#cfe2f3",
    "convolutional": "#fce5cd",
    "pooling": "#f9d5c6",
    "rnn": "#d9ead3",
    "attention": "#ead1dc",
    "normalization": "#fff2cc",
    "merging": "#d0e0e3",
    "reshaping": "#efefef",
    "regularization": "#f4cccc",
    "preprocessing": "#d9d2e9",
}
_OP_COLOUR, _MODEL_COLOUR, _OWN_COLOUR = "#ffffff", "#c9daf8", "#ffe599"


def _colour(operation):
    if not isinstance(operation, Layer):
        return _OP_COLOUR
    if _is_graph(operation) or hasattr(operation, "fit"):
        return _MODEL_COLOUR
    for cls in type(operation).__mro__:
        parts = cls.__module__.split(".")
        if parts[:2] == ["kerasish", "layers"] and parts[-1] in _COLOURS:
            return _COLOURS[parts[-1]]
        if parts[:2] == ["kerasish", "layers"] and parts[2] in _COLOURS:
            return _COLOURS[parts[2]]
    return _OWN_COLOUR


def _draw(pydot, graph, model, expand_nested, shown):
    for operation in _operations(model):
        if expand_nested and _is_graph(operation):
            label = {"style": "dashed", "label": operation.name, "labeljust": "l"}
            cluster = pydot.Cluster(_name(operation), **label)
            _draw(pydot, cluster, operation, expand_nested, shown)
            graph.add_subgraph(cluster)
        else:
            looks = {"style": "rounded,filled", "fillcolor": _colour(operation)}
            graph.add_node(pydot.Node(_name(operation), label=_label(operation, shown), **looks))
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
        for position, tensor in enumerate(node.inputs):
            start, end = tensor._keras_history.operation, node.operation
            if expand_nested:
                start = _last(start, tensor._keras_history.tensor_index)
                end = _first(end, position)
            yield start, end


def _last(operation, position):
    """Where an output of a drawn-out model comes from."""
    while _is_graph(operation):
        history = operation.outputs[position]._keras_history
        operation, position = history.operation, history.tensor_index
    return operation


def _first(operation, position):
    while _is_graph(operation):
        operation, position = node_of(operation.inputs[position]).operation, 0
    return operation


def _name(operation):
    return str(id(operation))


def _label(operation, shown):
    """Graphviz' record: the rows in boxes."""
    rows = (
        row if isinstance(row, str) else "{" + "|".join(row) + "}"
        for row in _rows(operation, shown)
    )
    return "{" + "|".join(map(_escaped, rows)) + "}"


def _rows(operation, shown):
    """The class (and name), then what else is to be shown; tuples are one row of boxes."""
    kind = type(operation).__name__ if isinstance(operation, Layer) else operation.name
    title = f"{operation.name} ({kind})" if shown["names"] and kind != operation.name else kind
    rows = [title]
    activation = getattr(operation, "activation", None)
    if shown["activations"] and activation is not None:
        rows.append(f"Activation: {getattr(activation, '__name__', activation)}")
    nodes = getattr(operation, "_inbound_nodes", [])
    if shown["shapes"] and nodes:
        sides = ("Input", nodes[0].inputs or nodes[0].outputs), ("Output", nodes[0].outputs)
        rows.append(tuple(f"{side} shape: {_shapes(tensors)}" for side, tensors in sides))
    if shown["dtype"] and nodes:
        rows.append(f"Output dtype: {', '.join(dict.fromkeys(t.dtype for t in nodes[0].outputs))}")
    if shown["trainable"] and getattr(operation, "weights", None):
        rows.append("Trainable" if operation.trainable else "Non-trainable")
    return rows


def _shapes(tensors):
    return ", ".join(str(t.shape) for t in tensors)


def _escaped(row):
    return row.replace("<", r"\<").replace(">", r"\>")


def plot_model(
    model: Any,
    to_file: Any = "model.png",
    show_shapes: bool = False,
    show_dtype: bool = False,
    show_layer_names: bool = False,
    rankdir: str = "TB",
    expand_nested: bool = False,
    dpi: int = 200,
    show_layer_activations: bool = False,
    show_trainable: bool = False,
    splines: str = "ortho",
) -> Any:
    """Draw a model into a file; in a notebook, show the image.

    Args:
        model: A built model.
        to_file: Where to: `.svg`, which needs no other program; `.png` or `.pdf`, drawn by
            Graphviz; or `.dot` for Graphviz' text.
        show_shapes: Whether to show shapes of inputs and outputs.
        show_dtype: Whether to show types of outputs.
        show_layer_names: Whether to show names beside classes.
        rankdir: `"TB"` draws from top to bottom, `"LR"` from left to right.
        expand_nested: Whether to draw models inside in boxes of their own.
        dpi: Dots per inch.
        show_layer_activations: Whether to show activations.
        show_trainable: Whether to say what is trained.
        splines: How Graphviz draws lines.

    Returns:
        In IPython, what shows the image; otherwise `None`.

    Raises:
        ValueError: If the model is not built.
        ImportError: If pydot or Graphviz is missing, and the file is no `.svg`.

    Example:
        >>> import pathlib, tempfile
        >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        >>> path = pathlib.Path(tempfile.mkdtemp(), "model.svg")
        >>> _ = plot_model(model, path)
        >>> path.exists()
        True
    """
    kind = pathlib.Path(to_file).suffix.removeprefix(".") or "png"
    if kind == "svg":
        shown: dict[str, bool] = dict(
            zip(
                _SHOWN,
                (show_layer_names, show_shapes, show_dtype, show_layer_activations, show_trainable),
                strict=True,
            )
        )
        text = model_to_svg(model, shown, rankdir in ("LR", "RL"), expand_nested)
        pathlib.Path(to_file).write_text(text)
        return _displayed("SVG", to_file)
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
    if kind == "dot":
        graph.write_raw(str(to_file))
        return None
    try:
        graph.write(str(to_file), format=kind)
    except FileNotFoundError:
        raise ImportError(
            "Writing an image of a model needs Graphviz' program `dot`: install it from "
            "https://graphviz.org/download, or draw into an `.svg` file, which needs no program."
        ) from None
    return None if kind == "pdf" else _displayed("Image", to_file)


def _displayed(kind, path):
    try:
        from IPython import display  # noqa: PLC0415  (optional)
    except ImportError:
        return None
    return getattr(display, kind)(filename=str(path))
