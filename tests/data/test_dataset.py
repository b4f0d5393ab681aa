"""What tf.data's users do to data sets; data cut in two."""

import random

import numpy as np
import pytest
from keras.src.utils import dataset_utils

import kerasish as keras
from kerasish.data import Dataset, PyDataset, make_batches
from kerasish.utils import split_dataset


def numbers(batch_size=None, **kwargs):
    return keras.utils.timeseries_dataset_from_array(
        np.arange(7), None, 1, batch_size=batch_size, **kwargs
    ).map(lambda x: x[..., 0])


CHAINS = {
    "map": (lambda ds: ds.map(lambda x: 2 * x), [0, 2, 4, 6, 8, 10, 12]),
    "batch": (lambda ds: ds.batch(3), [[0, 1, 2], [3, 4, 5], [6]]),
    "full batches": (lambda ds: ds.batch(3, drop_remainder=True), [[0, 1, 2], [3, 4, 5]]),
    "take": (lambda ds: ds.take(2), [0, 1]),
    "take all": (lambda ds: ds.take(-1).take(99), [0, 1, 2, 3, 4, 5, 6]),
    "skip": (lambda ds: ds.skip(5), [5, 6]),
    "skip all": (lambda ds: ds.skip(-1), []),
    "all of them": (
        lambda ds: ds.skip(1).take(5).cache().map(lambda x: (x, -x)).batch(3).prefetch(2),
        [[[1, 2, 3], [-1, -2, -3]], [[4, 5], [-4, -5]]],
    ),
}


@pytest.mark.parametrize("act, wanted", CHAINS.values(), ids=CHAINS)
def test_chains(act, wanted):
    ds = act(numbers())
    assert isinstance(ds, Dataset) and len(ds) == len(wanted)
    for _ in range(2):
        found = [[a.tolist() for a in x] if isinstance(x, tuple) else x.tolist() for x in ds]
        assert found == wanted
    with pytest.raises(IndexError):
        ds[len(wanted)]


def passes(ds, count=3):
    return [[int(x) for x in ds] for _ in range(count)]


def test_shuffled_chains():
    first, second, third = passes(numbers().shuffle(3, seed=1))
    assert sorted(first) == sorted(second) == sorted(third) == [*range(7)]
    assert first != second and passes(numbers().shuffle(3, seed=1)) == [first, second, third]
    once = passes(numbers().shuffle(3, seed=1, reshuffle_each_iteration=False))
    assert once == [first] * 3
    cached = passes(numbers(shuffle=True, seed=2).cache())
    assert cached == [cached[0]] * 3
    taken = passes(numbers(shuffle=True, seed=2).take(3))
    assert taken[0] == cached[0][:3] and taken[0] != taken[1]


def test_fit_leaves_the_order():
    batches = make_batches(numbers(batch_size=2), shuffle=True)
    assert [x.tolist() for (x,) in batches.epoch(0)] == [[0, 1], [2, 3], [4, 5], [6]]


# --- split_dataset --------------------------------------------------------------------------------

X = np.arange(20.0).reshape(10, 2)
Y = np.arange(10)


class Batched(PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        cut = slice(4 * index, 4 * index + 4)
        return X[cut], Y[cut]


class ByIndex:
    def __getitem__(self, index):
        return X[index], Y[index]


class TfLike:
    def as_numpy_iterator(self):
        return zip(X, Y, strict=True)


SOURCES = {
    "tuple": lambda: (X, Y),
    "list": lambda: [X, Y],
    "generator": lambda: ((x, y) for x, y in zip(X, Y, strict=True)),
    "by index": ByIndex,
    "tf.data": TfLike,
    "torch": lambda: pytest.importorskip("torch").utils.data.TensorDataset(
        *map(pytest.importorskip("torch").tensor, (X, Y))
    ),
    "single samples": lambda: split_dataset((X, Y), 9)[0].map(lambda x, y: (x, y)),
}


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_samples_are_cut_in_two(make):
    left, right = split_dataset(make(), left_size=6)
    rest = 3 if make is SOURCES["single samples"] else 4
    assert (len(left), len(right)) == (6, rest)
    for ds, start in ((left, 0), (right, 6)):
        for i, (x, y) in enumerate(ds, start):
            np.testing.assert_array_equal(x, X[i])
            assert y == i
    assert [y.tolist() for _, y in left.batch(4)] == [[0, 1, 2, 3], [4, 5]]


def test_arrays_and_dicts_of_them():
    left, right = split_dataset(X, right_size=0.3)
    np.testing.assert_array_equal([*left, *right], X)
    assert left[0].dtype == "float64"
    left, _ = split_dataset({"x": X, "y": Y}, 5)
    assert [item["y"] for item in left] == [0, 1, 2, 3, 4]
    left, _ = split_dataset(iter(["a", "b", "c"]), 2)
    assert list(left) == ["a", "b"]


def test_batches_are_taken_apart_and_made_anew():
    left, right = split_dataset(Batched(), left_size=0.5)
    assert [y.tolist() for _, y in left] == [[0, 1, 2, 3], [4]]
    assert [y.tolist() for _, y in right] == [[5, 6, 7, 8], [9]]
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(left, validation_data=right, verbose=0)


@pytest.mark.parametrize("seed", [3, None])
def test_the_shuffled_order_is_that_of_keras(seed):
    keras.utils.set_random_seed(5)
    chosen = random.randint(0, int(1e6)) if seed is None else seed
    order = list(range(10))
    random.Random(chosen).shuffle(order)
    keras.utils.set_random_seed(5)
    left, right = split_dataset(Y, 7, shuffle=True, seed=seed)
    assert [*left, *right] == order


SPLITS = [
    (None, 3), (3, None), (2, 3), (0.25, None), (None, 0.25), (0.5, 0.5), (0.1, 0.2), (4, 0.5),
    (0.75, 0.25), (0.01, None), (0.999, None), (0.6, 0.6), (6, 6), (10, None), (0, None), (None, 0),
    (-1, None), (1.0, None), (0, 0), (None, None), ("3", None), (None, "3"), (True, None),
]  # fmt: skip


@pytest.mark.parametrize("total", [10, 7])
@pytest.mark.parametrize("sizes", SPLITS, ids=str)
def test_sizes_and_their_errors_are_those_of_keras(sizes, total):
    def ours():
        return tuple(map(len, split_dataset(np.arange(total), *sizes)))

    def theirs():
        if sizes == (None, None):
            raise ValueError
        return dataset_utils._rescale_dataset_split_sizes(*sizes, total)

    def outcome(act):
        try:
            return act()
        except (TypeError, ValueError) as error:
            return type(error)

    assert outcome(ours) == outcome(theirs)


class Endless(PyDataset):
    num_batches = None


BAD_SPLITS = {
    "sizes": (lambda: split_dataset(X), ValueError, "`left_size` must be given if `right_size`"),
    "kind": (lambda: split_dataset(X, "3"), TypeError, "an integer from 1 to 9, or strictly"),
    "range": (lambda: split_dataset(X, 10), ValueError, "an integer from 1 to 9, .*; got 10"),
    "too many": (lambda: split_dataset(X, 6, 6), ValueError, "both sides of 10 samples get some"),
    "lengths": (lambda: split_dataset((X, Y[1:]), 2), ValueError, "arrays of equal length; got"),
    "scalars": (lambda: split_dataset([1, 2], 1), ValueError, "arrays of equal length; got"),
    "nothing": (lambda: split_dataset(iter([]), 2), ValueError, "at least one sample long"),
    "another thing": (lambda: split_dataset(3, 2), TypeError, "`dataset` must be arrays"),
    "endless": (lambda: split_dataset(Endless(), 2), ValueError, "of a known length"),
    "backend": (
        lambda: split_dataset(X, 2, preferred_backend="torch"),
        ValueError,
        "`preferred_backend` must be None or 'jax'; got 'torch'",
    ),
    "shapes": (
        lambda: split_dataset(iter([np.zeros(2), np.zeros(3)]), 1),
        ValueError,
        r"of one shape to make a batch; got \[\(2,\), \(3,\)\]",
    ),
}


@pytest.mark.parametrize("act, kind, text", BAD_SPLITS.values(), ids=BAD_SPLITS)
def test_bad_splits_are_told(act, kind, text):
    with pytest.raises(kind, match=text):
        act()
