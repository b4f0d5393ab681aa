"""One mechanism under `jit`, `grad`, `vmap`, `scan`, `fori_loop`, `remat` and `custom_gradient`."""

import functools
import itertools
import random
import signal
import threading
import time

import jax
import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

import kerasish as keras
from kerasish import Variable
from kerasish.core.state.loops import fori_loop
from kerasish.core.state.scope import current_scope


class Lazy:
    """Makes its Variables on the first call, as layers do."""

    def __init__(self):
        self.weight = self.calls = None

    def __call__(self, x):
        if self.weight is None:
            self.weight = Variable(3.0)
            self.calls = Variable(0)
        self.calls.assign_add(1)
        return x * self.weight


def of_grad(f):
    return lambda x: keras.value_and_grad(f)(x)[0]


def of_remat(f):
    return lambda x: keras.remat(f)(x)


def of_scan(f):
    return lambda x: keras.scan(lambda c, _: (c, f(x)), 0.0, length=1)[1][0]


def of_loop(f):
    return lambda x: fori_loop(0, 1, lambda i, c: f(x), jnp.float32(0))


def of_vmap(f):
    return lambda x: keras.vmap(f)(jnp.stack([x, x]))[0]


WRAPPERS = {"jit": keras.jit, "grad": of_grad, "remat": of_remat, "scan": of_scan}
WRAPPERS |= {"fori_loop": of_loop, "vmap": of_vmap}
PAIRS = [*((name,) for name in WRAPPERS), *itertools.permutations(WRAPPERS, 2), ("jit", "jit")]
CHAINS = [*PAIRS, ("jit", "scan", "remat"), ("jit", "grad", "scan", "jit"), ("grad", "jit", "vmap")]


@pytest.mark.parametrize("chain", CHAINS, ids=" of ".join)
def test_lazy_state_passes_through_any_nesting(chain):
    lazy = Lazy()
    run = functools.reduce(lambda f, name: WRAPPERS[name](f), reversed(chain), lazy)
    for _ in range(2):
        assert float(run(jnp.float32(2.0))) == 6
        assert isinstance(lazy.calls.value, jax.Array) and current_scope() is None
    lazy.weight.assign(5.0)
    assert float(run(jnp.float32(2.0))) == 10, "a Variable was baked in"
    assert int(lazy.calls) == 3


# -- jit


def test_a_branch_not_seen_before_reads_its_own_variable():
    table = {"a": Variable(1.0), "b": Variable(2.0)}
    written = Variable(0.0)

    @keras.jit
    def f(x, which):
        if which == "b":
            written.assign_add(1.0)
        return x * table[which]

    assert (float(f(1.0, "a")), float(f(1.0, "b"))) == (1, 2)
    table["b"].assign(20.0)
    table["a"].assign(10.0)
    assert (float(f(1.0, "a")), float(f(1.0, "b")), float(written)) == (10, 20, 2)


def test_another_shape_reads_its_own_variable():
    small, large = Variable(1.0), Variable(100.0)

    @keras.jit
    def f(x):
        return x.sum() + (small if x.shape[0] < 3 else large)

    assert (float(f(np.ones(2))), float(f(np.ones(3)))) == (3, 103)
    large.assign(0.0)
    assert float(f(np.ones(3))) == 3


def test_a_helper_that_makes_new_variables_each_time_is_told():
    with pytest.raises(RuntimeError, match="makes new Variables each time it is traced"):
        keras.jit(lambda x: Variable(1.0) * x)(1.0)


def add(x, mode, scale=1, extra=None):
    """Doubles or triples, as Python decides."""
    y = x * (2 if mode == "twice" else 3)
    for _ in range(scale):
        y = y + (0 if extra is None else extra["n"])
    return y


STATIC = {
    "strings": ({}, [((1.0, "twice"), {}), ((1.0, "twice"), {}), ((1.0, "thrice"), {})], 2),
    "numbers are traced": ({}, [((1.0, "twice"), {}), ((2.0, "twice"), {})], 1),
    "types retrace": ({}, [((1.0, "twice"), {}), ((1, "twice"), {})], 2),
    "shapes retrace": ({}, [((np.ones(n), "twice"), {}) for n in (2, 3, 2)], 2),
    "by number": ({"static_argnums": 2}, [((1.0, "twice", 2), {}), ((1.0, "twice", 3), {})], 2),
    "by number, as keyword": ({"static_argnums": 2}, [((1.0, "twice"), {"scale": 2})], 1),
    "by name": ({"static_argnames": "scale"}, [((1.0, "twice"), {"scale": 2})] * 2, 1),
    "by name, in place": ({"static_argnames": ["scale"]}, [((1.0, "twice", 2), {})], 1),
    "from the end": ({"static_argnums": (-2,)}, [((1.0, "twice", 2), {})], 1),
    "unhashable": (
        {"static_argnames": ("scale", "extra")},
        [((1.0, "twice"), {"extra": {"n": n}}) for n in (1, 2, 1)],
        2,
    ),
}


@pytest.mark.parametrize("options,calls,traces", STATIC.values(), ids=STATIC)
def test_static_arguments(options, calls, traces):
    if "static" not in str(options):
        options = {"static_argnames": "scale"}
    f = keras.jit(add, **options)
    for args, kwargs in calls:
        np.testing.assert_allclose(f(*args, **kwargs), add(*args, **kwargs))
    assert f.traces == traces


def test_a_static_value_that_changes_in_place_is_seen():
    f = keras.jit(lambda x, sizes: x * sum(sizes), static_argnames="sizes")
    sizes = [1, 2]
    assert float(f(1.0, sizes=sizes)) == 3
    sizes.append(3)
    assert float(f(1.0, sizes=sizes)) == 6


def test_functions_none_and_booleans_are_static():
    f = keras.jit(lambda x, fn, flag, bias=None: fn(x) if flag and bias is None else x)
    assert (float(f(2.0, jnp.square, True)), float(f(2.0, jnp.square, False))) == (4, 2)
    assert float(f(2.0, jnp.negative, flag=True)) == -2


def test_decorates_methods():
    class Counter:
        def __init__(self, step):
            self.step, self.count = step, Variable(0)

        @keras.jit
        def add(self, n=1):
            return self.count.assign_add(self.step * n)

        @keras.jit(static_argnames="times")
        def repeat(self, times):
            return sum([self.count * 1] * times)

    one, ten = Counter(1), Counter(10)
    assert [int(c.add()) for c in (one, ten, one, ten)] == [1, 10, 2, 20]
    assert (int(one.add(n=5)), int(ten.repeat(2))) == (7, 40)


def test_an_unknown_static_name_is_told():
    with pytest.raises(
        ValueError, match=r"'moed', which is no argument of add. Did you mean 'mode'"
    ):
        keras.jit(add, static_argnames="moed")


NEEDS_VALUES = {
    "if": lambda x: x if x > 0 else -x,
    "range": lambda x: [x for _ in range(x.astype(int))],
    "float": lambda x: float(x),
    "numpy": lambda x: np.asarray(x),
}


@pytest.mark.parametrize("fn", NEEDS_VALUES.values(), ids=NEEDS_VALUES)
def test_looking_at_a_traced_value_says_what_to_write_instead(fn):
    with pytest.raises(TypeError) as caught:
        keras.jit(keras.jit(fn))(jnp.float32(1.0))
    notes = [n for n in caught.value.__notes__ if "keras.ops.cond" in n]
    assert len(notes) == 1 and "static_argnames" in notes[0]


def test_shows_its_program_without_tracing_again():
    v = Variable(2.0)
    f = keras.jit(lambda x: v.assign(x * v))
    f(np.float32(1.0))
    assert "multiply" in f.lower(np.float32(1.0)).as_text() and "mul" in str(
        f.jaxpr(np.float32(1.0))
    )
    assert f.traces == 1 and float(v) == 2
    g = keras.jit(lambda x: x * v)
    assert "tensor<3xf32>" in g.lower(jax.ShapeDtypeStruct((3,), "float32")).as_text()


def test_an_error_in_the_middle_of_a_trace_leaves_no_trace():
    v, broken = Variable(1.0), [True]

    @keras.jit
    def f(x):
        v.assign_add(x)
        with keras.name_scope("inside"):
            keras.grad(lambda: v * (1 / (0 if broken[0] else 1)), v)()
        return v * 1

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            f(1.0)
        assert (float(v), current_scope(), Variable(0.0, name="n").path) == (1, None, "n")
    broken[0] = False
    assert float(f(1.0)) == 2


def test_a_user_that_swallows_exceptions_does_not_swallow_ours():
    late, calls = Variable(5.0), []

    @keras.jit
    def f(x):
        calls.append(1)
        try:
            return x + (late if len(calls) > 1 else 0)
        except Exception:
            return x

    f(1.0)
    late.assign(7.0)
    assert float(f(1.0)) == 8


# -- memory


def grown(*variables):
    return keras.jit(lambda: [v.assign_add(jnp.ones(v.shape)) for v in variables] and None)


def test_written_memory_is_reused():
    v = Variable(np.zeros(1000))
    f = grown(v)
    f()
    address = v.value.unsafe_buffer_pointer()
    f()
    assert v.value.unsafe_buffer_pointer() == address


HOLDERS = {
    "the array": lambda v: v.value,
    "a NumPy view": lambda v: np.asarray(v.value),
    "a NumPy view by dlpack": lambda v: np.from_dlpack(v.value),
    "a shard": lambda v: v.value.addressable_shards[0].data,
    "another Variable": lambda v: Variable(v.value),
    "a cast that is none": lambda v: v.value.astype("float32"),
}


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
def test_what_someone_holds_stays_as_it_is(hold):
    v = Variable(np.zeros(1000))
    f = grown(v)
    f()
    held = hold(v)
    f()
    f()
    assert (float(held[0]), float(v[0])) == (1, 3)


def test_two_variables_may_hold_one_array():
    v, w = Variable(np.zeros(1000)), Variable(np.zeros(1000))
    f = grown(v, w)
    w.assign(v.value)
    for _ in range(3):
        f()
    assert (float(v[0]), float(w[0])) == (3, 3)


def test_without_donation_old_arrays_live_on():
    v = Variable(np.zeros(10))
    keras.jit(lambda: v.assign_add(jnp.ones(10)), donate=False)()
    assert float(v[0]) == 1


# JAX prints the callback's traceback itself.
def test_a_failure_on_the_device_says_that_donated_values_are_lost(capfd):
    def fail(x):
        raise ValueError("boom")

    v = Variable(np.zeros(3))
    shape = jax.ShapeDtypeStruct((3,), "float32")
    f = keras.jit(lambda: v.assign(jax.pure_callback(fail, shape, v.value)))
    with pytest.raises(jax.errors.JaxRuntimeError, match="boom") as caught:
        jax.block_until_ready(f())
    assert v.value.is_deleted() == any("donate=False" in n for n in caught.value.__notes__)


def test_an_interrupt_at_any_moment_leaves_all_variables_at_one_step():
    variables = [Variable(np.zeros(20)) for _ in range(20)]
    step, main, chance = grown(*variables), threading.main_thread().ident, random.Random(0)
    step()
    hits = 0
    while hits < 150:
        timer = threading.Timer(chance.random() * 0.003, signal.pthread_kill, (main, signal.SIGINT))
        try:
            timer.start()
            while timer.is_alive():  # Python drops an interrupt that meets a finalizer
                step()
            step()
        except KeyboardInterrupt:
            hits += 1
        timer.join()
        assert len({float(v[0]) for v in variables}) == 1


# -- threads


def in_threads(*functions):
    errors = []

    def guarded(fn):
        try:
            fn()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(fn,)) for fn in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_no_update_is_lost_between_threads():
    v = Variable(np.zeros(100))
    f, g = grown(v), grown(v)
    in_threads(*[lambda h=h: [h() for _ in range(50)] for h in (f, g) * 4])
    assert v.numpy().tolist() == [400] * 100


READERS = {
    "a compiled function": lambda v: functools.partial(keras.jit(lambda x: x + v.value.sum()), 1.0),
    "numpy": lambda v: v.numpy,
    "np.asarray": lambda v: functools.partial(np.asarray, v),
}


@pytest.mark.parametrize("make", READERS.values(), ids=READERS)
def test_a_variable_can_be_read_while_another_thread_trains_it(make, capfd):
    v = Variable(np.zeros(100))
    step, read, done = grown(v), make(v), []

    def write():
        for _ in range(500):
            step()
        done.append(True)

    def watch():
        while not done:
            read()

    in_threads(write, watch)
    assert float(v[0]) == 500


def test_first_calls_at_once_build_once():
    class Slow(Lazy):
        def __call__(self, x):
            if self.weight is None:
                time.sleep(0.02)
                made.append(self)
            return super().__call__(x)

    made, slow = [], Slow()
    f = keras.jit(slow)
    in_threads(*[lambda: f(2.0)] * 6)
    assert (len(made), f.traces, int(slow.calls)) == (1, 1, 6)


def test_a_thread_sees_no_tracer_of_another():
    v, inside, looked = Variable(3.0), threading.Event(), threading.Event()

    def f(x):
        v.assign(x)
        inside.set()
        looked.wait(5)
        return v * 1

    thread = threading.Thread(target=lambda: keras.jit(f)(5.0))
    thread.start()
    inside.wait(5)
    seen = v.value
    looked.set()
    thread.join()
    assert (float(seen), float(v)) == (3, 5)


# -- gradients


def test_gradients_come_in_the_nest_of_the_variables():
    v, w = Variable([1.0, 2.0]), Variable(3.0)
    value, grads = keras.value_and_grad(lambda x: (v * w * x).sum(), {"a": [v], "b": (w, w)})(2.0)
    assert float(value) == 18
    assert grads["a"][0].tolist() == [6, 6]
    assert [float(g) for g in grads["b"]] == [6, 6]


def test_gradients_by_arguments_as_jax_gives_them():
    def f(a, b):
        return a * b**2

    for argnums in (0, 1, -1, (0, 1), (1, -2)):
        ours, theirs = keras.grad(f, argnums=argnums)(2.0, 3.0), jax.grad(f, argnums)(2.0, 3.0)
        assert jax.tree.all(jax.tree.map(lambda x, y: bool(x == y), ours, theirs))


def test_auxiliary_values_and_writes_come_out():
    v, seen = Variable(2.0), Variable(0.0)

    def loss(x, power=2):
        seen.assign(x)
        return v**power * x, {"twice": v * 2}

    (value, aux), grads = keras.value_and_grad(loss, [v], has_aux=True)(3.0, power=2)
    assert (float(value), float(aux["twice"]), float(grads[0]), float(seen)) == (12, 4, 12, 3)
    (grad,), aux = keras.grad(loss, [v], has_aux=True)(3.0)
    assert (float(grad), float(aux["twice"])) == (12, 4)


def test_a_gradient_of_a_gradient():
    v = Variable(2.0)
    inner = keras.grad(lambda: v**3, v)
    assert float(keras.grad(lambda: inner() * 1, v)()) == 12
    assert float(keras.jit(keras.grad(lambda: inner() * 1, v))()) == 12


def test_compiled_functions_are_differentiated():
    v, calls = Variable(2.0), Variable(0)

    @keras.jit
    def square(x):
        calls.assign_add(1)
        return v * v * x

    value, grad = keras.value_and_grad(lambda: square(3.0), v)()
    assert (float(value), float(grad), int(calls)) == (12, 12, 1)


BAD_GRADS = {
    "not Variables": (lambda: keras.grad(lambda: 1.0, [1.0])(), "must hold Variables; got 1.0"),
    "integers": (lambda: keras.grad(lambda: 1.0, Variable(1))(), "is int32; only floats"),
    "not a scalar": (lambda: keras.grad(lambda x: x)(np.ones(2, "float32")), "scalar"),
}


@pytest.mark.parametrize("act,text", BAD_GRADS.values(), ids=BAD_GRADS)
def test_gradients_that_cannot_be_are_told(act, text):
    with pytest.raises(TypeError, match=text):
        act()


# -- maps and loops


def test_vmap_shares_variables_and_refuses_one_value_per_entry():
    v = Variable(2.0)
    keras.vmap(lambda x: v.assign(v + 1))(np.arange(3.0))
    assert float(v) == 3
    with pytest.raises(ValueError, match="differs along the mapped axis"):
        keras.vmap(v.assign)(np.arange(3.0))
    assert float(v) == 3


def late_writer(v):
    traces = []

    def f(x):
        traces.append(1)
        if len(traces) > 1:  # a layer that writes only once it is built
            v.assign_add(1.0)
        return x

    return f


LOOPS = {
    "scan": lambda f: keras.scan(lambda c, x: (c, f(x)), 0.0, np.arange(3.0)),
    "fori_loop": lambda f: fori_loop(0, 3, lambda i, c: f(c), 0.0),
}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_loop_carries_what_is_written_from_the_second_trace_on(loop, compiled):
    v = Variable(0.0)
    f = late_writer(v)
    run = keras.jit(lambda: loop(f)) if compiled else lambda: loop(f)
    run()
    assert float(v) == 3


def test_scan_gives_what_jax_gives():
    def f(carry, x):
        return carry + x["a"], carry * x["b"]

    xs = {"a": np.arange(4.0, dtype="float32"), "b": np.ones(4, "float32")}
    for options in ({}, {"reverse": True}, {"unroll": 2}):
        ours, theirs = keras.scan(f, 1.0, xs, **options), jax.lax.scan(f, 1.0, xs, **options)
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_remat_leaves_what_is_no_array_as_it_is():
    v = Variable(2.0)

    def f(x, training, rate=0.5, mode="a"):
        assert (training, rate, mode) == (True, 0.5, "b")
        return v * x if training else x

    assert float(keras.grad(lambda x: keras.remat(f)(x, True, mode="b"))(3.0)) == 2


# -- custom gradients: what `keras.ops.custom_gradient` does on JAX


def upstream_by_name(x):
    def grad(*args, upstream=None):
        upstream = args[0] if upstream is None else upstream
        return upstream * 10

    return x * 2, grad


def two_outputs(x):
    return (x, x * 2), lambda upstream: upstream[0] * 3 + upstream[1] * 5


def two_arguments(x, y=2.0):
    return x * y, lambda upstream: (upstream * 7, upstream * 8)


def in_a_list(x):
    return x * 2, lambda upstream: [upstream * 7]


def with_an_integer(x, n=3):
    return x * n, lambda upstream: (upstream * n, None)


CUSTOM = {
    "by name": (upstream_by_name, (2.0,)),
    "two outputs": (two_outputs, (2.0,)),
    "two arguments": (two_arguments, (2.0, 3.0)),
    "a list": (in_a_list, (2.0,)),
    "an integer": (with_an_integer, (2.0, 3)),
}


@pytest.mark.parametrize("fn,args", CUSTOM.values(), ids=CUSTOM)
@pytest.mark.parametrize("compiled", [False, True])
def test_custom_gradient_is_keras(fn, args, compiled):
    def gradients(custom, jit, grad):
        def total(*args):
            return sum(jax.tree.leaves(custom(fn)(*args)))

        argnums = tuple(i for i, a in enumerate(args) if isinstance(a, float))
        run = grad(total, argnums=argnums)
        return (jit(run) if compiled else run)(*args)

    ours = gradients(keras.custom_gradient, keras.jit, keras.grad)
    theirs = gradients(oracle.ops.custom_gradient, jax.jit, jax.grad)
    assert [float(g) for g in ours] == [float(g) for g in theirs]


def test_custom_gradient_takes_upstreams_one_by_one_or_by_name_alone():
    @keras.custom_gradient
    def apart(x):
        return (x, x), lambda a, b: a * 2 + b * 3

    @keras.custom_gradient
    def named(x):
        def grad(*, upstream):
            return upstream * 4

        return x, grad

    assert (float(keras.grad(lambda x: sum(apart(x)))(1.0)), float(keras.grad(named)(1.0))) == (
        5,
        4,
    )


def test_custom_gradient_of_nests():
    @keras.custom_gradient
    def f(pair):
        return pair["a"] * pair["b"], lambda upstream: {"a": upstream, "b": 2 * upstream}

    assert jax.tree.map(float, keras.grad(f)({"a": 2.0, "b": 3.0})) == {"a": 1, "b": 2}


def test_custom_gradient_closes_over_variables():
    v, calls, key = Variable(3.0), Variable(0), keras.random.SeedGenerator(1)

    @keras.custom_gradient
    def f(x):
        calls.assign_add(1)
        key.next()
        return x * v, lambda upstream: upstream * v * 100

    run = keras.jit(keras.value_and_grad(f))
    for n, weight in ((1, 3.0), (2, 4.0)):
        v.assign(weight)
        value, grad = run(2.0)
        assert (float(value), float(grad), int(calls)) == (2 * weight, 100 * weight, n)
    assert key.state.numpy().tolist() == [1, 2]
    assert float(keras.grad(lambda: f(2.0), v)()) == 0


def test_an_error_in_a_gradient_function_is_raised_as_it_is():
    @keras.custom_gradient
    def f(x):
        def grad(upstream):
            raise TypeError("my own argument")

        return x, grad

    with pytest.raises(TypeError, match="my own argument"):
        keras.grad(f)(1.0)


RETURNED = {
    "jit": lambda fn: keras.jit(fn),
    "value_and_grad": lambda fn: lambda x: keras.grad(lambda x: (x, fn(x)), has_aux=True)(x)[1],
    "remat": lambda fn: keras.remat(fn),
    "scan": lambda fn: (
        lambda x: jax.tree.map(lambda a: a[0], keras.scan(lambda c, x: (c, fn(x)), 0.0, x[None])[1])
    ),
    "cond": lambda fn: lambda x: keras.ops.cond(x > 0, lambda: fn(x), lambda: fn(x)),
}


@pytest.mark.parametrize("how", RETURNED)
def test_a_variable_that_is_returned_is_its_value_inside(how):
    total = keras.Variable(0.0)

    def add(x):
        total.assign_add(x)
        return {"total": total, "list": [total]}

    run = RETURNED[how](add)
    seen = [run(jnp.float32(2)), run(jnp.float32(3))]
    assert [(float(s["total"]), float(s["list"][0])) for s in seen] == [(2, 2), (5, 5)]
