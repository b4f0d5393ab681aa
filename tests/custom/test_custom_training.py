"""The training loop, opened in three ways, each with all that one may want to change in it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from sklearn.datasets import load_digits

import kerasish as keras
from kerasish import layers, ops

RNG = np.random.default_rng(0)
X = RNG.normal(size=(128, 6)).astype("float32")
Y = (np.sin(X[:, :1]) + 0.5 * X[:, 1:2]).astype("float32")
BATCH, EPOCHS = 32, 6
mse = keras.losses.MeanSquaredError()


def parts(constraint=None):
    return [
        keras.Input((6,)),
        layers.Dense(16, activation="tanh", kernel_constraint=constraint, name="lower"),
        layers.Dense(1, name="upper"),
    ]


def normalized(grads):
    """A transformation of the gradients that no argument of an optimizer gives."""
    return [g / (1e-8 + jnp.linalg.norm(g)) for g in grads]


def positive(w):
    return jnp.maximum(w, 0)


class OneOverT(keras.optimizers.schedules.LearningRateSchedule):
    def __init__(self, start, per=10.0):
        self.start, self.per = start, per

    def __call__(self, step):
        return self.start / (1 + ops.cast(step, "float32") / self.per)


class Recipe:
    """What is special about a training: one of the features of the table, in all three loops."""

    constraint = None

    def __init__(self):
        self.optimizer = keras.optimizers.SGD(0.05)

    def change(self, grads):
        return grads

    def update(self, grads, weights):
        self.optimizer.apply(self.change(grads), weights)

    def optax(self, paths):
        return optax.sgd(0.05)

    def pure_update(self, weights):
        return weights

    def check(self, model):
        """What must hold afterwards."""


class Transformed(Recipe):
    def change(self, grads):
        return normalized(grads)

    def optax(self, paths):
        unit = optax.stateless(
            lambda g, _: jax.tree.map(lambda x: x / (1e-8 + jnp.linalg.norm(x)), g)
        )
        return optax.chain(unit, optax.sgd(0.05))


class TwoRates(Recipe):
    def __init__(self):
        self.lower, self.upper = keras.optimizers.SGD(0.0), keras.optimizers.SGD(0.05)

    def update(self, grads, weights):
        self.lower.apply(grads[:2], weights[:2])
        self.upper.apply(grads[2:], weights[2:])

    def optax(self, paths):
        labels = {path: "lower" if "lower" in path else "upper" for path in paths}
        return optax.multi_transform({"lower": optax.sgd(0.0), "upper": optax.sgd(0.05)}, labels)

    def check(self, model):
        start = self.start
        np.testing.assert_array_equal(model.get_weights()[0], start[0])
        assert np.any(model.get_weights()[2] != start[2])


class Constrained(Recipe):
    constraint = staticmethod(positive)

    def pure_update(self, weights):
        return {
            path: positive(w) if path.endswith("lower/kernel") else w for path, w in weights.items()
        }

    def check(self, model):
        assert np.all(model.get_weights()[0] >= 0) and np.any(model.get_weights()[0] == 0)


class Scheduled(Recipe):
    def __init__(self):
        self.optimizer = keras.optimizers.SGD(OneOverT(0.1))

    def optax(self, paths):
        return optax.sgd(OneOverT(0.1))


class Accumulated(Recipe):
    def __init__(self):
        self.optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)

    def optax(self, paths):
        return optax.MultiSteps(optax.sgd(0.1), 2)


RECIPES = [Recipe, Transformed, TwoRates, Constrained, Scheduled, Accumulated]


class Own(keras.Sequential):
    """The first way: a step of one's own in `fit`."""

    recipe: Recipe

    def train_step(self, data):
        x, y = data

        def loss():
            return mse(y, self(x, training=True))

        value, grads = keras.value_and_grad(loss, self.trainable_variables)()
        self.recipe.update(grads, self.trainable_variables)
        return {"loss": value}


def in_fit(recipe):
    model = Own(parts(recipe.constraint))
    model.recipe = recipe
    recipe.start = model.get_weights()
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    return model


def in_a_loop(recipe):
    """The second way: one's own loop over compiled steps."""
    model = keras.Sequential(parts(recipe.constraint))
    recipe.start = model.get_weights()

    @keras.jit
    def step(x, y):
        weights = model.trainable_variables
        value, grads = keras.value_and_grad(lambda: mse(y, model(x, training=True)), weights)()
        recipe.update(grads, weights)
        return value

    for _ in range(EPOCHS):
        for i in range(0, len(X), BATCH):
            step(X[i : i + BATCH], Y[i : i + BATCH])
    assert step.traces == 1
    return model


def in_optax(recipe):
    """The third way: the pure function, jax and optax alone."""
    model = keras.Sequential(parts(recipe.constraint))
    recipe.start = model.get_weights()
    apply, values = keras.functionalize(model)
    tx = recipe.optax(values.trainable)

    @jax.jit
    def step(values, state, x, y):
        def loss(trainable):
            y_pred, new = apply((trainable, values.state), x, training=True)
            return jnp.mean((y - y_pred) ** 2), new

        grads, new = jax.grad(loss, has_aux=True)(values.trainable)
        updates, state = tx.update(grads, state, values.trainable)
        weights = recipe.pure_update(optax.apply_updates(values.trainable, updates))
        return new._replace(trainable=weights), state

    state = tx.init(values.trainable)
    for _ in range(EPOCHS):
        for i in range(0, len(X), BATCH):
            values, state = step(values, state, X[i : i + BATCH], Y[i : i + BATCH])
    apply.assign(values)
    return model


@pytest.mark.parametrize("make", RECIPES)
def test_three_ways_give_the_same_weights(make):
    trained = []
    for way in (in_fit, in_a_loop, in_optax):
        keras.utils.set_random_seed(7)
        keras.utils.clear_session(free_memory=False)
        recipe = make()
        model = way(recipe)
        recipe.check(model)
        trained.append(model.get_weights())
    for other in trained[1:]:
        for a, b in zip(trained[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-5)
    error = np.mean((model.predict(X, verbose=0) - Y) ** 2)
    assert error < np.mean(Y**2)


def test_a_step_of_ones_own_is_fused_as_the_built_in_one():
    model = Own(parts())
    model.recipe = Recipe()
    model.compile("sgd", "mse")
    model.fit(X, Y, batch_size=8, epochs=3, verbose=0)
    explained = model.explain_fit()["train"]
    assert explained["steps"] == "fused on the device"
    assert explained["why_traced"] == ["first call"]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_step_of_ones_own_in_mixed_precision(policy):
    keras.config.set_dtype_policy(policy)
    model = Own(parts())
    model.recipe = Recipe()
    model.compile("sgd", "mse")
    losses = model.fit(X, Y, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert {v.read().dtype.name for v in model.trainable_variables} == {"float32"}


def test_keras_stateless_form_of_a_step():
    class Stateless(keras.Sequential):
        def train_step(self, state, data):
            trained, others, optimizer, metrics = state
            x, y = data

            def loss(trained):
                y_pred, new = self.stateless_call(trained, others, x, training=True)
                return self.compute_loss(x, y, y_pred), new

            (value, others), grads = jax.value_and_grad(loss, has_aux=True)(trained)
            trained, optimizer = self.optimizer.stateless_apply(optimizer, grads, trained)
            return {"loss": value}, (trained, others, optimizer, metrics)

    model, twin = Stateless(parts()), keras.Sequential(parts())
    twin.set_weights(model.get_weights())
    for one in (model, twin):
        one.compile(keras.optimizers.Adam(0.01), "mse")
        one.fit(X, Y, epochs=2, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


class Averaged(keras.callbacks.Callback):
    """Keeps the mean of the weights over the epochs' ends."""

    def on_train_begin(self, logs=None):
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(self.model.get_weights())

    def on_train_end(self, logs=None):
        self.model.set_weights([np.mean(group, 0) for group in zip(*self.seen, strict=True)])


def test_weights_are_averaged_in_all_three():
    model = keras.Sequential(parts())
    model.compile("sgd", "mse")
    average = Averaged()
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[average])
    np.testing.assert_allclose(model.get_weights()[0], np.mean([w[0] for w in average.seen], 0))

    other = keras.Sequential(parts())
    optimizer = keras.optimizers.SGD(0.05)
    means = [keras.Variable(v.numpy(), trainable=False) for v in other.trainable_variables]

    @keras.jit
    def step(x, y):
        weights = other.trainable_variables
        optimizer.apply(keras.grad(lambda: mse(y, other(x)), weights)(), weights)
        for mean, weight in zip(means, weights, strict=True):
            mean.assign(0.9 * mean + 0.1 * weight)

    first = other.get_weights()
    step(X, Y)
    np.testing.assert_allclose(means[0], 0.9 * first[0] + 0.1 * other.get_weights()[0], rtol=1e-5)

    _, values = keras.functionalize(other)
    averaged = optax.incremental_update(values.trainable, dict.fromkeys(values.trainable, 0.0), 0.1)
    (path, *_) = averaged
    np.testing.assert_allclose(averaged[path], 0.1 * values.trainable[path], rtol=1e-6)


def test_a_loop_with_a_bar_metrics_and_validation(capsys):
    model = keras.Sequential([*parts(), layers.Dropout(0.1)])
    optimizer = keras.optimizers.Nadam(0.01)
    mean_loss = keras.metrics.Mean(name="loss")
    mae = keras.metrics.MeanAbsoluteError(name="mae")
    x, y, x_val, y_val = X[:96], Y[:96], X[96:], Y[96:]

    @keras.jit
    def train(x, y):
        def loss():
            y_pred = model(x, training=True)
            return jnp.mean(mse(y, y_pred)) + sum(model.losses), y_pred

        weights = model.trainable_variables
        (value, y_pred), grads = keras.value_and_grad(loss, weights, has_aux=True)()
        optimizer.apply(grads, weights)
        mean_loss.update_state(value)
        mae.update_state(y, y_pred)

    @keras.jit
    def validate(x, y):
        return mse(y, model(x, training=False))

    shown = []
    for _ in range(5):
        bar = keras.utils.Progbar(3, stateful_metrics=["loss", "mae"], verbose=2)
        for metric in (mean_loss, mae):
            metric.reset_state()
        for i in range(3):
            rows = RNG.choice(96, 32, replace=False)
            train(x[rows], y[rows])
            bar.update(i + 1, [("loss", mean_loss.result()), ("mae", mae.result())])
        shown.append(float(validate(x_val, y_val)))
    assert shown[-1] < shown[0]
    assert capsys.readouterr().out.count("mae: ") == 5
    assert (train.traces, validate.traces) == (1, 1)


class GAN(keras.Model):
    """Two networks, two optimizers, one step."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.generator = keras.Sequential([layers.Dense(16, activation="relu"), layers.Dense(2)])
        self.discriminator = keras.Sequential(
            [layers.Dense(16, activation="relu"), layers.Dense(1)]
        )
        self.seeds = keras.random.SeedGenerator(3)

    def compile(self, d_optimizer, g_optimizer, **kwargs):
        super().compile(**kwargs)
        self.d_optimizer, self.g_optimizer = d_optimizer, g_optimizer
        self.loss_fn = keras.losses.BinaryCrossentropy(from_logits=True)

    def call(self, noise):
        return self.generator(noise)

    def train_step(self, real):
        n = ops.shape(real)[0]

        def d_loss():
            fake = self.generator(keras.random.normal((n, 4), seed=self.seeds))
            both = jnp.concatenate([fake, real])
            labels = jnp.concatenate([jnp.zeros((n, 1)), jnp.ones((n, 1))])
            return self.loss_fn(labels, self.discriminator(both))

        def g_loss():
            fake = self.generator(keras.random.normal((n, 4), seed=self.seeds))
            return self.loss_fn(jnp.ones((n, 1)), self.discriminator(fake))

        if not self.discriminator.built:
            d_loss()
        d_weights = self.discriminator.trainable_variables
        d_value, d_grads = keras.value_and_grad(d_loss, d_weights)()
        self.d_optimizer.apply(d_grads, d_weights)
        g_weights = self.generator.trainable_variables
        g_value, g_grads = keras.value_and_grad(g_loss, g_weights)()
        self.g_optimizer.apply(g_grads, g_weights)
        return {"d_loss": d_value, "g_loss": g_value}


def train_gan_by_optax(gan, real):
    """The third way: two pure functions, two optax transformations."""
    gan.generator.build((None, 4))
    gan.discriminator.build((None, 2))
    generate, g_values = keras.functionalize(gan.generator)
    judge, d_values = keras.functionalize(gan.discriminator)
    tx = optax.adam(0.003)

    def loss(g, d, noise, real):
        fake = generate((g, g_values.state), noise)[0]
        logits = [judge((d, d_values.state), x)[0] for x in (fake, real)]
        bce = optax.sigmoid_binary_cross_entropy
        d_loss = bce(logits[0], 0.0).mean() + bce(logits[1], 1.0).mean()
        return d_loss, bce(logits[0], 1.0).mean()

    @jax.jit
    def step(g, d, g_state, d_state, noise, real):
        d_grads = jax.grad(lambda d: loss(g, d, noise, real)[0])(d)
        d_updates, d_state = tx.update(d_grads, d_state)
        d = optax.apply_updates(d, d_updates)
        g_grads = jax.grad(lambda g: loss(g, d, noise, real)[1])(g)
        g_updates, g_state = tx.update(g_grads, g_state)
        return optax.apply_updates(g, g_updates), d, g_state, d_state

    g, d = g_values.trainable, d_values.trainable
    states = tx.init(g), tx.init(d)
    for _ in range(40):
        for i in range(0, 256, 32):
            noise = RNG.normal(size=(32, 4)).astype("float32")
            g, d, *states = step(g, d, *states, noise, real[i : i + 32])
    generate.assign((g, g_values.state))


@pytest.mark.parametrize("how", ["fit", "loop", "optax"])
def test_a_gan_with_two_optimizers(how):
    real = (np.array([3.0, -2.0]) + 0.1 * RNG.normal(size=(256, 2))).astype("float32")
    keras.utils.set_random_seed(4)
    gan = GAN()
    gan.compile(keras.optimizers.Adam(0.003), keras.optimizers.Adam(0.003))
    if how == "fit":
        history = gan.fit(real, epochs=40, batch_size=32, verbose=0).history
        assert set(history) == {"d_loss", "g_loss"}
    elif how == "optax":
        train_gan_by_optax(gan, real)
    else:
        step = keras.jit(gan.train_step)
        for _ in range(40):
            for i in range(0, 256, 32):
                step(real[i : i + 32])
    made = np.asarray(gan(RNG.normal(size=(200, 4)).astype("float32")))
    assert np.linalg.norm(made.mean(0) - [3, -2]) < 2


def test_an_optax_optimizer_and_a_schedule_survive_as_they_can(tmp_path):
    model = keras.Sequential(parts())
    model.compile(keras.optimizers.Adam(OneOverT(0.01)), "mse")
    model.fit(X, Y, verbose=0)
    model.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras", custom_objects={"OneOverT": OneOverT})
    for one in (model, loaded):
        one.fit(X, Y, shuffle=False, verbose=0)
    np.testing.assert_allclose(loaded.get_weights()[0], model.get_weights()[0], rtol=1e-5)


def test_two_optimizers_by_hand_reach_what_fit_reaches_on_digits():
    digits = load_digits()
    x, y = (digits.images / 16).reshape(-1, 64).astype("float32"), digits.target
    train, test = slice(0, 1400), slice(1400, None)

    def make():
        keras.utils.set_random_seed(1)
        return keras.Sequential(
            [
                keras.Input((64,)),
                layers.Dense(64, activation="relu"),
                layers.Dense(10, activation="softmax"),
            ]
        )

    fitted, by_hand = make(), make()
    fitted.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    fitted.fit(x[train], y[train], epochs=15, verbose=0)
    wanted = fitted.evaluate(x[test], y[test], verbose=0)[1]

    lower, upper = keras.optimizers.Adam(5e-4), keras.optimizers.Adam(2e-3)
    crossentropy = keras.losses.SparseCategoricalCrossentropy()
    accuracy = keras.metrics.SparseCategoricalAccuracy()

    @keras.jit
    def step(x, y):
        weights = by_hand.trainable_variables
        grads = keras.grad(lambda: crossentropy(y, by_hand(x, training=True)), weights)()
        lower.apply(grads[:2], weights[:2])
        upper.apply(grads[2:], weights[2:])

    rng = np.random.default_rng(0)
    for _ in range(15):
        order = rng.permutation(1400)
        for i in range(0, 1400, 32):
            step(x[order[i : i + 32]], y[order[i : i + 32]])
    reached = float(accuracy(y[test], by_hand(x[test])))
    assert reached > wanted - 0.015 and wanted > 0.85


def test_a_step_sees_all_weights_of_a_model_built_in_part():
    class Halves(keras.Model):
        def __init__(self):
            super().__init__()
            self.lower = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
            self.upper = keras.layers.Dense(1)

        def call(self, x):
            return self.upper(self.lower(x))

        def train_step(self, x):
            def loss():
                return (self(x, training=True) ** 2).mean()

            value, grads = keras.value_and_grad(loss, self.trainable_variables)()
            self.optimizer.apply(grads, self.trainable_variables)
            return {"loss": value}

    model = Halves()
    model.compile("adam")
    model.fit(np.ones((8, 4), "float32"), verbose=0)
    assert len(model.trainable_variables) == 4
