"""The files of `TensorBoard`, read record by record: what TensorBoard would show."""

import json
import pathlib
import re
import struct

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

import kerasish
from kerasish import layers
from kerasish.callbacks import TensorBoard

X, Y = np.ones((12, 3), "float32"), np.ones((12, 1), "float32")


def values(folder, run):
    """Of each tag the summaries by their step."""
    found = {}
    for path in sorted(pathlib.Path(folder, run).glob("events.out.tfevents*")):
        data = path.read_bytes()
        while data:  # length, its checksum, the record, its checksum
            (size,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + size])
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = value
            data = data[16 + size :]
    return found


def scalars(folder, run):
    return {
        tag: {step: value.simple_value for step, value in by_step.items()}
        for tag, by_step in values(folder, run).items()
        if all(v.WhichOneof("value") == "simple_value" for v in by_step.values())
    }


def train(folder, epochs=2, model=None, **arguments):
    model = model or kerasish.Sequential([kerasish.Input((3,)), layers.Dense(1, name="out")])
    model.compile("adam", "mse", metrics=["mae"])
    callback = TensorBoard(folder, **arguments)
    fit = {"epochs": epochs, "batch_size": 4, "verbose": 0, "validation_data": (X, Y)}
    return model, model.fit(X, Y, callbacks=[callback], **fit).history, callback


def test_results_of_epochs_are_those_of_the_history(tmp_path):
    _, history, _ = train(tmp_path)
    ours, theirs = scalars(tmp_path, "train"), scalars(tmp_path, "validation")
    assert set(ours) == {"epoch_loss", "epoch_mae", "epoch_learning_rate"}
    assert set(theirs) == {
        *("epoch_loss", "epoch_mae"),
        *("evaluation_loss_vs_iterations", "evaluation_mae_vs_iterations"),
    }
    for name in ("loss", "mae"):
        found = ours[f"epoch_{name}"], theirs[f"epoch_{name}"]
        wanted = history[name], history[f"val_{name}"]
        for by_step, results in zip(found, wanted, strict=True):
            assert list(by_step) == [0, 1]
            np.testing.assert_allclose(list(by_step.values()), results, rtol=1e-6)
    assert list(theirs["evaluation_mae_vs_iterations"]) == [3, 6]
    np.testing.assert_allclose(ours["epoch_learning_rate"][1], 0.001)


@pytest.mark.parametrize(
    ("update_freq", "steps"),
    [("batch", [1, 2, 3, 4, 5, 6]), (1, [1, 2, 3, 4, 5, 6]), (4, [4]), (7, []), ("epoch", [])],
)
def test_results_of_batches_are_written_when_it_is_their_turn(tmp_path, update_freq, steps):
    train(tmp_path, update_freq=update_freq)
    assert list(scalars(tmp_path, "train").get("batch_loss", {})) == steps


def test_batches_run_fused_unless_each_is_looked_at(tmp_path):
    assert not TensorBoard(tmp_path).every_batch
    assert TensorBoard(tmp_path, update_freq=5).every_batch
    assert TensorBoard(tmp_path, profile_batch=2).every_batch


def test_evaluate_writes_by_itself(tmp_path):
    model, _, callback = train(tmp_path)
    model.evaluate(X[:4], Y[:4], verbose=0, callbacks=[callback])
    found = scalars(tmp_path, "validation")["evaluation_loss_vs_iterations"]
    assert list(found) == [3, 6]


def test_speed_in_steps_a_second(tmp_path):
    train(tmp_path, write_steps_per_second=True, update_freq=2)
    found = scalars(tmp_path, "train")
    assert list(found["epoch_steps_per_second"]) == [0, 1]
    assert list(found["batch_steps_per_second"]) == [2, 4, 6]
    assert min(found["epoch_steps_per_second"].values()) > 0


def test_histograms_hold_every_entry(tmp_path):
    model, _, _ = train(tmp_path, epochs=3, histogram_freq=2)
    found = values(tmp_path, "train")
    for weight in model.layers[-1].weights:
        by_step = found[f"{weight.path}/histogram"]
        assert list(by_step) == [0, 2]
        last, entries = by_step[2].histo, weight.numpy()
        assert last.num == entries.size
        np.testing.assert_allclose(
            [last.min, last.max, last.sum], [entries.min(), entries.max(), entries.sum()], rtol=1e-5
        )


def picture_sizes(kernel_shape):
    layer = {
        2: lambda n, m: layers.Dense(m),
        3: lambda k, n, m: layers.Conv1D(m, k),
        4: lambda k, _, n, m: layers.Conv2D(m, k),
    }[len(kernel_shape)](*kernel_shape)
    inputs = kerasish.Input((*[6] * (len(kernel_shape) - 2), kernel_shape[-2]))
    return kerasish.Sequential([inputs, layer])


@pytest.mark.parametrize(
    ("kernel_shape", "height_and_width"),
    [((3, 5), (3, 5)), ((5, 3), (3, 5)), ((2, 3, 1), (2, 3)), ((3, 3, 2, 8), None)],
)
def test_weights_as_pictures(tmp_path, kernel_shape, height_and_width):
    model = picture_sizes(kernel_shape)
    callback = TensorBoard(tmp_path, histogram_freq=1, write_images=True)
    callback.set_model(model)
    callback.on_epoch_end(0)
    callback.release()
    kernel = values(tmp_path, "train").get(f"{model.layers[-1].kernel.path}/image")
    found = kernel and (kernel[0].image.height, kernel[0].image.width)
    assert found == height_and_width


def test_the_model_s_layers_are_written_as_its_config(tmp_path):
    model, _, _ = train(tmp_path)
    value = values(tmp_path, "train")["keras"][0]
    assert value.metadata.plugin_data.plugin_name == "graph_keras_model"
    assert json.loads(value.tensor.string_val[0])["config"]["name"] == model.name
    train(tmp_path / "none", write_graph=False)
    assert "keras" not in values(tmp_path / "none", "train")


def test_a_profile_lies_where_tensorboard_looks_for_it(tmp_path):
    train(tmp_path, profile_batch="2,3")
    assert list((tmp_path / "train" / "plugins" / "profile").glob("*/*.xplane.pb"))


def words():
    table = layers.Embedding(5, 2, name="words")
    return kerasish.Sequential([kerasish.Input((3,)), table, layers.Flatten(), layers.Dense(1)])


def test_vectors_for_the_projector(tmp_path):
    model, _, _ = train(
        tmp_path, model=words(), embeddings_freq=1, embeddings_metadata={"words": "names.tsv"}
    )
    vectors = np.loadtxt(tmp_path / "words.tsv", delimiter="\t")
    np.testing.assert_allclose(vectors, model.layers[0].embeddings.numpy(), rtol=1e-6)
    text = (tmp_path / "projector_config.pbtxt").read_text()
    assert re.findall(r'(\w+): "(.*)"', text) == [
        ("tensor_name", "words"),
        ("tensor_path", "words.tsv"),
        ("metadata_path", "names.tsv"),
    ]


def test_files_are_closed_and_whole_after_an_error(tmp_path):
    class Fails(kerasish.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    model = kerasish.Sequential([kerasish.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    callback = TensorBoard(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[callback, Fails()])
    assert list(scalars(tmp_path, "train")["epoch_loss"]) == [0]
    assert not callback._writers


def test_a_training_step_of_one_s_own_needs_no_optimizer(tmp_path):
    class Alone(kerasish.Sequential):
        def train_step(self, data):
            return {"mean": self(data[0]).mean()}

    model = Alone([kerasish.Input((3,)), layers.Dense(1)])
    model.compile(optimizer=None)
    model.fit(X, Y, verbose=0, callbacks=[TensorBoard(tmp_path)])
    assert set(scalars(tmp_path, "train")) == {"epoch_mean"}


def test_counting_goes_on_in_a_resumed_run(tmp_path):
    callback = TensorBoard(tmp_path)
    callback.set_state({"_batches": 40})
    callback.on_train_batch_begin(0)
    assert callback.get_state() == {"_batches": 41}


ERRORS = {
    r"`update_freq` must be 'epoch', 'batch' or a number of batches; got 0": {"update_freq": 0},
    r"`update_freq` must be 'epoch', .* got 'epochs'": {"update_freq": "epochs"},
    r"`profile_batch` must be a number of a batch, or the first and the last": {
        "profile_batch": (5, 2)
    },
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(tmp_path, message):
    with pytest.raises(ValueError, match=message):
        TensorBoard(tmp_path, **ERRORS[message])


def test_metadata_of_no_layer_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"got 'word'. Did you mean 'words'\?"):
        train(tmp_path, model=words(), embeddings_freq=1, embeddings_metadata={"word": "names.tsv"})
