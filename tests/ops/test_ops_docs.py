"""Every public op says what it takes, and shows an example that runs."""

import doctest
import inspect
import re

import jax.numpy as jnp
import numpy as np
import pytest

import kerasish
from kerasish import ops

FAMILIES = (ops, ops.numpy, ops.nn, ops.linalg, ops.image)
OPS = {
    f"{family.__name__.removeprefix('kerasish.')}.{name}": getattr(family, name)
    for family in FAMILIES
    for name in family.__all__
    if not inspect.ismodule(getattr(family, name))
}
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
DISTINCT = {id(op): (name, op) for name, op in reversed(OPS.items())}


@pytest.mark.parametrize(("name", "op"), DISTINCT.values(), ids=[n for n, _ in DISTINCT.values()])
def test_examples_run(name, op):
    home = vars(inspect.getmodule(inspect.unwrap(op)))
    names = home | {"keras": kerasish, "np": np, "jnp": jnp, op.__name__: op}
    example = doctest.DocTestParser().get_doctest(op.__doc__, names, name, None, None)
    assert example.examples, f"{name} has no example"
    assert any(op.__name__ in each.source for each in example.examples), f"{name} is not called"
    report: list[str] = []
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=report.append)
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize(("name", "op"), DISTINCT.values(), ids=[n for n, _ in DISTINCT.values()])
def test_arguments_are_documented(name, op):
    head = op.__doc__.strip().split("\n", 1)[0]
    assert head.endswith((".", ":", ",")) or "\n\n" in op.__doc__, name
    parameters = inspect.signature(op).parameters
    section = re.search(r"Args:\n(.*?)(\n\s*\n|\Z)", op.__doc__, re.DOTALL)
    assert section or not parameters, f"{name} has no `Args`"
    listed = re.findall(r"^\s+([*\w, ]+):", section[1], re.MULTILINE)
    known = {word.strip(" *") for line in listed for word in line.split(",")}
    assert set(parameters) <= known, f"{name} says nothing of {set(parameters) - known}"
