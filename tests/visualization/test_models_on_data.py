"""Pictures of what a model is given and makes of it, against the definitions of what they show."""

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

import kerasish as keras
from kerasish import layers, losses
from kerasish.visualization import (
    confusion_matrix,
    grad_cam,
    show_batch,
    show_results,
    top_losses,
)

matplotlib.use("Agg")
RNG = np.random.default_rng(0)


def titles(figure):
    return [axis.get_title() for axis in figure.axes if axis.get_title()]


def words(axis):
    return "\n".join(text.get_text() for text in axis.texts)


# -- batches


@pytest.mark.parametrize(
    ("images", "shown"),
    [
        (np.full((1, 8, 8, 1), 51, "uint8"), 0.2),
        (np.full((1, 8, 8), 0.25, "float32"), 0.25),
        (np.full((1, 8, 8, 3), -0.5, "float32"), 0.25),
        (np.full((1, 8, 8, 3), 102.0, "float32"), 0.4),
        (np.full((1, 8, 8), 16, "uint8"), 1.0),
    ],
)
def test_images_are_as_bright_as_their_values(images, shown):
    figure = show_batch(images)
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), shown, rtol=1e-6)


def generator():
    yield np.zeros((4, 8, 8)), np.eye(2)[[1, 0, 1, 1]]


class Source(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return np.zeros((4, 8, 8)), np.eye(2)[[1, 0, 1, 1]]


@pytest.mark.parametrize(
    "data",
    [
        lambda: (np.zeros((9, 8, 8)), np.array([1, 0, 1, 1] * 2 + [0])),
        lambda: (np.zeros((4, 8, 8)), np.eye(2)[[1, 0, 1, 1]]),
        lambda: (np.zeros((4, 8, 8)), [[1], [0], [1], [1]]),
        lambda: (generator(),),
        lambda: (Source(),),
    ],
)
def test_samples_come_from_wherever_fit_takes_them(data):
    figure = show_batch(*data(), count=3, class_names={0: "cat", 1: "dog"})
    assert titles(figure) == ["dog", "cat", "dog"]


def test_texts_numbers_and_series():
    figure = show_batch(np.array(["good film", "bad"]), np.array([1, 0]), class_names=["no", "yes"])
    assert [words(axis) for axis in figure.axes[:2]] == ["good film", "bad"]
    assert titles(figure) == ["yes", "no"]
    vocabulary = ["", "[UNK]", "good", "film"]
    figure = show_batch(np.array([[2, 3, 1, 0, 0]]), vocabulary=vocabulary)
    assert words(figure.axes[0]) == "good film [UNK]"
    figure = show_batch(np.array([[0.5, 2.0]]), np.array([0.75]))
    assert words(figure.axes[0]) == "0.5\n2"
    assert titles(figure) == ["0.75"]
    figure = show_batch({"age": np.array([[3.0]]), "kind": np.array([["a"]])})
    assert words(figure.axes[0]) == "age: 3\nkind: a"
    series = RNG.normal(size=(2, 30, 2))
    figure = show_batch(series)
    np.testing.assert_allclose(figure.axes[1].lines[1].get_ydata(), series[1, :, 1], 1e-6)


def test_images_as_targets_stand_beside_the_inputs():
    x, y = RNG.uniform(size=(2, 8, 8, 3)), RNG.uniform(size=(2, 8, 8, 1))
    model = keras.Sequential([layers.Conv2D(1, 3, padding="same", activation="sigmoid")])
    figure = show_results(model, x, y)
    assert titles(figure) == ["target", "predicted"] * 2
    shown = figure.axes[5].images[0].get_array()
    np.testing.assert_allclose(shown, model.predict(x, verbose=0)[1, ..., 0], rtol=1e-5)


def test_results_name_what_was_predicted(tmp_path):
    model = keras.Sequential([layers.Flatten(), layers.Dense(2, "softmax")])
    x = np.zeros((2, 8, 8))
    model(x)
    model.layers[-1].bias.assign(np.log([0.25, 0.75]))
    path = tmp_path / "results.png"
    figure = show_results(model, x, [0, 1], class_names=["cat", "dog"], path=path)
    assert titles(figure) == ["cat (predicted: dog 0.75)", "dog (predicted: dog 0.75)"]
    assert path.stat().st_size > 500


@pytest.mark.parametrize("count", [0, -1, True, 2.5])
def test_counts_are_positive(count):
    with pytest.raises(ValueError, match="show_batch: `count` must be a positive number of sam"):
        show_batch(np.zeros((2, 8, 8)), count=count)


# -- the greatest losses


def sequence_model():
    model = keras.Sequential(
        [layers.Embedding(5, 4, mask_zero=True), layers.LSTM(3, return_sequences=True)]
    )
    model.add(layers.Dense(2, "softmax"))
    return model


LOSSES = {
    "classes": (
        lambda: keras.Sequential([layers.Dense(3, "softmax")]),
        "sparse_categorical_crossentropy",
        RNG.normal(size=(50, 4)).astype("float32"),
        RNG.integers(0, 3, 50),
    ),
    "numbers": (
        lambda: keras.Sequential([layers.Dense(2)]),
        losses.Huber(reduction="sum"),
        RNG.normal(size=(50, 4)).astype("float32"),
        RNG.normal(size=(50, 2)).astype("float32"),
    ),
    "masked": (
        sequence_model,
        "sparse_categorical_crossentropy",
        np.array([[1, 2, 0, 0], [3, 4, 1, 0], [1, 1, 1, 1]] * 4),
        RNG.integers(0, 2, (12, 4)),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("batch_size", [None, 7])
def test_losses_are_those_of_evaluating_each_sample(name, batch_size):
    make, loss, x, y = LOSSES[name]
    model = make()
    model.compile(loss=loss)
    found = top_losses(model, x, y, count=4, batch_size=batch_size)
    each = [model.evaluate(x[i : i + 1], y[i : i + 1], verbose=0) for i in range(len(x))]
    np.testing.assert_allclose(found.losses, each, rtol=1e-5, atol=1e-6)
    order = np.argsort(-found.losses, kind="stable")[:4]
    np.testing.assert_allclose(found.losses[found.indices], found.losses[order])
    np.testing.assert_array_equal(found.x, x[found.indices])
    np.testing.assert_array_equal(found.y, y[found.indices])
    expected = model.predict(x, verbose=0)[found.indices]
    np.testing.assert_allclose(found.predictions, expected, rtol=1e-5)
    assert f"sample {found.indices[0]}" in titles(found.plot())[0]


def test_several_outputs_add_up():
    x = keras.Input((4,))
    model = keras.Model(x, {"a": layers.Dense(1)(x), "b": layers.Dense(2)(x)})
    model.compile(loss={"a": "mse", "b": "mae"}, loss_weights={"a": 1.0, "b": 3.0})
    data = RNG.normal(size=(20, 4)).astype("float32")
    targets = {"a": np.ones((20, 1)), "b": np.zeros((20, 2))}
    found = top_losses(model, data, targets, count=2)
    predicted = model.predict(data, verbose=0)
    by_hand = (predicted["a"][:, 0] - 1) ** 2 + 3 * np.abs(predicted["b"]).mean(1)
    np.testing.assert_allclose(found.losses, by_hand, rtol=1e-5)
    found.plot()
    assert model.evaluate(data, targets, verbose=0)


def test_what_has_no_losses():
    model = keras.Sequential([layers.Dense(3, "softmax")])
    with pytest.raises(ValueError, match="has no loss"):
        top_losses(model, np.ones((2, 2)), np.ones(2))
    model.compile(loss="sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match="`y` must be given"):
        top_losses(model, np.ones((2, 2)))
    with pytest.raises(ValueError, match="7"):
        top_losses(model, np.ones((2, 2)), np.array([0, 7]))


# -- the confusion matrix


@pytest.mark.parametrize("form", ["numbers", "column", "one-hot"])
def test_counts_are_scikit_learns(form):
    x, y = RNG.normal(size=(100, 5)).astype("float32"), RNG.integers(0, 4, 100)
    model = keras.Sequential([layers.Dense(4)])
    given = {"numbers": y, "column": y[:, None], "one-hot": np.eye(4)[y]}[form]
    matrix = confusion_matrix(model, x, given)
    predicted = model.predict(x, verbose=0).argmax(-1)
    np.testing.assert_array_equal(matrix.counts, sklearn_metrics.confusion_matrix(y, predicted))
    assert matrix.accuracy == pytest.approx(np.mean(y == predicted))
    true, other, number = matrix.most_confused(1)[0]
    assert number == max(
        np.sum((y == i) & (predicted == j)) for i in range(4) for j in range(4) if i != j
    )
    assert number == np.sum((y == int(true)) & (predicted == int(other)))


@pytest.mark.parametrize(
    ("activation", "loss", "threshold"),
    [
        ("sigmoid", "binary_crossentropy", 0.5),
        (None, losses.BinaryCrossentropy(from_logits=True), 0.0),
        ("relu", None, 0.0),
    ],
)
def test_one_output_unit_is_two_classes(activation, loss, threshold):
    model = keras.Sequential([layers.Dense(1, activation, kernel_initializer="ones")])
    if loss is not None:
        model.compile(loss=loss)
    x, y = RNG.normal(size=(40, 3)).astype("float32") * 3, RNG.integers(0, 2, 40)
    matrix = confusion_matrix(model, x, y)
    predicted = model.predict(x, verbose=0)[:, 0] > threshold
    np.testing.assert_array_equal(matrix.counts, sklearn_metrics.confusion_matrix(y, predicted))


def test_many_classes_are_drawn_without_numbers():
    matrix = confusion_matrix(
        keras.Sequential([layers.Dense(60)]), RNG.normal(size=(99, 3)), RNG.integers(0, 60, 99)
    )
    axis = matrix.plot().axes[0]
    assert not axis.texts
    assert len(axis.get_xticks()) <= 40


@pytest.mark.parametrize(
    ("units", "y", "message"),
    [
        (3, [0, 3], "`y` must be class numbers from 0 to 2; got 'labels from 0 to 3'"),
        (3, [0.5, 1.0], "must be class numbers from 0 to 2"),
        (3, [-1, 0], "got 'labels from -1 to 0'"),
        (3, np.eye(4)[:2], r"one-hot rows of 3; got 'shape \(2, 4\)'"),
        (3, None, "`y` must be given"),
    ],
)
def test_labels_that_are_no_classes(units, y, message):
    model = keras.Sequential([layers.Dense(units)])
    with pytest.raises(ValueError, match=message):
        confusion_matrix(model, np.ones((2, 2)), y if y is None else np.asarray(y))


# -- Grad-CAM


def backbone():
    return [
        layers.Conv2D(4, 3, activation="relu", name="low"),
        layers.Conv2D(6, 3, strides=2, activation="tanh", name="high"),
        layers.Flatten(),
    ]


def by_formula(first, rest, x, classes, sign=1):
    """The definition, with the model cut in two by hand."""
    maps = first(x)
    scores = lambda a: (sign * rest(a))[np.arange(len(x)), classes].sum()  # noqa: E731
    slopes = jax.grad(scores)(jnp.asarray(maps))
    weights = slopes.mean((1, 2))
    return np.maximum(np.einsum("nk,nhwk->nhw", weights, maps), 0)


@pytest.mark.parametrize("end", ["dense", "layer", "activation", "linear"])
@pytest.mark.parametrize("layer", ["low", "high", None])
def test_heatmaps_are_the_formula(end, layer):
    low, high, flat = backbone()
    dense = layers.Dense(3, "softmax" if end == "dense" else None)
    tail = {"layer": [layers.Softmax()], "activation": [layers.Activation("softmax")]}.get(end, [])
    model = keras.Sequential([keras.Input((9, 9, 2)), low, high, flat, dense, *tail])
    x = RNG.normal(size=(4, 9, 9, 2)).astype("float32")
    found = grad_cam(model, x, [0, 1, 2, 1], layer)

    def logits(a):
        return flat(a) @ dense.kernel.value + dense.bias.value

    if layer == "low":
        expected = by_formula(low, lambda a: logits(high(a)), x, [0, 1, 2, 1])
    else:
        expected = by_formula(lambda x: high(low(x)), logits, x, [0, 1, 2, 1])
    np.testing.assert_allclose(found.heatmaps, expected, rtol=1e-4, atol=1e-6)
    assert found.layer == (layer or "high")
    predicted = grad_cam(model, x).classes
    np.testing.assert_array_equal(predicted, model.predict(x, verbose=0).argmax(-1))
    total = model.predict(x, verbose=0).sum(-1)
    assert np.allclose(total, 1, rtol=1e-5) == (end != "linear")  # the softmax is there again


def test_models_inside_and_subclasses_are_looked_into():
    low, high, flat = backbone()
    dense = layers.Dense(1, "sigmoid")

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.body = keras.Sequential([keras.Input((9, 9, 2)), low, high])
            self.flat, self.head = flat, dense

        def call(self, inputs):
            return self.head(self.flat(self.body(inputs)))

    x = RNG.normal(size=(2, 9, 9, 2)).astype("float32")
    own = Own()
    inputs = keras.Input((9, 9, 2))
    graph = keras.Model(inputs, keras.Sequential([own.body, flat, dense])(inputs))
    own(x)

    def logits(a):
        return flat(a) @ dense.kernel.value + dense.bias.value

    for classes, sign in (([0, 0], 1), ([0, 0], -1)):
        expected = by_formula(lambda x: high(low(x)), logits, x, classes, sign)
        found = grad_cam(graph, x, 1 if sign == 1 else 0)
        np.testing.assert_allclose(found.heatmaps, expected, rtol=1e-4, atol=1e-6)
    # Of a subclass nothing says which activation comes last: the score is its output.
    expected = by_formula(lambda x: high(low(x)), lambda a: dense(flat(a)), x, [0, 0])
    np.testing.assert_allclose(grad_cam(own, x, 1).heatmaps, expected, rtol=1e-4, atol=1e-6)


def test_the_model_is_left_as_it_was():
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), layers.Conv2D(2, 3), layers.BatchNormalization(), layers.Flatten()]
    )
    model.add(layers.Dropout(0.5))
    model.add(layers.Dense(2, "softmax"))
    x = RNG.normal(size=(2, 8, 8, 1)).astype("float32")
    before, weights = model.predict(x, verbose=0), [v.numpy() for v in model.variables]
    picture = grad_cam(model, x)
    np.testing.assert_array_equal(before, model(x))
    for variable, value in zip(model.variables, weights, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert not [layer for layer in model.layers if "call" in vars(layer)]
    assert len(picture.plot().axes) == 4
    with pytest.raises(ValueError, match="must be one of the layers"):
        grad_cam(model, x, layer="nothing")
    assert not [layer for layer in model.layers if "call" in vars(layer)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"layer": "conv"}, r"`layer` must be one of the layers that are called: \['flat"),
        ({"layer": "flat"}, r"outputs are \(n, height, width, channels\); got \"'flat' of shape"),
        ({"class_index": 3}, "`class_index` must be a class from 0 to 2"),
        ({"class_index": [0, 1]}, "or one for each of 1 images; got"),
        ({}, "`model` must be a model with a layer whose outputs are"),
    ],
)
def test_what_has_no_places(given, message):
    model = keras.Sequential([layers.Flatten(name="flat"), layers.Dense(3, name="top")])
    if "class_index" in given:
        model = keras.Sequential([layers.Conv2D(2, 3), *model.layers])
    with pytest.raises(ValueError, match=message):
        grad_cam(model, np.ones((8, 8, 1)), **given)
