"""Bounding boxes: formats and measures as in Keras 3, and moved as the pixels of images are."""

import keras
import numpy as np
import pytest

import kerasish
from kerasish import layers
from kerasish.layers.preprocessing.image.bounding_boxes import FORMATS
from tests.support.keras_oracle import both

RNG = np.random.default_rng(0)
CORNERS = np.sort(RNG.uniform(0, 16, size=(2, 2, 5, 2)), axis=0)
BOXES = np.concatenate([CORNERS[0], CORNERS[1]], axis=-1).astype("float32")  # (2, 5, 4), xyxy
LABELS = RNG.integers(0, 9, size=(2, 5)).astype("int32")
SIZE = {"height": 16, "width": 20}


@pytest.mark.parametrize("target", FORMATS)
@pytest.mark.parametrize("source", FORMATS)
def test_formats_are_keras(source, target):
    def program(k):
        box = k.utils.bounding_boxes
        given = box.convert_format(np.copy(BOXES), "xyxy", source, **SIZE)
        return box.convert_format(given, source.upper(), target, **SIZE)

    both(program)


def test_a_dict_stays_as_it_is():
    data = {"boxes": BOXES, "labels": LABELS}
    kerasish.utils.bounding_boxes.convert_format(data, "xyxy", "xywh")
    assert data["boxes"] is BOXES


BATCH = np.linspace(-0.4, 0.7, 2).astype("float32")
FUNCTIONS = {
    "clipped": lambda b: b.clip_to_image_size({"boxes": BOXES - 6, "labels": LABELS}, 9, 11),
    "clipped, relative": lambda b: b.clip_to_image_size(
        {"boxes": BOXES / 9 - 0.5, "labels": LABELS}, bounding_box_format="rel_xyxy"
    ),
    "turned": lambda b: b.affine_transform(BOXES, 40 * BATCH, *3 * [BATCH], 9 * BATCH, BATCH, 9, 7),
    "about a corner": lambda b: b.affine_transform(
        BOXES, 40 * BATCH, BATCH, BATCH, 1 + BATCH, 9 * BATCH, 20 * BATCH, 16, 20, 0.0, 1.0
    ),
    "cropped": lambda b: b.crop(BOXES, 3, 4, 8, 7),
    "padded": lambda b: b.pad(BOXES, 3, 4),
    "encoded": lambda b: b.encode_box_to_deltas(BOXES[1], BOXES, "xyxy", "xyxy"),
    "encoded, relative": lambda b: b.encode_box_to_deltas(
        BOXES[0] / 20, BOXES, "rel_xywh", "xywh", "center_xywh", [0.1, 0.1, 0.2, 0.2], (16, 20, 3)
    ),
    "decoded": lambda b: b.decode_deltas_to_boxes(
        BOXES[1], BOXES / 20, "xyxy", "yxyx", variance=[0.1, 0.1, 0.2, 0.2]
    ),
    "decoded levels": lambda b: b.decode_deltas_to_boxes(
        {1: BOXES[0]}, {1: BOXES / 20}, "xywh", "rel_xyxy", "center_xywh", image_shape=(16, 20, 3)
    ),
    "iou": lambda b: b.compute_iou(BOXES, BOXES[1, :3], "xyxy"),
    "iou of batches": lambda b: b.compute_iou(BOXES, BOXES[:, ::-1], "xywh"),
    "iou, one without": lambda b: b.compute_iou(BOXES[0], BOXES, "center_xywh"),
    "ciou": lambda b: b.compute_ciou(BOXES, BOXES[:, ::-1], "xyxy"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_keras(name):
    both(lambda k: FUNCTIONS[name](k.utils.bounding_boxes))


def test_iou_of_missing_boxes_is_a_mark():
    missing = np.full((1, 4), -1.0)
    boxes = np.concatenate([BOXES[0], missing])
    iou = kerasish.utils.bounding_boxes.compute_iou(boxes, BOXES[1], "xyxy", True, -7)
    assert (np.asarray(iou[-1]) == -7).all() and (np.asarray(iou[:-1]) >= 0).all()


def test_relative_boxes_have_a_ciou_once_the_size_is_known():
    box = kerasish.utils.bounding_boxes
    relative = box.convert_format(BOXES, "xyxy", "rel_xyxy", **SIZE)
    wanted = box.compute_ciou(BOXES, BOXES[:, ::-1], "xyxy")
    ciou = box.compute_ciou(relative, relative[:, ::-1], "rel_xyxy", (16, 20, 3))
    np.testing.assert_allclose(ciou, wanted, atol=1e-4)


# -- in layers of images

PHOTOS = RNG.uniform(0, 255, size=(2, 16, 20, 3)).astype("float32")
SEED = {"seed": 7}
AS_KERAS = {
    "flip": lambda k, **o: k.RandomFlip(**SEED, **o),
    "flip across": lambda k, **o: k.RandomFlip("horizontal", **SEED, **o),
    "flip upright": lambda k, **o: k.RandomFlip("vertical", **SEED, **o),
    "turn": lambda k, **o: k.RandomRotation(0.2, **SEED, **o),
    "zoom": lambda k, **o: k.RandomZoom(0.3, (-0.4, 0.2), **SEED, **o),
    "shift": lambda k, **o: k.RandomTranslation(0.4, 0.4, **SEED, **o),
    "perspective": lambda k, **o: k.RandomPerspective(1.0, 0.4, **SEED, **o),
    "middle": lambda k, **o: k.CenterCrop(8, 9, **o),
    "middle, resized": lambda k, **o: k.CenterCrop(30, 9, **o),
    "size": lambda k, **o: k.Resizing(8, 31, **o),
    "size, padded": lambda k, **o: k.Resizing(9, 31, pad_to_aspect_ratio=True, **o),
    "size, cropped": lambda k, **o: k.Resizing(9, 31, crop_to_aspect_ratio=True, **o),
    "brightness": lambda k, **o: k.RandomBrightness(0.2, **SEED, **o),
    "erased": lambda k, **o: k.RandomErasing(**SEED, **o),
    "ten": lambda k, **o: k.MaxNumBoundingBoxes(10, **o),
    "three": lambda k, **o: k.MaxNumBoundingBoxes(3, **o),
}


@pytest.mark.parametrize("name", AS_KERAS)
def test_layers_move_boxes_as_keras_does(name):
    def program(k):
        layer = AS_KERAS[name](k.layers, bounding_box_format="xyxy")
        boxes = {"boxes": np.copy(BOXES), "labels": np.copy(LABELS)}
        moved = layer({"images": PHOTOS, "bounding_boxes": boxes}, training=True)["bounding_boxes"]
        labels = np.asarray(moved["labels"])
        known = (labels >= 0)[..., None]  # Keras' rest of an empty box is anything
        return np.where(known, moved["boxes"], 0) / 16, labels.astype("int32")

    both(program)


def cells(boxes, shape):
    """Masks of boxes of whole numbers: `(batch, height, width, 1)`."""
    masks = np.zeros(shape, "float32")
    for mask, (x1, y1, x2, y2) in zip(masks, boxes[:, 0].astype(int), strict=True):
        mask[y1:y2, x1:x2] = 1
    return masks


FOLLOWS = {
    "flip": (lambda **o: layers.RandomFlip(**SEED, **o), 0.01),
    "shift": (lambda **o: layers.RandomTranslation(0.3, 0.3, "constant", **SEED, **o), 0.6),
    "shear": (lambda **o: layers.RandomShear(0.2, 0.3, fill_mode="constant", **SEED, **o), 2.1),
    "turn": (lambda **o: layers.RandomRotation(0.3, "constant", **SEED, **o), 2.1),
    "zoom": (lambda **o: layers.RandomZoom((-0.2, 0.3), (-0.2, 0.3), "constant", **SEED, **o), 1.5),
    "perspective": (lambda **o: layers.RandomPerspective(1.0, 0.4, **SEED, **o), 1.6),
    "crop": (lambda **o: layers.RandomCrop(40, 20, **SEED, **o), 0.01),
    "crop, once": (lambda **o: layers.CenterCrop(40, 20, **o), 0.01),
    "size": (lambda **o: layers.Resizing(96, 30, "nearest", **o), 1.01),
    "randomly": (lambda **o: layers.RandAugment(num_ops=4, factor=0.2, **SEED, **o), 2.6),
}


@pytest.mark.parametrize("form", ["xyxy", "rel_center_xywh"])
@pytest.mark.parametrize("name", FOLLOWS)
def test_boxes_follow_what_is_in_them(name, form):
    """A white block on black, wherever a layer moves it, stays in its box, and fills it."""
    make, room = FOLLOWS[name]
    shape = (6, 48, 36, 1)
    corner = RNG.uniform((12, 16), (16, 20), size=(6, 1, 2)).round()
    boxes = np.concatenate([corner, corner + np.array([5, 9])], axis=-1)
    to = kerasish.utils.bounding_boxes.convert_format
    given = to(boxes, "xyxy", form, *shape[1:3])
    masks = cells(boxes, shape)
    data = {"images": np.repeat(masks * 255, 3, axis=-1), "segmentation_masks": masks}
    data["bounding_boxes"] = {"boxes": given, "labels": np.ones((6, 1))}
    moved = make(bounding_box_format=form)(data, training=True)
    size = moved["images"].shape[1:3]
    found = to(moved["bounding_boxes"]["boxes"], form, "xyxy", *size)
    for mask, box in zip(np.asarray(moved["segmentation_masks"]), np.asarray(found), strict=True):
        if not mask.any():
            continue
        rows, columns = np.nonzero(mask[..., 0])
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        outside = (
            np.maximum(box[0, :2] - seen[:2], 0).max(),
            np.maximum(seen[2:] - box[0, 2:], 0).max(),
        )
        assert max(outside) <= room, (name, box, seen)
        if name not in ("turn", "shear", "randomly"):  # there a box is larger than what is in it
            np.testing.assert_allclose(box[0], seen, atol=room)


def test_one_image_has_boxes_without_a_batch():
    boxes = {"boxes": BOXES[0], "labels": LABELS[0]}
    layer = layers.RandomTranslation((0.25, 0.25), 0.0, bounding_box_format="xyxy", seed=1)
    moved = layer({"images": PHOTOS[0], "bounding_boxes": boxes}, training=True)
    shifted = np.clip(BOXES[0] + [0, 4, 0, 4], 0, [20, 16, 20, 16])
    np.testing.assert_allclose(moved["bounding_boxes"]["boxes"], shifted, rtol=1e-5)
    still = layer({"images": PHOTOS[0], "bounding_boxes": boxes}, training=False)
    np.testing.assert_array_equal(still["bounding_boxes"]["boxes"], BOXES[0])


def test_lists_of_boxes_are_filled_up():
    boxes = {"boxes": [[[1, 2, 3, 4]], [[1, 2, 3, 4], [2, 2, 5, 5]]], "labels": [[1], [2, 3]]}
    layer = layers.Resizing(8, 10, bounding_box_format="xyxy")
    moved = layer({"images": PHOTOS, "bounding_boxes": boxes})["bounding_boxes"]
    np.testing.assert_allclose(moved["boxes"][0], [[0.5, 1, 1.5, 2], [0, 0, 0, 0]])
    np.testing.assert_array_equal(moved["labels"], [[1, -1], [2, 3]])


def test_mixed_images_have_the_boxes_of_both():
    boxes = {"boxes": BOXES, "labels": LABELS}
    layer = layers.MixUp(seed=1, bounding_box_format="xyxy")
    mixed = layer({"images": PHOTOS, "bounding_boxes": boxes}, training=True)["bounding_boxes"]
    assert mixed["boxes"].shape == (2, 10, 4) and mixed["labels"].shape == (2, 10)
    np.testing.assert_array_equal(mixed["boxes"][:, :5], BOXES)


def test_a_pipeline_moves_boxes_in_jit():
    options = {"bounding_box_format": "xywh"}
    pipe = layers.Pipeline(
        [layers.RandomFlip(seed=1, **options), layers.Resizing(8, 10, **options)]
    )
    data = {"images": PHOTOS, "bounding_boxes": {"boxes": BOXES, "labels": LABELS}}
    eager = pipe(data, training=True)["bounding_boxes"]["boxes"]
    pipe.layers[0].generator.state.assign([1, 0])
    jitted = kerasish.jit(lambda data: pipe(data, training=True))(data)
    np.testing.assert_allclose(jitted["bounding_boxes"]["boxes"], eager, rtol=1e-5)


BOX = kerasish.utils.bounding_boxes
ERRORS = {
    r"`source` must be one of \('xyxy'": lambda: BOX.convert_format(BOXES, "yxxy", "xyxy"),
    r"`boxes` must be of 4 numbers": lambda: BOX.convert_format(BOXES[..., :3], "xyxy", "xywh"),
    r"`height, width` must be given": lambda: BOX.convert_format(BOXES, "xyxy", "rel_xyxy"),
    r"`bounding_box_format` must be one of": lambda: BOX.crop(BOXES, 1, 1, 2, 2, "xywh"),
    r"`variance` must be 4": lambda: BOX.encode_box_to_deltas(
        BOXES[0], BOXES, "xyxy", "xyxy", variance=[1.0]
    ),
    r"`image_shape` must be given": lambda: BOX.compute_iou(BOXES, BOXES, "rel_xyxy"),
    r"`boxes2` must be of shape": lambda: BOX.compute_iou(BOXES, BOXES[0, 0], "xyxy"),
    r"`encoded_format` must be 'center_": lambda: BOX.decode_deltas_to_boxes(
        BOXES, BOXES, "xyxy", "xyxy", "xyxy"
    ),
    r"`bounding_box_format` must be one of \('xyxy', 'yxyx'": lambda: layers.Resizing(
        2, 2, bounding_box_format="corners"
    ),
    r"`bounding_boxes` must be a dict with": lambda: layers.RandomFlip(bounding_box_format="xyxy")(
        {"images": PHOTOS, "bounding_boxes": {"boxes": BOXES}}
    ),
    r"must be one for each box of \(2, 5, 4\)": lambda: layers.RandomFlip(
        bounding_box_format="xyxy"
    )({"images": PHOTOS, "bounding_boxes": {"boxes": BOXES, "labels": LABELS[:, :2]}}),
    r"what a rectangle covers of a box is not defined": lambda: layers.CutMix(
        bounding_box_format="xyxy"
    )({"images": PHOTOS, "bounding_boxes": {"boxes": BOXES, "labels": LABELS}}, training=True),
}


@pytest.mark.parametrize("message", ERRORS)
def test_errors_say_what_is_wanted(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()


def test_the_public_functions_are_all_there():
    assert set(kerasish.utils.bounding_boxes.__all__) == {
        name for name in vars(keras.utils.bounding_boxes) if not name.startswith("_")
    }
