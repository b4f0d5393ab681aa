"""Memory kept between calls: fresh pages are what a step's temporaries cost most."""

import os
import subprocess
import sys

import jax
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


# Its step takes 100 MB, on whichever of XLA's threads it runs.
CONVOLUTIONS = """
import resource
import numpy as np
import kerasish as keras
from kerasish import layers

convolutions = [layers.Conv2D(16, 3, padding="same", activation="relu") for _ in range(12)]
model = keras.Sequential([*convolutions, layers.GlobalAveragePooling2D(), layers.Dense(1)])
model.compile("adam", "mse", steps_per_execution=1)
x, y = np.ones((64, 32, 32, 3), "float32"), np.ones((64, 1), "float32")
each = []
for _ in range(20):  # at first the heap grows, until what comes between has found its place
    start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model.train_on_batch(x, y)
    each.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
print(sorted(each[10:])[5])
"""


def fresh_pages(program):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's way of allocating")
@pytest.mark.parametrize("program, size", [(PROGRAM, 48), (CONVOLUTIONS, 100)])
def test_temporaries_keep_their_pages(program, size):
    assert fresh_pages(program) < size * 2**20 / 4096 / 10


def test_a_process_with_settings_of_its_own_is_left_alone(monkeypatch):
    asked = []
    monkeypatch.setattr(malloc.ctypes, "CDLL", lambda name: asked.append(name))
    monkeypatch.setenv("MALLOC_MMAP_MAX_", "65536")
    malloc.retain_freed_memory.__wrapped__()
    malloc.share_one_arena.__wrapped__()
    assert not asked


def test_arenas_are_shared_only_where_there_are_but_cpus(monkeypatch):
    asked = []
    monkeypatch.setattr(malloc, "_may_set", lambda: True)
    monkeypatch.setattr(malloc.ctypes, "CDLL", lambda name: asked.append(name))
    monkeypatch.setattr(malloc.importlib.util, "find_spec", lambda name: name == "jax_plugins")
    platforms = jax.config.jax_platforms
    for some in (None, "cuda,cpu"):
        jax.config.update("jax_platforms", some)
        malloc.share_one_arena.__wrapped__()
    jax.config.update("jax_platforms", platforms)
    assert not asked
