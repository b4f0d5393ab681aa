"""A small language model: a decoder that learns English from documentation and writes some itself.

Shows: a layer with causal attention and dropout, an embedding used at both ends
(`ReversibleEmbedding`), AdamW with warmup and cosine decay, weight decay, gradient clipping, and
writing compiled as a whole: `keras.jit` around `keras.scan`, one character a step.

    python examples/language_model.py
    python examples/language_model.py --rows 20000 --width 128 --depth 4 --epochs 20

Prints a line an epoch, a line of its own writing, and bits per character on unseen text: about
3.7 after the small default run; frequencies alone give 4.7. The text is that of the docstrings in
Python's standard library, so nothing is downloaded.
"""

import argparse
import ast
import os
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

import kerasish as keras
from kerasish import layers

LENGTH, LETTERS = 64, 128  # characters a row; ASCII


def load_data(rows):
    """Rows of `LENGTH + 1` characters, as training and test set."""
    texts = []
    for path in sorted(pathlib.Path(os.__file__).parent.glob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        docs = [
            ast.get_docstring(n) for n in nodes if isinstance(n, ast.ClassDef | ast.FunctionDef)
        ]
        texts += [" ".join(doc.split()) for doc in docs if doc and doc.isascii()]
    text = np.frombuffer("\n".join(texts).encode(), "uint8").astype("int32")
    text = text[: len(text) // (LENGTH + 1) * (LENGTH + 1)].reshape(-1, LENGTH + 1)
    text = np.random.default_rng(0).permutation(text)
    held_out = min(256, len(text) // 10)
    return text[held_out : held_out + rows], text[:held_out]


class Block(layers.Layer):
    """Each character looks at those before it, then thinks by itself."""

    def __init__(self, heads, dropout, **kwargs):
        super().__init__(**kwargs)
        self.heads = heads
        self.dropout = dropout

    def build(self, input_shape):
        width = input_shape[-1]
        self.norms = [layers.RMSNormalization(), layers.RMSNormalization()]
        self.attention = layers.MultiHeadAttention(self.heads, width // self.heads)
        self.wide, self.narrow = layers.Dense(4 * width, "gelu"), layers.Dense(width)
        self.drop = layers.Dropout(self.dropout)

    def call(self, x):
        seen = self.norms[0](x)
        x = x + self.drop(self.attention(seen, seen, use_causal_mask=True))
        return x + self.drop(self.narrow(self.wide(self.norms[1](x))))


class LanguageModel(keras.Model):
    """Logits of each next character."""

    def __init__(self, width, depth, heads=4, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.letters = layers.ReversibleEmbedding(LETTERS, width)
        self.positions = layers.Embedding(LENGTH, width)
        self.blocks = [Block(heads, dropout) for _ in range(depth)]
        self.norm = layers.RMSNormalization()

    def call(self, x):
        h = self.letters(x) + self.positions(jnp.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.letters(self.norm(h), reverse=True)


def write(model, start, count, temperature=0.7, seed=0):
    """The start and what the model goes on with, each character drawn by its probability."""

    @keras.jit
    def characters(window, key):
        def step(window, key):
            logits = model(window[None])[0, -1] / temperature
            drawn = jax.random.categorical(key, logits).astype("int32")
            return jnp.append(window[1:], drawn), drawn

        return keras.scan(step, window, jax.random.split(key, count))[1]

    window = jnp.array([ord(letter) for letter in start.rjust(LENGTH)[-LENGTH:]], "int32")
    return start + "".join(map(chr, characters(window, jax.random.key(seed)).tolist()))


def main():
    """Train, evaluate, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1024, help="rows to learn from")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=6)
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    text, test = load_data(options.rows)
    model = LanguageModel(options.width, options.depth, dropout=options.dropout)
    steps = options.epochs * -(-len(text) // 16)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, steps, alpha=0.01, warmup_target=6e-3, warmup_steps=steps // 10
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=0.01, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "scale"])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    model.fit(text[:, :-1], text[:, 1:], batch_size=16, epochs=options.epochs, verbose=2)
    print(f"{model.count_params():,} weights. It writes: {write(model, 'Return the ', 120)!r}")

    share = np.bincount(text.ravel(), minlength=LETTERS) / text.size
    share = share[share > 0]
    print(f"Knowing only how frequent each is: {-np.sum(share * np.log2(share)):.2f}")
    nats = model.evaluate(test[:, :-1], test[:, 1:], verbose=0, return_dict=True)["loss"]
    print(f"Bits per character: {nats / np.log(2):.2f}")


if __name__ == "__main__":
    main()
