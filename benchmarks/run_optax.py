"""Runner for plain JAX: a hand-written, jitted, donated optax step fed by NumPy batches."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.measure import PREDICTED, arguments, report
from benchmarks.models import find_model

chosen = find_model(arguments().model)
optimizer = optax.adam(1e-3)


rng = np.random.default_rng(0)


def glorot(*shape):
    """Uniform kernel of the usual width, made on the host."""
    receptive = np.prod(shape[:-2], dtype=int)
    limit = np.sqrt(6 / (receptive * (shape[-2] + shape[-1])))
    return rng.uniform(-limit, limit, shape).astype("float32")


def zeros(*shape):
    """Zeros, made on the host."""
    return np.zeros(shape, "float32")


# Each kind of layer is a function from the shape of its input and its sizes to its weights, the
# shape of its output, and a function `(weights, x, key) -> y`; the key is `None` at inference.


def dense(shape, units, relu):
    def call(w, x, key):
        y = x @ w["w"] + w["b"]
        return jax.nn.relu(y) if relu else y

    return {"w": glorot(shape[-1], units), "b": zeros(units)}, (*shape[:-1], units), call


def conv(shape, filters, size, padding):
    def call(w, x, key):
        axes = ("NHWC", "HWIO", "NHWC")
        y = jax.lax.conv_general_dilated(x, w["w"], (1, 1), padding.upper(), dimension_numbers=axes)
        return jax.nn.relu(y + w["b"])

    lost = size - 1 if padding == "valid" else 0
    weights = {"w": glorot(size, size, shape[-1], filters), "b": zeros(filters)}
    return weights, (shape[0] - lost, shape[1] - lost, filters), call


def pool(shape, size):
    def call(w, x, key):
        window = (1, size, size, 1)
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")

    return {}, (shape[0] // size, shape[1] // size, shape[2]), call


def flatten(shape):
    return {}, (int(np.prod(shape)),), lambda w, x, key: x.reshape(len(x), -1)


def relu(shape):
    return {}, shape, lambda w, x, key: jax.nn.relu(x)


def mean(shape):
    return {}, shape[1:], lambda w, x, key: x.mean(1)


def dropout(shape, rate):
    def call(w, x, key):
        if key is None:
            return x
        return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)

    return {}, shape, call


def batch_norm(shape):
    def call(w, x, key):
        now = w["moving"] if key is None else {"mean": x.mean(0), "var": x.var(0)}
        if key is not None:
            w["moving"] = {name: 0.99 * w["moving"][name] + 0.01 * now[name] for name in now}
        return w["w"] * (x - now["mean"]) * jax.lax.rsqrt(now["var"] + 1e-3) + w["b"]

    moving = {"mean": zeros(shape[-1]), "var": zeros(shape[-1]) + 1}
    return {"w": zeros(shape[-1]) + 1, "b": zeros(shape[-1]), "moving": moving}, shape, call


def lstm(shape, units, sequences):
    def call(w, x, key):
        def step(carry, now):
            h, c = carry
            i, f, g, o = jnp.split(now + h @ w["u"], 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((len(x), units))
        inputs = jnp.swapaxes(x @ w["w"] + w["b"], 0, 1)
        (last, _), outputs = jax.lax.scan(step, (start, start), inputs)
        return jnp.swapaxes(outputs, 0, 1) if sequences else last

    weights = {"w": glorot(shape[-1], 4 * units), "u": glorot(units, 4 * units)}
    after = (shape[0], units) if sequences else (units,)
    return {**weights, "b": zeros(4 * units)}, after, call


def block(shape, heads, hidden):
    def normalize(x, w):
        centred = x - x.mean(-1, keepdims=True)
        return centred * jax.lax.rsqrt(x.var(-1, keepdims=True) + 1e-3) * w["w"] + w["b"]

    def affine(x, w):
        return x @ w["w"] + w["b"]

    def call(w, x, key):
        split = (*x.shape[:2], 3, heads, x.shape[-1] // heads)
        q, k, v = jnp.moveaxis(affine(normalize(x, w["norm1"]), w["qkv"]).reshape(split), 2, 0)
        x = x + affine(jax.nn.dot_product_attention(q, k, v).reshape(x.shape), w["out"])
        return x + affine(jax.nn.relu(affine(normalize(x, w["norm2"]), w["up"])), w["down"])

    width = shape[-1]
    sizes = {"qkv": (width, 3 * width), "out": (width, width)}
    sizes |= {"up": (width, hidden), "down": (hidden, width)}
    weights = {name: {"w": glorot(*size), "b": zeros(size[1])} for name, size in sizes.items()}
    norms = {name: {"w": zeros(width) + 1, "b": zeros(width)} for name in ("norm1", "norm2")}
    return weights | norms, shape, call


KINDS = {f.__name__: f for f in (dense, conv, pool, flatten, relu, mean, dropout, batch_norm)}
KINDS |= {"lstm": lstm, "block": block}


def make_layers():
    """The weights of every layer and the functions that use them."""
    shape, weights, calls = chosen.shape, [], []
    for kind, *sizes in chosen.layers:
        new, shape, call = KINDS[kind](shape, *sizes)
        weights.append(new)
        calls.append(call)
    return jax.device_put(weights), calls


def build():
    """The step, a shuffled loop of it over NumPy batches, and prediction in batches."""
    weights, calls = make_layers()

    def forward(weights, x, key=None):
        after = [dict(w) for w in weights]  # where moving statistics are renewed
        for i, (call, w) in enumerate(zip(calls, after, strict=True)):
            x = call(w, x, None if key is None else jax.random.fold_in(key, i))
        return x, after

    @functools.partial(jax.jit, donate_argnums=0)
    def step(state, x, y):
        weights, slots, key, total = state
        key, now = jax.random.split(key)

        def loss_of(weights):
            logits, after = forward(weights, x, now)
            return optax.softmax_cross_entropy_with_integer_labels(logits, y).mean(), after

        # The gradient of a moving statistic is zero, and so is its update.
        (loss, after), grads = jax.value_and_grad(loss_of, has_aux=True)(weights)
        updates, slots = optimizer.update(grads, slots)
        return optax.apply_updates(after, updates), slots, key, total + loss

    infer = jax.jit(lambda weights, x: forward(weights, x)[0])
    state = weights, jax.jit(optimizer.init)(weights), jax.random.key(0), jnp.zeros(())

    def train(x, y, clock, epochs):
        nonlocal state
        order = np.random.default_rng(1)
        for _ in range(epochs):
            for rows in order.permutation(len(x)).reshape(-1, chosen.batch):
                state = step(state, x[rows], y[rows])
            float(state[-1])
            clock.tick()

    def predict(x):
        starts = range(0, len(x), PREDICTED)
        parts = [infer(state[0], x[i : i + PREDICTED]) for i in starts]
        return np.concatenate(parts)

    return train, predict


if __name__ == "__main__":
    report(build)
