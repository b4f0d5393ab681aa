"""Every public function and class says what it takes, and shows an example that runs."""

import doctest
import importlib
import inspect
import pathlib
import re
import types

import pytest

import kerasish

ROOT = pathlib.Path(kerasish.__file__).parent
NOT_IMPORTED = {"as_keras", "__main__"}  # what they do when imported is no business of a test
FILES = [p for p in sorted(ROOT.rglob("*.py")) if p.stem not in NOT_IMPORTED]
SECTIONS = "Args|Attributes|Shapes|Returns|Yields|Raises|References|Example"

# Arguments that classes document, stored for several of them by one method.
DOCUMENTED_BY_CLASSES = {
    "BaseMultiHeadAttention.set_attention_options",
    "IndexLookup.set_lookup_options",
    "RecurrentCell.set_cell_options",
}
# What `Layer.call`, which takes anything, says of the arguments that most layers have.
OF_EVERY_CALL = {"inputs", "training", "mask"}


def described(doc: str) -> set[str]:
    """The names under `Args:`, or under `Attributes:` of a class whose `__init__` is generated."""
    names = set()
    for section in re.findall(
        rf"^(?:Args|Attributes):\n(.*?)(?=^(?:{SECTIONS}):|\Z)", doc, re.DOTALL | re.MULTILINE
    ):
        for line in re.findall(r"^ {4}([*\w, `]+):", section, re.MULTILINE):
            names |= {name.strip(" *`") for name in line.split(",")}
    return names


def arguments(function) -> set[str]:
    """Names of the arguments; `*args` and `**kwargs` may do without a description."""
    stars = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.kind not in stars}


def methods(cls):
    """Public methods that a class defines itself, each with its document, inherited or not."""
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", value)
        own = getattr(function, "__module__", "").startswith("kerasish")
        if own and not name.startswith("_") and inspect.isfunction(function):
            yield name, function, inspect.getdoc(getattr(cls, name)) or ""


def undescribed(path):
    """What of a file's public functions and methods has arguments that nothing is said of."""
    name = ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")
    for key, value in list(vars(importlib.import_module(name)).items()):
        if key.startswith("_") or getattr(value, "__module__", None) != name:
            continue
        if inspect.isclass(value):
            for method, function, doc in methods(value):
                known = described(doc)
                if method == "call" and doc == inspect.getdoc(kerasish.Layer.call):
                    known |= OF_EVERY_CALL
                missing = arguments(function) - known - {"self", "cls"}
                if missing and f"{value.__name__}.{method}" not in DOCUMENTED_BY_CLASSES:
                    yield f"{key}.{method}: {sorted(missing)}"
        elif inspect.isfunction(value):
            missing = arguments(value) - described(inspect.getdoc(value) or "")
            if missing:
                yield f"{key}: {sorted(missing)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_functions_describe_their_arguments(path):
    assert not list(undescribed(path))


def public_objects():
    """Functions and classes reached from `keras` by public names, each once."""
    found, seen = {}, set()

    def gather(module, prefix):
        if id(module) in seen:
            return
        seen.add(id(module))
        listed = getattr(module, "__all__", None)
        for name in listed or [name for name in dir(module) if not name.startswith("_")]:
            value = getattr(module, name)
            if not str(getattr(value, "__module__", module.__name__)).startswith("kerasish"):
                continue
            if isinstance(value, types.ModuleType):
                if listed and value.__name__.startswith("kerasish"):
                    gather(value, f"{prefix}.{name}")
            elif callable(value):
                found.setdefault(id(value), (f"{prefix}.{name}", value))

    gather(kerasish, "keras")
    return dict(found.values())


PUBLIC = public_objects()


def test_every_public_function_and_class_has_an_example():
    assert len(PUBLIC) > 800
    assert not [name for name, value in PUBLIC.items() if ">>>" not in (value.__doc__ or "")]


def test_public_classes_describe_the_arguments_that_make_them():
    bare = {}
    for name, value in PUBLIC.items():
        if inspect.isclass(value) and not issubclass(value, BaseException):
            documents = [inspect.cleandoc(c.__doc__ or "") for c in value.__mro__]
            missing = arguments(value) - set().union(*map(described, documents))
            if missing:
                bare[name] = sorted(missing)
    assert not bare


def test_examples_are_run():
    """By pytest, which looks for them in modules, or by `tests/ops/test_ops_docs.py`."""
    modules = {importlib.import_module(value.__module__) for value in PUBLIC.values()}
    found = {
        each.docstring
        for module in modules
        for each in doctest.DocTestFinder().find(module, module.__name__)
    }
    found |= {getattr(kerasish.ops, name).__doc__ for name in kerasish.ops.__all__}
    assert not [name for name, value in PUBLIC.items() if value.__doc__ not in found]
