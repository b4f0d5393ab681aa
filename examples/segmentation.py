"""Segment images: a U-Net that says of each pixel what it belongs to.

Shows: skip connections in the functional style, augmentation that moves images and masks alike, a
loss of two parts (cross-entropy and Dice), `MeanIoU` on class numbers, masks drawn over images.

    python examples/segmentation.py
    python examples/segmentation.py --images 4000 --epochs 30 --out out/segmentation

Prints a line an epoch and at the end the mean intersection over union on unseen images, about
0.9, and what calling every pixel background gives, about 0.3. With `--out`, a page of images and
masks. The images hold discs and squares in noise; replace `make_images` by your own arrays.
"""

import argparse
import pathlib

import numpy as np

import kerasish as keras
from kerasish import layers, ops

SIZE, CLASSES = 32, 3  # background, disc, square


def make_images(count, seed):
    """Gray images with discs and squares, and the class of each pixel."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    masks = np.zeros((count, SIZE, SIZE), "uint8")
    images = np.zeros((count, SIZE, SIZE), "float32")
    for image, mask in zip(images, masks, strict=True):
        for _ in range(rng.integers(1, 4)):
            y, x = rng.integers(6, SIZE - 6, 2)
            radius, kind = rng.integers(3, 7), rng.integers(1, CLASSES)
            far = [np.hypot(rows - y, columns - x), np.maximum(abs(rows - y), abs(columns - x))]
            inside = far[kind - 1] <= radius
            mask[inside] = kind
            image[inside] = rng.uniform(0.4, 1)
    images += rng.normal(0, 0.2, images.shape)
    return images[..., None].astype("float32"), masks[..., None].astype("int32")


def block(x, channels):
    """Two convolutions with batch normalization."""
    for _ in range(2):
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    return x


def make_model(width, depth=2):
    """Down to small images with many channels and up again, with what was seen on the way down."""
    inputs = keras.Input((SIZE, SIZE, 1))
    x, seen = inputs, []
    for level in range(depth):
        x = block(x, width * 2**level)
        seen.append(x)
        x = layers.MaxPooling2D()(x)
    x = block(x, width * 2**depth)
    for level in reversed(range(depth)):
        x = layers.Conv2DTranspose(width * 2**level, 2, strides=2)(x)
        x = block(layers.Concatenate()([x, seen[level]]), width * 2**level)
    return keras.Model(inputs, layers.Conv2D(CLASSES, 1)(x), name="u_net")


def crossentropy_and_dice(y_true, y_pred):
    """Cross-entropy of each pixel, plus one minus the overlap of each class."""
    classes = ops.cast(y_true[..., 0], "int32")  # `fit` makes them floats, as the outputs are
    crossentropy = ops.sparse_categorical_crossentropy(classes, y_pred, from_logits=True)
    one_hot = ops.one_hot(classes, CLASSES)
    dice = keras.losses.dice(one_hot, ops.softmax(y_pred), axis=(1, 2, 3))
    return ops.mean(crossentropy, axis=(1, 2)) + dice


def mean_iou(y_true, y_pred):
    """Intersection over union, averaged over the classes."""
    metric = keras.metrics.MeanIoU(CLASSES)
    metric.update_state(y_true, y_pred)
    return float(metric.result())


def augmented(images, masks):
    """A data set of batches, flipped at random, each mask with its image."""
    flip = layers.RandomFlip("horizontal_and_vertical")

    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return len(images) // 16

        def __getitem__(self, i):
            some = slice(16 * i, 16 * i + 16)
            both = {"images": images[some], "segmentation_masks": masks[some]}
            both = flip(both, training=True)
            return both["images"], both["segmentation_masks"]

    return Batches()


def main():
    """Train, evaluate, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=512, help="images to learn from")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--width", type=int, default=8, help="channels at full resolution")
    parser.add_argument("--out", type=pathlib.Path, help="folder to draw images and masks in")
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    x_test, y_test = make_images(128, seed=1)
    model = make_model(options.width)
    model.compile(keras.optimizers.Adam(6e-3), crossentropy_and_dice)
    training = augmented(*make_images(options.images, seed=0))
    model.fit(training, validation_data=(x_test, y_test), epochs=options.epochs, verbose=2)

    classes = model.predict(x_test, verbose=0).argmax(-1)[..., None]
    print(f"Mean IoU, all background: {mean_iou(y_test, np.zeros_like(y_test)):.3f}")
    print(f"Mean IoU on unseen images: {mean_iou(y_test, classes):.3f}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        gray = np.repeat(np.clip(x_test, 0, 1) * 255, 3, axis=-1)
        keras.visualization.plot_segmentation_mask_gallery(
            gray[:8], CLASSES, y_true=y_test[:8], y_pred=classes[:8], path=options.out / "masks.png"
        )


if __name__ == "__main__":
    main()
