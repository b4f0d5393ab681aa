"""Importing the package: quick, quiet, and light."""

import os
import subprocess
import sys

import numpy as np

HEAVY = ["IPython", "flax", "grain", "keras", "matplotlib", "orbax", "pandas", "scipy.stats"]
HEAVY += ["sklearn", "tensorboardX", "tensorflow", "torch"]


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


# Both in one process, so that a slow machine slows down both; computing, not waiting, is counted.
COST = """
import sys, time
start = time.process_time()
import jax
middle, modules = time.process_time(), len(sys.modules)
import kerasish
print((time.process_time() - middle) / (middle - start), len(sys.modules) - modules)
"""


def test_costs_little_more_than_jax():
    python("import kerasish")  # leaves the byte code behind
    share, modules = np.min([np.float64(python(COST).stdout.split()) for _ in range(5)], 0)
    assert share <= 0.4
    assert modules < 600


def test_starts_no_device():
    # With no platform of that name, JAX fails as soon as anything is computed.
    done = python("import kerasish", JAX_PLATFORMS="no_such_platform")
    assert done.returncode == 0, done.stderr
    used = python("import jax; jax.numpy.zeros(1)", JAX_PLATFORMS="no_such_platform")
    assert "no_such_platform" in used.stderr


def test_imports_nothing_optional():
    code = f"import sys, kerasish; print([m for m in {HEAVY} if m in sys.modules])"
    done = python(code)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_says_nothing():
    done = python("import kerasish")
    assert done.stdout + done.stderr == ""


def test_works_without_a_home():
    """As in containers with a bare user id: no entry in the table of users, no `HOME`."""
    code = """
import logging, os, pwd
logging.basicConfig(level="INFO")
def unknown(user):
    raise KeyError(user)
pwd.getpwuid = unknown
for name in (
    *("HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR", "KERASISH_COMPILATION_CACHE"),
):
    os.environ.pop(name, None)
import kerasish, jax
assert jax.config.jax_compilation_cache_dir is None
"""
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert "Programs are not cached on disk" in done.stderr


def test_works_where_nothing_may_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    code = "import kerasish, jax; print(jax.config.jax_compilation_cache_dir or None)"
    where = str(tmp_path / "file")  # no folder: nothing can be made in it
    for variable in ("XDG_CACHE_HOME", "KERASISH_COMPILATION_CACHE"):
        other = {"JAX_COMPILATION_CACHE_DIR": "", "KERASISH_COMPILATION_CACHE": "", variable: where}
        done = python(code, **other)
        assert done.stdout.strip() == "None", done.stdout + done.stderr
