"""Dense layers, adaptation, lambdas, masking, wrappers, and what their errors say."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import kerasish
from kerasish import layers
from kerasish.core.masking import get_mask
from kerasish.core.serialization.registry import custom_object_scope
from kerasish.core.symbolic.keras_tensor import KerasTensor

X = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
BOTH = layers, keras.layers


def test_dense_is_its_formula():
    layer = layers.Dense(2, activation="tanh")
    y = layer(X)
    kernel, bias = layer.get_weights()
    np.testing.assert_allclose(y, np.tanh(X @ kernel + bias), rtol=1e-5)


@pytest.mark.parametrize("name", ["glorot_uniform", "he_normal", "lecun_uniform"])
def test_kernels_start_from_keras_numbers_for_the_same_seed(name):
    """`EinsumDense` tells the initializer which of the kernel's axes are inputs."""
    for make in (
        lambda m, start: m.Dense(2, kernel_initializer=start),
        lambda m, start: m.EinsumDense("btf,fhd->bthd", (None, 2, 3), kernel_initializer=start),
    ):
        kernels = []
        for module in (kerasish, keras):
            start = module.initializers.get({"class_name": name, "config": {"seed": 5}})
            layer = make(module.layers, start)
            layer.build((None, 5, 3))
            kernels.append(np.array(layer.kernel.value))
        np.testing.assert_allclose(*kernels, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: layers.Dense(0), "dense: `units` must be a positive integer; got 0"),
        (lambda: layers.Dense(2.5), "`units` must be a positive integer; got 2.5"),
        (
            lambda: layers.Dense(2).build((None, None)),
            "`input_shape` must be known in its last axis",
        ),
        (lambda: layers.Dense(2)(np.ones(3)), "expected min_ndim=2, found ndim=1"),
        (lambda: layers.Dense(2, unit=3), "unknown argument"),
        (lambda: layers.Embedding(0, 3), "`input_dim` must be a positive integer; got 0"),
        (lambda: layers.EinsumDense("ab,bc", 3).build((2, 3)), "`equation` must be of the form"),
        (lambda: layers.EinsumDense("ab,bc->ad", 3).build((2, 3)), "'c' in two of its parts"),
        (lambda: layers.EinsumDense("abc,bc->ac", 3).build((2, 3)), "of a rank to fit"),
        (lambda: layers.EinsumDense("abc,cd->abd", 3).build((2, 3, 4)), "as long as 'abd'"),
        (
            lambda: layers.EinsumDense("abc,cd->abd", (9, 3)).build((2, 3, 4)),
            "must be 3 in axis 'b'",
        ),
        (
            lambda: layers.EinsumDense("ab,bc->ac", 3, bias_axes="z").build((2, 3)),
            "`bias_axes` must be letters of the output 'ac'",
        ),
        (lambda: layers.Lambda(3), "`function` must be callable"),
        (lambda: layers.Wrapper(3), "`layer` must be a layer; got 3"),
        (lambda: layers.ReLU(max_value=-1), "`max_value` must be at least 0, or None; got -1"),
        (lambda: layers.LeakyReLU(None), "`negative_slope` must be at least 0; got None"),
        (lambda: layers.PReLU().build((None, None, 3)), "must be known in axis 1"),
        (lambda: layers.Softmax()(X, mask=np.ones((2, 3), bool)), "`mask` must be broadcastable"),
    ],
)
def test_bad_arguments_are_told(make, text):
    with pytest.raises(ValueError, match=text.replace("(", r"\(")):
        make()


def test_leaky_relu_knows_its_older_argument():
    assert layers.LeakyReLU(alpha=0.2).negative_slope == 0.2


def test_another_size_than_built_for_is_told():
    layer = layers.Dense(2)
    layer(X)
    with pytest.raises(ValueError, match="expected axis -1 of size 3, found 5"):
        layer(np.ones((4, 5)))


class TestLora:
    def test_changes_nothing_at_first_and_trains_two_matrices(self):
        layer = layers.Dense(2)
        before = layer(X)
        layer.enable_lora(1)
        np.testing.assert_array_equal(layer(X), before)
        names = [v.name for v in layer.trainable_variables]
        assert sorted(names) == ["bias", "lora_kernel_a", "lora_kernel_b"]

    @pytest.mark.parametrize(
        ("name", "args", "x"),
        [
            ("Dense", (2,), X),
            ("EinsumDense", ("ab,bcd->acd", (2, 3)), X),
            ("Embedding", (5, 4), np.array([[1, 4]])),
            ("Conv1D", (4, 2), np.ones((2, 5, 3), "float32")),
            ("Conv2D", (4, 3), np.ones((2, 5, 5, 3), "float32")),
        ],
    )
    def test_adapts_as_keras(self, name, args, x):
        ours, theirs = (getattr(m, name)(*args, lora_rank=2) for m in (layers, keras.layers))
        ours(x), theirs(x)
        rng = np.random.default_rng(1)
        start = {v.name: rng.normal(size=v.shape).astype("float32") for v in theirs.variables}
        for layer in (ours, theirs):
            for v in layer.variables:
                v.assign(start[v.name])
        np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
        assert ours.get_config()["lora_rank"] == theirs.get_config()["lora_rank"] == 2

    @pytest.mark.parametrize(
        ("name", "args", "weight"),
        [
            ("Dense", (2,), "kernel"),
            ("Embedding", (3, 2), "embeddings"),
            ("Conv1D", (2, 1), "kernel"),
        ],
    )
    def test_the_weight_reads_as_the_sum(self, name, args, weight):
        found = []
        for module in (layers, keras.layers):
            layer = getattr(module, name)(*args)
            layer.build((None, 4, 3))
            table = np.arange(np.prod(getattr(layer, weight).shape), dtype="float32")
            getattr(layer, weight).assign(table.reshape(getattr(layer, weight).shape))
            layer.enable_lora(2, lora_alpha=3.0)
            for part, value in (("a", 0.1), ("b", 0.2)):
                matrix = getattr(layer, f"lora_{weight}_{part}")
                matrix.assign(np.full(matrix.shape, value))
            found.append(getattr(layer, weight))
            order = [v.name for v in layer.weights]
            assert order[-2:] == [f"lora_{weight}_a", f"lora_{weight}_b"]
        np.testing.assert_allclose(*found, rtol=1e-6)

    def test_later_weights_stand_where_the_others_do(self):
        class Outer(layers.Layer):
            def __init__(self):
                super().__init__(name="outer")
                self.inner = layers.Dense(2, name="inner")

            def build(self, input_shape):
                self.inner.build(input_shape)

        layer = Outer()
        layer.build((None, 3))
        layer.inner.enable_lora(1)
        assert layer.inner.lora_kernel_a.path == "outer/inner/lora_kernel_a"

    def test_is_saved_as_one_kernel_and_loaded_as_one(self):
        layer = layers.Dense(2, lora_rank=1)
        layer(X)
        layer.lora_kernel_b.assign(np.ones((1, 2)))
        wanted, store = layer(X), {}
        layer.save_own_variables(store)
        plain, adapted = layers.Dense(2), layers.Dense(2, lora_rank=1)
        for other in (plain, adapted):
            other.build((None, 3))
            other.load_own_variables(store)
            np.testing.assert_allclose(other(X), wanted, rtol=1e-5, atol=1e-6)

    def test_needs_a_built_unconstrained_layer_and_works_once(self):
        with pytest.raises(ValueError, match="build the layer before `enable_lora`"):
            layers.Dense(2).enable_lora(1)
        layer = layers.Dense(2, lora_rank=1)
        layer(X)
        with pytest.raises(ValueError, match="it works once"):
            layer.enable_lora(1)
        with pytest.raises(ValueError, match="`kernel_constraint` must be None with LoRA"):
            layers.Dense(2, kernel_constraint="non_neg", lora_rank=1)(X)


class TestEmbedding:
    def test_starts_from_given_weights(self):
        table = np.arange(6.0).reshape(3, 2)
        for given in (table, [table]):
            np.testing.assert_array_equal(
                layers.Embedding(3, 2, weights=given)(np.array([2])), table[[2]]
            )

    def test_masks_zero_if_asked(self):
        x = np.array([[1, 0]])
        assert get_mask(layers.Embedding(3, 2)(x)) is None
        np.testing.assert_array_equal(
            get_mask(layers.Embedding(3, 2, mask_zero=True)(x)), [[True, False]]
        )

    def test_floats_count_as_the_integers_below(self):
        layer = layers.Embedding(3, 2)
        np.testing.assert_array_equal(layer(np.array([2.0])), layer(np.array([2])))


class TestReversibleEmbedding:
    @pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
    @pytest.mark.parametrize(
        "options",
        [{"logit_soft_cap": 0.1}, {"tie_weights": False}, {"reverse_dtype": "float32"}],
        ids=str,
    )
    def test_the_way_back_is_keras(self, options, dtype):
        x = np.array([[1, 0, 4]])
        ours, theirs = (m.ReversibleEmbedding(5, 3, dtype=dtype, **options) for m in BOTH)
        ours(x), theirs(x)
        ours.set_weights(theirs.get_weights())
        got, wanted = (layer(layer(x), reverse=True) for layer in (ours, theirs))
        assert got.dtype == wanted.dtype
        np.testing.assert_allclose(*(np.asarray(y, "float32") for y in (got, wanted)), rtol=1e-2)

    def test_only_the_way_there_has_a_mask(self):
        layer = layers.ReversibleEmbedding(5, 3, mask_zero=True)
        vectors = layer(np.array([[1, 0]]))
        np.testing.assert_array_equal(get_mask(vectors), [[True, False]])
        assert get_mask(layer(vectors, reverse=True)) is None

    def test_weights_of_both_ways_can_be_given(self):
        tables = [X, X.T]
        layer = layers.ReversibleEmbedding(4, 3, tie_weights=False, weights=tables)
        np.testing.assert_allclose(layer(X, reverse=True), X @ X.T, rtol=1e-5)


def halve(x, by=2.0, training=None):
    return x if training else x / by


class TestLambda:
    def test_passes_arguments_and_training(self):
        layer = layers.Lambda(halve, arguments={"by": 4.0})
        assert layer(4.0 * jnp.ones(1)) == 1.0
        assert layer(4.0 * jnp.ones(1), training=True) == 4.0

    def test_config_is_keras_and_names_the_function(self):
        ours, theirs = (
            m.Lambda(halve, arguments={"by": 4.0}, name="l") for m in (layers, keras.layers)
        )
        assert ours.get_config()["function"]["config"] == theirs.get_config()["function"]["config"]
        assert ours.get_config()["arguments"] == theirs.get_config()["arguments"]
        assert set(ours.get_config()) == set(theirs.get_config())
        with custom_object_scope({"halve": halve}):
            again = layers.Lambda.from_config(ours.get_config())
        assert again(4.0 * jnp.ones(1)) == 1.0

    def test_a_lambda_cannot_be_read_back(self):
        config = layers.Lambda(lambda x: x).get_config()
        with pytest.raises(ValueError, match="The config holds a lambda"):
            layers.Lambda.from_config(config)

    def test_infers_shapes(self):
        y = layers.Lambda(lambda x: jnp.concatenate([x, x], -1))(KerasTensor((None, 3)))
        assert y.shape == (None, 6)

    def test_gives_the_mask_it_is_told(self):
        x = layers.Masking()(np.array([[[1.0], [0.0]]]))
        layer = layers.Lambda(lambda x: x + 1, mask=lambda x, mask: ~mask)
        np.testing.assert_array_equal(get_mask(layer(x)), [[False, True]])


def test_masking_marks_and_clears_steps():
    x = np.array([[[1.0, 2.0], [5.0, 5.0], [5.0, 1.0]]])
    y = layers.Masking(5.0)(x)
    np.testing.assert_array_equal(y, [[[1, 2], [0, 0], [5, 1]]])
    np.testing.assert_array_equal(get_mask(y), [[True, False, True]])


def test_softmax_leaves_masked_entries_out_like_keras():
    mask = np.array([[True, True, False]] * 4)
    np.testing.assert_allclose(
        layers.Softmax()(X, mask=mask), keras.layers.Softmax()(X, mask=mask), rtol=1e-6
    )


def test_softmax_of_nothing_has_a_finite_gradient():
    mask = np.zeros((4, 3), bool)
    assert jnp.isfinite(jax.grad(lambda x: layers.Softmax()(x, mask=mask).sum())(X)).all()


def test_get_serialize_and_deserialize():
    layer = layers.deserialize(layers.serialize(layers.Dense(2, name="d")))
    assert (layer.name, layer.units) == ("d", 2)
    assert layers.get(layer) is layer
    assert layers.serialize(layer) == keras.layers.serialize(keras.layers.Dense(2, name="d"))
    with pytest.raises(ValueError, match=r"Unknown layer 'Dence'\. Did you mean 'Dense'"):
        layers.get("Dence")
