"""Ops on JAX's sparse matrices: the values of arrays, sparse where Keras keeps them so."""

import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.sparse import BCOO

import kerasish
from kerasish import KerasTensor, ops
from kerasish.core.sparse import is_sparse

A = np.array([[1, 0, -0.7], [0, 0.2, -1], [0, 0, 0]], "float32")
B = np.array([[0, 2, 3], [0, 1, 0], [0, 0, 4]], "float32")


def sparse(x, kind="plain"):
    options = {"plain": {}, "rows": {"n_dense": 1}, "batch": {"n_batch": 1}}
    return BCOO.fromdense(jnp.asarray(x), **options[kind])


def same(found, wanted, stays):
    np.testing.assert_allclose(ops.convert_to_numpy(found), wanted, rtol=1e-6)
    assert is_sparse(found) == stays


@pytest.mark.parametrize("kind", ["plain", "rows"])
@pytest.mark.parametrize(
    ("op", "arguments", "stays"),
    [
        ("abs", {}, True),
        ("tanh", {}, True),
        ("relu", {}, True),
        ("cast", {"dtype": "int32"}, True),
        ("digitize", {"bins": np.array([0.1, 0.9])}, True),
        ("cos", {}, False),
        ("softmax", {}, False),
        ("sum", {}, True),
        ("sum", {"axis": 1, "keepdims": True}, True),
        ("mean", {"axis": (0, 1)}, True),
        ("mean", {"axis": 0, "keepdims": True}, True),
        ("max", {}, False),
        ("reshape", {"newshape": (-1,)}, True),
        ("expand_dims", {"axis": 0}, True),
        ("transpose", {}, True),
    ],
)
def test_of_one(op, arguments, stays, kind):
    function = getattr(ops, op)
    same(function(sparse(A, kind), **arguments), function(A, **arguments), stays)
    assert function(KerasTensor(A.shape, sparse=True), **arguments).sparse == stays


# Whether the result of two sparse ones, of the first and of the second alone is sparse.
@pytest.mark.parametrize("kind", ["plain", "rows", "batch"])
@pytest.mark.parametrize(
    ("op", "both", "first", "second"),
    [
        ("add", True, False, False),
        ("subtract", True, False, False),
        ("maximum", True, False, False),
        ("minimum", True, False, False),
        ("multiply", True, True, True),
        ("divide", False, True, False),
    ],
)
def test_of_two(op, both, first, second, kind):
    function, a, b = getattr(ops, op), sparse(A, kind), sparse(B, kind)
    wanted = function(A, B)
    same(function(a, b), wanted, both)
    same(function(a, B), wanted, first)
    same(function(A, b), wanted, second)
    for x, y, stays in ((True, True, both), (True, False, first), (False, True, second)):
        tensors = KerasTensor((None, 3), sparse=x), KerasTensor((None, 3), sparse=y)
        assert function(*tensors).sparse == stays


def test_a_scalar_broadcasts():
    same(ops.multiply(sparse(A), 2.0), A * 2, True)
    same(ops.multiply(sparse(A), B[:1]), A * B[:1], True)
    same(ops.multiply(sparse(A[:1]), B), A[:1] * B, False)
    same(ops.add(sparse(A), 1.0), A + 1, False)


def test_bins_below_zero_leave_no_zeros():
    bins = np.array([-0.9, 0.9])
    same(ops.digitize(sparse(A), bins), np.digitize(A, bins), False)


@pytest.mark.parametrize("size", [2, None])
def test_symbols_know_what_is_made_sparse(size):
    x = KerasTensor((size, 3), "int32")
    for found in (ops.one_hot(x, 4, sparse=True), ops.one_hot(x, 4)):
        assert found.shape == (size, 3, 4)
    assert ops.one_hot(x, 4, sparse=True).sparse and not ops.one_hot(x, 4).sparse


def test_products_and_lists():
    same(ops.matmul(sparse(A), sparse(B)), A @ B, True)
    same(ops.matmul(sparse(A), B), A @ B, False)
    same(ops.concatenate([sparse(A), sparse(B)], 1), np.concatenate([A, B], 1), True)
    same(ops.concatenate([sparse(A), B], 1), np.concatenate([A, B], 1), False)


def test_positions_that_occur_twice_add_up_first():
    twice = BCOO((jnp.array([1.0, 2.0, -4.0]), jnp.array([[0], [0], [2]])), shape=(3,))
    same(ops.square(twice), [9, 0, 16], True)
    same(ops.multiply(twice, np.array([1.0, 2.0, 3.0])), [3, 0, -12], True)


def test_in_compiled_functions():
    same(kerasish.jit(ops.add)(sparse(A), sparse(B)), A + B, True)
    same(kerasish.jit(ops.divide)(sparse(A), B), ops.divide(A, B), False)
