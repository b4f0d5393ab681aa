"""A student taught by a teacher: as in Keras 3, by definition, and through files."""

import numpy as np
import pytest

import kerasish
from kerasish import distillation
from tests.support.keras_oracle import both

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 4)).astype("float32")
Y = np.arange(16) % 3


def model(k, width, seed):
    layers = [
        k.layers.Dense(width, activation="relu", name="hidden"),
        k.layers.Dense(3, name="out"),
    ]
    made = k.Sequential([k.Input((4,)), *layers])
    rng = np.random.default_rng(seed)
    made.set_weights([rng.normal(size=w.shape) for w in made.get_weights()])
    return made


def distiller(k, losses=None, **options):
    parts = k.distillation
    if losses is None:
        losses = [
            parts.LogitsDistillation(2.0, k.losses.KLDivergence()),
            parts.FeatureDistillation("mae", "hidden", "hidden"),
            parts.LogitsDistillation(loss="mse"),
        ]
    made = parts.Distiller(model(k, 5, 1), model(k, 5, 2), losses, **options)
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile("sgd", loss=loss, metrics=["accuracy"])
    return made


def test_training_is_keras():
    def program(k):
        made = distiller(k, distillation_loss_weights=[1.0, 0.5, 0.1], student_loss_weight=0.3)
        taught = made.teacher.get_weights()
        history = made.fit(X, Y, epochs=2, batch_size=8, shuffle=False, verbose=0).history
        for before, after in zip(taught, made.teacher.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
        history = {name: np.array(values) for name, values in history.items()}
        return history, np.array(made.evaluate(X, Y, verbose=0)), made.predict(X, verbose=0)

    both(program)


def test_softened_probabilities_are_compared():
    """By name too, where Keras 3.15 compares raw logits in spite of its documentation."""
    teacher, student = RNG.normal(size=(2, 8, 3))

    def soft(x):
        e = np.exp(x / 3.0)
        return e / e.sum(-1, keepdims=True)

    p, q = soft(teacher), soft(student)
    wanted = 9.0 * np.mean(np.sum(p * np.log(p / q), -1))
    found = distillation.LogitsDistillation().compute_loss(teacher, student)
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


def test_some_outputs_may_be_left_out():
    loss = distillation.LogitsDistillation(1.0, ["mse", None])
    teacher, student = [np.ones((2, 3)), np.ones((2, 2))], [np.zeros((2, 3)), np.zeros((2, 2))]
    assert float(loss.compute_loss(teacher, student)) == 1.0


def test_weights_of_samples_count():
    made = distiller(kerasish, student_loss_weight=1.0)
    weights = (Y == 0).astype("float32")
    whole = made.evaluate(X, Y, sample_weight=weights, verbose=0, return_dict=True)
    part = made.evaluate(X[Y == 0], Y[Y == 0], verbose=0, return_dict=True)
    np.testing.assert_allclose(whole["loss"] * 16, part["loss"] * 6, rtol=1e-5)


def test_files_bring_it_back(tmp_path):
    losses = distillation.LogitsDistillation(2.0)
    made = distiller(kerasish, losses, student_loss_weight=0.3)
    made.fit(X, Y, verbose=0)
    made.save(tmp_path / "taught.keras")
    again = kerasish.saving.load_model(tmp_path / "taught.keras")
    assert again.evaluate(X, Y, verbose=0) == pytest.approx(made.evaluate(X, Y, verbose=0))
    again.fit(X, Y, verbose=0)


SMALL = kerasish.Sequential([kerasish.Input((4,)), kerasish.layers.Dense(2)])
ERRORS = {
    r"`temperature` must be a positive number": lambda: distillation.LogitsDistillation(0),
    r"`loss` must be a loss for one output": lambda: distillation.FeatureDistillation([None, None]),
    r"FeatureDistillation, teacher: .*nowhere": lambda: distiller(
        kerasish, distillation.FeatureDistillation("mse", "nowhere", "hidden")
    ),
    r"`student.outputs` must be like the teacher's": lambda: distillation.Distiller(
        model(kerasish, 3, 0), SMALL, distillation.LogitsDistillation()
    ),
    r"`student_loss_weight` must be a number": lambda: distiller(kerasish, student_loss_weight=2),
    r"`distillation_loss_weights` must be 3": lambda: distiller(
        kerasish, distillation_loss_weights=[1.0]
    ),
    r"`teacher` must be a model": lambda: distillation.Distiller(
        "x", SMALL, distillation.LogitsDistillation()
    ),
    r"`loss` must be a loss of the targets": lambda: distiller(kerasish).compile("sgd"),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()
