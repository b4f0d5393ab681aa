"""What documents show runs, top to bottom, as a new user would paste it, and prints what they say.

A block of Python is followed by its output where the next block is marked `text`: `...` in it
stands for anything.
"""

import pathlib
import re
import tomllib

import matplotlib
import pytest

from tests.support.fake_hub import fake_hub
from tests.support.pages import blocks_of, run_blocks

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
    "everyday",
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
    extras = set(project["optional-dependencies"]) - {"test", "docs", "release", "bench", "dev"}
    page = (ROOT / "docs" / "installing.md").read_text()
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == extras
    (everything,) = project["optional-dependencies"]["all"]
    assert set(re.findall(r"\w+", everything)) == {"kerasish", *extras} - {"all"}


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text()
    absent = [page.name for page in ROOT.glob("docs/*.md") if f"]({page.name})" not in index]
    assert absent == ["README.md"]
