"""Files of models and of weights, by the ends of their names.

Files may come from strangers: they are read as `keras.saving` reads them, which runs no code of
theirs and imports nothing that they name. Classes of one's own come from modules that the user
names with `--import`.
"""

import argparse
import importlib
import os
import pathlib
import sys
from collections.abc import Iterable
from typing import Any

from kerasish.core.errors import bad_argument
from kerasish.saving import load_model
from kerasish.saving.formats import model_folder

MODELS = (".keras", ".h5", ".hdf5")
WEIGHTS = (".weights.h5", ".weights.json", ".safetensors")
STABLEHLO = (".zip", ".stablehlo")
PROGRAMS = (*STABLEHLO, ".onnx", ".tflite")


def ending(path: pathlib.Path, known: Iterable[str]) -> str | None:
    """Which of the endings a path has, the longest first.

    Args:
        path: The path.
        known: The endings.
    """
    fitting = [end for end in known if path.name.lower().endswith(end)]
    return max(fitting, key=len, default=None)


def kind_of(path: pathlib.Path) -> str:
    """What a file that is there holds: `"model"`, `"weights"` or `"program"`.

    Args:
        path: The path.

    Raises:
        ValueError: There is no such file, or its name's end says nothing.
    """
    if not path.exists():
        raise ValueError(f"there is no file {str(path)!r}.")
    if path.is_dir():
        if model_folder.located(path, model_folder.CONFIG).is_file():
            return "model"
        raise ValueError(f"the folder {str(path)!r} holds no model: it has no config.json.")
    end = ending(path, (*WEIGHTS, *MODELS, *PROGRAMS))
    if end is None:
        wanted = f"a name that ends in one of {', '.join((*MODELS, *WEIGHTS, *PROGRAMS))}"
        raise bad_argument("FILE", "name", wanted, path.name)
    return "weights" if end in WEIGHTS else "model" if end in MODELS else "program"


def add_import(parser: argparse.ArgumentParser) -> None:
    """Add the option `--import`.

    Args:
        parser: The command's parser.
    """
    parser.add_argument(
        "--import",
        dest="modules",
        action="append",
        default=[],
        metavar="MODULE",
        help="with classes of one's own, registered, that the model uses; may be given again",
    )


def import_modules(names: Iterable[str]) -> None:
    """Import modules, found in the current folder too.

    Args:
        names: Names of modules.
    """
    for name in names:
        look_in_current_folder()
        importlib.import_module(name)


def look_in_current_folder() -> None:
    """Let Python find modules in the current folder, as `python -m` does and scripts do not."""
    folder = os.getcwd()
    if not sys.flags.safe_path and folder not in sys.path and "" not in sys.path:
        sys.path.insert(0, folder)


def load(path: pathlib.Path, compile: bool = True) -> Any:
    """The model in a file or folder; an error about an unknown class says what to do.

    Args:
        path: The path.
        compile: Whether to compile it as its file says.
    """
    try:
        return load_model(path, compile=compile)
    except (TypeError, ValueError) as error:
        if "custom_objects" in str(error):
            error.add_note("On the command line: name the module that registers it, `--import`.")
        raise
