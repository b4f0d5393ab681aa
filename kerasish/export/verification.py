"""Whether an exported file computes what its model does, and what it costs."""

import dataclasses
import importlib.util
import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from kerasish.core.errors import bad_argument
from kerasish.core.text_tables import readable_bytes
from kerasish.export.exported import load
from kerasish.export.signature import input_names, model_signature, output_names
from kerasish.models import Model

_ROUNDS = 5


@dataclasses.dataclass
class Verification:
    """What `verify` found, shown as text.

    Attributes:
        path: The file.
        runtime: What ran it.
        errors: The largest difference of each output from the model's own, by name.
        max_error: The largest of them.
        size: Bytes of the file, and of its weights' file.
        operators: How often each operator is used; `None` where the file does not tell.
        ms_per_row: Milliseconds a row, in the runtime.
        predict_ms_per_row: Milliseconds a row of `model.predict`.

    Example:
        >>> times = {"ms_per_row": 0.1, "predict_ms_per_row": 0.2}
        >>> Verification("m.zip", "JAX", {"y": 1e-7}, 1e-7, 400, None, **times).max_error
        1e-07
    """

    path: str
    runtime: str
    errors: dict[str, float]
    max_error: float
    size: int
    operators: dict[str, int] | None
    ms_per_row: float
    predict_ms_per_row: float

    def __str__(self):
        lines = [
            f"{self.path} under {self.runtime}: outputs differ by {self.max_error:.1e} at most.",
            f"  {readable_bytes(self.size)}; {self.ms_per_row:.3g} ms a row, "
            f"`model.predict` {self.predict_ms_per_row:.3g}",
        ]
        if len(self.errors) > 1:
            parts = ", ".join(f"{name} {error:.1e}" for name, error in self.errors.items())
            lines.append(f"  by output: {parts}")
        if self.operators:
            parts = ", ".join(f"{n} {kind}" for kind, n in self.operators.items())
            lines.append(f"  operators: {parts}")
        return "\n".join(lines)


def verify(path: str | os.PathLike, model: Model, x: Any) -> Verification:
    """Run an exported file in its own runtime, and compare it with the model it was made of.

    A `.zip` runs under JAX, a `.onnx` under ONNX Runtime (extra `onnx`), a `.tflite` under LiteRT
    (`ai-edge-litert`), a folder under TensorFlow.

    Args:
        path: The file.
        model: The model.
        x: Inputs, as for `predict`.

    Returns:
        The largest error, the file's size, its operators, and times beside `model.predict`'s. In
        the largest error NaN counts as infinite, unless both have it.

    Example:
        >>> import tempfile
        >>> from kerasish import Input, Sequential, layers
        >>> model = Sequential([Input((3,), name="x"), layers.Dense(2)])
        >>> path = tempfile.mkdtemp() + "/model.zip"
        >>> model.export(path)
        >>> verify(path, model, np.ones((5, 3))).max_error < 1e-5
        True
    """
    path = pathlib.Path(path)
    kinds = {".zip": _stablehlo, ".onnx": _onnx, ".tflite": _litert}
    if path.suffix not in kinds and not path.is_dir():
        raise bad_argument("verify", "path", f"a file that ends in {sorted(kinds)}", str(path))
    arrays = _arrays(model, x)
    if not arrays or not len(next(iter(arrays.values()))):
        raise bad_argument("verify", "x", "inputs with a row or more", x)
    wanted = model.predict(x, verbose=0)
    names = output_names(model, wanted)
    runtime, run, operators = kinds.get(path.suffix, _saved_model)(path)
    found = run(arrays)
    if len(found) != len(names):
        raise ValueError(f"verify: {path} has {len(found)} outputs; the model has {len(names)}.")
    pairs = zip(names, found, jax.tree.leaves(wanted), strict=True)
    errors = {name: _largest(name, got, other) for name, got, other in pairs}
    rows = len(next(iter(arrays.values())))
    seconds = [_seconds(lambda: run(arrays)), _seconds(lambda: model.predict(x, verbose=0))]
    return Verification(
        path=str(path),
        runtime=runtime,
        errors=errors,
        max_error=max(errors.values()),
        size=_size(path),
        operators=operators,
        ms_per_row=seconds[0] / rows * 1e3,
        predict_ms_per_row=seconds[1] / rows * 1e3,
    )


def _arrays(model, x):
    """The inputs by the names they are exported with, in the types of the file."""
    try:
        signature = model_signature(model)
    except ValueError:  # a subclassed model that was exported with a signature of its own
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(x)]
        return {f"input_{i + 1}": leaf for i, leaf in enumerate(leaves)}
    tensors = jax.tree.leaves(signature)
    leaves = jax.tree.leaves(x)
    if isinstance(x, dict) and not isinstance(signature, dict):
        leaves = [x[name] for name in model.input_names]
    pairs = zip(input_names(tensors), leaves, tensors, strict=True)
    return {n: np.asarray(leaf).astype(np.dtype(t.dtype), copy=False) for n, leaf, t in pairs}


def _largest(name, got, wanted):
    got, wanted = (np.asarray(value).astype("float64") for value in (got, wanted))
    if got.shape != wanted.shape:
        raise ValueError(
            f"verify: output {name!r} has shape {got.shape} in the file; the model's has "
            f"{wanted.shape}."
        )
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    with np.errstate(invalid="ignore"):
        differences = np.where(same, 0.0, np.nan_to_num(np.abs(got - wanted), nan=np.inf))
    return float(differences.max(initial=0.0))


def _seconds(call: Callable) -> float:
    times = []
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def _size(path):
    parts = [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]
    beside = path.with_name(f"{path.name}.data")
    return sum(p.stat().st_size for p in [*parts, *([beside] if beside.is_file() else [])])


def _in_order(arrays, names):
    """The arrays by a file's own names; those of one it does not know in order."""
    if set(arrays) == set(names):
        return arrays
    return dict(zip(names, arrays.values(), strict=True))


def _stablehlo(path):
    loaded = load(path)
    names = [spec["name"] for spec in loaded.meta["inputs"]]

    def run(arrays):
        return [np.asarray(y) for y in jax.tree.leaves(loaded(**_in_order(arrays, names)))]

    return "JAX", run, None


def _onnx(path):
    if importlib.util.find_spec("onnxruntime") is None:
        raise ImportError("Verifying ONNX needs onnxruntime: `pip install kerasish[onnx]`.")
    import onnx
    import onnxruntime

    from kerasish.export.onnx_graph import operators

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: warnings tell of what it optimizes away
    session = onnxruntime.InferenceSession(
        os.fspath(path), options, providers=["CPUExecutionProvider"]
    )
    names = [value.name for value in session.get_inputs()]

    def run(arrays):
        wide = {n: a.astype("float32") if _is_short(a) else a for n, a in arrays.items()}
        return session.run(None, _in_order(wide, names))

    graph = onnx.load(os.fspath(path), load_external_data=False)
    return f"ONNX Runtime {onnxruntime.__version__}", run, operators(graph)


def _is_short(array):
    return array.dtype.kind in "fV" and array.dtype.itemsize == 2


def _litert(path):
    if importlib.util.find_spec("ai_edge_litert") is None:
        raise ImportError("Verifying a .tflite file needs LiteRT: `pip install ai-edge-litert`.")
    from kerasish.export.tensorflow_formats import run_litert

    return ("LiteRT", *run_litert(path))


def _saved_model(path):
    from kerasish.export.tensorflow_formats import run_saved_model

    return ("TensorFlow", *run_saved_model(path))
