"""Exported archives from strangers: read within bounds, refused by name, nothing called unknown."""

import io
import json
import os
import pathlib
import random
import subprocess
import sys
import zipfile

import jax
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "model.zip"
    model = keras.Sequential([keras.Input((3,), name="x"), layers.Dense(2)])
    model.export(path, platforms=["cpu"])
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def program_calling(target):
    """A program that calls a library of its maker's choice."""
    call = jax.ffi.ffi_call(target, jax.ShapeDtypeStruct((2,), np.float32))
    check = jax.export.DisabledSafetyCheck.custom_call(target)
    specs = [jax.ShapeDtypeStruct((3, 2), np.float32), jax.ShapeDtypeStruct((2,), np.float32)]
    run = jax.jit(lambda weights, inputs: call(weights[1]))
    made = jax.export.export(run, platforms=["cpu"], disabled_checks=[check])
    return bytes(made(specs, [jax.ShapeDtypeStruct((1, 3), np.float32)]).serialize())


@pytest.mark.parametrize("target", ["xla_python_cpu_callback", "system", "x y", "Sharding2"])
def test_calls_of_other_libraries_are_refused(target, members, tmp_path):
    name = next(name for name in members if name.endswith(".bin"))
    path = pack(tmp_path / "bad.zip", {**members, name: program_calling(target)})
    with pytest.raises(ValueError, match=rf"bad\.zip.*its program calls '{target}'.*refused"):
        keras.export.load(path)


def test_calls_that_jax_keeps_stable_are_not(tmp_path):
    class Solve(layers.Layer):
        def call(self, x):
            return jax.numpy.linalg.cholesky(x)

    model = keras.Sequential([keras.Input((2, 2), name="x"), Solve()])
    model.export(tmp_path / "model.zip", platforms=["cpu"])
    loaded = keras.export.load(tmp_path / "model.zip")
    x = np.array([[[4, 2], [2, 3]]], "float32")
    np.testing.assert_allclose(loaded(x), np.linalg.cholesky(x), rtol=1e-6)


def npz(**arrays):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in arrays.items():
            archive.writestr(f"{name[1:]}.npy", data)
    return file.getvalue()


def header(shape, dtype="<f4"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"shape": shape, "fortran_order": False, "descr": dtype}
    )
    return file.getvalue()


BAD = {
    "a bomb of zeros": lambda m: {"weights.npz": bytes(300 * 2**20)},
    "a bomb inside": lambda m: {"weights.npz": npz(_0=bytes(300 * 2**20), _1=b"")},
    "a shape of gigabytes": lambda m: {"weights.npz": npz(_0=header((2**40,)), _1=header((2,)))},
    "a negative shape": lambda m: {"weights.npz": npz(_0=header((-1, 3)), _1=header((2,)))},
    "pickled objects": lambda m: {"weights.npz": npz(_0=header((1,), "|O"), _1=header((2,)))},
    "no program": lambda m: {next(n for n in m if n.endswith(".bin")): b""},
    "a program of zeros": lambda m: {next(n for n in m if n.endswith(".bin")): bytes(1000)},
    "meta that is a list": lambda m: {"meta.json": b"[]"},
    "meta that is no JSON": lambda m: {"meta.json": b"{"},
    "meta a million deep": lambda m: {"meta.json": b"[" * 10**6},
    "weights elsewhere": lambda m: {"meta.json": moved(m)},
}


def moved(members):
    meta = json.loads(members["meta.json"])
    next(iter(meta["endpoints"].values()))["weights"] = [7, 10**9]
    return json.dumps(meta).encode()


@pytest.mark.parametrize("change", BAD.values(), ids=BAD)
def test_what_is_wrong_is_refused_by_the_file_s_name(change, members, tmp_path):
    path = pack(tmp_path / "bad.zip", {**members, **change(members)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"bad\.zip is no exported model, or a damaged one"):
        keras.export.load(path)


@pytest.mark.parametrize("data", [b"", b"PK", b"\0" * 1000], ids=["empty", "cut", "zeros"])
def test_what_is_no_archive(data, tmp_path):
    (tmp_path / "bad.zip").write_bytes(data)
    with pytest.raises(ValueError, match=r"bad\.zip is no exported model"):
        keras.export.load(tmp_path / "bad.zip")


def test_damage_is_refused_or_harmless(members, tmp_path):
    good = pack(tmp_path / "good.zip", members).read_bytes()
    rng, x = random.Random(0), np.ones((1, 3), "float32")
    expected, refused = np.asarray(keras.export.load(tmp_path / "good.zip")(x)), 0
    with zipfile.ZipFile(tmp_path / "good.zip") as archive:
        source = archive.getinfo("exported.py")  # it is not read
    unread = range(source.header_offset, source.header_offset + source.compress_size)
    read = [i for i in range(len(good)) if i not in unread]
    for _ in range(60):
        data = bytearray(good)
        data[rng.choice(read)] ^= 1 << rng.randrange(8)
        (tmp_path / "bad.zip").write_bytes(data)
        try:
            loaded = keras.export.load(tmp_path / "bad.zip")
        except ValueError as error:
            assert "bad.zip" in str(error)
            refused += 1
        else:
            np.testing.assert_array_equal(loaded(x), expected)
    assert refused > 50


FUZZ = """
import json, pathlib, random, resource, sys, warnings, zipfile
import numpy as np
import kerasish
from tests.support.mutations import mutate, spoil

good, path, count, seed = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
rng, loaded, ran = random.Random(seed), 0, 0
warnings.simplefilter("ignore")
with zipfile.ZipFile(good) as archive:
    members = {name: archive.read(name) for name in archive.namelist()}
x, start = np.ones((1, 3), "float32"), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
kinds = ["meta.json", "meta.json", "programs/0.bin", "weights.npz"]
for i in range(count):
    bad, name = dict(members), rng.choice(kinds)
    if name == "meta.json":
        meta = json.loads(bad[name])
        for _ in range(rng.choice([1, 1, 3])):
            meta = mutate(meta, rng)
        bad[name] = json.dumps(meta).encode()
    else:
        bad[name] = spoil(bad[name], rng)
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in bad.items():
            archive.writestr(member, data)
    print(i, name, flush=True)
    try:
        made = kerasish.export.load(path)
        loaded += 1
    except (ValueError, TypeError) as error:
        assert path.name in str(error), f"{type(error).__name__}: {error}"
        continue
    try:
        np.asarray(made(x))
        ran += 1
    except (ValueError, TypeError, RuntimeError) as error:
        assert str(error)
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start
assert grown < 2_000_000, f"memory grew by {grown} KiB"
print("done", loaded, ran)
"""


def fuzz_archives(members, tmp_path, count, seed):
    """Load `count` mutated archives in a process of their own, which none may end."""
    good = pack(tmp_path / "good.zip", members)
    run = subprocess.run(
        [sys.executable, "-c", FUZZ, good, tmp_path / "bad.zip", str(count), str(seed)],
        capture_output=True,
        text=True,
        cwd=pathlib.Path(__file__).parent.parent.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(["", *sys.path])},
    )
    assert run.returncode == 0, f"{run.stdout[-200:]}\n{run.stderr[-3000:]}"
    done, loaded, ran = run.stdout.split()[-3:]
    assert done == "done"
    assert 0 < int(ran) <= int(loaded) < count


def test_mutated_archives_load_or_say_why_not(members, tmp_path):
    fuzz_archives(members, tmp_path, 60, seed=0)


@pytest.mark.slow
def test_thousands_of_mutated_archives_load_or_say_why_not(members, tmp_path):
    fuzz_archives(members, tmp_path, 3000, seed=1)
