"""Folders of versions: the newest that loads takes over, and a broken one is not taken."""

import shutil
import time

import numpy as np
import pytest

import kerasish as keras
from kerasish import layers

pytest.importorskip("starlette")
pytest.importorskip("prometheus_client")
pytest.importorskip("httpx2")

from starlette.testclient import TestClient

from kerasish import serve
from kerasish.serve.repository import Options, RepositoryModel

OPTIONS = Options(max_batch=2)


def save(folder, value, unzipped=False):
    model = keras.Sequential([keras.Input((2,), name="x"), layers.Dense(1, name="y")])
    model.set_weights([np.full(w.shape, value) for w in model.get_weights()])
    folder.mkdir(parents=True)
    if unzipped:
        model.save(folder, zipped=False)
    else:
        model.save(folder / "model.keras")


def entry(folder):
    return RepositoryModel("m", str(folder), OPTIONS, lambda *_: None)


def test_the_newest_that_loads_takes_over(tmp_path, caplog):
    save(tmp_path / "1", 1.0)
    save(tmp_path / "2", 2.0, unzipped=True)
    found = entry(tmp_path)
    assert found.version().number == "2"
    (tmp_path / "10").mkdir()
    (tmp_path / "10" / "model.keras").write_bytes(b"half a file")
    for _ in range(3):
        found.look()
        assert found.version().number == "2"
    assert caplog.text.count("version 10 is not taken") == 1
    shutil.copy(tmp_path / "1" / "model.keras", tmp_path / "10" / "model.keras")
    found.look()
    assert found.version().number == "2"  # someone may still be writing
    found.look()
    assert found.version().number == "10"
    shutil.rmtree(tmp_path / "10")
    found.look()
    found.look()
    assert found.version().number == "2"
    shutil.rmtree(tmp_path / "2")
    shutil.rmtree(tmp_path / "1")
    found.look()
    assert found.version().number == "2"
    found.close()


def test_an_empty_folder_awaits_its_first_version(tmp_path):
    application = serve.app({"m": tmp_path}, max_batch=2, poll_seconds=0.02)
    with TestClient(application) as client:
        answer = client.post("/v1/models/m:predict", json={"instances": [[1, 2]]})
        assert answer.status_code == 503 and answer.headers["Retry-After"] == "2"
        assert client.get("/v2/health/ready").status_code == 503
        assert client.get("/v2/health/live").status_code == 200
        assert client.get("/v1/models/m").json() == {"model_version_status": []}
        assert client.get("/metrics").status_code == 200
        assert client.get("/status").json()["models"][0]["version"] is None
        save(tmp_path / "3", 1.0)
        for _ in range(6000):
            if client.get("/v2/health/ready").status_code == 200:
                break
            time.sleep(0.01)
        answer = client.post("/v1/models/m/versions/3:predict", json={"instances": [[1, 2]]})
        assert answer.json() == {"predictions": [[4.0]]}


def test_options_lie_beside_the_model(tmp_path):
    model = keras.Sequential([keras.Input((2,), name="x"), layers.Dense(2, name="y")])
    path = tmp_path / "model.keras"
    model.save(path)
    options = tmp_path / "model.keras.serving.json"
    options.write_text('{"class_names": ["a", "b"]}')
    client = TestClient(serve.app({"m": path}, max_batch=1))
    answer = client.post("/v1/models/m:classify", json={"examples": [{"x": [1, 2]}]})
    assert [name for name, _ in answer.json()["result"][0]] == ["a", "b"]
    options.write_text('{"classes": 3}')
    with pytest.raises(ValueError, match="an object with some of"):
        serve.app({"m": path})
    options.write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        serve.app({"m": path})


def test_exported_models_are_served(tmp_path):
    pytest.importorskip("flatbuffers")
    model = keras.Sequential([keras.Input((2,), name="x"), layers.Dense(2, name="y")])
    model.export(tmp_path / "model.zip")
    client = TestClient(serve.app({"m": tmp_path / "model.zip"}, max_batch=2))
    x = np.ones((2, 2), "float32")
    found = client.post("/v1/models/m:predict", json={"instances": x.tolist()}).json()
    np.testing.assert_allclose(found["predictions"], model(x), rtol=1e-6)
