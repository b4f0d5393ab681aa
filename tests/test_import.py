"""Importing the package: quick, quiet, and light."""

import os
import subprocess
import sys
import time

HEAVY = ["IPython", "grain", "keras", "matplotlib", "orbax", "pandas", "scipy.stats"]
HEAVY += ["sklearn", "tensorboardX", "tensorflow", "torch"]


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def seconds(code):
    start = time.perf_counter()
    assert python(code).returncode == 0
    return time.perf_counter() - start


def test_costs_little_more_than_jax():
    python("import kerasish")  # leaves the byte code behind
    pairs = [(seconds("import jax"), seconds("import kerasish")) for _ in range(5)]
    jax_alone, with_kerasish = (min(column) for column in zip(*pairs, strict=True))
    assert with_kerasish - jax_alone <= 0.35


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
