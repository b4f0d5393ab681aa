"""Shapes of ops on symbolic tensors of unknown sizes: of every size, or of the one that fits."""

import keras
import numpy as np
import pytest

import kerasish
from kerasish import KerasTensor, ops


def shapes(found):
    return [tuple(x.shape) for x in (found if isinstance(found, list | tuple) else [found])]


@pytest.mark.parametrize(
    ("op", "given", "arguments"),
    [
        ("add", [(None, 3), (2, None)], {}),
        ("less", [(2, None, 1), (None, 3)], {}),
        ("logical_and", [(None, 3), (2, None)], {}),
        ("matmul", [(None, 3), (None, 4)], {}),
        ("dot", [(None, 2, 3), (None, 2)], {}),
        ("inner", [(None,), (3,)], {}),
        ("linspace", [(None, 3, 4), (2, 3, 4)], {}),
        ("nonzero", [(None, 5, 6)], {}),
        ("nonzero", [(4, 5)], {}),
        ("unique", [(2, 4)], {"axis": 0, "return_index": True, "return_inverse": True}),
        ("unique", [(None, 3)], {"return_inverse": True, "return_counts": True}),
        ("unique", [(2, 4)], {"size": 3}),
        ("split", [(None, 3)], {"indices_or_sections": 2}),
        ("repeat", [(2, 3)], {"repeats": [1, 2], "axis": 0}),
        ("repeat", [(2, 3)], {"repeats": [2]}),
        ("nancumsum", [(2, 3)], {"axis": ()}),
        ("nancumsum", [(None, 3, 3)], {"axis": (1,)}),
    ],
)
def test_shapes_are_keras(op, given, arguments):
    found = [
        getattr(module.ops, op)(*(module.KerasTensor(s) for s in given), **arguments)
        for module in (kerasish, keras)
    ]
    assert shapes(found[0]) == shapes(found[1])


def test_lists_of_unknown_sizes_agree():
    assert ops.vstack([KerasTensor((None, 3)), KerasTensor((None, None))]).shape == (None, 3)
    x = ops.meshgrid(KerasTensor((2, 3)), KerasTensor((4,)))
    assert shapes(x) == [(4, 6), (4, 6)]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda t: ops.add(t((2, 3)), t((4, 3))), "incompatible shapes"),
        (lambda t: ops.matmul(t((None, 3)), t((4, 3))), "same shape"),
        (lambda t: ops.moveaxis(t((2, 3)), 5, 0), "moveaxis: axis 5 is out of bounds"),
        (lambda t: ops.swapaxes(t((2, 3)), 5, 0), "swapaxes: axis 5 is out of bounds"),
        (lambda t: ops.diff(t((2, 3)), axis=9), "diff: axis 9 is out of bounds"),
        (lambda t: ops.split(t((2, 3)), 2, axis=9), "split: axis 9 is out of bounds"),
        (lambda t: ops.concatenate([t((2, 3))], 9), "concatenate: axis 9 is out of bounds"),
        (lambda t: ops.reshape(t((2, 3)), (-2, 3)), "of sizes of at least 0"),
        (lambda t: ops.transpose(t((2, 3)), (0, 0)), "each of 2 axes once"),
        (lambda t: ops.repeat(t((2, 3)), [1, 1, 1], 0), "one for each of 2 elements"),
    ],
)
def test_what_no_size_allows_is_a_value_error(call, text):
    with pytest.raises(ValueError, match=text):
        call(KerasTensor)


@pytest.mark.parametrize("repeats", [2, [2], [1, 0, 2], np.array([1, 0, 2])])
def test_repeats_of_known_numbers_compile(repeats):
    x = np.array([5, 6, 7])
    found = kerasish.jit(lambda x: ops.repeat(x, repeats))(x)
    np.testing.assert_array_equal(found, np.repeat(x, repeats))


@pytest.mark.parametrize(
    ("x", "weights"), [("bfloat16", "int16"), ("int8", "int32"), ("int8", None)]
)
def test_averages_have_keras_dtype(x, weights):
    found = [
        m.ops.average(m.ops.ones((2, 3), x), weights=weights and m.ops.ones((2, 3), weights))
        for m in (kerasish, keras)
    ]
    assert found[0].dtype == found[1].dtype
