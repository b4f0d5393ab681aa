"""Convolutions and pooling as the CPU computes them: equal to the primitives, and fit for loops."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import kerasish as keras
from kerasish import layers, ops
from kerasish.core.lowering import assume_local_devices
from kerasish.kernels import convolution_choice, convolution_xla, onednn
from kerasish.kernels.convolution_im2col import im2col_product
from kerasish.kernels.convolution_winograd import winograd_product
from kerasish.kernels.dense import dense_product
from kerasish.kernels.loop_support import slow_in_loops
from kerasish.kernels.noinline import add_bias, materialize, scale_by
from kerasish.kernels.pooling import window_max, window_sum
from kerasish.ops.nn import convolution as windows

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
    ((2, 7, 9, 3), (2, 3, 3, 4), (2, 1), "valid", (1, 1)),
    ((2, 5, 4, 6, 2), (2, 3, 3, 2, 3), (1, 2, 1), "same", (1, 1, 1)),
    ((2, 7, 6, 9), (3, 2, 9, 4), (2, 1), "same", (1, 1)),
    ((2, 7, 6, 1), (3, 2, 1, 4), (2, 1), "same", (1, 1)),
    ((2, 7, 9, 1), (3, 3, 1, 4), (1, 1), "valid", (2, 2)),
    ((3, 9, 1), (4, 1, 3), (2,), "same", (1,)),
    ((2, 4, 5, 4, 1), (2, 3, 2, 1, 3), (1, 1, 1), "same", (1, 1, 1)),
]


@pytest.fixture(autouse=True)
def without_onednn(monkeypatch):
    """Convolutions as XLA alone computes them."""
    monkeypatch.setenv(onednn.SWITCH, "0")


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


# How many bytes may be copied for each way.
WAYS = {
    "by itself": {"brief": 0, "winograd_bytes": 0, "im2col_bytes": 0, "row_im2col_bytes": 0},
    "by patches": {"brief": 0, "winograd_bytes": 0, "row_im2col_bytes": 0},
    "by lines": {"brief": 0, "winograd_bytes": 0, "im2col_bytes": 0},
    "by tiles or entries": {"deep": 0, "wide": 0, "work": 0, "filled": 0},
}


def allow(way, monkeypatch):
    limits = convolution_choice.Limits(**WAYS[way])
    monkeypatch.setattr(convolution_choice, "LIMITS", limits)


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """Convolutions computed this way, where they can be."""
    allow(request.param, monkeypatch)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("case", CONVOLUTIONS, ids=str)
def test_convolutions_and_their_derivatives_are_the_primitives(case, data_format, way):
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


# shape of the images, shape of the kernel, strides, padding, what the outputs have more
TRANSPOSED = [
    ((2, 4, 3, 2), (3, 3, 4, 2), (2, 2), "same", None),
    ((2, 4, 3, 2), (2, 4, 3, 2), (2, 2), "valid", None),
    ((2, 4, 3, 2), (5, 1, 3, 2), (3, 2), "same", (1, 0)),
    ((2, 4, 3, 2), (2, 3, 1, 2), (3, 1), "valid", (2, 0)),
    ((2, 5, 1), (4, 3, 1), (2,), "same", None),
    ((1, 2, 3, 2, 2), (3, 2, 2, 2, 2), (2, 1, 3), "valid", None),
]


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("case", TRANSPOSED, ids=str)
def test_transposed_convolutions_and_their_derivatives_are_the_primitives(case, data_format):
    shape, kernel_shape, strides, padding, more = case
    x, kernel, dx, dkernel = rows(shape, kernel_shape, shape, kernel_shape)
    first = data_format == "channels_first"

    def ours(x, kernel):
        x = jnp.moveaxis(x, -1, 1) if first else x
        y = ops.conv_transpose(x, kernel, strides, padding, more, data_format)
        return jnp.moveaxis(y, 1, -1) if first else y

    def theirs(x, kernel):
        last = x.ndim - 1
        images = (0, last, *range(1, last))
        numbers = lax.ConvDimensionNumbers(images, (last, last - 1, *range(last - 1)), images)
        each = zip(kernel.shape[:-2], strides, more or [None] * len(strides), strict=True)
        pads = [windows._transpose_padding(n, s, 1, padding.upper(), e) for n, s, e in each]
        return lax.conv_transpose(
            x, kernel, strides, pads, dimension_numbers=numbers, transpose_kernel=True
        )

    @jax.jit
    def derivatives():
        def of(conv):
            gradient = jax.grad(lambda x, kernel: jnp.sum(jnp.sin(conv(x, kernel))), (0, 1))
            return conv(x, kernel), jax.jvp(gradient, (x, kernel), (dx, dkernel))

        return of(ours), of(theirs)

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), *derivatives()
    )


@pytest.mark.parametrize("case", [CONVOLUTIONS[0], CONVOLUTIONS[3], CONVOLUTIONS[-2]], ids=str)
def test_gradients_of_kernels_in_parts(case, monkeypatch):
    monkeypatch.setattr(convolution_xla, "_CACHED", 100)
    allow("by itself", monkeypatch)
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
def test_steps_of_convolutional_models_run_in_loops(data_format, way):
    x, kernel, each = rows((2, 8, 8, 8), (3, 3, 8, 8), (3, 3, 8, 1))

    def loss(x, kernel):
        for pool in (ops.max_pool, ops.average_pool):
            x = pool(jax.nn.relu(ops.conv(x, kernel, 1, "same", data_format)), 2, None, "same",
                     data_format)  # fmt: skip
            x = ops.depthwise_conv(x, each, 1, "same", data_format)
        x = ops.conv(x, kernel, 2, "same", data_format)
        x = ops.conv_transpose(x, kernel, 2, "same", data_format=data_format)
        return x.sum()

    assert slow_in_loops(jax.make_jaxpr(jax.grad(loss, (0, 1)))(x, kernel)) is None


# shape, window, strides, padding
POOLS = [
    ((2, 7, 6, 3), (1, 2, 2, 1), (1, 2, 2, 1), "SAME"),
    ((2, 7, 6, 3), (1, 2, 3, 1), (1, 2, 3, 1), "VALID"),
    ((2, 9, 8, 3), (1, 3, 3, 1), (1, 3, 3, 1), "SAME"),
    ((2, 9, 8, 3), (1, 3, 3, 1), (1, 2, 2, 1), "SAME"),
    ((2, 3, 7, 6), (1, 1, 2, 2), (1, 1, 1, 2), "VALID"),
    ((2, 9, 2), (1, 3, 1), (1, 4, 1), "VALID"),
    ((1, 5, 4, 6, 2), (1, 2, 2, 3, 1), (1, 2, 2, 3, 1), "SAME"),
]


@pytest.mark.parametrize("case", POOLS, ids=str)
def test_derivatives_of_pools_are_the_primitives(case):
    shape, *windows = case
    x, dx = rows(shape, shape)
    equal = jnp.round(x * 2) + 0.0  # many are, and no zero is negative
    pads = lax.padtype_to_pads(shape, *windows)

    @jax.jit
    def derivatives(x):
        def of(pool):
            f = lambda x: jnp.sin(pool(x) + 1)  # noqa: E731
            gradient = jax.grad(lambda x: f(x).sum())
            return jax.jvp(f, (x,), (dx,)), gradient(equal), jax.jvp(gradient, (x,), (dx,))

        largest = lambda x: lax.reduce_window(x, -jnp.inf, lax.max, *windows)  # noqa: E731
        total = lambda x: lax.reduce_window(x, 0.0, lax.add, *windows)  # noqa: E731
        ours = lambda join: of(lambda x: join(x, *windows[:2], pads))  # noqa: E731
        return [ours(window_max), ours(window_sum)], [of(largest), of(total)]

    compare = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)  # noqa: E731
    jax.tree.map(compare, *derivatives(x))
    tangents = jax.jvp(lambda x: window_max(x, *windows[:2], pads), (x,), (dx,))[1]
    backward = jax.vjp(lambda x: window_max(x, *windows[:2], pads), x)[1]
    np.testing.assert_allclose((backward(tangents)[0] * dx).sum(), (tangents**2).sum(), rtol=1e-4)


def test_pools_of_integers_beside_a_gradient():
    counts = jnp.arange(16).reshape(1, 4, 4, 1)
    loss = lambda x, n: (x * ops.max_pool(n, 2).sum()).sum()  # noqa: E731
    assert float(jax.jit(jax.grad(loss))(1.0, counts)) == 5 + 7 + 13 + 15


def test_what_lies_in_memory_is_computed_once():
    def program(fence):
        def f(x):
            x = fence(jnp.maximum(x, 0) * 2)
            return jnp.concatenate([x[:, i : i + 30] for i in range(3)], axis=-1)

        text = jax.jit(jax.value_and_grad(lambda x: jnp.sum(jnp.sin(f(x))))).lower(
            *rows((8, 32, 16))
        )
        return text.compile().as_text().count(" maximum(")

    assert program(materialize) < program(lambda x: x)


@pytest.mark.parametrize(
    "sizes", [(6, 8, 5), (70, 64, 3), (600, 40, 70), (20000, 40, 20), (9, 40, 1)], ids=str
)
def test_derivatives_of_products_with_a_turned_factor_are_those_of_matmul(sizes):
    rows_, inner, outer = sizes
    arguments = rows((rows_, inner), (inner, outer), (outer,), (rows_, 1))
    tangents = rows((rows_, inner), (inner, outer), (outer,), (rows_, 1))

    def ours(x, kernel, bias, scale):
        return scale_by(add_bias(dense_product(x, kernel, 1), bias), scale)

    def theirs(x, kernel, bias, scale):
        return (x @ kernel + bias) * scale

    def derivatives(f):
        loss = lambda *arguments: jnp.sum(jnp.sin(f(*arguments)))  # noqa: E731
        gradient = jax.grad(loss, (0, 1, 2, 3))
        second = jax.jvp(gradient, arguments, tangents)
        return *second, jax.jvp(f, arguments, tangents), jax.grad(loss, 1)(*arguments)

    with assume_local_devices():
        assert one_product_turns(*arguments[:2]) == (rows_ < 20000 and outer > 1)
        found = jax.jit(lambda: (derivatives(ours), derivatives(theirs)))()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-3), *found)


def one_product_turns(x, kernel):
    gradient = jax.grad(lambda kernel: dense_product(x, kernel, 1).sum())
    return "transpose[" in str(jax.make_jaxpr(gradient)(kernel))


@pytest.mark.parametrize("rows_", [8, 500])  # turned or not
def test_new_kernels_are_written_where_the_old_ones_lie(rows_):
    x, *kernels = rows((rows_, 24), (24, 48), (48, 40), (40, 3))

    def copies(product):
        def loss(kernels):
            return jnp.sum(functools.reduce(lambda x, k: jnp.sin(product(x, k)), kernels, x))

        def step(_, kernels):
            return jax.tree.map(lambda k, g: k - 0.1 * g, kernels, jax.grad(loss)(kernels))

        with assume_local_devices():
            run = jax.jit(lambda kernels: lax.fori_loop(0, 9, step, kernels))
            program = run.lower(kernels).compile().as_text()
        inside = program[: program.index("ENTRY")]
        return len(re.findall(r"= f32\[(?:48,40|40,3)\]\S* copy\(%get", inside))

    assert copies(functools.partial(dense_product, axes=1)) == 0
    assert copies(jnp.matmul) == 2


def test_a_step_of_small_layers_has_few_calls_without_work():
    """XLA starts those of a program all at once, on other threads, and small steps wait for it."""
    block = lambda: [layers.Dense(64), layers.BatchNormalization(), layers.Dropout(0.2)]  # noqa: E731
    model = keras.Sequential([keras.Input((64,)), *block(), *block(), *block(), layers.Dense(1)])
    model.compile("adam", "mse")
    batch = tuple(jax.ShapeDtypeStruct((32, n), "float32") for n in (64, 1))
    text = model._step("train").trace(batch, one=True).lower().compile().as_text()
    bodies = dict(re.findall(r"^(%\S+) \(.*? -> .*? \{\n(.*?)^\}", text, re.M | re.S))
    called = re.findall(r" call\(.*?to_apply=(%[^\s,]+)", text[text.index("ENTRY") :])
    idle = "parameter|tuple|bitcast|get-tuple-element"
    work = [re.sub(rf".*? ({idle})\(.*\n", "", bodies[name]).strip() for name in called]
    assert sum(map(bool, work)) > 15
    assert work.count("") <= 2


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
    x, kernel = rows((128, 32, 32, 16), (5, 5, 16, 16))
    assert 5 * x.nbytes > max(
        convolution_choice.LIMITS.im2col_bytes, convolution_choice.LIMITS.row_im2col_bytes
    )
    loss = lambda x, k: jnp.sum(jnp.sin(ops.conv(x, k, 1, "same")))  # noqa: E731
    compiled = jax.jit(jax.grad(loss, (0, 1))).lower(x, kernel).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 8 * x.nbytes


@pytest.mark.parametrize(
    ("shape", "kernel_shape", "found"),
    [
        ((32, 16, 16, 32), (3, 3, 32, 64), "winograd_product"),
        ((32, 7, 7, 128), (5, 3, 128, 128), "winograd_product"),
        ((2, 8, 16, 16, 16), (3, 3, 3, 16, 32), "winograd_product"),
        ((32, 16, 16, 32), (3, 3, 32, 16), "im2col_product"),  # few filters
        ((32, 5, 5, 32), (3, 3, 32, 64), "im2col_product"),  # a third of its tiles is padding
        ((1, 8, 8, 16), (3, 3, 16, 32), "im2col_product"),  # little work
        ((32, 28, 28, 32), (3, 5, 32, 64), "row_im2col_product"),
        ((0, 16, 16, 32), (3, 3, 32, 64), "im2col_product"),
        ((32, 28, 28, 1), (3, 3, 1, 32), "shift_and_add"),
        ((32, 28, 28, 1), (7, 7, 1, 32), "im2col_product"),  # many entries to add up
        ((1024, 32, 32, 32), (3, 3, 32, 64), None),  # copies of 600 MB
    ],
    ids=str,
)
def test_the_way_to_compute_a_convolution(shape, kernel_shape, found):
    axes = len(shape) - 2
    options = {"window_strides": (1,) * axes, "padding": "SAME", "rhs_dilation": (1,) * axes}
    x, kernel = (jax.ShapeDtypeStruct(s, "float32") for s in (shape, kernel_shape))
    result = jax.ShapeDtypeStruct((*shape[:-1], kernel_shape[-1]), "float32")
    way = convolution_choice.choose_product(lambda x, kernel: result, x, kernel, options)
    assert getattr(way, "__name__", None) == found


def test_half_precision_is_added_up_in_single():
    x, kernel = (jax.ShapeDtypeStruct(s, "bfloat16") for s in ((32, 28, 28, 1), (3, 3, 1, 32)))
    options = {"window_strides": (1, 1), "padding": "SAME", "rhs_dilation": (1, 1)}
    result = jax.ShapeDtypeStruct((32, 28, 28, 32), "bfloat16")
    way = convolution_choice.choose_product(lambda x, kernel: result, x, kernel, options)
    assert way is im2col_product


def test_tiles_round_little_more_than_products():
    x, kernel = rows((4, 16, 16, 64), (3, 3, 64, 64))
    options = {"window_strides": (1, 1), "padding": "SAME", "rhs_dilation": (1, 1)}
    with jax.enable_x64(True):
        exactly = primitive(*(z.astype("float64") for z in (x, kernel)), (1, 1), "same", (1, 1))
        exactly = np.asarray(exactly)
    tiles, patches = (
        np.std(np.asarray(way(options, x, kernel)) - exactly)
        for way in (winograd_product, im2col_product)
    )
    assert tiles < 1e-6 * np.std(exactly) and tiles < 3 * patches


def test_the_gradient_of_tiles_takes_copies_of_its_inputs_once():
    x, kernel = rows((32, 32, 32, 32), (3, 3, 32, 32))
    loss = lambda x, k: jnp.sum(jnp.sin(ops.conv(x, k, 1, "same")))  # noqa: E731
    compiled = jax.jit(jax.grad(loss, (0, 1))).lower(x, kernel).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 12 * x.nbytes  # patches alone take 9


def test_the_first_layer_needs_no_gradient_of_its_inputs(monkeypatch):
    allow("by itself", monkeypatch)
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
        model.fit(x, x[:, 0, 0, :1], batch_size=4, epochs=1, shuffle=False, verbose=0)
        found.append(model.get_weights())
    jax.tree.map(np.testing.assert_array_equal, *found)
