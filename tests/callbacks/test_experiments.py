"""Callbacks of a run as a whole: its time, and its report to services that keep experiments."""

import datetime
import itertools
import sys
import time
import types

import numpy as np
import pytest

import kerasish as keras
from kerasish import callbacks, layers

X, Y = np.ones((32, 3), "float32"), np.ones((32, 1), "float32")


def model():
    made = keras.Sequential([keras.Input((3,)), layers.Dense(1)], name="small")
    made.compile(keras.optimizers.SGD(0.5), "mse", metrics=["mae"])
    return made


# -- the time limit


class Clock:
    """A clock that goes on by a second at each look."""

    def __init__(self):
        self.seconds = itertools.count()

    def monotonic(self):
        return float(next(self.seconds))


@pytest.mark.parametrize("limit", [3, 3.0, datetime.timedelta(seconds=3)])
def test_training_stops_within_an_epoch(limit, monkeypatch, capsys):
    monkeypatch.setattr("kerasish.callbacks.time_limit.time", Clock())
    trained = model()
    trained.steps_per_execution = 1
    trained.fit(X, Y, batch_size=4, epochs=10**6, verbose=0, callbacks=[callbacks.TimeLimit(limit)])
    assert trained.optimizer.iterations == 3
    assert "training stops after 3 s, in epoch 1" in capsys.readouterr().out


def test_a_resumed_run_has_the_rest_of_the_time(monkeypatch):
    monkeypatch.setattr("kerasish.callbacks.time_limit.time", Clock())
    first, again = callbacks.TimeLimit(100), callbacks.TimeLimit(100)
    first.on_train_begin()
    for _ in range(97):
        first._elapsed()
    again.on_train_begin()
    again.set_state(first.get_state())
    again.set_model(model())
    assert again._before == 99
    again.on_train_batch_end(0)
    assert again.model.stop_training


def test_a_used_limit_begins_anew():
    limit = callbacks.TimeLimit(60)
    limit._before, limit._began = 1e6, time.monotonic()
    trained = model()
    trained.fit(X, Y, epochs=2, verbose=0, callbacks=[limit])
    assert len(trained.history.epoch) == 2


@pytest.mark.parametrize("seconds", [0, -1, True, "1h", float("nan"), datetime.timedelta(0)])
def test_a_limit_is_a_time(seconds):
    with pytest.raises(ValueError, match="`seconds` must be a positive number of seconds"):
        callbacks.TimeLimit(seconds)


# -- services


class FakeMLflow(types.ModuleType):
    def __init__(self, active=None):
        super().__init__("mlflow")
        self.active, self.said = active, []

    def active_run(self):
        return self.active

    def start_run(self, run_name):
        self.active = run_name or "generated"
        self.said.append(("start", run_name))
        return self.active

    def end_run(self, status):
        self.active = None
        self.said.append(("end", status))

    def log_params(self, params):
        self.said.append(("params", params))

    def log_metrics(self, metrics, step):
        self.said.append((step, metrics))


class FakeRun:
    def __init__(self, said):
        self.said, self.config = said, self

    def update(self, facts, allow_val_change):
        assert allow_val_change
        self.said.append(("params", facts))

    def log(self, results):
        results = dict(results)
        self.said.append((results.pop("epoch"), results))

    def finish(self, exit_code):
        self.said.append(("end", ["FINISHED", "FAILED"][exit_code]))


class FakeWandb(types.ModuleType):
    def __init__(self, active=None):
        super().__init__("wandb")
        self.said = []
        self.run = active and FakeRun(self.said)

    def init(self, project, name):
        self.said.append(("start", name))
        return FakeRun(self.said)


SERVICES = [
    (callbacks.MLflowLogger, FakeMLflow),
    (callbacks.WandbLogger, FakeWandb),
]


@pytest.fixture(params=SERVICES, ids=["mlflow", "wandb"])
def service(request):
    return request.param


def use(monkeypatch, fake):
    monkeypatch.setitem(sys.modules, fake.__name__, fake)
    return fake


def test_a_run_is_reported_from_beginning_to_end(service, monkeypatch):
    logger, fake = service[0], use(monkeypatch, service[1]())
    trained = model()
    trained.fit(
        X,
        Y,
        epochs=2,
        verbose=0,
        validation_data=(X, Y),
        callbacks=[logger(run_name="mine", params={"note": "x", "epochs": "few"})],
    )
    begin, (_, params), first, second, end = fake.said
    assert (begin, end) == (("start", "mine"), ("end", "FINISHED"))
    assert params["optimizer_learning_rate"] == 0.5
    assert (params["note"], params["epochs"], params["loss"]) == ("x", "few", "mse")
    assert (params["model"], params["parameters"], params["steps"]) == ("small", 4, 1)
    for epoch, (step, results) in enumerate([first, second]):
        history = {name: values[epoch] for name, values in trained.history.history.items()}
        assert (step, results) == (epoch, pytest.approx(history))
        assert {"loss", "mae", "val_loss", "val_mae"} <= results.keys()


def test_an_active_run_is_used_and_left_open(service, monkeypatch):
    logger, fake = service[0], use(monkeypatch, service[1]("mine"))
    model().fit(X, Y, verbose=0, callbacks=[logger()])
    assert [what for what, _ in fake.said] == ["params", 0]


def test_an_error_ends_the_run_as_failed(service, monkeypatch):
    logger, fake = service[0], use(monkeypatch, service[1]())

    def fail(epoch, logs):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        model().fit(
            X,
            Y,
            epochs=3,
            verbose=0,
            callbacks=[logger(), callbacks.LambdaCallback(on_epoch_end=fail)],
        )
    assert fake.said[-1] == ("end", "FAILED")


def test_the_same_callback_serves_again(service, monkeypatch):
    fake = use(monkeypatch, service[1]())
    logger = service[0]()
    for _ in range(2):
        model().fit(X, Y, verbose=0, callbacks=[logger])
    assert [what for what, _ in fake.said] == ["start", "params", 0, "end"] * 2


def test_the_command_to_install_is_given(service, monkeypatch):
    logger, fake = service
    name = fake().__name__
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"{logger.__name__} needs {name}: `pip install keras"):
        logger()


def test_parameters_are_a_dict(service, monkeypatch):
    use(monkeypatch, service[1]())
    with pytest.raises(ValueError, match="`params` must be a dict of names to values, or None"):
        service[0](params=["a"])


@pytest.mark.filterwarnings("ignore")  # its own
def test_runs_in_the_real_mlflow(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/runs.db")
    trained = model()
    trained.fit(X, Y, epochs=3, verbose=0, callbacks=[callbacks.MLflowLogger("mine")])
    (run,) = mlflow.search_runs(output_format="list")
    assert run.info.run_name == "mine"
    assert run.info.status == "FINISHED"
    assert run.data.params["optimizer_learning_rate"] == "0.5"
    losses = mlflow.tracking.MlflowClient().get_metric_history(run.info.run_id, "loss")
    assert [one.value for one in losses] == pytest.approx(trained.history.history["loss"])
    assert [one.step for one in losses] == [0, 1, 2]


def test_runs_in_the_real_wandb(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    for name, value in {"MODE": "offline", "DIR": str(tmp_path), "SILENT": "true"}.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    model().fit(X, Y, epochs=2, verbose=0, callbacks=[callbacks.WandbLogger("tests", "mine")])
    (record,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    deadline = time.monotonic() + 60  # its own process writes the file
    while b"optimizer_learning_rate" not in record.read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.1)
