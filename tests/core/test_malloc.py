"""Memory kept between calls: fresh pages are what a step's temporaries cost most."""

import os
import subprocess
import sys

import pytest

from kerasish.core import malloc

PROGRAM = """
import resource
import jax.numpy as jnp
import numpy as np
import kerasish as keras

@keras.jit
def program(x, kernel):
    return (x @ kernel).max(axis=0)  # the product is a temporary of 48 MB

x, kernel = np.ones((12 * 2**14, 64), "float32"), np.ones((64, 64), "float32")
x, kernel = jnp.asarray(x), jnp.asarray(kernel)
for _ in range(3):
    program(x, kernel).block_until_ready()
start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    program(x, kernel).block_until_ready()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start) // 3)
"""


def fresh_pages():
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    command = [sys.executable, "-c", PROGRAM]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way of allocating")
def test_temporaries_keep_their_pages():
    assert fresh_pages() < 48 * 2**20 / 4096 / 10


def test_a_process_with_settings_of_its_own_is_left_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(malloc.ctypes, "CDLL", lambda name: asked.append(name))
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    malloc.retain_freed_memory.__wrapped__()
    assert not asked
