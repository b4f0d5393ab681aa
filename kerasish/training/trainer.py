"""`compile`, `fit`, `evaluate` and `predict`: a model's loops over data."""

import contextlib
import warnings
from collections.abc import Callable, Collection

import jax
import numpy as np

from kerasish import metrics as metrics_module
from kerasish import optimizers
from kerasish.callbacks import CallbackList, History, Logs
from kerasish.core import processes, settings
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.serialize import (
    deserialize_keras_object,
    is_serialized,
    serialize_keras_object,
)
from kerasish.core.tracebacks import short_tracebacks
from kerasish.data import (
    ArrayBatches,
    Batches,
    make_batches,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from kerasish.training.chunk import alone
from kerasish.training.chunk_sources import ArraySource, Source
from kerasish.training.compiled_loss import CompiledLoss, CompiledMetrics
from kerasish.training.consistency import compare_models
from kerasish.training.learning_rate_finder import LearningRateCurve, find_learning_rate
from kerasish.training.loss_weight_check import check_loss_weights
from kerasish.training.monte_carlo import MonteCarlo
from kerasish.training.multihost_source import make_source
from kerasish.training.step_timing import FitReport, explain
from kerasish.training.steps import Steps


class Trainer(Steps):
    """The training half of a model: `compile`, and the loops around its steps."""

    stop_training = False
    history: History | None = None
    _not_parts = ("_compile_arguments",)
    _not_saved = (
        *("history", "loss", "optimizer", "_compile_arguments", "_compiled_loss"),
        *("_compiled_metrics", "_loss_tracker", "_steps"),
    )

    # -- compiling

    def compile(
        self,
        optimizer="rmsprop",
        loss=None,
        loss_weights=None,
        metrics=None,
        weighted_metrics=None,
        run_eagerly=False,
        steps_per_execution="auto",
        jit_compile="auto",
        auto_scale_loss=True,
    ) -> None:
        """Say what to train with.

        Once is enough. Learning rates, weights and random states are read at each step, and layers
        that are frozen or unfrozen (`layer.trainable = ...`) are noticed when the next epoch
        begins: the optimizer keeps its state of weights that are trained as before, drops that of
        frozen ones, and starts anew for unfrozen ones. Compile again for another loss, other
        metrics or another optimizer; an optimizer that was used for other weights is an error.

        Args:
            optimizer: An optimizer, its name, or any optax transformation.
            loss: A loss, its name or a function `(y_true, y_pred)`; for several outputs a list, or
                a dict by output name.
            loss_weights: Numbers that weigh the outputs' losses, in the same form, or one for all.
            metrics: List of metrics, names or functions; for several outputs a list of lists or a
                dict by output name.
            weighted_metrics: The same, for metrics that see the sample weights.
            run_eagerly: Whether to run steps uncompiled, to look inside them.
            steps_per_execution: Number of steps run between looks of the host: callbacks of batches
                are called this often. `"auto"` chooses by time; it never changes a result.
            jit_compile: `False` runs uncompiled, as `run_eagerly` does.
            auto_scale_loss: Whether float16 policies get an optimizer that scales the loss.
        """
        if steps_per_execution != "auto" and (
            not isinstance(steps_per_execution, int) or steps_per_execution < 1
        ):
            raise bad_argument(
                "compile", "steps_per_execution", "'auto' or at least 1", steps_per_execution
            )
        check_loss_weights(loss_weights)
        optimizer = optimizers.get(optimizer)
        scaled = getattr(getattr(self, "dtype_policy", None), "name", "") == "mixed_float16"
        if auto_scale_loss and scaled and not isinstance(optimizer, optimizers.LossScaleOptimizer):
            optimizer = optimizers.LossScaleOptimizer(optimizer)
        names = getattr(self, "output_names", None)
        compiled_loss = None if loss is None else CompiledLoss(loss, loss_weights, names)
        compiled_metrics = CompiledMetrics(metrics, weighted_metrics, names)
        self.optimizer = optimizer
        self.loss = loss
        self._compiled_loss = compiled_loss
        self._compiled_metrics = compiled_metrics
        self._loss_tracker = metrics_module.Mean(name="loss")
        self.run_eagerly = bool(run_eagerly) or jit_compile is False
        self.steps_per_execution = steps_per_execution
        self.jit_compile = not self.run_eagerly
        self.stop_training = False
        self.compiled = True
        self._steps: dict = {}
        self._orders: dict = {}  # names of results as logged, to their order in lists
        self._compile_arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "loss_weights": loss_weights,
            "metrics": metrics,
            "weighted_metrics": weighted_metrics,
            "run_eagerly": bool(run_eagerly),
            "steps_per_execution": steps_per_execution,
            "jit_compile": jit_compile,
        }

    def __getstate__(self):
        """What copies and pickles hold: compiled steps stay with the model they were made for."""
        return {**self.__dict__, "_steps": {}}

    def get_compile_config(self) -> dict:
        """The arguments of `compile` as plain data, for files; nothing before it was called."""
        if not self.compiled:
            return {}
        config = {k: serialize_keras_object(v) for k, v in self._compile_arguments.items()}
        if config["steps_per_execution"] == "auto":
            config["steps_per_execution"] = 1
        config["jit_compile"] = self.jit_compile
        return config

    def compile_from_config(self, config: dict) -> None:
        """Compile with what `get_compile_config` gave."""
        config = {
            k: deserialize_keras_object(v) if _holds_objects(v) else v for k, v in config.items()
        }
        if config.get("steps_per_execution") == 1:
            config["steps_per_execution"] = "auto"
        if config.get("jit_compile") is True:
            config["jit_compile"] = "auto"
        self.compile(**config)
        if self.built:
            self.optimizer.build(self.trainable_variables)

    def _require_compiled(self, who, needs_loss=False):
        if not self.compiled:
            raise ValueError(
                f"{who}: the model {self.name!r} is not compiled yet. Call "
                "`model.compile(optimizer=..., loss=...)` first."
            )

    # -- the loops

    @short_tracebacks
    def fit(
        self,
        x=None,
        y=None,
        batch_size=None,
        epochs=1,
        verbose="auto",
        callbacks=None,
        validation_split=0.0,
        validation_data=None,
        shuffle=True,
        class_weight=None,
        sample_weight=None,
        initial_epoch=0,
        steps_per_epoch=None,
        validation_steps=None,
        validation_batch_size=None,
        validation_freq=1,
    ) -> History:
        """Train for some epochs.

        Args:
            x: Inputs: arrays, lists or dicts of them, a DataFrame, a generator, a `PyDataset`, or
                any iterable of batches `(x, y)` or `(x, y, sample_weight)`.
            y: Targets, when `x` does not bring them.
            batch_size: Samples in a batch; 32 for arrays.
            epochs: Number of the last epoch.
            verbose: 0 silent, 1 a bar, 2 a line an epoch, `"auto"` a bar where one can be shown.
            callbacks: Callbacks, called at each epoch and, if they ask for it, each batch.
            validation_split: Part of the samples, from the end, to hold out: from 0 to 1.
            validation_data: `(x, y)` or `(x, y, sample_weight)` or batches, to evaluate on.
            shuffle: Whether to shuffle arrays before each epoch.
            class_weight: Dict from class number to its weight.
            sample_weight: Weight of each sample.
            initial_epoch: Number of epochs done before.
            steps_per_epoch: Batches in an epoch; needed for endless sources.
            validation_steps: Batches to evaluate on.
            validation_batch_size: Samples in a validation batch.
            validation_freq: Evaluate each so many epochs, or in the listed ones.

        Returns:
            A `History` with the results of each epoch; `history.plot()` draws them.
        """
        self._require_compiled("fit")
        if not isinstance(validation_freq, int | Collection) or isinstance(validation_freq, str):
            wanted = "a number of epochs, or a list of epochs"
            raise bad_argument("fit", "validation_freq", wanted, validation_freq)
        epochs = _at_most(epochs, settings.max_epochs())
        if validation_split and validation_data is None:
            (x, y, sample_weight), validation_data = train_validation_split(
                (x, y, sample_weight), validation_split
            )
        batches = make_batches(
            x,
            y,
            sample_weight,
            batch_size=batch_size,
            shuffle=shuffle,
            class_weight=class_weight,
            steps=steps_per_epoch,
        )
        steps_per_epoch = _limited(steps_per_epoch, batches)
        self.stop_training = False
        step = self._step("train")
        with contextlib.ExitStack() as cleanup:
            cleanup.enter_context(processes.failures_named("fit"))
            cleanup.callback(batches.close)
            needed = steps_per_epoch and steps_per_epoch * max(0, epochs - initial_epoch)
            source = make_source(batches, initial_epoch, needed)
            cleanup.callback(source.close)
            validation = self._validation(
                validation_data, validation_batch_size or batch_size, validation_steps, cleanup
            )
            self._check_labels(batches, source, step)
            steps = steps_per_epoch or batches.num_batches
            callbacks = self._callbacks(callbacks, verbose, epochs, steps, add_history=True)
            cleanup.callback(callbacks.release)
            self._source = source
            cleanup.callback(self.__dict__.pop, "_source")
            names = [type(callback).__name__ for callback in callbacks]
            compare_models("fit", self, epochs=epochs, steps=steps_per_epoch, callbacks=names)
            callbacks.on_train_begin()
            resumed = self._resume(source, step)
            first, done = resumed or (initial_epoch, 0)
            if resumed and self.stop_training:
                epochs = first  # a callback had just ended that run
            logs = {}
            for epoch in range(first, epochs):
                if not done:
                    self.reset_metrics()
                processes.say_position(f"epoch {epoch + 1}")
                callbacks.on_epoch_begin(epoch)
                step = self._step("train")  # a callback may have frozen or unfrozen layers
                batches.on_epoch_begin()
                if steps_per_epoch is None and source.position and not done:
                    source.restart()
                ran, results = self._run("train", step, source, steps_per_epoch, callbacks, done)
                if not ran and epoch > first:
                    break  # the data ran out, of which they have warned
                if not ran:
                    raise _no_batch("fit")
                logs, done = results, 0
                batches.on_epoch_end()
                if validation is not None and _is_due(epoch, validation_freq):
                    results = self._evaluate(*validation, callbacks)
                    logs = Logs(
                        {**logs, **{f"val_{name}": value for name, value in results.items()}}
                    )
                callbacks.on_epoch_end(epoch, logs)
                if self.stop_training:
                    break
            self._finish_training()
            callbacks.on_train_end(logs)
        assert self.history is not None
        return self.history

    def _finish_training(self):
        finalize = getattr(self.optimizer, "finalize_variable_values", None)
        if finalize is not None:
            finalize(self.trainable_variables)

    # -- going on after an interruption

    _place: tuple | None = None

    def place_in_data(self) -> dict:
        """Where the training that is going on stands in its data, for `resume_from`."""
        source = self._source
        seed = getattr(source.batches, "seed", None)
        return {"passes": source.passes, "position": source.position, "seed": seed}

    def resume_from(self, epoch: int, batch: int, data: dict, restore: Callable) -> None:
        """Let the `fit` that is beginning go on from there; for callbacks' `on_train_begin`.

        Args:
            epoch: The epoch.
            batch: Number of its batches that are done.
            data: What `place_in_data` gave there.
            restore: Called once all Variables are made, to give them their values of then.
        """
        self._place = epoch, batch, data, restore

    def _resume(self, source, step):
        """Go to the place a callback asked for: gives the epoch and its batches done."""
        if self._place is None:
            return None
        (epoch, batch, data, restore), self._place = self._place, None
        if data["seed"] is not None and data["seed"] != source.batches.seed:
            source.batches.seed = data["seed"]
            source.begin()
        source.seek(data["passes"], data["position"])
        form = source.form()
        if form is not None:
            step.prepare(form)
        restore()
        return epoch, batch

    def _run(self, kind, step, source, limit, callbacks, before=0):
        """One epoch (or evaluation) of steps, the first of which may be done already.

        Returns the number of steps done, and its logs with sorted names.
        """
        wants = getattr(callbacks, f"wants_{kind}_batches")
        begin, end = (getattr(callbacks, f"on_{kind}_batch_{part}") for part in ("begin", "end"))
        most = None if self.steps_per_execution == "auto" else self.steps_per_execution
        if wants or (kind == "train" and self.stop_training):  # it was told to before the first
            most = most or 1
        last = limit or source.batches.num_batches
        logs, done = Logs(self.get_metrics_result() if before else {}), before
        runs = step.run(source, limit and limit - before, most)
        while True:
            begin(done)
            ran = next(runs, None)
            if ran is None:
                break
            done, results = before + ran[0], ran[1]
            logs = Logs(results)
            end(done - 1, logs)
            if done == last or (self.stop_training and kind == "train"):
                break
        runs.close()
        if limit is not None and 0 < done < limit and not self.stop_training:
            warnings.warn(
                f"The data ran out after {done} of {limit} batches: it must yield at least "
                "`steps_per_epoch * epochs` batches, or be one that can start again.",
                stacklevel=3,
            )
        return done, logs

    def _callbacks(self, callbacks, verbose, epochs, steps, add_history=False):
        if isinstance(callbacks, CallbackList):
            return callbacks
        return CallbackList(
            callbacks,
            add_history=add_history,
            add_progbar=verbose != 0,
            verbose=verbose,
            epochs=epochs,
            steps=steps,
            model=self,
        )

    def _check_labels(self, batches, source, step):
        """Learn the shapes and, where labels lie in memory, look at them before training."""
        if step.eager or not isinstance(source, ArraySource) or self._compiled_loss is None:
            return
        step.prepare(source.form())
        arrays = batches.arrays
        if len(arrays) > 1:
            self._compiled_loss.check_labels(arrays[1])

    def _validation(self, data, batch_size, steps, cleanup):
        if data is None:
            return None
        if isinstance(data, Batches):
            batches = data
        elif isinstance(data, list | tuple) and len(data) in (1, 2, 3) and not callable(data[0]):
            batches = make_batches(
                *unpack_x_y_sample_weight(tuple(data)), batch_size=batch_size, steps=steps
            )
        else:
            batches = make_batches(data, batch_size=batch_size, steps=steps)
        cleanup.callback(batches.close)
        steps = _limited(steps, batches)
        source = make_source(batches, needed=steps)
        cleanup.callback(source.close)
        return source, steps

    def _evaluate(self, source: Source, steps, callbacks):
        self.reset_metrics()
        callbacks.on_test_begin()
        source.batches.on_epoch_begin()
        source.begin()
        done, logs = self._run("test", self._step("test"), source, steps, callbacks)
        if not done:
            raise _no_batch("evaluate")
        source.batches.on_epoch_end()
        callbacks.on_test_end(logs)
        return logs

    @short_tracebacks
    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        steps=None,
        callbacks=None,
        return_dict=False,
    ):
        """Loss and metrics on data, without training.

        Takes data as `fit` does.

        Returns:
            The loss alone, or a list of it and the metrics in order of `metrics_names`, or a dict
            with `return_dict`.
        """
        self._require_compiled("evaluate")
        batches = make_batches(x, y, sample_weight, batch_size=batch_size, steps=steps)
        with contextlib.ExitStack() as cleanup:
            cleanup.enter_context(processes.failures_named("evaluate"))
            cleanup.callback(batches.close)
            steps = _limited(steps, batches)
            source = make_source(batches, needed=steps)
            cleanup.callback(source.close)
            self._check_labels(batches, source, self._step("test"))
            callbacks = self._callbacks(callbacks, verbose, 1, steps or batches.num_batches)
            logs = self._evaluate(source, steps, callbacks)
        return dict(logs) if return_dict else self._as_list(logs)

    def _as_list(self, logs):
        orders, given = self._orders, tuple(logs)
        if given not in orders:
            orders[given] = self._in_order(logs)
        values = [logs[name] for name in orders[given]]
        return values[0] if len(values) == 1 else values

    @short_tracebacks
    def predict(
        self,
        x,
        batch_size=None,
        verbose="auto",
        steps=None,
        callbacks=None,
        mc_samples=None,
        mc_seed=None,
        mc_keep=False,
    ):
        """Outputs for inputs, batch by batch, as NumPy arrays.

        With `mc_samples`, dropout layers stay on (Monte Carlo dropout): each input is asked about
        that many times, and the result is `(mean, std)` over the samples. All other layers work
        as in prediction, and nothing the model holds changes.

        Args:
            x: Inputs, as for `fit`.
            batch_size: Samples in a batch; 32 for arrays.
            verbose: As for `fit`.
            steps: Number of batches; needed for endless sources.
            callbacks: Callbacks, called at each batch if they ask for it.
            mc_samples: Number of samples of Monte Carlo dropout; `None` for a plain prediction.
            mc_seed: Integer that fixes the samples; `None` draws one.
            mc_keep: Whether to return the samples too: `(mean, std, samples)`.

        References:
            Gal and Ghahramani, 2016, "Dropout as a Bayesian Approximation: Representing Model
            Uncertainty in Deep Learning".
        """
        batches = make_batches(x, batch_size=batch_size, steps=steps)
        asked = bool(verbose or callbacks or steps) or mc_samples is not None
        if batches.num_batches == 1 and isinstance(batches, ArrayBatches) and not asked:
            return self._predict_at_once(batches.arrays)
        sampler = None if mc_samples is None else self._monte_carlo(mc_samples, mc_seed, mc_keep)
        step = sampler or self._step("predict")
        found: list = []
        with contextlib.ExitStack() as cleanup:
            cleanup.enter_context(processes.failures_named("predict"))
            cleanup.callback(batches.close)
            steps = _limited(steps, batches)
            source = make_source(batches, needed=steps)
            cleanup.callback(source.close)
            callbacks = self._callbacks(callbacks, verbose, 1, steps or batches.num_batches)
            callbacks.on_predict_begin()
            batches.on_epoch_begin()
            most = 1 if callbacks.wants_predict_batches or mc_keep else None
            done, last = 0, steps or batches.num_batches
            runs = step.run(source, steps, most)
            while done != last:
                callbacks.on_predict_batch_begin(done)
                ran = next(runs, None)
                if ran is None:
                    break
                done, _, outputs, chunk = ran
                found.append(_host_rows(outputs, chunk))
                callbacks.on_predict_batch_end(done - 1, {"outputs": found[-1]})
            runs.close()
            batches.on_epoch_end()
            callbacks.on_predict_end()
        if not found:
            raise _no_batch("predict")
        whole = jax.tree.map(
            lambda *chunks: chunks[0] if len(chunks) == 1 else np.concatenate(chunks), *found
        )
        return sampler.result(whole) if sampler else whole

    def _monte_carlo(self, samples, seed, keep):
        if not isinstance(samples, int) or samples < 1:
            raise bad_argument("predict", "mc_samples", "a positive integer or None", samples)
        steps = self.__dict__.setdefault("_steps", {})
        kind = f"predict, {samples} {'kept ' if keep else ''}samples"
        sampler = steps[kind] = steps.get(kind) or MonteCarlo(self, samples, keep)
        sampler.start(seed)
        return sampler

    def find_learning_rate(
        self,
        x,
        y=None,
        sample_weight=None,
        batch_size=None,
        start=1e-6,
        end=10.0,
        steps=100,
        stop_factor=4.0,
    ) -> LearningRateCurve:
        """Train briefly with a growing learning rate, to see which one to use; undo it all.

        Afterwards weights, optimizer, metrics and random states are what they were, to the bit.

        Args:
            x: Inputs, as for `fit`.
            y: Targets.
            sample_weight: Weight of each sample.
            batch_size: Samples in a batch; 32 for arrays. The best rate depends on it.
            start: First learning rate.
            end: Last learning rate, reached by equal factors.
            steps: Number of batches, at least 10.
            stop_factor: How often the loss may lose what it gained before the search ends early.

        Returns:
            A curve with `rates`, `losses`, `suggestion` and `plot()`.

        References:
            Smith, 2017, "Cyclical Learning Rates for Training Neural Networks".
        """
        self._require_compiled("find_learning_rate")
        data = (x, y, sample_weight, batch_size)
        return find_learning_rate(self, *data, start, end, steps, stop_factor)

    # -- one batch at a time

    @short_tracebacks
    def train_on_batch(self, x, y=None, sample_weight=None, class_weight=None, return_dict=False):
        """Train on one batch; returns its loss and metrics, as `evaluate` does."""
        self._require_compiled("train_on_batch")
        return self._on_batch("train", x, y, sample_weight, class_weight, return_dict)

    @short_tracebacks
    def test_on_batch(self, x, y=None, sample_weight=None, return_dict=False):
        """Loss and metrics of one batch, as `evaluate` returns them."""
        self._require_compiled("test_on_batch")
        return self._on_batch("test", x, y, sample_weight, None, return_dict)

    def _on_batch(self, kind, x, y, sample_weight, class_weight, return_dict):
        batch = _whole_batch(x, y, sample_weight, class_weight)
        logs, _ = self._step(f"{kind} on batch").execute(alone(batch))
        logs = Logs(logs)
        return dict(logs) if return_dict else self._as_list(logs)

    @short_tracebacks
    def predict_on_batch(self, x):
        """Outputs for one batch of inputs, as NumPy arrays."""
        return self._predict_at_once(_whole_batch(x, None, None, None))

    def _predict_at_once(self, batch):
        _, outputs = self._step("predict").execute(alone(batch))
        return jax.tree.map(np.array, outputs)

    def explain_fit(self) -> FitReport:
        """How steps were run so far: how many in a call and why, and where the time went.

        Example:
            >>> from kerasish.layers import Dense
            >>> model = keras.Sequential([Dense(1)])
            >>> model.compile("sgd", "mse")
            >>> _ = model.fit(np.ones((64, 3)), np.ones((64, 1)), verbose=0)
            >>> model.explain_fit()["train"]["steps"], model.explain_fit()["train"]["steps_done"]
            ('fused on the device', 2)
        """
        steps = self.__dict__.get("_steps", {})
        return FitReport({kind: explain(step) for kind, step in steps.items()})


def _holds_objects(value):
    if isinstance(value, dict):
        return is_serialized(value) or any(map(_holds_objects, value.values()))
    return isinstance(value, list | tuple) and any(map(_holds_objects, value))


def _no_batch(who):
    hint = "Is the dataset empty, or a generator already used up?"
    return ValueError(f"{who}: the data gave no batch at all. {hint}")


def _at_most(number, limit):
    return number if limit is None else limit if number is None else min(number, limit)


def _limited(steps, batches):
    """Batches of a pass: as asked for, but no more than `keras.config.set_max_steps_per_epoch`."""
    limit = settings.max_steps_per_epoch()
    return steps if limit is None else _at_most(steps or batches.num_batches, limit)


def _is_due(epoch, frequency):
    if isinstance(frequency, int):
        return (epoch + 1) % frequency == 0
    return (epoch + 1) in frequency


def _whole_batch(x, y, sample_weight, class_weight):
    batches = make_batches(x, y, sample_weight, batch_size=2**31 - 1, class_weight=class_weight)
    return next(iter(batches.epoch(0)))


def _host_rows(outputs, chunk):
    """The outputs of a call as NumPy arrays, one row per sample."""
    if chunk.kind == "batch":
        return jax.tree.map(np.asarray, outputs)
    return jax.tree.map(lambda a: np.asarray(a)[: chunk.count].reshape(-1, *a.shape[2:]), outputs)
