"""The accelerator's models written by hand: pure functions of weights in dicts, optax, donation."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.accelerator_cases import CLASSES, HEADS, VOCABULARY, epochs_of

rng = np.random.default_rng(0)


def new(*shape):
    """Uniform weights of the usual width."""
    width = (6 / (np.prod(shape[:-2], dtype=int) * (shape[-2] + shape[-1]))) ** 0.5
    return rng.uniform(-width, width, shape).astype("float32")


def affine(a, b):
    return {"w": new(a, b), "b": np.zeros(b, "float32")}


def scaled(n):
    return {"scale": np.ones(n, "float32"), "shift": np.zeros(n, "float32")}


def kernel(size, a, b):
    return {"w": new(size, size, a, b), **scaled(b)}


def dense(w, x):
    return x @ w["w"].astype(x.dtype) + w["b"].astype(x.dtype)


def norm(w, x, axes):
    y = x.astype(jnp.float32)
    y = (y - y.mean(axes, keepdims=True)) * jax.lax.rsqrt(y.var(axes, keepdims=True) + 1e-5)
    return (y * w["scale"] + w["shift"]).astype(x.dtype)


def conv(w, x, strides=1):
    axes, strides = ("NHWC", "HWIO", "NHWC"), (strides, strides)
    kernel = w["w"].astype(x.dtype)
    y = jax.lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=axes)
    return norm(w, y, (0, 1, 2))


def rectified(w, x):
    return jax.nn.relu(dense(w, x))


def residual(w, x, strides):
    y = conv(w[1], jax.nn.relu(conv(w[0], x, strides)))
    return jax.nn.relu(y + (conv(w[2], x, strides) if len(w) == 3 else x))


def block(w, x):
    y = norm(w["first"], x, -1)
    parts = dense(w["in"], y).reshape(*x.shape[:2], 3, HEADS, -1)
    y = jax.nn.dot_product_attention(*jnp.moveaxis(parts, 2, 0), is_causal=True)
    x = x + dense(w["out"], y.reshape(x.shape))
    y = jax.nn.gelu(dense(w["up"], norm(w["second"], x, -1)), approximate=False)
    return x + dense(w["down"], y)


# Each kind: weights of the start, pairs of a block's weights and its function, features at the end.


def mlp(case):
    sizes = [case.extent, *[case.width] * case.depth]
    return {}, [(affine(a, b), rectified) for a, b in itertools.pairwise(sizes)], case.width


def residual_blocks(case):
    blocks, ends = [], case.width
    for stage, i in itertools.product(range(3), range(case.depth)):
        n, strides = case.width * 2**stage, 2 if stage and not i else 1
        w = [kernel(3, ends, n), kernel(3, n, n), *([kernel(1, ends, n)] if strides == 2 else [])]
        blocks.append((w, functools.partial(residual, strides=strides)))
        ends = n
    return kernel(3, 3, case.width), blocks, ends


def decoder(case):
    n, blocks = case.width, []
    for _ in range(case.depth):
        w = {"in": affine(n, 3 * n), "out": affine(n, n), "first": scaled(n), "second": scaled(n)}
        blocks.append(({**w, "up": affine(n, 4 * n), "down": affine(4 * n, n)}, block))
    return {"w": new(VOCABULARY, n)}, blocks, n


KINDS = {"mlp": mlp, "residual": residual_blocks, "decoder": decoder}


def program(case, precision, remat):
    """Training and prediction, as `accelerator` wants them."""
    low = jnp.bfloat16 if "16" in precision else jnp.float32
    first, blocks, ends = KINDS[case.kind](case)
    last = affine(ends, VOCABULARY if case.kind == "decoder" else CLASSES)
    weights = {"first": first, "blocks": [w for w, _ in blocks], "last": last}
    calls = [jax.checkpoint(call) if remat else call for _, call in blocks]

    def forward(w, x):
        if case.kind == "decoder":
            x = w["first"]["w"].astype(low)[x]
        elif case.kind == "residual":
            x = jax.nn.relu(conv(w["first"], x.astype(low)))
        x = x.astype(low)
        for inner, call in zip(w["blocks"], calls, strict=True):
            x = call(inner, x)
        x = x.mean((1, 2)) if case.kind == "residual" else x
        return dense(w["last"], x.astype(jnp.float32))

    optimizer = optax.adam(1e-3)

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, x, y):
        def loss(w):
            return optax.softmax_cross_entropy_with_integer_labels(forward(w, x), y).mean()

        value, grads = jax.value_and_grad(loss)(state[0])
        updates, slots = optimizer.update(grads, state[1])
        return (optax.apply_updates(state[0], updates), slots), value

    weights = jax.device_put(weights)
    held = [(weights, optimizer.init(weights))]

    def one_step(x, y):
        held[0], loss = step(held[0], x, y)
        return loss

    predict = jax.jit(forward)
    return epochs_of(case, one_step), lambda x: np.asarray(predict(held[0][0], x))
