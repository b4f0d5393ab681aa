"""1cycle, rates by batch, the rate finder; and that no change of a rate compiles anything."""

import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import callbacks, layers, optimizers
from kerasish.optimizers import schedules

RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 6)).astype("float32")
Y = (X[:, 0] > 0).astype("int32") + (X[:, 1] > 0)
BATCHES = 8  # of 16 rows, in an epoch


def make_model(optimizer=None, **options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(8, "relu"),
            layers.Dropout(0.2),
            layers.Dense(3, "softmax"),
        ]
    )
    optimizer = optimizer or optimizers.SGD(0.05, momentum=0.9)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return model


def fit(model, epochs=1, **options):
    return model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, **options)


def traces(model):
    return model.explain_fit()["train"]["traces"]


def torch_cycle(total, **options):
    """Rates and momenta of PyTorch's 1cycle."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps=total, **options)
    rows = []
    for _ in range(total):
        rows.append([optimizer.param_groups[0][name] for name in ("lr", "momentum")])
        optimizer.step()
        cycle.step() if len(rows) < total else None
    return np.array(rows).T


OPTIONS = {
    "defaults": ({}, {}),
    "long rise": ({"warmup_fraction": 0.5}, {"pct_start": 0.5}),
    "divisors": (
        {"start_divisor": 10.0, "end_divisor": 100.0},
        {"div_factor": 10.0, "final_div_factor": 100.0},
    ),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_one_cycle_is_pytorchs(name):
    ours, theirs = OPTIONS[name]
    schedule = schedules.OneCycle(0.5, 40, **ours)
    rates = [float(schedule(step)) for step in range(40)]
    np.testing.assert_allclose(rates, torch_cycle(40, **theirs)[0], rtol=2e-5, atol=1e-7)
    data = schedules.serialize(schedule)
    assert schedules.deserialize(data).get_config() == schedule.get_config()


def test_one_cycle_stays_at_its_end():
    schedule = schedules.OneCycle(1.0, 10)
    assert float(schedule(9)) == float(schedule(1000)) == pytest.approx(1 / 25 / 1e4)


def test_power_decay_is_its_definition():
    schedule = schedules.PowerDecay(0.1, 20, power=1.5)
    steps = np.arange(50)
    np.testing.assert_allclose(schedule(steps), 0.1 / (1 + steps / 20) ** 1.5, rtol=1e-6)


BAD = [
    (lambda: schedules.OneCycle(0.1, 1), r"OneCycle: `total_steps` must be at least 2; got 1"),
    (
        lambda: schedules.OneCycle(0.1, 9, 1.0),
        r"`warmup_fraction` must be strictly between 0 and 1",
    ),
    (lambda: schedules.PowerDecay(0.1, 0), r"`decay_steps` must be above 0; got 0"),
    (lambda: callbacks.OneCycle(0.1, momentum=(0.9, 0.5)), r"`momentum` must be two numbers from"),
    (lambda: callbacks.BatchLearningRateScheduler(0.1), r"`schedule` must be a function of the"),
    (
        lambda: fit(make_model(optimizers.SGD(0.1)), callbacks=callbacks.OneCycle(0.1)),
        r"one with `momentum` or `beta_1`; got 'SGD'. Make the optimizer with a momentum",
    ),
    (
        lambda: fit(
            make_model(optimizers.SGD(schedules.PowerDecay(0.1, 9), 0.9)),
            callbacks=callbacks.OneCycle(1),
        ),
        r"`vary` must be given arguments that are numbers; got 'learning_rate'",
    ),
    (lambda: make_model().find_learning_rate(X, Y, start=0.0), r"positive and rising; got \(0.0"),
    (lambda: make_model().find_learning_rate(X, Y, steps=5), r"an integer of at least 10; got 5"),
    (lambda: make_model().find_learning_rate(X * np.nan, Y), r"the loss is not a number from the"),
]


@pytest.mark.parametrize("make, message", BAD)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


class Watch(callbacks.Callback):
    """Notes the rate after each batch; batches then run one by one."""

    def __init__(self):
        self.rates = []

    def on_train_batch_end(self, batch, logs=None):
        self.rates.append(float(self.model.optimizer.learning_rate))


def test_one_cycle_moves_rate_and_momentum_of_each_batch():
    watch, model = Watch(), make_model()
    fit(model, 5, callbacks=[callbacks.OneCycle(0.5), watch])
    rates, momenta = torch_cycle(5 * BATCHES)
    np.testing.assert_allclose(watch.rates, rates, rtol=2e-5, atol=1e-7)

    by_hand = make_model(optimizers.SGD(0.05, momentum=0.9))
    weights, before = by_hand.trainable_variables, np.float32(0)
    by_hand.optimizer.vary(momentum=lambda step: jnp.asarray(momenta, "float32")[step])
    by_hand.optimizer.learning_rate = lambda step: jnp.asarray(rates, "float32")[step]
    fit(by_hand, 5)
    for a, b in zip(weights, model.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert model.optimizer.momentum == 0.9 and before == 0


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_one_cycle_runs_fused_and_changes_no_bit_by_it(optimizer):
    def run(**options):
        made = optimizers.RMSprop(0.01, momentum=0.9) if optimizer == "rmsprop" else optimizer
        model = make_model(made, **options)
        fit(model, 3, callbacks=callbacks.OneCycle(0.05))
        return model.get_weights()

    for a, b in zip(run(steps_per_execution=1), run(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_change_of_a_rate_compiles_anything():
    model = make_model()
    fit(model, 2)
    first = traces(model)
    model.optimizer.learning_rate = 0.01
    fit(model)
    fit(model, 2, callbacks=callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2))
    fit(model, 3, callbacks=callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=9.0))
    assert traces(model) == first
    cycle = callbacks.OneCycle(0.1)
    fit(model, 2, callbacks=cycle)
    once = traces(model)
    cycle.max_learning_rate = 0.2
    fit(model, 3, callbacks=cycle)
    fit(model)
    model.find_learning_rate(X, Y, steps=10)
    fit(model)
    assert traces(model) == once > first


def test_after_a_cycle_the_optimizer_is_the_users_again():
    model = make_model()
    fit(model, 2, callbacks=callbacks.OneCycle(0.1))
    model.optimizer.learning_rate = 0.07
    history = fit(model, 2)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.07)
    assert "learning_rate" not in history.history


def test_schedule_by_batch():
    model = make_model()
    fit(model)  # steps made before do not count
    watch = Watch()
    schedule = callbacks.BatchLearningRateScheduler(schedules.ExponentialDecay(0.1, 8, 0.5))
    history = fit(model, 2, callbacks=[schedule, watch])
    np.testing.assert_allclose(watch.rates, 0.1 * 0.5 ** (np.arange(16) / 8), rtol=1e-5)
    assert history.history["learning_rate"] == pytest.approx([watch.rates[7], watch.rates[15]])
    growing = callbacks.BatchLearningRateScheduler(lambda batch, rate: rate * 1.1)
    model.optimizer.learning_rate = 0.01
    fit(model, callbacks=growing)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.01 * 1.1**8, rel=1e-5)


def test_a_cycle_under_loss_scaling():
    def trained(wrap):
        model = make_model(wrap(optimizers.SGD(0.05, momentum=0.9)))
        fit(model, 2, callbacks=callbacks.OneCycle(0.5))
        return model.get_weights()

    for a, b in zip(trained(optimizers.LossScaleOptimizer), trained(lambda o: o), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_cycle_for_several_optimizers():
    both = optimizers.OptimizerMap(optimizers.Adam(), {".*bias": optimizers.SGD(0.1, momentum=0.9)})
    model = make_model(optimizers.MultiOptimizer(both))
    history = fit(model, 2, callbacks=callbacks.OneCycle(0.1, momentum=None)).history
    assert history["learning_rate_adam"] == history["learning_rate_sgd"]


def state_of(model):
    random = keras.random.uniform((3,))
    variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return [np.array(v.read()) for v in variables], np.random.random(), np.asarray(random)


OPTIMIZERS = {
    "sgd": lambda: optimizers.SGD(0.05, momentum=0.9),
    "nadam": lambda: optimizers.Nadam(),
    "schedule": lambda: optimizers.Adam(schedules.CosineDecay(0.1, 100)),
    "scaled": lambda: optimizers.LossScaleOptimizer(optimizers.Adam()),
    "several": lambda: optimizers.MultiOptimizer(
        optimizers.OptimizerMap(optimizers.Adam(), {".*bias": optimizers.SGD()})
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_finder_restores_every_bit(name):
    def run(searching):
        model = make_model(OPTIMIZERS[name]())
        fit(model)
        if searching:
            curve = model.find_learning_rate(X, Y, batch_size=16, start=1e-4, steps=20)
            assert len(curve.rates) == len(curve.losses) >= 3
        before = state_of(model)
        fit(model)
        return before, state_of(model), len(model.optimizer.variables)

    (a, a_later, count), (b, b_later, same) = run(False), run(True)
    assert count == same
    for one, other in zip([*a[0], *a[1:], *a_later[0]], [*b[0], *b[1:], *b_later[0]], strict=True):
        np.testing.assert_array_equal(one, other)


def test_finder_finds_a_rate_that_trains(tmp_path):
    model = make_model(optimizers.SGD(1e-4))
    curve = model.find_learning_rate(X, Y, batch_size=16)
    assert curve.rates[0] == pytest.approx(1e-6)
    assert np.diff(np.log(curve.rates)) == pytest.approx(np.log(1e7) / 99)
    model.optimizer.learning_rate = curve.suggestion
    losses = fit(model, 10).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    curve.plot(tmp_path / "curve.png")
    assert (tmp_path / "curve.png").stat().st_size > 5000
    assert curve._repr_png_()[:4] == b"\x89PNG"
    assert f"try {curve.suggestion:.3g}" in repr(curve)


def test_finder_stops_when_training_fails():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(8), layers.Dense(3)])
    model.compile(optimizers.SGD(), "mse")
    curve = model.find_learning_rate(X, X[:, :3], start=1e-3, end=1e6)
    assert len(curve.rates) < 100 and curve.rates[-1] < 1e6
    assert np.isfinite(curve.losses).all()


def test_finder_takes_a_model_that_is_not_built():
    model = keras.Sequential([layers.Dense(4, "relu"), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    assert len(model.find_learning_rate(X, Y, steps=12).rates) > 2
    assert model.optimizer.iterations == 0 or int(model.optimizer.iterations) == 0
