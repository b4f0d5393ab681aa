"""Callbacks: decisions against Keras 3's own, on the same results and the same model."""

import copy
import csv
import http.server
import json
import pathlib
import pickle
import threading
import warnings

import hypothesis
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pandas
import pytest
from hypothesis import strategies as st

from kerasish import callbacks as ours
from kerasish.callbacks import Logs
from kerasish.core.state.variable import Variable

quick = hypothesis.settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)


class Rate:
    """An optimizer: a learning rate kept in 32 bits."""

    name = "rate"

    def __init__(self, learning_rate=0.1):
        self.learning_rate = learning_rate

    @property
    def learning_rate(self):
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        self._learning_rate = np.float32(value)


class Model:
    """What callbacks ask of a model."""

    def __init__(self, **optimizer):
        self.optimizer = Rate(**optimizer)
        self.stop_training = False
        self.weights = [np.zeros(2)]
        self.saved = []

    def get_weights(self):
        return [w.copy() for w in self.weights]

    def set_weights(self, weights):
        self.weights = [np.array(w) for w in weights]

    def save(self, path, overwrite=True):
        self.saved.append(("model", float(self.weights[0][0])))
        pathlib.Path(path).write_text(str(self.weights[0][0]))

    def save_weights(self, path, overwrite=True):
        self.saved.append(("weights", float(self.weights[0][0])))
        pathlib.Path(path).write_text(str(self.weights[0][0]))


def train(library, make, epochs, batches=0, **optimizer):
    """Drive one callback through epochs of results; return what it did, epoch by epoch."""
    model, callback, seen = Model(**optimizer), make(library), []
    callback.set_model(model)
    callback.set_params({"epochs": len(epochs), "steps": batches, "verbose": 0})
    callback.on_train_begin()
    for epoch, logs in enumerate(epochs):
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            model.weights[0][:] = epoch + (batch + 1) / 100
            callback.on_train_batch_end(batch, dict(logs))
        model.weights[0][:] = epoch + 1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            callback.on_epoch_end(epoch, dict(logs))
        names = ("best", "wait", "best_epoch", "stopped_epoch", "cooldown_counter")
        state = [repr(getattr(callback, name, None)) for name in names]
        seen.append((*state, model.stop_training, float(model.optimizer.learning_rate)))
        if model.stop_training:
            break
    callback.on_train_end()
    return seen, model.weights[0].tolist(), model.saved


close_together = st.sampled_from([0.5, 0.5001, 0.49, 0.4999, 0.6, 1.0, 0.0, -0.5])
anything = st.floats(width=32, allow_subnormal=False)
results = st.lists(
    st.fixed_dictionaries({"val_loss": close_together | anything}, optional={"acc": anything}),
    max_size=12,
)
direction = st.fixed_dictionaries({}, optional={"mode": st.sampled_from(["auto", "min", "max"])})
delta = st.sampled_from([0, 1e-4, -0.01, 0.3])


def assume_no_nan_is_best(epochs, start=0):
    """Leave out what Keras decides otherwise: a first NaN stays its best for ever."""
    values = [epoch["val_loss"] for epoch in epochs[start:]]
    hypothesis.assume(not values or not np.isnan(values[0]) or np.isnan(values).all())


@quick
@hypothesis.given(
    results,
    direction,
    st.fixed_dictionaries(
        {},
        optional={
            "min_delta": delta,
            "patience": st.integers(0, 4),
            "baseline": close_together,
            "restore_best_weights": st.booleans(),
            "start_from_epoch": st.integers(0, 3),
        },
    ),
)
@hypothesis.example([{"val_loss": 1.0}, {"val_loss": 1 - 1e-9}], {}, {"patience": 1})
def test_early_stopping_decides_as_keras(epochs, mode, options):
    assume_no_nan_is_best(epochs, options.get("start_from_epoch", 0))

    def make(library):
        return library.EarlyStopping(**mode, **options)

    assert train(ours, make, epochs) == train(keras.callbacks, make, epochs)


@quick
@hypothesis.given(
    results,
    direction,
    st.fixed_dictionaries(
        {"patience": st.integers(0, 3)},
        optional={
            "min_delta": delta,
            "factor": st.sampled_from([0.1, 0.5]),
            "cooldown": st.integers(0, 3),
            "min_lr": st.sampled_from([0.0, 0.01, 0.1]),
        },
    ),
)
def test_reduce_lr_on_plateau_decides_as_keras(epochs, mode, options):
    assume_no_nan_is_best(epochs)

    def make(library):
        return library.ReduceLROnPlateau(**mode, **options)

    assert train(ours, make, epochs) == train(keras.callbacks, make, epochs)


@quick
@hypothesis.given(
    results,
    direction,
    st.fixed_dictionaries(
        {},
        optional={
            "save_best_only": st.booleans(),
            "save_weights_only": st.booleans(),
            "initial_value_threshold": close_together,
        },
    ),
)
def test_model_checkpoint_decides_as_keras(tmp_path_factory, epochs, mode, options):
    assume_no_nan_is_best(epochs)
    ending = "weights.h5" if options.get("save_weights_only") else "keras"
    folders = {ours: tmp_path_factory.mktemp("ours"), keras.callbacks: tmp_path_factory.mktemp("k")}

    def make(library):
        path = folders[library] / f"{{epoch:02d}}.{ending}"
        return library.ModelCheckpoint(path, **mode, **options)

    assert train(ours, make, epochs) == train(keras.callbacks, make, epochs)
    left = [{f.name: f.read_text() for f in folder.iterdir()} for folder in folders.values()]
    assert left[0] == left[1]


@pytest.mark.parametrize("save_freq", [1, 3, 5, 12])
def test_checkpoint_counts_batches_as_keras(tmp_path, save_freq):
    def make(library):
        path = tmp_path / library.__name__ / "{epoch}-{batch}-{val_loss:.1f}.keras"
        return library.ModelCheckpoint(path, save_freq=save_freq)

    epochs = [{"val_loss": 0.1}, {"val_loss": 0.2}, {"val_loss": 0.3}]
    assert train(ours, make, epochs, 5) == train(keras.callbacks, make, epochs, 5)
    made, wanted = (sorted(f.name for f in folder.iterdir()) for folder in tmp_path.iterdir())
    assert made == wanted and made


def test_checkpoint_of_the_best_works_between_batches(tmp_path):
    keeper = ours.ModelCheckpoint(tmp_path / "m.keras", "loss", save_best_only=True, save_freq=1)
    keeper.set_model(Model())
    for batch, loss in enumerate([0.5, 0.6, 0.4]):
        keeper.on_train_batch_end(batch, {"loss": loss})
    assert keeper.best == 0.4 and len(keeper.model.saved) == 2


class Crashing(Model):
    def save(self, path, overwrite=True):
        pathlib.Path(path).write_text("half")
        raise RuntimeError("power cut")


def test_crash_while_saving_leaves_the_file_of_before(tmp_path):
    keeper = ours.ModelCheckpoint(tmp_path / "deep" / "m.keras")
    keeper.set_model(Model())
    keeper.on_epoch_end(0, {})
    keeper.set_model(Crashing())
    with pytest.raises(RuntimeError, match="power cut"):
        keeper.on_epoch_end(1, {})
    assert [f.name for f in (tmp_path / "deep").iterdir()] == ["m.keras"]
    assert (tmp_path / "deep" / "m.keras").read_text() == "0.0"


class Sharing(Model):
    def get_weights(self):
        return self.weights


def test_best_weights_are_copies():
    stopper = ours.EarlyStopping(restore_best_weights=True)
    stopper.set_model(Sharing())
    stopper.on_train_begin()
    stopper.on_epoch_end(0, {"val_loss": 0.5})
    stopper.model.weights[0][:] = 7
    stopper.on_train_end()
    assert stopper.model.weights[0].tolist() == [0, 0]


class Up:
    name, _direction = "accuracy", "up"


class Several:
    name, metrics = "compile_metrics", (Up,)


@pytest.mark.parametrize("monitor", ["accuracy", "val_accuracy"])
def test_a_metric_tells_its_direction(monitor):
    stopper = ours.EarlyStopping(monitor)
    stopper.set_model(Model())
    stopper.model.metrics = [Several]
    assert stopper.improves(0.9, 0.8) and not stopper.improves(0.8, 0.9)


@pytest.mark.parametrize(
    "schedule", [lambda e, lr: lr * 0.5, lambda e: 0.1 / (e + 1), lambda e, lr: np.float32(0.2)]
)
def test_scheduler_sets_what_keras_sets(schedule):
    def make(library):
        return library.LearningRateScheduler(schedule)

    epochs = [{"loss": 1.0}] * 4
    assert train(ours, make, epochs) == train(keras.callbacks, make, epochs)


def test_scheduler_takes_any_number_and_lets_errors_through():
    scheduler = ours.LearningRateScheduler(lambda epoch, lr: jnp.exp(-1.0) * lr)
    scheduler.set_model(Model())
    scheduler.on_epoch_begin(0)
    assert float(scheduler.model.optimizer.learning_rate) == pytest.approx(0.1 * np.exp(-1))
    scheduler.schedule = lambda epoch, lr: lr + "no number"
    with pytest.raises(TypeError, match="unsupported operand"):
        scheduler.on_epoch_begin(1)


class Many:
    def __init__(self):
        self.optimizers = [Rate(0.1), Rate(0.2)]
        self.optimizers[1].name = "head"


def test_several_optimizers_each_get_their_rate():
    reducer = ours.ReduceLROnPlateau(patience=1, factor=0.5)
    model, logs = Model(), {"val_loss": 1.0}
    model.optimizer = Many()
    reducer.set_model(model)
    reducer.on_epoch_end(0, logs)
    reducer.on_epoch_end(1, dict(logs))
    assert [float(o.learning_rate) for o in model.optimizer.optimizers] == pytest.approx(
        [0.05, 0.1]
    )
    assert logs["learning_rate_head"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ours.ReduceLROnPlateau(factor=1.0), r"`factor` must be less than 1; got 1.0"),
        (
            lambda: ours.ModelCheckpoint("a.txt"),
            r"`filepath` must be a path that ends in .keras or",
        ),
        (lambda: ours.ModelCheckpoint("a.h5", save_weights_only=True), r"ends in .weights.h5; got"),
        (
            lambda: ours.ModelCheckpoint("a.h5", save_freq=0),
            r"'epoch' or a positive integer; got 0",
        ),
        (lambda: ours.LearningRateScheduler(0.1), r"`schedule` must be a function of the epoch"),
        (lambda: ours.CallbackList([ours.History]), r"Give an instance: `EarlyStopping\(\)`"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bad_uses_say_what_to_do(tmp_path):
    (tmp_path / "m.keras").mkdir()
    keeper = ours.ModelCheckpoint(tmp_path / "m.keras")
    with pytest.raises(ValueError, match="must be a file's path, not a directory's"):
        keeper.on_epoch_end(0, {})
    with pytest.raises(ValueError, match=r"made of names among \['loss', 'epoch'\]"):
        ours.ModelCheckpoint("{nothing}.keras").on_epoch_end(0, {"loss": 1})
    stopper = ours.EarlyStopping("val_f1")
    with pytest.raises(ValueError, match="`mode` must be 'min' or 'max' for monitor='val_f1'"):
        stopper.on_epoch_end(0, {"val_f1": 1.0})
    with pytest.warns(UserWarning, match="'val_loss', which is not among the results: loss"):
        ours.EarlyStopping().on_epoch_end(0, {"loss": 1.0})
    with pytest.warns(UserWarning, match="`mode` must be 'auto', 'min' or 'max'; got 'up'"):
        ours.EarlyStopping(mode="up")
    with pytest.warns(UserWarning, match="`monitor` 'val_loss' is not among the results"):
        best = ours.ModelCheckpoint(tmp_path / "b.keras", save_best_only=True)
        best.set_model(Model())
        best.on_epoch_end(0, {})
    scheduler = ours.LearningRateScheduler(lambda epoch: None)
    scheduler.set_model(Model())
    with pytest.raises(ValueError, match="a function that returns a number; got None"):
        scheduler.on_epoch_begin(0)


def test_they_say_what_keras_says(capsys, tmp_path):
    epochs = [{"val_loss": v} for v in (0.5, 0.4, 0.6)]
    path = tmp_path / "m.keras"
    makers = (
        lambda c: c.EarlyStopping(verbose=1, restore_best_weights=True),
        lambda c: c.ReduceLROnPlateau(verbose=1, patience=1),
        lambda c: c.ModelCheckpoint(path, verbose=1, save_best_only=True),
        lambda c: c.ModelCheckpoint(path, verbose=1),
        lambda c: c.LearningRateScheduler(lambda e: 0.25, verbose=1),
    )
    said = []
    for library in (ours, keras.callbacks):
        for make in makers:
            train(library, make, epochs)
        said.append([line for line in capsys.readouterr().out.splitlines() if line])
    assert said[0] == said[1]
    assert len(said[0]) == 17


# -- reports


@pytest.mark.parametrize("separator", [",", ";"])
def test_csv_file_is_that_of_keras(tmp_path, separator):
    def make(library):
        return library.CSVLogger(tmp_path / library.__name__, separator=separator)

    epochs = [{"loss": 0.5, "b": np.array([1, 2])}, {"loss": 0.25, "b": "x", "val_loss": 0.7}]
    train(ours, make, epochs)
    train(keras.callbacks, make, epochs)
    made, wanted = (path.read_bytes() for path in tmp_path.iterdir())
    assert made == wanted


def test_csv_file_goes_on(tmp_path):
    for start in (0, 2):
        logger = ours.CSVLogger(tmp_path / "log.csv", append=True)
        logger.on_train_begin()
        logger.on_epoch_end(start, {"loss": 0.5, "val_loss": 1.0})
        logger.on_train_end()
    rows = list(csv.reader((tmp_path / "log.csv").read_text().splitlines()))
    assert rows == [["epoch", "loss", "val_loss"], ["0", "0.5", "1.0"], ["2", "0.5", "1.0"]]


@pytest.mark.parametrize("send_as_json", [False, True])
def test_remote_monitor_sends_the_results(send_as_json):
    got = []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            got.append((self.path, self.headers["X-Key"], self.rfile.read(length).decode()))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        root = f"http://127.0.0.1:{server.server_port}"
        monitor = ours.RemoteMonitor(root, headers={"X-Key": "k"}, send_as_json=send_as_json)
        monitor.on_epoch_end(3, Logs({"loss": jnp.float32(0.5)}))
        thread.join()
    body = (
        '{"epoch": 3, "loss": 0.5}'
        if send_as_json
        else ("data=%7B%22epoch%22%3A+3%2C+%22loss%22%3A+0.5%7D")
    )
    assert got == [("/publish/epoch/end/", "k", body)]
    with pytest.warns(UserWarning, match=f"could not send to {root}"):
        monitor.on_epoch_end(4, {})


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_nan_stops_training(loss, capsys):
    watcher = ours.TerminateOnNaN()
    watcher.set_model(Model())
    watcher.on_train_batch_end(0, {"loss": 0.5})
    assert not watcher.model.stop_training
    watcher.on_train_batch_end(1, {"loss": loss})
    assert watcher.model.stop_training
    assert capsys.readouterr().out == "Batch 1: Invalid loss, terminating training\n"


class Averaging:
    use_ema, built = True, True

    def __init__(self):
        self._trainable_variables = [Variable([1.0]), Variable([2.0])]
        self._model_variables_moving_average = [Variable([10.0]), None]


def test_averages_are_swapped_in_and_out():
    swapper = ours.SwapEMAWeights(swap_on_epoch=True)
    model = Model()
    model.optimizer = Averaging()
    swapper.set_model(model)
    swapper.set_params({"epochs": 2})
    weight, average = (
        model.optimizer._trainable_variables[0],
        model.optimizer._model_variables_moving_average[0],
    )
    pair = lambda: (float(weight[0]), float(average[0]))  # noqa: E731
    for begin, end in (("test_begin", "test_end"), ("predict_begin", "predict_end")):
        getattr(swapper, f"on_{begin}")()
        assert pair() == (10, 1)
        getattr(swapper, f"on_{end}")()
        assert pair() == (1, 10)
    swapper.on_epoch_end(0)
    assert pair() == (10, 1)
    swapper.on_epoch_begin(1)
    assert pair() == (1, 10)
    swapper.on_epoch_end(1)
    assert pair() == (10, 10)


def test_swapping_needs_averages():
    swapper = ours.SwapEMAWeights()
    swapper.set_model(Model())
    with pytest.raises(ValueError, match="Make it with `use_ema=True`"):
        swapper.on_test_begin()


# -- the list


HOOKS = [name for name in dir(keras.callbacks.Callback) if name.startswith("on_")]


def test_every_hook_of_keras_reaches_every_callback():
    called = []
    spy = ours.LambdaCallback(**{h: lambda *a, h=h: called.append((h, *a)) for h in HOOKS})
    several = ours.CallbackList([[spy], spy])
    for hook in HOOKS:
        index = (3,) if "batch" in hook or "epoch" in hook else ()
        called.clear()
        getattr(several, hook)(*index, logs={"loss": 1})
        assert called == [(hook, *index, {"loss": 1.0})] * 2


def test_older_batch_hooks_are_called():
    called = []
    old = ours.LambdaCallback(
        on_batch_begin=lambda batch, logs: called.append(batch),
        on_batch_end=lambda batch, logs: called.append((batch, logs["loss"])),
    )
    several = ours.CallbackList(old)
    several.on_train_batch_begin(0)
    several.on_train_batch_end(0, {"loss": 0.5})
    assert called == [0, (0, 0.5)]


class Watching(ours.Callback):
    def on_train_batch_end(self, batch, logs=None):
        """Look at a batch."""


class Inheriting(Watching):
    pass


class Patient(Watching):
    every_batch = False


@pytest.mark.parametrize(
    ("callback", "wanted"),
    [
        (ours.History(), []),
        (ours.ProgbarLogger(), []),
        (ours.EarlyStopping(), []),
        (ours.TerminateOnNaN(), []),
        (ours.ModelCheckpoint("a.keras"), []),
        (ours.ModelCheckpoint("a.keras", save_freq=5), ["train"]),
        (Watching(), ["train"]),
        (Inheriting(), ["train"]),
        (Patient(), []),
        (ours.LambdaCallback(on_batch_end=print), ["train"]),
        (ours.LambdaCallback(on_epoch_end=print), []),
        (ours.LambdaCallback(on_test_batch_begin=print), ["test"]),
        (ours.LambdaCallback(on_predict_batch_end=print), ["predict"]),
    ],
)
def test_who_wants_every_batch(callback, wanted):
    several = ours.CallbackList([callback], add_history=True, add_progbar=True)
    stages = [s for s in ("train", "test", "predict") if getattr(several, f"wants_{s}_batches")]
    assert stages == wanted


def test_list_introduces_everyone():
    model = Model()
    several = ours.CallbackList(add_history=True, model=model, epochs=3)
    several.append(Watching())
    history, watching = several
    assert len(several) == 2 and model.history is history
    assert watching.model is model and watching.params == {"epochs": 3}


def test_a_callback_sees_what_one_before_it_wrote():
    class Scoring(ours.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["f1"] = jnp.float32(0.75)

    several = ours.CallbackList([Scoring()], add_history=True)
    several.on_epoch_end(0, {"loss": jnp.float32(0.5)})
    assert several.callbacks[-1].history == {"loss": [0.5], "f1": [0.75]}


def test_callback_that_skips_the_base_init_works():
    class Own(ours.Callback):
        def __init__(self):
            """Leave the base alone."""

    several = ours.CallbackList([Own()])
    several.on_train_begin()
    assert several.callbacks[0].model is None


# -- history


def recorded(*epochs):
    history = ours.History()
    history.on_train_begin()
    for epoch, logs in enumerate(epochs):
        history.on_epoch_end(epoch, logs)
    return history


def test_history_is_that_of_keras():
    epochs = [{"loss": 0.5}, {"loss": 0.25, "val_loss": 1.0}]
    found = []
    for library in (ours, keras.callbacks):
        several = library.CallbackList(add_history=True, model=Model())
        several.on_train_begin()
        for epoch, logs in enumerate(epochs):
            several.on_epoch_end(epoch, logs)
        found.append((several.model.history.history, several.model.history.epoch))
    assert found[0] == found[1]


def test_history_waits_to_read():
    logs = Logs({"loss": jnp.float32(0.5)})
    history = recorded(logs)
    assert logs.pending
    assert repr(history) == "<History of 1 epochs, loss=0.5>" and not logs.pending
    values = history.history
    history.on_epoch_end(1, {"loss": 0.25})
    assert history.history is values and values == {"loss": [0.5, 0.25]}


def test_learning_curves(tmp_path):
    history = recorded({"loss": 1.0, "acc": 0.1}, {"loss": 0.5, "acc": 0.2, "val_loss": 0.75})
    figure = history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
    assert [axis.get_title() for axis in figure.axes] == ["loss", "acc"]
    lines = {line.get_label(): line.get_xydata().tolist() for line in figure.axes[0].lines}
    assert lines == {"training": [[1, 1.0], [2, 0.5]], "validation": [[2, 0.75]]}
    assert [axis.get_title() for axis in history.plot(metrics="acc").axes] == ["acc"]


def test_curves_need_known_results():
    with pytest.raises(RuntimeError, match=r"no results to plot yet. Call `fit` first"):
        ours.History().plot()
    with pytest.raises(ValueError, match=r"among \['loss'\]; got 'los'. Did you mean 'loss'"):
        recorded({"loss": 1.0}).plot(metrics=["los"])


# -- logs


@pytest.fixture
def logs():
    return Logs({"loss": jnp.float32(0.5), "nested": {"b": jnp.array(2)}, "acc": jnp.bfloat16(1)})


READ = {"acc": 1.0, "b": 2.0, "loss": 0.5}
WAYS = {
    "dict": dict,
    "unpacking": lambda x: {**x},
    "keywords": lambda x: (lambda **kwargs: kwargs)(**x),
    "copy": lambda x: x.copy(),
    "copy.copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "or": lambda x: x | {},
    "ror": lambda x: {} | x,
    "update": lambda x: ({}.update(x), dict(x))[1],
    "items": lambda x: dict(x.items()),
    "values": lambda x: dict(zip(x, x.values(), strict=True)),
    "iteration": lambda x: {name: x[name] for name in x},
    "get": lambda x: {name: x.get(name) for name in x},
    "pop": lambda x: {name: x.pop(name) for name in list(x)},
    "popitem": lambda x: dict(x.popitem() for _ in range(3)),
    "setdefault": lambda x: {name: x.setdefault(name) for name in x},
    "json": lambda x: json.loads(json.dumps(x)),
    "repr": lambda x: eval(repr(x)),
    "pickle": lambda x: pickle.loads(pickle.dumps(x)),
    "format": lambda x: {"acc": 1.0, "b": 2.0, "loss": float("{loss}".format_map(x))},
    "pandas": lambda x: pandas.DataFrame([x]).to_dict("records")[0],
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_to_look_at_logs_reads_them(logs, way):
    seen = way(logs)
    assert dict(sorted(seen.items())) == READ
    assert [type(value) for value in seen.values()] == [float] * 3


def test_logs_compare_by_value(logs):
    assert logs == READ
    assert READ == Logs(logs)  # noqa: SIM300 (the other way round)
    assert not Logs(logs) != READ  # noqa: SIM202 (not the same method)
    assert logs != {} and Logs({}) == {}


def test_logs_are_read_once_and_only_when_looked_at(logs, monkeypatch):
    transfers = []
    real = jax.device_get
    monkeypatch.setattr(jax, "device_get", lambda x: transfers.append(len(x)) or real(x))
    assert logs and len(logs) == 3 and "loss" in logs and list(logs) == list(logs.keys())
    assert not Logs({}) and transfers == [] and logs.pending
    assert logs["loss"] == 0.5 and dict(logs) == READ
    assert transfers == [3]


def test_logs_take_new_values(logs):
    logs["later"] = jnp.float32(4)
    logs |= {"loss": 9}
    del logs["b"]
    logs.update(acc="x")
    assert logs.pending
    assert logs == {"acc": "x", "loss": 9, "later": 4.0}
    logs.clear()
    assert not logs and not logs.pending


def test_logs_keep_what_is_no_number():
    kept = Logs({"matrix": jnp.eye(2), "word": "x", "nothing": None, "i": 1j * jnp.ones(())})
    assert isinstance(kept["matrix"], np.ndarray) and kept["word"] == "x"
    assert kept["nothing"] is None and kept["i"] == 1j


def test_logs_of_logs_are_not_read(logs):
    again = Logs(logs)
    assert logs.pending and again.pending and again == READ
