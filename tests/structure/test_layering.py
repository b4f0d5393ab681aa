"""The package's floors: a module imports from its own part or from a lower floor, never up."""

import ast
import importlib
import pathlib
import types

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent / "kerasish"
FLOORS = [
    {"core"},
    {"kernels"},
    {"ops"},
    {"activations", "initializers", "regularizers", "constraints", "random", "distribution"},
    {"losses", "optimizers", "layers", "data"},
    {"metrics", "callbacks", "saving", "visualization", "legacy"},
    {"training"},
    {"models"},
    {"export"},
]
FLOOR = {part: level for level, parts in enumerate(FLOORS) for part in parts}
TOP = len(FLOORS)  # what is built on all these or only names them: testing, datasets, utils, ...
ROOF = TOP + 2  # the package itself, which names them all
# What stands for Keras, and is imported only where asked for.
FLOOR |= {"keras_alias": ROOF + 1, "as_keras": ROOF + 2, "__main__": ROOF + 3}
FILES = sorted(ROOT.rglob("*.py"))
PACKAGES = sorted(path.parent for path in ROOT.rglob("__init__.py"))


def floor(part):
    above = {"applications": TOP + 1, "__init__": ROOF}  # what is written in public names alone
    return above.get(part, FLOOR.get(part, TOP))


def part_of(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported_parts(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute"
            modules = [node.module]
            if node.module == "kerasish":
                modules = [f"kerasish.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            package, _, inside = module.partition(".")
            if package == "kerasish":
                yield inside.split(".")[0] or "__init__", node.lineno


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    here = part_of(path)
    for there, line in imported_parts(path):
        allowed = there == here or floor(there) < floor(here)
        assert allowed, f"{path.name}:{line}: `{here}` may not import `{there}`"


def module_named(package):
    return importlib.import_module(".".join(package.relative_to(ROOT.parent).parts))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT.parent)))
def test_all_says_what_is_there(package):
    module = module_named(package)
    offered = getattr(module, "__all__", [])
    assert list(offered) == sorted(set(offered))
    absent = [name for name in offered if not hasattr(module, name)]
    assert not absent, f"in `__all__` but not in {module.__name__}: {absent}"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT.parent)))
def test_no_own_name_is_left_out(package):
    module = module_named(package)
    own = [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not isinstance(value, types.ModuleType)
        and str(getattr(value, "__module__", "")).startswith(f"{module.__name__}.")
    ]
    left_out = sorted(set(own) - set(getattr(module, "__all__", [])))
    assert not left_out, f"in {module.__name__} but not in its `__all__`: {left_out}"
