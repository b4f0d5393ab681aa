"""The progress bar: looks as Keras' own does, in a terminal, a notebook and a file."""

import contextlib
import io
import re
import sys
import time
import types

import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kerasish
from kerasish.callbacks import CallbackList, Logs, Progbar, ProgbarLogger
from kerasish.callbacks.base import displays
from kerasish.core import settings


class Screen(io.StringIO):
    """A stdout that says whether it is a terminal."""

    def __init__(self, terminal, encoding="utf-8"):
        super().__init__()
        self.terminal = terminal
        self._encoding = encoding

    @property
    def encoding(self):
        return self._encoding

    def isatty(self):
        return self.terminal


@pytest.fixture
def stdout(monkeypatch):
    def use(terminal, columns=200, **kwargs):
        screen = Screen(terminal, **kwargs)
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setenv("COLUMNS", str(columns))
        return screen

    return use


@pytest.fixture
def clock(monkeypatch):
    """Time that passes only when told to."""
    now = types.SimpleNamespace(value=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: now.value)
    monkeypatch.setattr(time, "time", lambda: now.value)
    return now


def seen(written):
    """What a terminal shows in the end: colours off, each line as last written over."""
    written = re.sub("\x1b\\[[0-9;]*m|\b", "", written)
    return [line.rsplit("\r", 1)[-1].rstrip() for line in written.split("\n") if line]


STEPS = [(1, 0.5), (2, 0.25), (3, 2e-4), (10, 1.5)]


def drive(bar, clock, steps=STEPS, values=lambda v: [("loss", v), ("acc", 2 - v)]):
    for current, value in steps:
        clock.value += 0.5
        bar.update(current, values(value))


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize(
    "options",
    [
        {"target": 10},
        {"target": 10, "stateful_metrics": ["loss"]},
        {"target": 10, "stateless_metrics": ["loss"], "unit_name": "sample", "width": 7},
        {"target": 20},
        {"target": 4000},
        {"target": 400_000},
        {"target": None},
    ],
    ids=str,
)
def test_looks_as_that_of_keras(stdout, clock, options, verbose):
    shown = []
    for kind in (Progbar, keras.utils.Progbar):
        screen = stdout(terminal=True)
        drive(kind(**options, verbose=verbose), clock)
        shown.append(seen(screen.getvalue()))
    assert shown[0] == shown[1]
    assert shown[0] or verbose == 2


def test_colours_are_those_of_keras(stdout, clock):
    shown = []
    for kind in (Progbar, keras.utils.Progbar):
        screen = stdout(terminal=True)
        drive(kind(10), clock, STEPS[:3])
        shown.append(screen.getvalue().rsplit("\r", 1)[-1].rstrip())
    assert shown[0] == shown[1]


def test_is_one_line_in_a_file(stdout, clock):
    screen = stdout(terminal=False)
    drive(Progbar(10), clock)
    assert screen.getvalue() == "10/10 - 2s - 167ms/step - loss: 1.5000 - acc: 0.5000\n"


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_says_nothing_when_told_to(stdout, clock, verbose):
    screen = stdout(terminal=True)
    bar = Progbar(20, verbose=verbose)
    drive(bar, clock)
    bar.add(5)
    assert bool(screen.getvalue()) == (verbose == 1)


def test_plain_lines_when_interactive_logging_is_off(stdout, clock):
    screen = stdout(terminal=True)
    settings.disable_interactive_logging()
    drive(Progbar(10), clock)
    settings.enable_interactive_logging()
    assert screen.getvalue().startswith("10/10 - 2s")


def test_redraws_are_far_between(stdout, clock):
    screen = stdout(terminal=True)
    bar = Progbar(1000, interval=0.1)
    looks = []
    for step in range(1, 1000):
        clock.value += 0.01
        bar.update(step, lambda step=step: looks.append(step) or {"loss": 0.5})
    assert len(looks) == screen.getvalue().count("\r") and 90 <= len(looks) <= 101


def test_never_waits_but_for_a_redraw(stdout, clock):
    stdout(terminal=True)
    bar = Progbar(10, interval=0.1)
    bar.update(1, Logs({"loss": jnp.float32(1)}))
    waiting = Logs({"loss": jnp.float32(0.5)})
    bar.update(2, waiting)
    assert waiting.pending
    clock.value += 1
    bar.update(3)
    assert not waiting.pending


def test_long_lines_are_cut_until_they_are_final(stdout, clock):
    screen = stdout(terminal=True, columns=40)
    drive(Progbar(10), clock, STEPS[:2])
    assert [len(line) for line in seen(screen.getvalue())] == [39]
    drive(Progbar(10), clock)
    assert len(seen(screen.getvalue())[-1]) > 40


def test_a_narrow_encoding_is_no_error(stdout, clock):
    screen = stdout(terminal=True, encoding="ascii")
    drive(Progbar(10), clock)
    assert "?" * 20 in screen.getvalue()


def test_averages_need_one_list_of_names():
    with pytest.raises(ValueError, match="`None` with `stateful_metrics`; got"):
        Progbar(3, stateful_metrics=["a"], stateless_metrics=["b"])


# -- in fit, evaluate and predict


def fit(clock, steps=10, epochs=2, jump=4, library=CallbackList, **params):
    several = library(add_progbar=True, epochs=epochs, steps=steps, **params)
    several.on_train_begin()
    for epoch in range(epochs):
        several.on_epoch_begin(epoch)
        for batch in [*range(jump - 1, 9, jump), 9]:
            clock.value += 0.4
            several.on_train_batch_end(batch, {"loss": 1 / (batch + 1)})
        several.on_test_begin()
        several.on_test_batch_end(0, {"loss": 7.0})
        several.on_test_end({"loss": 7.0})
        several.on_epoch_end(epoch, {"loss": 0.5, "val_loss": 7.0})
    several.on_train_end()


@pytest.mark.parametrize("verbose", [1, 2, "auto", True])
@pytest.mark.parametrize("steps", [10, None])
def test_fit_shows_what_keras_shows(stdout, clock, verbose, steps, monkeypatch):
    shown = []
    for library in (CallbackList, keras.callbacks.CallbackList):
        screen = stdout(terminal=True)
        fit(clock, steps, verbose=verbose, library=library)
        shown.append(without_times(screen))
    assert shown[0] == shown[1] and len(shown[0]) == 4


def without_times(screen):
    return [re.sub(r"\d+(ms|us|s)\b", "T", line) for line in seen(screen.getvalue())]


def test_fit_in_a_file_is_two_lines_an_epoch(stdout, clock):
    screen = stdout(terminal=False)
    fit(clock, verbose="auto")
    line = "10/10 - 1s - 120ms/step - loss: 0.5000 - val_loss: 7.0000"
    assert screen.getvalue().splitlines() == ["Epoch 1/2", line, "Epoch 2/2", line]


@pytest.mark.parametrize("stage", ["test", "predict"])
def test_evaluation_and_prediction_have_a_bar(stdout, clock, stage):
    screen = stdout(terminal=True)
    several = CallbackList(add_progbar=True, verbose=1, epochs=1, steps=2)
    getattr(several, f"on_{stage}_begin")()
    for batch in range(2):
        clock.value += 1
        getattr(several, f"on_{stage}_batch_end")(batch, {"loss": 0.5, "outputs": [1]})
    getattr(several, f"on_{stage}_end")({"loss": 0.25})
    ending = " - loss: 0.2500" if stage == "test" else ""
    assert seen(screen.getvalue()) == [f"2/2 {'━' * 20} 2s 1s/step{ending}"]


def test_training_that_stops_early_shows_how_far_it_came(stdout, clock):
    screen = stdout(terminal=False)
    logger = ProgbarLogger()
    logger.set_params({"verbose": 1, "epochs": 1, "steps": 100})
    logger.on_train_begin()
    logger.on_epoch_begin(0)
    logger.on_train_batch_end(11)
    logger.on_epoch_end(0, {"loss": 0.5})
    assert screen.getvalue().startswith(" 12/100 - 0s")


def test_verbosity_is_checked():
    with pytest.raises(ValueError, match="`verbose` must be 'auto', 0, 1 or 2; got 'loud'"):
        CallbackList(add_progbar=True, verbose="loud", epochs=1, steps=1)


# -- notebooks


class Kernel(Screen):
    """The stdout of a kernel."""

    __module__ = "ipykernel.iostream"


@pytest.fixture
def notebook(monkeypatch):
    """Makes this a kernel, which keeps what is displayed; returns it."""
    shown = []

    class Handle:
        def update(self, data, raw):
            shown[self.place].append(data)

    def display(data, raw, display_id):
        handle = Handle()
        handle.place = len(shown)
        shown.append([data])
        return handle

    def begin():
        ipython = types.ModuleType("IPython")
        ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
        ipython.display = types.ModuleType("IPython.display")
        ipython.display.display = display
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
        # Not before the test itself runs, or pytest takes stdout back.
        monkeypatch.setattr(sys, "stdout", Kernel(False))
        return shown

    return begin


def test_notebook_has_one_output_updated_in_place(notebook, clock):
    shown = notebook()
    fit(clock, verbose=1)
    (outputs,) = shown
    bar = "━" * 20
    text = outputs[-1]["text/plain"].splitlines()
    line = f"10/10 {bar} 1s 120ms/step - loss: 0.5000 - val_loss: 7.0000"
    assert text == [f"Epoch 1/2 {line}", f"Epoch 2/2 {line}"]
    assert "white-space:pre;" in outputs[-1]["text/html"], "a row never breaks"
    assert f'<span style="color:#3a3">{bar}</span>' in outputs[-1]["text/html"]
    assert 3 <= len(outputs) <= 8 and sys.stdout.getvalue() == ""


def test_notebook_of_many_quick_epochs_is_updated_seldom(notebook, clock):
    shown, logger = notebook(), ProgbarLogger()
    logger.set_params({"verbose": 1, "epochs": 3000, "steps": 10})
    logger.on_train_begin()
    for epoch in range(3000):
        clock.value += 0.001
        logger.on_epoch_begin(epoch)
        logger.on_epoch_end(epoch, {"a<b": 0.5})
    logger.on_train_end()
    (outputs,) = shown
    assert len(outputs) < 30
    assert outputs[-1]["text/plain"].count("Epoch") == 3000
    assert "a&lt;b: 0.5000" in outputs[-1]["text/html"]


def test_redirected_output_of_a_notebook_is_plain(notebook, clock):
    shown = notebook()
    with contextlib.redirect_stdout(io.StringIO()) as file:
        drive(Progbar(10), clock)
    assert shown == [] and file.getvalue().startswith("10/10 - 2s")


def test_own_bar_in_a_notebook_is_final_at_once(notebook, clock):
    shown = notebook()
    drive(Progbar(10), clock, [(10, 0.5)])
    assert "10/10" in shown[0][-1]["text/plain"]
    assert isinstance(displays.choose(1), displays.Notebook)


def test_the_time_of_a_step_leaves_out_compiling_and_validation(stdout, clock):
    screen = stdout(terminal=True)
    several = CallbackList(add_progbar=True, verbose=1, epochs=1, steps=10)
    several.on_train_begin()
    several.on_epoch_begin(0)
    several.show_compiling(True)
    clock.value += 7
    several.show_compiling(True)  # traced twice
    clock.value += 7
    several.show_compiling(False)
    for batch in range(10):
        clock.value += 0.2
        several.on_train_batch_end(batch, {"loss": 0.5})
    several.on_test_begin()
    several.show_compiling(True)
    clock.value += 30
    several.show_compiling(False)
    clock.value += 30
    several.on_test_batch_end(0, {"loss": 7.0})
    several.on_test_end({"loss": 7.0})
    several.on_epoch_end(0, {"loss": 0.5})
    several.on_train_end()
    drawn = re.split(r"[\r\n]", screen.getvalue())
    states = [line.rstrip().rsplit(" ", 1)[-1] for line in drawn if line.rstrip().endswith("…")]
    assert states == ["compiling…"] * 2 + ["validating…", "compiling…", "validating…"]
    assert "200ms/step" in drawn[-2] and "76s" in drawn[-2]


def test_fit_says_when_it_compiles_and_validates(stdout):
    screen = stdout(terminal=True)
    model = kerasish.Sequential([kerasish.Input((2,)), kerasish.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((8, 2)), np.ones((8, 1))
    model.fit(x, y, epochs=2, batch_size=4, validation_data=(x, y), verbose=1)
    shown = screen.getvalue()
    assert "compiling…" in shown and "validating…" in shown
    before = screen.getvalue().count("compiling…")
    model.fit(x, y, epochs=2, batch_size=4, validation_data=(x, y), verbose=1)
    assert screen.getvalue().count("compiling…") == before
