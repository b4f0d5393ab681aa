"""Symbolic tensors: shapes and dtypes as real arrays have them, errors that name the `None`s."""

import jax
import jax.numpy as jnp
import keras as oracle
import numpy as np
import pytest

import kerasish as keras
from kerasish import KerasTensor, Variable
from kerasish.core.symbolic.graph import node_of
from kerasish.core.symbolic.inference import infer
from kerasish.core.symbolic.keras_tensor import any_symbolic
from kerasish.core.symbolic.operation import symbolic

X = np.arange(12, dtype="float32").reshape(4, 3)
MASK = np.array([True, False, True])

# Functions of a (None, 3) tensor: the shape and dtype promised are those that real rows give.
OPERATORS = {
    "x + 1": lambda x: x + 1,
    "1 - x": lambda x: 1 - x,
    "array + x": lambda x: np.ones(3, "float32") + x,
    "jax array * x": lambda x: jnp.ones(3) * x,
    "number * x": lambda x: np.float32(2) * x,
    "variable * x": lambda x: Variable(2.0) * x,
    "x * variable": lambda x: x * Variable(2.0),
    "x / x": lambda x: x / (x + 1),
    "x // 2": lambda x: x // 2,
    "x % 2": lambda x: x % 2,
    "x ** 2": lambda x: x**2,
    "2 ** x": lambda x: 2**x,
    "x @ array": lambda x: x @ np.ones((3, 5), "float32"),
    "-x": lambda x: -x,
    "abs": lambda x: abs(x),
    "x == x": lambda x: x == x,
    "x != 1": lambda x: x != 1,
    "x < 2": lambda x: x < 2,
    "2 <= x": lambda x: x >= 2,
    "&": lambda x: (x > 0) & (x < 1),
    "|": lambda x: (x > 0) | (x < 1),
    "^": lambda x: (x > 0) ^ (x < 1),
    "~": lambda x: ~(x > 0),
    "x[:, 0]": lambda x: x[:, 0],
    "x[..., None]": lambda x: x[..., None],
    "x[0]": lambda x: x[0],
    "x[:, ::2]": lambda x: x[:, ::2],
    "x[:, array]": lambda x: x[:, np.array([0, 2])],
    "x[:, variable]": lambda x: x[
        :, Variable(0).value if isinstance(x, jax.Array) else Variable(0)
    ],
    "x.T": lambda x: x.T,
    "x.reshape": lambda x: x.reshape(-1, 3, 1),
    "x.astype": lambda x: x.astype("float16"),
    "for": lambda x: list(x.T)[1],
    "int / 2": lambda x: x.astype("int32") / 2,
    "bfloat16 + 1.5": lambda x: x.astype("bfloat16") + 1.5,
}


def rows_unknown(shape):
    """The shape, with the size of `X`'s rows as `None`."""
    return tuple(None if n == len(X) else n for n in shape)


@pytest.mark.parametrize("fn", OPERATORS.values(), ids=OPERATORS)
def test_promised_is_what_comes(fn):
    promised, real = fn(KerasTensor((None, 3))), fn(jnp.asarray(X))
    assert (promised.shape, promised.dtype) == (rows_unknown(real.shape), real.dtype.name)


UNKNOWN = {
    "twice the batch": (lambda x: jnp.repeat(x, 2, axis=0), (None, 3)),
    "batch and one": (lambda x: jnp.concatenate([x, x[:1]]), (None, 3)),
    "flattened": (lambda x: x.reshape(-1), (None,)),
    "from the second": (lambda x: x[1:], (None, 3)),
    "gone": (lambda x: x.sum(0), (3,)),
    "branch on the size": (lambda x: x[:5] if x.shape[0] > 5 else x, (5, 3)),
    "same either way": (lambda x: x if x.shape[0] > 5 else x * 2, (None, 3)),
    "outer product": (lambda x: x @ x.T, (None, None)),
    "a nest": (lambda x: {"a": x, "b": (x[:, 0],)}, {"a": (None, 3), "b": ((None,),)}),
}


@pytest.mark.parametrize("fn,wanted", UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_sizes(fn, wanted):
    assert jax.tree.map(lambda t: t.shape, symbolic(fn, "fn")(KerasTensor((None, 3)))) == wanted


def test_unknown_axes_at_one_place_are_one_size_and_at_others_may_differ():
    a, b = KerasTensor((None, 1, 3)), KerasTensor((None, 4, 1))
    assert (a + b).shape == (None, 4, 3)
    assert (KerasTensor((None, None)) @ KerasTensor((None, 5))).shape == (None, 5)


def test_tensors_are_found_in_lists_by_identity():
    a, b, c = KerasTensor((None, 3)), KerasTensor((None, 3)), KerasTensor((None, 4))
    assert a in [c, b, a] and a not in [b, c, None, "a"] and [c, b, a].index(a) == 2
    assert a != b and a == a
    assert (a == b).dtype == (a != b).dtype == "bool"


T = KerasTensor((None, 3))
BAD = {
    "shapes": (lambda: T + KerasTensor((None, 4)), r"(None, 3), (None, 4)"),
    "matmul": (lambda: keras.ops.matmul(T, KerasTensor((4, 5))), "(None, 3), (4, 5)"),
    "index": (lambda: T[:, :, 0], "(None, 3)"),
    "truth": (lambda: bool(T > 0), "use `keras.ops.where` or `keras.ops.cond`"),
    "length": (lambda: len(T), "has no length; use `.shape`"),
    "iteration": (lambda: list(T), "cannot be iterated over its unknown first axis"),
    "number": (lambda: float(T), "has no value"),
    "NumPy": (lambda: np.asarray(T), "cannot become a NumPy array; use `keras.ops`"),
    "JAX": (lambda: jnp.sin(T), "KerasTensor"),
    "assign": (lambda: Variable(np.ones((1, 3))).assign(KerasTensor((1, 3))), "symbolic tensor"),
    "size": (lambda: KerasTensor((-1, 2)), "`shape` must be without negative sizes"),
    "no tuple": (lambda: KerasTensor(3), "a tuple of integers and None; got 3"),
    "dtype": (lambda: KerasTensor((3,), dtype="flaot32"), "Did you mean 'float32'"),
    "source": (lambda: node_of(T), "was made by no layer or op"),
}


@pytest.mark.parametrize("act,text", BAD.values(), ids=BAD)
def test_mistakes_are_told(act, text):
    with pytest.raises((TypeError, ValueError, IndexError)) as caught:
        act()
    assert text in "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])


def test_calls_are_nodes():
    @symbolic
    def mix(pair, *, scale=None):
        return {"sum": pair["a"] + pair["b"], "scaled": pair["a"] * scale}

    a, b, scale = KerasTensor((None, 3)), KerasTensor((None, 3)), KerasTensor((None, 1))
    out = mix({"a": a, "b": b}, scale=scale)
    node = node_of(out["scaled"])
    assert [id(t) for t in node.inputs] == [id(t) for t in (a, b, scale)]
    assert node.structure is out and node.operation.name == "mix"
    args, kwargs = node.fill({id(a): 1, id(b): 2, id(scale): 3})
    assert (args, kwargs) == (({"a": 1, "b": 2},), {"scale": 3})
    assert node_of((a + 1) * 2).inputs[0].shape == (None, 3)


def test_a_symbolic_function_passes_arrays_through():
    double = symbolic(lambda x: x * 2, "double")
    assert (double(3), double.__name__) == (6, "double")
    assert double(Variable(2.0)).tolist() == 4


def test_inference_computes_nothing_and_forgets_what_was_assigned():
    v = Variable(1.0)
    out = infer(lambda x: v.assign_add(x.sum()), KerasTensor((None,)))
    assert (out.shape, float(v)) == ((), 1)


def test_finds_symbolic_tensors_in_nests():
    assert any_symbolic({"a": [1, (T,)]}) and not any_symbolic({"a": [1, (X, Variable(1.0))]})


def test_its_config_is_keras():
    def made(k):
        return k.layers.Dense(2, name="d")(k.layers.Input((3,), name="i"))

    ours = keras.saving.serialize_keras_object(made(keras))
    assert ours == oracle.saving.serialize_keras_object(made(oracle))
