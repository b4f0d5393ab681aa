"""`model.export`: a model's inference as a file for other programs."""

import os
import pathlib
from collections.abc import Callable
from typing import Any

from kerasish.core.errors import bad_argument
from kerasish.export import stablehlo
from kerasish.export.inference import model_inference
from kerasish.models import Model

_ENDS = {".zip": "stablehlo", ".onnx": "onnx", ".tflite": "litert"}
FORMATS = {
    "stablehlo": ("platforms", "class_names"),
    "onnx": ("class_names", "opset_version", "optimize"),
    "litert": (),
    "tf_saved_model": (),
}


def export(
    model: Model,
    filepath: str | os.PathLike,
    format: str | None = None,
    verbose: bool | None = None,
    input_signature: Any = None,
    verify: Any = None,
    **options: Any,
) -> Any:
    """Write the model's inference as a file that runs without kerasish, any batch size.

    `"stablehlo"` is a zip file that runs with JAX only: the program, kept loadable by JAX's
    compatibility promise, the weights, names and shapes of the inputs, and the module `exported`
    that runs it; needs the extra `export`. `"onnx"` runs under ONNX Runtime and others, in many
    languages and in browsers; needs the extra `onnx`. `"litert"` and `"tf_saved_model"` are
    TensorFlow's, which must be installed to write them.

    Args:
        model: The model, built.
        filepath: Path of the file: it ends in `.zip`, `.onnx` or `.tflite`, by which the format is
            known; a folder's for `"tf_saved_model"`.
        format: `"stablehlo"`, `"onnx"`, `"litert"` or `"tf_saved_model"`.
        verbose: Whether to print what was written.
        input_signature: Symbolic tensors (`keras.Input`), `keras.InputSpec`s or
            `jax.ShapeDtypeStruct`s like the inputs; needed for models that were not made from
            symbolic inputs. `None` in a shape is any size.
        verify: Inputs, as for `predict`, on which to compare the file with the model.
        **options: For `"stablehlo"`: `platforms`, some of `"cpu"`, `"cuda"`, `"rocm"`, `"tpu"`.
            For `"onnx"`: `opset_version` (ONNX's, 21), and `optimize`: `"int8"` for weights and
            products in 8 bits (ONNX Runtime's dynamic quantization), `"float16"` for weights kept
            in 16 bits. For both: `class_names`, kept in the file.

    Returns:
        With `verify`, or `optimize` and `verify`, what `keras.export.verify` found.

    Raises:
        ValueError: The file's ending does not fit, or the format cannot hold the model: the error
            names the layer.
        ImportError: What writes the format is not installed.

    Example:
        >>> import tempfile
        >>> from kerasish import Input, Sequential, layers
        >>> model = Sequential([Input((3,), name="x"), layers.Dense(2)])
        >>> path = tempfile.mkdtemp() + "/model.zip"
        >>> model.export(path)
        >>> keras.export.load(path)(x=np.ones((5, 3))).shape
        (5, 2)
    """
    path = pathlib.Path(filepath)
    format = _format(path, format)
    strange = sorted(set(options) - set(FORMATS[format]))
    if strange:
        wanted = f"among {FORMATS[format]} for format {format!r}"
        raise bad_argument("export", "options", wanted, strange)
    _writer(format)(model_inference(model, input_signature), path, **options)
    if verbose:
        print(f"Exported {model.name!r} to {path} as {format}.")
    if verify is None:
        return None
    from kerasish.export.verification import verify as compare

    found = compare(path, model, verify)
    if verbose is not False:
        print(found)
    return found


Model.export = export  # stands here, as `Model` is on a lower floor


def _format(path, format):
    known = _ENDS.get(path.suffix)
    if format is None:
        if known is None:
            wanted = f"a path that ends in one of {sorted(_ENDS)} where `format` is not given"
            raise bad_argument("export", "filepath", wanted, str(path))
        return known
    if format not in FORMATS:
        raise bad_argument("export", "format", f"one of {sorted(FORMATS)}", format)
    wanted = [end for end, name in _ENDS.items() if name == format]
    if wanted and path.suffix not in wanted:
        raise bad_argument(
            "export", "filepath", f"a path that ends in {wanted[0]!r} for {format!r}", str(path)
        )
    return format


def _writer(format) -> Callable:
    if format == "stablehlo":
        return lambda program, path, **options: stablehlo.write_stablehlo(
            {"serve": program}, path, **options
        )
    if format == "onnx":
        from kerasish.export.onnx_format import write_onnx

        return write_onnx
    from kerasish.export import tensorflow_formats

    name = "write_litert" if format == "litert" else "write_saved_model"
    return getattr(tensorflow_formats, name)
