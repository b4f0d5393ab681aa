"""The README's code runs, top to bottom, as a new user would paste it."""

import pathlib
import re

import matplotlib
import pytest

README = pathlib.Path(__file__).parent.parent.parent / "README.md"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_readme_runs(tmp_path, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(), flags=re.S)
    assert len(blocks) >= 4
    namespace = {"__name__": "readme"}
    for block in blocks:
        exec(compile(block, str(README), "exec"), namespace)
    assert namespace["history"].history["accuracy"][-1] > 0.9
    assert float(namespace["accuracy"].result()) > 0.8
    assert (tmp_path / "curves.png").exists()
    assert (tmp_path / "digits.keras").exists()
