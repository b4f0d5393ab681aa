"""A model as a server runs it: inputs and outputs by name, in batches of few sizes."""

import json
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from kerasish import saving
from kerasish.core.errors import bad_argument
from kerasish.export import ExportedModel
from kerasish.export import load as load_exported
from kerasish.export.signature import input_names, model_signature, output_names
from kerasish.models import Model
from kerasish.serve.specs import ImageOptions, TensorSpec

OPTIONS_FILE = "serving.json"
_OPTIONS = ("class_names", "images", "allow_nan")
_ENDS = (".keras", ".zip", ".h5", ".hdf5")


class ServedModel:
    """A model, and what a server must know of it beyond that.

    Args:
        model: A built model; or what `keras.export.load` gave.
        class_names: Names of the classes, in the order of the (only) output's last axis.
        images: For inputs that take images as files too: by the input's name, a dict with `low` and
            `high`, the numbers that black and white become (0 and 255), and `resize`.
        allow_nan: Whether inputs may hold NaN and infinities.
        preprocess: A function or layer that strings go through on their way to the model, which
            then has one input. It takes an array of strings, one a row.

    Attributes:
        inputs: A spec for each input.
        outputs: A spec for each output.
        compiled: Sizes of batches that are compiled.

    Example:
        >>> model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2)])
        >>> served = ServedModel(model, class_names=["no", "yes"])
        >>> served.inputs[0].say(), served.run({"x": np.ones((5, 3), "float32")})["dense"].shape
        ('(batch, 3) of float32', (5, 2))
    """

    def __init__(
        self,
        model: Any,
        class_names: Sequence[str] | None = None,
        images: Mapping[str, Mapping] | None = None,
        allow_nan: bool = False,
        preprocess: Callable | None = None,
    ):
        self.model, self.allow_nan, self.preprocess = model, bool(allow_nan), preprocess
        if isinstance(model, ExportedModel):
            specs, self._outputs, self._call = _of_exported(model)
        elif isinstance(model, Model):
            specs, self._outputs, self._call = _of_model(model)
        else:
            wanted = "a model, or what `keras.export.load` gives"
            raise bad_argument("ServedModel", "model", wanted, type(model).__name__)
        if preprocess is not None:
            specs = self._taking_strings(specs)
        self.inputs = _with_images(specs, images or {})
        self.compiled: list[int] = []
        given = class_names if class_names is not None else _own_class_names(model)
        self.class_names = None if given is None else self._checked_names(given)

    def _taking_strings(self, specs):
        if len(specs) != 1:
            wanted = "left out for a model of several inputs"
            raise bad_argument("ServedModel", "preprocess", wanted, self.preprocess)
        call, (spec,) = self._call, specs
        preprocess: Any = self.preprocess

        def run(arrays):
            numbers = np.asarray(preprocess(arrays[spec.name]))
            return call({spec.name: numbers.astype(spec.numpy_dtype)})

        self._call = run
        return [TensorSpec(spec.name, (None,), "string")]

    def _checked_names(self, names):
        names = [str(name) for name in names]
        sizes = [spec.shape[-1] for spec in self.outputs]
        if len(sizes) != 1 or sizes[0] != len(names):
            wanted = f"as many names as the only output's last axis is long; outputs have {sizes}"
            raise bad_argument("ServedModel", "class_names", wanted, names)
        return names

    @property
    def fixed_rows(self) -> int | None:
        """The only size of a batch that the model takes, if there is one."""
        sizes = {spec.shape[0] for spec in self.inputs} - {None}
        return sizes.pop() if sizes else None

    @property
    def outputs(self) -> list[TensorSpec]:
        """A spec for each output; what the model does not say is found out by calls."""
        if self._outputs is None:
            self._outputs = self._find_outputs()
        return self._outputs

    def _find_outputs(self):
        """Sizes that differ between calls of other sizes vary; so does the batch."""
        rows = self.fixed_rows or 1
        varies = any(None in spec.shape[1:] for spec in self.inputs)
        results = [self.run(self._examples(rows, n)) for n in ((16, 17) if varies else (1,))]
        specs = []
        for name, array in results[0].items():
            if array.ndim == 0 or array.shape[0] != rows:
                raise ValueError(
                    f"ServedModel: output {name!r} has shape {array.shape} for {rows} row(s): "
                    "each row of the inputs must give one of the outputs."
                )
            pairs = zip(array.shape[1:], results[-1][name].shape[1:], strict=True)
            dtype = "string" if array.dtype.kind in "OUS" else array.dtype.name
            specs.append(
                TensorSpec(name, (None, *(n if n == m else None for n, m in pairs)), dtype)
            )
        return specs

    def _examples(self, rows, size=1):
        return {spec.name: spec.example(rows, size) for spec in self.inputs}

    def run(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name, for inputs by name.

        Args:
            arrays: Arrays by input.
        """
        return self._call(arrays)

    def sizes(self, max_batch: int) -> list[int]:
        """The sizes of batches that are run: powers of two, and the largest.

        Args:
            max_batch: Rows of the largest batch.
        """
        if self.fixed_rows:
            return [self.fixed_rows]
        powers = [1 << i for i in range(max_batch.bit_length()) if 1 << i < max_batch]
        return [*powers, max_batch]

    def warm_up(self, max_batch: int) -> None:
        """Compile every size of a batch. Sizes of other axes that vary are met as they come.

        Args:
            max_batch: Rows of the largest batch.
        """
        if self.outputs and any(None in spec.shape[1:] for spec in self.inputs):
            return
        for rows in self.sizes(max_batch):
            self.run(self._examples(rows))
            self.compiled.append(rows)


def _of_model(model):
    signature = model_signature(model)
    leaves, structure = jax.tree.flatten(signature)
    names = input_names(leaves)
    specs = [_spec(n, t.shape, t.dtype) for n, t in zip(names, leaves, strict=True)]
    try:
        outputs = model.output
    except (AttributeError, ValueError):
        outputs, found = None, None
    else:
        names_out = output_names(model, outputs)
        pairs = zip(names_out, jax.tree.leaves(outputs), strict=True)
        found = [_spec(name, (None, *t.shape[1:]), t.dtype) for name, t in pairs]

    def call(arrays):
        inputs = jax.tree.unflatten(structure, [arrays[name] for name in names])
        results = model.predict_on_batch(inputs)
        return dict(zip(output_names(model, results), jax.tree.leaves(results), strict=True))

    return specs, found, call


def _of_exported(model):
    specs = [_spec(e["name"], e["shape"], e["dtype"]) for e in model.meta["inputs"]]
    outputs = model.meta.get("outputs")
    found = outputs and [_spec(e["name"], e["shape"], e["dtype"]) for e in outputs]

    def call(arrays):
        results = [np.asarray(x) for x in jax.tree.leaves(model(**arrays))]
        numbered = [f"output_{i + 1}" for i in range(len(results))]
        return dict(zip([s.name for s in found or []] or numbered, results, strict=True))

    return specs, found, call


def _spec(name, shape, dtype):
    return TensorSpec(name, tuple(shape), str(getattr(dtype, "name", dtype)))


def _own_class_names(model):
    meta = getattr(model, "meta", None) or {}
    return meta.get("class_names") if isinstance(model, ExportedModel) else None


def _with_images(specs, images):
    names = [spec.name for spec in specs]
    for name in images:
        if name not in names:
            raise bad_argument("ServedModel", "images", f"given for inputs among {names}", name)
    found = []
    for spec in specs:
        options = images.get(spec.name)
        if options is not None:
            strange = set(options) - {"low", "high", "resize"}
            if strange or len(spec.shape) != 4 or spec.shape[-1] not in (1, 3, 4):
                wanted = (
                    "a dict of `low`, `high` and `resize`, for an input of shape (batch, height, "
                    f"width, 1, 3 or 4); {spec.name!r} has {spec.shape}"
                )
                raise bad_argument("ServedModel", "images", wanted, dict(options))
            spec = TensorSpec(spec.name, spec.shape, spec.dtype, ImageOptions(**options))
        found.append(spec)
    return found


def model_path(path: str | pathlib.Path) -> pathlib.Path:
    """The model at a path: itself, or the only model's file in that folder.

    Args:
        path: The path.

    Raises:
        ValueError: There is none, or more than one.
    """
    path = pathlib.Path(path)
    if path.is_file() or (path / "config.json").is_file():
        return path
    found = [p for p in sorted(path.glob("*")) if p.suffix in _ENDS] if path.is_dir() else []
    if len(found) != 1:
        names = [p.name for p in found]
        wanted = f"a model's file {_ENDS}, or a folder with one such file or a saved model in it"
        raise bad_argument("serve", "path", wanted, str(path), f"It has {names}." if names else "")
    return found[0]


def load_served(path: str | pathlib.Path, allow_nan: bool = False) -> ServedModel:
    """Load a model's file or folder, with the options that lie beside it.

    They are JSON, an object with `class_names`, `images` and `allow_nan` as of `ServedModel`, in
    `serving.json` in the folder, or beside `model.keras` in `model.keras.serving.json`.

    Args:
        path: The path.
        allow_nan: Whether NaN and infinities are taken.
    """
    path = model_path(path)
    is_exported = path.suffix == ".zip"
    model = load_exported(path) if is_exported else saving.load_model(path, compile=False)
    return ServedModel(model, **{"allow_nan": allow_nan, **_options_beside(path)})


def _options_beside(path):
    for candidate in (path / OPTIONS_FILE, path.parent / f"{path.name}.{OPTIONS_FILE}"):
        if candidate.is_file():
            break
    else:
        in_folder = path.parent / OPTIONS_FILE
        if not (path.parent.name.isdecimal() and in_folder.is_file()):
            return {}
        candidate = in_folder
    try:
        options = json.loads(candidate.read_text())
    except ValueError as error:
        raise ValueError(f"serve: {candidate} is no JSON: {error}.") from None
    if not isinstance(options, dict) or set(options) - set(_OPTIONS):
        raise bad_argument("serve", str(candidate), f"an object with some of {_OPTIONS}", options)
    return options
