"""`compile`, `fit`, `evaluate` and `predict`: a model's loops over data."""

import contextlib
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import Any

import jax
import numpy as np

from kerasish import metrics as metrics_module
from kerasish import optimizers
from kerasish.callbacks import CallbackList, History, Logs
from kerasish.core import departed_names, settings
from kerasish.core.dict_order import reordered
from kerasish.core.errors import bad_argument, see
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
    refuse_balanced,
    train_validation_split,
    unpack_x_y_sample_weight,
)
from kerasish.data.array_conversion import holds_arrays
from kerasish.training import evaluate_loop, fit_loop, predict_loop
from kerasish.training.argument_errors import in_argument
from kerasish.training.chunk import rows_of, single_batch_chunk
from kerasish.training.compiled_loss import CompiledLoss
from kerasish.training.compiled_metrics import CompiledMetrics
from kerasish.training.compiled_step import CompiledStep
from kerasish.training.consistency import compare_models
from kerasish.training.epoch_loop import at_most, limited, opened
from kerasish.training.host_inputs import HostBatches, without_strings
from kerasish.training.idle_accelerator import warn_of_idle_accelerator
from kerasish.training.input_hints import input_hints
from kerasish.training.label_check import check_batch_labels
from kerasish.training.last_form import LastForm, last_form
from kerasish.training.learning_rate_finder import LearningRateCurve, find_learning_rate
from kerasish.training.loss_weight_check import check_loss_weights
from kerasish.training.monte_carlo import MonteCarlo
from kerasish.training.output_matching import by_output
from kerasish.training.resume import ResumePoint, data_position
from kerasish.training.step_factory import TRAINING_KINDS, current_step, make_step
from kerasish.training.step_timing import FitReport, explain
from kerasish.training.steps import OverridableSteps

# Sizes of large batches that `predict_on_batch` compiles a program of its own for.
_OWN_SIZES = 8
_PREDICT_BATCH = 32


class Trainer(OverridableSteps):
    """The training half of a model: `compile`, and the loops around its steps."""

    _departed = departed_names.MODEL
    stop_training = False
    stop_evaluating = False
    stop_predicting = False
    steps_per_execution: int | str = "auto"
    history: History | None = None
    _resume_point: ResumePoint | None = None
    _last_form: LastForm | None = None
    _not_parts = ("_compile_arguments", "_host_programs")
    _not_saved = (
        *("history", "loss", "optimizer", "_compile_arguments", "_compiled_loss"),
        *("_compiled_metrics", "_loss_tracker", "_compiled_steps", "_predict_sizes"),
        *("_host_programs", "_last_form"),
    )

    # -- compiling

    @short_tracebacks
    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        loss_weights: Any = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int | str = "auto",
        jit_compile: bool | str = "auto",
        auto_scale_loss: bool = True,
    ) -> None:
        """Say what to train with.

        Once is enough. Learning rates, weights and random states are read at each step, and layers
        that are frozen or unfrozen (`layer.trainable = ...`) are noticed when the next epoch
        begins: the optimizer keeps its state of weights that are trained as before, drops that of
        frozen ones, and starts anew for unfrozen ones. Compile again for another loss, other
        metrics or another optimizer; an optimizer that was used for other weights is an error.

        Args:
            optimizer: An optimizer, its name, or any optax transformation.
            loss: A loss, its name or a function `(y_true, y_pred)`; for several outputs a list, a
                dict by output name, or any pytree of these like the outputs; `None` in it leaves an
                output without a loss.
            loss_weights: Numbers that weigh the outputs' losses, in the same structure, or one for
                all.
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
        self._check_initialized()
        check_loss_weights(loss_weights)
        optimizer = optimizers.get(optimizer)
        scaled = getattr(self.dtype_policy, "name", "") == "mixed_float16"
        if auto_scale_loss and scaled and not isinstance(optimizer, optimizers.LossScaleOptimizer):
            optimizer = optimizers.LossScaleOptimizer(optimizer)
        names = getattr(self, "output_names", None)
        compiled_loss = None if loss is None else CompiledLoss(loss, loss_weights, names)
        compiled_metrics = CompiledMetrics(metrics, weighted_metrics, names, compiled_loss)
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
        self.__dict__["_compiled_steps"] = {}
        self.__dict__["_host_programs"] = {}
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
        running = ("_fit", "_source", "_resume_point", "_calls", "_last_form")
        return {
            **{k: v for k, v in self.__dict__.items() if k not in running},
            "_compiled_steps": {},
            "_host_programs": {},
        }

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
        """Compile with what `get_compile_config` gave.

        Args:
            config: The arguments of `compile` as plain data.
        """
        if not type(self).compile.__module__.startswith("kerasish."):
            warnings.warn(
                f"{type(self).__name__}: `compile()` was not called as part of model loading, as "
                "the class has a `compile()` of its own. Call it yourself, or write "
                "`get_compile_config()` and `compile_from_config(config)` too.",
                stacklevel=2,
            )
            return
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
                f"`model.compile(optimizer=..., loss=...)` first. {see('E04')}"
            )

    # -- the loops

    @short_tracebacks
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: Any = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
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
            class_weight: Dict from class number to its weight, or `"balanced"`: each class that
                `y` has gets an equal part in the loss; or an array of the classes' weights; for
                several outputs a list of these, or a dict by output name. It multiplies sample
                weights.
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
        _check_epochs(epochs, initial_epoch, validation_freq)
        _check_counts(
            "fit", validation_steps=validation_steps, validation_batch_size=validation_batch_size
        )
        warn_of_idle_accelerator()
        last_epoch: Any = at_most(epochs, settings.max_epochs())
        with contextlib.ExitStack() as cleanup:
            cleanup.enter_context(fit_loop.only_fit(self))
            cleanup.enter_context(input_hints(self, x))
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
                class_weight=by_output(class_weight, getattr(self, "output_names", None)),
                steps=steps_per_epoch,
            )
            batches = without_strings(self, "train", batches, initial_epoch)
            steps_per_epoch = limited(steps_per_epoch, batches)
            needed = steps_per_epoch and steps_per_epoch * max(0, last_epoch - initial_epoch)
            self.stop_training = False
            source = cleanup.enter_context(opened("fit", batches, initial_epoch, needed))
            self._source = source
            cleanup.callback(self.__dict__.pop, "_source")
            size = validation_batch_size or batch_size
            validation = cleanup.enter_context(
                _open_validation(self, validation_data, size, validation_steps, validation_freq)
            )
            fit_loop.check_data(self, source, validation)
            steps = steps_per_epoch or batches.num_batches
            callbacks = self._callbacks(callbacks, verbose, last_epoch, steps, add_history=True)
            cleanup.callback(callbacks.release)
            names = [type(callback).__name__ for callback in callbacks]
            compare_models("fit", self, epochs=last_epoch, steps=steps_per_epoch, callbacks=names)
            fit_loop.fit(
                self, source, validation, callbacks, last_epoch, initial_epoch, steps_per_epoch
            )
        assert self.history is not None
        return self.history

    # -- resuming after an interruption

    def place_in_data(self) -> dict:
        """The position of the running `fit` in its data, for `resume_from`."""
        return data_position(self._source)

    def resume_from(self, epoch: int, batch: int, data: dict, restore: Callable) -> None:
        """Let the `fit` that is beginning resume there; for callbacks' `on_train_begin`.

        Args:
            epoch: The epoch.
            batch: Number of its batches that are done.
            data: What `place_in_data` gave there.
            restore: Called once all Variables are made, to give them their values of then.
        """
        self._resume_point = ResumePoint(epoch, batch, data, restore)

    def _take_resume_point(self):
        point, self._resume_point = self._resume_point, None
        return point

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

    @short_tracebacks
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Loss and metrics on data, without training.

        Takes data as `fit` does.

        Args:
            x: Inputs, as for `fit`.
            y: Targets.
            batch_size: Samples in a batch; 32 for arrays.
            verbose: As for `fit`.
            sample_weight: Weight of each sample.
            steps: Number of batches; needed for endless sources.
            callbacks: Callbacks, called at each batch if they ask for it.
            return_dict: Whether to return a dict of results by name.

        Returns:
            The loss, if there is nothing else, or a list of it and the metrics in order of
            `metrics_names`, or a dict with `return_dict`.
        """
        self._require_compiled("evaluate")
        _check_counts("evaluate", steps=steps)
        with contextlib.ExitStack() as cleanup:
            cleanup.enter_context(input_hints(self, x))
            batches = make_batches(x, y, sample_weight, batch_size=batch_size, steps=steps)
            batches = without_strings(self, "test", batches)
            steps = limited(steps, batches)
            source = cleanup.enter_context(opened("evaluate", batches, needed=steps))
            evaluate_loop.check_before_evaluation(self, source)
            callbacks = self._callbacks(callbacks, verbose, 1, steps or batches.num_batches)
            logs = evaluate_loop.evaluate(self, source, steps, callbacks)
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
        x: Any,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        mc_samples: int | None = None,
        mc_seed: int | None = None,
        mc_keep: bool = False,
    ) -> Any:
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
        asked = bool(verbose or callbacks or steps) or mc_samples is not None
        if not asked and (batch_size is None or type(batch_size) is int):
            most = _PREDICT_BATCH if batch_size is None else batch_size
            if (last := self._last_form) and last.fits(x, self._compiled_steps, most):
                return last(x)
        _check_counts("predict", steps=steps)
        with input_hints(self, x):
            batches = make_batches(x, batch_size=batch_size, steps=steps)
            batches = without_strings(self, "predict", batches)
            if batches.num_batches == 1 and isinstance(batches, ArrayBatches) and not asked:
                return self._predict_at_once(batches.arrays, x)
            if batches.num_batches == 1 and isinstance(batches, HostBatches) and not asked:
                return self._predict_at_once(next(batches.epoch(0)), x)
            sampler = (
                None if mc_samples is None else self._monte_carlo(mc_samples, mc_seed, mc_keep)
            )
            step = sampler or self._step("predict")
            steps = limited(steps, batches)
            with opened("predict", batches, needed=steps) as source:
                callbacks = self._callbacks(callbacks, verbose, 1, steps or batches.num_batches)
                most: Any = 1 if callbacks.wants_predict_batches or mc_keep else None
                if self.steps_per_execution != "auto" and not mc_keep:
                    most = self.steps_per_execution
                self.stop_predicting = False
                outputs = predict_loop.predict(self, step, source, steps, callbacks, most)
        return sampler.result(outputs) if sampler else outputs

    def _monte_carlo(self, samples, seed, keep):
        if not isinstance(samples, int) or samples < 1:
            raise bad_argument("predict", "mc_samples", "a positive integer or None", samples)
        steps = self._compiled_steps
        kind = f"predict, {samples} {'kept ' if keep else ''}samples"
        sampler = steps[kind] = steps.get(kind) or MonteCarlo(self, samples, keep)
        sampler.start(seed)
        return sampler

    def find_learning_rate(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: int | None = None,
        start: float = 1e-6,
        end: float = 10.0,
        steps: int | None = 100,
        stop_factor: float = 4.0,
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
    def train_on_batch(
        self,
        x: Any,
        y: Any = None,
        sample_weight: Any = None,
        class_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Train on one batch.

        Args:
            x: Inputs of the batch.
            y: Targets.
            sample_weight: Weight of each sample.
            class_weight: Dict from class number to its weight, or an array of the classes' weights;
                for several outputs a list of these, or a dict by output name. Sample weights are
                multiplied by it.
            return_dict: Whether to return a dict of results by name.

        Returns:
            Its loss and metrics, as `evaluate` returns them.
        """
        self._require_compiled("train_on_batch")
        class_weight = by_output(class_weight, getattr(self, "output_names", None))
        return self._on_batch("train", x, y, sample_weight, class_weight, return_dict)

    @short_tracebacks
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """Loss and metrics of one batch, as `evaluate` returns them, without training.

        Args:
            x: Inputs of the batch.
            y: Targets.
            sample_weight: Weight of each sample.
            return_dict: Whether to return a dict of results by name.
        """
        self._require_compiled("test_on_batch")
        return self._on_batch("test", x, y, sample_weight, None, return_dict)

    def _on_batch(self, kind, x, y, sample_weight, class_weight, return_dict):
        with input_hints(self, x):
            kind = f"{kind} on batch"
            batch = _complete_batch(self, kind, x, y, sample_weight, class_weight)
            step = self._step(kind)
            check_batch_labels(self, step, batch)
            logs, _ = step.execute(single_batch_chunk(batch))
        logs = Logs(logs)
        return dict(logs) if return_dict else self._as_list(logs)

    @short_tracebacks
    def predict_on_batch(self, x: Any) -> Any:
        """Outputs for one batch of inputs, as NumPy arrays.

        A program is compiled for each number of samples up to 32, as by `predict`, and for the
        first eight larger ones; batches of any further size are predicted 32 samples at a time.

        Args:
            x: Inputs of the batch.
        """
        if (last := self._last_form) and last.fits(x, self._compiled_steps):
            return last(x)
        with input_hints(self, x):
            batch = _complete_batch(self, "predict", x)
            rows = rows_of(batch)
            if rows > _PREDICT_BATCH and not self.run_eagerly:
                sizes = self.__dict__.setdefault("_predict_sizes", set())
                if rows not in sizes and len(sizes) >= _OWN_SIZES:
                    return self.predict(x, batch_size=_PREDICT_BATCH, verbose=0)
                sizes.add(rows)
            return self._predict_at_once(batch, x)

    def _predict_at_once(self, batch, x):
        step = self._step("predict")
        _, outputs = step.execute(single_batch_chunk(batch))
        vars(self)["_last_form"] = last_form(step, x, batch, outputs)
        outputs = jax.tree.map(np.array, outputs)
        return reordered(outputs, self._step("predict").output_order)

    # -- compiled steps

    @property
    def _compiled_steps(self) -> dict[str, CompiledStep]:
        """The compiled steps by kind."""
        return self.__dict__.setdefault("_compiled_steps", {})

    def _step(self, kind: str) -> CompiledStep:
        """The compiled step of a kind: "train", "test", "predict", "train on batch", ..."""
        return current_step(self, kind)

    def _make_step(self, kind: str) -> CompiledStep:
        return make_step(self, kind)

    def make_train_function(self, force: bool = False) -> None:
        """Compile the training step anew, after a change that it does not see by itself.

        It sees by itself when layers are frozen or unfrozen, and it never needs to for values: a
        new learning rate or new weights are read at each step.

        Args:
            force: Whether to do it if the step is compiled already.
        """
        self._require_compiled("make_train_function")
        if force:
            self.__dict__["_host_programs"] = {}
            for kind in TRAINING_KINDS:
                if kind in self._compiled_steps:
                    self._compiled_steps[kind].forget()

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
        steps = self._compiled_steps
        return FitReport({kind: explain(step) for kind, step in steps.items()})


def _holds_objects(value):
    if isinstance(value, dict):
        return is_serialized(value) or any(map(_holds_objects, value.values()))
    return isinstance(value, list | tuple) and any(map(_holds_objects, value))


def _check_counts(who, **arguments):
    for name, value in arguments.items():
        is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if value is not None and not (is_integer and value > 0):
            raise bad_argument(who, name, "a positive integer or None", value)


def _check_epochs(epochs, initial_epoch, validation_freq):
    is_list = isinstance(validation_freq, Collection) and not isinstance(validation_freq, str)
    if not is_list and not (isinstance(validation_freq, int) and validation_freq > 0):
        wanted = "a positive number of epochs, or a list of epochs"
        raise bad_argument("fit", "validation_freq", wanted, validation_freq)
    for name, value in (("epochs", epochs), ("initial_epoch", initial_epoch)):
        if value is None and name == "epochs" and settings.max_epochs() is not None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 0:
            raise bad_argument("fit", name, "a number of epochs, an integer from 0", value)


@contextlib.contextmanager
def _open_validation(
    model, data, batch_size, steps, frequency
) -> Iterator[fit_loop.Validation | None]:
    """The validation data, ready to be evaluated on."""
    if data is None:
        yield None
        return
    with in_argument("fit", "validation_data"):
        if isinstance(data, Batches):
            batches = data
        elif isinstance(data, list | tuple) and len(data) in (1, 2, 3) and not callable(data[0]):
            batches = make_batches(
                *unpack_x_y_sample_weight(tuple(data)), batch_size=batch_size, steps=steps
            )
        else:
            size = batch_size if holds_arrays(data) else None  # streams make their own batches
            batches = make_batches(data, batch_size=size, steps=steps)
        batches = without_strings(model, "test", batches)
    steps = limited(steps, batches)
    with opened("fit", batches, needed=steps) as source:
        yield fit_loop.Validation(source, steps, frequency)


def _complete_batch(model, kind, x, y=None, sample_weight=None, class_weight=None):
    refuse_balanced(class_weight, "one batch")
    batches = make_batches(x, y, sample_weight, batch_size=2**31 - 1, class_weight=class_weight)
    return next(iter(without_strings(model, kind, batches).epoch(0)))
