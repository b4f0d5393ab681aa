"""TensorFlow's formats, SavedModel and LiteRT, written where TensorFlow is installed."""

import importlib.util
import os
import pathlib
import shutil
import tempfile
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kerasish.core.atomic_files import replacing
from kerasish.core.errors import bad_argument
from kerasish.export.inference import Inference
from kerasish.export.portable import portable
from kerasish.export.tensorflow_rules import LITERT_RULES, RULES


def require_tensorflow(what: str) -> None:
    """Raise where TensorFlow is not installed.

    Args:
        what: What needs it, in words.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            f"Exporting to {what} needs TensorFlow: `pip install tensorflow`, and to run LiteRT's "
            "files without it `pip install ai-edge-litert`. The formats 'stablehlo' and 'onnx' "
            "need neither."
        )


def _function(program: Inference, fixed_rows: int | None) -> tuple[Any, list]:
    """The program as TensorFlow's function, and TensorFlow's specs of its inputs."""
    import tensorflow as tf
    from jax.experimental import jax2tf

    run = portable(program.leaves, LITERT_RULES if fixed_rows else RULES)

    def shape(spec):
        sizes = list(spec["shape"])
        if sizes and sizes[0] is None:
            sizes[0] = fixed_rows
        return sizes

    shapes = [shape(spec) for spec in program.inputs]
    symbolic = [
        "("
        + ", ".join(
            "_" if n is not None else ("b" if i == 0 else f"d{i}") for i, n in enumerate(sizes)
        )
        + ("," if len(sizes) == 1 else "")
        + ")"
        for sizes in shapes
    ]
    names = [spec["name"] for spec in program.outputs]

    def named(*arrays):
        return dict(zip(names, run(*arrays), strict=True))

    converted = jax2tf.convert(named, polymorphic_shapes=symbolic, with_gradient=False)
    specs = [
        tf.TensorSpec(sizes, tf.as_dtype(_plain(spec["dtype"])), name=spec["name"])
        for sizes, spec in zip(shapes, program.inputs, strict=True)
    ]
    return tf.function(converted, autograph=False, input_signature=specs), specs


def _plain(dtype):
    return "float32" if dtype in ("bfloat16", "float16") else dtype


def write_saved_model(program: Inference, path: pathlib.Path) -> None:
    """Write a folder that TensorFlow loads and serves, any batch size.

    Args:
        program: The program.
        path: Path of the folder.
    """
    require_tensorflow("'tf_saved_model'")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        beside = pathlib.Path(folder) / "model"
        _save(program, beside, None)
        if path.exists():
            shutil.rmtree(path)
        beside.rename(path)


def _save(program, path, fixed_rows):
    import tensorflow as tf

    function, specs = _function(program, fixed_rows)
    sample = [tf.zeros([n or 1 for n in spec.shape], spec.dtype) for spec in specs]
    try:
        function(*sample)
    except tf.errors.OpError as error:
        raise _not_held("tf_saved_model", error) from error
    module = tf.Module()
    module.serve = function
    signatures = {"serving_default": function.get_concrete_function()}
    tf.saved_model.save(module, os.fspath(path), signatures=signatures)


def _not_held(format, error):
    lines = [line for line in str(error).splitlines() if "error:" in line or "Error" in line]
    why = (lines or str(error).splitlines() or [""])[0].split("error: ")[-1]
    return ValueError(
        f"export: the model computes what {format!r} cannot hold under this TensorFlow: "
        f"{why[:300]} "
        "Export to 'stablehlo' or 'onnx', or compute it in another way."
    )


def write_litert(program: Inference, path: pathlib.Path) -> None:
    """Write a file for LiteRT, of a single row where the size of the batch varies.

    Args:
        program: The program.
        path: Path of the file.
    """
    require_tensorflow("'litert'")
    import tensorflow as tf

    for spec in program.inputs:
        if None in spec["shape"][1:]:
            wanted = "of known sizes but for the batch's, for LiteRT"
            raise bad_argument("export", "input_signature", wanted, spec)
    with tempfile.TemporaryDirectory() as folder:
        _save(program, pathlib.Path(folder), 1)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        try:
            content = converter.convert()
        except Exception as error:  # the converter's own class has no public name
            raise _not_held("litert", error) from error
    with replacing(path) as beside:
        pathlib.Path(beside).write_bytes(content)


def run_litert(path: pathlib.Path) -> tuple[Callable, None]:
    """A function from arrays by name to outputs, row by row.

    Args:
        path: Path of the file or folder.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=os.fspath(path))
    signature = interpreter.get_signature_runner()

    def run(arrays):
        known = list(signature.get_input_details())
        by_name = (
            arrays if set(known) == set(arrays) else dict(zip(known, arrays.values(), strict=True))
        )
        rows = len(next(iter(arrays.values())))
        found = [
            signature(**{name: array[i : i + 1] for name, array in by_name.items()})
            for i in range(rows)
        ]
        return [np.concatenate([row[name] for row in found]) for name in found[0]]

    return run, None


def run_saved_model(path: pathlib.Path) -> tuple[Callable, None]:
    """A function from arrays by name to outputs.

    Args:
        path: Path of the file or folder.
    """
    require_tensorflow("'tf_saved_model'")
    import tensorflow as tf

    loaded = tf.saved_model.load(os.fspath(path))

    def run(arrays):
        return [np.asarray(y) for y in jax.tree.leaves(loaded.serve(*arrays.values()))]

    return run, None
