"""Libraries made for Keras run as they are, with the results that they have on Keras 3."""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
HTTP = "requests urllib3 idna certifi charset-normalizer"
GRAIN = "grain array-record cloudpickle etils portpicker psutil importlib-resources zipp fsspec"
# What each needs beside what kerasish's tests do, none with its own dependencies: they would
# bring TensorFlow, or other versions of JAX and NumPy.
LIBRARIES = {
    "bayesflow": "bayesflow seaborn tqdm networkx",
    "k3im": "k3im",
    "keras_hub": f"keras-hub regex tokenizers kagglehub kagglesdk protobuf tqdm {HTTP} {GRAIN}",
    "keras_rs": "keras-rs",
    "keras_tuner": f"keras-tuner kt-legacy grpcio protobuf six {HTTP}",
    "mdn": "keras-mdn-layer",
    "mingru": "mingru-keras",
    "scikeras": "scikeras",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder for packages, beside those of the tests' own environment."""
    return tmp_path_factory.mktemp("packages")


def run(place, *arguments, **environment):
    paths = [str(place), str(ROOT), sysconfig.get_paths()["purelib"]]
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers_of(found):
    """The numbers in nested data, in order, and the rest of it, in order."""
    numbers, rest = [], []
    if isinstance(found, dict):
        found = [item for pair in found.items() for item in pair]
    if not isinstance(found, list):
        (numbers if isinstance(found, int | float) else rest).append(found)
        return numbers, rest
    for item in found:
        more, other = numbers_of(item)
        numbers += more
        rest += other
    return numbers, rest


@pytest.mark.slow
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_does_what_it_does_on_keras(place, name):
    packages = LIBRARIES[name].split()
    run(place, "-m", "pip", "install", "-q", "--no-deps", "--target", str(place), *packages)
    program = str(HERE / "programs" / f"with_{name}.py")
    settings = {"KERAS_BACKEND": "jax", "MPLBACKEND": "agg"}
    ours = run(place, "-m", "kerasish", "run", program, **settings)
    theirs = run(place, program, **settings)
    (got, shape), (wanted, as_keras) = (
        numbers_of(json.loads(text.splitlines()[-1])) for text in (ours, theirs)
    )
    assert shape == as_keras
    assert got == pytest.approx(wanted, rel=1e-4, abs=1e-5)
