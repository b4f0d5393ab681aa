"""Variables and scopes: an array to read, a slot to write, a table while a scope is open."""

import copy
import pickle
import threading

import jax
import jax.numpy as jnp
import keras as oracle
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kerasish as keras
from kerasish.core.state.functional import capture, pure
from kerasish.core.state.scope import Scope, current_scope
from kerasish.core.state.variable import Variable

X = np.array([1.0, -2.0, 3.0], dtype="float32")

# What takes an array takes a Variable, and gives the same.
USES = {
    "jnp.dot": lambda v: jnp.dot(v, v),
    "jnp.where": lambda v: jnp.where(jnp.asarray(v) > 1, v, 0),
    "jnp.einsum": lambda v: jnp.einsum("i,i->", v, v),
    "jnp.stack": lambda v: jnp.stack([v, v]),
    "jnp.linalg.norm": lambda v: jnp.linalg.norm(v),
    "jax.nn.relu": lambda v: jax.nn.relu(v),
    "jax.nn.softmax": lambda v: jax.nn.softmax(v),
    "optax.tree.norm": lambda v: optax.tree.norm({"a": [v, v]}),
    "optax.l2_loss": lambda v: optax.l2_loss(v),
    "jax.grad": lambda v: jax.grad(lambda x: (x * x).sum())(v),
    "jax.vmap": lambda v: jax.vmap(lambda x: x * 2)(v),
    "jax.jit": lambda v: jax.jit(lambda x: x + 1)(v),
    "jax.tree.map": lambda v: jax.tree.map(lambda x: x * 2, {"a": v})["a"],
    "keras.ops": lambda v: keras.ops.add(v, 1),
    "np.sum": lambda v: np.sum(v),
    "np.sqrt": lambda v: np.sqrt(np.abs(v)),
    "np.concatenate": lambda v: np.concatenate([v, v]),
    "np.asarray": lambda v: np.asarray(v, dtype="float16"),
    "array + v": lambda v: X + v,
    "jax array * v": lambda v: jnp.ones(3) * v,
    "v - array": lambda v: v - X,
    "3 - v": lambda v: 3 - v,
    "v / 2": lambda v: v / 2,
    "2 // v": lambda v: 2 // v,
    "v % 2": lambda v: v % 2,
    "divmod": lambda v: divmod(v, 2)[1],
    "2 ** v": lambda v: 2**v,
    "v @ v": lambda v: v @ v,
    "-v": lambda v: -v,
    "abs": lambda v: abs(v),
    "v == v": lambda v: v == v,
    "v < 2": lambda v: v < 2,
    "(v > 0) & (v < 2)": lambda v: (v > 0) & (v < 2),
    "v[1:]": lambda v: v[1:],
    "v[array]": lambda v: v[np.array([0, 2])],
    "v[mask]": lambda v: v[np.array([True, False, True])],
    "v.at": lambda v: jnp.asarray(v).at[0].set(9.0),
    "v.T": lambda v: v.T,
    "v.sum()": lambda v: v.sum(),
    "v.astype": lambda v: v.astype("int32"),
    "iteration": lambda v: [float(x) for x in v],
    "len": lambda v: len(v),
    "contains": lambda v: 3.0 in v,
    "float": lambda v: float(v[0]),
    "int": lambda v: int(v[0]),
    "bool": lambda v: bool(v[0]),
    "complex": lambda v: complex(v[0]),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_is_used_as_the_array_it_holds(use):
    np.testing.assert_array_equal(use(Variable(X)), use(jnp.asarray(X)))


SCALAR_USES = {
    "int": (int, 3),
    "float": (float, 3.0),
    "index": (lambda v: list(range(v)), [0, 1, 2]),
    "subscript": (lambda v: "abcd"[v], "d"),
    "format": (lambda v: f"{v:d}", "3"),
    "and": (lambda v: bool(v & 1), True),
    "invert": (lambda v: int(~v), -4),
    "shift": (lambda v: int(v << 1), 6),
}


@pytest.mark.parametrize("use,wanted", SCALAR_USES.values(), ids=SCALAR_USES)
def test_a_scalar_is_used_as_a_number(use, wanted):
    assert use(Variable(3)) == wanted


FIRST_VALUES = (
    *(1, 1.0, True, [1, 2], [1.0, 2.0], [True], np.float64(3), np.int64(3), np.zeros(2)),
    *(np.zeros(2, "float16"), np.ones(2, bool), jnp.ones(2, "int8"), jnp.ones(2, "bfloat16")),
)


@pytest.mark.parametrize("value", FIRST_VALUES, ids=repr)
def test_first_value_has_the_dtype_it_has_in_keras(value):
    ours, theirs = Variable(value), oracle.Variable(value)
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_array_equal(ours.numpy(), np.asarray(theirs.value))


def test_first_value_may_come_from_an_initializer_by_name_or_a_function():
    np.testing.assert_array_equal(Variable("ones", shape=(2,)).numpy(), [1, 1])
    v = Variable(lambda shape, dtype: np.full(shape, 7, dtype), shape=(2,), dtype="int32")
    assert v.dtype == "int32" and v.numpy().tolist() == [7, 7]
    assert Variable("glorot_uniform", shape=(2, 3)).shape == (2, 3)


BAD = {
    "no shape": (lambda: Variable("zeros"), "`shape` must be given"),
    "misspelt": (lambda: Variable("zeross", shape=(2,)), "Did you mean 'zeros'"),
    "shape": (lambda: Variable(np.zeros(2), shape=(3,)), r"of shape \(3,\); got \(2,\)"),
    "unknown size": (lambda: Variable("zeros", shape=(None, 2)), "all integers"),
    "name": (lambda: Variable(1.0, name="a/b"), "without '/'"),
    "dtype": (lambda: Variable(1.0, dtype="float31"), "Did you mean 'float"),
    "assign shape": (
        lambda: Variable(X).assign([1, 2]),
        r"has shape \(3,\); cannot assign .*\(2,\)",
    ),
    "assign row": (lambda: Variable(X).assign(X[:, None]), r"cannot assign shape \(3, 1\)"),
    "assign scalar": (lambda: Variable(X).assign(5.0), r"cannot assign shape \(\)"),
    "truth": (lambda: bool(Variable(X)), "ambiguous"),
    "attribute": (lambda: Variable(X, name="v").nothing, "'v' has no attribute 'nothing'"),
    "item": (lambda: exec("v[0] = 1", {"v": Variable(X)}), "item assignment"),
    "text": (
        lambda: Variable(X).assign(["a", "b", "c"]),
        "holds float32; cannot assign .a.. Give numbers",
    ),
}


@pytest.mark.parametrize("act,text", BAD.values(), ids=BAD)
def test_mistakes_are_told(act, text):
    with pytest.raises((ValueError, TypeError, AttributeError), match=text):
        act()


def test_assigning_casts_and_returns_the_new_value():
    v = Variable(X, dtype="bfloat16")
    assert v.assign(np.array([1, 2, 3])).dtype == "bfloat16"
    assert v.assign_add([1, 1, 1]).tolist() == [2, 3, 4]
    assert v.assign_sub(v).tolist() == [0, 0, 0]
    v.assign(v.at[1:].set(5))
    assert v.numpy().tolist() == [0, 5, 5]


def test_in_place_operators_give_an_array_as_in_keras():
    v = kept = Variable(X)
    v += 1
    assert isinstance(v, jax.Array) and kept.numpy().tolist() == X.tolist()
    theirs = oracle.Variable(X)
    theirs += 1
    assert not isinstance(theirs, oracle.Variable)


def test_no_memory_is_shared_with_numpy():
    memory = np.zeros(1064, "float32")
    start = (-memory.ctypes.data % 64) // 4
    mine = memory[start : start + 1000]  # as JAX likes it, so that it would not copy
    v, w = Variable(mine), Variable(np.ones(1000))
    w.assign(mine)
    with Scope() as scope:
        w.assign(mine)
    view = v.numpy()
    mine[:], view[:] = 7, 8
    assert (v[0], w[0], scope.values[w][0]) == (0, 0, 0)


COPIES = {
    "pickle": lambda v: pickle.loads(pickle.dumps(v)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("twin_of", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "uint32"])
def test_copies_are_independent(twin_of, dtype):
    v = Variable([1, 2], name="v", trainable=False, dtype=dtype)
    twin = twin_of(v)
    twin.assign([3, 4])
    assert (v.numpy().tolist(), twin.numpy().tolist()) == ([1, 2], [3, 4])
    assert (twin.path, twin.trainable, twin.dtype) == ("v", False, dtype)


def test_is_a_key_by_identity():
    v, w = Variable(1.0), Variable(1.0)
    table = {v: "v", w: "w"}
    assert (table[v], table[w], len({v, w, v})) == ("v", "w", 2)


def test_representation_names_it():
    assert (
        repr(Variable([1.0], name="v"))
        == "<Variable path=v, shape=(1,), dtype=float32, value=[1.]>"
    )


# -- scopes


def test_a_scope_stands_in_for_the_values():
    v, w = Variable(1.0), Variable(2.0)
    with Scope([(v, 10.0)]) as scope:
        assert (v.value, float(w)) == (10.0, 2.0)
        w.assign(5.0)
        with Scope() as inner:
            v.assign(7.0)
            assert float(v) == 7
        assert v.value == 10.0
    assert (float(v), float(w)) == (1, 2)
    assert list(scope.written) == [w] and list(inner.written) == [v]
    assert float(scope.values[w]) == 5


def test_an_error_closes_the_scope():
    v = Variable(1.0)
    with pytest.raises(ZeroDivisionError), Scope(), Scope():
        v.assign(1 / 0)
    v.assign(3.0)
    assert float(v) == 3 and current_scope() is None


def test_a_scope_belongs_to_its_thread():
    v, seen = Variable(1.0), []
    with Scope([(v, 2.0)]):
        thread = threading.Thread(target=lambda: seen.append(float(v)))
        thread.start()
        thread.join()
        assert (seen, v.value) == ([1.0], 2.0)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("assign"), st.integers(0, 2), st.integers(-9, 9)),
        st.tuples(st.just("add"), st.integers(0, 2), st.integers(-9, 9)),
        st.tuples(st.just("open"), st.dictionaries(st.integers(0, 2), st.integers(-9, 9))),
        st.tuples(st.just("close")),
    ),
    max_size=25,
)


@settings(max_examples=40, deadline=None)
@given(STEPS)
def test_any_sequence_of_writes_and_scopes_is_a_stack_of_tables(steps):
    variables = [Variable(n) for n in range(3)]
    tables, scopes = [dict(enumerate(range(3)))], []
    for kind, *rest in steps:
        if kind == "open":
            scopes.append(Scope((variables[i], jnp.int32(n)) for i, n in rest[0].items()))
            scopes[-1].__enter__()
            tables.append({**tables[-1], **rest[0]})
        elif kind == "close" and scopes:
            scopes.pop().__exit__()
            tables.pop()
        elif kind in ("assign", "add"):
            which, n = rest
            getattr(variables[which], "assign" if kind == "assign" else "assign_add")(n)
            tables[-1][which] = n + (tables[-1][which] if kind == "add" else 0)
        assert [int(v.value) for v in variables] == list(tables[-1].values())
    while scopes:
        scopes.pop().__exit__()


def test_capture_sees_reads_and_writes_and_changes_nothing():
    v, w, u = Variable(1.0), Variable(2.0), Variable(3.0)

    def fn(x):
        w.assign(v + x)
        return u.assign_add(1.0) + w

    seen = capture(fn, 1.0)
    assert (seen.reads, seen.written, seen.result.shape) == ([v], [w, u], ())
    assert [float(x) for x in (v, w, u)] == [1, 2, 3]


def test_capture_lets_lazy_variables_come_to_be():
    made = []

    def fn(x):
        if not made:
            made.append(Variable(np.ones(3)))
        return made[0] * x

    assert capture(fn, 2.0).reads == made
    assert made[0].numpy().tolist() == [1, 1, 1]


def test_pure_takes_values_and_gives_new_ones():
    v, w = Variable(1.0), Variable(2.0)

    def fn(x):
        v.assign(v * x + w)
        return v * 1

    run = pure(fn, [v])
    result, (new,) = jax.jit(run)([10.0], 3.0)
    assert (float(result), float(new), float(v)) == (32, 32, 1)
    with pytest.raises(RuntimeError, match=r"wrote \['variable.*'\], which `variables` must list"):
        pure(fn, [w])([1.0], 3.0)


def test_a_traced_value_cannot_leave_a_function_that_jax_transforms_by_itself():
    v = Variable(1.0, name="v")
    with pytest.raises(RuntimeError, match=r"'v' was assigned a traced value.*Use `keras\.jit`"):
        jax.jit(v.assign)(2.0)
    with pytest.raises(RuntimeError, match="traced value"):
        jax.grad(keras.jit(lambda x: v.assign(x * x)))(2.0)
    with pytest.raises(ValueError, match="cannot start from a traced value"):
        jax.jit(lambda x: Variable(x).value)(2.0)
    assert float(v) == 1


@pytest.mark.parametrize("run", [lambda make: make(), jax.eval_shape], ids=["eager", "traced"])
def test_an_initializers_program_computes_its_constants(run):
    programs = []

    def initializer(shape, dtype):
        programs.append(jax.make_jaxpr(lambda: jax.numpy.arange(float(shape[0])))())
        return jax.numpy.ones(shape, dtype)

    made = []
    run(lambda: made.append(Variable(initializer, shape=(9,))))
    assert float(made[0].value.sum()) == 9
    # Folded, the numbers would be written into each program: gigabytes for a large weight.
    assert programs[0].eqns
