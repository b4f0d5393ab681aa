"""Documents name files that exist, and pages link to pages that are there."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
PATH = re.compile(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|md|ipynb|toml))?)`")
LINK = re.compile(r"\]\(([^)#:]+\.(?:md|py|png|ipynb))(?:#[^)]*)?\)")
OUTSIDE = ("assets/",)  # folders that programs make


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page):
    text = page.read_text()
    named = {path for path in PATH.findall(text) if not path.startswith(OUTSIDE)}
    linked = {ROOT / page.parent / path for path in LINK.findall(text)}
    absent = [
        p for p in named if not any((base / p).exists() for base in (ROOT, ROOT / "kerasish"))
    ]
    absent += [str(path) for path in linked if not path.exists()]
    assert not absent
