"""Compare two models, or files of weights: layer by layer, configs and the largest difference.

Exit status 0: they are the same. 1: they differ. 2: one cannot be read.

Layers are matched by name, then in order within a class; arrays by their position in the file. Two
NaN at the same position are the same.
"""

import argparse
import contextlib
import dataclasses
import pathlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from kerasish.commands import model_files
from kerasish.commands.contents import OPTIMIZER, Contents, contents, flat, layers_of
from kerasish.commands.output import add_json, print_json, print_table, printable

HELP = "compare two models or files of weights"
_MODEL = "(model)"
_ABSENT = "absent"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes.

    Args:
        parser: The command's parser.
    """
    add = parser.add_argument
    add("a", type=pathlib.Path, metavar="A", help="a file of a model or of weights")
    add("b", type=pathlib.Path, metavar="B", help="another")
    add(
        "--tolerance",
        type=float,
        default=0.0,
        metavar="T",
        help="largest difference of two numbers that counts as none (0)",
    )
    add("--weights-only", action="store_true", help="compare no configs and no optimizer state")
    add("--all", action="store_true", dest="show_all", help="list layers that are the same too")
    model_files.add_import(parser)
    add_json(parser)


@dataclasses.dataclass
class LayerDifference:
    """What differs in one layer.

    Attributes:
        layer: Its name.
        config: What differs in its config, a line each.
        weights: What differs in its arrays, a line each.
        largest: The largest difference of two numbers; infinite where only one is NaN.
        arrays: How many arrays were compared.
    """

    layer: str
    config: list[str] = dataclasses.field(default_factory=list)
    weights: list[str] = dataclasses.field(default_factory=list)
    largest: float = 0.0
    arrays: int = 0

    @property
    def differs(self) -> bool:
        """Whether anything does."""
        return bool(self.config or self.weights)


def run(options: argparse.Namespace) -> int:
    """Compare them; 1 where they differ.

    Args:
        options: Parsed arguments.
    """
    if not options.tolerance >= 0:
        raise ValueError(f"--tolerance must be 0 or more; got {options.tolerance}.")
    model_files.import_modules(options.modules)
    with contextlib.ExitStack() as stack:
        a = stack.enter_context(contents(options.a))
        b = stack.enter_context(contents(options.b, as_written=bool(a.unread)))
        if b.unread and a.config is not None and not a.unread:
            a = stack.enter_context(contents(options.a, as_written=True))
        notes = _notes(a, b, options)
        found = compare(a, b, options.tolerance, options.weights_only)
    differs = any(layer.differs for layer in found)
    if options.json:
        layers = [dataclasses.asdict(layer) for layer in found]
        same = {"same": not differs, "largest": max((f.largest for f in found), default=0.0)}
        print_json({**same, "layers": layers, "notes": notes})
    else:
        _print(found, notes, options)
    return int(differs)


def _notes(a: Contents, b: Contents, options) -> list[str]:
    """What was not compared, or not as models are."""
    notes = []
    for path, one in ((options.a, a), (options.b, b)):
        if one.unread:
            notes.append(f"{path} was compared as it is written: {one.unread}")
        if one.config is None and not options.weights_only:
            notes.append(f"{path} holds weights only, so configs were not compared.")
    return notes


def compare(
    a: Contents, b: Contents, tolerance: float = 0.0, weights_only: bool = False
) -> list[LayerDifference]:
    """What differs, layer by layer, in the order of `a`; layers that are the same are there too.

    Args:
        a: The first.
        b: The second.
        tolerance: Difference of two elements that does not count.
        weights_only: Whether to leave configs out.
    """
    found: dict[str, LayerDifference] = {}

    def at(name):
        return found.setdefault(name, LayerDifference(name))

    if a.config is not None and b.config is not None and not weights_only:
        _compare_configs(a.config, b.config, at)
    for path in dict.fromkeys([*a.parts, *b.parts]):
        if weights_only and path.split("/")[0] == OPTIMIZER:
            continue
        layer = at(_layer_of(path, a.names) or _layer_of(path, b.names) or path or _MODEL)
        _compare_arrays(a.parts.get(path, {}), b.parts.get(path, {}), tolerance, layer)
    for path in dict.fromkeys([*a.assets, *b.assets]):
        if a.config is None or b.config is None or a.assets.get(path) == b.assets.get(path):
            continue
        layer = at(_layer_of(path, a.names) or _layer_of(path, b.names) or path)
        layer.weights.append(f"{path.rpartition('/')[2]}: differs, or is in one only")
    return list(found.values())


def _layer_of(path, names):
    """The layer that a path belongs to, by the names of those on the way to it."""
    steps = path.split("/")
    prefixes = ("/".join(steps[: i + 1]) for i in range(len(steps)))
    known = [names[prefix] for prefix in prefixes if prefix in names]
    return "/".join(known)


def _compare_configs(a, b, at):
    ours, theirs = layers_of(a), layers_of(b)
    own = [{**c, "config": _without_layers(c.get("config"))} for c in (a, b)]
    at(_MODEL).config += _changes(*own)
    for name, other in _matched(ours, theirs):
        if name is None:
            at(other).config.append("only in B")
        elif other is None:
            at(name).config.append("only in A")
        else:
            at(name).config += _changes(ours[name], theirs[other])


def _without_layers(config):
    return {k: v for k, v in config.items() if k != "layers"} if isinstance(config, dict) else {}


def _matched(ours: dict, theirs: dict) -> Iterable[tuple[str | None, str | None]]:
    """Pairs of names of layers: equal names first, then those left over, by class, in order."""
    left = [name for name in theirs if name not in ours]
    for name, config in ours.items():
        if name in theirs:
            yield name, name
            continue
        same_class = (n for n in left if theirs[n].get("class_name") == config.get("class_name"))
        other = next(same_class, None)
        if other is not None:
            left.remove(other)
        yield name, other
    yield from ((None, name) for name in left)


def _changes(a: Any, b: Any) -> list[str]:
    ours, theirs = flat(a), flat(b)
    return [
        f"{key}: {_shown(ours, key)} -> {_shown(theirs, key)}"
        for key in dict.fromkeys([*ours, *theirs])
        if key not in ours or key not in theirs or not _equal(ours[key], theirs[key])
    ]


def _shown(values, key):
    return repr(values[key]) if key in values else _ABSENT


def _equal(a, b):
    return (type(a) is type(b) and a == b) or (isinstance(a, int | float) and a == b)


def _compare_arrays(ours, theirs, tolerance, layer):
    for key in dict.fromkeys([*ours, *theirs]):
        layer.arrays += 1
        if key not in ours or key not in theirs:
            layer.weights.append(f"{key}: only in {'A' if key in ours else 'B'}")
            continue
        a, b = np.asarray(ours[key]), np.asarray(theirs[key])
        if a.shape != b.shape:
            layer.weights.append(f"{key}: shape {a.shape} -> {b.shape}")
            continue
        if a.dtype != b.dtype:
            layer.weights.append(f"{key}: dtype {a.dtype} -> {b.dtype}")
        largest, count = largest_difference(a, b)
        layer.largest = max(layer.largest, largest)
        if largest > tolerance:
            layer.weights.append(f"{key}: {count} of {a.size} differ, by {largest:.3g} at most")


def largest_difference(a: np.ndarray, b: np.ndarray) -> tuple[float, int]:
    """The largest difference of two numbers at the same position, and how many positions differ.

    Args:
        a: The first.
        b: The second.

    Example:
        >>> largest_difference(np.array([1.0, 2.0]), np.array([1.0, 2.5]))
        (0.5, 1)
    """
    if a.dtype.kind in "OSU" or b.dtype.kind in "OSU":  # strings have no distance
        differing = int(np.sum(a != b))
        return (float("inf") if differing else 0.0), differing
    if a.dtype.kind in "iub" and b.dtype.kind in "iub":
        differing = a != b  # exact where a float has not the digits
        gaps = [abs(int(x) - int(y)) for x, y in zip(a[differing], b[differing], strict=True)]
        return float(max(gaps, default=0)), int(differing.sum())
    wide = np.complex128 if "c" in a.dtype.kind + b.dtype.kind else np.float64
    a, b = a.astype(wide), b.astype(wide)
    differing = (a != b) & ~(np.isnan(a) & np.isnan(b))
    if not differing.any():
        return 0.0, 0
    with np.errstate(invalid="ignore", over="ignore"):
        gaps = np.abs(a[differing] - b[differing])
    return float(np.where(np.isnan(gaps), np.inf, gaps).max()), int(differing.sum())


def _print(found, notes, options):
    shown = [layer for layer in found if layer.differs or options.show_all]
    rows = [
        [
            layer.layer,
            "\n".join(layer.config) or "same",
            "\n".join(layer.weights) or ("same" if layer.arrays else ""),
            f"{layer.largest:.3g}" if layer.arrays else "",
        ]
        for layer in shown
    ]
    columns = ["layer", "config", "weights", "largest difference"]
    if rows:
        print_table(f"{options.a} -> {options.b}", columns, rows)
    for note in notes:
        print(printable(f"Note: {note}"))
    differing = sum(layer.differs for layer in found)
    largest = max((layer.largest for layer in found), default=0.0)
    if differing:
        print(f"{differing} of {len(found)} parts differ; largest difference {largest:.3g}.")
    else:
        print(f"The same: {len(found)} parts, largest difference {largest:.3g}.")
