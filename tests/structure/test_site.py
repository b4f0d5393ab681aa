"""The site's own parts: every public name has an entry, docstrings become Markdown, links hold."""

import inspect
import pathlib
import re
import sys

import pytest

from tests.structure.test_public_names import ABSENT, NAMES

ROOT = pathlib.Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "docs" / "site"))

import docstrings  # noqa: E402
import links  # noqa: E402
import public_names  # noqa: E402
import reference  # noqa: E402

ENTRIES = public_names.entries()


def test_every_public_name_of_keras_has_an_entry():
    described = {name for entry in ENTRIES for name in (entry.name, *entry.aliases)}
    modules = {name for name, value in NAMES.items() if inspect.ismodule(value)}
    assert set(NAMES) - modules - set(ABSENT) - described == set()
    assert len(described) > 1500


def test_each_thing_stands_once_and_has_a_source():
    names = [name for entry in ENTRIES for name in (entry.name, *entry.aliases)]
    assert len(names) == len(set(names))
    assert [entry.name for entry in ENTRIES if public_names.source_of(entry.value) is None] == []
    assert {entry.page for entry in ENTRIES} == set(public_names.PAGES)


@pytest.mark.parametrize(
    ("name", "page"),
    [
        ("keras.Model", "models"),
        ("keras.layers.Conv2D", "layers-convolutional"),
        ("keras.layers.RandomFlip", "layers-image"),
        ("keras.layers.StringLookup", "layers-preprocessing"),
        ("keras.ops.sin", "ops-elementwise"),
        ("keras.ops.numpy.pad", "ops-manipulation"),
        ("keras.ops.relu", "ops-nn"),
        ("keras.jit", "transforms"),
        ("keras.optimizers.schedules.CosineDecay", "schedules"),
    ],
)
def test_names_stand_where_they_are_looked_for(name, page):
    (entry,) = [e for e in ENTRIES if name in (e.name, *e.aliases)]
    assert entry.page == page


def test_the_source_of_a_line_of_a_table():
    (entry,) = [e for e in ENTRIES if "keras.ops.sin" in (e.name, *e.aliases)]
    path, line = public_names.source_of(entry.value)
    assert "sin" in (ROOT / "kerasish" / path).read_text().splitlines()[line - 1]


def test_docstrings_become_markdown():
    doc = """Mean of `x * y`, *not* of x.

    Which is::

        a = b

    Args:
        x, y: Arrays, of
            any shape.
        **options: More.

    Returns:
        A number.

    Example:
        >>> 1 + 1
        2
    """
    assert docstrings.as_markdown(doc).split("\n\n") == [
        r"Mean of `x * y`, \*not\* of x.",
        "Which is:",
        "```text\na = b\n```",
        "**Arguments**",
        "- `x, y`: Arrays, of any shape.\n- `**options`: More.",
        "**Returns**",
        "A number.",
        "**Examples**",
        "```pycon\n>>> 1 + 1\n2\n```",
    ]


def test_signatures_say_types_and_defaults_in_short():
    def function(x: "pathlib.Path", kind=len, *, size: int | None = None) -> bool:
        """Nothing."""

    said = reference.signature_of(function)
    assert said == "(x: pathlib.Path, kind=len, *, size: int | None = None) -> bool"
    for entry in ENTRIES:
        assert " at 0x" not in reference.signature_of(entry.value), entry.name


def test_every_page_is_in_the_menu():
    menu = (ROOT / "docs" / "site" / "index.md").read_text()
    listed = set(re.findall(r"^(?:.* <)?([\w/-]+)>?$", menu, re.M))
    wanted = {f"docs/{p.stem}" for p in ROOT.glob("docs/*.md")}
    wanted |= {f"notebooks/{p.stem}" for p in ROOT.glob("notebooks/*.ipynb")}
    wanted |= {f"reference/{page}" for page in public_names.PAGES}
    assert wanted - listed == set()


def test_broken_links_are_found(tmp_path):
    (tmp_path / "a.html").write_text(
        '<h1 id="top"></h1><a href="b.html#there">1</a><a href="b.html#gone">2</a>'
        '<a href="c.html">3</a><a href="#top">4</a><img src="x.png"><a href="https://a.b/c">5</a>'
    )
    (tmp_path / "b.html").write_text('<a name="there" href="a.html">back</a>')
    assert links.broken(tmp_path) == [
        "a.html: b.html#gone",
        "a.html: c.html",
        "a.html: x.png",
    ]
