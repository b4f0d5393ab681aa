"""Show what a file holds: a model's layers, arrays of weights, or an exported program's inputs."""

import argparse
import importlib.util
import math
import pathlib
from typing import Any

from kerasish.commands import model_files
from kerasish.commands.output import add_json, print_json, print_table, printable, width
from kerasish.core.text_tables import readable_bytes
from kerasish.export import load as load_program
from kerasish.models import Model
from kerasish.saving.weights_api import opened

HELP = "the layers of a model in a file, or the arrays of a file of weights"

_DESCRIBED = {"name", "shape", "dtype"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes.

    Args:
        parser: The command's parser.
    """
    parser.add_argument("file", type=pathlib.Path, metavar="FILE", help="model, weights or export")
    parser.add_argument("--expand-nested", action="store_true", help="list layers of models inside")
    parser.add_argument("--show-trainable", action="store_true", help="say what is trained")
    parser.add_argument("--cost", action="store_true", help="arithmetic and bytes of each layer")
    parser.add_argument(
        "--batch-size", type=int, default=32, metavar="N", help="rows that --cost is for (32)"
    )
    model_files.add_import(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Print it.

    Args:
        options: Parsed arguments.
    """
    kind = model_files.kind_of(options.file)
    model_files.import_modules(options.modules)
    if kind == "model":
        return _show_model(options)
    found = weights_in(options.file) if kind == "weights" else program_in(options.file)
    if options.json:
        print_json(found)
    elif kind == "weights":
        _print_weights(found)
    else:
        _print_program(found)
    return 0


def _show_model(options):
    model = model_files.load(options.file, compile=False)
    if options.json:
        if options.cost:
            raise ValueError("--cost adds to the table: it cannot be had with --json.")
        print_json({"kind": "model", "file": str(options.file), **_described(model)})
        return 0
    model.summary(
        line_length=width(),
        print_fn=lambda text: print(printable(text)),
        expand_nested=options.expand_nested,
        show_trainable=options.show_trainable,
        cost=options.cost,
        batch_size=options.batch_size,
    )
    return 0


def _described(layer):
    """A layer as plain data; a model with the layers inside it."""
    weights = layer.weights if layer.built else []
    found = {
        "name": layer.name,
        "class": type(layer).__name__,
        "built": layer.built,
        "parameters": sum(math.prod(w.shape) for w in weights),
        "trainable_parameters": sum(math.prod(w.shape) for w in weights if w.trainable),
    }
    if isinstance(layer, Model):
        return {**found, "layers": [_described(inner) for inner in layer.layers]}
    described = [{"name": w.path, "shape": list(w.shape), "dtype": str(w.dtype)} for w in weights]
    return {**found, "weights": described}


def weights_in(path: pathlib.Path) -> dict[str, Any]:
    """The arrays of a file of weights, as plain data.

    Args:
        path: The path.
    """
    arrays = []
    with opened(path) as source:
        for part in sorted(source.stored_parts()):
            for key, value in sorted(source.part(part).items(), key=_in_order):
                name = f"{part}/{key}" if part else key
                shape, dtype = list(value.shape), value.dtype.name
                arrays.append({"name": name, "shape": shape, "dtype": dtype, "size": value.size})
    total = sum(array["size"] for array in arrays)
    return {"kind": "weights", "file": str(path), "numbers": total, "arrays": arrays}


def _in_order(item):
    """Numbered arrays by number."""
    key, _ = item
    return (0, int(key), "") if key.isdecimal() else (1, 0, key)


def _print_weights(found):
    rows = [[a["name"], str(tuple(a["shape"])), a["dtype"]] for a in found["arrays"]]
    size = readable_bytes(pathlib.Path(found["file"]).stat().st_size)
    lines = [f"{len(rows)} arrays, {found['numbers']:,} numbers, {size}"]
    print_table(found["file"], ["array", "shape", "dtype"], rows, lines=lines)


def program_in(path: pathlib.Path) -> dict[str, Any]:
    """The inputs and outputs of an exported program, as plain data.

    Args:
        path: The path.
    """
    end = model_files.ending(path, model_files.PROGRAMS)
    if end in model_files.STABLEHLO:
        meta = load_program(path).meta
        kept = ("inputs", "outputs", "platforms", "versions", "class_names")
        found = {key: meta[key] for key in kept if key in meta}
        for spec in (*found["inputs"], *(found.get("outputs") or [])):
            if not isinstance(spec, dict) or not spec.keys() >= _DESCRIBED:
                raise ValueError(f"{path} is damaged: it describes an input or output as {spec}.")
        return {"kind": "stablehlo", "file": str(path), **found}
    if end == ".onnx":
        return {"kind": "onnx", "file": str(path), **_onnx(path)}
    raise ValueError(f"{path} cannot be looked at here: LiteRT's own tools read `.tflite` files.")


def _onnx(path):
    if importlib.util.find_spec("onnx") is None:
        raise ImportError("Reading ONNX needs onnx: `pip install kerasish[onnx]`.")
    # An extra, imported where it is used.
    import onnx  # noqa: PLC0415
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise ValueError(f"{path} is no whole ONNX file: {error}") from error
    weights = {each.name for each in model.graph.initializer}

    def described(value):
        tensor = value.type.tensor_type
        shape = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
        dtype = onnx.TensorProto.DataType.Name(tensor.elem_type).lower()
        return {"name": value.name, "shape": shape, "dtype": dtype}

    return {
        "inputs": [described(v) for v in model.graph.input if v.name not in weights],
        "outputs": [described(v) for v in model.graph.output],
        "versions": {i.domain or "ai.onnx": i.version for i in model.opset_import},
    }


def _print_program(found):
    rows = [
        [kind, spec["name"], str(tuple(spec["shape"])), spec["dtype"]]
        for kind, specs in (("input", found["inputs"]), ("output", found.get("outputs") or []))
        for spec in specs
    ]
    lines = [f"{key}: {found[key]}" for key in ("platforms", "versions") if key in found]
    size = readable_bytes(pathlib.Path(found["file"]).stat().st_size)
    title = f"{found['file']} ({found['kind']}, {size})"
    lines = [printable(line) for line in lines]
    print_table(title, ["", "name", "shape", "dtype"], rows, lines=lines)
