"""The convolution primitive, with oneDNN and without: equal to the plain formula in every way."""

import functools
import logging

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

import kerasish as keras
from kerasish import layers, ops
from kerasish.kernels import onednn
from kerasish.kernels.convolution import convolve
from kerasish.kernels.convolution_primitive import Geometry, convolution

# shape of the images, shape of the kernel, strides, padding, dilation
CASES = [
    ((3, 9, 2), (4, 2, 3), (2,), "SAME", (1,)),
    ((3, 9, 4), (3, 4, 6), (1,), "VALID", (3,)),
    ((3, 9, 4), (3, 1, 8), (1,), "SAME", (1,)),
    ((2, 7, 6, 3), (3, 2, 3, 4), (1, 1), "SAME", (1, 1)),
    ((2, 7, 6, 3), (3, 3, 3, 4), (2, 1), "SAME", (1, 1)),
    ((2, 8, 8, 1), (3, 3, 1, 4), (2, 2), "VALID", (1, 1)),
    ((2, 7, 8, 2), (3, 2, 2, 3), (1, 1), "VALID", (2, 2)),
    ((2, 7, 9, 2), (4, 3, 2, 3), (3, 2), "SAME", (1, 1)),
    ((2, 6, 5, 3), (1, 1, 3, 4), (2, 2), "VALID", (1, 1)),
    ((2, 6, 5, 4), (3, 3, 2, 6), (1, 1), "SAME", (1, 1)),  # two groups
    ((2, 6, 5, 4), (3, 3, 2, 6), (2, 1), "VALID", (1, 2)),
    ((2, 7, 6, 3), (3, 2, 1, 6), (2, 1), "SAME", (1, 1)),  # depthwise
    ((2, 7, 6, 16), (3, 3, 1, 16), (1, 1), "SAME", (2, 1)),
    ((2, 4, 5, 4, 2), (2, 3, 2, 2, 3), (1, 1, 1), "SAME", (1, 1, 1)),
    ((2, 5, 4, 6, 2), (2, 3, 3, 2, 3), (1, 2, 1), "VALID", (1, 1, 2)),
    ((2, 5, 4, 6, 4), (2, 3, 3, 1, 4), (2, 1, 1), "SAME", (1, 1, 1)),
    ((2, 2, 2, 3), (3, 3, 3, 4), (1, 1), "VALID", (1, 1)),  # an output of size zero
]

needs_onednn = pytest.mark.skipif(
    onednn._library() is None, reason="needs kerasish-native (`pip install ./native`)"
)


@pytest.fixture(params=[pytest.param("1", marks=needs_onednn), "0"], ids=["onednn", "xla"])
def by(request, monkeypatch):
    """Convolutions with oneDNN, and without."""
    monkeypatch.setenv(onednn.SWITCH, request.param)
    jax.clear_caches()


def arrays(*shapes):
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(shape), "float32") for shape in shapes]


def plain(case):
    shape, kernel_shape, strides, padding, dilation = case
    last = len(shape) - 1
    images = (0, last, *range(1, last))
    numbers = lax.ConvDimensionNumbers(images, (last, last - 1, *range(last - 1)), images)
    return functools.partial(
        lax.conv_general_dilated,
        window_strides=strides,
        padding=padding,
        rhs_dilation=dilation,
        dimension_numbers=numbers,
        feature_group_count=shape[-1] // kernel_shape[-2],
    )


def geometry_of(case):
    shape, kernel_shape, strides, padding, dilation = case
    window = kernel_shape[:-2]
    reach = [(n - 1) * d + 1 for n, d in zip(window, dilation, strict=True)]
    pads = tuple(lax.padtype_to_pads(shape[1:-1], reach, strides, padding))
    groups = shape[-1] // kernel_shape[-2]
    return Geometry(shape[1:-1], window, strides, pads, dilation, groups).canonical()


def ours(case):
    return functools.partial(convolution, "output", geometry_of(case))


def assert_close(got, wanted):
    """Equal to what float32 leaves of the largest element: sums of many cancel in others."""
    for a, b in zip(*map(jax.tree.leaves, (got, wanted)), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        if b.size:
            assert jnp.max(jnp.abs(a - b)) < 2e-5 * max(1, jnp.max(jnp.abs(b)))


def derivatives(conv, x, kernel, dx, dkernel):
    def loss(x, kernel):
        return jnp.sum(jnp.sin(conv(x, kernel)))

    gradient = jax.grad(loss, (0, 1))
    return (
        jax.jvp(conv, (x, kernel), (dx, dkernel)),
        gradient(x, kernel),
        jax.jvp(gradient, (x, kernel), (dx, dkernel)),
        jax.grad(lambda *a: sum(jnp.sum(g**2) for g in gradient(*a)), (0, 1))(x, kernel),
        jax.grad(jax.checkpoint(loss), (0, 1))(x, kernel),
    )


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_derivatives(case, by):
    inputs = arrays(*case[:2], *case[:2])
    got = jax.jit(functools.partial(derivatives, ours(case)))(*inputs)
    assert_close(got, jax.jit(functools.partial(derivatives, plain(case)))(*inputs))


@pytest.mark.parametrize("mapped", [(0, None), (None, 0), (0, 0), (1, 2)], ids=str)
@pytest.mark.parametrize("case", CASES[:-1:3], ids=str)
def test_mapped(case, mapped, by):
    x, kernel = arrays(*case[:2])
    x, kernel = (
        a if axis is None else jnp.stack([a, 2 * a[..., ::-1], a - 1], axis)
        for a, axis in zip((x, kernel), mapped, strict=True)
    )

    def of(conv):
        def loss(x, kernel):
            return jnp.sum(jnp.sin(conv(x, kernel)))

        each = jax.vmap(lambda *a: (conv(*a), jax.grad(loss, (0, 1))(*a)), mapped)
        return jax.jit(each)(x, kernel)

    assert_close(of(ours(case)), of(plain(case)))


@pytest.mark.parametrize("case", CASES[:-1:4], ids=str)
def test_in_a_loop(case, by):
    inputs = arrays(*case[:2])

    def of(conv):
        def step(carry, _):
            x, kernel = carry
            gradients = jax.grad(lambda *a: jnp.sum(jnp.cos(conv(*a))), (0, 1))(x, kernel)
            return (x - 0.1 * gradients[0], kernel - 0.1 * gradients[1]), jnp.sum(kernel)

        return jax.jit(lambda *start: lax.scan(step, start, length=3))(*inputs)

    assert_close(of(ours(case)), of(plain(case)))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("case", [CASES[4], CASES[11]], ids=str)
def test_other_types_go_the_plain_way(case, dtype, by):
    x, kernel = (a.astype(dtype) for a in arrays(*case[:2]))
    got = jax.jit(ours(case))(x, kernel)
    wanted = plain(case)(*arrays(*case[:2]))
    assert got.dtype == dtype
    rounding = 1e-5 if dtype == "float32" else 8e-2
    np.testing.assert_allclose(got.astype("float32"), wanted, rtol=rounding, atol=rounding)


def devices(count):
    return jax.make_mesh((count,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))


@pytest.mark.parametrize("case", [CASES[4], CASES[11]], ids=str)
def test_on_several_devices(case, by):
    """A partitioned program goes the plain way; in `shard_map` each device has its own call."""
    mesh = devices(2)
    data, whole = PartitionSpec("data"), PartitionSpec()
    inputs = arrays(*case[:2], *case[:2])

    def of(conv):
        return jax.jit(functools.partial(derivatives, conv))

    wanted = of(plain(case))(*inputs)
    specs = [data, whole, data, whole]
    placed = [jax.device_put(a, NamedSharding(mesh, s)) for a, s in zip(inputs, specs, strict=True)]
    assert_close(of(ours(case))(*placed), wanted)

    def gradients(conv, x, kernel):
        return jax.grad(lambda x, kernel: jnp.sum(jnp.sin(conv(x, kernel))), (0, 1))(x, kernel)

    each = functools.partial(gradients, ours(case))

    def summed(x, kernel):
        dx, dkernel = each(x, kernel)  # what does not vary is summed over devices already
        return dx, dkernel

    mapped = jax.shard_map(summed, mesh=mesh, in_specs=(data, whole), out_specs=(data, whole))
    assert_close(jax.jit(mapped)(*placed[:2]), gradients(plain(case), *inputs[:2]))


@needs_onednn
def test_where_onednn_is_called(monkeypatch):
    monkeypatch.setenv(onednn.SWITCH, "1")
    jax.clear_caches()
    x, kernel = arrays((2, 8, 8, 4), (3, 3, 4, 4))

    def program(x, kernel):
        return convolve(x, kernel, (1, 1), "SAME", (1, 1), 1, -1)

    def is_called(*args, fn=program):
        return onednn.TARGET in jax.jit(fn).lower(*args).as_text()

    assert is_called(x, kernel)
    assert not is_called(x.astype("bfloat16"), kernel.astype("bfloat16"))
    assert onednn.TARGET not in jax.export.export(jax.jit(program))(x, kernel).mlir_module()
    sharded = jax.device_put(x, NamedSharding(devices(2), PartitionSpec("data")))
    assert not is_called(sharded, kernel)
    monkeypatch.setenv(onednn.SWITCH, "0")
    jax.clear_caches()
    assert not is_called(x, kernel, fn=lambda *a: program(*a))


@needs_onednn
def test_sizes_are_checked_by_the_handler():
    """Whoever calls the handler with other sizes gets an error, not what lies behind an array."""
    x, kernel = arrays((2, 8, 8, 4), (3, 3, 4, 4))
    geometry = (0, 1, 1, 1, 1, 1, 1, 1, 1, 1)
    result = jax.ShapeDtypeStruct((2, 8, 8, 4), "float32")
    onednn.call(geometry, result, x, kernel)
    for wrong, shape in [
        (geometry, (2, 9, 8, 4)),
        (geometry, (3, 8, 8, 4)),
        ((7, *geometry[1:]), result.shape),
        ((0, 3, *geometry[2:]), result.shape),
        ((0, 0, *geometry[2:]), result.shape),
        (geometry[:-1], result.shape),
        ((0, 1, 0, *geometry[3:]), result.shape),
    ]:
        with pytest.raises(jax.errors.JaxRuntimeError, match="convolution: wrong"):
            onednn.call(wrong, jax.ShapeDtypeStruct(shape, "float32"), x, kernel)
    with pytest.raises(jax.errors.JaxRuntimeError, match="types"):
        onednn.call(geometry, result, x.astype("int32"), kernel)


@needs_onednn
def test_slices_of_a_batch_are_the_whole():
    """Large enough for several threads, with batches that they do not share evenly."""
    for batch in (1, 2, 3, 7, 33):
        case = ((batch, 24, 24, 16), (3, 3, 16, 24), (1, 1), "SAME", (1, 1))
        inputs = arrays(*case[:2], *case[:2])
        run = jax.jit(functools.partial(derivatives, ours(case)))
        got = run(*inputs)
        wanted = jax.jit(functools.partial(derivatives, plain(case)))(*inputs)
        assert_close(got, wanted)
        jax.tree.map(np.testing.assert_array_equal, run(*inputs), got)


@pytest.mark.parametrize(
    "message, module",
    [("not installed", None), ("refused: no such library", "broken")],
)
def test_no_library(message, module, monkeypatch, caplog):
    """One line in the log says so, and convolutions work all the same."""

    class Broken:
        def load(self):
            raise OSError("no such library")

    def load(name):
        if module is None:
            raise ModuleNotFoundError(name)
        return Broken()

    monkeypatch.setenv(onednn.SWITCH, "1")
    fresh = functools.cache(onednn._library.__wrapped__)
    monkeypatch.setattr(onednn, "_library", fresh)
    monkeypatch.setattr(onednn.importlib, "import_module", load)
    with caplog.at_level(logging.INFO, onednn.__name__):
        x, kernel = arrays(*CASES[3][:2])
        for _ in range(2):
            y = convolve(x, kernel, (1, 1), "SAME", (1, 1), 1, -1)
    assert_close(y, plain(CASES[3])(x, kernel))
    assert len(caplog.records) == 1
    assert message in caplog.text


def wrong_shape():
    geometry = geometry_of(CASES[3])
    return convolution("output", geometry, *arrays((2, 7, 6, 3), (3, 2, 4, 4)))


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"the input must have the shape \(2, 7, 6, 4\)"):
        wrong_shape()


def trained(steps=20):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.BatchNormalization(),
            layers.SeparableConv2D(8, 3, activation="relu"),
            layers.Conv2DTranspose(4, 3, strides=2, padding="same"),
            layers.Reshape((-1, 4)),
            layers.Conv1D(4, 5, dilation_rate=2, padding="causal"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3),
        ]
    )
    model.compile(keras.optimizers.SGD(0.01), "mse")
    x, y = arrays((steps * 4, 12, 12, 3), (steps * 4, 3))
    model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    return model.get_weights()


@needs_onednn
def test_twenty_steps_are_the_same(monkeypatch):
    monkeypatch.setenv(onednn.SWITCH, "1")
    with_library = trained()
    monkeypatch.setenv(onednn.SWITCH, "0")
    jax.clear_caches()
    for a, b in zip(with_library, trained(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_transposed_with_dilation(by):
    """The gradient of a dilated convolution by its input."""
    x, kernel = arrays((2, 5, 4, 3), (3, 2, 6, 3))
    got = jax.jit(lambda *a: ops.conv_transpose(*a, 1, "same", dilation_rate=2))(x, kernel)
    numbers = ("NHWC", "HWIO", "NHWC")

    def forward(y):
        return lax.conv_general_dilated(
            y, kernel, (1, 1), "SAME", rhs_dilation=(2, 2), dimension_numbers=numbers
        )

    (wanted,) = jax.linear_transpose(forward, jnp.zeros((2, 5, 4, 6)))(x)
    assert_close(got, wanted)
