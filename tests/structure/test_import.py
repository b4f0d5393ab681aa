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
