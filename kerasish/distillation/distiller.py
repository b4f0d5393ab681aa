"""`Distiller`: trains a student model on targets and on what a teacher model says."""

from typing import Any

import jax.numpy as jnp

from kerasish import metrics
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.registry import publish
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object
from kerasish.distillation.losses import as_losses, flat
from kerasish.losses import Loss
from kerasish.models import Model

_FINAL = "final_output"


class Distiller(Model):
    """Trains a student on `w * loss(targets) + (1 - w) * sum(weight * distillation loss)`.

    The teacher is frozen. Calling the distiller, and predicting with it, is the student's.

    Args:
        teacher: Trained model.
        student: Model to train, with inputs and outputs of the same shapes.
        distillation_losses: A distillation loss, or a list of them.
        distillation_loss_weights: Number for each of them; `None`: 1.
        student_loss_weight: `w`, from 0 to 1.
        name: Name.

    References:
        Hinton, Vinyals and Dean, 2015, "Distilling the Knowledge in a Neural Network".

    Example:
        >>> teacher, student = (
        ...     keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]) for _ in range(2)
        ... )
        >>> loss = keras.distillation.LogitsDistillation()
        >>> distiller = keras.distillation.Distiller(teacher, student, loss)
        >>> distiller.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> sorted(distiller.fit(np.ones((8, 4)), np.ones(8), verbose=0).history)
        ['distillation_loss', 'loss', 'student_loss', 'total_loss']
    """

    def __init__(
        self,
        teacher: Any,
        student: Any,
        distillation_losses: Any,
        distillation_loss_weights: Any = None,
        student_loss_weight: float = 0.5,
        name: str = "distiller",
        **kwargs: Any,
    ):
        super().__init__(name=name, **kwargs)
        for role, model in (("teacher", teacher), ("student", student)):
            if not isinstance(model, Model):
                raise bad_argument(self, role, "a model", model)
        if not isinstance(student_loss_weight, int | float) or not 0 <= student_loss_weight <= 1:
            wanted = "a number from 0 to 1"
            raise bad_argument(self, "student_loss_weight", wanted, student_loss_weight)
        if distillation_losses is None:
            wanted = "a distillation loss, or a list of them"
            raise bad_argument(self, "distillation_losses", wanted, None)
        _check_alike(self, teacher, student)
        if not isinstance(distillation_losses, list | tuple):
            distillation_losses, distillation_loss_weights = [distillation_losses], None
        weights = distillation_loss_weights
        weights = [1.0] * len(distillation_losses) if weights is None else list(weights)
        if len(weights) != len(distillation_losses):
            wanted = f"{len(distillation_losses)} numbers, one for each loss"
            raise bad_argument(self, "distillation_loss_weights", wanted, weights)
        for loss in distillation_losses:
            loss.validate_model_compatibility(teacher, student)
        self.teacher = teacher
        self.student = student
        self.distillation_losses = list(distillation_losses)
        self.distillation_loss_weights = weights
        self.student_loss_weight = student_loss_weight
        self.teacher.trainable = False
        self._teacher_features = _features(teacher, self._names("teacher_layer_name"))
        self._student_features = _features(student, self._names("student_layer_name"))
        self.student_loss_tracker = metrics.Mean(name="student_loss")
        self.distillation_loss_tracker = metrics.Mean(name="distillation_loss")
        self.total_loss_tracker = metrics.Mean(name="total_loss")

    def _names(self, which):
        names = [getattr(loss, which, None) for loss in self.distillation_losses]
        return list(dict.fromkeys(name for name in names if name is not None))

    def compile(
        self, optimizer: Any = "adam", loss: Any = None, metrics: Any = None, **kwargs: Any
    ) -> None:
        """Say how the student is trained.

        Args:
            optimizer: Optimizer of the student's weights, or its name.
            loss: Loss of the targets, its name, or a pytree of them as the outputs have.
            metrics: List of metrics of the targets.
            **kwargs: More arguments of `Model.compile`.
        """
        if loss is None:
            raise bad_argument(self, "loss", "a loss of the targets", loss)
        if metrics is not None and not isinstance(metrics, list | tuple):
            raise bad_argument(self, "metrics", "a list", metrics)
        self._student_loss = as_losses(loss)
        super().compile(optimizer=optimizer, loss=None, metrics=metrics, **kwargs)
        self._compile_arguments["loss"] = loss

    def call(self, inputs: Any, training: bool | None = None, **kwargs: Any) -> Any:
        return self.student(inputs, training=training, **kwargs)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool | None = True,
    ) -> Any:
        """The weighted sum of the student's loss and the distillation losses.

        Args:
            x: Inputs.
            y: Targets; `None`: the distillation losses only.
            y_pred: The student's outputs; `None`: they are computed.
            sample_weight: Weights of the samples in the student's loss.
            training: Whether the student acts as in training.
        """
        y_pred = self(x, training=training) if y_pred is None else y_pred
        of_targets = of_teacher = jnp.zeros(())
        if self.student_loss_weight > 0 and y is not None:
            of_targets = self._loss_of_targets(y, y_pred, sample_weight)
        if self.student_loss_weight < 1:
            of_teacher = self._loss_of_teacher(x, y_pred, training)
        share = self.student_loss_weight
        total = share * of_targets + (1 - share) * of_teacher
        self.student_loss_tracker.update_state(of_targets)
        self.distillation_loss_tracker.update_state(of_teacher)
        self.total_loss_tracker.update_state(total)
        return total

    def _loss_of_targets(self, y, y_pred, sample_weight):
        leaves = map(flat, (self._student_loss, y, y_pred))

        def one(loss, y, y_pred):
            if isinstance(loss, Loss):
                return jnp.mean(loss(y, y_pred, sample_weight=sample_weight))
            values = loss(y, y_pred)
            return jnp.mean(values if sample_weight is None else values * sample_weight)

        terms = [one(loss, *pair) for loss, *pair in zip(*leaves, strict=True) if loss is not None]
        return sum(terms[1:], terms[0])

    def _loss_of_teacher(self, x, y_pred, training):
        taught = _see(self.teacher, self._teacher_features, x, False)
        learnt = {_FINAL: y_pred}
        if self._student_features is not None:
            learnt = self._student_features(x, training=training)
        total = jnp.zeros(())
        for loss, weight in zip(
            self.distillation_losses, self.distillation_loss_weights, strict=True
        ):
            names = (getattr(loss, f"{role}_layer_name", None) for role in ("teacher", "student"))
            outputs = [
                seen[name or _FINAL] for seen, name in zip((taught, learnt), names, strict=True)
            ]
            loss.validate_outputs(*outputs)
            value = jnp.asarray(loss.compute_loss(*outputs))
            if value.ndim:
                wanted = "one number from `compute_loss`"
                raise bad_argument(type(loss), "the loss", wanted, f"shape {value.shape}")
            total = total + weight * value
        return total

    def get_config(self) -> dict:
        """The arguments, as plain data."""
        return {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize_keras_object(self.dtype_policy),
            "teacher": serialize_keras_object(self.teacher),
            "student": serialize_keras_object(self.student),
            "distillation_losses": serialize_keras_object(self.distillation_losses),
            "distillation_loss_weights": self.distillation_loss_weights,
            "student_loss_weight": self.student_loss_weight,
        }

    @classmethod
    def from_config(cls, config: dict) -> Any:
        """The distiller that a config describes.

        Args:
            config: What `get_config` gave.
        """
        made = {key: deserialize_keras_object(config[key]) for key in _OBJECTS if key in config}
        losses = [deserialize_keras_object(loss) for loss in config["distillation_losses"]]
        return cls(**{**config, **made, "distillation_losses": losses})


_OBJECTS = ("teacher", "student", "dtype")
publish("keras.distillation", {"Distiller": Distiller})


def _see(model, features, x, training):
    if features is not None:
        return features(x, training=training)
    return {_FINAL: model(x, training=training)}


def _features(model, names):
    """A model of the same layers that gives what the named ones do, and its own outputs."""
    if not names:
        return None
    outputs = {_FINAL: model.output}
    outputs |= {name: model.get_layer(name).output for name in names}
    return Model(model.inputs, outputs, name=f"{model.name}_features")


def _check_alike(owner, teacher, student):
    """Raise an error if two models with symbolic inputs differ in shapes or dtypes."""
    for what in ("inputs", "outputs"):
        first, second = (getattr(model, what, None) for model in (teacher, student))
        if first is None or second is None:
            continue
        pairs = list(zip(flat(first), flat(second), strict=False))
        alike = len(flat(first)) == len(flat(second)) and all(
            a.dtype == b.dtype and _fit(a.shape, b.shape) for a, b in pairs
        )
        if not alike:
            wanted = f"like the teacher's {[(t.shape, t.dtype) for t in flat(first)]}"
            came = [(t.shape, t.dtype) for t in flat(second)]
            raise bad_argument(owner, f"student.{what}", wanted, came)


def _fit(first, second):
    if len(first) != len(second):
        return False
    return all(None in (a, b) or a == b for a, b in zip(first, second, strict=True))
