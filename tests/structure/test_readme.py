"""What documents show runs, top to bottom, as a new user would paste it, and prints what they say.

A block of Python is followed by its output where the next block is marked `text`: `...` in it
stands for anything.
"""

import contextlib
import doctest
import importlib.util
import io
import pathlib
import re
import tomllib

import matplotlib
import pytest

from tests.support.fake_hub import fake_hub

ROOT = pathlib.Path(__file__).parent.parent.parent
GUIDES = [
    "coming-from-flax",
    "coming-from-keras",
    "coming-from-lightning",
    "coming-from-pytorch",
    "coming-from-tf-keras",
    "custom-training",
    "data",
    "debugging",
    "errors",
    "faq",
    "first-hour",
    "installing",
    "masks",
    "mixed-precision",
    "performance",
    "saving",
    "security",
    "several-devices",
    "sharing",
    "teaching",
]
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


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    with fake_hub(tmp_path / "hub"):  # no page reaches the network
        yield


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_readme_runs(tmp_path):
    assert len(list(blocks_of(ROOT / "README.md"))) >= 4
    namespace = run_blocks(ROOT / "README.md", "readme")
    assert namespace["history"].history["accuracy"][-1] > 0.9
    assert float(namespace["accuracy"].result()) > 0.8
    assert (tmp_path / "curves.png").exists()
    assert (tmp_path / "digits.keras").exists()


@pytest.mark.parametrize("guide", GUIDES)
def test_guides_run_and_print_what_they_say(guide):
    page = ROOT / "docs" / f"{guide}.md"
    assert list(blocks_of(page))
    run_blocks(page, guide.replace("-", "_"))


def test_every_extra_is_in_the_table():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(project["optional-dependencies"]) - {"test", "docs", "bench", "dev"}
    page = (ROOT / "docs" / "installing.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == extras
    (everything,) = project["optional-dependencies"]["all"]
    assert set(re.findall(r"\w+", everything)) == {"kerasish", *extras} - {"all"}


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    absent = [page.name for page in ROOT.glob("docs/*.md") if f"]({page.name})" not in index]
    assert absent == ["README.md"]
