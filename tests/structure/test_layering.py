"""The package's floors: a module imports from its own part or from a lower floor, never up."""

import ast
import importlib
import inspect
import itertools
import pathlib
import types
from collections import defaultdict

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
FLOOR |= {"keras_alias": ROOF + 1, "as_keras": ROOF + 2}
FLOOR |= {"commands": ROOF + 3, "__main__": ROOF + 4}
FILES = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}
PACKAGES = sorted(path.parent for path in ROOT.rglob("__init__.py"))


def floor(part):
    above = {"applications": TOP + 1, "__init__": ROOF}  # what is written in public names alone
    return above.get(part, FLOOR.get(part, TOP))


def part_of(path):
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imported_modules(path, tree):
    """Modules of the package that a file imports, each with its line; imports in functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}:{node.lineno}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name if is_module(name) else node.module for name in names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        for module in modules:
            if module.split(".")[0] == "kerasish":
                yield module, node.lineno


def is_module(name):
    path = ROOT.parent.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").exists()


def imported_parts(path):
    for module, line in imported_modules(path, TREES[path]):
        yield (module.split(".")[1:] or ["__init__"])[0], line


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


# -- no cycles between folders, subfolders included


def folder_of(module):
    """The folder of a module; a package is the folder itself."""
    path = ROOT.parent.joinpath(*module.split("."))
    folder = path if path.is_dir() else path.parent
    return ".".join(folder.relative_to(ROOT.parent).parts)


def folder_arrows():
    """What each folder imports: other folders, but for its own subfolders, which it may gather."""
    arrows = defaultdict(dict)
    for path, tree in TREES.items():
        here = ".".join(path.parent.relative_to(ROOT.parent).parts)
        for module, line in imported_modules(path, tree):
            there = folder_of(module)
            gathers = path.name == "__init__.py" and there.startswith(f"{here}.")
            if there != here and here != "kerasish" and there != "kerasish" and not gathers:
                arrows[here].setdefault(there, f"{path.relative_to(ROOT)}:{line}")
    return arrows


def cycle_in(arrows):
    """A path of folders that leads back to its start, if there is any."""
    done, path = set(), []

    def search(folder):
        if folder in path:
            return [*path[path.index(folder) :], folder]
        if folder in done:
            return None
        path.append(folder)
        found = next(filter(None, map(search, arrows.get(folder, ()))), None)
        path.pop()
        done.add(folder)
        return found

    return next(filter(None, map(search, list(arrows))), None)


# Arrows that stand, each with the reason why the folders are two all the same.
_GATHERS = "`callback_list` makes the callbacks that every run has; it belongs one floor up"
CYCLES_ALLOWED = {
    ("kerasish.callbacks.base", "kerasish.callbacks.checkpoint"): _GATHERS,
    ("kerasish.callbacks.base", "kerasish.callbacks.progress"): _GATHERS,
}


def test_folders_form_no_cycle():
    arrows = folder_arrows()
    for here, there in CYCLES_ALLOWED:
        arrows[here].pop(there, None)
    found = cycle_in(arrows) or []
    steps = [f"{a} -> {b} ({arrows[a][b]})" for a, b in itertools.pairwise(found)]
    assert not found, "folders import each other: " + ", ".join(steps)


def test_a_cycle_is_found():
    assert cycle_in({"a": {"b": ""}, "b": {"c": ""}, "c": {}}) is None
    assert cycle_in({"a": {"b": ""}, "b": {"c": ""}, "c": {"b": ""}}) == ["b", "c", "b"]


# -- names

# Modules that have the name of an export all the same, each with the reason.
SAME_NAMES_ALLOWED = {
    "kerasish.initializers.constant": "Keras has `constant` as another name of `Constant`",
    "kerasish.models.functionalize": "to be renamed",
}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: str(path.relative_to(ROOT.parent)))
def test_no_module_has_the_name_of_an_export(package):
    module = module_named(package)
    inside = {path.stem for path in package.glob("*.py")} | {p.name for p in package.iterdir()}
    same = [
        f"{module.__name__}.{name}"
        for name in getattr(module, "__all__", [])
        if name in inside and not isinstance(getattr(module, name), types.ModuleType)
    ]
    assert set(same) <= set(SAME_NAMES_ALLOWED)


# -- classes

MOST_CLASSES = 6  # of kerasish's own, from a class up its longest chain of bases
# Classes that may stand between without being counted, each with the reason.
UNCOUNTED = {
    "_Affine": "shares the matrices of four layers that differ in one",
    "_Crop": "shares the boxes of two layers that cut images",
    "_Policy": "shares what two layers do that choose among others",
    "ConvLSTM": "shares the arguments of three layers that differ in their rank",
}


def chain(cls):
    """A class and its kerasish bases, along the longest way up."""
    bases = [base for base in cls.__bases__ if base.__module__.startswith("kerasish")]
    return [cls, *max(map(chain, bases), key=len, default=[])]


def own_classes():
    for path in FILES:
        name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts)
        if path.stem in ("__init__", "__main__") or name in NOT_IMPORTED:
            continue
        module = importlib.import_module(name)
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__ == name:
                yield cls


NOT_IMPORTED = {"kerasish.as_keras"}  # from then on, `import keras` means kerasish


def test_class_chains_are_short():
    long = {}
    for cls in own_classes():
        names = [c.__name__ for c in chain(cls)]
        if len(set(names) - set(UNCOUNTED)) > MOST_CLASSES:
            long[cls.__name__] = " < ".join(names)
    assert not long


# -- annotations


def public_functions(tree):
    """Functions and methods without an underscore, of classes without one."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and not item.name.startswith("_"):
                    yield item


def is_annotated(function):
    a = function.args
    arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    named = [x for x in arguments if x.arg not in ("self", "cls")]
    return function.returns is not None and all(x.annotation is not None for x in named)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_signatures_are_annotated(path):
    bare = [f"{f.name}:{f.lineno}" for f in public_functions(TREES[path]) if not is_annotated(f)]
    assert not bare


# -- platforms

PLATFORM_WORDS = (
    *("platform_dependent", "lowering_for_cpu", "xla_metadata", "compiler_options", "tuned_jit"),
    *("custom_jvp", "custom_vjp", "register_ffi_target", "ffi_call", "optimization_barrier"),
)
PLATFORM_HOMES = ("kernels/", "core/lowering.py")
# Uses that are no code for a platform: file -> word -> why.
PLATFORM_EXCEPTIONS = {
    "core/state/program.py": dict.fromkeys(
        ("lowering_for_cpu", "tuned_jit"), "it compiles every program, and asks `lowering` how"
    ),
}


def words_in(tree):
    """Every name, attribute, argument and imported name in a file."""
    for node in ast.walk(tree):
        for field in ("id", "attr", "arg", "name"):
            word = getattr(node, field, None)
            if isinstance(word, str):
                yield word.rsplit(".", 1)[-1]
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.rsplit(".", 1)[-1]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_code_for_a_platform_is_in_kernels(path):
    where = path.relative_to(ROOT).as_posix()
    if where.startswith(PLATFORM_HOMES):
        return
    found = sorted(set(PLATFORM_WORDS) & set(words_in(TREES[path])))
    allowed = PLATFORM_EXCEPTIONS.get(where, {})
    assert found == sorted(allowed), f"{where}: move code for one platform into `kernels/`"
