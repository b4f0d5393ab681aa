"""The names that users may write, each with what it is, its page, and its other names."""

import ast
import dataclasses
import inspect
import pathlib
import types
from collections.abc import Iterator
from typing import Any

import kerasish

_ROOT = pathlib.Path(kerasish.__file__).parent

# Pages in their order: a title, and the modules whose names stand there. What has several names
# stands on the first page that it has one on.
PAGES = {
    "models": ("Models", ["keras.models"]),
    "layers-core": ("Core layers", ["keras.layers"]),
    "layers-activation": ("Activation layers", []),
    "layers-convolutional": ("Convolution layers", []),
    "layers-pooling": ("Pooling layers", []),
    "layers-rnn": ("Recurrent layers", []),
    "layers-attention": ("Attention layers", []),
    "layers-normalization": ("Normalization layers", []),
    "layers-regularization": ("Regularization layers", []),
    "layers-reshaping": ("Reshaping layers", []),
    "layers-merging": ("Merging layers", []),
    "layers-preprocessing": ("Preprocessing layers", []),
    "layers-image": ("Image preprocessing and augmentation", []),
    "ops-core": ("Core ops", ["keras.ops"]),
    "ops-arithmetic": ("NumPy ops: arithmetic", ["keras.ops.numpy"]),
    "ops-elementwise": ("NumPy ops: elementwise", []),
    "ops-reductions": ("NumPy ops: reductions", []),
    "ops-manipulation": ("NumPy ops: manipulation", []),
    "ops-creation": ("NumPy ops: creation", []),
    "ops-products": ("NumPy ops: products", []),
    "ops-nn": ("Neural network ops", ["keras.ops.nn"]),
    "ops-linalg": ("Linear algebra ops", ["keras.ops.linalg"]),
    "ops-image": ("Image ops", ["keras.ops.image"]),
    "activations": ("Activations", ["keras.activations"]),
    "losses": ("Losses", ["keras.losses"]),
    "metrics": ("Metrics", ["keras.metrics"]),
    "optimizers": ("Optimizers", ["keras.optimizers"]),
    "schedules": ("Learning rate schedules", ["keras.optimizers.schedules"]),
    "callbacks": ("Callbacks", ["keras.callbacks"]),
    "initializers": ("Initializers", ["keras.initializers"]),
    "regularizers": ("Regularizers", ["keras.regularizers"]),
    "constraints": ("Constraints", ["keras.constraints"]),
    "random": ("Random numbers", ["keras.random"]),
    "datasets": ("Data sets", ["keras.datasets"]),
    "applications": ("Applications", ["keras.applications"]),
    "saving": ("Saving", ["keras.saving"]),
    "export": ("Export", ["keras.export"]),
    "distribution": ("Distribution", ["keras.distribution"]),
    "precision": ("Precision", ["keras.mixed_precision", "keras.dtype_policies"]),
    "visualization": ("Visualization", ["keras.visualization"]),
    "diagnostics": ("Diagnostics", ["keras.diagnostics"]),
    "distillation": ("Distillation", ["keras.distillation"]),
    "wrappers": ("Wrappers for scikit-learn", ["keras.wrappers"]),
    "testing": ("Testing", ["keras.testing"]),
    "tree": ("Trees", ["keras.tree"]),
    "config": ("Settings", ["keras.config"]),
    "utilities": ("Utilities", ["keras.utils", "keras.preprocessing", "keras.legacy"]),
    "transforms": ("Variables and transformations", ["keras"]),
    "backend": ("Names of older code", ["keras.backend", "keras.optimizers.legacy"]),
}
_PAGE_OF_MODULE = {module: page for page, (_, modules) in PAGES.items() for module in modules}
_ORDER = list(PAGES)
_LAYER_PAGES = {
    "core.activation": "layers-activation",
    "preprocessing.image": "layers-image",
    **{page.removeprefix("layers-"): page for page in PAGES if page.startswith("layers-")},
}


@dataclasses.dataclass
class Entry:
    """A thing with a public name: `name` is the one it stands under, `aliases` are the others."""

    name: str
    value: Any
    page: str
    aliases: list[str]


def entries() -> list[Entry]:
    """Everything public, once, in the order of names."""
    names: dict[Any, list[str]] = {}
    values = {}
    for name, value in public_names():
        key = id(value) if callable(value) else name
        names.setdefault(key, []).append(name)
        values[key] = value
    found = [_entry(sorted(of_one), values[key]) for key, of_one in names.items()]
    return sorted(found, key=lambda entry: entry.name)


def public_names() -> Iterator[tuple[str, Any]]:
    """Each public name, and what it is; modules are gone through, and are none themselves."""
    ways = [("keras", kerasish, (kerasish,))]
    while ways:
        path, module, above = ways.pop()
        for name in names_of(module):
            value = getattr(module, name)
            if not isinstance(value, types.ModuleType):
                yield f"{path}.{name}", value
            elif value not in above:
                ways.append((f"{path}.{name}", value, (*above, value)))


def names_of(module: types.ModuleType) -> list[str]:
    """The public names of a module: `__all__`, or what is defined there or imported `as` itself."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    tree = ast.parse(pathlib.Path(str(module.__file__)).read_text())
    found = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.append(node.name)
        elif isinstance(node, ast.Assign):
            found += [t.id for t in node.targets if isinstance(t, ast.Name)]
        elif isinstance(node, ast.ImportFrom):
            found += [alias.name for alias in node.names if alias.asname == alias.name]
    public = [name for name in found if not name.startswith("_")]
    return [name for name in public if _is_ours(getattr(module, name))]


def _is_ours(value):
    return str(getattr(value, "__module__", "")).startswith("kerasish")


def _entry(names, value):
    pages = {name: _page(name, names, value) for name in names}
    first = min(names, key=lambda name: (_ORDER.index(pages[name]), len(name)))
    short = [name for name in names if name.count(".") == 1]
    shown = short[0] if short else first
    return Entry(shown, value, pages[first], [name for name in names if name != shown])


def _page(name, names, value):
    module = name.rpartition(".")[0]
    while module not in _PAGE_OF_MODULE:
        module = module.rpartition(".")[0]
    page = _PAGE_OF_MODULE[module]
    if page == "layers-core":
        home = str(getattr(value, "__module__", "")).removeprefix("kerasish.layers.")
        fitting = [p for key, p in _LAYER_PAGES.items() if f"{home}.".startswith(f"{key}.")]
        return fitting[0] if fitting else page
    if page == "ops-core":
        parts = [other.split(".")[2] for other in names if other.count(".") == 3]
        page = next((_PAGE_OF_MODULE[f"keras.ops.{p}"] for p in parts), page)
    if page == "ops-arithmetic":  # by the file that has it
        return f"ops-{pathlib.Path((source_of(value) or ('arithmetic', 0))[0]).stem}"
    return page


def source_of(value: Any) -> tuple[str, int] | None:
    """The file, below the package, and the line where something is defined; `None` if unknown."""
    value = inspect.unwrap(value) if callable(value) else value
    try:
        path, line = inspect.getsourcefile(value), inspect.getsourcelines(value)[1]
    except (TypeError, OSError):
        return None
    if not path or not pathlib.Path(path).is_relative_to(_ROOT):
        return None
    found = str(pathlib.Path(path).relative_to(_ROOT))
    return _table_line(value.__name__) if found == "ops/wrappers.py" else (found, max(line, 1))


def _table_line(name):
    """Where the table stands that an op is a line of."""
    for path in sorted((_ROOT / "ops").rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if line.startswith(f"{name} = ") or line.lstrip().startswith(f'"{name}": '):
                return str(path.relative_to(_ROOT)), number
    return None
