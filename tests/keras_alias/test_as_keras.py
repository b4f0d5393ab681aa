"""`import keras` means kerasish: by an import, a command or an environment variable."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
NAMES = str(HERE / "programs" / "names.py")


def python(*arguments, **environment):
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_program_runs_unchanged(tmp_path):
    file = str(tmp_path / "a.h5")
    done = python("-m", "kerasish", "run", NAMES, file, "x", "--flag", "-m")
    assert done.stdout == "all names ['x', '--flag', '-m']\n", done.stderr


def test_a_module_runs_unchanged(tmp_path):
    (tmp_path / "program.py").write_text("import keras, sys; print(keras.__name__, sys.argv[1:])")
    paths = f"{tmp_path}{os.pathsep}{ROOT}"
    done = python("-m", "kerasish", "run", "-m", "program", "1", PYTHONPATH=paths)
    assert done.stdout == "kerasish ['1']\n", done.stderr


def test_one_import_does_it(tmp_path):
    code = f"import sys, runpy, kerasish.as_keras; sys.argv = ['', {str(tmp_path / 'a.h5')!r}]; "
    done = python("-c", f"{code}runpy.run_path({NAMES!r})")
    assert done.stdout == "all names []\n", done.stderr


STARTED = f"import site; site.addsitedir({str(ROOT / 'startup')!r}); import keras; "


def test_a_variable_does_it_for_notebooks():
    code = f"{STARTED}print(keras.__name__)"
    paths = f"{ROOT}{os.pathsep}{ROOT / 'startup'}"
    options = {"PYTHONPATH": paths, "KERAS_BACKEND": "jax"}
    assert python("-c", code, **options, KERASISH_AS_KERAS="1").stdout == "kerasish\n"
    assert python("-c", code, **options, KERASISH_AS_KERAS="").stdout == "keras\n"
    lazy = STARTED.replace("import keras; ", "import sys; print('kerasish' in sys.modules)")
    assert python("-c", lazy, **options, KERASISH_AS_KERAS="1").stdout == "False\n"


def test_keras_itself_before_is_an_error():
    done = python("-c", "import keras, kerasish.as_keras", KERAS_BACKEND="jax")
    assert "RuntimeError: kerasish.as_keras: Keras itself was imported before, from" in done.stderr


def test_a_missing_program_is_named():
    done = python("-m", "kerasish", "run", "nowhere.py")
    assert done.returncode == 1 and "there is no file 'nowhere.py'" in done.stderr


def test_what_is_absent_says_so():
    code = "import kerasish.as_keras, keras; keras.quantizers.GPTQConfig()"
    done = python("-c", code)
    assert "NotImplementedError: keras.quantizers.GPTQConfig is not part of" in done.stderr


@pytest.mark.parametrize("name", ["kerasish.pth", "kerasish_startup.py"])
def test_the_wheel_holds_what_python_runs_at_its_start(name):
    assert f'"startup/{name}" = "{name}"' in (ROOT / "pyproject.toml").read_text()
