"""A newcomer's first hour, in an empty folder and an environment that has the package alone.

    python -P release/newcomer.py

Runs the smoke tests and each block of `docs/first-hour.md`, in order, and holds the pictures and
figures that they promise. Prints the seconds each took. `release/check.py` runs it.
"""

import importlib.util
import inspect
import os
import pathlib
import tempfile
import time

ROOT = pathlib.Path(__file__).parent.parent


def load(path: pathlib.Path):
    """A module from its file, without the folder around it."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Walk through it; whatever fails is an error."""
    os.environ.setdefault("MPLBACKEND", "Agg")
    pages = load(ROOT / "tests" / "support" / "pages.py")
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        start = time.perf_counter()
        import kerasish

        assert not pathlib.Path(kerasish.__file__).is_relative_to(ROOT / "kerasish")
        print(f"import: {time.perf_counter() - start:.1f} s, {kerasish.__version__}")
        start = time.perf_counter()
        smoke = load(ROOT / "tests" / "test_smoke.py")
        for name, test in vars(smoke).items():
            if name.startswith("test_"):
                wanted = inspect.signature(test).parameters
                test(**({"tmp_path": pathlib.Path(folder)} if "tmp_path" in wanted else {}))
        print(f"smoke tests: {time.perf_counter() - start:.1f} s")
        start = time.perf_counter()
        pages.run_blocks(ROOT / "docs" / "first-hour.md", "first_hour")
        seconds = time.perf_counter() - start
        for promised in ("curves.png", "digits.keras"):
            assert pathlib.Path(promised).stat().st_size > 1000, promised
        assert seconds < 600, "the first hour takes longer than ten minutes"
        print(f"first hour: {seconds:.1f} s")
        os.chdir(ROOT)


if __name__ == "__main__":
    main()
