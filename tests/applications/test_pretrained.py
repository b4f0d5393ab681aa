"""Where weights come from: Keras' addresses and hashes, files, and what is said of wrong ones."""

import functools
import http.server
import threading
import warnings

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving import legacy_h5_format

import kerasish
from kerasish.applications import pretrained

ALL = sorted(name for name in kerasish.applications.__all__ if name[0].isupper())
QUICK = ("EfficientNetB0", "MobileNetV3Small", "ResNet50V2")
MOBILE = {"alpha": 0.25, "input_shape": (128, 128, 3)}


@pytest.fixture(autouse=True)
def nothing_left():
    """Let no later test give values to what Keras has yet to give some."""
    yield
    keras.utils.clear_session(free_memory=False)


def asked(module, patch, get_file_home, name, **options):
    """The file that a builder asks for, and the layers of its model."""
    calls = []

    def get_file(fname=None, origin=None, file_hash=None, cache_subdir="datasets"):
        calls.append((fname, origin, file_hash, cache_subdir))

    patch.setattr(get_file_home, "get_file", get_file)
    patch.setattr(module.Model, "load_weights", lambda self, path: None)
    module.utils.clear_session(free_memory=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(module.applications, name)(**options)
    return calls, [layer.name for layer in model.layers], model.count_params()


def assert_asks_as_keras(patch, name, **options):
    with keras.StatelessScope(initialize_variables=False):
        home = keras.src.utils.file_utils
        theirs = asked(keras, patch, home, name, **options)
    assert asked(kerasish, patch, pretrained, name, **options) == theirs


@pytest.mark.parametrize("include_top", [True, False])
@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in ALL]
)
def test_files_and_hashes_are_those_of_keras(monkeypatch, name, include_top):
    assert_asks_as_keras(monkeypatch, name, include_top=include_top)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *[("MobileNet", {"alpha": alpha}) for alpha in (0.25, 0.5, 0.75)],
        ("MobileNet", {"input_shape": (160, 160, 3), "include_top": False}),
        ("MobileNet", {"input_shape": (100, 160, 3), "include_top": False}),
        ("MobileNetV2", {"alpha": 0.35, "input_shape": (96, 96, 3)}),
        ("MobileNetV2", {"alpha": 1.4, "include_top": False}),
        ("MobileNetV3Small", {"alpha": 0.75}),
        ("MobileNetV3Large", {"minimalistic": True, "include_top": False}),
    ],
)
def test_files_of_variants_are_those_of_keras(monkeypatch, name, options):
    assert_asks_as_keras(monkeypatch, name, **options)


# -- downloads, from a server here


class Server(http.server.BaseHTTPRequestHandler):
    """Serves one file under every name that ends in `.h5`; may break off once."""

    body = b""
    break_after: int | None = None

    def do_GET(self):
        server, given = type(self), self.headers.get("Range")
        start = int(given.removeprefix("bytes=").removesuffix("-")) if given else 0
        if not self.path.endswith(".h5"):
            self.send_error(404)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(server.body) - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        end, server.break_after = server.break_after, None
        self.wfile.write(server.body[start:end])

    def log_message(self, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    kind = type("Once", (Server,), {})
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(pretrained, "_STORAGE", f"http://127.0.0.1:{running.server_port}/")
    yield kind
    running.shutdown()
    running.server_close()
    thread.join()


@functools.cache
def weights_of_keras(folder):
    model = keras.applications.MobileNet(weights=None, include_top=False, **MOBILE)
    with h5py.File(folder / "x.h5", "w") as file:
        legacy_h5_format.save_weights_to_hdf5_group(file, model)
    return (folder / "x.h5").read_bytes(), [np.asarray(w) for w in model.weights]


def mobile_net(**options):
    return kerasish.applications.MobileNet(**{"include_top": False, **MOBILE, **options})


def test_weights_are_fetched_once_resumed_and_kept_where_keras_keeps_them(
    server, tmp_path, tmp_path_factory
):
    server.body, wanted = weights_of_keras(tmp_path_factory.getbasetemp())
    server.break_after = 100_000
    models = [mobile_net()]
    assert (tmp_path / "models" / "mobilenet_2_5_128_tf_no_top.h5").read_bytes() == server.body
    server.body = b""
    models.append(mobile_net())
    for model in models:
        for one, other in zip(model.weights, wanted, strict=True):
            np.testing.assert_array_equal(one, other)


def test_without_a_network_the_error_says_what_to_put_where(server, tmp_path, monkeypatch):
    monkeypatch.setattr(pretrained, "_STORAGE", "http://127.0.0.1:9/")
    place = tmp_path / "models" / "mobilenet_2_5_128_tf_no_top.h5"
    address = r"http://127\.0\.0\.1:9/mobilenet/mobilenet_2_5_128_tf_no_top\.h5"
    with pytest.raises(RuntimeError, match=rf"could not download {address} .*the file at {place}"):
        mobile_net()


def test_a_file_with_another_hash_is_refused(server, monkeypatch):
    server.body = b"<html>"
    name = "mobilenet_2_5_128_tf"
    monkeypatch.setitem(pretrained._HASHES, name, ("0" * 32, "1" * 32))
    with pytest.raises(ValueError, match=r"its hash is .*; wanted 11111"):
        mobile_net()


def test_a_file_that_is_none_of_weights_is_refused(server):
    server.body = b"<html>"
    with pytest.raises(ValueError, match=r"mobilenet_2_5_128_tf_no_top\.h5"):
        mobile_net()


# -- wrong arguments

WRONG = [
    ("VGG16", {"weights": "imagenett"}, r"VGG16: `weights` must be .*There is no such file"),
    ("ResNet50", {"weights": 3}, r"`weights` must be None .*; got 3"),
    ("ResNet50", {"classes": 10}, r"`classes` must be 1000 with .*; got 10"),
    ("ResNet50", {"classifier_activation": "relu"}, r"must be None or 'softmax'.*; got 'relu'"),
    ("ResNet50", {"input_shape": (200, 200, 3)}, r"must be \(224, 224, 3\) with .*imagenet"),
    ("ResNet50", {"input_shape": (200, 200, 1), "include_top": False}, r"of 3 channels"),
    ("ResNet50", {"input_shape": (31, 99, 3), "weights": None}, r"at least 32 by 32; got \(31,"),
    ("InceptionV3", {"input_shape": (74, 99, 3), "weights": None}, r"at least 75 by 75"),
    ("Xception", {"input_shape": (99, 70, 3), "weights": None}, r"at least 71 by 71"),
    ("MobileNetV3Large", {"input_shape": (31, 99, 3), "weights": None}, r"at least 32 by 32"),
    (
        "VGG19",
        {"input_shape": (64, 64), "weights": None},
        r"a tuple of three sizes; got \(64, 64\)",
    ),
    ("DenseNet121", {"input_shape": (None, None, 3), "weights": None}, r"known in all sizes"),
    ("VGG16", {"pooling": "mean", "weights": None, "include_top": False}, r"'avg' or 'max'"),
    ("VGG16", {"input_tensor": np.ones((1, 64, 64, 3)), "weights": None}, r"a symbolic tensor"),
    ("MobileNet", {"alpha": 0.3}, r"`alpha` must be one of \(0\.25, 0\.5, 0\.75, 1\.0\)"),
    ("MobileNet", {"depth_multiplier": 2}, r"`depth_multiplier` must be 1"),
    ("MobileNetV2", {"alpha": 0.3}, r"`alpha` must be one of"),
    ("MobileNetV3Small", {"alpha": 0.5}, r"`alpha` must be one of \(0\.75, 1\.0\)"),
    (
        "MobileNetV3Small",
        {"alpha": 0.75, "minimalistic": True},
        r"`alpha` must be one of \(1\.0,\)",
    ),
    ("NASNetLarge", {"input_shape": (None, None, 3), "include_top": False}, r"known in all sizes"),
]


@pytest.mark.parametrize(("name", "options", "text"), WRONG)
def test_wrong_arguments_are_refused_as_in_keras(name, options, text):
    with pytest.raises(ValueError, match=text):
        getattr(kerasish.applications, name)(**options)
    if options.get("pooling") != "mean":  # which Keras takes for None
        with pytest.raises((ValueError, TypeError, AttributeError)):
            getattr(keras.applications, name)(**options)


def test_two_shapes_that_differ_are_refused():
    tensor = kerasish.Input((96, 96, 3))
    with pytest.raises(ValueError, match=r"that of `input_tensor`, \(96, 96, 3\), or None; got"):
        mobile_net(weights=None, input_tensor=tensor)


def test_odd_channels_and_sizes_are_warned_of(monkeypatch):
    with pytest.warns(UserWarning, match=r"made for images of 1 or 3 channels; .* has 5"):
        mobile_net(weights=None, input_shape=(64, 64, 5))
    monkeypatch.setattr(pretrained, "get_file", lambda *args, **options: None)
    with pytest.warns(UserWarning, match=r"for 224 are loaded, though `input_shape` is \(64, 64"):
        mobile_net(input_shape=(64, 64, 3))
