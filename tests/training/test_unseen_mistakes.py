"""Relatives of mistakes: wrong numbers refused, and errors that teach."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers, losses, ops

X, Y = np.ones((8, 3), "float32"), np.ones((8, 1), "float32")


def model(units=1, loss="mse"):
    made = keras.Sequential([keras.Input((3,)), layers.Dense(units)], name="small")
    made.compile("sgd", loss)
    return made


def weights(bad):
    found = np.ones(8)
    found[5] = bad
    return found


def batches(*batch):
    yield batch


class Batches(keras.utils.PyDataset):
    def __init__(self, *batch):
        super().__init__()
        self.batch = batch

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.batch


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "way",
    [
        lambda m, w: m.fit(X, Y, sample_weight=w, verbose=0),
        lambda m, w: m.evaluate(X, Y, sample_weight=w, verbose=0),
        lambda m, w: m.fit(X, Y, sample_weight=jnp.asarray(w), verbose=0),
        lambda m, w: m.train_on_batch(X, Y, sample_weight=w),
        lambda m, w: m.test_on_batch(X, Y, sample_weight=w),
        lambda m, w: m.fit(batches(X, Y, w), verbose=0),
        lambda m, w: m.fit(Batches(X, Y, w), verbose=0),
        lambda m, w: m.fit(X, Y, validation_data=(X, Y, w), verbose=0),
    ],
)
def test_weights_are_finite_numbers(way, bad):
    with pytest.raises(ValueError, match=r"`sample_weight` must be finite numbers; .* index \(5\)"):
        way(model(), weights(bad))


@pytest.mark.parametrize("shape", [(8, 4), (8, 1, 2), (8, 3)])
def test_weights_have_a_shape_that_fits(shape):
    with pytest.raises(ValueError, match=r"`sample_weight` must be of a shape that fits .*\(8,\)"):
        model().fit(X, Y, sample_weight=np.ones(shape), verbose=0)


@pytest.mark.parametrize(
    "call",
    [
        losses.sparse_categorical_crossentropy,
        losses.SparseCategoricalCrossentropy(),
    ],
)
def test_labels_are_looked_at_wherever_they_are_known(call):
    with pytest.raises(ValueError, match="whole class numbers from 0 to 2; got 3"):
        call(np.array([0, 3]), np.eye(3)[:2])


def test_labels_of_weight_0_are_not():
    loss = losses.SparseCategoricalCrossentropy()
    found = loss(np.array([0, -1]), np.eye(3)[:2], sample_weight=np.array([1.0, 0.0]))
    assert np.isfinite(found)


def test_labels_of_ctc_are_classes():
    made = keras.Sequential([keras.Input((6, 3)), layers.Dense(4)])
    made.compile("sgd", "ctc")
    with pytest.raises(ValueError, match="ctc: `y` must be whole class numbers from 0 to 3; got 9"):
        made.fit(np.zeros((2, 6, 3)), np.array([[1, 9], [1, 2]]), verbose=0)


def test_outputs_in_a_dict_keep_their_order():
    class Both(layers.Layer):
        def call(self, x):
            return {"z": x, "a": {"y": x, "b": x}}

    made = keras.Sequential([keras.Input((3,)), Both()])
    for found in (made(X), made.predict(X, verbose=0), made.predict_on_batch(X)):
        assert list(found) == ["z", "a"]
        assert list(found["a"]) == ["y", "b"]
    assert list(made.predict(np.ones((99, 3)), batch_size=2, verbose=0)) == ["z", "a"]


@pytest.mark.parametrize(
    "table",
    [np.array([[1, 2, 3.0]] * 8, object), np.array([[1, 2, "3"]] * 8, object)],
    ids=["numbers", "a string among them"],
)
def test_numbers_as_objects_say_how_to_convert(table):
    with pytest.raises(ValueError, match=r"holds numbers as objects, .*\.astype\('float32'\)"):
        model().fit(table, Y, verbose=0)


@pytest.mark.parametrize("call", [lambda m, x: m(x), lambda m, x: m.predict(x, verbose=0)])
def test_one_sample_gets_a_hint_once(call):
    with pytest.raises(ValueError, match="One sample") as caught:
        call(model(), np.ones(3))
    assert str(caught.value).count("One sample?") == 1
    assert not getattr(caught.value, "__notes__", [])  # the message is the last line


def test_images_without_channels_get_a_hint():
    with pytest.raises(ValueError, match=r"Images without channels\? `Input\(\(28, 28, 1\)\)`"):
        layers.Conv2D(2, 3)(keras.Input((28, 28)))


def test_a_normalization_without_data_warns_once():
    layer = layers.Normalization()
    made = keras.Sequential([keras.Input((3,)), layer])  # shapes only
    with pytest.warns(UserWarning, match="it has seen no data yet, so inputs stay as they are"):
        made.predict(X, verbose=0)
    layer(X)
    known = layers.Normalization()
    known.adapt(X)
    known(X)
    with pytest.raises(ValueError, match="`data` must be finite numbers"):
        layers.Normalization().adapt(np.array([[1.0], [np.nan]]))


def test_a_loaded_normalization_does_not_warn(tmp_path):
    layer = layers.Normalization()
    layer.adapt(np.arange(12.0).reshape(4, 3))
    made = keras.Sequential([keras.Input((3,)), layer])
    made.save(tmp_path / "m.keras")
    np.testing.assert_allclose(keras.models.load_model(tmp_path / "m.keras")(X), made(X))


@pytest.mark.parametrize("axis", [None, -1])
def test_norms_of_zeros_have_gradients(axis):
    grad = jax.grad(lambda x: ops.norm(x, axis=axis).sum())
    np.testing.assert_array_equal(grad(np.zeros((2, 3), "float32")), 0)
    x = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")
    length = np.linalg.norm(x, axis=axis, keepdims=axis is not None)
    np.testing.assert_allclose(grad(x), x / length, rtol=1e-5)
    np.testing.assert_allclose(ops.norm(x, axis=axis), np.linalg.norm(x, axis=axis), rtol=1e-6)


def test_averages_of_halves_do_not_overflow():
    many = np.full(70000, 3, "float16")
    found = ops.average(many, weights=np.ones(70000, "float16"))
    assert (float(found), found.dtype) == (3.0, "float16")


def test_a_graph_in_arguments_of_other_names_is_refused_when_saved(tmp_path):
    class Own(keras.Model):
        def __init__(self, begin, end, rate):
            super().__init__(inputs=begin, outputs=end)
            self.rate = rate

    x = keras.Input((3,))
    with pytest.raises(TypeError, match=r"takes the symbolic tensors as \['begin', 'end'\]"):
        Own(x, layers.Dense(1)(x), 0.5).save(tmp_path / "m.keras")


def test_a_model_that_cannot_be_built_before_its_step_says_so():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = layers.Dense(2), layers.Dense(1)

        def call(self, inputs, extra):
            return self.second(self.first(inputs) + extra)

        def train_step(self, data):
            x, y = data
            loss = self.compute_loss(x, y, self(x, 1.0))
            return {"loss": loss}

    made = Own()
    made.first.build((None, 3))
    made.compile("sgd", "mse")
    with pytest.warns(UserWarning, match=r"the layers \['dense.*'\] have no weights yet"):
        made.fit(X, Y, verbose=0)


def test_reports_are_shown_once(capsys):
    formatter = pytest.importorskip("IPython.core.formatters").DisplayFormatter()
    made = model()
    made.fit(X, Y, verbose=0)
    for report in (made.explain_fit(), made.estimate_memory(), made.profile(X, Y)):
        shown, _ = formatter.format(report)
        assert shown["text/html"].count("<table") >= 1
        assert not {"image/png", "text/markdown", "text/latex"} & set(shown)
    assert capsys.readouterr().out == ""
