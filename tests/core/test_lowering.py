"""What is known of the platform while a program is traced."""

import jax
import jax.numpy as jnp
import pytest

import kerasish as keras
from kerasish.core import lowering
from kerasish.core.lowering import assume_local_devices, platform_dependent

X = jnp.arange(3.0)


def choose(x):
    return platform_dependent(x, cpu=jnp.sin, default=jnp.cos)


def is_open(fn):
    """Whether the platform is still to be chosen when the program is compiled."""
    return "platform_index" in str(jax.make_jaxpr(lambda x: fn(x))(X))


def test_a_program_for_this_machine_is_traced_for_it_alone():
    assert is_open(choose)
    with assume_local_devices():
        assert not is_open(choose)
    assert is_open(choose)
    with pytest.raises(ZeroDivisionError), assume_local_devices():
        _ = 1 / 0
    assert is_open(choose)


def test_a_compiled_function_may_be_exported_after_it_ran_here():
    compiled = keras.jit(choose)
    with assume_local_devices():
        assert not is_open(compiled)
    assert is_open(compiled)
    program = jax.export.export(jax.jit(lambda x: compiled(x)), platforms=("cpu", "cuda"))(X)
    assert "cosine" in program.mlir_module()
    assert "sine" in program.mlir_module().replace("cosine", "")
    assert jnp.array_equal(program.call(X), jnp.sin(X))


def test_with_other_devices_at_hand_nothing_is_known(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    with assume_local_devices():
        assert is_open(choose)


def test_options_reach_the_programs_of_the_training_loop_and_no_others(monkeypatch):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    x, y = jnp.ones((4, 3)), jnp.ones((4, 2))
    monkeypatch.setattr(lowering, "OPTIONS", {"no_such_option": 1})
    for run in (lambda: model.fit(x, y, verbose=0), lambda: model.predict(x, verbose=0)):
        with pytest.raises(jax.errors.JaxRuntimeError, match="no_such_option"):
            run()
    assert keras.jit(lambda x: model(x))(x).shape == (4, 2)
