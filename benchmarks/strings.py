"""Raw strings in a model against the same model on ids: the host's part beside the device's.

python -m benchmarks.strings
"""

import json
import pathlib
import time

import numpy as np

import kerasish as keras
from kerasish import layers

TEXTS, WORDS, VOCABULARY, EPOCHS, ROUNDS = 4096, 100, 10_000, 3, 5
BODIES = {
    "embeddings, averaged": lambda: [layers.GlobalAveragePooling1D()],
    "convolution": lambda: [layers.Conv1D(64, 5, activation="relu"), layers.GlobalMaxPooling1D()],
    "LSTM": lambda: [layers.LSTM(32)],
}


def make_texts():
    """Texts of words that are as unevenly frequent as those of a language."""
    generator = np.random.default_rng(0)
    words = np.array([f"word{i}" for i in range(2 * VOCABULARY)])
    numbers = np.minimum(generator.zipf(1.3, (TEXTS, WORDS)), len(words) - 1)
    texts = np.array([" ".join(row).capitalize() + "." for row in words[numbers]], object)
    return texts, generator.integers(0, 2, TEXTS).astype("float32")


def make_model(first, body):
    """A classifier of texts, or of ids."""
    stack = [*first, layers.Embedding(VOCABULARY, 32), *BODIES[body]()]
    model = keras.Sequential([*stack, layers.Dense(16, "relu"), layers.Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    return model


def measure(body):
    """Seconds of `fit` (its clock, and the processor's) on strings and on ids, and of `predict`."""
    texts, y = make_texts()
    words = layers.TextVectorization(VOCABULARY, output_sequence_length=WORDS)
    words.adapt(texts)
    runs = {"strings": (make_model([words], body), texts)}
    runs["ids"] = make_model([], body), np.asarray(words(texts))
    found = {}
    for model, x in runs.values():
        model.fit(x, y, verbose=0)
        model.predict(x, verbose=0)
    for _ in range(ROUNDS):
        for name, (model, x) in runs.items():
            for what, act in {
                "one epoch": lambda model=model, x=x: model.fit(x, y, verbose=0),
                "epochs": lambda model=model, x=x: model.fit(x, y, epochs=EPOCHS, verbose=0),
                "predict": lambda model=model, x=x: model.predict(x, verbose=0),
            }.items():
                start, used = time.perf_counter(), time.process_time()
                act()
                seconds = time.perf_counter() - start, time.process_time() - used
                found.setdefault((what, name), []).append(seconds)
    medians = {key: np.median(seconds, axis=0).tolist() for key, seconds in found.items()}
    return {f"{what}, {name}": {"s": s, "cpu s": c} for (what, name), (s, c) in medians.items()}


def main():
    """Print a line for each model; keep all figures in `out/strings.json`."""
    columns = {"one epoch": "1 epoch", "epochs": f"{EPOCHS} epochs", "predict": "predict"}
    print(f"{'strings / ids':24}" + "".join(f"{c:>12}{'(cpu)':>8}" for c in columns.values()))
    rows = {}
    for body in BODIES:
        row = rows[body] = measure(body)
        line = f"{body:24}"
        for what in columns:
            ours, theirs = row[f"{what}, strings"], row[f"{what}, ids"]
            line += f"{ours['s'] / theirs['s']:11.2f}x{ours['cpu s'] / theirs['cpu s']:7.2f}x"
        print(line, flush=True)
    out = pathlib.Path("out/strings.json")
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
