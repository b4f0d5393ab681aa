"""Folders of files as data sets: which files, in what order, with what labels; mistakes."""

import copy
import pickle

import numpy as np
import pytest
from keras.src.utils import dataset_utils

import kerasish as keras
from kerasish.utils import (
    audio_dataset_from_directory,
    image_dataset_from_directory,
    text_dataset_from_directory,
)

FILES = {
    "dog": ["b.txt", "a.txt", "sub/z.txt", "sub/A.TXT", "c.md"],
    "cat": ["10.txt", "2.txt", ".hidden.txt"],
    "eel": ["1.txt", "2.txt"],
    ".git": ["no.txt"],
}


@pytest.fixture
def folder(tmp_path):
    for name, files in FILES.items():
        for file in files:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).write_text(f"{name} {file}")
    (tmp_path / "loose.txt").write_text("loose")
    (tmp_path / "eel" / "link").symlink_to(tmp_path / "dog" / "sub")
    return tmp_path


def texts(folder, **kwargs):
    return text_dataset_from_directory(folder, **{"verbose": False, **kwargs})


# --- which files, in what order, on which side of a split, with which labels ----------------------

LISTINGS = {
    "in order": {"shuffle": False},
    "shuffled": {"seed": 3},
    "by the global seed": {},
    "some classes in another order": {"class_names": ["eel", "cat"], "seed": 1},
    "no labels": {"labels": None, "seed": 2},
    "own labels": {"labels": [5, 0, 2, 3, 1, 2, 0, 0, 1, 7, 3], "seed": 4},
    "linked folders": {"follow_links": True, "seed": 2},
    "training": {"validation_split": 0.4, "subset": "training", "seed": 5},
    "validation": {"validation_split": 0.4, "subset": "validation", "seed": 5},
    "validation in order": {"validation_split": 0.3, "subset": "validation", "shuffle": False},
}


@pytest.mark.parametrize("kwargs", LISTINGS.values(), ids=LISTINGS)
def test_files_and_labels_are_those_of_keras(folder, kwargs):
    given = {"labels": "inferred", "shuffle": True, **kwargs}
    given["labels"] = copy.copy(given["labels"])  # Keras shuffles the list itself
    sides = given.pop("validation_split", None), given.pop("subset", None)
    if "seed" not in given:
        keras.utils.set_random_seed(8)
        given["seed"] = np.random.randint(1e6)
    *found, names = dataset_utils.index_directory(folder, formats=(".txt",), verbose=False, **given)
    paths, labels = dataset_utils.get_training_or_validation_split(*found, *sides)
    keras.utils.set_random_seed(8)
    ours = texts(folder, **kwargs)
    assert (ours.file_paths, ours.class_names) == (paths, names)
    assert ours.labels is labels is None or ours.labels.tolist() == list(labels)


def test_the_order_by_its_definition(folder):
    names = sorted(name for name in FILES if not name.startswith("."))
    paths = [
        str(path)
        for name in names
        for path in sorted((folder / name).rglob("*"), key=lambda p: (str(p.parent), p.name))
        if path.suffix.lower() == ".txt"
    ]
    assert texts(folder, shuffle=False).file_paths == paths
    order = np.random.RandomState(6).permutation(len(paths))
    train, held = texts(folder, seed=6, validation_split=0.25, subset="both")
    assert train.file_paths + held.file_paths == [paths[row] for row in order]
    assert len(held.file_paths) == int(0.25 * len(paths))
    assert train.reshuffle and not held.reshuffle


LABELS = [
    ("int", "int32", lambda n: n),
    ("binary", "float32", lambda n: [n]),
    ("categorical", "float32", lambda n: [n == 0, n == 1]),
]


@pytest.mark.parametrize("mode, dtype, encoded", LABELS, ids=[mode for mode, *_ in LABELS])
@pytest.mark.parametrize("batch_size", [3, None])
def test_labels_are_encoded(folder, mode, dtype, encoded, batch_size):
    names = ["dog", "cat"]
    ds = texts(folder, label_mode=mode, class_names=names, batch_size=batch_size, seed=0)
    assert len(ds) == (3 if batch_size else 7)
    for x, y in ds:
        assert y.dtype == dtype
        wanted = [encoded(names.index(text.split()[0])) for text in np.atleast_1d(x)]
        np.testing.assert_array_equal(y, wanted if batch_size else wanted[0])


def test_no_labels_and_real_ones(folder):
    assert [len(x) for x in texts(folder, label_mode=None, batch_size=4)] == [4, 4, 3]
    _, y = next(iter(texts(folder, labels=[i / 2 for i in range(11)], shuffle=False)))
    assert y.dtype == "float32" and y.tolist() == [i / 2 for i in range(11)]


def test_each_epoch_has_its_own_order_by_the_seed(folder):
    def epochs(seed):
        ds = texts(folder, seed=seed, labels=None, batch_size=2)
        return [[text for batch in ds for text in batch] for _ in range(3)]

    first, second, third = epochs(1)
    assert sorted(first) == sorted(second) == sorted(third)
    assert first != second != third
    assert epochs(1) == [first, second, third] != epochs(2)
    still = texts(folder, labels=None, shuffle=False, batch_size=None)
    assert list(still) == list(still) == [still[i] for i in range(len(still))]


SAYS = {
    "Found 9 files belonging to 3 classes.\n": {},
    "Found 11 files.\n": {"labels": None},
    "Found 9 files belonging to 3 classes.\nUsing 8 files for training.\n"
    "Using 1 files for validation.\n": {"validation_split": 0.2, "subset": "both", "seed": 1},
    "": {"verbose": False},
}


@pytest.mark.parametrize("text, kwargs", SAYS.items(), ids=map(str, SAYS.values()))
def test_what_is_printed(folder, capsys, text, kwargs):
    texts(folder, **{"verbose": True, **kwargs})
    assert capsys.readouterr().out == text


def test_a_data_set_travels_to_processes(folder):
    ds = texts(folder, shuffle=False)
    copy = pickle.loads(pickle.dumps(ds))
    assert [x.tolist() for x, _ in copy] == [x.tolist() for x, _ in ds]


# --- mistakes -------------------------------------------------------------------------------------


def unreadable(folder):
    (folder / "cat" / "x.png").write_bytes(b"no picture")
    return image_dataset_from_directory(folder, class_names=["cat"])[0]


def pictures_with(**kwargs):
    return lambda folder: image_dataset_from_directory(folder, **kwargs)


MISTAKES = {
    "labels": (lambda f: texts(f, labels=3), r"`labels` must be \"inferred\", None, or a list"),
    "how many labels": (lambda f: texts(f, labels=[1, 2]), "the 11 files in the folder; got '2 la"),
    "kind of labels": (lambda f: texts(f, labels=["a"] * 11), "`labels` must be a number for each"),
    "label_mode": (
        lambda f: texts(f, label_mode="one"),
        r"`label_mode` must be one of \('int', 'b",
    ),
    "names without labels": (
        lambda f: texts(f, labels=None, class_names=["cat"]),
        '`class_names` must be None unless `labels="inferred"`; got',
    ),
    "names": (lambda f: texts(f, class_names=["ca"]), r"among the folders \['cat', 'dog', 'eel'\]"),
    "three for binary": (
        lambda f: texts(f, label_mode="binary"),
        "unless there are 2 classes; got",
    ),
    "one-hot": (
        lambda f: texts(f, labels=[1, 2, 1] + [2] * 8, label_mode="categorical"),
        '`labels` must be from 0 to 1 for `label_mode="categorical"`; got',
    ),
    "split": (lambda f: texts(f, validation_split=2, subset="both"), "strictly between 0 and 1"),
    "split alone": (lambda f: texts(f, validation_split=0.2), "`subset` must be given with"),
    "subset alone": (lambda f: texts(f, subset="training"), "`subset` must be given with"),
    "subset": (lambda f: texts(f, validation_split=0.2, subset="test"), "or None; got 'test'"),
    "seed": (lambda f: texts(f, validation_split=0.2, subset="both"), "`seed` must be given where"),
    "empty side": (
        lambda f: texts(f, validation_split=0.01, subset="validation", seed=1),
        "`validation_split` must be a fraction that leaves files for validation; got 0.01",
    ),
    "batch_size": (lambda f: texts(f, batch_size=0), "`batch_size` must be a positive integer"),
    "no folder": (lambda f: texts(f / "none"), "`directory` must be a folder; got"),
    "no files": (pictures_with(), r"must be a folder with files in \('.bmp', '.gif'"),
    "max_length": (lambda f: texts(f, max_length=0), "`max_length` must be a positive integer"),
    "format": (lambda f: texts(f, format="torch"), r"`format` must be one of \('tf', 'grain'\)"),
    "color_mode": (pictures_with(color_mode="cmyk"), "`color_mode` must be one of"),
    "image_size": (pictures_with(image_size=(3,)), r"`image_size` must be \(height, width\); got"),
    "interpolation": (pictures_with(interpolation="box"), "`interpolation` must be one of"),
    "crop and pad": (
        pictures_with(crop_to_aspect_ratio=True, pad_to_aspect_ratio=True),
        "`pad_to_aspect_ratio` must be False where images are cropped",
    ),
    "ragged": (lambda f: audio_dataset_from_directory(f, ragged=True), "`ragged` must be False"),
    "rate": (
        lambda f: audio_dataset_from_directory(f, sampling_rate=0.5),
        "`sampling_rate` must be",
    ),
    "batches of batches": (
        lambda f: texts(f, batch_size=4).batch(3)[0],
        r"`items` must be of one shape to make a batch; got \[\(1,\), \(4,\)\]",
    ),
    "size of batches": (lambda f: texts(f).batch(0), "`batch_size` must be a positive integer"),
}


@pytest.mark.parametrize("act, text", MISTAKES.values(), ids=MISTAKES)
def test_mistakes_are_told(folder, act, text):
    with pytest.raises(ValueError, match=text):
        act(folder)


def test_a_file_that_cannot_be_read_is_named(folder):
    with pytest.raises(OSError) as caught:
        unreadable(folder)
    assert "x.png" in caught.value.__notes__[0]
