"""Settings of every test, the package's own docstring examples included.

What starts JAX or Keras must find these settings, so they stand before any import of either.
"""

import gc
import os
import pathlib
import signal
import threading

HERE = pathlib.Path(__file__).parent
# Importing it changes what `import keras` means, and the tests need Keras itself.
collect_ignore = ["kerasish/as_keras.py"]
collect_ignore_glob = ["tests/*/programs/*"]

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "8")  # so that sharding is tested everywhere
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # processes that tests start need not compile again
# One cache for all test processes and runs; the user's own stays untouched.
os.environ["JAX_COMPILATION_CACHE_DIR"] = str(HERE / ".pytest_cache" / "xla")
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"

import sys

import jax
import numpy as np
import pytest
from jax._src.interpreters import mlir

import kerasish
from kerasish.core import dtypes, names, settings
from kerasish.core.serialization import registry
from kerasish.core.state import seeds

OLD_JAX = jax.__version_info__ < (0, 11)

if OLD_JAX:
    # XLA's older way of writing loops compiles in half the time, and one thread a process is enough
    # where there is a process for each core; what they compile runs a little slower. Newer ones end
    # the process when they meet the first flag. They are read at the first computation.
    flags = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()


@pytest.fixture(autouse=True)
def fresh_start():
    """Let no test see what another left behind: seeds, names, global types and settings."""
    if jax.config.jax_enable_x64:
        jax.config.update("jax_enable_x64", False)
    settings.set_floatx("float32")
    settings.set_epsilon(1e-7)
    settings.set_image_data_format("channels_last")
    settings.disable_nan_checks()
    dtypes.set_dtype_policy("float32")
    registry.get_custom_objects().clear()
    names.clear_names()
    seeds.set_random_seed(0)
    if "keras" in sys.modules:  # the oracle too, so that both name their layers alike
        oracle = sys.modules["keras"]
        oracle.src.utils.naming.reset_uids()
        oracle.config.set_dtype_policy("float32")


@pytest.fixture(autouse=True, scope="session")
def interrupts():
    """Let Ctrl-C come through: shells make processes in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


QUICK = pytest.StashKey[bool]()


# Of the examples that build a network of `keras.applications`, those that are always run.
QUICK_NETWORKS = ("MobileNet", "ResNet50")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave modules marked `exact` to the end, as the others are compiled in another way."""
    for item in items:
        network = getattr(kerasish.applications, item.name.rsplit(".", 1)[-1], None)
        is_example = isinstance(item, pytest.DoctestItem) and callable(network)
        if is_example and network.__name__[0].isupper() and network.__name__ not in QUICK_NETWORKS:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("exact") is not None)


@pytest.fixture(autouse=True, scope="module")
def quick_compilation(request):
    """Halve the time XLA compiles, but for modules marked `exact`: it costs floats' last bits."""
    quick = request.node.get_closest_marker("exact") is None
    if quick != request.config.stash.get(QUICK, None):
        jax.config.update("jax_disable_most_optimizations", quick)
        jax.clear_caches()
        request.config.stash[QUICK] = quick


@pytest.fixture(autouse=True, scope="module")
def one_context():
    """Lower all programs of a module in one MLIR context for each thread, as newer JAX does.

    Older JAX makes a new one each time, which takes longer than the rest of lowering a small
    program. Within the lowering of another program it still does here.
    """
    if not OLD_JAX:
        yield
        return
    known = threading.local()

    def make():
        if mlir.ir.Context.current is not None:
            return make_context()
        if not hasattr(known, "context"):
            known.context = make_context()
        return known.context

    make_context, mlir.make_ir_context = mlir.make_ir_context, make
    yield
    mlir.make_ir_context = make_context


@pytest.fixture(autouse=True, scope="session")
def rare_collection():
    """Look for garbage seldom.

    What JAX and Keras keep is large, and was looked through for a sixth of the time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)


@pytest.fixture(autouse=True, scope="module")
def room_for_the_next():
    """Let go of compiled programs when thousands of tests have filled the memory with them."""
    yield
    pages = pathlib.Path("/proc/self/statm")
    if pages.exists() and int(pages.read_text().split()[1]) * 4096 > 4 * 2**30:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(autouse=True)
def example_names(doctest_namespace):
    """What docstring examples may use without importing it."""
    doctest_namespace.update(keras=kerasish, np=np, jnp=jax.numpy)
