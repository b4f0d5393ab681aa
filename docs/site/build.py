"""Build the site: guides, notebooks, gallery, and a reference of every public name.

    python docs/site/build.py

It lies in `out/site` then. A warning of Sphinx's, a broken link, a public name that the reference
lacks: each fails the build.
"""

import os
import pathlib
import shutil
import sys
import time

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "Agg")
HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(ROOT), str(HERE)]

import gallery  # noqa: E402
import links  # noqa: E402
import reference  # noqa: E402
import sources  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402
from sphinx.util.inventory import InventoryFile  # noqa: E402

PAGES = ROOT / "out" / "site-pages"
SITE = ROOT / "out" / "site"


def main() -> int:
    """Put the pages together, build and check; return the exit status."""
    start = time.perf_counter()
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.rmtree(SITE, ignore_errors=True)
    _gather(PAGES)
    found = reference.write(PAGES / "reference")
    undrawn = gallery.write(PAGES / "gallery")
    aliases = {alias: entry.name for entry in found for alias in entry.aliases}
    failed = _run_sphinx(aliases)
    sources.write(SITE / "source")
    problems = links.broken(SITE)
    problems += [f"not in the reference: {name}" for name in _lacking(found)]
    problems += [f"not in the gallery: {name}" for name in undrawn]
    print(*problems, sep="\n", end="\n" if problems else "")
    names = len(found) + len(aliases)
    print(f"{names} public names; {time.perf_counter() - start:.0f} s; {SITE / 'index.html'}")
    return int(failed or bool(problems))


def _gather(pages):
    """Copy what is written by hand; folders keep their places, so that links between them hold."""
    shutil.copytree(HERE / "static", pages / "static")
    shutil.copy(HERE / "index.md", pages)
    for name in ("docs", "examples", "notebooks", "benchmarks"):
        left_out = shutil.ignore_patterns("site", "__pycache__", "*.pyc", ".*")
        shutil.copytree(ROOT / name, pages / name, ignore=left_out)
    for path in ROOT.glob("*.md"):
        shutil.copy(path, pages)


def _run_sphinx(aliases):
    app = Sphinx(  # in one process: JAX is in it, and must not be forked
        str(PAGES),
        str(HERE),
        str(SITE),
        str(ROOT / "out" / "site-doctrees"),
        "html",
        confoverrides={"object_aliases": aliases},
        freshenv=True,
        status=None,
        exception_on_warning=False,
    )
    app.build()
    return app.statuscode or app._warncount


def _lacking(found):
    """Public names that the built site's inventory has not."""
    inventory = InventoryFile.loads((SITE / "objects.inv").read_bytes(), uri="")
    known = {
        name for kind, items in inventory.data.items() if kind.startswith("py:") for name in items
    }
    names = {name for entry in found for name in (entry.name, *entry.aliases)}
    return sorted(names - known)


if __name__ == "__main__":
    sys.exit(main())
