"""The accelerator's models in Flax NNX: its layers, its optimizer, its `jit`."""

import itertools

import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from benchmarks.accelerator_cases import CLASSES, HEADS, VOCABULARY, epochs_of

rngs = nnx.Rngs(0)


class Rectified(nnx.Module):
    def __init__(self, a, b, low):
        self.linear = nnx.Linear(a, b, dtype=low, rngs=rngs)

    def __call__(self, x):
        return nnx.relu(self.linear(x))


class Normed(nnx.Module):
    def __init__(self, a, b, low, size=3, strides=1):
        options = {"use_bias": False, "dtype": low, "rngs": rngs}
        self.conv = nnx.Conv(a, b, (size, size), (strides, strides), **options)
        self.norm = nnx.BatchNorm(b, dtype=low, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.conv(x))


class Residual(nnx.Module):
    def __init__(self, a, b, low, strides):
        self.first, self.second = Normed(a, b, low, 3, strides), Normed(b, b, low)
        self.short = Normed(a, b, low, 1, strides) if strides == 2 else None

    def __call__(self, x):
        y = self.second(nnx.relu(self.first(x)))
        return nnx.relu(y + (x if self.short is None else self.short(x)))


class Block(nnx.Module):
    def __init__(self, width, low):
        options = {"dtype": low, "rngs": rngs}
        self.first, self.second = (nnx.LayerNorm(width, **options) for _ in range(2))
        self.attention = nnx.MultiHeadAttention(HEADS, width, decode=False, **options)
        self.up = nnx.Linear(width, 4 * width, **options)
        self.down = nnx.Linear(4 * width, width, **options)

    def __call__(self, x):
        mask = nnx.make_causal_mask(jnp.ones(x.shape[:2]))
        x = x + self.attention(self.first(x), mask=mask)
        return x + self.down(nnx.gelu(self.up(self.second(x)), approximate=False))


def residual_blocks(case, low):
    """The blocks, and features at the end."""
    blocks, ends = [], case.width
    for stage, i in itertools.product(range(3), range(case.depth)):
        n = case.width * 2**stage
        blocks.append(Residual(ends, n, low, 2 if stage and not i else 1))
        ends = n
    return blocks, ends


class Net(nnx.Module):
    def __init__(self, case, low, remat):
        self.kind, self.remat = case.kind, remat
        width, last, ends, first = case.width, CLASSES, case.width, None
        if case.kind == "mlp":
            sizes = [case.extent, *[width] * case.depth]
            blocks = [Rectified(a, b, low) for a, b in itertools.pairwise(sizes)]
        elif case.kind == "residual":
            first = Normed(3, width, low)
            blocks, ends = residual_blocks(case, low)
        else:
            first, last = nnx.Embed(VOCABULARY, width, dtype=low, rngs=rngs), VOCABULARY
            blocks = [Block(width, low) for _ in range(case.depth)]
        self.first, self.blocks = first, nnx.List(blocks)
        self.last = nnx.Linear(ends, last, rngs=rngs)

    def __call__(self, x):
        x = x if self.first is None else self.first(x)
        x = nnx.relu(x) if self.kind == "residual" else x
        for block in self.blocks:
            x = nnx.remat(type(block).__call__)(block, x) if self.remat else block(x)
        x = x.mean((1, 2)) if self.kind == "residual" else x
        return self.last(x.astype(jnp.float32))


def program(case, precision, remat):
    """Training and prediction, as `accelerator` wants them."""
    net = Net(case, jnp.bfloat16 if "16" in precision else jnp.float32, remat)
    optimizer = nnx.Optimizer(net, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step(net, optimizer, x, y):
        def loss(net):
            return optax.softmax_cross_entropy_with_integer_labels(net(x), y).mean()

        value, grads = nnx.value_and_grad(loss)(net)
        optimizer.update(net, grads)
        return value

    predict = nnx.jit(lambda net, x: net(x))
    train = epochs_of(case, lambda x, y: step(net, optimizer, x, y))
    return train, lambda x: np.asarray(predict(net, x))
