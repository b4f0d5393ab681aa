"""Errors at public entry points: the user's frames, the message last, the user's own shapes."""

import pathlib
import traceback

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish.core.state.variable import Variable

PACKAGE = str(pathlib.Path(keras.__file__).parent)


class Product(keras.layers.Layer):
    """Fails in its second statement."""

    def call(self, x):
        table = jnp.ones((4, 5))
        return table @ x


class Rethrowing(keras.layers.Layer):
    def call(self, x):
        try:
            return {}["missing"]
        except KeyError:
            raise ValueError("not in the table") from None


def compiled(layer):
    model = keras.Sequential([layer])
    model.compile("sgd", "mse")
    return model


X, Y = np.ones((8, 7)), np.ones((8, 5))

# Each with the last line of the message, and the function of the user's that the error was in.
CALLS = {
    "fit": (lambda: compiled(Product()).fit(X, Y, verbose=0), "call"),
    "evaluate": (lambda: compiled(Product()).evaluate(X, Y, verbose=0), "call"),
    "predict": (lambda: compiled(Product()).predict(X, verbose=0), "call"),
    "train_on_batch": (lambda: compiled(Product()).train_on_batch(X, Y), "call"),
    "a layer's call": (lambda: Product()(X), "call"),
    "a symbolic call": (lambda: Product()(keras.Input((7,))), "call"),
    "a layer's own check": (lambda: keras.layers.Dense(3)(keras.Input((None,))), "<lambda>"),
    "an op": (lambda: keras.ops.matmul(X, X), "<lambda>"),
    "an op on a symbolic tensor": (lambda: keras.ops.matmul(keras.Input((7,)), Y), "<lambda>"),
    "an operator": (lambda: keras.Input((7,)) @ keras.Input((3, 2), batch_size=9), "<lambda>"),
    "a compiled function": (lambda: keras.jit(lambda x: x @ x)(X), "<lambda>"),
    "an operation": (lambda: Doubled()(keras.Input((3,))), "call"),
}


class Doubled(keras.Operation):
    def call(self, x):
        raise TypeError("not today")


def frames_of(call):
    with pytest.raises(Exception) as caught:
        call()
    error = caught.value
    return error, [f for f in traceback.extract_tb(error.__traceback__) if f.name != "frames_of"]


@pytest.mark.parametrize("name", CALLS)
def test_tracebacks_end_with_the_users_frame(name):
    call, where = CALLS[name]
    error, frames = frames_of(call)
    assert {f.filename for f in frames} == {__file__}
    assert frames[-1].name == where
    shown = "".join(traceback.format_exception(error))
    assert PACKAGE not in shown
    assert "JAX has removed its internal frames" not in shown


def test_all_frames_are_shown_if_asked_for():
    before = jax.config.jax_traceback_filtering
    try:
        keras.config.disable_traceback_filtering()
        assert not keras.config.is_traceback_filtering_enabled()
        _, frames = frames_of(CALLS["fit"][0])
        assert sum(f.filename.startswith(PACKAGE) for f in frames) > 5
        keras.config.enable_traceback_filtering()
        _, frames = frames_of(CALLS["fit"][0])
        assert not any(f.filename.startswith(PACKAGE) for f in frames)
    finally:
        jax.config.update("jax_traceback_filtering", before)


def test_what_the_users_code_caught_stays_in_the_chain():
    class Chained(keras.layers.Layer):
        def call(self, x):
            try:
                return {}["missing"]
            except KeyError as error:
                raise ValueError("not in the table") from error

    error, _ = frames_of(lambda: Chained()(X))
    assert isinstance(error.__cause__, KeyError)
    error, _ = frames_of(lambda: Rethrowing()(X))
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_an_interrupt_passes_as_it_is():
    class Interrupted(keras.layers.Layer):
        def call(self, x):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Interrupted()(X)


class Sized(keras.layers.Layer):
    def call(self, x):
        raise ValueError(f"cannot use {x.shape} with {x.size} elements; 83 is mine")


SHAPES = {
    "an unknown batch": (
        lambda: Product()(keras.Input((7,))),
        r"got \(5,\) and \(None,\)",
    ),
    "products of unknown sizes": (
        lambda: Sized()(keras.Input((None, 3))),
        r"cannot use \(None, None, 3\) with None elements; 83 is mine",
    ),
    "reshape": (
        lambda: Reshaped()(keras.Input((None, 4))),
        r"shape \(None, None, 4\) \(size None\)",
    ),
    "concatenation": (
        lambda: keras.ops.concatenate([keras.Input((3,)), keras.Input((4, 2))]),
        r"got \(None, 3\), \(None, 4, 2\)",
    ),
    "a window": (
        lambda: keras.layers.Conv2D(4, 5)(keras.Input((3, 32, 2))),
        r"got \(None, 3, 32, 2\)",
    ),
}


class Reshaped(keras.layers.Layer):
    def call(self, x):
        return jnp.reshape(x, (-1, 17))


@pytest.mark.parametrize("call,text", SHAPES.values(), ids=SHAPES)
def test_messages_have_the_users_shapes(call, text):
    with pytest.raises((ValueError, TypeError), match=text) as caught:
        call()
    said = "\n".join((str(caught.value), *getattr(caught.value, "__notes__", ())))
    assert not [word for word in ("(83", "(89", " 83,", "stands for None") if word in said]


T = keras.Input((3,))
OF_JAX = {
    "jnp": lambda: jnp.sum(T),
    "elementwise": lambda: jnp.exp(T),
    "several": lambda: jnp.concatenate([T, T]),
    "jax.nn": lambda: jax.nn.relu(T),
    "jax.lax": lambda: jax.lax.exp(T),
    "einsum": lambda: jnp.einsum("ij->i", T),
    "linalg": lambda: jnp.linalg.norm(T),
    "asarray": lambda: jnp.asarray(T),
    "jit": lambda: jax.jit(lambda x: x)(T),
    "vmap": lambda: jax.vmap(lambda x: x)(T),
    "grad": lambda: jax.grad(lambda x: x)(T),
    "numpy": lambda: np.sum(T),
    "numpy's ufunc": lambda: np.exp(T),
    "a number": lambda: float(T),
}


@pytest.mark.parametrize("name", OF_JAX)
def test_functions_of_arrays_on_a_symbolic_tensor_point_to_ops(name):
    with pytest.raises(ValueError, match=r"keras\.ops"):
        OF_JAX[name]()


@pytest.mark.parametrize("other", [jnp.ones(3), np.ones(3), Variable(np.ones(3)), 2.0])
def test_operators_of_arrays_leave_it_to_the_symbolic_tensor(other):
    for result in (other + T, other * T, other - T, T / other, other == T, other < T):
        assert result.shape == (None, 3)
    assert not hasattr(T, "__jax_array__")
