"""What every layer must do, by the public check. A new layer is one line in `layer_cases`."""

import jax
import pytest

from kerasish import layers
from kerasish.core.state.scope import Scope
from kerasish.testing import check_layer
from tests.support.layer_cases import CASES, arguments, parameters

BASES = {"Input", "InputLayer", "InputSpec", "Layer", "Wrapper", "Lambda"}
# Of strings and vocabularies, which Keras' take from TensorFlow: see `tests/layers/test_text.py`.
OF_TEXTS = {"HashedCrossing", "Hashing", "IntegerLookup", "StringLookup", "TextVectorization"}
# Of functions and modules: see `tests/layers/test_jax_layer.py`.
OF_FUNCTIONS = {"FlaxLayer", "JaxLayer"}


@pytest.fixture(params=parameters())
def case(request):
    return request.param


def test_every_public_layer_has_a_line():
    public = {thing for thing in vars(layers).values() if isinstance(thing, type)}
    public -= {getattr(layers, name) for name in BASES | OF_TEXTS | OF_FUNCTIONS}
    named = {getattr(layers, case.name) for case in CASES}
    assert {cls.__name__ for cls in public - named} == set()


def test_does_what_every_layer_must(case):
    check_layer(case.make(layers), case.inputs())


def test_empty_batch_gives_an_empty_batch(case):
    layer, x = case.make(layers), arguments(case.inputs())

    def batch_spec(x):
        with Scope():  # whatever is assigned is forgotten
            return jax.eval_shape(lambda *x: layer(*x), *x)

    real = batch_spec(x)
    empty = jax.tree.map(lambda x: jax.ShapeDtypeStruct((0, *x.shape[1:]), x.dtype), x)
    for one, other in zip(*map(jax.tree.leaves, (batch_spec(empty), real)), strict=True):
        assert one.shape == (0, *other.shape[1:])
