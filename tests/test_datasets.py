"""The data sets, from files of the same form made here and served by a local server."""

import functools
import gzip
import hashlib
import http.server
import inspect
import io
import json
import os
import pathlib
import pickle
import tarfile
import threading
import zipfile
from typing import ClassVar

import keras as oracle
import numpy as np
import pytest

import kerasish
from kerasish import datasets
from kerasish.data import get_file, http_download
from kerasish.datasets import arrays

RNG = np.random.default_rng(0)


class Server(http.server.BaseHTTPRequestHandler):
    """Serves what is in `files`; may break off, and understands ranges."""

    files: ClassVar[dict] = {}
    break_after: ClassVar[list] = []  # bytes after which the next replies break off
    asked: ClassVar[list] = []

    def do_GET(self):
        body = self.files.get(self.path.rsplit("/", 1)[-1])
        self.asked.append((self.path, self.headers.get("Range")))
        if body is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.md5(body).hexdigest()}"'
        start = 0
        if self.headers.get("Range") and self.headers.get("If-Range") == tag:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        rest = body[start:]
        self.wfile.write(rest[: self.break_after.pop(0)] if self.break_after else rest)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def url():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(Server, "files", {})
    monkeypatch.setattr(Server, "asked", [])
    monkeypatch.setattr(Server, "break_after", [])
    monkeypatch.setattr(http_download.time, "sleep", lambda seconds: None)
    return tmp_path / "cache"


def npz(**values):
    file = io.BytesIO()
    np.savez(file, **values)
    return file.getvalue()


def gz(array, header):
    return gzip.compress(b"\0" * header + array.tobytes())


def links(*members):
    """A tar archive of links and, where no target is given, files of one byte."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, int(not target)
            archive.addfile(info, io.BytesIO(b"!"))
    return file.getvalue()


THROUGH_LINKS = [
    [("a", tarfile.SYMTYPE, "b"), ("a/x", tarfile.REGTYPE, "")],
    [("a", tarfile.SYMTYPE, "b"), ("A", tarfile.REGTYPE, "")],
    [("a", tarfile.SYMTYPE, "b"), ("c/../a/d", tarfile.SYMTYPE, "e")],
    [("a", tarfile.SYMTYPE, "b"), ("x", tarfile.LNKTYPE, "a/y")],
]


def tar(files):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, body in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return file.getvalue()


def images(n, *shape):
    return RNG.integers(0, 256, (n, *shape)).astype("uint8")


def texts(n):
    return arrays.as_objects([RNG.integers(1, 40, RNG.integers(3, 12)).tolist() for _ in range(n)])


def cifar(names, n, keys):
    """Batches as CIFAR's: pickles whose keys are bytes."""
    made = {}
    for name in names:
        labels = {key.encode(): RNG.integers(0, 10, n).tolist() for key in keys}
        made[name] = pickle.dumps({b"data": images(n, 3072), **labels}, protocol=3)
    return made


MNIST = {
    "x_train": images(6, 28, 28),
    "y_train": images(6),
    "x_test": images(3, 28, 28),
    "y_test": images(3),
}
FASHION = {
    "train-labels-idx1-ubyte.gz": gz(images(5), 8),
    "train-images-idx3-ubyte.gz": gz(images(5, 28, 28), 16),
    "t10k-labels-idx1-ubyte.gz": gz(images(2), 8),
    "t10k-images-idx3-ubyte.gz": gz(images(2, 28, 28), 16),
}
BATCHES = [
    f"cifar-10-batches-py/{n}" for n in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
]
TEN = cifar(BATCHES, 4, ["labels"])
HUNDRED = ["cifar-100-python/train", "cifar-100-python/test"]
REVIEWS = {
    "x_train": texts(20), "y_train": RNG.integers(0, 2, 20),
    "x_test": texts(10), "y_test": RNG.integers(0, 2, 10),
}  # fmt: skip
NEWS = {"x": texts(30), "y": RNG.integers(0, 46, 30)}
HOUSES = {"x": RNG.normal(size=(30, 13)), "y": RNG.normal(size=30)}
DISTRICTS = {"x": RNG.normal(size=(700, 8)), "y": RNG.normal(size=700)}
FILES = {
    "mnist": {"mnist.npz": npz(**MNIST)},
    "fashion_mnist": FASHION,
    "cifar10": {"cifar-10-python.tar.gz": tar(TEN)},
    "cifar100": {
        "cifar-100-python.tar.gz": tar(cifar(HUNDRED, 4, ["fine_labels", "coarse_labels"]))
    },
    "imdb": {"imdb.npz": npz(**REVIEWS), "imdb_word_index.json": b'{"the": 1}'},
    "reuters": {"reuters.npz": npz(**NEWS), "reuters_word_index.json": b'{"of": 2}'},
    "boston_housing": {"boston_housing.npz": npz(**HOUSES)},
    "california_housing": {"california_housing.npz": npz(**DISTRICTS)},
}


@pytest.fixture
def served(url, monkeypatch):
    """Let one data set, here and in Keras, come from the local server."""

    def serve(name):
        module = getattr(datasets, name)
        Server.files = FILES[name]
        tail = module.ORIGIN.rsplit("/", 1)[-1]
        monkeypatch.setattr(module, "ORIGIN", url + tail)
        bodies = list(FILES[name].values())
        for constant, body in zip(("HASH", "WORDS_HASH"), bodies, strict=False):
            if hasattr(module, constant):
                monkeypatch.setattr(module, constant, hashlib.sha256(body).hexdigest())
        theirs = __import__(f"keras.src.datasets.{name}", fromlist=["load_data"])
        fetch = functools.partial(keras_fetch, url=url)
        monkeypatch.setattr(theirs, "get_file", fetch)
        return module, theirs

    return serve


def keras_fetch(fname=None, origin=None, url=None, file_hash=None, **options):
    options["cache_dir"] = os.environ["KERAS_HOME"]
    return oracle.utils.get_file(f"k-{fname}", url + origin.rsplit("/", 1)[-1], **options)


CASES = [
    ("mnist", {}),
    ("fashion_mnist", {}),
    ("cifar100", {}),
    ("cifar100", {"label_mode": "coarse"}),
    ("imdb", {}),
    ("imdb", {"num_words": 20, "skip_top": 5, "maxlen": 10, "seed": 7}),
    ("imdb", {"num_words": 20, "oov_char": None, "start_char": None, "index_from": 0}),
    ("reuters", {}),
    ("reuters", {"num_words": 25, "maxlen": 11, "test_split": 0.4, "start_char": None}),
    ("boston_housing", {}),
    ("boston_housing", {"test_split": 0.5, "seed": 1}),
    ("california_housing", {}),
    ("california_housing", {"version": "small"}),
]


def flat(result):
    return [array for part in result for array in part]


@pytest.mark.parametrize("name, options", CASES)
def test_same_arrays_as_keras(name, options, served):
    ours, theirs = served(name)
    for a, b in zip(
        flat(ours.load_data(**options)), flat(theirs.load_data(**options)), strict=True
    ):
        assert a.shape == b.shape and a.dtype == b.dtype
        assert a.tolist() == b.tolist() if a.dtype == object else np.array_equal(a, b)
    asked = len(Server.asked)
    ours.load_data(**options)
    assert len(Server.asked) == asked, "what is in the cache is not asked for again"


def test_cifar10(served):
    """Keras' own loader takes none but the 60,000 real images."""
    module, _ = served("cifar10")
    (x, y), (x_test, y_test) = module.load_data()
    assert (x.shape, y.shape, x_test.shape, y_test.shape) == (
        (20, 32, 32, 3),
        (20, 1),
        (4, 32, 32, 3),
        (4, 1),
    )
    assert {a.dtype.name for a in (x, y, x_test, y_test)} == {"uint8"}
    second = pickle.loads(TEN["cifar-10-batches-py/data_batch_2"])
    assert y[5, 0] == second[b"labels"][1]
    # A row of the file holds all reds, then all greens, then all blues.
    assert x[5, 3, 7, 2] == second[b"data"][1, 2 * 1024 + 3 * 32 + 7]


@pytest.mark.parametrize("name", FILES)
def test_signatures_are_keras(name):
    ours, theirs = getattr(datasets, name), getattr(oracle.datasets, name)
    public = [n for n in dir(theirs) if not n.startswith("_")]
    for function in public:
        wanted = inspect.signature(getattr(theirs, function)).parameters
        wanted = {n: p.default for n, p in wanted.items() if n != "kwargs"}
        found = inspect.signature(getattr(ours, function)).parameters
        assert list({n: p.default for n, p in found.items()}.items()) == list(wanted.items())


@pytest.mark.parametrize("name", ["imdb", "reuters"])
def test_word_numbers(name, served):
    module, _ = served(name)
    body = FILES[name][f"{name}_word_index.json"]
    assert module.get_word_index() == json.loads(body)


def test_topics_are_keras():
    assert datasets.reuters.get_label_names() == oracle.datasets.reuters.get_label_names()


def test_digits_need_no_download(url):
    (x, y), (x_test, y_test) = kerasish.datasets.digits.load_data(test_split=0.25)
    assert (x.shape, x_test.shape) == ((1347, 8, 8), (450, 8, 8))
    assert set(y) == set(y_test) == set(range(10))
    assert not Server.asked


# -- get_file

BODY = RNG.bytes(300_000)
SHA, MD5 = hashlib.sha256(BODY).hexdigest(), hashlib.md5(BODY).hexdigest()


def test_get_file_has_keras_signature():
    ours = inspect.signature(get_file).parameters.values()
    theirs = inspect.signature(oracle.utils.get_file).parameters.values()
    assert [(p.name, p.default) for p in ours] == [(p.name, p.default) for p in theirs]
    assert kerasish.utils.get_file is get_file


@pytest.mark.parametrize(
    "options",
    [
        {"file_hash": SHA},
        {"md5_hash": MD5},
        {"file_hash": MD5, "hash_algorithm": "md5"},
        {"file_hash": MD5},
        {},
    ],
)
def test_file_comes_once(url, cache, options):
    Server.files = {"a.bin": BODY}
    for _ in range(2):
        path = pathlib.Path(get_file(origin=url + "a.bin", **options))
        assert path == cache / "datasets" / "a.bin" and path.read_bytes() == BODY
    assert len(Server.asked) == 1
    get_file(origin=url + "a.bin", force_download=True)
    assert len(Server.asked) == 2
    assert [p.name for p in path.parent.iterdir()] == ["a.bin"]


def test_broken_transfer_goes_on(url):
    Server.files = {"a.bin": BODY}
    Server.break_after = [100_000, 50_000]
    path = pathlib.Path(get_file(origin=url + "a.bin", file_hash=SHA))
    assert path.read_bytes() == BODY
    assert [r for _, r in Server.asked] == [None, "bytes=100000-", "bytes=150000-"]


def test_broken_transfer_goes_on_in_the_next_process(url, cache):
    Server.files = {"a.bin": BODY}
    Server.break_after = [1000, 1000, 1000]
    with pytest.raises(RuntimeError, match="could not download"):
        get_file(origin=url + "a.bin")
    assert not (cache / "datasets" / "a.bin").exists()
    path = pathlib.Path(get_file(origin=url + "a.bin"))
    assert path.read_bytes() == BODY and Server.asked[-1][1] == "bytes=3000-"


def test_a_file_that_has_changed_starts_again(url):
    Server.files = {"a.bin": BODY}
    Server.break_after = [1000, 1000, 1000]
    with pytest.raises(RuntimeError, match="could not download"):
        get_file(origin=url + "a.bin")
    Server.files = {"a.bin": BODY[::-1]}
    assert pathlib.Path(get_file(origin=url + "a.bin")).read_bytes() == BODY[::-1]


def test_wrong_hash_keeps_nothing(url, cache):
    Server.files = {"a.bin": BODY}
    with pytest.raises(
        ValueError, match=f"its hash is {SHA}; wanted {SHA[::-1]}. Nothing was kept"
    ):
        get_file(origin=url + "a.bin", file_hash=SHA[::-1])
    assert list((cache / "datasets").iterdir()) == []


def test_damaged_file_is_fetched_again(url, cache):
    Server.files = {"a.bin": BODY}
    path = pathlib.Path(get_file(origin=url + "a.bin", file_hash=SHA))
    path.write_bytes(b"damage")
    assert pathlib.Path(get_file(origin=url + "a.bin", file_hash=SHA)).read_bytes() == BODY


@pytest.mark.parametrize(
    "fname, folder", [("things", "things"), ("things.tgz", "things_extracted")]
)
def test_archives(url, cache, fname, folder):
    Server.files = {"a.tar.gz": tar({"inner/x.txt": b"text"})}
    found = get_file(fname, url + "a.tar.gz", extract=True)
    assert pathlib.Path(found) == cache / "datasets" / folder
    assert pathlib.Path(found, "inner/x.txt").read_bytes() == b"text"
    assert get_file(fname, url + "a.tar.gz", untar=True) == found
    assert len(Server.asked) == 1


def test_zip_and_strangers(url, cache):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.txt", "text")
    Server.files = {"a.zip": file.getvalue(), "b.bin": BODY, "evil.tar": tar({"../evil": b"!"})}
    found = get_file(origin=url + "a.zip", fname="zipped", extract=True)
    assert pathlib.Path(found, "x.txt").read_text() == "text"
    with pytest.raises(ValueError, match="is not an archive of the kind"):
        get_file("b", url + "b.bin", extract=True)
    with pytest.raises(ValueError, match=r"evil.* cannot be extracted: .*outside"):
        get_file("evil", url + "evil.tar", extract=True)
    for i, members in enumerate(THROUGH_LINKS):
        Server.files[f"evil{i}.tar"] = links(*members)
        with pytest.raises(ValueError, match=r"writes '\w.*' through a link: refused"):
            get_file(f"evil{i}", url + f"evil{i}.tar", extract=True)
    assert not (cache / "datasets" / "evil").exists() and not (cache / "evil").exists()


def test_offline_says_what_to_do():
    with pytest.raises(
        RuntimeError, match=r"Is there a network\? Without one, put the file at .*mnist.npz"
    ):
        get_file("mnist.npz", "http://127.0.0.1:9/mnist.npz")


def test_absent_file_says_so(url):
    with pytest.raises(RuntimeError, match=r"could not download .*nothing.bin \(404"):
        get_file(origin=url + "nothing.bin")
    assert len(Server.asked) == 1


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_files_run_no_code(url, tmp_path, monkeypatch, capsys):
    path = tmp_path / "evil.npz"
    np.savez(path, x=np.array([Evil()], dtype="object"))
    with pytest.raises(pickle.UnpicklingError, match="it is not plain data"):
        arrays.read_npz(path)
    assert "code ran" not in capsys.readouterr().out


BAD = [
    (lambda: get_file(), r"get_file: `origin` must be a URL; got None"),
    (lambda: get_file("a/b", "http://x/y"), r"`fname` must be a file's name, without a folder"),
    (lambda: datasets.cifar100.load_data("x"), r"`label_mode` must be 'fine' or 'coarse'; got 'x'"),
    (lambda: datasets.boston_housing.load_data(test_split=1), r"`test_split` must be from 0, less"),
    (
        lambda: datasets.california_housing.load_data("huge"),
        r"`version` must be 'small' or 'large'",
    ),
]


@pytest.mark.parametrize("make, message", BAD)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
