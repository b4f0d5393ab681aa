"""Every op against Keras 3's: value, dtype, shape, gradient, and the symbolic call."""

import functools
import inspect
import itertools
import operator
import warnings

import jax
import jax.export
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from kerasish import ops
from kerasish.core.state.variable import Variable
from kerasish.core.symbolic.keras_tensor import KerasTensor
from tests.support.op_cases import CASES

BATCH = 5


def find(family, name):
    return functools.reduce(getattr, name.split("."), family)


def with_arrays(args, swap):
    is_array = lambda leaf: isinstance(leaf, np.ndarray)  # noqa: E731
    return jax.tree.map(lambda x: swap(x) if is_array(x) else x, args)


def numbers(result):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(result)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_agrees_with_keras(case):
    real = find(ops, case.name)(*case.args, **case.kwargs)
    if any(isinstance(leaf, jax.Array | np.ndarray) for leaf in jax.tree.leaves(real)):
        wanted = of_keras(case)
        assert len(numbers(real)) == len(numbers(wanted))
        for a, b in zip(numbers(real), numbers(wanted), strict=True):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=case.rtol, atol=case.rtol)
    else:
        wanted = find(keras.ops, case.name)(*case.args, **case.kwargs)
        assert real == wanted
        assert type(real) is type(wanted)


# Those of Keras' ops that fail, or warn, when they are traced.
UNTRACED = {"image.elastic_transform", "normalize", "rearrange"}


TRACED = [case for case in CASES if case.symbolic and case.name not in UNTRACED]
PLACES = {id(case): i for i, case in enumerate(TRACED)}
CHUNK = 10  # cases compiled together: one program each would take minutes


def of_keras(case):
    """Keras' results; those of a program, where they can be, for its ops one by one take long."""
    if id(case) not in PLACES:
        return find(keras.ops, case.name)(*case.args, **case.kwargs)
    start, place = divmod(PLACES[id(case)], CHUNK)
    return of_a_chunk_of_keras(start * CHUNK)[place]


@functools.cache
def of_a_chunk_of_keras(start):
    """The results of some cases, by one program."""
    cases = TRACED[start : start + CHUNK]
    pairs = [on_arrays(find(keras.ops, case.name), case, lambda x: True) for case in cases]
    runs, arrays = zip(*pairs, strict=True)
    return jax.jit(lambda arrays: [run(a) for run, a in zip(runs, arrays, strict=True)])(arrays)


def on_arrays(op, case, chosen):
    """A case as a function of the list of its chosen arrays, and that list."""
    leaves, tree = jax.tree.flatten((case.args, case.kwargs))
    places = [i for i, x in enumerate(leaves) if isinstance(x, np.ndarray) and chosen(x)]

    def run(arrays):
        filled = list(leaves)
        for place, array in zip(places, arrays, strict=True):
            filled[place] = array
        args, kwargs = jax.tree.unflatten(tree, filled)
        return op(*args, **kwargs)

    return run, [leaves[i] for i in places]


def gradient(family, case):
    """A function of a case's float arrays: the gradient of a weighted sum of the op's results."""
    run, arrays = on_arrays(find(family, case.name), case, lambda x: x.dtype == "float32")

    def total(values):
        results = [r for r in jax.tree.leaves(run(values)) if hasattr(r, "dtype")]
        results = [jnp.abs(r) if jnp.iscomplexobj(r) else r for r in results if r.dtype != bool]
        # Weights that differ, or the gradient of a softmax would be 0.
        return sum(jnp.sum(r * jnp.cos(jnp.arange(r.size).reshape(r.shape))) for r in results)

    return jax.grad(total), arrays


SMOOTH = [case for case in CASES if case.grad]


@pytest.mark.parametrize("start", range(0, len(SMOOTH), CHUNK))
def test_gradients_agree_with_keras(start):
    cases = SMOOTH[start : start + CHUNK]
    ours, theirs = ([gradient(family, case) for case in cases] for family in (ops, keras.ops))
    values = [values for _, values in ours]
    pairs = list(zip(ours, theirs, strict=True))

    @jax.jit
    def both(values):
        return [(a(v), b(v)) for ((a, _), (b, _)), v in zip(pairs, values, strict=True)]

    for case, (got, wanted) in zip(cases, both(values), strict=True):
        for a, b in zip(got, wanted, strict=True):
            tolerance = {"rtol": 10 * case.rtol, "atol": 10 * case.rtol}
            np.testing.assert_allclose(a, b, **tolerance, err_msg=case.id)


@pytest.mark.parametrize("case", [c for c in CASES if c.symbolic], ids=lambda case: case.id)
def test_symbolic_call_promises_the_real_shape(case):
    op = find(ops, case.name)

    def tensor(x):
        batched = x.ndim > 0 and x.shape[0] == BATCH
        return KerasTensor((None, *x.shape[1:]) if batched else x.shape, x.dtype.name)

    promised = op(*with_arrays(case.args, tensor), **with_arrays(case.kwargs, tensor))
    real = op(*case.args, **case.kwargs)
    for a, b in zip(jax.tree.leaves(promised), jax.tree.leaves(real), strict=True):
        b = jnp.asarray(b)
        assert a.dtype == b.dtype.name
        assert len(a.shape) == b.ndim
        assert all(n is None or n == m for n, m in zip(a.shape, b.shape, strict=True))


# -- names and signatures

FAMILIES = ("ops", "ops.numpy", "ops.nn", "ops.linalg", "ops.image")
NO_TABLE_LINE = set(
    """associative_scan cond custom_gradient fori_loop map scan switch vectorized_map while_loop
    convert_to_numpy is_tensor jvp vectorize sparsemax image linalg nn numpy""".split()
)


def parameters(function):
    """What a signature says but for annotations, which Keras' ops have none of."""
    found = inspect.signature(function).parameters.values()
    return [str(p.replace(annotation=p.empty)) for p in found]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_public_name_is_here_with_its_signature(family):
    theirs = operator.attrgetter(family)(keras)
    ours = operator.attrgetter(family.removeprefix("ops").strip("."))(ops) if "." in family else ops
    for name in (n for n in dir(theirs) if not n.startswith("_")):
        op, wanted = getattr(ours, name), getattr(theirs, name)
        if callable(wanted):
            assert op.__name__ == name
            assert op.__doc__
            if name != "custom_gradient":
                assert parameters(op) == parameters(wanted)
    assert sorted(ours.__all__) == [n for n in dir(theirs) if not n.startswith("_")]


def test_every_op_has_a_table_line():
    tested = {case.name for case in CASES}
    listed = {*ops.__all__, *(f"image.{name}" for name in ops.image.__all__)}
    assert listed - tested == NO_TABLE_LINE


def test_variables_are_taken_where_arrays_are():
    v = Variable(np.ones((1, 4, 4, 2), "float32"))
    kernel = Variable(np.ones((2, 2, 2, 3), "float32"))
    assert ops.conv(v, kernel).shape == (1, 3, 3, 3)
    assert ops.max_pool(v, 2).shape == (1, 2, 2, 2)
    assert ops.slice(v, (0, 0, 0, 0), (1, 2, 2, 1)).shape == (1, 2, 2, 1)
    assert ops.concatenate([v, v], axis=-1).shape == (1, 4, 4, 4)
    assert float(ops.sum(v)) == 32
    assert float(ops.convert_to_tensor(v)[0, 0, 0, 0]) == 1


# -- what the table cannot say


def test_the_unknown_batch_of_a_symbolic_tensor_is_a_size_too():
    def flat(x):
        return ops.reshape(x, (ops.shape(x)[0], -1))

    def wide(x):
        return ops.broadcast_to(x, (2, ops.shape(x)[0], 3))

    x, y = KerasTensor((None, None, 3)), KerasTensor((None, 1))
    assert flat(x).shape == (None, None)
    assert wide(y).shape == (2, None, 3)
    assert flat(np.ones((2, 4, 3))).shape == (2, 12)
    assert ops.reshape(np.ones((2, 4, 3)), (None, 12)).shape == (2, 12)


def test_symbolic_images_of_unknown_size():
    x = KerasTensor((None, None, None, 4))
    kernel = np.ones((3, 3, 4, 4), "float32")
    assert ops.max_pool(x, 2).shape == x.shape
    assert ops.average_pool(x, 3, 2, "same").shape == x.shape
    assert ops.conv(x, kernel, padding="same").shape == x.shape
    assert ops.conv_transpose(x, kernel, 2, "same").shape == x.shape
    assert ops.depth_to_space(x, 2).shape == (None, None, None, 1)
    assert ops.image.resize(x, (6, 7)).shape == (None, 6, 7, 4)
    assert ops.image.pad_images(x, 1, 1, 1, 1).shape == x.shape


def test_pools_export_for_any_batch_and_device():
    (batch,) = jax.export.symbolic_shape("b")
    pool = jax.jit(lambda x: ops.max_pool(x, 2))
    shape = jax.ShapeDtypeStruct((batch, 4, 4, 1), "float32")
    exported = jax.export.export(pool, platforms=("cpu", "cuda"))(shape)
    assert exported.call(np.ones((3, 4, 4, 1), "float32")).shape == (3, 2, 2, 1)


def test_pools_have_forward_derivatives():
    x = np.random.default_rng(0).normal(size=(1, 4, 4, 1)).astype("float32")
    pool = lambda x: ops.max_pool(x, 3, 1)  # noqa: E731
    np.testing.assert_array_equal(*jax.jit(lambda x: (jax.jacfwd(pool)(x), jax.jacrev(pool)(x)))(x))


def test_max_pool_gives_the_gradient_to_the_first_of_equals():
    x = jnp.asarray(np.random.default_rng(0).integers(0, 2, (2, 8, 6, 3)).astype("float32"))
    weights = jnp.arange(2 * 4 * 3 * 3).reshape(2, 4, 3, 3)
    for options in ((2, 2), (3, 2, "same"), ((2, 1), (2, 2), "same")):

        def total(x, pool, options=options):
            y = pool(x, *options)
            return jnp.nansum(y * weights), y

        def both(x, total=total):
            pools = (ops.max_pool, keras.ops.max_pool)
            return [jax.grad(lambda x, p=p: total(x, p), has_aux=True)(x) for p in pools]

        run = jax.jit(both)
        for ones in (x, x.at[0, 0].set(jnp.nan)):
            jax.tree.map(np.testing.assert_array_equal, *run(ones))


def test_pools_step_by_their_window_unless_told():
    x = np.ones((1, 4, 6, 1))
    assert ops.max_pool(x, (2, 3)).shape == ops.average_pool(x, (2, 3)).shape == (1, 2, 2, 1)


def test_pools_of_integers():
    x = np.arange(16, dtype="int32").reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(ops.max_pool(x, 2)[0, ..., 0], [[5, 7], [13, 15]])


def best_alignments(logits, count, blank):
    """The probability of each label sequence: all alignments, one by one."""
    probabilities = np.exp(logits - np.logaddexp.reduce(logits, -1, keepdims=True))
    totals = {}
    for alignment in itertools.product(range(logits.shape[1]), repeat=count):
        merged = [c for c, _ in itertools.groupby(alignment) if c != blank]
        weight = np.prod([probabilities[t, c] for t, c in enumerate(alignment)])
        totals[tuple(merged)] = totals.get(tuple(merged), 0.0) + weight
    return sorted(totals.items(), key=lambda pair: -pair[1])


def test_beam_search_finds_the_likeliest_sequences():
    logits = np.random.default_rng(3).normal(size=(3, 5, 4)).astype("float32")
    lengths = np.array([5, 4, 5])
    options = {"strategy": "beam_search", "beam_width": 400, "top_paths": 3, "mask_index": 1}
    paths, scores = jax.jit(lambda x: ops.ctc_decode(x, lengths, **options))(logits)
    for b in range(3):
        for k, (labels, weight) in enumerate(best_alignments(logits[b], lengths[b], 1)[:3]):
            assert [n for n in np.asarray(paths[k, b]) if n >= 0] == list(labels)
            np.testing.assert_allclose(scores[b, k], np.log(weight), rtol=1e-4)


def test_narrow_beam_search_agrees_with_keras():
    logits = np.random.default_rng(4).normal(size=(2, 6, 4)).astype("float32") * 2
    options = {"strategy": "beam_search", "beam_width": 4, "top_paths": 2, "mask_index": 0}
    ours, theirs = (
        jax.jit(lambda x, o=o: o.ctc_decode(x, np.array([6, 4]), **options))(logits)
        for o in (ops, keras.ops)
    )
    np.testing.assert_array_equal(ours[0], theirs[0])
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-5)


@pytest.mark.parametrize("axis", [0, -1])
def test_sparsemax_is_the_nearest_point_of_the_simplex(axis):
    x = np.random.default_rng(0).normal(size=(4, 6)).astype("float32")
    nearest = np.moveaxis(np.asarray(ops.sparsemax(x, axis=axis)), axis, -1)
    rows = np.moveaxis(x, axis, -1)
    np.testing.assert_allclose(nearest.sum(-1), 1, rtol=1e-5)
    for row, point in zip(rows, nearest, strict=True):
        others = np.random.default_rng(1).dirichlet(np.ones(row.size) / 2, 500)
        distances = ((others - row) ** 2).sum(-1)
        assert ((point - row) ** 2).sum() <= distances.min() + 1e-6


def test_jvp_and_vectorize():
    value, slope = ops.jvp(jnp.sin, (0.5,), (2.0,))
    np.testing.assert_allclose([value, slope], [np.sin(0.5), 2 * np.cos(0.5)], rtol=1e-6)
    assert ops.vectorize(lambda a, b: a + b)(np.ones(3), 2.0).shape == (3,)


def test_istft_undoes_stft():
    x = np.random.default_rng(0).normal(size=(2, 64)).astype("float32")
    back = ops.istft(ops.stft(x, 16, 4, 16), 16, 4, 16, length=64)
    np.testing.assert_allclose(back, x, atol=1e-5)


def test_sparse_results():
    x = np.array([[1, 0], [2, 2]])
    for ours, theirs in (
        (ops.one_hot(x, 3, sparse=True), ops.one_hot(x, 3)),
        (ops.multi_hot(x, 3, sparse=True), ops.multi_hot(x, 3)),
        (ops.bincount(x, sparse=True), ops.bincount(x)),
    ):
        assert ops.is_tensor(ours)
        np.testing.assert_array_equal(ops.convert_to_numpy(ours), theirs)
        np.testing.assert_array_equal(ops.convert_to_tensor(ours, sparse=False), theirs)


def test_conversions():
    assert ops.is_tensor(jnp.ones(2)) and not ops.is_tensor(np.ones(2))
    assert not ops.is_tensor(Variable(1.0))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ops.convert_to_tensor(np.ones(2, "float64"), "float64").dtype == "float32"
    given = ops.convert_to_numpy(jnp.ones(2))
    given[0] = 2
    assert isinstance(given, np.ndarray)
    assert ops.convert_to_tensor([1.0, 2.0], "bfloat16").dtype == "bfloat16"


BAD = {
    "multi_hot: `num_classes` must be given": lambda: ops.multi_hot([1, 2]),
    "conv: `padding` must be 'valid' or 'same'": lambda: ops.conv(
        np.ones((1, 4, 1)), np.ones((2, 1, 1)), padding="full"
    ),
    "conv: `inputs` must be large enough": lambda: ops.conv(np.ones((1, 2, 1)), np.ones((3, 1, 1))),
    "cholesky: `x` must be positive definite": lambda: ops.cholesky(-np.eye(2)),
    "inv: `x` must be square": lambda: ops.inv(np.ones((2, 3))),
    "where: give both": lambda: ops.where(True, 1),
    "reshape: `newshape` must be without more": lambda: ops.reshape(np.ones(4), (-1, -1)),
    "normalize: `order` must be an integer": lambda: ops.normalize(np.ones(4), order=0.5),
    "rearrange: `pattern` must be": lambda: ops.rearrange(np.ones((2, 2)), "a b -> a c"),
    "fft: `x` must be a pair": lambda: ops.fft(np.ones(4)),
    "pad_images: give exactly two": lambda: ops.image.pad_images(np.ones((4, 4, 1)), 1, 1),
    "crop_images: `target_height` must be": lambda: ops.image.crop_images(
        np.ones((4, 4, 1)), 1, 1, None, 1, -3, None
    ),
    "resize: `interpolation` must be one of": lambda: ops.image.resize(
        np.ones((4, 4, 1)), (2, 2), interpolation="area"
    ),
    "ctc_decode: `strategy` must be": lambda: ops.ctc_decode(np.ones((1, 2, 3)), [2], "best"),
    "scatter_update: `reduction` must be": lambda: ops.scatter_update(
        np.ones(3), [[0]], [1.0], reduction="mean"
    ),
}


@pytest.mark.parametrize("text", BAD)
def test_bad_arguments_say_what_is_wanted(text):
    with pytest.raises(ValueError) as error:
        BAD[text]()
    assert str(error.value).startswith(text)


def test_softmax_over_one_entry_warns():
    with pytest.warns(UserWarning, match="Did you mean `sigmoid`"):
        ops.softmax(np.ones((3, 1)))
