"""Changes to ONNX's graphs: names of inputs and outputs, and weights in 16 bits."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_WORTH_IT = 256  # elements: smaller weights stay as they are


def rename(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Let a model's inputs and outputs have these names.

    An output that is an input or another output comes through an `Identity`, as each must be a
    value of its own. Other values that have one of the names make way.

    Args:
        model: ONNX's `ModelProto`, changed in place.
        inputs: Names of the inputs, in order.
        outputs: Names of the outputs, in order; an input's name gets a mark.
    """
    from onnx import helper

    graph = model.graph
    outputs = [_unlike(name, inputs) for name in outputs]
    taken = {name for node in _nodes(graph) for name in (*node.input, *node.output)}
    wanted = {*inputs, *outputs}
    names = {name: _unlike(name, taken | wanted) for name in taken & wanted}
    names.update({value.name: name for value, name in zip(graph.input, inputs, strict=True)})
    made = {name for node in graph.node for name in node.output}
    through = []
    for value, name in zip(graph.output, outputs, strict=True):
        old = value.name
        is_own = old in made and names.get(old) not in wanted
        if is_own:
            names[old] = name
        else:
            through.append((old, name))
    _apply(graph, names)
    for value, name in zip(graph.output, outputs, strict=True):
        value.name = name
    for old, name in through:
        graph.node.append(helper.make_node("Identity", [names.get(old, old)], [name]))


def _unlike(name, taken):
    while name in taken:
        name += "_"
    return name


def _graphs(graph) -> Iterator[Any]:
    """A graph and all those in its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)
            for inner in attribute.graphs:
                yield from _graphs(inner)


def _nodes(graph) -> Iterator[Any]:
    for one in _graphs(graph):
        yield from one.node


def _apply(graph, names):
    for one in _graphs(graph):
        for node in one.node:
            for values in (node.input, node.output):
                values[:] = [names.get(name, name) for name in values]
        for value in (*one.input, *one.output, *one.value_info, *one.initializer):
            value.name = names.get(value.name, value.name)


def number_nodes(model: Any) -> None:
    """Give each node a name of its own, in loops too: ONNX Runtime names values after them.

    Args:
        model: ONNX's `ModelProto`, changed in place.
    """
    for i, node in enumerate(_nodes(model.graph)):
        node.name = f"{node.op_type}_{i}"


def drop_unused(model: Any) -> None:
    """Drop weights that no node takes, of which runtimes would warn.

    Args:
        model: ONNX's `ModelProto`, changed in place.
    """
    for graph in _graphs(model.graph):
        used = {name for node in _nodes(graph) for name in node.input}
        used.update(value.name for one in _graphs(graph) for value in one.output)
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        if len(kept) < len(graph.initializer):
            del graph.initializer[:]
            graph.initializer.extend(kept)


def plain_products(model: Any) -> None:
    """Let `Gemm` nodes that add nothing be `MatMul`, which quantizers and fusions look for.

    Args:
        model: ONNX's `ModelProto`, changed in place.
    """
    from onnx import helper, numpy_helper

    small = {t.name: t for t in model.graph.initializer if np.prod(t.dims) == 1}
    zeros = {name for name, t in small.items() if not numpy_helper.to_array(t).any()}
    for node in _nodes(model.graph):
        if node.op_type != "Gemm":
            continue
        options = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        adds = len(node.input) > 2 and node.input[2] not in zeros and options.get("beta", 1) != 0
        turns = options.get("transA", 0) or options.get("transB", 0)
        if not adds and not turns and options.get("alpha", 1) == 1:
            node.op_type = "MatMul"
            del node.attribute[:]
            del node.input[2:]


def name_activations(model: Any) -> None:
    """Let the maximum with zero be `Relu`, which runtimes fuse with what comes before it.

    Args:
        model: ONNX's `ModelProto`, changed in place.
    """
    from onnx import TensorProto, numpy_helper

    scalars = [t for t in model.graph.initializer if np.prod(t.dims) == 1 and len(t.dims) < 2]
    floats = {t.name: t for t in scalars if t.data_type == TensorProto.FLOAT}
    zeros = {name for name, t in floats.items() if not numpy_helper.to_array(t).any()}
    for node in _nodes(model.graph):
        others = [name for name in node.input if name not in zeros]
        if node.op_type == "Max" and len(node.input) == 2 and len(others) == 1:
            node.op_type = "Relu"
            node.input[:] = others


def keep_own_operators(model: Any) -> None:
    """Drop the mention of sets of operators that no node is of.

    Args:
        model: ONNX's `ModelProto`, changed in place.
    """
    used = {node.domain for node in _nodes(model.graph)} | {""}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def name_kernel_shapes(model: Any) -> None:
    """Let convolutions say the shapes of their kernels, without which some runtimes refuse them.

    Args:
        model: ONNX's `ModelProto`, changed in place.
    """
    from onnx import helper

    shapes = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    for node in _nodes(model.graph):
        if node.op_type not in ("Conv", "ConvTranspose") or node.input[1] not in shapes:
            continue
        if not any(attribute.name == "kernel_shape" for attribute in node.attribute):
            kernel = list(shapes[node.input[1]])[2:]
            node.attribute.append(helper.make_attribute("kernel_shape", kernel))


def transpose_weights(model: Any) -> None:
    """Let `Gemm` nodes take their weights transposed, the only way that OpenCV reads them.

    Args:
        model: ONNX's `ModelProto`, changed in place.
    """
    from onnx import helper, numpy_helper

    known = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in list(_nodes(model.graph)):
        transposed = [a for a in node.attribute if a.name == "transB" and a.i]
        if node.op_type != "Gemm" or transposed or node.input[1] not in known:
            continue
        name = f"{node.input[1]}_transposed"
        if name not in known:
            values = numpy_helper.to_array(known[node.input[1]])
            known[name] = numpy_helper.from_array(np.ascontiguousarray(values.T), name)
            model.graph.initializer.append(known[name])
        kept = [a for a in node.attribute if a.name != "transB"]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute("transB", 1)])
        node.input[1] = name
    drop_unused(model)


def name_softmax(model: Any) -> None:
    """Let exponentials over their sum along the last axis be `Softmax`, where all sizes are known.

    Args:
        model: ONNX's `ModelProto`, changed in place.
    """
    from onnx import helper, numpy_helper, shape_inference

    graph = shape_inference.infer_shapes(model).graph
    shapes = {v.name: _sizes(v) for v in (*graph.value_info, *graph.input, *graph.output)}
    made = {name: node for node in model.graph.node for name in node.output}
    small = [t for t in model.graph.initializer if np.prod(t.dims) == 1]
    constants = {t.name: numpy_helper.to_array(t).reshape(-1).tolist() for t in small}
    known = made, shapes, constants
    for node in model.graph.node:
        top = made.get(node.input[0]) if node.op_type == "Div" else None
        shifted = made.get(top.input[0]) if top is not None and top.op_type == "Exp" else None
        if top is None or shifted is None or shifted.op_type != "Sub":
            continue
        x = shifted.input[0]
        if _is_reduced(known, shifted.input[1], "ReduceMax", x) and _is_reduced(
            known, node.input[1], "ReduceSum", top.output[0]
        ):
            node.op_type = "Softmax"
            node.input[:] = [x]
            node.attribute.append(helper.make_attribute("axis", -1))
    _drop_dead_nodes(model)


def _sizes(value):
    sizes = [d.dim_value for d in value.type.tensor_type.shape.dim]
    return tuple(sizes) if all(sizes) else None


def _is_reduced(known, name, operator, of):
    """Whether a value is another's reduction along its last axis, of the same rank."""
    made, shapes, constants = known
    shape, whole = shapes.get(name), shapes.get(of)
    node = made.get(name)
    while node is not None and node.op_type in ("Reshape", "Unsqueeze", "Identity"):
        node = made.get(node.input[0])
    if node is None or node.op_type != operator or node.input[0] != of or not shape or not whole:
        return False
    axes = [list(a.ints) for a in node.attribute if a.name == "axes"]
    if len(node.input) > 1 and node.input[1] in constants:
        axes = [constants[node.input[1]]]
    last = len(whole) - 1
    return axes in ([[last]], [[-1]]) and shape == (*whole[:-1], 1)


def _drop_dead_nodes(model):
    """Drop nodes that nothing takes, those in loops excepted."""
    graph = model.graph
    while True:
        used = {value.name for value in graph.output}
        used.update(name for node in _nodes(graph) for name in node.input)
        used.update(value.name for one in _graphs(graph) for value in one.output)
        kept = [node for node in graph.node if used.intersection(node.output)]
        if len(kept) == len(graph.node):
            return
        del graph.node[:]
        graph.node.extend(kept)


# Operators that version 13 changed in nothing but the types they take.
_UNCHANGED = set(
    "Abs Add And ArgMax Cast Ceil Clip Concat Constant Conv ConvTranspose Cos Div Equal Erf Exp "
    "Expand Flatten Floor Gather Gemm GlobalAveragePool Greater HardSigmoid Identity Less Log "
    "MatMul Max MaxPool AveragePool Mean Min Mul Neg Not Or Pad Pow Reciprocal ReduceMax "
    "ReduceMean ReduceMin ReduceProd Relu Reshape Shape Sigmoid Sign Sin Slice Softmax Sqrt Sub "
    "Sum Tanh Tile Transpose Where".split()
)


def with_axes_as_attributes(model: Any, version: int) -> list[str]:
    """Turn a model of version 13 of ONNX's operators into one of version 11 or 12.

    Args:
        model: ONNX's `ModelProto`, changed in place.
        version: 11 or 12.

    Returns:
        The operators that cannot be converted.
    """
    from onnx import helper, numpy_helper

    known = {tensor.name: tensor for tensor in model.graph.initializer}
    strange = set()
    for node in _nodes(model.graph):
        if node.op_type in ("Squeeze", "Unsqueeze", "ReduceSum"):
            axes = known.get(node.input[1]) if len(node.input) > 1 else None
            if len(node.input) > 1 and axes is None:
                strange.add(node.op_type)
                continue
            kept = [a for a in node.attribute if a.name != "noop_with_empty_axes"]
            del node.attribute[:], node.input[1:]
            node.attribute.extend(kept)
            if axes is not None:
                values = numpy_helper.to_array(axes).tolist()
                node.attribute.append(helper.make_attribute("axes", values))
        elif node.op_type not in _UNCHANGED:
            strange.add(node.op_type)
    for opset in model.opset_import:
        if opset.domain == "":
            opset.version = version
    drop_unused(model)
    return sorted(strange)


def store_weights_in_16_bits(model: Any) -> None:
    """Keep large weights as 16-bit floats, each cast to 32 bits where it is used.

    Weights with values beyond what 16 bits hold stay as they are.

    Args:
        model: ONNX's `ModelProto`, changed in place.
    """
    from onnx import TensorProto, helper, numpy_helper

    graph, casts = model.graph, []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _WORTH_IT:
            continue
        values = numpy_helper.to_array(tensor)
        if not (np.abs(values) <= np.finfo("float16").max).all():
            continue
        name = tensor.name
        small = numpy_helper.from_array(values.astype("float16"), f"{name}_in_16_bits")
        tensor.CopyFrom(small)
        casts.append(helper.make_node("Cast", [small.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def operators(model: Any) -> dict[str, int]:
    """How often each of ONNX's operators is used, those in loops included.

    Args:
        model: ONNX's `ModelProto`.
    """
    found: dict[str, int] = {}
    for node in _nodes(model.graph):
        found[node.op_type] = found.get(node.op_type, 0) + 1
    return dict(sorted(found.items()))
