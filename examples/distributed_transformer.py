"""Teach a small transformer to write Python, on however many devices and processes there are.

The text is the source of Python's own standard library, so nothing is downloaded. The model sees 64
characters and guesses each next one. The same command runs on one device, on several, and as
several processes, and ends with the same numbers:

    python examples/distributed_transformer.py
    python examples/distributed_transformer.py --devices 8          # virtual ones on the CPU
    python examples/distributed_transformer.py --processes 2        # of this machine
    python examples/distributed_transformer.py --devices 8 --split both

On a cluster start it as docs/distribution.md says, without a flag.
"""

import argparse
import os
import pathlib
import sys
import time

import jax
import numpy as np

import kerasish as keras
from kerasish import layers, ops

LENGTH, LETTERS = 64, 128  # characters of a sequence; ASCII


def load_data(sequences):
    """Rows of `LENGTH + 1` characters from the standard library, as training and test set."""
    folder = pathlib.Path(os.__file__).parent
    text = b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))
    letters = np.frombuffer(text, "uint8")
    letters = letters[letters < LETTERS]
    rows = letters[: len(letters) // (LENGTH + 1) * (LENGTH + 1)].reshape(-1, LENGTH + 1)
    rows = np.random.default_rng(0).permutation(rows)[: sequences + sequences // 8]
    x, y = rows[:, :-1].astype("int32"), rows[:, 1:].astype("int32")
    return (x[:sequences], y[:sequences]), (x[sequences:], y[sequences:])


def make_model(width=64, depth=2, heads=4):
    """A decoder: each character looks back at those before it."""
    x = keras.Input((LENGTH,), dtype="int32")
    places = layers.Embedding(LENGTH, width, name="places")(ops.zeros_like(x) + np.arange(LENGTH))
    h = layers.Embedding(LETTERS, width, name="letters")(x) + places
    for _ in range(depth):
        looked_at = layers.LayerNormalization()(h)
        attention = layers.MultiHeadAttention(heads, width // heads)
        h = h + attention(looked_at, looked_at, use_causal_mask=True)
        wide = layers.Dense(4 * width, "gelu")(layers.LayerNormalization()(h))
        h = h + layers.Dense(width)(wide)
    outputs = layers.Dense(LETTERS, name="guesses")(layers.LayerNormalization()(h))
    return keras.Model(x, outputs, name="decoder")


def choose_split(name):
    """A distribution over all devices; none for a single one."""
    devices = keras.distribution.get_device_count()
    if devices == 1:
        return None
    if name in ("data", "weights"):
        made = {"data": keras.distribution.DataParallel, "weights": keras.distribution.FullySharded}
        return made[name]()
    along = 2 if devices % 2 == 0 else 1  # of the heads, and of what a layer computes
    mesh = keras.distribution.DeviceMesh((devices // along, along), ("batch", "model"))
    if name == "work":
        return keras.distribution.TensorParallel(mesh)
    return keras.distribution.FullyShardedTensorParallel(mesh)


def go_on(model, start, letters=120):
    """Text that the model finds likely after a start, the likeliest character each time."""
    text = [ord(letter) for letter in start]
    for _ in range(letters):
        seen = text[-LENGTH:]
        x = np.zeros((1, LENGTH), "int32")
        x[0, : len(seen)] = seen
        text.append(int(model.predict(x, verbose=0)[0, len(seen) - 1].argmax()))
    return "".join(map(chr, text))


def train(options, say):
    """Train, evaluate, write a little."""
    keras.utils.set_random_seed(0)
    (x, y), test = load_data(options.sequences)
    model = make_model()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    say(f"{len(x):,} rows of {LENGTH} characters; {model.count_params():,} weights.")
    start = time.perf_counter()
    model.fit(x, y, batch_size=64, epochs=options.epochs, verbose=2)
    say(f"Trained in {time.perf_counter() - start:.1f} s.")
    loss, accuracy = model.evaluate(*test, batch_size=64, verbose=0)
    share = np.bincount(y.ravel(), minlength=LETTERS) / y.size
    by_chance = -np.sum(share * np.log2(share, where=share > 0, out=np.zeros(LETTERS)))
    say(
        f"Unseen text: {loss / np.log(2):.4f} bits a character, {accuracy:.2%} guessed right "
        f"(knowing only how frequent each is: {by_chance:.2f} bits, {share.max():.0%})."
    )
    if options.write:
        say(go_on(model, "    def __init__(self"))


def main():
    """Start further processes if asked to; else join them and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, help="virtual CPU devices, in all")
    parser.add_argument("--processes", type=int, help="processes to start on this machine")
    parser.add_argument("--split", choices=["data", "weights", "work", "both"], default="data")
    parser.add_argument("--epochs", type=int, default=3, help="passes over the training set")
    parser.add_argument("--sequences", type=int, default=8192, help="rows to learn from")
    parser.add_argument("--write", action="store_true", help="let it write some text at the end")
    options = parser.parse_args()
    if options.processes and "KERAS_DISTRIBUTION_PROCESS_ID" not in os.environ:
        launcher = ["-m", "kerasish.launch", "--quiet", "--processes", str(options.processes)]
        if options.devices:
            launcher += ["--devices-per-process", str(options.devices // options.processes)]
        os.execv(sys.executable, [sys.executable, *launcher, *sys.argv])
    if options.devices and not options.processes:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", options.devices)
    keras.distribution.initialize()
    keras.distribution.set_distribution(choose_split(options.split))
    say = print if jax.process_index() == 0 else lambda text: None
    say(f"{jax.device_count()} devices in {jax.process_count()} processes.")
    train(options, say)


if __name__ == "__main__":
    main()
