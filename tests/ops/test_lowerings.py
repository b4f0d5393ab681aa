"""Convolutions and pooling as the CPU computes them: equal to the primitives, and fit for loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import kerasish as keras
from kerasish import layers, ops
from kerasish.ops import lowerings
from kerasish.training.hostile import loop_hostile

# shape of the images, shape of the kernel, strides, padding, dilation
CONVOLUTIONS = [
    ((2, 7, 6, 3), (3, 2, 3, 4), (1, 1), "same", (1, 1)),
    ((2, 7, 6, 3), (3, 3, 3, 4), (2, 1), "same", (1, 1)),
    ((2, 7, 8, 2), (3, 2, 2, 3), (1, 1), "valid", (2, 2)),
    ((2, 7, 9, 2), (4, 3, 2, 3), (3, 2), "same", (1, 1)),
    ((2, 6, 5, 3), (1, 1, 3, 4), (2, 2), "valid", (1, 1)),
    ((2, 6, 5, 4), (3, 3, 2, 6), (1, 1), "same", (1, 1)),
    ((2, 7, 6, 3), (3, 2, 1, 6), (2, 1), "same", (1, 1)),
    ((2, 7, 6, 3), (3, 3, 1, 3), (1, 1), "valid", (2, 1)),
    ((3, 9, 2), (4, 2, 3), (2,), "same", (1,)),
    ((2, 4, 5, 4, 2), (2, 3, 2, 2, 3), (1, 1, 1), "same", (1, 1, 1)),
]


def rows(*shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(shape), "float32") for shape in shapes]


def primitive(x, kernel, strides, padding, dilation):
    last = x.ndim - 1
    images = (0, last, *range(1, last))
    numbers = lax.ConvDimensionNumbers(images, (last, last - 1, *range(last - 1)), images)
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding.upper(),
        rhs_dilation=dilation,
        dimension_numbers=numbers,
        feature_group_count=x.shape[-1] // kernel.shape[-2],
    )


@pytest.mark.parametrize("most", [0, 2**24], ids=["by itself", "by patches"])
@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions_and_their_derivatives_are_the_primitives(
    case, data_format, most, monkeypatch
):
    monkeypatch.setattr(lowerings, "_COPIED", most)
    shape, kernel_shape, *options = case
    strides, padding, dilation = options
    x, kernel, dx, dkernel = rows(shape, kernel_shape, shape, kernel_shape)

    def ours(x, kernel):
        if data_format == "channels_last":
            return ops.conv(x, kernel, strides, padding, data_format, dilation)
        y = ops.conv(jnp.moveaxis(x, -1, 1), kernel, strides, padding, data_format, dilation)
        return jnp.moveaxis(y, 1, -1)

    @jax.jit
    def derivatives():
        def of(conv):
            def loss(x, kernel):
                return jnp.sum(jnp.sin(conv(x, kernel)))

            arguments, tangents = (x, kernel), (dx, dkernel)
            gradient = jax.grad(loss, (0, 1))
            return (
                jax.jvp(conv, arguments, tangents),
                jax.grad(loss, 1)(x, kernel),
                jax.jvp(gradient, arguments, tangents),  # gradients, and second derivatives
            )

        return of(ours), of(lambda x, kernel: primitive(x, kernel, *options))

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *derivatives()
    )


@pytest.mark.parametrize("case", [CONVOLUTIONS[0], CONVOLUTIONS[3], CONVOLUTIONS[-2]], ids=str)
def test_gradients_of_kernels_in_parts(case, monkeypatch):
    monkeypatch.setattr(lowerings, "_CACHED", 100)
    monkeypatch.setattr(lowerings, "_COPIED", 0)
    shape, kernel_shape, *options = case
    strides, padding, dilation = options
    x, kernel = rows(shape, kernel_shape)

    def gradient(conv):
        return jax.jit(jax.grad(lambda kernel: jnp.sum(jnp.sin(conv(x, kernel)))))

    ours = gradient(lambda x, k: ops.conv(x, k, strides, padding, None, dilation))
    assert ours.lower(kernel).as_text().count("stablehlo.convolution") > 3
    theirs = gradient(lambda x, k: primitive(x, k, *options))
    np.testing.assert_allclose(ours(kernel), theirs(kernel), rtol=1e-4, atol=1e-4)


def test_gradients_of_each_sample():
    x, kernel = rows((3, 6, 5, 2), (3, 3, 2, 4))

    def of(conv):
        loss = lambda kernel, x: jnp.sum(jnp.sin(conv(x[None], kernel)))  # noqa: E731
        return jax.vmap(jax.grad(loss), (None, 0))(kernel, x)

    theirs = of(lambda x, kernel: primitive(x, kernel, (1, 1), "same", (1, 1)))
    np.testing.assert_allclose(of(lambda *a: ops.conv(*a, 1, "same")), theirs, atol=1e-4)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("most", [0, 2**24], ids=["by itself", "by patches"])
def test_steps_of_convolutional_models_run_in_loops(data_format, most, monkeypatch):
    x, kernel, each = rows((2, 8, 8, 8), (3, 3, 8, 8), (3, 3, 8, 1))
    monkeypatch.setattr(lowerings, "_COPIED", most)

    def loss(x, kernel):
        for pool in (ops.max_pool, ops.average_pool):
            x = pool(jax.nn.relu(ops.conv(x, kernel, 1, "same", data_format)), 2, None, "same",
                     data_format)  # fmt: skip
            x = ops.depthwise_conv(x, each, 1, "same", data_format)
        x = ops.conv(x, kernel, 2, "same", data_format)
        return x.sum()

    assert loop_hostile(jax.make_jaxpr(jax.grad(loss, (0, 1)))(x, kernel)) is None


def test_other_devices_keep_the_primitives():
    x, kernel = rows((2, 8, 8, 3), (3, 3, 3, 4))

    def program(platform):
        f = jax.jit(lambda x, k: ops.max_pool(ops.conv(x, k, 1, "same"), 2).sum())
        traced = jax.jit(jax.grad(f, 1)).trace(x, kernel)
        return traced.lower(lowering_platforms=(platform,)).as_text()

    assert "select_and_scatter" in program("cuda")
    assert "select_and_scatter" not in program("cpu")


def test_gradients_take_little_memory():
    """Copies with other orders of axes, but never one for each entry of the kernel."""
    x, kernel = rows((16, 32, 32, 16), (5, 5, 16, 16))
    assert 25 * x.nbytes > lowerings._COPIED
    loss = lambda x, k: jnp.sum(jnp.sin(ops.conv(x, k, 1, "same")))  # noqa: E731
    compiled = jax.jit(jax.grad(loss, (0, 1))).lower(x, kernel).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 8 * x.nbytes


def test_the_first_layer_needs_no_gradient_of_its_inputs(monkeypatch):
    monkeypatch.setattr(lowerings, "_COPIED", 0)
    x, kernel = rows((2, 8, 8, 3), (3, 3, 3, 4))
    loss = lambda k: jnp.sum(jnp.sin(ops.conv(x, k, 1, "same")))  # noqa: E731
    program = jax.jit(jax.grad(loss)).lower(kernel).as_text()
    assert program.count("stablehlo.convolution") == 2


def test_a_convolutional_model_gives_the_same_fused_and_one_by_one():
    x = np.random.default_rng(0).standard_normal((32, 8, 8, 2), "float32")
    found = []
    for together in (1, 8):
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [layers.Conv2D(4, 3), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(1)]
        )
        model.compile("sgd", "mse", steps_per_execution=together)
        model.fit(x, x[:, 0, 0], batch_size=4, epochs=1, shuffle=False, verbose=0)
        found.append(model.get_weights())
    jax.tree.map(np.testing.assert_array_equal, *found)
