"""Check a release before it is published: what is in the files, and that they install and work.

    python release/check.py                                  # for this Python
    python release/check.py python3.11 python3.12 python3.13

Builds wheel and sdist into `out/dist`, lets twine check them, compares versions, looks for what
must and must not be inside, and installs the wheel for each Python in an empty environment, where
`release/newcomer.py` runs. Publishing is left to a person.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile

ROOT = pathlib.Path(__file__).parent.parent
DIST = ROOT / "out" / "dist"
IN_WHEEL = (
    "kerasish/__init__.py",
    "kerasish/py.typed",
    "kerasish/commands/errors.md",
    "kerasish/serve/page.html",
    "kerasish.pth",
)
IN_SDIST = (
    "docs/first-hour.md",
    "docs/site/build.py",
    "examples/tabular.py",
    "notebooks/first_model.ipynb",
    "native/pyproject.toml",
    "tests/test_smoke.py",
    "release/newcomer.py",
    "CHANGELOG.md",
    "CITATION.cff",
    "SECURITY.md",
    "LICENSE",
    "Makefile",
)


def main() -> int:
    """Check everything; return the exit status."""
    problems = different_versions()
    shutil.rmtree(DIST, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", DIST, ROOT)
    (wheel,), (sdist,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", wheel, sdist)
    problems += missing_from(wheel, sdist)
    print(*problems, sep="\n", end="\n" if problems else "")
    for python in sys.argv[1:] or [sys.executable]:
        install_and_use(python, wheel)
    return int(bool(problems))


def run(*command, **options) -> None:
    """Run a program; an error if it fails."""
    subprocess.run([str(part) for part in command], check=True, **options)


def different_versions() -> list[str]:
    """Files that name another version than `pyproject.toml` does."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    told = {
        "kerasish/__init__.py": f'__version__ = "{version}"',
        "CITATION.cff": f"version: {version}\n",
        "CHANGELOG.md": f"## [{version}]",
    }
    return [
        f"{name} does not name version {version}"
        for name, text in told.items()
        if text not in (ROOT / name).read_text()
    ]


def missing_from(wheel: pathlib.Path, sdist: pathlib.Path) -> list[str]:
    """What is missing in the files, or should not be in them."""
    with zipfile.ZipFile(wheel) as archive:
        in_wheel = archive.namelist()
    with tarfile.open(sdist) as archive:
        in_sdist = [re.sub(r"^[^/]+/", "", name) for name in archive.getnames()]
    problems = [f"wheel: {name} is missing" for name in IN_WHEEL if name not in in_wheel]
    problems += [f"sdist: {name} is missing" for name in IN_SDIST if name not in in_sdist]
    problems += [f"wheel: {n} is in it" for n in in_wheel if n.startswith(("tests", "docs"))]
    return problems + [f"{n} is in it" for n in [*in_wheel, *in_sdist] if n.endswith(".pyc")]


def install_and_use(python: str, wheel: pathlib.Path) -> None:
    """Install the wheel in an empty environment, and walk through a newcomer's first hour."""
    with tempfile.TemporaryDirectory() as folder:
        run(python, "-m", "venv", folder)
        own = pathlib.Path(folder) / "bin" / "python"
        run(own, "-m", "pip", "install", "-qq", f"{wheel}[demo]")
        run(own, "-m", "pip", "check", stdout=subprocess.DEVNULL)
        print(f"-- {python}", flush=True)
        run(own, "-P", ROOT / "release" / "newcomer.py", cwd=folder)
        kerasish = own.with_name("kerasish")
        run(kerasish, "explain", "E04", stdout=subprocess.DEVNULL, cwd=folder)
        run(kerasish, "info", "--json", stdout=subprocess.DEVNULL, cwd=folder)


if __name__ == "__main__":
    sys.exit(main())
