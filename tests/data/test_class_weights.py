"""`class_weight`: weights of classes, counted or given."""

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_sample_weight

import kerasish as keras
from kerasish import layers
from kerasish.data.class_weights import weigh_classes

RNG = np.random.default_rng(0)
LABELS = RNG.choice(5, 60, p=[0.5, 0.3, 0.1, 0.1, 0.0])  # the last never occurs


@pytest.mark.parametrize(
    "y",
    [
        LABELS,
        LABELS[:, None],
        LABELS.astype("float32"),
        LABELS.astype("uint8").tolist(),
        np.eye(5)[LABELS],
    ],
    ids=["numbers", "column", "floats", "list", "one-hot"],
)
def test_balanced_is_what_scikit_learn_calls_so(y):
    np.testing.assert_allclose(
        weigh_classes(y, "balanced"), compute_sample_weight("balanced", LABELS), rtol=1e-6
    )


def test_balanced_classes_have_equal_parts_in_each_pixel_too():
    masks = RNG.integers(0, 3, (4, 5, 6, 1)) // 2
    weights = weigh_classes(masks, "balanced")
    sums = [weights[masks[..., 0] == c].sum() for c in (0, 1)]
    np.testing.assert_allclose(sums, masks.size / 2, rtol=1e-5)


def model():
    made = keras.Sequential([keras.Input((3,)), layers.Dense(5, "softmax")])
    made.compile("sgd", "sparse_categorical_crossentropy")
    return made


def test_fit_balances():
    x, (one, other) = RNG.normal(size=(60, 3)).astype("float32"), (model(), model())
    other.set_weights(one.get_weights())
    one.fit(x, LABELS, class_weight="balanced", verbose=0, shuffle=False)
    weights = compute_sample_weight("balanced", LABELS)
    other.fit(x, LABELS, sample_weight=weights, verbose=0, shuffle=False)
    np.testing.assert_allclose(one.get_weights()[0], other.get_weights()[0], rtol=1e-6)


def batches():
    yield np.ones((4, 3)), np.zeros(4)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        return np.ones((4, 3)), np.zeros(4)


@pytest.mark.parametrize(
    ("call", "source"),
    [
        (lambda m: m.fit(batches(), class_weight="balanced"), "a generator"),
        (lambda m: m.fit(Batches(), class_weight="balanced"), "a Batches"),
        (
            lambda m: m.train_on_batch(np.ones((4, 3)), np.zeros(4), class_weight="balanced"),
            "one batch",
        ),
    ],
)
def test_what_is_seen_in_part_cannot_be_balanced(call, source):
    message = f"`class_weight` must be a dict .* where labels come from {source}; .*balanced_class"
    with pytest.raises(ValueError, match=message):
        call(model())


@pytest.mark.parametrize(
    "y", [np.array([0.5, 1.5]), np.array([[1, 1, 0], [0, 1, 0]]), np.array([-0.5, 0.0])]
)
def test_targets_that_are_no_labels_cannot_be_balanced(y):
    with pytest.raises(ValueError, match="a dict where `y` holds neither class numbers nor rows"):
        weigh_classes(y, "balanced")


@pytest.mark.parametrize(
    ("y", "class_weight", "message"),
    [
        (LABELS, "balance", "a dict of class number to weight, or 'balanced'; got 'balance'"),
        (None, "balanced", "used with labels"),
        ([LABELS, LABELS], "balanced", "used with a single output"),
        (np.array([0.0, np.nan]), "balanced", "labels that are numbers"),
        (np.array(["a"]), {0: 1}, "labels that are numbers"),
    ],
)
def test_mistakes_are_named(y, class_weight, message):
    with pytest.raises(ValueError, match=message):
        weigh_classes(y, class_weight)
