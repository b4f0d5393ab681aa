"""ONNX files: the portable form, converted by jax2onnx."""

import contextlib
import importlib.metadata
import importlib.util
import json
import logging
import os
import pathlib
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.extend import core as jex

from kerasish.core.atomic_files import replacing
from kerasish.core.errors import bad_argument
from kerasish.export import onnx_graph
from kerasish.export.inference import Inference, sizes_explained
from kerasish.export.portable import not_portable, trace

OPSET = 21
_OLDEST = 13  # that jax2onnx writes; older ones are made of it
_LARGE = 2**31 - 2**24  # bytes: a file of one piece can have 2 GiB
_OPTIMIZE = (None, "int8", "float16")


def write_onnx(
    program: Inference,
    path: pathlib.Path,
    class_names: Sequence[str] | None = None,
    opset_version: int = OPSET,
    optimize: str | None = None,
    large: int = _LARGE,
) -> None:
    """Write a program as an ONNX file, and what is in it in words as the file's metadata.

    Args:
        program: The program.
        path: Path of the file. Weights that do not fit into one file of ONNX lie beside it, in a
            file of its name and `.data`.
        class_names: Names of the classes that the outputs' last axis stands for.
        opset_version: Version of ONNX's operators.
        optimize: `"int8"`, `"float16"` or `None`.
        large: Bytes of weights that go into a file of their own.
    """
    require_onnx()
    if optimize not in _OPTIMIZE:
        raise bad_argument("export", "optimize", f"one of {_OPTIMIZE}", optimize)
    if not isinstance(opset_version, int) or opset_version < 11:
        raise bad_argument("export", "opset_version", "an integer, 11 or more", opset_version)
    model = converted(program, max(opset_version, _OLDEST))
    model = _quantized(model) if optimize == "int8" else _simplified(model, large)
    if opset_version < _OLDEST:
        model = _older(model, opset_version)
    if optimize == "float16":
        onnx_graph.store_weights_in_16_bits(model)
    for key, value in _metadata(program, class_names).items():
        model.metadata_props.add(key=key, value=value)
    model.producer_name, model.doc_string = "kerasish", "Exported by kerasish."
    if _size(model) <= large:
        _check_runs(model)
    _save(model, path, large)


def require_onnx() -> None:
    """Raise where what writes ONNX is not installed."""
    needed = ("jax2onnx", "onnx", "onnxruntime")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(
            f"Exporting to ONNX needs {' and '.join(missing)}: `pip install kerasish[onnx]`."
        )


def converted(program: Inference, opset_version: int) -> Any:
    """The program as ONNX's `ModelProto`, with the program's names of inputs and outputs.

    Args:
        program: The program.
        opset_version: Version of ONNX's operators.
    """
    with sizes_explained("export", program.specs):
        closed = trace(program.leaves, program.specs)
    specs = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in closed.jaxpr.invars]
    convert = _converter(opset_version)
    try:
        model = convert(jex.jaxpr_as_fun(closed), specs)
    except Exception as error:
        raise _explained(closed, convert, error) from error
    onnx_graph.rename(
        model, [e["name"] for e in program.inputs], [e["name"] for e in program.outputs]
    )
    onnx_graph.plain_products(model)
    onnx_graph.name_activations(model)
    onnx_graph.name_kernel_shapes(model)
    onnx_graph.drop_unused(model)
    onnx_graph.number_nodes(model)
    return model


def _converter(opset_version):
    def convert(fn, specs):
        loggers = [logging.getLogger(name) for name in ("onnx_ir", "onnxscript", "jax2onnx")]
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:  # they tell of shapes they do not know, of which nobody asked
                logger.setLevel(logging.ERROR)
            with _jax_as_it_is():
                import jax2onnx

                return jax2onnx.to_onnx(fn, specs, opset=opset_version)
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)

    return convert


@contextlib.contextmanager
def _jax_as_it_is():
    """Undo what jax2onnx replaces in JAX's modules: its `jnp.cumsum` takes fewer arguments."""
    modules = [m for n, m in list(sys.modules.items()) if m and n.split(".")[0] == "jax"]
    before = [(module, dict(vars(module))) for module in modules]
    try:
        yield
    finally:
        for module, names in before:
            now = vars(module)
            changed = {n: v for n, v in names.items() if n in now and now[n] is not v}
            now.update(changed)


def _explained(closed, convert, error):
    """What cannot be converted: the first equation that fails so by itself, and its layer."""
    seen, alike = set(), None
    for equation in closed.jaxpr.eqns:
        specs = [jax.ShapeDtypeStruct(a.aval.shape, a.aval.dtype) for a in equation.invars]
        key = equation.primitive.name, str(equation.params), str(specs)
        if key in seen:
            continue
        seen.add(key)

        def single(*operands, equation=equation):
            return equation.primitive.bind(*operands, **equation.params)

        try:
            convert(single, specs)
        except Exception as cause:
            if str(cause) == str(error):
                return not_portable(equation, _first_line(cause))
            if type(cause) is type(error):
                alike = alike or (equation, cause)
    if alike is not None:
        return not_portable(alike[0], _first_line(alike[1]))
    return ValueError(f"export: the program has no form in ONNX: {_first_line(error)}")


def _first_line(error):
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".") + "."


def _metadata(program, class_names):
    versions = {n: importlib.metadata.version(n) for n in ("jax", "jax2onnx", "onnx")}
    found = {
        "versions": json.dumps(versions),
        "inputs": json.dumps(program.inputs),
        "outputs": json.dumps(program.outputs),
    }
    if class_names is not None:
        found["class_names"] = json.dumps(list(class_names))
    return found


def _quantized(model):
    """Weights of products in 8 bits; what they are multiplied with is quantized as it comes."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    with tempfile.TemporaryDirectory() as folder:
        before, after = os.path.join(folder, "before.onnx"), os.path.join(folder, "after.onnx")
        _save(model, pathlib.Path(before), _LARGE)
        level = root.level
        try:
            root.setLevel(logging.ERROR)  # it advises to do what is done here
            quantize_dynamic(before, after, weight_type=QuantType.QInt8)
        finally:
            root.setLevel(level)
        return onnx.load(after)


def _simplified(model, large):
    """The model after what ONNX Runtime does to every model, in ONNX's own operators.

    Constants are computed, transpositions that undo each other dropped, sums joined with products.
    """
    if _size(model) > large:
        return model  # it would have to be written twice
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.onnx")
        _check_runs(model, path)
        model = onnx.load(path)
    onnx_graph.keep_own_operators(model)
    onnx_graph.name_softmax(model)
    return model


def _check_runs(model, simplified=None):
    """Raise unless ONNX Runtime takes the model; keep what it makes of it in a file if asked to."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    if simplified is not None:
        options.optimized_model_filepath = simplified
    try:
        onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own classes have no common base of a public name
        raise ValueError(
            f"export: ONNX Runtime does not run the model: {_first_line(error)} Export to "
            "'stablehlo', or compute it in another way."
        ) from error


def _older(model, opset_version):
    import onnx

    strange = onnx_graph.with_axes_as_attributes(model, opset_version)
    if strange:
        raise ValueError(
            f"export: the model has no form in version {opset_version} of ONNX's operators: "
            f"{strange} are newer. Take a newer `opset_version`."
        )
    onnx_graph.transpose_weights(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def _size(model):
    return sum(np.prod(t.dims, dtype=np.int64) * 4 for t in model.graph.initializer)


def _save(model, path, large):
    import onnx

    if _size(model) <= large:
        with replacing(path) as beside:
            onnx.save_model(model, os.fspath(beside))
        return
    data = f"{path.name}.data"
    (path.parent / data).unlink(missing_ok=True)
    onnx.save_model(
        model, os.fspath(path), save_as_external_data=True, location=data, size_threshold=1024
    )
