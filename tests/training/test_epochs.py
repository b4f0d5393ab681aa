"""How epochs divide the data, and what ends them, against Keras 3."""

import itertools

import keras as keras3
import numpy as np
import pytest

import kerasish

RNG = np.random.default_rng(0)
X = RNG.uniform(size=(16, 3)).astype("float32")
Y = RNG.uniform(size=(16, 1)).astype("float32")


def model(keras, **options):
    head = keras.layers.Dense(1, kernel_initializer="ones")
    made = keras.Sequential([keras.Input((3,)), head])
    made.compile("sgd", "mse", **options)
    return made


def recorder(keras):
    class Recorder(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.seen = []

        def on_epoch_begin(self, epoch, logs=None):
            self.seen.append(f"epoch {epoch}")

        def on_train_batch_end(self, batch, logs=None):
            self.seen.append(batch)

        def on_test_batch_end(self, batch, logs=None):
            self.seen.append(batch)

        def on_predict_batch_end(self, batch, logs=None):
            self.seen.append(batch)

    return Recorder()


def data_set(keras):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 5

        def __getitem__(self, i):
            return X[3 * i : 3 * i + 3], Y[3 * i : 3 * i + 3]

    return Batches()


def generator(batches):
    return ((X[i % 8 : i % 8 + 2], Y[i % 8 : i % 8 + 2]) for i in range(batches))


# steps in an epoch, of 8 batches in arrays and of 5 in a data set
@pytest.mark.filterwarnings("ignore:The data ran out:UserWarning")
@pytest.mark.parametrize("steps", [2, 3, 5, 8, 11])
@pytest.mark.parametrize("source", ["arrays", "data set"])
def test_epochs_continue_in_the_data(steps, source):
    def program(keras):
        made, seen = model(keras), recorder(keras)
        data = (X, Y) if source == "arrays" else (data_set(keras),)
        options = {"batch_size": 2} if source == "arrays" else {}
        run = made.fit(
            *data,
            steps_per_epoch=steps,
            epochs=4,
            shuffle=False,
            verbose=0,
            callbacks=[seen],
            **options,
        )
        return seen.seen, run.history["loss"]

    (seen, losses), (their_seen, their_losses) = program(kerasish), program(keras3)
    assert seen == their_seen
    np.testing.assert_allclose(losses, their_losses, rtol=1e-5)


@pytest.mark.parametrize("batches", [6, 7, 9])
@pytest.mark.filterwarnings("ignore:.*ran out:UserWarning")
def test_a_generator_ends_training(batches):
    seen = recorder(kerasish)
    model(kerasish).fit(
        generator(batches), steps_per_epoch=3, epochs=4, verbose=0, callbacks=[seen]
    )
    assert sum(isinstance(one, int) for one in seen.seen) == batches


def test_a_short_epoch_is_warned_of():
    with pytest.warns(UserWarning, match="ran out after 2 of 3 batches, which ends the epoch"):
        model(kerasish).fit(X, Y, batch_size=2, steps_per_epoch=3, epochs=3, verbose=0)


def test_a_validation_generator_that_ends_is_warned_of():
    with pytest.warns(UserWarning, match="ran out of data: the generator has no more batches"):
        run = model(kerasish).fit(
            X, Y, epochs=3, verbose=0, validation_data=generator(3), validation_steps=3
        )
    assert [len(run.history[name]) for name in ("loss", "val_loss")] == [3, 1]


def test_an_empty_validation_generator_is_an_error():
    with pytest.raises(ValueError, match="at least one batch"):
        model(kerasish).fit(X, Y, verbose=0, validation_data=generator(0), validation_steps=3)


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("eagerly", [False, True])
def test_numbers_of_batches_that_run_together(steps, eagerly):
    def program(keras):
        made = model(keras, steps_per_execution=steps, run_eagerly=eagerly)
        seen = recorder(keras)
        made.fit(X, Y, batch_size=2, verbose=0, callbacks=[seen])
        made.evaluate(X, Y, batch_size=2, verbose=0, callbacks=[seen])
        made.predict(X, batch_size=2, verbose=0, callbacks=[seen])
        return seen.seen

    assert program(kerasish) == program(keras3)


class Stop(kerasish.callbacks.Callback):
    def on_test_batch_end(self, batch, logs=None):
        self.model.stop_evaluating = batch == 5

    def on_predict_batch_end(self, batch, logs=None):
        self.model.stop_predicting = batch == 5


def test_callbacks_end_evaluation_and_prediction():
    made = model(kerasish)
    endless = ((X[:2], Y[:2]) for _ in itertools.count())
    assert made.evaluate(endless, verbose=0, callbacks=[Stop()]) > 0
    outputs = made.predict(((x,) for x, _ in endless), verbose=0, callbacks=[Stop()])
    assert outputs.shape == (12, 1)
    assert made.predict(X, batch_size=2, verbose=0).shape == (16, 1)  # not stopped for good
