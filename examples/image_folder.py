"""Classify the images in a folder that holds a folder for each class.

Shows: `image_dataset_from_directory` with a held-out part, augmentation inside the model (active
in training alone), early stopping that keeps the best weights, one file that holds the whole
model.

    python examples/image_folder.py                       # digits, written as PNG files
    python examples/image_folder.py --folder photos --size 96 --epochs 50

Prints the files and classes found, a line an epoch, and at the end the share of held-out images
that are classified right: about 97% for the digits after 8 epochs. The model is in
`out/image_folder`.
"""

import argparse
import pathlib

import numpy as np
from sklearn.datasets import load_digits

import kerasish as keras
from kerasish import layers


def write_digits(folder):
    """Write scikit-learn's digits as `folder/<digit>/<number>.png`, if they are not there yet."""
    if folder.exists():
        return
    digits = load_digits()
    for i, (image, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(digit) / f"{i:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        keras.utils.save_img(path, image[..., None] * (255 / 16), scale=False)


def make_model(size, classes, width):
    """Rescale, augment, three stages of convolutions that halve the image, average, classify."""
    inputs = keras.Input((size, size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    x = layers.RandomTranslation(0.08, 0.08, fill_mode="nearest")(x)
    x = layers.RandomRotation(0.02, fill_mode="nearest")(x)
    for stage in range(3):
        x = layers.Conv2D(width * 2**stage, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling2D()(x)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(0.2)(x)
    outputs = layers.Dense(classes, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="image_classifier")


def main():
    """Read the folder, train, evaluate, save, and classify a few files by name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=pathlib.Path, help="a folder for each class; none: digits")
    parser.add_argument("--size", type=int, default=16, help="height and width to resize to")
    parser.add_argument("--width", type=int, default=12, help="channels of the first convolution")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/image_folder"))
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    if options.folder is None:
        options.folder = options.out / "digits"
        write_digits(options.folder)
    options.out.mkdir(parents=True, exist_ok=True)
    training, validation = keras.utils.image_dataset_from_directory(
        options.folder,
        image_size=(options.size, options.size),
        batch_size=32,
        validation_split=0.2,
        subset="both",
        seed=0,
    )
    names = training.class_names
    model = make_model(options.size, len(names), options.width)
    model.compile(
        keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    stop = keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)
    model.fit(
        training.cache(),  # read and resized once; leave it out where memory is short
        validation_data=validation.cache(),
        epochs=options.epochs,
        callbacks=[stop],
        verbose=2,
    )
    model.save(options.out / "model.keras")

    for path in validation.file_paths[:3]:
        size = (options.size, options.size)
        image = keras.utils.load_img(path, target_size=size, interpolation="bilinear")
        row = model.predict(keras.utils.img_to_array(image)[None], verbose=0)[0]
        print(f"{path}: {names[np.argmax(row)]} ({row.max():.0%})")
    accuracy = model.evaluate(validation, verbose=0, return_dict=True)["accuracy"]
    print(f"Validation accuracy: {accuracy:.1%}")


if __name__ == "__main__":
    main()
