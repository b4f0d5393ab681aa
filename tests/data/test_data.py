"""Data: every source gives each row once an epoch, in the promised order, and lets go."""

import contextlib
import gc
import importlib
import itertools
import os
import signal
import sys
import threading
import time
import tracemalloc
from itertools import chain
from typing import NamedTuple

import jax
import jax.numpy as jnp
import keras as oracle
import numpy as np
import pandas as pd
import pytest
from keras.src.trainers.data_adapters import array_slicing, data_adapter_utils
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter

from kerasish import data as families
from kerasish.core import settings
from kerasish.core.state import seeds
from kerasish.data import (
    ArrayBatches,
    Batches,
    PyDataset,
    make_batches,
    normalize,
    pack_x_y_sample_weight,
    pad_sequences,
    prefetch,
    to_categorical,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from kerasish.data.array_conversion import to_arrays
from tests.support.counting import python_calls

ROWS = 10
X = np.arange(ROWS * 3, dtype="float32").reshape(ROWS, 3)
Y = np.arange(ROWS, dtype="int32")
W = np.linspace(0, 1, ROWS, dtype="float32")


def leaves(batch):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(batch)]


def assert_same(ours, theirs):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    for a, b in zip(leaves(ours), leaves(theirs), strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_array_equal(a, b)


def rows_of(batches, epoch=0):
    """The labels of an epoch, after checking that every batch's parts belong together."""
    found = []
    for x, y, *_ in batches.epoch(epoch):
        np.testing.assert_array_equal(np.asarray(x)[:, 0], 3 * np.asarray(y).reshape(-1))
        found.append(np.asarray(y).reshape(-1).tolist())
    return found


class Numbers(PyDataset):
    """The rows in batches of four, as a PyDataset; counts its hooks, orders threads badly."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.calls = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        time.sleep(0.002 * (3 - index % 3))
        cut = slice(4 * index, 4 * index + 4)
        return X[cut], Y[cut]

    def on_epoch_begin(self):
        self.calls.append("begin")

    def on_epoch_end(self):
        self.calls.append("end")


class Rows:
    """A plain iterable of batches."""

    def __iter__(self):
        return generator()


class TfLike:
    """What tf.data offers, as far as it is used."""

    def __init__(self, cardinality=3):
        self.size = cardinality

    def cardinality(self):
        return np.int64(self.size)

    def as_numpy_iterator(self):
        return generator()


def generator():
    for start in range(0, ROWS, 4):
        yield X[start : start + 4], Y[start : start + 4]


def torch():
    return pytest.importorskip("torch")


def torch_loader(**kwargs):
    pairs = torch().utils.data.TensorDataset(torch().tensor(X), torch().tensor(Y))
    return torch().utils.data.DataLoader(pairs, batch_size=4, **kwargs)


def grain_map():
    grain = pytest.importorskip("grain")
    return grain.MapDataset.range(ROWS).map(lambda i: (X[i], Y[i])).batch(4)


SOURCES = {
    "arrays": lambda: (X, Y),
    "jax arrays": lambda: (jnp.asarray(X), jnp.asarray(Y)),
    "lists": lambda: (X.tolist(), Y.tolist()),
    "pandas": lambda: (pd.DataFrame(X), pd.Series(Y)),
    "torch tensors": lambda: (torch().tensor(X, requires_grad=True), torch().tensor(Y)),
    "generator": lambda: (generator(),),
    "list of batches": lambda: (iter(list(generator())),),
    "iterable": lambda: (Rows(),),
    "tf.data": lambda: (TfLike(),),
    "torch loader": lambda: (torch_loader(),),
    "grain map": lambda: (grain_map(),),
    "grain iter": lambda: (grain_map().to_iter_dataset(),),
    "PyDataset": lambda: (Numbers(),),
    "PyDataset, threads": lambda: (Numbers(workers=3, max_queue_size=2),),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_each_row_once_an_epoch_in_order_and_the_last_batch_is_partial(make):
    source = make()
    batches = make_batches(*source, batch_size=4 if len(source) > 1 else None)
    assert rows_of(batches) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    if not getattr(batches, "one_shot", False):
        assert rows_of(batches, 1) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert batches.num_batches == 3
    batches.close()


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_dtypes_are_floatx_and_int(make):
    x, y = next(iter(make_batches(*make()).epoch(0)))
    assert x.dtype == "float32" and np.issubdtype(y.dtype, np.integer)
    assert isinstance(x, np.ndarray | jax.Array)


def test_grain_data_loader():
    grain = pytest.importorskip("grain")

    class Source:
        def __len__(self):
            return ROWS

        def __getitem__(self, i):
            return X[i], Y[i]

    sampler = grain.samplers.IndexSampler(ROWS, num_epochs=1)
    loader = grain.DataLoader(
        data_source=Source(), sampler=sampler, operations=[grain.transforms.Batch(4)]
    )
    assert [*chain(*rows_of(make_batches(loader)))] == Y.tolist()


# --- arrays ---------------------------------------------------------------------------------------


class Pair(NamedTuple):
    a: np.ndarray
    b: np.ndarray


NESTS = {
    "x": (X, None, None),
    "x y": (X, Y, None),
    "x y w": (X, Y, W),
    "dict": ({"b": X, "a": Y}, {"out": Y}, None),
    "list": ([X, Y], Y, None),
    "tuple": ((X, Y), Y, W),
    "float64": (X.astype("float64"), Y.astype("int64"), W.astype("float64")),
    "float16": (X.astype("float16"), Y, None),
    "uint8 and bool": (X.astype("uint8"), Y > 3, None),
    "two outputs, one weight": (X, [Y, Y], W),
    "two outputs, two weights": (X, {"a": Y, "b": Y}, {"a": W, "b": 2 * W}),
    "frame": (pd.DataFrame({"a": np.arange(10.0), "b": np.arange(10)}), pd.Series(Y), None),
}


@pytest.mark.parametrize("nest", NESTS.values(), ids=NESTS)
def test_array_batches_are_keras_batches(nest):
    theirs = ArrayDataAdapter(*nest, batch_size=4).get_numpy_iterator()
    ours = make_batches(*nest, batch_size=4).epoch(0)
    for a, b in itertools.zip_longest(ours, theirs):
        assert_same(a, b if isinstance(b, tuple) and nest[1] is not None else (b,))


def test_nests_keep_their_types_and_none():
    (x, y) = next(iter(make_batches(Pair(X, Y), [Y, None]).epoch(0)))
    assert type(x) is Pair and isinstance(y, list) and y[1] is None


def test_jax_arrays_stay_and_numpy_is_not_copied():
    array = jnp.asarray(X)
    assert make_batches(array).arrays[0] is array
    assert make_batches(X).arrays[0] is X


@pytest.mark.parametrize(
    "value, want",
    [
        ([1, 2, 3], np.array([1, 2, 3])),
        ([1.0, 2.0], np.array([1, 2], "float32")),
        ([[1.0], [2.0]], np.array([[1], [2]], "float32")),
        ([np.float64(1), np.float64(2)], np.array([1, 2], "float32")),
        (range(3), np.arange(3)),
        (pd.DataFrame({"a": [True, False], "b": [0.5, 1.5]}), np.array([[1, 0.5], [0, 1.5]], "f")),
        (pd.DataFrame({"a": pd.array([1, None], "Int64")}), np.array([[1], [np.nan]], "f")),
        (jnp.ones(2, "bfloat16"), jnp.ones(2, "bfloat16")),
        (np.ones(2, jnp.bfloat16), np.ones(2, "float32")),
    ],
    ids=str,
)
def test_values_become_arrays(value, want):
    (x,) = make_batches(value).arrays
    np.testing.assert_array_equal(x, want)
    assert x.dtype == want.dtype


def test_floatx_rules():
    settings.set_floatx("float16")
    assert make_batches(X).arrays[0].dtype == "float16"


@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
@pytest.mark.parametrize("shuffle", [True, "batch"])
def test_shuffling_keeps_rows_together_and_gives_each_once(shuffle, kind):
    batches = make_batches(kind(X), kind(Y), shuffle=shuffle, batch_size=4)
    seen = [rows_of(batches, epoch) for epoch in range(30)]
    assert all(sorted([*chain(*rows)]) == Y.tolist() for rows in seen)
    assert seen[0] != seen[1] != seen[2]
    if shuffle == "batch":
        sets = [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
        assert all(sorted(sorted(batch) for batch in rows) == sets for rows in seen)
        assert {tuple(sorted(batch)) for rows in seen for batch in rows[:1]} == {
            (0, 1, 2, 3),
            (4, 5, 6, 7),
        }


@pytest.mark.parametrize("source", [(X, Y), (Numbers(),)], ids=["arrays", "PyDataset"])
def test_order_follows_from_the_seed(source):
    seeds.set_random_seed(3)
    first = make_batches(*source, shuffle=True)
    seeds.set_random_seed(3)
    second = make_batches(*source, shuffle=True)
    other = make_batches(*source, shuffle=True)
    late, early = (rows_of(second, epoch) for epoch in (5, 0))
    assert (rows_of(first, 0), rows_of(first, 5)) == (early, late)
    assert [rows_of(other, epoch) for epoch in range(5)] != [rows_of(first, e) for e in range(5)]


def test_order_is_int32_rows_or_none():
    order = ArrayBatches((X,), 4, shuffle=True, seed=1).order(2)
    assert order.dtype == "int32" and sorted(order) == list(range(ROWS))
    assert ArrayBatches((X,), 4).order(0) is None


@pytest.mark.parametrize(
    "kwargs, size, count",
    [
        ({}, 32, 1),
        ({"batch_size": 4}, 4, 3),
        ({"steps": 3}, 4, 3),
        ({"batch_size": 3, "steps": 2}, 3, 4),
    ],
)
def test_batch_size_default_and_from_steps(kwargs, size, count):
    batches = make_batches(X, **kwargs)
    assert (batches.batch_size, batches.num_batches, batches.num_samples) == (size, count, ROWS)


@pytest.mark.parametrize("shuffle", [False, True])
def test_sparse_rows_become_dense_batch_by_batch(shuffle):
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.coo_matrix(X.astype("float64"))
    batches = make_batches({"x": x}, Y, batch_size=4, shuffle=shuffle)
    assert not isinstance(batches, ArrayBatches)
    for inputs, y in batches.epoch(0):
        assert_same(inputs["x"], X[y])
    assert_same(next(make_batches(iter([(x, Y)])).epoch(0)), (X, Y))
    train, held = train_validation_split((x, Y), 0.2)
    assert train[0].shape == (8, 3) and held[0].shape == (2, 3)


def test_arrays_on_disk_are_read_batch_by_batch(tmp_path):
    np.save(tmp_path / "x.npy", X)
    batches = make_batches(
        np.load(tmp_path / "x.npy", mmap_mode="r"), Y, batch_size=4, shuffle=True
    )
    assert not isinstance(batches, ArrayBatches) and isinstance(batches.arrays[0], np.memmap)
    assert sorted(chain(*rows_of(batches))) == Y.tolist()


# --- streams --------------------------------------------------------------------------------------


def test_an_endless_generator_goes_on_where_it_was_left():
    def endless():
        for i in itertools.count():
            yield np.full((2, 1), i)

    source = endless()
    batches = make_batches(source, steps=2)
    seen = [
        [int(x[0, 0]) for (x,) in itertools.islice(batches.epoch(epoch), 2)] for epoch in range(3)
    ]
    assert seen == [[0, 1], [2, 3], [4, 5]]
    assert int(next(source)[0, 0]) == 6  # it stays the user's, unclosed and with nothing lost


def test_a_spent_generator_says_that_data_ran_out():
    batches = make_batches(generator())
    assert len(list(batches.epoch(0))) == 3
    with pytest.warns(UserWarning, match="input ran out of data: the generator has no more"):
        assert list(batches.epoch(1)) == []


def test_num_batches_learns_from_what_came():
    batches = make_batches(Rows())
    assert batches.num_batches is None
    list(batches.epoch(0))
    assert batches.num_batches == 3


@pytest.mark.parametrize(
    "batch, want",
    [
        (X, (X,)),
        ((X,), (X,)),
        ([X, Y], (X, Y)),
        ((X, Y, None), (X, Y)),
        ((X, None, W), (X, None, W)),
        ({"a": X}, ({"a": X},)),
        (([X, X], Y), ([X, X], Y)),
        ((X.astype("float64"), Y.tolist()), (X, Y.astype("int64"))),
    ],
)
def test_batches_take_every_form(batch, want):
    assert_same(next(make_batches(iter([batch])).epoch(0)), want)


def test_torch_tensors_become_arrays():
    x, y = torch().tensor(X), torch().tensor(Y)
    assert make_batches(x).arrays[0].dtype == "float32"
    (half,) = make_batches(torch().ones(2, dtype=torch().bfloat16)).arrays
    np.testing.assert_array_equal(half, np.ones(2, "float32"))
    assert_same(next(make_batches(iter([(x, y)])).epoch(0)), (X, Y))


def test_batches_pass_through():
    batches = make_batches(X)
    assert make_batches(batches) is batches
    with pytest.raises(NotImplementedError, match="Batches does not say"):
        Batches().epoch(0)


# --- PyDataset ------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3])
def test_hooks_order_and_threads_of_a_py_dataset(workers):
    before = set(threading.enumerate())
    dataset = Numbers(workers=workers)
    batches = make_batches(dataset)
    for epoch in range(2):
        batches.on_epoch_begin()
        assert [*chain(*rows_of(batches, epoch))] == Y.tolist()
        batches.on_epoch_end()
    assert dataset.calls == ["begin", "end"] * 2
    batches.close()
    assert set(threading.enumerate()) <= before


def test_workers_hold_no_more_than_the_queue():
    class Counting(Numbers):
        def __len__(self):
            return 50

        def __getitem__(self, index):
            asked.append(index)
            return X, Y

    asked = []
    batches = make_batches(Counting(workers=2, max_queue_size=4))
    iterator = batches.epoch(0)
    next(iterator)
    time.sleep(0.05)
    assert len(asked) <= 5
    iterator.close()
    batches.close()
    assert len(asked) <= 6


def test_an_error_in_a_worker_thread_arrives():
    class Bad(Numbers):
        def __getitem__(self, index):
            raise OSError(f"no file {index}")

    batches = make_batches(Bad(workers=2))
    with pytest.raises(OSError, match="no file 0"):
        list(batches.epoch(0))
    batches.close()


def test_an_endless_py_dataset():
    class Endless(PyDataset):
        num_batches = None

        def __getitem__(self, index):
            return np.full((2, 1), index)

    batches = make_batches(Endless(workers=2), steps=5)
    iterator = batches.epoch(0)
    assert [int(x[0, 0]) for (x,) in itertools.islice(iterator, 5)] == list(range(5))
    iterator.close()
    batches.close()


def test_a_subclass_that_forgets_super_init_works():
    class Forgetful(Numbers):
        def __init__(self):
            self.calls = []

    assert [*chain(*rows_of(make_batches(Forgetful())))] == Y.tolist()


MODULE = """
import os
import numpy as np
from kerasish.data import PyDataset

class InProcess(PyDataset):
    offset = 0
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return np.full((2, 1), index + self.offset), np.full(2, os.getpid())
    def on_epoch_end(self):
        self.offset += 10
"""


def test_processes_keep_order_and_see_changes(tmp_path, monkeypatch):
    (tmp_path / "in_process.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    dataset = importlib.import_module("in_process").InProcess(workers=1, use_multiprocessing=True)
    with contextlib.closing(make_batches(dataset)) as batches:
        for epoch in range(2):
            found = list(batches.epoch(epoch))
            assert [int(x[0, 0]) for x, _ in found] == [10 * epoch + i for i in range(4)]
            assert all(y[0] != os.getpid() for _, y in found)
            batches.on_epoch_end()
        folder = batches._workers.folder.name
    monkeypatch.delitem(sys.modules, "in_process")
    assert not os.path.exists(folder)


# --- reading ahead --------------------------------------------------------------------------------


def reading():
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_prefetch_gives_all_in_order_and_ends_its_thread():
    assert list(prefetch(iter(range(100)), depth=3)) == list(range(100))
    assert not reading()


def test_prefetch_reads_no_further_than_its_depth():
    read = []
    iterator = prefetch((read.append(i) or i for i in itertools.count()), depth=2)
    assert next(iterator) == 0
    time.sleep(0.05)
    assert len(read) == 4  # one taken, two ready, one in hand
    iterator.close()
    assert not reading()


def test_prefetch_raises_after_the_items_before():
    def failing():
        yield 1
        raise OSError("disk gone")

    iterator = prefetch(failing())
    assert next(iterator) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(iterator)
    assert not reading()


@pytest.mark.parametrize("how", ["close", "drop", "interrupt"])
def test_prefetch_lets_go(how):
    closed = []

    def source():
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    iterator = prefetch(source())
    next(iterator)
    assert len(reading()) == 1
    if how == "close":
        iterator.close()
    elif how == "drop":
        del iterator
        gc.collect()
    else:
        with pytest.raises(KeyboardInterrupt), contextlib.closing(iterator):
            raise KeyboardInterrupt
    assert closed == [True] and not reading()


def test_an_interrupt_while_waiting_ends_the_thread():
    iterator = prefetch(time.sleep(0.1) or i for i in itertools.count())
    next(iterator)
    timer = threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(5):
            next(iterator)
    timer.join()
    assert not reading()


def test_memory_stays_flat():
    x = np.zeros((2000, 1000), "float32")
    batches = make_batches(x, shuffle=True, batch_size=100)
    tracemalloc.start()
    for epoch in range(5):
        for _ in prefetch(batches.epoch(epoch)):
            pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * 100 * 1000 * 4  # a few batches, never the 8 MB of all rows


def test_gathering_calls_little_more_than_indexing_does():
    x = np.zeros((4000, 784), "float32")
    batches = ArrayBatches((x,), 32, shuffle=True, seed=0)

    assert python_calls(lambda: list(batches.epoch(0))) < 12 * batches.num_batches


# --- class weights, splits, packing ---------------------------------------------------------------


@pytest.mark.parametrize(
    "y",
    [Y, Y[:, None], Y.astype("float32"), np.eye(10, dtype="float32")[Y], np.eye(4)[Y % 4]],
    ids=["ids", "column", "floats", "one-hot", "one-hot of 4"],
)
@pytest.mark.parametrize("weights", [{0: 2.0, 3: 0.5, 9: 7}, {}, {1: 3}], ids=str)
def test_class_weight_is_keras_sample_weight(y, weights):
    want = data_adapter_utils.class_weight_to_sample_weights(y, weights)
    ours = make_batches(X, y, class_weight=weights).arrays[2]
    np.testing.assert_array_equal(ours, want)
    assert ours.dtype == want.dtype
    _, _, streamed = next(make_batches(iter([(X, y)]), class_weight=weights).epoch(0))
    np.testing.assert_array_equal(streamed, want)


def test_class_weight_of_pixels():
    y = np.arange(8).reshape(2, 2, 2, 1)
    (_, _, w) = make_batches(np.ones((2, 1)), y, class_weight={7: 5.0}).arrays
    assert w.shape == (2, 2, 2) and w.sum() == 12


@pytest.mark.parametrize("split", [0.1, 0.25, 0.5, 0.99 - 0.2])
def test_validation_split_is_keras_split(split):
    nest = ({"a": X, "b": Y}, [Y, Y], None)
    theirs = array_slicing.train_validation_split(nest, split)
    assert_same(train_validation_split(nest, split), theirs)


def test_validation_split_of_other_kinds():
    train, held = train_validation_split((jnp.asarray(X), pd.Series(Y), None), 0.2)
    assert isinstance(train[0], jax.Array) and train[0].shape == (8, 3)
    assert held[1].shape == (2, 1) and held[2] is None


@pytest.mark.parametrize("data", [X, (X,), (X, Y), (X, Y, W), [X, Y]])
def test_unpack_is_keras(data):
    ours, theirs = unpack_x_y_sample_weight(data), oracle.utils.unpack_x_y_sample_weight(data)
    assert all(a is b for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("parts", [(X,), ([X],), (X, Y), (X, Y, W), (X, None, W)])
def test_pack_is_keras(parts):
    ours, theirs = pack_x_y_sample_weight(*parts), oracle.utils.pack_x_y_sample_weight(*parts)
    assert type(ours) is type(theirs)
    assert_same(ours, theirs)


# --- array tools ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "x, classes",
    [([0, 1, 3], None), ([[1], [2]], 4), ([[1, 2], [0, 1]], None), (2, 3), (np.array([1.0]), 2)],
)
def test_to_categorical_is_keras(x, classes):
    assert_same(to_categorical(x, classes), oracle.utils.to_categorical(x, classes))


def test_to_categorical_of_jax_arrays():
    x = jnp.array([[0], [5], [2]])
    assert_same(to_categorical(x, 3), oracle.utils.to_categorical(x, 3))


@pytest.mark.parametrize("axis, order", [(-1, 2), (-1, 1), (1, 3), (2, 2)])
@pytest.mark.parametrize("kind", [np.asarray, jnp.asarray], ids=["numpy", "jax"])
def test_normalize_is_keras(kind, axis, order):
    x = np.random.default_rng(0).normal(size=(4, 3, 5)).astype("float32")
    x[0] = 0
    if axis == 1 and kind is np.asarray:
        want = x / np.maximum(np.linalg.norm(x, order, 1, keepdims=True), 1e-30)
    else:
        want = oracle.utils.normalize(kind(x), axis, order)
    ours = normalize(kind(x), axis, order)
    assert isinstance(ours, jax.Array) == (kind is jnp.asarray) and ours.dtype == want.dtype
    np.testing.assert_allclose(ours, want, rtol=1e-6)


def test_normalize_over_the_first_axis():
    x = np.random.default_rng(0).normal(size=(4, 3))
    np.testing.assert_allclose(np.linalg.norm(normalize(x, axis=0), axis=0), 1)


SEQUENCES = [[1], [2, 3], [4, 5, 6], []]
POINTS = [np.ones((2, 3)), np.zeros((0, 3)), 2 * np.ones((4, 3))]


@pytest.mark.parametrize("padding", ["pre", "post"])
@pytest.mark.parametrize("truncating", ["pre", "post"])
@pytest.mark.parametrize("maxlen", [None, 1, 2, 5])
@pytest.mark.parametrize(
    "sequences, kwargs",
    [(SEQUENCES, {}), (SEQUENCES, {"value": -1}), (POINTS, {"dtype": "float32", "value": 0.5})],
    ids=["ids", "value", "points"],
)
def test_pad_sequences_is_keras(sequences, kwargs, maxlen, padding, truncating):
    kwargs = {**kwargs, "maxlen": maxlen, "padding": padding, "truncating": truncating}
    assert_same(pad_sequences(sequences, **kwargs), oracle.utils.pad_sequences(sequences, **kwargs))


def test_pad_sequences_of_strings():
    want = [["", "a"], ["b", "c"]]
    assert pad_sequences([["a"], ["b", "c"]], dtype=object, value="").tolist() == want


# --- errors ---------------------------------------------------------------------------------------


class Samples:
    """A torch-like data set of single samples."""

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return X[index]


class Endless(PyDataset):
    num_batches = None


def grain_endless():
    return grain_map().repeat()


def drain(*args, **kwargs):
    return list(make_batches(*args, **kwargs).epoch(0))


ERRORS = {
    "lengths": (
        lambda: make_batches(X, Y[:9]),
        r"`y` must have as many .* `x`; got: x has 10, y has 9",
    ),
    "nested lengths": (
        lambda: make_batches({"a": X, "b": X[:2]}, Y),
        r"`x\['b'\]` .* x\['b'\] has 2",
    ),
    "weights": (lambda: make_batches(X, Y, W[:3]), r"`sample_weight` must .* sample_weight has 3"),
    "empty": (lambda: make_batches(X[:0], Y[:0]), "`x` must be at least one row long"),
    "empty list": (lambda: make_batches([]), "`x` must be at least one row long"),
    "no x": (lambda: make_batches(None), "`x` must be at least one array; got None"),
    "unknown": (
        lambda: make_batches(3),
        r"`x` must be arrays \(NumPy, JAX, .* PyDataset; got <class 'int'>",
    ),
    "text": (lambda: make_batches("abc"), "got <class 'str'>"),
    "function": (lambda: make_batches(generator), r"call it: `fit\(make\(\), ...\)`"),
    "samples": (lambda: make_batches(Samples()), "put a loader that makes batches"),
    "odd leaf": (lambda: make_batches({"a": X, "b": object()}), "holds something else than arrays"),
    "y with stream": (
        lambda: make_batches(generator(), Y),
        "`y` must be None where `x` is a generator",
    ),
    "w with stream": (
        lambda: make_batches(Numbers(), None, W),
        "`sample_weight` must be None where",
    ),
    "odd y": (lambda: make_batches(X, generator()), "`y` must be arrays, as `x` is"),
    "endless cycle": (
        lambda: make_batches(itertools.cycle([X])),
        "`steps_per_epoch` must be given for an endless cycle",
    ),
    "endless PyDataset": (lambda: make_batches(Endless()), "must be given for an endless Endless"),
    "endless grain": (lambda: make_batches(grain_endless()), "must be given for an endless Repeat"),
    "endless tf.data": (lambda: make_batches(TfLike(-1)), "must be given for an endless TfLike"),
    "empty generator": (lambda: drain(iter(())), "a source of at least one batch"),
    "four parts": (
        lambda: drain(iter([(X, X, X, X)])),
        "4 items'. If the items are several inputs",
    ),
    "single samples": (
        lambda: drain(iter([1.0])),
        "first axis counts rows; got 1.0. If the source",
    ),
    "batch lengths": (lambda: drain(iter([(X, Y[:4])])), "x has 10, y has 4"),
    "text batch": (lambda: drain(iter(["abc"])), "`x` must be an array .* got <class 'str'>"),
    "strings": (
        lambda: to_arrays(np.array(["a", "b"])),
        "numbers; got 'dtype <U1'. Turn strings",
    ),
    "string list": (lambda: to_arrays(["a", "b"]), "`x` must be numbers; .*StringLookup"),
    "objects": (
        lambda: make_batches(X, np.array([{}] * 10)),
        "`y` must be numbers; got 'dtype object'",
    ),
    "dates": (
        lambda: make_batches(np.array(["2020-01-01"], "M8[D]")),
        "Convert it to a type of number",
    ),
    "text column": (
        lambda: make_batches(pd.DataFrame({"n": [1.0], "city": ["Oslo"]})),
        r"numbers in every column; got \{'city': ",
    ),
    "ragged": (
        lambda: make_batches([[1, 2], [3]]),
        "lists of one length .* `keras.utils.pad_sequences`",
    ),
    "batch size": (
        lambda: make_batches(X, batch_size=0),
        "`batch_size` must be a positive integer or None; got 0",
    ),
    "batch size float": (
        lambda: make_batches(X, batch_size=2.5),
        "`batch_size` must be a positive integer",
    ),
    "steps": (lambda: make_batches(X, steps=-1), "`steps_per_epoch` must be a positive integer"),
    "shuffle": (
        lambda: make_batches(X, shuffle="yes"),
        "`shuffle` must be True, False or 'batch'; got 'yes'",
    ),
    "class weight, two outputs": (
        lambda: make_batches(X, [Y, Y], class_weight={0: 1}),
        "one dict for each of the outputs",
    ),
    "class weight, no y": (lambda: make_batches(X, class_weight={0: 1}), "used with labels"),
    "class weight list": (
        lambda: make_batches(X, Y, class_weight=[1, 2]),
        "a dict of class number to weight",
    ),
    "matrix weight": (
        lambda: make_batches(X, [Y, Y], X),
        "one number for each sample .* several outputs",
    ),
    "other weights": (
        lambda: make_batches(X, {"a": Y, "b": Y}, {"a": W}),
        r"each output in `y`, \['a', 'b'\]",
    ),
    "split 1": (lambda: train_validation_split((X, Y), 1.0), "strictly between 0 and 1; got 1.0"),
    "split 0": (lambda: train_validation_split((X, Y), 0), "strictly between 0 and 1; got 0"),
    "split too fine": (lambda: train_validation_split((X[:1],), 0.5), "rows on both sides of 1"),
    "split stream": (lambda: train_validation_split((generator(),), 0.5), "`validation_data`"),
    "no length": (lambda: make_batches(PyDataset()), "must define `__len__` or `num_batches`"),
    "no item": (lambda: PyDataset()[0], "must define `__getitem__"),
    "class number": (
        lambda: to_categorical([0, 7], 3),
        "class numbers from 0 to 2; got 'from 0 to 7'",
    ),
    "jax classes": (
        lambda: to_categorical(jnp.zeros(2, int)),
        "`num_classes` must be given for a JAX",
    ),
    "padding": (
        lambda: pad_sequences([[1]], padding="left"),
        r"`padding` must be one of \('pre', 'post'\)",
    ),
    "pad flat": (lambda: pad_sequences([1, 2]), "must be a list of sequences"),
    "pad string": (lambda: pad_sequences([["a"]], value="x"), "Use `dtype=object` for strings"),
    "pad shapes": (
        lambda: pad_sequences([np.ones((1, 2)), np.ones((1, 3))]),
        r"\(3,\) in sequence 1",
    ),
    "pad nothing": (lambda: pad_sequences([]), "at least one sequence"),
}


@pytest.mark.parametrize("act, text", ERRORS.values(), ids=ERRORS)
def test_errors_say_what_to_do(act, text):
    with pytest.raises((ValueError, NotImplementedError), match=text):
        act()


def test_batch_size_beside_a_stream_warns():
    with pytest.warns(UserWarning, match="`batch_size` is ignored: `x` is a generator"):
        make_batches(generator(), batch_size=3)


def test_all_is_sorted():
    assert families.__all__ == sorted(families.__all__)
