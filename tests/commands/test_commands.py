"""The command line, command by command: what it prints, and its exit status."""

import importlib.metadata
import json
import os
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers
from kerasish.commands import compilation_cache, info, main
from kerasish.commands.command_line import COMMANDS
from kerasish.commands.diff import largest_difference


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def small_model(name="small", units=2):
    inner = [keras.Input((4,)), layers.Dense(3, name="deep"), layers.BatchNormalization(name="bn")]
    stack = [keras.Input((4,)), keras.Sequential(inner, name="inner")]
    return keras.Sequential([*stack, layers.Dense(units, name="head")], name=name)


@pytest.fixture
def model(folder):
    model = small_model()
    model.compile("adam", "mse")
    model.fit(np.ones((8, 4)), np.ones((8, 2)), verbose=0)
    model.save("a.keras")
    return model


def as_json(capsys, *arguments):
    status = main([*arguments, "--json"])
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: kerasish {command}" in capsys.readouterr().out


def test_wrong_use_is_status_2(capsys):
    for arguments in ([], ["no-such-command"], ["diff", "one"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == 2
    assert "usage: kerasish" in capsys.readouterr().err


def test_python_m_runs_it_too():
    done = subprocess.run(
        [sys.executable, "-m", "kerasish", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"kerasish {keras.__version__}\n"


# -- info


def test_info_says_what_is_installed(capsys):
    status, found = as_json(capsys, "info")
    assert status == 0
    assert found["versions"]["jax"] == jax.__version__
    assert found["versions"]["kerasish"] == keras.__version__
    assert len(found["devices"]) == len(jax.devices())
    assert found["compilation_cache"]["folder"] == jax.config.jax_compilation_cache_dir
    assert main(["info"]) == 0
    assert jax.__version__ in capsys.readouterr().out


REQUIREMENTS = [
    "numpy>=2.0",
    "no-such-package>=3; extra == 'first'",
    "h5py>=999; extra == 'first'",
    "numpy<900,>=2.0; extra == 'second'",
    "kerasish[second]; extra == 'third'",
    "keras; extra == 'test'",
]


def test_info_tells_extras_that_are_missing(monkeypatch):
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIREMENTS)
    found = info.extras()
    assert set(found) == {"first", "second", "third"}
    assert [found[name]["present"] for name in ("first", "second", "third")] == [False, True, True]
    assert found["first"]["command"] == "pip install 'kerasish[first]'"
    assert found["first"]["packages"]["no-such-package"]["installed"] is None
    assert found["third"]["packages"]["numpy"]["installed"] == np.__version__


@pytest.mark.parametrize(
    "version, needed, wanted",
    [
        ("2.0", ">=2", True),
        ("2", ">=2.0.0", True),
        ("0.13.0", "<0.13,>=0.11.36", False),
        ("0.9", ">=0.10", False),
        ("1.2.3rc1", ">=1.2", True),
        ("3", "!=3.0", False),
        (None, "", False),
    ],
)
def test_versions_are_compared_by_number(version, needed, wanted):
    assert info.meets(version, needed) == wanted


def test_info_tells_of_accelerators_that_go_unused(tmp_path):
    assert info.unused_accelerators({"cpu"}, tmp_path) == []
    for name in ("nvidiactl", "accel0"):
        (tmp_path / name).touch()
    nvidia, tpu = info.unused_accelerators({"cpu"}, tmp_path)
    assert "pip install 'jax[cuda13]'" in nvidia and "pip install 'jax[tpu]'" in tpu
    assert info.unused_accelerators({"gpu", "tpu"}, tmp_path) == []


def test_info_without_a_device_says_why():
    done = subprocess.run(
        [sys.executable, "-m", "kerasish", "info"],
        env={**os.environ, "JAX_PLATFORMS": "no_such_platform"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "JAX finds no device (JAX_PLATFORMS=no_such_platform)" in done.stdout


# -- summary


def test_summary_of_a_model(model, capsys):
    assert main(["summary", "a.keras", "--expand-nested"]) == 0
    shown = capsys.readouterr().out
    assert "head (Dense)" in shown and "deep" in shown and "Total params: 35" in shown
    status, found = as_json(capsys, "summary", "a.keras")
    assert (status, found["parameters"], found["trainable_parameters"]) == (0, 35, 29)
    assert [layer["name"] for layer in found["layers"]] == ["inner", "head"]
    assert [layer["name"] for layer in found["layers"][0]["layers"]] == ["deep", "bn"]
    assert main(["summary", "a.keras", "--cost"]) == 0
    assert "FLOPs" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["a.weights.h5", "a.safetensors", "a.weights.json"])
def test_summary_of_weights(model, capsys, name):
    shards = {"max_shard_size": 1} if name.endswith("json") else {}
    model.save_weights(name, **shards)
    status, found = as_json(capsys, "summary", name)
    shapes = {array["name"]: array["shape"] for array in found["arrays"]}
    assert status == 0 and shapes["layers/dense/0"] == [3, 2]
    numbers = [n for n in shapes if n.startswith("optimizer/")]
    assert numbers == sorted(numbers, key=lambda n: int(n.rpartition("/")[2]))
    assert main(["summary", name]) == 0


@pytest.mark.parametrize("name", ["a.zip", "a.stablehlo"])
def test_summary_of_a_program(model, capsys, name):
    pytest.importorskip("flatbuffers")
    assert main(["convert", "a.keras", name]) == 0
    capsys.readouterr()
    status, found = as_json(capsys, "summary", name)
    assert status == 0 and found["inputs"][0]["shape"] == [None, 4]
    assert main(["summary", name]) == 0
    x = np.ones((5, 4), "float32")
    np.testing.assert_allclose(keras.export.load(name)(x), model.predict(x, verbose=0), rtol=1e-5)


MISTAKES = {
    "there is no file 'nowhere.keras'": ["summary", "nowhere.keras"],
    "it cannot be had with --json": ["summary", "a.keras", "--cost", "--json"],
    "must be a name that ends in one of": ["summary", "text.txt"],
    "holds no model": ["summary", "empty"],
    "is not a whole `.keras` file": ["summary", "broken.keras"],
    "is damaged, or not a file of weights": ["diff", "broken.weights.h5", "broken.weights.h5"],
    "exists already. Say --force": ["convert", "a.keras", "text.keras"],
    "one that ends in .keras": ["convert", "a.keras", "b.pickle"],
    "--model model.keras": ["convert", "a.weights.h5", "b.safetensors"],
    "cannot be converted": ["convert", "text.zip", "b.keras"],
    "--optimize is for ONNX": ["convert", "a.keras", "b.keras", "--optimize", "int8"],
    "--platforms is for StableHLO": ["convert", "a.keras", "b.keras", "--platforms", "cpu"],
    "belong together": ["convert", "a.keras", "b.weights.json"],
    "--tolerance must be 0 or more": ["diff", "a.keras", "a.keras", "--tolerance", "nan"],
    "only models and weights can be compared": ["diff", "text.zip", "a.keras"],
    "No module named 'no_such_module'": ["summary", "a.keras", "--import", "no_such_module"],
}


@pytest.mark.parametrize("says", MISTAKES)
def test_mistakes_are_one_sentence_and_status_2(model, folder, capsys, says):
    model.save_weights("a.weights.h5")
    (folder / "empty").mkdir()
    for name in ("text.txt", "text.zip", "text.keras", "broken.keras"):
        (folder / name).write_text("text")
    whole = (folder / "a.weights.h5").read_bytes()
    (folder / "broken.weights.h5").write_bytes(whole[:2000] + b"\xff" * (len(whole) - 2000))
    says_instead = "is not a whole HDF5 file"  # which damage HDF5 finds first is its own matter
    assert main(MISTAKES[says]) == 2
    error = capsys.readouterr().err
    assert says in error or says_instead in error, error
    assert error.startswith(f"kerasish {MISTAKES[says][0]}: ") and "Traceback" not in error


# -- convert


@pytest.mark.filterwarnings("ignore:.*older HDF5 format")
@pytest.mark.parametrize("through", ["b.h5", "b.hdf5", "b.keras"])
def test_models_come_back_the_same(model, capsys, through):
    assert main(["convert", "a.keras", through]) == 0
    assert main(["convert", through, "c.keras"]) == 0
    assert main(["diff", "a.keras", "c.keras"]) == 0
    x = np.random.default_rng(0).normal(size=(5, 4))
    again = keras.saving.load_model("c.keras")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("name", ["b.weights.h5", "b.safetensors", "b.weights.json"])
def test_weights_go_out_and_come_back(model, capsys, name):
    shards = ["--max-shard-size", "1"] if name.endswith("json") else []
    small_model().save("other.keras")
    assert main(["convert", "a.keras", name, *shards]) == 0
    assert main(["convert", name, "c.keras", "--model", "other.keras"]) == 0
    assert main(["diff", "a.keras", "c.keras", "--weights-only"]) == 0
    assert main(["diff", "a.keras", "other.keras", "--weights-only"]) == 1


def test_the_optimizer_may_be_left_out(model, capsys):
    assert main(["convert", "a.keras", "b.keras", "--without-optimizer"]) == 0
    assert keras.saving.load_model("b.keras").optimizer is None
    assert main(["diff", "a.keras", "b.keras"]) == 1
    assert main(["diff", "a.keras", "b.keras", "--weights-only"]) == 0


def test_a_file_of_keras_itself(folder, capsys):
    import keras as oracle

    theirs = oracle.Sequential([oracle.Input((4,)), oracle.layers.Dense(2)])
    theirs.save("theirs.keras")
    assert main(["convert", "theirs.keras", "ours.keras"]) == 0
    assert main(["diff", "theirs.keras", "ours.keras"]) == 0


def test_the_size_is_that_of_all_files(model, capsys, folder):
    status, found = as_json(capsys, "convert", "a.keras", "b.weights.json", "--max-shard-size", "1")
    written = [path for path in folder.iterdir() if path.name.startswith("b")]
    assert status == 0 and found["bytes"] == sum(path.stat().st_size for path in written)


def test_onnx(model, capsys):
    pytest.importorskip("jax2onnx")
    pytest.importorskip("onnxruntime")
    assert main(["convert", "a.keras", "a.onnx"]) == 0
    capsys.readouterr()
    status, found = as_json(capsys, "summary", "a.onnx")
    assert status == 0 and found["inputs"][0]["shape"] == [None, 4]


# -- diff


def test_diff_names_the_layer_and_the_largest_difference(model, capsys):
    kernel = model.get_layer("inner").get_layer("deep").kernel
    kernel.assign(kernel.value.at[1, 2].add(0.5))
    model.save("b.keras")
    status, found = as_json(capsys, "diff", "a.keras", "b.keras")
    differing = [layer for layer in found["layers"] if layer["config"] or layer["weights"]]
    assert status == 1 and not found["same"]
    assert [layer["layer"] for layer in differing] == ["inner/deep"]
    assert found["largest"] == pytest.approx(0.5, abs=1e-6)
    assert main(["diff", "a.keras", "b.keras"]) == 1
    assert "1 of 12 differ" in capsys.readouterr().out
    assert main(["diff", "a.keras", "b.keras", "--tolerance", "0.6"]) == 0


def test_diff_of_configs(model, capsys):
    other = small_model("other", units=5)
    other.compile("sgd", "mse")
    other.save("b.keras")
    status, found = as_json(capsys, "diff", "a.keras", "b.keras")
    by_name = {layer["layer"]: layer for layer in found["layers"]}
    assert status == 1
    assert "config.units: 2 -> 5" in by_name["head"]["config"]
    assert "0: shape (3, 2) -> (3, 5)" in by_name["head"]["weights"]
    assert "config.name: 'small' -> 'other'" in by_name["(model)"]["config"]
    assert any("optimizer.class_name: 'Adam' -> 'SGD'" in c for c in by_name["(model)"]["config"])


def test_diff_of_layers_that_are_in_one_only(folder, capsys):
    x = keras.Input((4,))
    keras.Model(x, layers.Dense(2, name="one")(x), name="m").save("a.keras")
    y = layers.Dropout(0.1, name="drop")(layers.Dense(2, name="two")(x))
    keras.Model(x, y, name="m").save("b.keras")
    status, found = as_json(capsys, "diff", "a.keras", "b.keras")
    by_name = {layer["layer"]: layer for layer in found["layers"]}
    assert status == 1
    assert by_name["drop"]["config"] == ["only in B"]
    assert "config.name: 'one' -> 'two'" in by_name["one"]["config"]


def test_diff_of_vocabularies(folder, capsys):
    for name, words in (("a", "red green"), ("b", "red blue")):
        layer = layers.TextVectorization(output_mode="int", name="text")
        layer.adapt([words])
        keras.Sequential([layer], name="m").save(f"{name}.keras")
    assert main(["diff", "a.keras", "a.keras"]) == 0
    assert main(["diff", "a.keras", "b.keras"]) == 1


def test_diff_of_a_strangers_classes(folder, capsys):
    class Doubled(layers.Layer):
        def build(self, shape):
            self.factor = self.add_weight((), "ones", name="factor")

        def call(self, x):
            return x * self.factor

    scope = {"Doubled": Doubled}
    for name, value in (("a", 1.0), ("b", 3.0)):
        model = keras.Sequential([keras.Input((2,)), Doubled(name="own")], name="m")
        model.layers[0].factor.assign(value)
        model.save(f"{name}.keras")
    assert main(["summary", "a.keras"]) == 2
    assert "--import" in capsys.readouterr().err
    status, found = as_json(capsys, "diff", "a.keras", "b.keras")
    assert status == 1 and found["largest"] == 2.0
    assert "compared as it is written" in found["notes"][0]
    assert main(["diff", "a.keras", "a.keras"]) == 0
    assert keras.saving.load_model("a.keras", custom_objects=scope).name == "m"


def test_own_classes_come_from_a_module(folder, monkeypatch, capsys):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p])
    (folder / "my_own_layers.py").write_text(
        "import kerasish as keras\n"
        "@keras.saving.register_keras_serializable('mine')\n"
        "class Same(keras.layers.Layer):\n"
        "    def call(self, x):\n"
        "        return x\n"
    )
    code = "import my_own_layers as m, kerasish as k; k.Sequential([k.Input((2,)), m.Same()])"
    code += ".save('a.keras')"
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path[:0] = {sys.path}; sys.path.append('.'); {code}",
        ],
        check=True,
    )
    assert main(["summary", "a.keras"]) == 2
    assert main(["summary", "a.keras", "--import", "my_own_layers"]) == 0
    assert "Same" in capsys.readouterr().out
    del sys.modules["my_own_layers"]


@pytest.mark.parametrize(
    "a, b, wanted",
    [
        ([1.0, 2.0], [1.0, 2.5], (0.5, 1)),
        ([np.nan, 1.0], [np.nan, 1.0], (0.0, 0)),
        ([np.nan, 1.0], [0.0, 1.0], (np.inf, 1)),
        ([np.inf, -np.inf], [np.inf, np.inf], (np.inf, 1)),
        ([True, False], [True, True], (1.0, 1)),
        ([2**63 - 1], [2**63 - 2], (1.0, 1)),
        ([1 + 2j], [1 - 2j], (4.0, 1)),
        ([], [], (0.0, 0)),
    ],
)
def test_largest_difference(a, b, wanted):
    assert largest_difference(np.array(a), np.array(b)) == wanted


# -- what strangers' files must not do


def test_names_in_files_do_not_steer_the_terminal(folder, capsys):
    evil = "a\x1b[2Jb"
    keras.Sequential([keras.Input((2,)), layers.Dense(1, name=evil)], name="m").save("a.keras")
    keras.Sequential([keras.Input((2,)), layers.Dense(3, name=evil)], name="m").save("b.keras")
    assert main(["summary", "a.keras"]) == 0
    assert main(["diff", "a.keras", "b.keras"]) == 1
    shown = capsys.readouterr().out
    assert "\x1b" not in shown and "\\x1b[2J" in shown


def test_no_code_of_a_file_is_run(model, folder, capsys):
    with zipfile.ZipFile("a.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    head = config["config"]["layers"][-1]
    head |= {"module": "stranger", "class_name": "Head", "registered_name": "stranger>Head"}
    members["config.json"] = json.dumps(config).encode()
    (folder / "stranger.py").write_text("import pathlib; pathlib.Path('ran').touch()")
    with zipfile.ZipFile("evil.keras", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert main(["summary", "evil.keras"]) == 2
    assert main(["convert", "evil.keras", "b.keras"]) == 2
    assert main(["diff", "evil.keras", "evil.keras"]) == 0
    assert not (folder / "ran").exists() and "stranger" not in sys.modules


# -- clear-cache


def test_clear_cache_deletes_only_programs(tmp_path, monkeypatch, capsys):
    program = f"jit_step-{'0a' * 32}"
    for name in (f"{program}-cache", f"{program}-atime", "thesis.txt", "my-cache"):
        (tmp_path / name).write_text("1234")
    (tmp_path / f"jit_link-{'0b' * 32}-cache").symlink_to(tmp_path / "thesis.txt")
    monkeypatch.setattr(compilation_cache, "folder_in_use", lambda: str(tmp_path))
    status, found = as_json(capsys, "clear-cache", "--dry-run")
    assert (status, found["programs"], found["bytes"], found["other_files"]) == (0, 1, 8, 3)
    assert (tmp_path / f"{program}-cache").exists()
    assert main(["clear-cache"]) == 0
    assert "Deleted 1 programs" in capsys.readouterr().out
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"thesis.txt", "my-cache", f"jit_link-{'0b' * 32}-cache"}


@pytest.mark.parametrize("where, says", [(None, "off"), ("gs://bucket/xla", "not a folder on")])
def test_clear_cache_without_a_folder(monkeypatch, capsys, where, says):
    monkeypatch.setattr(compilation_cache, "folder_in_use", lambda: where)
    assert main(["clear-cache"]) == (0 if where is None else 2)
    seen = capsys.readouterr()
    assert says in seen.out + seen.err


def test_jax_names_its_programs_as_expected(tmp_path):
    code = f"""
import os
os.environ["KERASISH_COMPILATION_CACHE"] = {str(tmp_path)!r}
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
import kerasish, jax
jax.jit(lambda x: x * 3.25)(1.0)
from kerasish.commands import main
main(["clear-cache"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Deleted ") and not done.stdout.startswith("Deleted 0")
    assert not list(tmp_path.iterdir())


# -- completion


def completed(words):
    """What bash offers for the last of some words."""
    lines = [
        'eval "$SCRIPT"',
        f"COMP_WORDS=({' '.join(repr(word) for word in words)})",
        f"COMP_CWORD={len(words) - 1}",
        "_kerasish_complete",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        env={"SCRIPT": script("bash"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def script(shell):
    from kerasish.commands.command_line import make_parser
    from kerasish.commands.completion import script

    return script(make_parser(), shell)


def test_bash_completes(folder):
    (folder / "mine.keras").touch()
    assert set(completed(["kerasish", ""])) >= set(COMMANDS)
    assert completed(["kerasish", "co"]) == ["convert", "completion"]
    assert completed(["kerasish", "diff", "--tol"]) == ["--tolerance"]
    assert completed(["kerasish", "summary", "mi"]) == ["mine.keras"]
    assert completed(["kerasish", "completion", "z"]) == ["zsh"]


def test_completion_prints_the_script(capsys):
    for shell in ("bash", "zsh"):
        assert main(["completion", shell]) == 0
        assert capsys.readouterr().out == script(shell)


# -- serve, launch


def test_serve_and_launch_take_what_their_modules_do(monkeypatch):
    from kerasish import launch
    from kerasish.serve import __main__ as server

    seen = []
    monkeypatch.setattr(launch, "run", lambda options: seen.append(options) or 3)
    monkeypatch.setattr(server, "run", seen.append)
    assert main(["launch", "--processes", "4", "train.py", "--epochs", "2"]) == 3
    assert main(["serve", "digits=model.keras", "--port", "9"]) == 0
    assert (seen[0].processes, seen[0].script, seen[0].args) == (4, "train.py", ["--epochs", "2"])
    assert (seen[1].models, seen[1].port) == ([("digits", "model.keras")], 9)
