"""Find objects and say where: a detector with one guess for each cell of a grid, as in CenterNet.

Shows: a model with two outputs, a loss of its own for each, targets made from boxes, decoding and
non-maximum suppression, `keras.utils.bounding_boxes.compute_iou`, boxes drawn on images.

    python examples/boxes.py
    python examples/boxes.py --images 8000 --epochs 30 --out out/boxes

Prints a line an epoch, then precision and recall on unseen images, where a box counts as right if
it overlaps a true one by half (intersection over union): F1 is about 0.97. With `--out`, a page
of boxes. The images hold rectangles of bright stripes in noise; replace `make_images` by your own
arrays.
"""

import argparse
import pathlib

import numpy as np

import kerasish as keras
from kerasish import layers, ops
from kerasish.utils import bounding_boxes

SIZE, CELL = 32, 4  # pixels of an image and of a cell of the grid
GRID = SIZE // CELL


def make_images(count, seed):
    """Gray images and lists of boxes `(left, top, right, bottom)` in pixels."""
    rng = np.random.default_rng(seed)
    images = rng.normal(0, 0.3, (count, SIZE, SIZE, 1)).astype("float32")
    boxes = []
    for image in images:
        found = []
        for left in (0, SIZE // 2)[: rng.integers(1, 3)]:  # one in each half, so that none overlap
            width, height = rng.integers(6, 15, 2)
            x, y = left + rng.integers(0, 16 - width), rng.integers(0, SIZE - height)
            image[y : y + height, x : x + width] += rng.uniform(0.7, 1.2)
            found.append((x, y, x + width, y + height))
        boxes.append(np.array(found, "float32"))
    return images, boxes


def make_targets(boxes):
    """Of each cell: whether a box's centre is in it, and that box around the cell's middle."""
    centres = np.zeros((len(boxes), GRID, GRID, 1), "float32")
    edges = np.zeros((len(boxes), GRID, GRID, 5), "float32")  # the fifth: whether there is a box
    for i, some in enumerate(boxes):
        for left, top, right, bottom in some:
            column, row = int((left + right) / 2 // CELL), int((top + bottom) / 2 // CELL)
            x, y = (column + 0.5) * CELL, (row + 0.5) * CELL
            centres[i, row, column] = 1
            edges[i, row, column] = (x - left, y - top, right - x, bottom - y, SIZE)
    return {"centres": centres, "edges": edges / SIZE}


def edge_loss(y_true, y_pred):
    """Huber loss of the four edges, where there is a box."""
    error = ops.abs(y_true[..., :4] - y_pred)
    huber = ops.where(error < 0.1, 5 * error**2, error - 0.05)
    return ops.sum(huber * y_true[..., 4:]) / ops.maximum(ops.sum(y_true[..., 4:]), 1)


def make_model(width):
    """Convolutions down to the grid, and a head for each output."""
    inputs = keras.Input((SIZE, SIZE, 1))
    x = inputs
    for channels, strides in [(width, 2), (2 * width, 2), (4 * width, 1), (4 * width, 1)]:
        x = layers.Conv2D(channels, 3, strides=strides, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    outputs = {
        "centres": layers.Conv2D(1, 1, activation="sigmoid", name="centres")(x),
        "edges": layers.Conv2D(4, 1, name="edges")(x),
    }
    return keras.Model(inputs, outputs, name="detector")


def decode(centres, edges, threshold=0.4, overlap=0.3):
    """Boxes of one image, the surest first, without those that overlap a surer one."""
    row, column = np.nonzero(centres[..., 0] > threshold)
    surest = np.argsort(-centres[row, column, 0])
    row, column = row[surest], column[surest]
    x, y = (column + 0.5) * CELL, (row + 0.5) * CELL
    left, top, right, bottom = edges[row, column].T * SIZE
    boxes = np.stack([x - left, y - top, x + right, y + bottom], -1).astype("float32")
    kept = []
    for box in boxes:
        if not kept or iou(box[None], np.stack(kept)).max() < overlap:
            kept.append(box)
    return np.array(kept, "float32").reshape(-1, 4)


def iou(a, b):
    """Intersection over union of each of one set of boxes with each of another."""
    return np.asarray(bounding_boxes.compute_iou(a, b, "xyxy"))


def padded(boxes):
    """Boxes of several images as arrays, filled up with boxes of label -1."""
    labels = np.full((len(boxes), max(map(len, boxes))), -1, "int32")
    filled = np.full((*labels.shape, 4), -1, "float32")
    for i, some in enumerate(boxes):
        labels[i, : len(some)], filled[i, : len(some)] = 0, some
    return {"boxes": filled, "labels": labels}


def main():
    """Train, decode, count, draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1536, help="images to learn from")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--width", type=int, default=12, help="channels of the first convolution")
    parser.add_argument("--out", type=pathlib.Path, help="folder to draw boxes in")
    options = parser.parse_args()

    keras.utils.set_random_seed(0)
    x, boxes = make_images(options.images, seed=0)
    x_test, truth = make_images(200, seed=1)
    model = make_model(options.width)
    focal = keras.losses.BinaryFocalCrossentropy(gamma=2)  # most cells hold nothing
    losses, weights = {"centres": focal, "edges": edge_loss}, {"centres": 20, "edges": 1}
    model.compile(keras.optimizers.Adam(3e-3), losses, loss_weights=weights)
    model.fit(x, make_targets(boxes), epochs=options.epochs, verbose=2)

    guesses = model.predict(x_test, verbose=0)
    found = [decode(*pair) for pair in zip(guesses["centres"], guesses["edges"], strict=True)]
    pairs = [iou(a, b) > 0.5 for a, b in zip(found, truth, strict=True) if len(a)]
    right = sum(int(hits.any(0).sum()) for hits in pairs)  # true boxes that one was found for
    precision, recall = right / max(1, sum(map(len, found))), right / sum(map(len, truth))
    f1 = 2 * right / (sum(map(len, found)) + sum(map(len, truth)))
    print(f"Precision {precision:.1%}, recall {recall:.1%}, F1: {f1:.3f}")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        gray = np.repeat(np.clip(x_test[:9], 0, 1) * 255, 3, axis=-1)
        keras.visualization.plot_bounding_box_gallery(
            gray,
            "xyxy",
            y_true=padded(truth[:9]),
            y_pred=padded(found[:9]),
            path=options.out / "boxes.png",
        )


if __name__ == "__main__":
    main()
