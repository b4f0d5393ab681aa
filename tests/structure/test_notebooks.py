"""The notebooks and examples run from top to bottom, without a network."""

import json
import pathlib
import runpy
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
NOTEBOOKS = sorted(ROOT.glob("notebooks/*.ipynb"))
LIGHT = 300_000  # bytes


def name(path):
    return path.stem


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebook_is_light_and_whole(path):
    cells = json.loads(path.read_text())["cells"]
    assert path.stat().st_size < LIGHT, "keep outputs small, or leave them out"
    assert cells[0]["cell_type"] == "markdown"
    outputs = [o for c in cells for o in c.get("outputs", [])]
    assert not [o for o in outputs if o["output_type"] == "error"]


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
@pytest.mark.filterwarnings("default")  # those of Jupyter's own parts
def test_notebook_runs(path, monkeypatch):
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("KERAS_HOME", "/nowhere")  # nothing may be downloaded, or found there
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(notebook, timeout=600, kernel_name="python3", resources=where).execute()


EXAMPLES = {
    "cifar10_deep": "random --samples 500 --hidden 2 --ways alpha_dropout onecycle",
    "cifar10_deep on digits": "digits --hidden 4 --ways alpha_dropout",
}


@pytest.mark.slow
@pytest.mark.parametrize("case", EXAMPLES)
def test_example_runs(case, tmp_path, monkeypatch, capsys):
    path = ROOT / "examples" / f"{case.split()[0]}.py"
    options = ["--data", *EXAMPLES[case].split(), "--epochs", "2", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", [str(path), *options])
    runpy.run_path(str(path), run_name="__main__")
    rows = json.loads((tmp_path / "table.json").read_text())
    ways = [row["way"] for row in rows]
    assert "mc_dropout" in ways and all(0 <= row["test accuracy"] <= 1 for row in rows)
    assert (tmp_path / "curves.png").exists() and (tmp_path / "reliability.png").exists()
    assert "calibration error" in capsys.readouterr().out
