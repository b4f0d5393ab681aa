"""Blocks of a page run in order, and print what stands below them. Needs Python alone."""

import contextlib
import doctest
import importlib.util
import io
import re

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ALIKE = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
# Shown beside ours; run where they are installed.
FOREIGN = ("equinox", "lightning", "tensorflow", "torch")


def blocks_of(page):
    """Each block of Python, what stands below it as its output or `None`, and its line."""
    text = page.read_text()
    found = [(m[1], m[2], text[: m.start()].count("\n") + 1) for m in BLOCK.finditer(text)]
    following_ones = [*found[1:], ("", "", 0)]
    for (kind, code, line), (following, output, _) in zip(found, following_ones, strict=True):
        if kind == "python":
            yield code, output if following == "text" else None, line


def run_blocks(page, name):
    """Run a page's blocks in one namespace, which is returned."""
    namespace = {"__name__": name}
    for code, wanted, line in blocks_of(page):
        foreign = [module for module in FOREIGN if re.search(rf"^import {module}\b", code, re.M)]
        if any(importlib.util.find_spec(module) is None for module in foreign):
            continue
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile("\n" * line + code, str(page), "exec"), namespace)
        if wanted is not None:
            fits = doctest.OutputChecker().check_output(wanted, printed.getvalue(), ALIKE)
            assert fits, f"{page.name}:{line} printed:\n{printed.getvalue()}\nnot:\n{wanted}"
    return namespace
