"""What `explain_fit` says of where the time went, and why so many steps run in a call."""

import time

import numpy as np

from kerasish import Sequential, layers
from kerasish.callbacks import Callback

X, Y = np.ones((320, 3), "float32"), np.ones((320, 1), "float32")


def model(**options):
    made = Sequential([layers.Dense(4), layers.Dense(1)])
    made.compile("sgd", "mse", **options)
    return made


def test_seconds_add_up_to_the_time_taken():
    fitted = model()
    start = time.perf_counter()
    fitted.fit(X, Y, epochs=4, batch_size=8, verbose=0)
    wall = time.perf_counter() - start
    seen = fitted.explain_fit()["train"]
    parts = ("compile", "host", "input", "waiting")
    assert 0 < sum(seen[f"{part}_seconds"] for part in parts) <= wall
    assert (seen["steps_done"], seen["traces"]) == (160, 1)
    assert 0 < seen["calls"] <= 160 and seen["device_seconds"] > 0


def test_a_slow_source_shows_as_waiting_for_data():
    def slow():
        for _ in range(8):
            time.sleep(0.05)  # longer than any step, on any machine
            yield X[:8], Y[:8]

    fitted, seen = model(), []
    for _ in range(2):  # batches are read ahead while the first run compiles
        fitted.fit(slow(), verbose=0)
        seen.append(fitted.explain_fit()["train"]["input_seconds"])
    assert seen[1] - seen[0] > 0.1


class Watcher(Callback):
    def on_train_begin(self, logs=None):
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(batch)


def test_a_number_of_steps_in_a_call_is_kept_from_the_first_call_on():
    watcher = Watcher()
    model(steps_per_execution=3).fit(X[:256], Y[:256], batch_size=32, verbose=0, callbacks=watcher)
    assert watcher.seen == [2, 5, 8]  # as Keras numbers them, though there are but eight


def test_why_so_many_steps_in_a_call():
    cases = [
        (model(steps_per_execution=3), [], 3, "`steps_per_execution`"),
        (model(), [Watcher()], 1, "callbacks that watch batches"),
        (model(run_eagerly=True), [], 1, "one by one"),
        (model(), [], None, "a pass over the data|about 50 ms|a stack"),
    ]
    for fitted, callbacks, chunk, why in cases:
        fitted.fit(X, Y, epochs=2, batch_size=32, verbose=0, callbacks=callbacks)
        seen = fitted.explain_fit()["train"]
        assert chunk is None or seen["chunk"] == chunk
        assert any(part in seen["why_chunk"] for part in why.split("|")), seen["why_chunk"]


def test_reads_as_a_table_and_as_a_dict():
    fitted = model()
    fitted.fit(X, Y, validation_split=0.1, verbose=0)
    fitted.fit(X[:, :3][:9], Y[:9], verbose=0)
    report = fitted.explain_fit()
    assert isinstance(report, dict) and set(report) == {"train", "test"}
    for text in (repr(report), report._repr_html_()):
        assert "fused on the device" in text and "first call" in text
        assert "waiting for data" in text and "batch[0]" in text
    assert len(report["train"]["why_traced"]) == report["train"]["traces"] > 1
