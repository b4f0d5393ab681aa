"""Computing in 16 bits: dtypes, gradients, and how the loss scale moves, as in Keras."""

import keras as oracle
import numpy as np
import pytest

import kerasish as keras
from kerasish.core import dtypes

POLICIES = ("mixed_bfloat16", "mixed_float16")
X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
Y = (X @ np.array([[1.0], [-2.0], [0.5], [1.0]])).astype("float32")


def both(policy):
    """The same network in both libraries, with the same weights."""
    models = []
    for k in (keras, oracle):
        dtype = k.DTypePolicy(policy)
        stack = [k.Input((4,)), k.layers.Dense(8, "relu", dtype=dtype)]
        stack += [k.layers.BatchNormalization(dtype=dtype), k.layers.Dense(1, dtype=dtype)]
        models.append(k.Sequential(stack))
        models[-1].dtype_policy = dtype
    mine, theirs = models
    mine.set_weights(theirs.get_weights())
    return mine, theirs


@pytest.mark.parametrize("policy", POLICIES)
def test_dtypes_and_outputs(policy):
    mine, theirs = both(policy)
    assert [v.dtype for v in mine.variables] == [v.dtype for v in theirs.variables]
    a, b = mine(X), theirs(X)
    assert a.dtype.name == b.dtype.name == policy.removeprefix("mixed_")
    np.testing.assert_allclose(
        np.asarray(a, "float32"), np.asarray(b, "float32"), rtol=2e-2, atol=2e-2
    )


@pytest.mark.parametrize("policy", POLICIES)
def test_gradients(policy):
    import jax

    mine, theirs = both(policy)

    def of_mine():
        return keras.losses.mean_squared_error(Y, mine(X, training=True)).mean().astype("float32")

    def of_theirs(values, others):
        outputs, _ = theirs.stateless_call(values, others, X, training=True)
        return oracle.losses.mean_squared_error(Y, outputs).mean().astype("float32")

    grads = keras.grad(of_mine, mine.trainable_variables)()
    values = [
        [v.value for v in g] for g in (theirs.trainable_variables, theirs.non_trainable_variables)
    ]
    wanted = jax.grad(of_theirs)(*values)
    for grad, other in zip(grads, wanted, strict=True):
        assert grad.dtype == other.dtype == "float32"
        np.testing.assert_allclose(grad, other, rtol=0.05, atol=0.03)


@pytest.mark.parametrize("policy", POLICIES)
def test_fit_learns_and_keeps_weights_wide(policy):
    dtypes.set_dtype_policy(policy)
    model = keras.Sequential([keras.layers.Dense(16, "relu"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.03), "mse")
    loss = model.fit(X, Y, epochs=20, verbose=0).history["loss"]
    assert loss[-1] < loss[0] / 4
    assert {v.dtype for v in model.trainable_variables} == {"float32"}
    scaled = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    assert model.explain_fit()["train"]["traces"] <= 2


def scales(k, wrap=lambda step: step):
    """The loss scale after each step, of which the third overflows."""
    dtypes.set_dtype_policy("mixed_float16")
    oracle.config.set_dtype_policy("mixed_float16")
    model = k.Sequential([k.Input((4,)), k.layers.Dense(1, kernel_initializer="ones")])
    optimizer = k.optimizers.LossScaleOptimizer(k.optimizers.SGD(1e-3), 2.0**12, 3)
    model.compile(optimizer, "mse")
    seen = []
    for i in range(9):
        x = X * (1e5 if i == 2 else 1.0)  # more than float16 can hold
        with np.errstate(over="ignore"):
            model.train_on_batch(x, Y)
        seen.append((float(optimizer.dynamic_scale.value), int(optimizer.iterations.value)))
    return seen, np.asarray(model.layers[0].kernel.value), model


def test_scale_follows_overflows_as_in_keras():
    mine, kernel, model = scales(keras)
    theirs, other, _ = scales(oracle)
    assert mine == theirs
    assert [scale / 2**12 for scale, _ in mine] == [1, 1, 0.5, 0.5, 0.5, 1, 1, 1, 2]
    np.testing.assert_allclose(kernel, other, rtol=1e-3)
    (seen,) = model.explain_fit().values()
    assert seen["traces"] == 1, "a new scale compiles nothing"


def test_scale_in_custom_steps_and_compiled_loops():
    dtypes.set_dtype_policy("mixed_float16")

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(1, kernel_initializer="ones")

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            x, y = data

            def loss():
                return self.optimizer.scale_loss(self.compute_loss(x, y, self(x, training=True)))

            self.optimizer.apply(
                keras.grad(loss, self.trainable_variables)(), self.trainable_variables
            )
            return {"scale": self.optimizer.dynamic_scale.value}

    models = []
    for custom in (True, False):
        model = Own()
        model.build((None, 4))
        model.compile(
            keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(1e-3), 2.0**12, 3), "mse"
        )
        x = np.stack([X, X * 1e5, X, X, X, X])
        if custom:
            batches = [(one, Y) for one in x]
            model.fit(iter(batches), verbose=0)
            assert model.explain_fit()["train"]["traces"] <= 2
        else:
            step = keras.jit(model.train_step)
            for one in x:
                step((one, Y))
            assert step.traces == 1
        models.append(model)
    one, other = models
    assert float(one.optimizer.dynamic_scale) == float(other.optimizer.dynamic_scale) == 2.0**12
    np.testing.assert_allclose(one.dense.kernel.numpy(), other.dense.kernel.numpy(), rtol=1e-5)


# -- policies by path


def test_policy_map_is_as_in_keras():
    made = []
    for k in (keras, oracle):
        table = k.dtype_policies.DTypePolicyMap(
            k.DTypePolicy("float32"), {"body/.*": k.DTypePolicy("mixed_bfloat16")}
        )
        table["head"] = "float16"
        made.append(table)
    mine, theirs = made
    assert (mine.name, mine.compute_dtype, len(mine)) == (theirs.name, theirs.compute_dtype, 2)
    for path in ("body/a/b", "body", "head", "head/x"):
        assert mine[path].name == theirs[path].name
    assert dict(mine) == {p: keras.DTypePolicy(theirs[p].name) for p in ("body/.*", "head")}
    strip = lambda c: {p: v["config"] for p, v in c["policy_map"].items()}  # noqa: E731
    assert strip(mine.get_config()) == strip(theirs.get_config())
    again = keras.dtype_policies.deserialize(keras.dtype_policies.serialize(mine))
    assert again == mine
    mine["body/a/.*"] = "float32"
    with pytest.raises(ValueError, match="all match 'body/a/b'"):
        mine["body/a/b"]
    with pytest.raises(ValueError, match="delete the old one first"):
        mine["head"] = "float32"


def test_layers_take_the_policy_of_their_place():
    class Block(keras.layers.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.inner = keras.layers.Dense(2, name="inner", dtype=self.dtype_policy)

        def call(self, x):
            return self.inner(x)

    policies = {"body/.*": keras.DTypePolicy("mixed_bfloat16")}
    table = keras.dtype_policies.DTypePolicyMap("float32", policies)
    block = Block(name="body", dtype=table)
    assert block(X).dtype == "bfloat16"
    assert (block.compute_dtype, block.inner.compute_dtype) == ("float32", "bfloat16")
    assert block.inner.kernel.dtype == "float32"
    assert block.inner.get_config()["dtype"]["class_name"] == "DTypePolicyMap"
    again = keras.layers.Dense.from_config(block.inner.get_config())
    assert again.dtype_policy == table


def test_float_policy_is_a_policy():
    assert keras.FloatDTypePolicy("mixed_float16") == keras.DTypePolicy("mixed_float16")
    layer = keras.layers.Dense(
        1, dtype=oracle.dtype_policies.serialize(oracle.FloatDTypePolicy("bfloat16"))
    )
    assert layer.compute_dtype == "bfloat16"
