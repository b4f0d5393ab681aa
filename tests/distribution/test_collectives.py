"""What devices hold and what they tell each other, read from the shards and the programs."""

import pathlib
import re
from collections import Counter

import jax
import numpy as np
import pytest

import kerasish as keras
from kerasish import distribution as dist
from tests.support import distributed_models

pytestmark = pytest.mark.exact  # XLA joins collectives only when it optimises

_KINDS = "all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute|collective-broadcast"


def collectives(name, distribution):
    """The collectives of a compiled step: kinds to lists of the shapes that each one carries."""
    with distribution.scope():
        model = distributed_models.make(name)
        x, y = distributed_models.data(name, 16)
        text = model._step("train").trace((x, y), one=True).lower().compile().as_text()
    found = {}
    for shapes, kind in re.findall(rf"= (.*?) ({_KINDS})(?:-start)?\(", text):
        found.setdefault(kind, []).append(re.findall(r"\w+\[[\d,]*\]", shapes))
    return found, model


def numbers_in(shape):
    return int(np.prod([int(n) for n in re.findall(r"\d+", shape.partition("[")[2])]))


def gathered(found):
    return Counter(numbers_in(shape) for (shape,) in found["all-gather"])


@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_data_parallel_sums_all_gradients_in_one_group(name):
    found, model = collectives(name, dist.DataParallel())
    assert set(found) == {"all-reduce"}
    assert_one_sum(found["all-reduce"], model)


def test_batch_normalization_exchanges_its_statistics_besides():
    found, model = collectives("cnn", dist.DataParallel())
    channels = model.layers[2].gamma.size
    assert set(found) == {"all-reduce"}
    large = [g for g in found["all-reduce"] if any(numbers_in(s) > channels for s in g)]
    assert len(large) == 1 and len(found["all-reduce"]) <= 1 + 4  # two forward, two back


def assert_one_sum(groups, model):
    """All gradients, and two numbers of loss and metrics, in one group."""
    (group,) = groups
    total = sum(map(numbers_in, group))
    assert 0 < total - sum(v.size for v in model.trainable_variables) <= 4


@pytest.mark.parametrize("name", ["mlp", "transformer"])
def test_fully_sharded_gathers_each_weight_and_sums_each_gradient_once(name):
    found, model = collectives(name, dist.FullySharded(min_size=16))
    assert set(found) <= {"all-gather", "all-reduce", "reduce-scatter"}
    split = [v for v in model.weights if not v.value.is_fully_replicated]
    assert set(gathered(found)) <= {v.size for v in split}
    assert gathered(found).total() <= len(split)
    # On the CPU a reduce-scatter is an all-reduce of which each device keeps its part.
    assert_one_sum(found["all-reduce"], model)


@pytest.mark.parametrize("choice", ["tensor parallel", "both"])
def test_tensor_parallel_exchanges_what_layers_compute(choice):
    found, model = collectives("transformer", distributed_models.CHOICES[choice]())
    assert set(found) == {"all-reduce", "all-gather"}
    # Forward: after the words, the attention, the narrow layer of the block, and the head. Back:
    # into the attention and into the wide layer. And all gradients, in one group.
    assert len(found["all-reduce"]) == 4 + 2 + 1
    assert sum(len(group) > 3 for group in found["all-reduce"]) == 1
    split = model.weights if choice == "both" else []
    count = sum(distributed_models.split_along(v, "batch") for v in split)
    assert len(found["all-gather"]) == count + 1  # and what goes back into the head


def test_fully_sharded_memory():
    with dist.FullySharded(min_size=64).scope():
        model = distributed_models.make("transformer", keras.optimizers.Adam())
        model.train_on_batch(*distributed_models.data("transformer", 16))
        state = [*model.weights, *model.optimizer.variables]
        small = sum(v.value.nbytes for v in state if v.size < 64)
        whole = sum(v.value.nbytes for v in state)
        held = [distributed_models.bytes_on(device, state) for device in jax.devices()]
        assert max(held) == min(held) == small + (whole - small) // 8
        large = [v for v in state if v.size >= 64]
        assert all(v.value.addressable_shards[0].data.size * 8 == v.size for v in large)


def test_nothing_changes_without_a_distribution():
    model = distributed_models.make("mlp")
    program = model._step("train").trace(distributed_models.data("mlp", 16), one=True)
    assert "sharding_constraint" not in str(program.jaxpr)
    assert "checkpoint" not in str(program.jaxpr)


def test_programs_compile_once_and_donate():
    with dist.FullySharded(min_size=16).scope():
        model = distributed_models.make("mlp")
        x, y = distributed_models.data("mlp")
        model.fit(x, y, 16, epochs=4, verbose=0)
        step = model._step("train")
        jitted = [run for p in step._programs.values() for run in p._jitted.values()]
        assert [run._cache_size() for run in jitted] == [1]
        compiled = step.trace((x[:16], y[:16]), one=True).lower().compile()
    written = sum(v.value.addressable_shards[0].data.nbytes for v in step.written)
    assert compiled.memory_analysis().alias_size_in_bytes >= written


def test_the_estimate_on_paper_is_in_the_docs(capsys):
    scaling = pytest.importorskip("benchmarks.scaling")  # which packages of the tests lack
    scaling.estimate()
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    text = pathlib.Path(scaling.__file__).parents[1].joinpath("docs", "scaling.md").read_text()
    assert len(lines) == 18 + 3 + 2 * 2
    assert [line for line in lines if line not in text] == []
