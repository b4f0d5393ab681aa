"""Archives of StableHLO programs, for which others need JAX only."""

import importlib.metadata
import importlib.util
import io
import json
import pathlib
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from kerasish.core.atomic_files import replacing
from kerasish.export import exported
from kerasish.export.inference import Inference, sizes_explained

PLATFORMS = ("cpu", "cuda", "tpu")


def write_stablehlo(
    endpoints: Mapping[str, Inference],
    path: pathlib.Path,
    platforms: Sequence[str] = PLATFORMS,
    collections: Mapping[str, list] | None = None,
    class_names: Sequence[str] | None = None,
) -> dict:
    """Write programs and the weights that they share as one zip file.

    Args:
        endpoints: Programs by name; the first is what a call of the loaded archive runs.
        path: Path of the file.
        platforms: Where they shall run.
        collections: Variables to be found by name, whether or not a program reads them.
        class_names: Names of the classes that the outputs' last axis stands for.

    Returns:
        What the file says of itself.
    """
    if importlib.util.find_spec("flatbuffers") is None:
        raise ImportError("`model.export` needs flatbuffers: `pip install kerasish[export]`.")
    collections = collections or {}
    shared: dict[Any, int] = {}
    for variables in (*(e.variables for e in endpoints.values()), *collections.values()):
        for variable in variables:
            shared.setdefault(variable, len(shared))
    weights = [np.asarray(v.read()) for v in shared]
    programs = {name: _program(e, platforms) for name, e in endpoints.items()}
    first = next(iter(endpoints))
    meta = {
        "inputs": endpoints[first].inputs,
        "outputs": endpoints[first].outputs,
        "platforms": list(programs[first].platforms),
        "versions": {n: importlib.metadata.version(n) for n in ("jax", "jaxlib", "numpy")},
        "calling_convention": programs[first].calling_convention_version,
        "weights": [w.dtype.name for w in weights],
        "endpoints": {
            name: {
                "inputs": e.inputs,
                "outputs": e.outputs,
                "weights": [shared[v] for v in e.variables],
                "program": f"programs/{i}.bin",
            }
            for i, (name, e) in enumerate(endpoints.items())
        },
        "collections": {name: [shared[v] for v in vs] for name, vs in collections.items()},
    }
    if class_names is not None:
        meta["class_names"] = list(class_names)
    packed = io.BytesIO()
    np.savez(packed, **{str(i): _plain(w) for i, w in enumerate(weights)})  # pyright: ignore[reportArgumentType]
    with replacing(path) as beside, zipfile.ZipFile(beside, "w") as archive:
        archive.writestr("meta.json", json.dumps(meta, indent=1))
        archive.writestr("exported.py", pathlib.Path(exported.__file__).read_text())
        for name, program in programs.items():
            archive.writestr(meta["endpoints"][name]["program"], program.serialize())
        archive.writestr("weights.npz", packed.getvalue())
    return meta


def _program(endpoint, platforms):
    shapes = [jax.ShapeDtypeStruct(v.shape, v.dtype) for v in endpoint.values]
    with sizes_explained("export", endpoint.specs):
        export = jax.export.export(jax.jit(endpoint.run), platforms=tuple(platforms))
        return export(shapes, endpoint.specs)


def _plain(value):
    """The array in a type that NumPy's files know."""
    return value if value.dtype.kind != "V" else value.view(f"u{value.dtype.itemsize}")
