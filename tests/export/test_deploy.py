"""The programs of examples/deploy print what the model does, where their tools are installed."""

import functools
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

import numpy as np
import pytest

pytestmark = pytest.mark.slow

DEPLOY = pathlib.Path(__file__).parents[2] / "examples" / "deploy"
# npm's packages: here, or in the folder that the variable names.
PACKAGES = pathlib.Path(os.environ.get("DEPLOY_NODE_MODULES", DEPLOY / "node_modules"))


def needs(*tools):
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}")


def run(*words, cwd=None, env=None):
    command = [str(word) for word in words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("jax2onnx", reason="needs jax2onnx: `pip install kerasish[onnx]`")
    pytest.importorskip("sklearn", reason="needs scikit-learn: `pip install kerasish[demo]`")
    found = tmp_path_factory.mktemp("deploy")
    env = {**os.environ, "PYTHONPATH": str(DEPLOY.parents[1])}
    run(sys.executable, DEPLOY / "export_digits.py", "--out", found, "--epochs", 2, env=env)
    return found


def check(folder, printed):
    wanted = json.loads((folder / "expected.json").read_text())
    np.testing.assert_allclose(json.loads(printed), wanted, atol=1e-5)


@pytest.mark.parametrize("program", ["with_onnxruntime.py", "with_jax.py"])
def test_python_without_kerasish(program, folder):
    check(folder, run(sys.executable, "-I", DEPLOY / program, folder, cwd=folder))


def test_node(folder, tmp_path):
    needs("node")
    if not (PACKAGES / "onnxruntime-node").is_dir():
        pytest.skip("needs `npm install --ignore-scripts onnxruntime-node` in examples/deploy")
    shutil.copy(DEPLOY / "node" / "digits.mjs", tmp_path)
    (tmp_path / "node_modules").symlink_to(PACKAGES)
    check(folder, run("node", tmp_path / "digits.mjs", folder))


def test_browser(folder, tmp_path):
    needs("chromium")
    web = PACKAGES / "onnxruntime-web" / "dist"
    if not web.is_dir():
        pytest.skip("needs `npm install --ignore-scripts onnxruntime-web` in examples/deploy")
    parts = [web / "ort.wasm.bundle.min.mjs", *web.glob("ort-wasm-simd-threaded.[mw]*")]
    for path in (DEPLOY / "browser" / "index.html", *parts):
        shutil.copy(path, tmp_path)
    for name in ("digits.onnx", "picture.json"):
        shutil.copy(folder / name, tmp_path)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/index.html?picture=picture.json"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000"]
        page = run("chromium", *options, "--dump-dom", url)
        run("chromium", *options, f"--screenshot={tmp_path / 'page.png'}", url)
        server.shutdown()
    found = re.search(r"<title>OK (\[.*\])</title>", page)
    assert found, page[:500]
    check(folder, found[1])
    assert (tmp_path / "page.png").stat().st_size > 1000


def opencv_flags():
    needs("g++", "pkg-config")
    found = subprocess.run(["pkg-config", "--cflags", "opencv4"], capture_output=True, text=True)
    if found.returncode:
        pytest.skip("needs OpenCV: Debian's libopencv-dev")
    return [*found.stdout.split(), "-lopencv_dnn", "-lopencv_core"]


def test_c_plus_plus(folder, tmp_path):
    flags = opencv_flags()
    run("g++", "-O1", DEPLOY / "cpp" / "digits.cpp", "-o", tmp_path / "digits", *flags)
    check(folder, run(tmp_path / "digits", folder))


def test_java(folder, tmp_path):
    flags = opencv_flags()
    needs("javac", "java")
    home = pathlib.Path(os.path.realpath(shutil.which("javac"))).parents[1] / "include"
    run("javac", "-d", tmp_path, DEPLOY / "java" / "Digits.java")
    includes = [f"-I{home}", f"-I{home / 'linux'}"]
    library = tmp_path / "libdigits_jni.so"
    source = DEPLOY / "java" / "digits_jni.cpp"
    run("g++", "-O1", "-shared", "-fPIC", source, "-o", library, *includes, *flags)
    check(folder, run("java", f"-Djava.library.path={tmp_path}", "-cp", tmp_path, "Digits", folder))
