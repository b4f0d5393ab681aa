"""Gradients by autodiff, as a user takes them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers, ops


def f(w1, w2):
    return 3 * w1**2 + 2 * w1 * w2


def test_of_one_and_of_several_arguments():
    assert float(keras.grad(f)(5.0, 3.0)) == 36
    both = keras.grad(f, argnums=(0, 1))(5.0, 3.0)
    assert [float(g) for g in both] == [36, 10]
    value, grads = keras.value_and_grad(f, argnums=(0, 1))(5.0, 3.0)
    assert float(value) == 105 and [float(g) for g in grads] == [36, 10]


def test_of_variables():
    w1, w2 = keras.Variable(5.0), keras.Variable(3.0)
    assert [float(g) for g in keras.grad(lambda: f(w1, w2), [w1, w2])()] == [36, 10]
    named = keras.grad(lambda: f(w1, w2), {"first": w1})()
    assert float(named["first"]) == 36
    assert (float(w1), float(w2)) == (5, 3)


def test_second_derivatives_jacobians_and_hessians():
    assert float(keras.grad(keras.grad(lambda x: x**3))(2.0)) == 12
    x = jnp.array([1.0, 2.0])
    assert jax.jacobian(lambda x: jnp.stack([x[0] * x[1], x[0] ** 2]))(x).tolist() == [
        [2, 1],
        [2, 0],
    ]
    hessian = jax.hessian(lambda w: f(*w))(jnp.array([5.0, 3.0]))
    assert hessian.tolist() == [[6, 2], [2, 0]]
    w1, w2 = keras.Variable(5.0), keras.Variable(3.0)
    first = keras.grad(lambda: f(w1, w2), [w1, w2])
    second = [keras.grad(lambda i=i: first()[i], [w1, w2])() for i in range(2)]
    assert [[float(g) for g in row] for row in second] == [[6, 2], [2, 0]]


def test_hessian_of_a_models_loss():
    model = keras.Sequential([keras.Input((2,)), layers.Dense(1, use_bias=False)])
    apply, values = keras.functionalize(model)
    x = np.array([[1.0, 2.0], [3.0, 4.0]], "float32")
    (path,) = values.trainable

    def loss(kernel):
        return jnp.sum(apply(({path: kernel}, values.state), x)[0] ** 2) / 2

    hessian = jax.hessian(loss)(values.trainable[path])
    np.testing.assert_allclose(hessian[:, 0, :, 0], x.T @ x, rtol=1e-6)


def test_stopping():
    def g(w1, w2):
        return 3 * w1**2 + ops.stop_gradient(2 * w1 * w2)

    assert [float(x) for x in keras.grad(g, argnums=(0, 1))(5.0, 3.0)] == [30, 0]


@keras.custom_gradient
def my_softplus(z):
    exp = jnp.exp(z)

    def gradient(upstream):
        return upstream * (1 - 1 / (1 + exp))

    return jnp.where(z > 30.0, z, jnp.log(1 + exp)), gradient


@pytest.mark.parametrize("wrap", [lambda f: f, keras.jit, jax.jit], ids=["eager", "keras", "jax"])
def test_custom_gradients_are_numerically_safe(wrap):
    plain = keras.grad(lambda z: jnp.log(1 + jnp.exp(z)))
    assert np.isnan(plain(100.0))
    assert float(wrap(keras.grad(my_softplus))(100.0)) == 1
    assert float(wrap(keras.grad(my_softplus))(0.0)) == 0.5


def test_custom_gradients_in_a_model():
    model = keras.Sequential(
        [keras.Input((1,)), layers.Dense(4, activation=my_softplus), layers.Dense(1)]
    )
    model.compile("sgd", "mse")
    x = np.array([[50.0], [1.0]], "float32")
    assert np.isfinite(model.fit(x, x / 50, epochs=2, verbose=0).history["loss"]).all()


def test_per_sample_gradients():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(2), layers.Dense(1)])
    x, y = np.random.default_rng(0).normal(size=(2, 7, 3)).astype("float32")
    y = y[:, :1]
    weights = model.trainable_variables

    def of_one(x, y):
        return keras.grad(lambda: jnp.mean((model(x[None])[0] - y) ** 2), weights)()

    each = keras.jit(keras.vmap(of_one))(x, y)
    assert each[0].shape == (7, 3, 2)
    whole = keras.grad(lambda: jnp.mean((model(x) - y) ** 2), weights)()
    for a, b in zip(each, whole, strict=True):
        np.testing.assert_allclose(a.mean(0), b, rtol=1e-4, atol=1e-6)


def test_of_a_model_with_respect_to_its_inputs():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1, use_bias=False)])
    x = np.ones((2, 3), "float32")
    sensitivity = keras.grad(lambda x: jnp.sum(model(x)))(x)
    np.testing.assert_allclose(sensitivity, np.tile(model.get_weights()[0].T, (2, 1)), rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda x: model(x).sum())(x), sensitivity, rtol=1e-6)


def test_integers_and_strange_targets_are_told():
    with pytest.raises(TypeError, match="only floats have gradients"):
        keras.grad(lambda: 1.0, [keras.Variable(1, dtype="int32")])()
    with pytest.raises(TypeError, match="must hold Variables"):
        keras.grad(lambda: 1.0, [np.ones(3)])()
    with pytest.raises(TypeError, match="scalar"):
        keras.grad(lambda x: x * np.ones(3))(1.0)
