"""Models for others to run: StableHLO, for which they need JAX alone."""

import importlib.metadata
import importlib.util
import io
import json
import os
import pathlib
import zipfile
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from kerasish.core.atomic_files import replacing
from kerasish.core.errors import bad_argument
from kerasish.core.state.functional import pure
from kerasish.core.symbolic.keras_tensor import KerasTensor
from kerasish.export import exported
from kerasish.models import Model

PLATFORMS = ("cpu", "cuda", "tpu")


def export(
    model: Model,
    filepath: str | os.PathLike,
    format: str = "stablehlo",
    verbose: bool | None = None,
    input_signature: Any = None,
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Write the model's inference as one zip file that runs with JAX alone, any batch size.

    It holds the program (StableHLO, kept loadable by JAX's compatibility promise), the weights,
    the names and shapes of the inputs, the versions it was made with, and the module `exported`
    that runs it. Needs `flatbuffers` (extra `export`).

    Args:
        model: The model, built.
        filepath: Path that ends in `.zip`.
        format: `"stablehlo"`.
        verbose: Whether to print the inputs.
        input_signature: Symbolic tensors (`keras.Input`) or `jax.ShapeDtypeStruct`s like the
            inputs; needed for models that were not made from symbolic inputs. `None` in a shape
            is any size.
        platforms: Where it shall run: some of `"cpu"`, `"cuda"`, `"rocm"`, `"tpu"`.

    Example:
        >>> import tempfile
        >>> from kerasish import Input, Sequential, layers
        >>> model = Sequential([Input((3,), name="x"), layers.Dense(2)])
        >>> path = tempfile.mkdtemp() + "/model.zip"
        >>> model.export(path)
        >>> exported.load(path)(x=np.ones((5, 3))).shape
        (5, 2)
    """
    path = pathlib.Path(filepath)
    if path.suffix != ".zip":
        raise bad_argument("export", "filepath", "a path that ends in '.zip'", str(filepath))
    if format != "stablehlo":
        raise bad_argument("export", "format", "'stablehlo'", format)
    if importlib.util.find_spec("flatbuffers") is None:
        raise ImportError("`model.export` needs flatbuffers: `pip install kerasish[export]`.")
    signature = _signature(model, input_signature)
    tensors = jax.tree.leaves(signature)
    variables = model.variables
    weights = [np.asarray(v.read()) for v in variables]

    def run(weights, inputs):
        nest = jax.tree.unflatten(jax.tree.structure(signature), inputs)
        outputs, _ = pure(lambda: model(nest, training=False), variables)(weights)
        return outputs

    program = jax.export.export(jax.jit(run), platforms=tuple(platforms))(
        [jax.ShapeDtypeStruct(w.shape, w.dtype) for w in weights], _symbolic(tensors)
    )
    meta = {
        "inputs": [
            {"name": name, "shape": list(t.shape), "dtype": np.dtype(t.dtype).name}
            for name, t in zip(_names(tensors), tensors, strict=True)
        ],
        "platforms": list(program.platforms),
        "versions": {n: importlib.metadata.version(n) for n in ("jax", "jaxlib", "numpy")},
        "calling_convention": program.calling_convention_version,
        "weights": [w.dtype.name for w in weights],
    }
    packed = io.BytesIO()
    np.savez(packed, **{str(i): _plain(w) for i, w in enumerate(weights)})
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        archive.writestr("meta.json", json.dumps(meta, indent=1))
        archive.writestr("exported.py", pathlib.Path(exported.__file__).read_text())
        archive.writestr("program.bin", program.serialize())
        archive.writestr("weights.npz", packed.getvalue())
    if verbose:
        print(f"Exported to {path}; inputs: {meta['inputs']}")


Model.export = export  # stands here, as `Model` is on a lower floor


def _signature(model, given):
    if given is not None:
        return given[0] if isinstance(given, list | tuple) and len(given) == 1 else given
    if model._function is not None:
        return model.input
    shape = (model.get_build_config() or {}).get("input_shape")
    if not isinstance(shape, list | tuple) or any(isinstance(n, list | tuple) for n in shape):
        hint = "Give `[keras.Input(...)]` for each input."
        raise bad_argument("export", "input_signature", "given for this model", None, hint)
    return KerasTensor((None, *shape[1:]), model.compute_dtype, name="inputs")


def _names(tensors):
    names = [getattr(t, "name", None) or f"input_{i + 1}" for i, t in enumerate(tensors)]
    return names if len({*names}) == len(names) else [f"{n}_{i + 1}" for i, n in enumerate(names)]


def _symbolic(tensors):
    """Shapes in which each unknown axis is a symbol: the same for the same axis of all inputs."""
    scope = jax.export.SymbolicScope()

    def symbols(shape):
        names = ["b" if axis == 0 else f"d{axis}" for axis in range(len(shape))]
        text = ", ".join(
            name if n is None else str(n) for name, n in zip(names, shape, strict=True)
        )
        return jax.export.symbolic_shape(f"({text},)" if shape else "()", scope=scope)

    return [jax.ShapeDtypeStruct(symbols(t.shape), np.dtype(t.dtype)) for t in tensors]


def _plain(value):
    """The array in a type that NumPy's files know."""
    return value if value.dtype.kind != "V" else value.view(f"u{value.dtype.itemsize}")
