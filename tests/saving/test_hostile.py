"""Files from strangers are refused with a reason that names the file; nothing runs or changes."""

import io
import json
import os
import pathlib
import random
import re
import resource
import shutil
import subprocess
import sys
import warnings
import zipfile

import h5py
import numpy as np
import pytest

import kerasish
from kerasish import layers
from tests.support.mutations import HUGE, mutate

A_ROW = {"value": [[0.0] * 4], "dtype": "float32"}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A `.keras` file of a model with a graph, an op and an optimizer, and its weights alone."""
    folder = tmp_path_factory.mktemp("good")
    x = kerasish.Input((4,))
    h = layers.BatchNormalization()(layers.Dense(3, "relu")(x))
    model = kerasish.Model(x, layers.Dense(2, kernel_regularizer="l2")(h) * 2)
    model.compile("adam", "mse", metrics=["mae"])
    model.train_on_batch(np.ones((2, 4), "f4"), np.ones((2, 2), "f4"))
    model.save(folder / "good.keras")
    model.save_weights(folder / "good.weights.h5")
    return folder


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, contents, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in contents.items() if isinstance(contents, dict) else contents:
            archive.writestr(name, data)
    return path


def with_config(good, path, change):
    contents = members(good / "good.keras")
    config = json.loads(contents["config.json"])
    config = change(config) or config
    contents["config.json"] = config if isinstance(config, str | bytes) else json.dumps(config)
    return pack(path, contents)


def assert_refused(path, pattern):
    with pytest.raises((ValueError, TypeError), match=pattern or ".") as error:
        kerasish.models.load_model(path)
    assert path.name in str(error.value)


# -- configs


def first_layer(change):
    def act(config):
        change(config["config"]["layers"][1])

    return act


def nested(depth):
    return '{"class_name":"Sequential","config":{"layers":[' * depth + "]}}" * depth


def deep_activation(layer):
    inner = "relu"
    for _ in range(300):  # JSON can be written so deep, but not made into objects
        inner = {"class_name": "Dense", "config": {"units": 1, "activation": inner}}
    layer["config"]["activation"] = inner


CONFIGS = {
    "a module to import": (
        first_layer(lambda e: e.update(module="os", class_name="system", registered_name=None)),
        "Unknown class 'system'",
    ),
    "a function of a module": (
        first_layer(
            lambda e: e["config"].update(
                activation={"module": "os", "class_name": "function", "config": "system"}
            )
        ),
        "Unknown function",
    ),
    "a builtin": (
        first_layer(
            lambda e: e["config"].update(
                activation={"module": "builtins", "class_name": "function", "config": "eval"}
            )
        ),
        "Unknown function",
    ),
    "a lambda": (
        first_layer(
            lambda e: e["config"].update(
                activation={"class_name": "__lambda__", "config": {"code": "4wAAAA=="}}
            )
        ),
        "Code is never read from a file",
    ),
    "a lambda that turns safe mode off": (
        first_layer(
            lambda e: e.update(
                class_name="Lambda",
                safe_mode=False,
                config={
                    "safe_mode": False,
                    "function": {
                        "class_name": "__lambda__",
                        "config": {"code": "4wAA"},
                        "safe_mode": False,
                    },
                },
            )
        ),
        "Code is never read from a file",
    ),
    "an optimizer for a layer": (
        first_layer(lambda e: e.update(module="keras.optimizers", class_name="Adam", config={})),
        "",
    ),
    "a layer for the model": (
        lambda c: c.update(module="keras.layers", class_name="Dense", config={"units": 3}),
        "describes a Dense, which is no model",
    ),
    "a function for the model": (
        lambda c: {"module": "builtins", "class_name": "function", "config": "relu"},
        "which is no model",
    ),
    "a layer by another layer's name": (first_layer(lambda e: e.update(class_name="Flatten")), ""),
    "an op that is none": (
        lambda c: c["config"]["layers"][-1].update(class_name="System"),
        "op keras.src.ops.numpy.System, unknown",
    ),
    "an op of another module": (
        lambda c: c["config"]["layers"][-1].update(module="keras.src.ops.os"),
        "unknown here",
    ),
    "huge weights": (
        first_layer(lambda e: e["config"].update(units=HUGE)),
        "far more than the file holds",
    ),
    "many large weights": (
        lambda c: c.update(
            class_name="Sequential",
            module="keras",
            config={
                "layers": [
                    {
                        "class_name": "Dense",
                        "config": {"units": 6000},
                        "build_config": {"input_shape": [None, 6000]},
                    }
                    for _ in range(1000)
                ],
            },
        ),
        "far more than the file holds",
    ),
    "negative units": (first_layer(lambda e: e["config"].update(units=-3)), "units"),
    "units not a number": (first_layer(lambda e: e["config"].update(units=float("nan"))), "units"),
    "infinite units": (first_layer(lambda e: e["config"].update(units=float("inf"))), "units"),
    "a list for the model": (lambda c: "[1, 2]", "must be a JSON object"),
    "no JSON": (lambda c: "{'a': 1}", "is not JSON"),
    "not text": (lambda c: b"\xff\xfe\x00", "is damaged"),
    "a number of a million digits": (lambda c: '{"a": ' + "9" * 10**6 + "}", "is not JSON"),
    "deep JSON": (lambda c: "[" * 10**6, "is not JSON"),
    "deep models": (lambda c: nested(900), "nested too deeply|cannot make the model|is not JSON"),
    "deep objects": (first_layer(deep_activation), "nested too deeply|is not JSON"),
    "a cycle in the graph": (
        lambda c: c["config"]["layers"][1]["inbound_nodes"][0]["args"][0]["config"].update(
            keras_history=[c["config"]["layers"][2]["name"], 0, 0]
        ),
        "",
    ),
    "an op on no tensor": (
        lambda c: c["config"]["layers"].append(
            {
                "module": "keras.src.ops.numpy",
                "class_name": "Ones",
                "config": {"name": "x"},
                "name": "x",
                "inbound_nodes": [{"args": [[10**5, 10**5]], "kwargs": {}}],
            }
        ),
        "calls 'x' on no tensor, so that making the model would compute: refused",
    ),
    "a layer on an array": (
        lambda c: c["config"]["layers"][1]["inbound_nodes"].append(
            {
                "args": [
                    {
                        "class_name": "__tensor__",
                        "config": {"value": [[0.0] * 4], "dtype": "float32"},
                    }
                ],
                "kwargs": {},
            }
        ),
        "on no tensor",
    ),
    "millions of objects": (
        lambda c: '{"a": [' + "[]," * 2**22 + "[]]}",
        "larger than any that is",
    ),
    "a download (CVE-2025-8747)": (
        first_layer(
            lambda e: e.update(
                class_name="Lambda",
                config={
                    "function": {
                        "module": "keras.utils",
                        "class_name": "function",
                        "config": "get_file",
                        "registered_name": "get_file",
                    },
                    "arguments": {"origin": "http://127.0.0.1:9/x", "fname": "x"},
                },
            )
        ),
        "Unknown function 'get_file'",
    ),
    "a setting of Keras (CVE-2025-9906)": (
        lambda c: {
            "module": "keras.src.saving.serialization_lib",
            "class_name": "function",
            "config": "enable_unsafe_deserialization",
            "registered_name": "enable_unsafe_deserialization",
        },
        "Unknown function 'enable_unsafe_deserialization'",
    ),
    "a pickled module of PyTorch": (
        first_layer(
            lambda e: e.update(class_name="TorchModuleWrapper", config={"module": "gASVAAA="})
        ),
        "works with the PyTorch backend only",
    ),
    "a file to read words from (CVE-2025-12058)": (
        first_layer(
            lambda e: e.update(class_name="StringLookup", config={"vocabulary": "/etc/passwd"})
        ),
        "",
    ),
    "a string as large as memory": (
        first_layer(
            lambda e: e["config"].update(
                activation={
                    "class_name": "__numpy__",
                    "config": {"value": ["a"] * 9, "dtype": "S999999999"},
                }
            )
        ),
        "",
    ),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_hostile_configs(case, good, tmp_path, recwarn):
    change, pattern = CONFIGS[case]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    modules = set(sys.modules)
    path = with_config(good, tmp_path / "bad.keras", change)
    assert_refused(path, pattern)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 700_000, f"memory grew by {grown} KiB"
    assert not {name for name in set(sys.modules) - modules if name.split(".")[0] == "os"}


# -- archives


def encrypted(path):
    data = bytearray(path.read_bytes())
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for hit in re.finditer(re.escape(signature), bytes(data)):
            data[hit.start() + at] |= 1
    path.write_bytes(data)


def bomb(good, path):
    contents = members(good / "good.keras")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", contents["model.weights.h5"])
        archive.writestr("config.json", b" " * (300 * 2**20), zipfile.ZIP_DEFLATED)


def bomb_of_weights(good, path):
    contents = members(good / "good.keras")
    weights = contents["model.weights.h5"] + bytes(70 * 2**20 - len(contents["model.weights.h5"]))
    pack(path, {**contents, "model.weights.h5": weights}, zipfile.ZIP_DEFLATED)


def drop_sums(path):
    """Let a file be as Keras writes it: with the archive's checksum alone."""
    contents = members(path)
    file = io.BytesIO(contents["model.weights.h5"])
    with h5py.File(file, "r+") as h5:
        h5.visititems(lambda name, node: node.attrs.pop("sum", None) and None)
    pack(path, {**contents, "model.weights.h5": file.getvalue()})


def claim(field, value):
    """Change a 4-byte number of the weights' entry in the central directory."""

    def act(good, path):
        shutil.copy(good / "good.keras", path)
        drop_sums(path)
        data = bytearray(path.read_bytes())
        at = data.rindex(b"PK\x01\x02") + {"crc": 16, "packed": 20, "size": 24, "offset": 42}[field]
        data[at : at + 4] = value.to_bytes(4, "little")
        path.write_bytes(data)

    return act


def twice(good, path):
    contents = list(members(good / "good.keras").items())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pack(path, [*contents, contents[1]])


ARCHIVES = {
    "a path up": (
        lambda g, p: pack(p, {**members(g / "good.keras"), "../../evil.txt": "x"}),
        "leads elsewhere",
    ),
    "an absolute path": (
        lambda g, p: pack(p, {**members(g / "good.keras"), "/etc/evil": "x"}),
        "leads elsewhere",
    ),
    "a Windows path": (
        lambda g, p: pack(p, {**members(g / "good.keras"), "C:\\evil": "x"}),
        "leads elsewhere",
    ),
    "a member twice": (twice, "twice"),
    "an encrypted member": (
        lambda g, p: (shutil.copy(g / "good.keras", p), encrypted(p)),
        "encrypted",
    ),
    "a bomb": (bomb, "which is refused"),
    "a bomb of weights": (bomb_of_weights, "model.weights.h5 claims 73400320 bytes, which is ref"),
    "another packing": (
        lambda g, p: pack(p, members(g / "good.keras"), zipfile.ZIP_BZIP2),
        "packed in a way that is refused",
    ),
    "a huge size claimed": (claim("size", 2**31), ""),
    "a huge packed size claimed": (claim("packed", 2**31), ""),
    "another place claimed": (claim("offset", 10), ""),
    "a wrong checksum": (claim("crc", 12345), "bad.keras is damaged: its checksum does not fit"),
    "no weights": (
        lambda g, p: pack(p, {"config.json": members(g / "good.keras")["config.json"]}),
        "has no model.weights.h5",
    ),
    "no zip": (lambda g, p: p.write_bytes(b"hello"), "not a whole `.keras` file"),
    "nothing": (lambda g, p: p.write_bytes(b""), "not a whole `.keras` file"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_hostile_archives(case, good, tmp_path):
    make, pattern = ARCHIVES[case]
    path = tmp_path / "bad.keras"
    make(good, path)
    assert_refused(path, pattern)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.keras"]


# -- HDF5


def replace(h5, make):
    group = h5["layers/dense/vars"]
    del group["0"]
    make(group, h5)


def virtual(group, h5):
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
    group.create_virtual_dataset("0", layout)


DATASETS = {
    "an external link": (
        lambda g, h: g.__setitem__("0", h5py.ExternalLink("/etc/passwd", "/x")),
        "link to elsewhere",
    ),
    "a soft link": (
        lambda g, h: g.__setitem__("0", h5py.SoftLink("/layers/dense_1/vars/0")),
        "link",
    ),
    "a virtual array": (virtual, "stored outside this file"),
    "an external array": (
        lambda g, h: g.create_dataset("0", (4, 3), "f4", external=[("/etc/passwd", 0, 48)]),
        "stored outside this file",
    ),
    "a huge empty array": (lambda g, h: g.create_dataset("0", (HUGE, 3), "f4"), "claims"),
    "a huge chunked array": (
        lambda g, h: g.create_dataset(
            "0", (10**6, 10**6), "f4", chunks=(100, 100), compression="gzip"
        ),
        "claims",
    ),
    "a bomb": (
        lambda g, h: g.create_dataset(
            "0", data=np.zeros((10**8,), "i1"), compression="gzip", chunks=(10**7,)
        ),
        "must have shape|refused",
    ),
    "text": (lambda g, h: g.create_dataset("0", data="hello"), "holds no numbers"),
    "text for numbers": (
        lambda g, h: g.create_dataset("0", data=np.full((4, 3), b"a")),
        "holds no numbers",
    ),
    "records": (
        lambda g, h: g.create_dataset("0", (4, 3), np.dtype([("a", "f4"), ("b", "f4")])),
        "claims|no numbers|fit",
    ),
    "a group": (lambda g, h: g.create_group("0"), "is no array"),
    "nothing": (lambda g, h: None, "has 2 weights; the file has 1"),
    "one too many": (
        lambda g, h: (
            g.create_dataset("0", data=np.zeros((4, 3), "f4")),
            g.create_dataset("9", data=1.0),
        ),
        "has 2 weights; the file has 3",
    ),
    "another shape": (
        lambda g, h: g.create_dataset("0", data=np.zeros((3, 4), "f4")),
        r"must have shape \(4, 3\); the file's has \(3, 4\)",
    ),
    "a scalar": (lambda g, h: g.create_dataset("0", data=np.float32(1)), "must have shape"),
    "the group as a link": (
        lambda g, h: (
            h.__delitem__("layers/dense"),
            h["layers"].__setitem__("dense", h5py.SoftLink("/")),
        ),
        "link to elsewhere",
    ),
    "an array for the group": (
        lambda g, h: (h.__delitem__("layers/dense"), h.__setitem__("layers/dense", 1.0)),
        "",
    ),
}


@pytest.mark.parametrize("case", DATASETS)
def test_hostile_weights_change_nothing(case, good, tmp_path):
    make, pattern = DATASETS[case]
    path = tmp_path / "bad.weights.h5"
    shutil.copy(good / "good.weights.h5", path)
    with h5py.File(path, "r+") as h5:
        replace(h5, make)
    model = kerasish.models.load_model(good / "good.keras")
    before = [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]
    with pytest.raises(ValueError, match=pattern or ".") as error:
        model.load_weights(path)
    assert path.name in str(error.value)
    after = [np.asarray(v) for v in (*model.variables, *model.optimizer.variables)]
    assert all(map(np.array_equal, before, after))


def test_packed_weights_of_the_right_shape_are_read(good, tmp_path):
    path = tmp_path / "packed.weights.h5"
    shutil.copy(good / "good.weights.h5", path)
    values = np.arange(12, dtype="f4").reshape(4, 3)
    with h5py.File(path, "r+") as h5:
        replace(
            h5, lambda g, h: g.create_dataset("0", data=values, compression="gzip", shuffle=True)
        )
    model = kerasish.models.load_model(good / "good.keras")
    model.load_weights(path)
    np.testing.assert_array_equal(model.layers[1].kernel, values)


def test_maps_of_shards_lead_nowhere_else(good, tmp_path):
    model = kerasish.models.load_model(good / "good.keras")
    path = tmp_path / "x.weights.json"
    for name in ("../good.weights.h5", "/etc/passwd", "..", "", 3, None, "missing.weights.h5"):
        path.write_text(json.dumps({"weight_map": {"/layers/dense/vars": [name]}}))
        with pytest.raises(ValueError, match=r"x\.weights\.json names") as error:
            model.load_weights(path)
        assert "refused" in str(error.value) or "not there" in str(error.value)


def tensors(header):
    """A `.safetensors` file of this header and no bytes."""
    return len(header).to_bytes(8, "little") + header.encode()


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "is no whole"),
        (b"\xff" * 8, "its header ends at byte"),
        (tensors("[]"), "its header must"),
        (tensors("[")[:-1], "its header ends at byte 9 of 8"),
        (tensors('{"a": '), "its header is not JSON"),
        (
            tensors('{"dense": {"dtype": "F32", "shape": [1], "data_offsets": [0, 99999999999]}}'),
            "ends at byte 9999",
        ),
        (tensors('{"dense": {"dtype": "OBJ", "shape": [1], "data_offsets": [0, 0]}}'), "OBJ"),
    ],
)
def test_hostile_tensors(content, fault, good, tmp_path):
    model = kerasish.models.load_model(good / "good.keras")
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match=f"x.safetensors.*{fault}"):
        model.load_weights(tmp_path / "x.safetensors")


def test_tensors_that_overlap_are_refused(good, tmp_path):
    model = kerasish.models.load_model(good / "good.keras")
    entry = {"dtype": "F32", "shape": [12], "data_offsets": [0, 48]}
    header = json.dumps({f"layers/dense/vars/{i}": entry for i in range(2)}).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(48))
    with pytest.raises(ValueError, match=r"x\.safetensors is no whole.*overlaps another"):
        model.load_weights(path)


def swap(h5):
    """Let two arrays of one shape change their names, checksums and all."""
    group = h5["layers/batch_normalization/vars"]
    group.move("0", "x")
    group.move("1", "0")
    group.move("x", "1")


def test_an_array_in_anothers_place_is_found(good, tmp_path):
    path = tmp_path / "bad.weights.h5"
    shutil.copy(good / "good.weights.h5", path)
    with h5py.File(path, "r+") as h5:
        swap(h5)
    model = kerasish.models.load_model(good / "good.keras")
    with pytest.raises(ValueError, match=r"vars/0 is damaged: its checksum does not fit"):
        model.load_weights(path)


def test_loaded_weights_outlive_the_file(tmp_path):
    model = kerasish.Sequential([kerasish.Input((600,)), layers.Dense(600, use_bias=False)])
    right = model.get_weights()[0]
    for end in ("weights.h5", "safetensors", "keras"):
        path = tmp_path / f"x.{end}"
        (model.save if end == "keras" else model.save_weights)(path)
        model.set_weights([np.zeros_like(right)])
        model.load_weights(path)
        path.write_bytes(bytes(path.stat().st_size))
        path.unlink()
        np.testing.assert_array_equal(model.get_weights()[0], right)


@pytest.mark.parametrize(
    ("config", "pattern"),
    [
        (b"{", "is not JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"class_name": "system", "module": "os", "config": {}}', "Unknown class 'system'"),
        (b'{"class_name": "Dense", "config": {"units": 2}}', "which is no model"),
        (
            b'{"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", '
            b'"config": {"function": {"class_name": "__lambda__", "config": {}}}}]}}',
            "Code is never read from a file",
        ),
    ],
)
def test_hostile_older_files(config, pattern, tmp_path):
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as h5:
        h5.attrs["model_config"] = config
        h5.attrs["training_config"] = "{}"
        h5["model_weights"] = h5py.ExternalLink("/etc/passwd", "/")
    assert_refused(path, pattern)


# -- accidents


def outcome(load, model, folder):
    """The model that came, or `None` for a clear error that names the file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return load(model, folder) or model
    except (ValueError, TypeError) as error:
        assert str(folder) in str(error), f"{type(error).__name__}: {error}"
    except UserWarning as warning:
        assert str(folder) in str(warning)
    return None


def everything(model):
    return [np.array(v) for v in (*model.weights, *model.optimizer.variables)]


def damaged(data, rng, how):
    data = bytearray(data)
    if how == "truncated":
        return data[: rng.randrange(len(data))]
    for _ in range(rng.choice([1, 1, 1, 4, 64])):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def load_model(name):
    return lambda model, folder: kerasish.models.load_model(folder / name)


def load_weights(name):
    return lambda model, folder: model.load_weights(folder / name)


DAMAGED = {  # how to save and to load, and how often to try
    ".keras": (lambda m, p: m.save(p / "x.keras"), load_model("x.keras"), 60),
    ".h5": (lambda m, p: m.save(p / "x.h5"), load_model("x.h5"), 60),
    ".keras as Keras writes it": (
        lambda m, p: (m.save(p / "x.keras"), drop_sums(p / "x.keras")),
        load_model("x.keras"),
        60,
    ),
    "folder": (lambda m, p: m.save(p / "x", zipped=False), load_model("x"), 60),
    ".weights.h5": (
        lambda m, p: m.save_weights(p / "x.weights.h5"),
        load_weights("x.weights.h5"),
        200,
    ),
    "shards": (
        lambda m, p: m.save_weights(p / "x.weights.json", max_shard_size=1e-7),
        load_weights("x.weights.json"),
        80,
    ),
    ".safetensors": (
        lambda m, p: m.save_weights(p / "x.safetensors"),
        load_weights("x.safetensors"),
        200,
    ),
}


@pytest.mark.parametrize("how", ["truncated", "flipped"])
@pytest.mark.parametrize("name", DAMAGED)
@pytest.mark.filterwarnings("ignore:.*older HDF5 format:UserWarning")
def test_damaged_files_give_an_error_or_the_right_weights(name, how, good, tmp_path):
    rng, (save, load, times) = random.Random(name + how), DAMAGED[name]
    model = kerasish.models.load_model(good / "good.keras")
    right, right_ones = everything(model), 0
    save(model, tmp_path)
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    sizes = [path.stat().st_size for path in files]
    for _ in range(times):
        (path,) = rng.choices(files, sizes)
        whole = path.read_bytes()
        path.write_bytes(damaged(whole, rng, how))
        found = outcome(load, model, tmp_path)
        path.write_bytes(whole)
        assert found is None or all(map(np.array_equal, everything(found), right))
        assert all(map(np.array_equal, everything(model), right))
        right_ones += found is not None
    assert how == "flipped" or right_ones == 0 or path.name == "metadata.json"


def fuzz_configs(good, tmp_path, count, seed):
    """Load `count` mutated configs; how many loaded, and how many were refused."""
    rng, contents = random.Random(seed), members(good / "good.keras")
    original, path = contents["config.json"].decode(), tmp_path / "bad.keras"
    weights, loaded = contents["model.weights.h5"], 0
    for _ in range(count):
        config = json.loads(original)
        for _ in range(rng.choice([1, 1, 2, 5])):
            config = mutate(config, rng)
        pack(path, {"config.json": json.dumps(config), "model.weights.h5": weights})
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kerasish.models.load_model(path)
            loaded += 1
        except (ValueError, TypeError) as error:
            assert path.name in str(error), f"{config}: {type(error).__name__}: {error}"
    return loaded


def test_mutated_configs_load_or_say_why_not(good, tmp_path):
    assert 0 < fuzz_configs(good, tmp_path, 300, seed=0) < 300


@pytest.mark.slow
def test_ten_thousand_mutated_configs_load_or_say_why_not(good, tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert 0 < fuzz_configs(good, tmp_path, 10_000, seed=1) < 10_000
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 2_000_000, f"memory grew by {grown} KiB"


# -- saving


FULL_DISK = """
import pathlib, resource, signal, sys, warnings
import kerasish
sys.path.insert(0, sys.argv[2])
from test_hostile import DAMAGED
warnings.simplefilter("ignore")
model = kerasish.models.load_model(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for save, *_ in DAMAGED.values():
    try:
        save(model, pathlib.Path("."))
    except (OSError, ValueError, RuntimeError) as error:
        print("failed:", type(error).__name__)
"""


@pytest.mark.filterwarnings("ignore:.*older HDF5 format:UserWarning")
def test_a_full_disk_leaves_the_old_file(good, tmp_path):
    model = kerasish.models.load_model(good / "good.keras")
    for save, *_ in DAMAGED.values():
        save(model, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    here = pathlib.Path(__file__).parent
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, good / "good.keras", here],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.stdout.count("failed:") == len(DAMAGED), run.stdout + run.stderr
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("renamed", range(5))
def test_shards_are_those_of_before_or_of_after(renamed, tmp_path, monkeypatch):
    model = kerasish.Sequential([kerasish.Input((4,)), layers.Dense(3), layers.Dense(2)])
    path, values, left = tmp_path / "x.weights.json", model.get_weights(), [renamed]

    def replace(*args):
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return replace_now(*args)

    replace_now = os.replace
    for _ in range(2):  # names take turns
        model.save_weights(path, max_shard_size=6e-8)
        assert len(list(tmp_path.iterdir())) == 3
    model.set_weights([value + 1 for value in values])
    monkeypatch.setattr(os, "replace", replace)
    try:
        model.save_weights(path, max_shard_size=6e-8)
    except KeyboardInterrupt:
        assert renamed < 3
    else:
        assert renamed >= 3 and len(list(tmp_path.iterdir())) == 3
    model.load_weights(path)
    for now, value in zip(model.get_weights(), values, strict=True):
        np.testing.assert_array_equal(now, value + (renamed >= 3))


def test_what_killed_writers_left_is_deleted(tmp_path):
    model = kerasish.Sequential([kerasish.Input((4,)), layers.Dense(3)])
    old, new = tmp_path / ".partial-a-x.keras", tmp_path / ".partial-b-x.keras"
    others = tmp_path / ".partial-a-y.keras"
    for path in (old, new, others):
        path.write_bytes(b"half")
    for path in (old, others):
        os.utime(path, (0, 0))
    model.save(tmp_path / "x.keras")
    assert sorted(tmp_path.iterdir()) == sorted([new, others, tmp_path / "x.keras"])


def test_files_are_written_whole_in_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = kerasish.Sequential([kerasish.Input((2,)), layers.Dense(1)])
    model.save("here.keras")
    assert (tmp_path / "here.keras").stat().st_mode & 0o777 == 0o666 & ~_umask()
    buffer = io.BytesIO((tmp_path / "here.keras").read_bytes())
    with zipfile.ZipFile(buffer) as archive:
        assert archive.testzip() is None
        names = [(i.filename, i.compress_type) for i in archive.infolist()]
    assert names == [(n, 0) for n in ("metadata.json", "config.json", "model.weights.h5")]


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
