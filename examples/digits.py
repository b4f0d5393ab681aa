"""Read handwritten digits: train a small network, look at it, save it, use it in a new process.

The 1,797 images of 8 x 8 pixels come with scikit-learn, so nothing is downloaded.

    python examples/digits.py
    python examples/digits.py --epochs 60 --out out/longer
"""

import argparse
import pathlib
import subprocess
import sys
import time

import numpy as np
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import kerasish as keras
from kerasish import layers


def load_data():
    """Images with values from 0 to 1 and their digits, as training and test set."""
    digits = load_digits()
    x = digits.images[..., None].astype("float32") / digits.images.max()
    return train_test_split(x, digits.target, test_size=0.25, random_state=0)


def make_model():
    """Two convolutions, one hidden layer, ten classes."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(32, 3, padding="same", activation="relu"),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dropout(0.3),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ],
        name="digits",
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def draw_mistakes(x, truth, probabilities, path):
    """A page of the images that were misread, the most confident mistakes first."""
    guesses = probabilities.argmax(-1)
    wrong = np.flatnonzero(guesses != truth)
    wrong = wrong[np.argsort(-probabilities[wrong].max(-1))][:40]
    columns = 8
    rows = max(1, -(-len(wrong) // columns))
    figure = Figure(figsize=(1.5 * columns, 1.8 * rows + 0.6), layout="constrained")
    figure.suptitle(f"{np.sum(guesses != truth)} of {len(truth)} test digits misread")
    axes = figure.subplots(rows, columns)
    for axis in axes.flat:
        axis.axis("off")
    for axis, i in zip(axes.flat, wrong, strict=False):
        axis.imshow(x[i, ..., 0], cmap="gray_r")
        sure = probabilities[i, guesses[i]]
        axis.set_title(f"{truth[i]} read as {guesses[i]}\n({sure:.0%} sure)", fontsize=9)
    figure.savefig(path, dpi=120)


def check_saved(folder):
    """Load the saved model and compare its predictions with those of the one that was trained."""
    model = keras.models.load_model(folder / "model.keras")
    _, x_test, _, _ = load_data()
    expected = np.load(folder / "predictions.npy")
    difference = np.abs(model.predict(x_test, verbose=0) - expected).max()
    print(f"Loaded in a new process: predictions differ by {difference:.1e} at most.")
    assert difference < 1e-5, "the loaded model is not the one that was saved"


def train(folder, epochs, seed):
    """Train and evaluate; leave the model, its predictions and two pictures in the folder."""
    keras.utils.set_random_seed(seed)
    x_train, x_test, y_train, y_test = load_data()
    print(f"{len(x_train):,} digits to learn from, {len(x_test)} to test on.\n")
    model = make_model()
    model.summary()

    start = time.perf_counter()
    history = model.fit(x_train, y_train, batch_size=32, epochs=epochs, validation_split=0.1)
    print(f"\nTrained for {epochs} epochs in {time.perf_counter() - start:.1f} s.")
    _, accuracy = model.evaluate(x_test, y_test, verbose=0)
    print(f"Test accuracy: {accuracy:.2%}\n")

    probabilities = model.predict(x_test, verbose=0)
    folder.mkdir(parents=True, exist_ok=True)
    history.plot(folder / "curves.png")
    draw_mistakes(x_test, y_test, probabilities, folder / "mistakes.png")
    model.save(folder / "model.keras")
    np.save(folder / "predictions.npy", probabilities)
    print(f"{folder / 'curves.png'}    loss and accuracy, epoch by epoch")
    print(f"{folder / 'mistakes.png'}  the digits it misread")
    print(f"{folder / 'model.keras'}   the model\n")


def main():
    """Train, evaluate, draw and save; then start the process that loads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=30, help="passes over the training set")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/digits"))
    parser.add_argument("--seed", type=int, default=0, help="fixes weights, dropout and order")
    parser.add_argument("--only-load", action="store_true", help="check the model saved in --out")
    options = parser.parse_args()
    if options.only_load:
        check_saved(options.out)
    else:
        train(options.out, options.epochs, options.seed)
        load = [sys.executable, __file__, "--only-load", "--out", str(options.out)]
        subprocess.run(load, check=True)


if __name__ == "__main__":
    main()
