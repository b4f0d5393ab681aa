"""The programs in `examples/` run without a network, and learn what they say they learn."""

import ast
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
OTHERS = {"cifar10_deep", "digits", "distributed_transformer"}  # longer; tested elsewhere

# What a program prints, and between what its figure must lie with the defaults.
FIGURES = {
    "audio": (r"Validation accuracy: ([\d.]+)%", 85, 100),
    "bayesian_uncertainty": (r"Ensemble: .* digits: ([\d.]+)%", 90, 100),
    "boxes": (r"F1: ([\d.]+)", 0.85, 1),
    "contrastive": (r"given learned features: ([\d.]+)%", 82, 100),
    "diffusion": (r"Digits drawn as asked for: ([\d.]+)%", 85, 100),
    "gan": (r"Frechet distance of drawn digits: ([\d.]+)", 0, 2),
    "image_folder": (r"Validation accuracy: ([\d.]+)%", 90, 100),
    "language_model": (r"Bits per character: ([\d.]+)", 1.5, 4),
    "physics_informed": (r"Viscosity: ([\d.]+)", 0.095, 0.105),
    "recommender": (r"Hit rate at ten: ([\d.]+)%", 30, 100),
    "reinforcement_learning": (r"Trained: (\d+) steps", 400, 500),
    "segmentation": (r"Mean IoU on unseen images: ([\d.]+)", 0.8, 1),
    "several_devices": (r"Accuracy by fit: ([\d.]+)%", 93, 100),
    "tabular": (r"AUC on unseen rows: ([\d.]+)", 0.78, 0.86),
    "text_classification": (r"Test accuracy: ([\d.]+)%", 70, 100),
    "time_series": (r"error of the forecast: ([\d.]+) degrees", 0.5, 1.9),
    "vae": (r"unseen digits: below ([\d.]+) nats", 10, 21),
}


def test_every_example_is_in_the_tables():
    names = {path.stem for path in ROOT.glob("examples/*.py")} - OTHERS
    assert names == set(FIGURES)
    table = (ROOT / "examples" / "README.md").read_text()
    assert set(re.findall(r"^\| `(\w+)\.py`", table, re.MULTILINE)) == names | OTHERS


@pytest.mark.parametrize("name", FIGURES)
def test_example_is_short_and_says_what_it_does(name):
    text = (ROOT / "examples" / f"{name}.py").read_text()
    head = ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) < 150
    assert "\nShows: " in head and "\nPrints" in head
    assert f"\n    python examples/{name}.py" in head


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_example_learns(name, tmp_path):
    run = [sys.executable, "-W", "error", str(ROOT / "examples" / f"{name}.py")]
    settings = {"PYTHONPATH": str(ROOT), "KERAS_HOME": "/nowhere"}  # nothing may be downloaded
    environment = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"} | settings
    done = subprocess.run(run, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    pattern, low, high = FIGURES[name]
    found = re.search(pattern, done.stdout)
    assert found, done.stdout[-3000:]
    assert low <= float(found[1]) <= high, done.stdout[-3000:]
