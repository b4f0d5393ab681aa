"""Models on a hub: Hugging Face's, played by a server here, and any HTTP server."""

import functools
import hashlib
import http.server
import json
import pathlib
import subprocess
import sys
import threading
import urllib.parse
from typing import ClassVar

import keras as oracle
import numpy as np
import pytest

import kerasish as keras
from kerasish.data import hugging_face
from tests.support.fake_hub import Repository, fake_hub, served

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning:httpx2?")
X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    with fake_hub(tmp_path / "hub") as found:
        yield found


def make_model(package=keras):
    model = package.Sequential(
        [package.Input((3,)), package.layers.Dense(4, "relu"), package.layers.Dense(2)]
    )
    model.compile("adam", "mse")
    return model


def predict(model):
    return np.asarray(model(X))


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


# -- Hugging Face


def test_a_model_comes_back_from_the_hub(hub, capsys):
    model = make_model()
    model.fit(X, X[:, :2], verbose=0)
    model.save("hf://ann/first")
    assert "keras.saving.load_model('hf://ann/first')" in capsys.readouterr().out
    loaded = keras.saving.load_model("hf://ann/first")
    np.testing.assert_array_equal(predict(loaded), predict(model))
    assert int(loaded.optimizer.iterations) == 1
    card = hub.repositories["ann/first"].files["README.md"].decode()
    assert "library_name: keras" in card
    assert 'load_model("hf://ann/first")' in card
    assert "Total params" in card


def test_keras_loads_what_is_saved_here(hub):
    model = make_model()
    model.save("hf://ann/first")
    # Keras' public function looks for a folder of that name first, which needs TensorFlow.
    theirs = oracle.src.saving.saving_lib.load_model("hf://ann/first")
    np.testing.assert_allclose(predict(theirs), predict(model), rtol=1e-6)


def test_what_keras_saved_is_loaded_here(hub, monkeypatch):
    monkeypatch.setattr(oracle.src.saving.saving_lib, "check_pydot", lambda: False)  # no picture
    theirs = make_model(oracle)
    theirs.save("hf://ann/first")
    np.testing.assert_allclose(
        predict(keras.saving.load_model("hf://ann/first")), predict(theirs), rtol=1e-6
    )


def test_revisions(hub):
    first, second = make_model(), make_model()
    first.save("hf://ann/first")
    commit = hub.repositories["ann/first"].branches["main"]
    second.save("hf://ann/first@trial%2F2")
    assert list(hub.repositories["ann/first"].branches) == ["main", "trial/2"]
    for revision, model in (
        ("", first),
        ("@main", first),
        (f"@{commit}", first),
        ("@trial%2F2", second),
    ):
        loaded = keras.saving.load_model(f"hf://ann/first{revision}")
        np.testing.assert_array_equal(predict(loaded), predict(model))
    second.save("hf://ann/first")
    np.testing.assert_array_equal(
        predict(keras.saving.load_model("hf://ann/first")), predict(second)
    )
    np.testing.assert_array_equal(
        predict(keras.saving.load_model(f"hf://ann/first@{commit}")), predict(first)
    )


def test_one_commit_holds_a_whole_model_and_leaves_other_files(hub):
    hub.repositories["ann/first"] = Repository()
    old = {"README.md": b"mine", "assets/old.txt": b"old", "data.csv": b"1", "sub/assets/x": b"x"}
    hub.repositories["ann/first"].commit(old)
    make_model().save("hf://ann/first")
    assert len(hub.repositories["ann/first"].commits) == 3
    files = hub.repositories["ann/first"].files
    whole = {"config.json", "metadata.json", "model.weights.h5"}
    assert set(files) == {"README.md", "data.csv", "sub/assets/x"} | whole
    assert files["README.md"] == b"mine"


def test_assets_travel(hub):
    words = keras.layers.TextVectorization(output_sequence_length=2)
    words.adapt(["a b", "b c"])
    keras.Sequential([words]).save("hf://ann/words")
    assert any(name.startswith("assets/") for name in hub.repositories["ann/words"].files)
    loaded = keras.saving.load_model("hf://ann/words")
    assert loaded.layers[0].get_vocabulary() == words.get_vocabulary()


def test_models_in_folders_and_files_of_a_repository(hub, tmp_path):
    model = make_model()
    model.save("hf://ann/several/small")
    model.save(tmp_path / "model.keras")
    model.save_weights(tmp_path / "model.weights.h5")
    repository = hub.repositories["ann/several"]
    more = {name: (tmp_path / name).read_bytes() for name in ("model.keras", "model.weights.h5")}
    repository.commit({**repository.files, **more})
    for address in ("hf://ann/several/small", "hf://ann/several/model.keras"):
        np.testing.assert_array_equal(predict(keras.saving.load_model(address)), predict(model))
    path = "hf://ann/several/model.keras"
    keras.saving.load_model(path, file_hash=sha256(tmp_path / "model.keras"))
    with pytest.raises(ValueError, match=r"load_model: .* is not the file you name: its hash is"):
        keras.saving.load_model(path, file_hash="0" * 64)
    other = make_model()
    other.load_weights("hf://ann/several/model.weights.h5")
    np.testing.assert_array_equal(predict(other), predict(model))
    with pytest.raises(ValueError, match=r"holds no config.json.* hf://ann/several/model.keras"):
        keras.saving.load_model("hf://ann/several")


def test_only_a_models_files_are_downloaded(hub):
    make_model().save("hf://ann/first")
    repository = hub.repositories["ann/first"]
    repository.commit({**repository.files, "evil.pkl": b"x", "modeling.py": b"x"})
    hub.asked.clear()
    keras.saving.load_model("hf://ann/first")
    got = {
        path.rpartition("/")[2] for how, path, _ in hub.asked if how == "GET" and "resolve" in path
    }
    assert got == {"config.json", "metadata.json", "model.weights.h5"}


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        (
            "config.json",
            lambda body: body.replace(b'"units": 4', b'"units": 5'),
            "checksum of 'config",
        ),
        ("config.json", lambda body: b"<html>", "checksum of 'config.json'"),
        ("model.weights.h5", lambda body: body[: len(body) // 2], "damaged|truncated|is not"),
        ("model.weights.h5", lambda body: b"<!doctype html><html></html>", "HDF5|damaged"),
    ],
)
def test_files_of_the_hub_are_checked_as_local_ones_are(hub, name, change, wanted):
    make_model().save("hf://ann/first")
    repository = hub.repositories["ann/first"]
    repository.commit({**repository.files, name: change(repository.files[name])})
    with pytest.raises(ValueError, match=wanted):
        keras.saving.load_model("hf://ann/first")


def test_code_in_a_model_of_the_hub_is_not_run(hub, tmp_path):
    make_model().save("hf://ann/first")
    repository = hub.repositories["ann/first"]
    config = json.loads(repository.files["config.json"])
    marker = tmp_path / "ran"
    config["config"]["layers"][1] = {
        "module": "os",
        "class_name": "system",
        "config": {"command": f"touch {marker}"},
        "registered_name": None,
    }
    repository.commit(
        {
            "config.json": json.dumps(config).encode(),
            "model.weights.h5": repository.files["model.weights.h5"],
        }
    )
    with pytest.raises((TypeError, ValueError), match="system"):
        keras.saving.load_model("hf://ann/first")
    assert not marker.exists()


def test_private_repositories_need_the_token_of_the_environment(hub, monkeypatch):
    model = make_model()
    model.save("hf://ann/secret")
    hub.repositories["ann/secret"].private = True
    np.testing.assert_array_equal(
        predict(keras.saving.load_model("hf://ann/secret")), predict(model)
    )
    monkeypatch.delenv("HF_TOKEN")
    address = "hf://ann/secret/config.json"
    with pytest.raises(RuntimeError, match=r"or it is private. Give a token .* HF_TOKEN"):
        keras.utils.get_file(origin=address, force_download=True)
    with pytest.raises(RuntimeError, match=r"save_model: hf://ann/new: .* HF_TOKEN"):
        model.save("hf://ann/new")


def test_a_download_that_breaks_off_is_resumed(hub):
    make_model().save("hf://ann/first")
    hub.break_after = [1000, 2000]
    path = keras.utils.get_file(origin="hf://ann/first/model.weights.h5")
    assert (
        pathlib.Path(path).read_bytes() == hub.repositories["ann/first"].files["model.weights.h5"]
    )
    assert hub.break_after == []


def test_without_the_hub_the_cache_serves(hub, monkeypatch):
    from huggingface_hub import constants

    model = make_model()
    model.save("hf://ann/first")
    keras.saving.load_model("hf://ann/first")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    np.testing.assert_array_equal(
        predict(keras.saving.load_model("hf://ann/first")), predict(model)
    )
    with pytest.raises(RuntimeError, match=r"load_model: hf://ann/other: the hub is not reached"):
        keras.saving.load_model("hf://ann/other")


def test_get_file_follows_a_branch(hub, tmp_path):
    repository = hub.repositories["ann/data"] = Repository()
    repository.commit({"sub/words.txt": b"one"})
    address = "hf://ann/data/sub/words.txt"
    options = {"origin": address, "fname": "mine.txt", "cache_dir": tmp_path}
    path = pathlib.Path(keras.utils.get_file(**options))
    assert path == tmp_path / "datasets" / "mine.txt"
    assert path.read_bytes() == b"one"
    repository.commit({"sub/words.txt": b"other"})
    assert pathlib.Path(keras.utils.get_file(**options)).read_bytes() == b"other"
    wanted = hashlib.sha256(b"other").hexdigest()
    keras.utils.get_file(origin=address, file_hash=wanted)
    with pytest.raises(ValueError, match=f"not the file you name: its hash is {wanted}"):
        keras.utils.get_file(origin=address, file_hash="0" * 64)


def test_get_file_extracts_archives_of_the_hub(hub, tmp_path):
    import io
    import zipfile

    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("a.txt", "text")
    hub.repositories["ann/data"] = Repository()
    hub.repositories["ann/data"].commit({"all.zip": body.getvalue()})
    folder = keras.utils.get_file(origin="hf://ann/data/all.zip", extract=True)
    assert pathlib.Path(folder, "a.txt").read_text() == "text"


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("hf://ann/none", r"load_model: hf://ann/none: there is no model 'ann/none' there"),
        ("hf://ann/first@v9", r"'ann/first' has no revision 'v9'"),
        ("hf://ann/first/x.keras", r"hf://ann/first/x.keras: there is no file 'x.keras' in it"),
        ("hf://ann/first/sub", r"hf://ann/first/sub holds no config.json"),
    ],
)
def test_what_is_not_there_is_said(hub, address, wanted):
    make_model().save("hf://ann/first")
    with pytest.raises((RuntimeError, ValueError), match=wanted):
        keras.saving.load_model(address)


@pytest.mark.parametrize(
    "address", ["hf://", "hf://ann", "hf:///x", "hf://ann/x@", "hf://ann/x/../y", "hf://a b/c"]
)
def test_addresses_that_are_none(address):
    with pytest.raises(ValueError, match=r"load_model: `filepath` must be an address `hf://owner/"):
        keras.saving.load_model(address)


def test_addresses():
    def parts(address):
        return tuple(hugging_face.parse(address, "who", "what"))

    assert parts("hf://ann/x") == ("model", "ann/x", None, "")
    assert parts("hf://models/ann/x/") == ("model", "ann/x", None, "")
    assert parts("hf://ann/x@v1/a/b@2.keras") == ("model", "ann/x", "v1", "a/b@2.keras")
    assert parts("hf://ann/x/b@2.keras") == ("model", "ann/x", None, "b@2.keras")
    assert parts("hf://datasets/ann/x@refs/pr/3/a") == ("dataset", "ann/x", "refs/pr/3", "a")
    assert parts("hf://ann/x@a%2Fb") == ("model", "ann/x", "a/b", "")


def test_what_cannot_be_saved_is_said(hub, tmp_path):
    model = make_model()
    model.save("hf://ann/first")
    for address, options, wanted in (
        ("hf://ann/first", {"overwrite": False}, "hf://ann/first holds a model, and `overwrite`"),
        ("hf://ann/first", {"zipped": True}, "`zipped` must be `None` or `False` on the hub"),
        ("hf://ann/first/model.keras", {}, "`filepath` must be the address of a repository"),
        ("hf://datasets/ann/first", {}, "`filepath` must be the address of a repository"),
        ("https://x.org/model.keras", {}, "`filepath` must be a path, or an address `hf://owner"),
    ):
        with pytest.raises(ValueError, match=wanted):
            model.save(address, **options)
    with pytest.raises(ValueError, match="save_weights: `filepath` must be a path on this machine"):
        model.save_weights("hf://ann/first/model.weights.h5")


def test_without_huggingface_hub_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for act in (keras.saving.load_model, make_model().save):
        with pytest.raises(ImportError, match=r'pip install "kerasish\[hub\]"'):
            act("hf://ann/first")


PROGRAM = """
import numpy as np, kerasish as keras
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
model.save("hf://ann/first")
loaded = keras.saving.load_model("hf://ann/first")
np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])
"""


def test_the_hub_and_the_token_come_from_the_environment(tmp_path, monkeypatch):
    with served() as (hub, url):
        monkeypatch.setenv("HF_ENDPOINT", url)
        monkeypatch.setenv("HF_HOME", str(tmp_path))
        monkeypatch.setenv("HF_TOKEN", hub.token)
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert "config.json" in hub.repositories["ann/first"].files


# -- any server


class Server(http.server.BaseHTTPRequestHandler):
    """Serves `files`; may break off, redirect, and forget how ranges work."""

    files: ClassVar[dict] = {}
    types: ClassVar[dict] = {}
    break_after: ClassVar[list] = []
    asked: ClassVar[list] = []
    ranges: ClassVar[str] = "right"

    def do_GET(self):
        path = urllib.parse.urlsplit(self.path).path
        self.asked.append((path, self.headers.get("Range")))
        if path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", path.removeprefix("/moved"))
            self.end_headers()
            return
        body = self.files.get(path.lstrip("/"))
        if body is None:
            self.send_error(404)
            return
        start = 0
        if self.headers.get("Range") and self.ranges != "none":
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            self.send_error(416)
            return
        if self.ranges == "wrong" and start:
            start -= 1
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", '"one"')
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        rest = body[start:]
        self.wfile.write(rest[: self.break_after.pop(0)] if self.break_after else rest)

    def log_message(self, *args):
        pass


@pytest.fixture
def url(tmp_path, monkeypatch):
    from kerasish.data import http_download

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(http_download.time, "sleep", lambda seconds: None)
    for name, value in (("files", {}), ("break_after", []), ("asked", []), ("ranges", "right")):
        monkeypatch.setattr(Server, name, value)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def saved(tmp_path, url):
    """A model, whose file the server has, and the file's hash."""
    model, path = make_model(), tmp_path / "model.keras"
    model.save(path)
    Server.files["model.keras"] = path.read_bytes()
    return model, sha256(path)


def assert_loads(address, saved, **options):
    model, file_hash = saved
    loaded = keras.saving.load_model(address, file_hash=file_hash, **options)
    np.testing.assert_array_equal(predict(loaded), predict(model))


def test_a_model_from_a_server_is_kept(url, saved):
    assert_loads(f"{url}/model.keras?download=1", saved)
    assert_loads(f"{url}/model.keras", saved)
    assert len(Server.asked) == 1


def test_a_server_that_redirects(url, saved):
    assert_loads(f"{url}/moved/moved/model.keras", saved)


@pytest.mark.parametrize("ranges", ["right", "none", "wrong"])
def test_a_server_that_breaks_off(url, saved, ranges):
    Server.ranges, Server.break_after = ranges, [3000]
    assert_loads(f"{url}/model.keras", saved)
    assert Server.asked[1] == ("/model.keras", "bytes=3000-")


def test_a_server_that_breaks_off_for_good(url, saved):
    Server.break_after = [100, 100, 100]
    with pytest.raises(RuntimeError, match=r"could not download .*/model.keras"):
        keras.saving.load_model(f"{url}/model.keras", file_hash=saved[1])
    assert_loads(f"{url}/model.keras", saved)
    assert Server.asked[-1] == ("/model.keras", "bytes=300-")


def test_a_download_that_was_killed_at_its_end(url, saved, tmp_path):
    folder = tmp_path / "keras" / "models" / saved[1]
    folder.mkdir(parents=True)
    (folder / "model.keras.part").write_bytes(Server.files["model.keras"])
    (folder / "model.keras.part.tag").write_text('"one"')
    assert_loads(f"{url}/model.keras", saved)


def test_another_file_than_the_hash_says_is_refused(url, saved, tmp_path):
    make_model().save(tmp_path / "other.keras")
    Server.files["model.keras"] = (tmp_path / "other.keras").read_bytes()
    found = sha256(tmp_path / "other.keras")
    wanted = rf"/model.keras is incomplete or has been changed: its hash is {found}; wanted"
    with pytest.raises(ValueError, match=wanted):
        keras.saving.load_model(f"{url}/model.keras", file_hash=saved[1])
    assert list((tmp_path / "keras").rglob("*.keras*")) == []


@pytest.mark.parametrize(
    "page",
    [b"<!DOCTYPE html><html>", b"\n <!-- a -->\n<HTML lang=en>", b'<?xml version="1"?><html>'],
)
def test_a_web_page_in_the_files_place_is_refused(url, saved, page, tmp_path):
    Server.files["model.keras"] = Server.files["words.json"] = page
    with pytest.raises(ValueError, match=r"gave a web page .* Give the address of the file itself"):
        keras.saving.load_model(f"{url}/model.keras", file_hash=saved[1])
    with pytest.raises(ValueError, match="gave a web page"):
        keras.utils.get_file(origin=f"{url}/words.json")
    assert [p for p in (tmp_path / "keras").rglob("*") if p.is_file()] == []
    Server.files["page.html"] = page
    assert pathlib.Path(keras.utils.get_file(origin=f"{url}/page.html")).read_bytes() == page


def test_what_is_not_on_the_server_is_said(url, saved):
    with pytest.raises(RuntimeError, match=r"could not download .*/none.keras \(404"):
        keras.saving.load_model(f"{url}/none.keras", file_hash=saved[1])


def test_weights_from_a_server(url, saved, tmp_path):
    model, _ = saved
    model.save_weights(tmp_path / "m.weights.h5")
    Server.files["m.weights.h5"] = (tmp_path / "m.weights.h5").read_bytes()
    other = make_model()
    other.load_weights(f"{url}/m.weights.h5", file_hash=sha256(tmp_path / "m.weights.h5"))
    np.testing.assert_array_equal(predict(other), predict(model))


@pytest.mark.parametrize("load", [keras.saving.load_model, make_model().load_weights])
def test_a_url_needs_a_hash(load):
    with pytest.raises(ValueError, match=r"`file_hash` must be the SHA-256 of the file that a URL"):
        load("https://example.org/model.keras")
    with pytest.raises(ValueError, match=r"`file_hash` must be the file's SHA-256, 64 hexadecimal"):
        load("https://example.org/model.keras", file_hash="abc")


def test_a_password_is_not_repeated():
    with pytest.raises(ValueError, match="without a password in it") as caught:
        keras.saving.load_model("https://ann:secret@x.org/m.keras", file_hash="0" * 64)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["s3://bucket/m.keras", "gs://m", "ftp://x.org/m.keras"])
def test_other_schemes_are_refused(address):
    with pytest.raises(ValueError, match=r"must be a path, an address `hf://owner/name`, or a URL"):
        keras.saving.load_model(address)


def test_a_folder_is_a_hub_too(tmp_path, saved):
    path = tmp_path / "model.keras"
    assert_loads(path, saved)
    with pytest.raises(ValueError, match=r"model.keras is not the file you name: its hash is"):
        keras.saving.load_model(path, file_hash="0" * 64)
    saved[0].save(tmp_path / "folder", zipped=False)
    keras.saving.load_model(tmp_path / "folder")
    with pytest.raises(ValueError, match=r"`file_hash` must be left out for a folder"):
        keras.saving.load_model(tmp_path / "folder", file_hash=saved[1])


def test_paths_whose_slashes_were_joined(hub):
    model = make_model()
    model.save(pathlib.Path("hf://ann/first"))
    load = functools.partial(keras.saving.load_model, pathlib.Path("hf://ann/first"))
    np.testing.assert_array_equal(predict(load()), predict(model))
