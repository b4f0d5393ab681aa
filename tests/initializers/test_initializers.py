"""Initializers: the numbers Keras 3 starts from, the distributions they promise, configs, names."""

import math

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from kerasish import initializers, random
from kerasish.core.state.compiled import jit
from kerasish.core.state.seeds import set_random_seed
from kerasish.core.state.variable import Variable
from kerasish.initializers import host_random
from kerasish.initializers.random import compute_fans

pytestmark = pytest.mark.exact

# A row each: name, arguments, shape.
RANDOM = [
    ("RandomNormal", {}, (40, 30)),
    ("RandomNormal", {"mean": 1.0, "stddev": 0.1}, (40, 30)),
    ("RandomUniform", {}, (40, 30)),
    ("RandomUniform", {"minval": -0.3, "maxval": 0.7}, (40, 30)),
    ("TruncatedNormal", {}, (40, 30)),
    ("TruncatedNormal", {"mean": 1.0, "stddev": 0.1}, (40, 30)),
    ("GlorotUniform", {}, (40, 30)),
    ("GlorotNormal", {}, (3, 3, 16, 8)),
    ("HeUniform", {}, (3, 3, 16, 8)),
    ("HeNormal", {}, (40, 30)),
    ("LecunUniform", {}, (40, 30)),
    ("LecunNormal", {}, (5,)),
    ("LecunNormal", {}, ()),
    ("GlorotUniform", {"input_axes": [0], "output_axes": [1, 2]}, (32, 4, 8)),
    ("VarianceScaling", {}, (40, 30)),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_out", "distribution": "uniform"}, (40, 30)),
    ("VarianceScaling", {"distribution": "untruncated_normal"}, (40, 30)),
    ("VarianceScaling", {"distribution": "Normal", "mode": "fan_avg"}, (40, 30)),
    ("Orthogonal", {}, (20, 30)),
    ("Orthogonal", {"gain": 2.0}, (3, 3, 8, 4)),
]
CONSTANT = [
    ("Zeros", {}, (3, 4)),
    ("Ones", {}, (3, 4)),
    ("Constant", {}, (3, 4)),
    ("Constant", {"value": 2.5}, (3, 4)),
    ("Constant", {"value": [1.0, 2.0]}, (3, 2)),
    ("Identity", {}, (3, 3)),
    ("Identity", {"gain": 0.5}, (3, 4)),
    ("STFT", {}, (16, 1, 9)),
    ("STFT", {"side": "imag", "window": "hamming", "scaling": "spectrum"}, (16, 1, 17)),
    ("STFT", {"window": None}, (16, 1, 9)),
    ("STFT", {"scaling": None, "periodic": True}, (16, 1, 9)),
]
CASES = [*RANDOM, *CONSTANT]


def ids(cases):
    return [f"{i}-{name}" for i, (name, _, _) in enumerate(cases)]


def both(name, kwargs):
    return getattr(initializers, name)(**kwargs), getattr(keras.initializers, name)(**kwargs)


@pytest.mark.parametrize(("name", "kwargs", "shape"), RANDOM, ids=ids(RANDOM))
def test_random_values_are_keras(name, kwargs, shape):
    ours, theirs = both(name, {**kwargs, "seed": 1337})
    ours, theirs = ours(shape), theirs(shape)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    if "Uniform" in name or kwargs.get("distribution") == "uniform":
        np.testing.assert_array_equal(ours, theirs)
    else:
        np.testing.assert_allclose(
            ours, theirs, rtol=1e-6, atol=2e-6 if name == "Orthogonal" else 1e-7
        )


@pytest.mark.parametrize(("name", "kwargs", "shape"), CONSTANT, ids=ids(CONSTANT))
def test_constant_values_are_keras(name, kwargs, shape):
    ours, theirs = both(name, kwargs)
    ours, theirs = ours(shape), theirs(shape)
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize(("name", "kwargs", "shape"), CASES, ids=ids(CASES))
def test_config_is_keras(name, kwargs, shape):
    for seed in [None, 3] if (name, kwargs, shape) in RANDOM else [None]:
        given = kwargs if seed is None else {**kwargs, "seed": seed}
        ours, theirs = both(name, given)
        data, expected = initializers.serialize(ours), keras.initializers.serialize(theirs)
        if name == "Identity":  # Keras forgets the gain
            expected["config"] = {"gain": ours.gain}
        assert data == expected
        assert type(keras.initializers.deserialize(data)) is type(theirs)
        again = initializers.deserialize(data)
        assert type(again) is type(ours)
        assert again.get_config() == ours.get_config() == ours.clone().get_config()


def assert_alike(ours, theirs):
    """The same numbers; in float16 to some roundings of the largest.

    On processors without arithmetic of 16 bits XLA rounds float16 less often than on others.
    """
    ours, theirs = (np.asarray(x) for x in (ours, theirs))
    assert ours.dtype == theirs.dtype
    largest = float(np.max(np.abs(theirs)))
    atol = 4 * np.finfo("float16").eps * largest if ours.dtype == "float16" else 0
    wide = ours.astype("float32"), theirs.astype("float32")
    np.testing.assert_allclose(*wide, rtol=0, atol=atol)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["RandomNormal", "RandomUniform", "TruncatedNormal"])
def test_16_bits_are_keras(name, dtype):
    ours, theirs = both(name, {"seed": 3})
    assert_alike(ours((500,), dtype), theirs((500,), dtype))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "int32", "bool"])
@pytest.mark.parametrize("name", ["Zeros", "Ones", "Constant"])
def test_constants_of_any_type(name, dtype):
    ours, theirs = both(name, {})
    assert ours((2, 3), dtype).dtype == theirs((2, 3), dtype).dtype == dtype


def test_float64_where_jax_allows_it():
    jax.config.update("jax_enable_x64", True)
    for name in ("GlorotUniform", "HeNormal", "Orthogonal", "Zeros"):
        values = initializers.get(name)((50, 20), "float64")
        assert values.dtype == "float64"
    jax.config.update("jax_enable_x64", False)
    assert initializers.get("zeros")((2,), "float64").dtype == "float32"


def test_set_random_seed_starts_from_keras_weights():
    names = ("glorot_uniform", "zeros", "he_normal", "orthogonal", "random_normal")

    def draw(library):
        return [library.get(name)((6, 5)) for name in names]

    set_random_seed(42)
    ours = draw(initializers)
    keras.utils.set_random_seed(42)
    for mine, theirs in zip(ours, draw(keras.initializers), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=2e-6)


def test_seeds():
    fixed = initializers.RandomUniform(seed=1)
    np.testing.assert_array_equal(fixed((5,)), fixed((5,)))
    unseeded = initializers.RandomUniform()
    np.testing.assert_array_equal(unseeded((5,)), unseeded((5,)))
    assert not np.any(unseeded.clone()((5,)) == unseeded((5,)))


def test_generator_advances_as_in_keras():
    ours = initializers.GlorotUniform(random.SeedGenerator(3))
    theirs = keras.initializers.GlorotUniform(keras.random.SeedGenerator(3))
    for _ in range(2):
        np.testing.assert_array_equal(ours((4, 4)), theirs((4, 4)))
    data = initializers.serialize(ours)
    np.testing.assert_array_equal(
        initializers.deserialize(data)((4, 4)),
        initializers.GlorotUniform(random.SeedGenerator(3))((4, 4)),
    )


# -- drawing on the host


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1])
def test_host_numbers_are_jax(seed, dtype):
    shape = (70_000,)  # more than two blocks
    key = jnp.asarray(np.array([seed, 0], dtype="uint32"))
    assert_alike(
        host_random.uniform(shape, -0.3, 0.5, dtype, seed),
        jax.random.uniform(key, shape, dtype, -0.3, 0.5),
    )
    pairs = [
        (host_random.normal, jax.random.normal(key, shape, dtype)),
        (host_random.truncated_normal, jax.random.truncated_normal(key, -2.0, 2.0, shape, dtype)),
    ]
    for draw, expected in pairs:
        drawn = draw(shape, 0.0, 1.0, dtype, seed)
        if dtype == "float16":
            assert_alike(drawn, expected)
            continue
        assert drawn.dtype == expected.dtype
        ulp = np.spacing(np.abs(np.asarray(expected)))
        difference = np.abs(drawn.astype("float64") - np.asarray(expected, "float64"))
        assert np.max(difference / ulp.astype("float64")) <= 4


def test_large_arrays_are_drawn_by_jax(monkeypatch):
    calls = [
        lambda: initializers.RandomNormal(1.0, 0.1, seed=3)((500,)),
        lambda: initializers.RandomUniform(seed=3)((500,)),
        lambda: initializers.TruncatedNormal(1.0, 0.1, seed=3)((500,)),
    ]
    on_host = [call() for call in calls]
    monkeypatch.setattr(host_random, "_LARGE", 500)
    for call, expected in zip(calls, on_host, strict=True):
        drawn = call()
        assert isinstance(drawn, jax.Array)
        np.testing.assert_allclose(drawn, expected, rtol=1e-6)


def test_compiles_nothing():
    with jax.no_tracing():
        for name, kwargs, shape in CASES:
            getattr(initializers, name)(**kwargs)(shape)


def test_generator_advances_in_a_compiled_function():
    ours = initializers.RandomUniform(seed=random.SeedGenerator(1))
    drawn = jit(lambda: ours((4,)))
    theirs = initializers.RandomUniform(seed=random.SeedGenerator(1))
    for _ in range(2):
        np.testing.assert_allclose(drawn(), theirs((4,)), rtol=1e-6)


# -- distributions


@pytest.mark.parametrize(
    ("make", "shape", "variance"),
    [
        (initializers.GlorotUniform, (300, 100), 2 / 400),
        (initializers.GlorotNormal, (300, 100), 2 / 400),
        (initializers.HeUniform, (300, 100), 2 / 300),
        (initializers.HeNormal, (3, 3, 30, 100), 2 / 270),
        (initializers.LecunUniform, (300, 100), 1 / 300),
        (initializers.LecunNormal, (300, 100), 1 / 300),
        (initializers.RandomNormal, (300, 100), 0.05**2),
        (initializers.RandomUniform, (300, 100), 0.1**2 / 12),
        (initializers.TruncatedNormal, (300, 100), (0.05 * 0.8796) ** 2),
    ],
)
def test_variance_is_as_promised(make, shape, variance):
    values = make(seed=1)(shape)
    assert values.mean() == pytest.approx(0, abs=4 * math.sqrt(variance / values.size))
    assert values.var() == pytest.approx(variance, rel=0.03)


def test_normal_numbers_are_normal():
    values = np.sort(host_random.normal((200_000,), 0.0, 1.0, "float32", 5))
    below = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in values[::1000]])
    assert np.max(np.abs(below - np.arange(0, 1, 1 / 200))) < 0.005  # Kolmogorov and Smirnov's


@pytest.mark.parametrize("shape", [(20, 20), (5, 20), (20, 5), (3, 3, 2, 4)])
def test_orthogonal_is_orthogonal(shape):
    q = initializers.Orthogonal(seed=1)(shape).reshape(-1, shape[-1])
    product = q @ q.T if q.shape[0] < q.shape[1] else q.T @ q
    np.testing.assert_allclose(product, np.eye(min(q.shape)), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "axes", "fans"),
    [
        ((), (), (1, 1)),
        ((5,), (), (5, 5)),
        ((3, 4), (), (3, 4)),
        ((2, 3, 5, 7), (), (30, 42)),
        ((512, 8, 64), ([0], [1, 2]), (512, 512)),
        ((512, 8, 64), ([0, 1], [2]), (4096, 64)),
    ],
)
def test_fans(shape, axes, fans):
    assert compute_fans(shape, *axes) == fans


# -- names and own initializers


@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        ("glorot_uniform", initializers.GlorotUniform),
        ("GlorotUniform", initializers.GlorotUniform),
        ("he_normal", initializers.HeNormal),
        ("normal", initializers.RandomNormal),
        ("uniform", initializers.RandomUniform),
        ("zero", initializers.Zeros),
        ("zeros", initializers.Zeros),
        ("one", initializers.Ones),
        ("stft", initializers.STFT),
        ("STFTInitializer", initializers.STFT),
        ("identity", initializers.Identity),
        ("IdentityInitializer", initializers.Identity),
        ("OrthogonalInitializer", initializers.Orthogonal),
        (initializers.Zeros, initializers.Zeros),
        ({"class_name": "Constant", "config": {"value": 3}}, initializers.Constant),
        (None, type(None)),
    ],
)
def test_get(identifier, kind):
    assert type(initializers.get(identifier)) is kind


def test_functions_and_arrays_are_initializers():
    def sevens(shape, dtype=None):
        return np.full(shape, 7, dtype)

    assert initializers.get(sevens) is sevens
    for given in (np.eye(3), jnp.eye(3)):
        initializer = initializers.get(given)
        np.testing.assert_array_equal(initializer((3, 3)), np.eye(3))
        again = initializers.deserialize(initializers.serialize(initializer))
        np.testing.assert_array_equal(again((3, 3), "float16"), np.eye(3))


def test_own_initializer_needs_only_call():
    class Scaled(initializers.Initializer):
        def __init__(self, scale):
            self.scale = scale

        def __call__(self, shape, dtype=None):
            return np.full(shape, self.scale, dtype)

    assert Scaled(3.0).clone().get_config() == {"scale": 3.0}
    data = initializers.serialize(Scaled(3.0))
    assert initializers.deserialize(data, {"Scaled": Scaled}).scale == 3
    assert Variable(Scaled(3.0), shape=(2,)).numpy().tolist() == [3, 3]


def test_variables_start_from_them():
    for name, kwargs, shape in CASES:
        initializer = getattr(initializers, name)(**kwargs)
        np.testing.assert_array_equal(Variable(initializer, shape), initializer(shape))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda: initializers.get("glorot_unifrom"),
            r"Unknown initializer 'glorot_unifrom'. Did y",
        ),
        (lambda: initializers.get("he_norm"), r"Did you mean 'he_normal'\?"),
        (
            lambda: initializers.VarianceScaling(-1),
            "VarianceScaling: `scale` must be positive; got",
        ),
        (lambda: initializers.VarianceScaling(mode="fan"), r"`mode` must be one of \('fan_in', 'f"),
        (lambda: initializers.VarianceScaling(distribution="x"), "`distribution` must be one of"),
        (
            lambda: initializers.RandomNormal(seed="x"),
            "RandomNormal: `seed` must be an integer, a S",
        ),
        (
            lambda: initializers.RandomNormal(seed=-1),
            r"`seed` must be from 0 to 2\*\*32 - 1; got -1",
        ),
        (lambda: initializers.Identity()((2,)), r"Identity: `shape` must be of 2 axes; got \(2,\)"),
        (lambda: initializers.Orthogonal()((2,)), r"Orthogonal: `shape` must be of 2 axes or more"),
        (
            lambda: initializers.Constant([1, 2])((3,)),
            r"Constant: `shape` must be one that \(2,\) fi",
        ),
        (lambda: initializers.STFT("left"), "STFT: `side` must be 'real' or 'imag'; got 'left'"),
        (lambda: initializers.STFT(scaling="x"), "`scaling` must be 'density', 'spectrum' or None"),
        (
            lambda: initializers.STFT(window="x"),
            "`window` must be the name of one of `scipy.signal`'s",
        ),
        (lambda: initializers.STFT(window=[1.0])((2, 1, 3)), r"`window` must be of shape \(2,\)"),
    ],
)
def test_bad_arguments(make, text):
    with pytest.raises(ValueError, match=text):
        make()


def test_base_must_be_filled_in():
    with pytest.raises(NotImplementedError, match="Initializer must define `__call__"):
        initializers.Initializer()((2,))


def test_names_are_keras():
    assert initializers.__all__ == [n for n in dir(keras.initializers) if not n.startswith("_")]
