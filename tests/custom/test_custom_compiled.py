"""Compiled functions: what is traced when, control flow, and a look at the program."""

import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kerasish as keras
from kerasish import layers, ops


def test_python_runs_when_traced_only():
    seen = []

    @keras.jit
    def cube(x):
        seen.append(x)
        return x**3

    for x in (np.ones(3), np.ones(3), np.ones(4)):
        cube(x)
    assert cube.traces == 2
    assert len(seen) == 3  # once more, to find the Variables


RETRACING = {
    # calls, and why each was traced
    "shape": ([np.ones(3), np.ones((2, 2))], ["first call", "`x`: float32[2,2], was float32[3]"]),
    "type": ([np.ones(3), np.ones(3, int)], ["first call", "`x`: int32[3], was float32[3]"]),
    "value": ([np.ones(3), np.zeros(3)], ["first call"]),
    "numbers": ([1, 2, 3], ["first call"]),
    "number and array": (
        [2.0, np.float32(2)],
        ["first call", "float32[], was float32[] of Python"],
    ),
    "strings": (["a", "b", "a"], ["first call", "`x`: 'b', was 'a'"]),
    "booleans": ([True, False, True], ["first call", "`x`: False, was True"]),
    "nest": ([{"a": 1.0}, {"b": 1.0}], ["first call", "`x`['b']: float32[] of Python"]),
}


@pytest.mark.parametrize("calls,reasons", RETRACING.values(), ids=RETRACING)
def test_what_is_traced_again_and_why(calls, reasons):
    def double(leaf):
        return 0 if isinstance(leaf, str) else leaf * 2

    fn = keras.jit(lambda x: jax.tree.map(double, x))
    for x in calls:
        fn(x)
    assert fn.traces == len(reasons)
    for said, expected in zip(fn.why_traced, reasons, strict=True):
        assert expected in said


def test_static_arguments_are_part_of_the_program():
    @keras.jit(static_argnames="n")
    def repeated(x, n):
        for _ in range(n):
            x = 2 * x
        return x

    assert [float(repeated(1.0, n)) for n in (1, 3, 1)] == [2, 8, 2]
    assert repeated.why_traced == ["first call", "argument `n`: 3, was 1"]
    with pytest.raises(
        ValueError, match="`static_argnames` holds 'm', which is no argument of rep"
    ):
        keras.jit(repeated.fn, static_argnames="m")


def test_a_variable_met_later_is_named():
    late = keras.Variable(1.0, name="late")

    @keras.jit
    def fn(x, add):
        if add:
            late.assign_add(x)
        return x

    fn(1.0, False)
    fn(1.0, True)
    assert float(late) == 2
    assert "Variables written: 1 (late), was 0 ()" in fn.why_traced[-1]


def test_traces_are_logged(caplog):
    with caplog.at_level(logging.INFO, logger="kerasish.jit"):

        @keras.jit
        def fn(x):
            return x + 1

        fn(np.ones(2))
        fn(np.ones(5))
    assert caplog.messages[-1] == "fn is traced: argument `x`: float32[5], was float32[2]"


def test_fit_says_what_it_traced_and_why():
    model = keras.Sequential([keras.Input((3,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((70, 3)), np.ones((70, 1)), epochs=2, verbose=0)
    why = model.explain_fit()["train"]["why_traced"]
    assert why[0] == "first call" and len(why) == model.explain_fit()["train"]["traces"]
    assert "batch[0]: float32[6,3], was float32[32,3]" in why[1]  # the last, smaller batch


def collatz(n):
    def even(n):
        return n % 2 == 0

    def body(n, steps):
        return ops.cond(even(n), lambda: n // 2, lambda: 3 * n + 1), steps + 1

    return ops.while_loop(lambda n, steps: n > 1, body, (n, 0))[1]


def factorial(n):
    return ops.fori_loop(1, n + 1, lambda i, so_far: so_far * i, 1)


def fibonacci(n):
    def step(carry, _):
        a, b = carry
        return (b, a + b), a

    return ops.scan(step, (0, 1), length=10)[1][-1] + 0 * n


CONTROL = {"while": (collatz, 27, 111), "fori": (factorial, 6, 720), "scan": (fibonacci, 1, 34)}


@pytest.mark.parametrize("fn,argument,wanted", CONTROL.values(), ids=CONTROL)
@pytest.mark.parametrize("wrap", [lambda f: f, keras.jit], ids=["eager", "compiled"])
def test_control_flow(fn, argument, wanted, wrap):
    assert int(wrap(fn)(argument)) == wanted


def test_control_flow_writes_variables():
    count = keras.Variable(0)

    @keras.jit
    def run(n):
        def body(i, total):
            ops.cond(i % 2 == 0, lambda: count.assign_add(1), lambda: count.assign_add(0))
            return total + i

        return ops.fori_loop(0, n, body, 0)

    assert (int(run(5)), int(count)) == (10, 3)
    assert (int(run(7)), int(count)) == (21, 7) and run.traces == 1


def if_(x):
    return x if x > 0 else -x


def while_(x):
    while x > 1:
        x = x / 2
    return x


def range_(x):
    return sum(range(x))


MISTAKES = {
    "if": (if_, "`keras.ops.where` or `keras.ops.cond`"),
    "while": (while_, "`keras.ops.while_loop`"),
    "range": (range_, r"`keras.ops.fori_loop`.*static_argnames"),
    "float": (float, "To see a value, use `jax.debug.print`"),
    "item": (lambda x: x.item(), "use `jax.debug.print`"),
    "format": (lambda x: f"{x:.2f}", "use `jax.debug.print`"),
    "numpy": (lambda x: np.sin(x), "NumPy cannot look at the value"),
}


@pytest.mark.parametrize("fn,text", MISTAKES.values(), ids=MISTAKES)
@pytest.mark.parametrize("where", ["jit", "train_step", "layer"])
def test_looking_at_a_traced_value_says_what_to_write(fn, text, where):
    class Model(keras.Sequential):
        def train_step(self, data):
            return {"loss": fn(jnp.int32(data[0].sum()))}

    def in_train_step(x):
        model = Model([layers.Dense(1)])
        model.compile("sgd")
        model.fit(np.ones((4, 1)), verbose=0)

    def in_layer(x):
        layers.Lambda(lambda x: fn(x.sum().astype("int32")))(keras.Input((3,)))

    run = {"jit": keras.jit(fn), "train_step": in_train_step, "layer": in_layer}[where]
    errors = (TypeError, *jax_errors())
    with pytest.raises(errors, match=text):
        run(2)


def jax_errors():
    names = (
        "ConcretizationTypeError",
        "TracerArrayConversionError",
        "TracerIntegerConversionError",
    )
    return [getattr(jax.errors, name) for name in names]


def test_the_program_can_be_read():
    w = keras.Variable(np.ones((3, 2)))

    @keras.jit
    def f(x):
        return jnp.tanh(x @ w)

    x = np.ones((4, 3), "float32")
    assert {e.primitive.name for e in f.jaxpr(x).jaxpr.eqns} >= {"dot_general", "tanh"}
    lowered = f.lower(x)
    assert "stablehlo.tanh" in lowered.as_text()
    cost = lowered.compile().cost_analysis()
    assert cost["flops"] >= 2 * 4 * 3 * 2
    assert f.lower(jax.ShapeDtypeStruct((7, 3), "float32")).as_text().count("7x3") > 0


def test_debug_print_works_in_steps(capfd):
    class Loud(layers.Layer):
        def call(self, inputs):
            jax.debug.print("sum {s}", s=jnp.sum(inputs))
            return inputs

    model = keras.Sequential([keras.Input((2,)), Loud(), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
    jax.effects_barrier()
    assert "sum 8.0" in capfd.readouterr().out
