"""What a student's outputs cost for differing from its teacher's."""

from typing import Any

import jax
import jax.numpy as jnp

from kerasish import losses
from kerasish.core.errors import bad_argument
from kerasish.core.serialization.configurable import Configurable
from kerasish.core.serialization.registry import publish
from kerasish.core.serialization.serialize import deserialize_keras_object, serialize_keras_object


def _is_none(x):
    return x is None


def flat(structure: Any) -> list:
    """The leaves of a pytree, `None` being one.

    Args:
        structure: The pytree.
    """
    return jax.tree.leaves(structure, is_leaf=_is_none)


def as_losses(structure: Any) -> Any:
    """Losses or their names in any pytree, as functions; `None` stays.

    Args:
        structure: The pytree.
    """
    return jax.tree.map(losses.get, structure, is_leaf=_is_none)


def _functions(owner, structure):
    found = as_losses(structure)
    if all(loss is None for loss in flat(found)):
        raise bad_argument(owner, "loss", "a loss for one output at least", structure)
    return found


def _sum_over(structure, function, *outputs):
    """The sum of `function(loss, outputs...)` over the losses that are not `None`."""
    pairs = zip(flat(structure), *map(flat, outputs), strict=True)
    terms = [function(loss, *rest) for loss, *rest in pairs if loss is not None]
    return jnp.sum(jnp.stack(terms))


class DistillationLoss(Configurable):
    """Base of what compares a teacher's outputs with a student's. Override `compute_loss`.

    Example:
        >>> class Gap(DistillationLoss):
        ...     def compute_loss(self, teacher_outputs, student_outputs, **kwargs):
        ...         return abs(teacher_outputs - student_outputs).mean()
        >>> Gap().compute_loss(np.array([1.0, 3.0]), np.array([1.0, 1.0])).item()
        1.0
    """

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        """The cost, one number.

        Args:
            teacher_outputs: The teacher's outputs, an array or a pytree of them.
            student_outputs: The student's, in the same pytree.
            **kwargs: For subclasses.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `compute_loss`: say what it is.")

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        """Raise an error if the two have different pytrees.

        Args:
            teacher_outputs: Outputs of the teacher.
            student_outputs: Outputs of the student.
        """
        first, second = map(jax.tree.structure, (teacher_outputs, student_outputs))
        if first != second:
            wanted = f"in the pytree that the teacher's have, {first}"
            raise bad_argument(type(self), "student_outputs", wanted, second)

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        """Raise an error if two models cannot be compared in this way.

        Args:
            teacher: The teacher.
            student: The student.
        """


class LogitsDistillation(DistillationLoss):
    """Compares the probabilities of classes, softened by a temperature.

    Args:
        temperature: Positive number that logits are divided by; the higher, the more the classes
            count that the teacher finds less likely.
        loss: Loss, its name, or a pytree of them as the outputs have, `None` for outputs that are
            left out. The Kullback-Leibler divergence compares softmax probabilities and is
            multiplied by `temperature**2`; other losses compare logits.

    References:
        Hinton, Vinyals and Dean, 2015, "Distilling the Knowledge in a Neural Network".

    Example:
        >>> logits = np.array([[1.0, 2.0, 3.0]])
        >>> float(LogitsDistillation().compute_loss(logits, logits))
        0.0
    """

    def __init__(self, temperature: float = 3.0, loss: Any = "kl_divergence"):
        if not isinstance(temperature, int | float) or temperature <= 0:
            raise bad_argument(type(self), "temperature", "a positive number", temperature)
        self.temperature = temperature
        self.loss = _functions(type(self), loss)

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        return _sum_over(self.loss, self._compare, teacher_outputs, student_outputs)

    def _compare(self, loss, teacher, student):
        teacher, student = (jnp.asarray(x) / self.temperature for x in (teacher, student))
        if not isinstance(loss, losses.KLDivergence) and loss is not losses.kl_divergence:
            return jnp.mean(loss(teacher, student))
        shares = (jnp.exp(x - _log_sum(x)) for x in (teacher, student))
        return jnp.mean(loss(*shares)) * self.temperature**2

    def get_config(self) -> dict:
        return {"temperature": self.temperature, "loss": serialize_keras_object(self.loss)}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        return cls(**{**config, "loss": _loss_from(config["loss"])})


def _log_sum(x):
    top = jnp.max(x, axis=-1, keepdims=True)
    return top + jnp.log(jnp.sum(jnp.exp(x - top), axis=-1, keepdims=True))


def _loss_from(data):
    return data if isinstance(data, str) else deserialize_keras_object(data)


class FeatureDistillation(DistillationLoss):
    """Compares what two layers, or the models, give.

    Args:
        loss: Loss, its name, or a pytree of them as the outputs have, `None` for outputs that are
            left out.
        teacher_layer_name: Name of the teacher's layer; `None`: its outputs.
        student_layer_name: Name of the student's layer; `None`: its outputs.

    Example:
        >>> float(FeatureDistillation("mse").compute_loss(np.ones((2, 3)), np.zeros((2, 3))))
        1.0
    """

    def __init__(
        self,
        loss: Any = "mse",
        teacher_layer_name: str | None = None,
        student_layer_name: str | None = None,
    ):
        self.loss = _functions(type(self), loss)
        self.teacher_layer_name = teacher_layer_name
        self.student_layer_name = student_layer_name

    def validate_model_compatibility(self, teacher: Any, student: Any) -> None:
        named = {"teacher": (teacher, self.teacher_layer_name)}
        named["student"] = (student, self.student_layer_name)
        for role, (model, name) in named.items():
            if name is None:
                continue
            if getattr(model, "inputs", None) is None:
                hint = "A subclassed model has no layers between symbolic inputs and outputs."
                raise bad_argument(
                    type(self), role, "a functional or Sequential model", model, hint
                )
            try:
                model.get_layer(name)
            except ValueError as error:
                raise ValueError(f"{type(self).__name__}, {role}: {error}") from None

    def validate_outputs(self, teacher_outputs: Any, student_outputs: Any) -> None:
        super().validate_outputs(teacher_outputs, student_outputs)
        if len(flat(self.loss)) != len(flat(teacher_outputs)):
            wanted = "one loss for each output"
            raise bad_argument(type(self), "loss", wanted, flat(self.loss))

    def compute_loss(self, teacher_outputs: Any, student_outputs: Any, **kwargs: Any) -> Any:
        def compare(loss, teacher, student):
            return jnp.mean(loss(teacher, student))

        return _sum_over(self.loss, compare, teacher_outputs, student_outputs)

    def get_config(self) -> dict:
        names = ("teacher_layer_name", "student_layer_name")
        loss = serialize_keras_object(self.loss)
        return {"loss": loss, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config: dict) -> Any:
        return cls(**{**config, "loss": _loss_from(config["loss"])})


_PUBLIC = (DistillationLoss, FeatureDistillation, LogitsDistillation)
publish("keras.distillation", {cls.__name__: cls for cls in _PUBLIC})
