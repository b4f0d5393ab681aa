"""What the data sets' files have in common: pickles read without running code, splits, words."""

import io
import pickle
import zipfile
from typing import Any

import numpy as np

from kerasish.core.errors import bad_argument

# All that an array's pickle needs; anything else in a file would be code to run.
_HARMLESS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")),
    *((f"numpy.{core}.multiarray", "scalar") for core in ("core", "_core")),
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(
                f"The file asks for {module}.{name}: it is not plain data."
            )
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def read_pickle(file: Any) -> Any:
    """A pickle of arrays, lists, dicts and numbers; keys of Python 2 come as bytes.

    Args:
        file: The file, open to read.
    """
    return _ArrayUnpickler(file, encoding="bytes").load()


def read_npz(path: Any) -> dict[str, np.ndarray]:
    """The arrays of an `.npz` file, arrays of lists among them.

    Args:
        path: Path of the file.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp(), "a.npz")
        >>> np.savez(path, x=np.arange(3))
        >>> read_npz(path)["x"]
        array([0, 1, 2])
    """
    arrays = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            file = io.BytesIO(archive.read(name))
            arrays[name.removesuffix(".npy")] = _read_npy(file)
    return arrays


def _read_npy(file):
    version = np.lib.format.read_magic(file)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, _, dtype = read_header(file)
    if dtype.hasobject:
        return np.asarray(read_pickle(file)).reshape(shape)
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)


def shuffled(seed: Any, *arrays: Any) -> list:
    """The arrays' rows, all in the same random order: Keras' for that seed or `RandomState`.

    Args:
        seed: Seed of the order.
        *arrays: Arrays of as many rows each.

    Example:
        >>> x, y = shuffled(0, np.arange(3), np.arange(3))
        >>> bool((x == y).all()), sorted(x.tolist())
        (True, [0, 1, 2])
    """
    order = np.arange(len(arrays[0]))
    generator = seed if isinstance(seed, np.random.RandomState) else np.random.RandomState(seed)
    generator.shuffle(order)
    return [array[order] for array in arrays]


def split(x: Any, y: Any, test_split: float) -> tuple:
    """`(x_train, y_train), (x_test, y_test)`, the test set from the end.

    Args:
        x: Inputs.
        y: Targets.
        test_split: Share of the samples that is for testing.

    Example:
        >>> x, y = np.arange(4), np.arange(4)
        >>> split(x, y, 0.25)
        ((array([0, 1, 2]), array([0, 1, 2])), (array([3]), array([3])))
    """
    first = int(len(x) * (1 - test_split))
    return (np.array(x[:first]), np.array(y[:first])), (np.array(x[first:]), np.array(y[first:]))


def check_split(test_split: float) -> None:
    """Raise unless the fraction leaves something to train on.

    Args:
        test_split: Share of the samples that is for testing.

    Example:
        >>> check_split(0.2)
    """
    if not 0 <= test_split < 1:
        raise bad_argument("load_data", "test_split", "from 0, less than 1", test_split)


def number_words(sequences: Any, start_char: int | None, index_from: int) -> list[list]:
    """Texts as lists of word numbers, moved up by `index_from`, after a mark of the start.

    Args:
        sequences: Lists of word numbers.
        start_char: The mark, or `None`.
        index_from: What is added to each number.

    Example:
        >>> number_words([[5, 6]], 1, 3)
        [[1, 8, 9]]
    """
    first = [] if start_char is None else [start_char]
    move = index_from if start_char is not None or index_from else 0
    return [first + [word + move for word in sequence] for sequence in sequences]


def shorter(maxlen: int | None, sequences: Any, labels: Any) -> tuple:
    """The sequences of less than `maxlen` words, with their labels; all of them if it is `None`.

    Args:
        maxlen: The number, or `None`.
        sequences: Lists of word numbers.
        labels: Their labels.

    Example:
        >>> shorter(3, [[1], [1, 2, 3]], [0, 1])
        ([[1]], array([0]))
    """
    if not maxlen:
        return sequences, labels
    kept = [i for i, sequence in enumerate(sequences) if len(sequence) < maxlen]
    if not kept:
        raise bad_argument("load_data", "maxlen", "longer than the shortest text", maxlen)
    return [sequences[i] for i in kept], np.asarray(labels)[kept]


def frequent(
    sequences: Any, num_words: int | None, skip_top: int, oov_char: int | None
) -> np.ndarray:
    """Texts with rare and all too frequent words replaced by `oov_char`, or left out for `None`.

    Args:
        sequences: Lists of word numbers, which tell how frequent a word is: less is more.
        num_words: Numbers from here on are rare; `None`: only the largest one, as in Keras.
        skip_top: Numbers below are too frequent.
        oov_char: Number that stands for such words.

    Example:
        >>> frequent([[1, 5, 9]], 6, 2, 0)
        array([list([0, 5, 0])], dtype=object)
    """
    limit = num_words or max(max(sequence) for sequence in sequences)

    def fits(word):
        return skip_top <= word < limit

    if oov_char is None:
        sequences = [[w for w in sequence if fits(w)] for sequence in sequences]
    else:
        sequences = [[w if fits(w) else oov_char for w in sequence] for sequence in sequences]
    return as_objects(sequences)


def as_objects(sequences: Any) -> np.ndarray:
    """An array whose elements are lists, whatever their lengths.

    Args:
        sequences: Lists.
    """
    array = np.empty(len(sequences), dtype="object")
    for i, sequence in enumerate(sequences):
        array[i] = sequence
    return array


def read_cifar(path: Any, key: Any) -> tuple[np.ndarray, np.ndarray]:
    """Images `(n, 32, 32, 3)` and labels `(n, 1)` of one CIFAR batch file.

    Args:
        path: Path of the file.
        key: Key of the labels.

    Example:
        >>> read_cifar("data_batch_1", b"labels")[0].shape  # doctest: +SKIP
        (10000, 32, 32, 3)
    """
    with open(path, "rb") as file:
        found = {name.decode(): value for name, value in read_pickle(file).items()}
    images = found["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.array(found[key]).reshape(-1, 1)
