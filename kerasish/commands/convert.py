"""Convert a model, or its weights, to the format that OUT's ending names.

    kerasish convert model.h5 model.keras          a whole model: .keras, .h5, .hdf5
    kerasish convert model.keras m.weights.h5      weights only: .weights.h5, .safetensors
    kerasish convert model.keras model.onnx        inference: .onnx, .zip or .stablehlo, .tflite
    kerasish convert m.safetensors m.weights.h5 --model model.keras

Weights only do not say which layers they belong to: --model names a file of the model.
"""

import argparse
import itertools
import pathlib
import tempfile
from typing import Any

from kerasish.commands import model_files
from kerasish.commands.output import add_json, print_json
from kerasish.core.atomic_files import is_taken
from kerasish.core.errors import bad_argument
from kerasish.core.text_tables import readable_bytes
from kerasish.saving.io import bounded_json

HELP = "convert a model or weights: h5, keras, safetensors, onnx, stablehlo"
_TO = (*model_files.MODELS, *model_files.WEIGHTS, *model_files.PROGRAMS)
_OF_EXPORT = ("optimize", "opset_version", "platforms")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes.

    Args:
        parser: The command's parser.
    """
    add = parser.add_argument
    add("source", type=pathlib.Path, metavar="IN", help="the file to read")
    add("target", type=pathlib.Path, metavar="OUT", help="the file to write; its ending says how")
    add("--model", type=pathlib.Path, metavar="FILE", help="whose weights IN holds")
    add("--force", action="store_true", help="replace OUT if it is there")
    add("--without-optimizer", action="store_true", help="leave out how it was compiled")
    add("--max-shard-size", type=float, metavar="GB", help="of each file, for OUT in .weights.json")
    add("--optimize", choices=["int8", "float16"], help="for ONNX: smaller numbers")
    add("--opset-version", type=int, metavar="N", help="for ONNX: version of its operators (21)")
    add(
        "--platforms",
        type=lambda text: tuple(text.split(",")),
        metavar="cpu,cuda,tpu",
        help="for StableHLO: where it shall run",
    )
    model_files.add_import(parser)
    add_json(parser)


def run(options: argparse.Namespace) -> int:
    """Convert it.

    Args:
        options: Parsed arguments.
    """
    source, target = options.source, options.target
    end = model_files.ending(target, _TO)
    if end is None:
        raise bad_argument("OUT", "name", f"one that ends in {', '.join(_TO)}", target.name)
    if is_taken(target) and not options.force:
        raise ValueError(f"{target} exists already. Say --force to replace it.")
    _check_options(options, end)
    model_files.import_modules(options.modules)
    model = _read(source, options.model, keep=not _leaves_out_optimizer(options, end))
    _write(model, target, end, options)
    size = _size(target, end)
    if options.json:
        count = model.count_params()
        print_json({"from": str(source), "to": str(target), "bytes": size, "parameters": count})
    else:
        kept = "" if end in model_files.MODELS else f" {_what_is_kept(end)}"
        print(f"{source} -> {target}, {readable_bytes(size)}.{kept}")
    return 0


def _check_options(options, end):
    for name in _OF_EXPORT:
        fits = end in model_files.STABLEHLO if name == "platforms" else end == ".onnx"
        if getattr(options, name) is not None and not fits:
            kind = "StableHLO (.zip)" if name == "platforms" else "ONNX (.onnx)"
            flag = f"--{name.replace('_', '-')}"
            raise ValueError(f"{flag} is for {kind}; OUT is {options.target.name}.")
    if (options.max_shard_size is not None) != (end == ".weights.json"):
        raise ValueError("--max-shard-size and an OUT in .weights.json belong together.")


def _size(target, end):
    """Bytes of what was written, files beside the one that was named included."""
    beside = [target.with_name(f"{target.name}.data")]
    if end == ".weights.json":
        named = bounded_json.parse(target.read_bytes(), target, "the map")["weight_map"].values()
        flat = itertools.chain.from_iterable(n if isinstance(n, list) else [n] for n in named)
        beside = [target.with_name(name) for name in set(flat)]
    return sum(path.stat().st_size for path in (target, *beside) if path.exists())


def _leaves_out_optimizer(options, end):
    return options.without_optimizer or end in model_files.PROGRAMS


def _what_is_kept(end):
    if end in model_files.WEIGHTS:
        return "Weights only: the architecture is not in it."
    return "Inference only: it cannot be trained or converted back."


def _read(source: pathlib.Path, architecture: pathlib.Path | None, keep: bool) -> Any:
    kind = model_files.kind_of(source)
    if kind == "program":
        raise ValueError(
            f"{source} holds a program, not layers: it cannot be converted. Convert the model that "
            "it was exported from."
        )
    if architecture is None:
        if kind == "weights":
            raise ValueError(
                f"{source} holds weights only: name a file of the model they are for, "
                "--model model.keras."
            )
        return model_files.load(source, compile=keep)
    if model_files.kind_of(architecture) != "model":
        raise bad_argument("convert", "--model", "a file of a whole model", str(architecture))
    model = model_files.load(architecture, compile=keep)
    model.load_weights(source)
    return model


def _write(model, target, end, options):
    if end in model_files.MODELS:
        model.save(target)
    elif end in model_files.WEIGHTS:
        sharded = {} if end != ".weights.json" else {"max_shard_size": options.max_shard_size}
        model.save_weights(target, **sharded)
    else:
        given = {name: getattr(options, name) for name in _OF_EXPORT}
        given = {name: value for name, value in given.items() if value is not None}
        if end != ".stablehlo":
            model.export(target, **given)
            return
        # The same archive under another name.
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            archive = pathlib.Path(folder, "model.zip")
            model.export(archive, format="stablehlo", **given)
            archive.replace(target)
