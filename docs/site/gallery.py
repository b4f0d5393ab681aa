"""The gallery: every plot that the library draws, above the code that drew it."""

import ast
import pathlib
import re

import matplotlib.pyplot as plt
import numpy as np

import kerasish as keras

_PACKAGE = pathlib.Path(keras.__file__).parent
_SETTING = """
import numpy as np

import kerasish as keras
from kerasish import layers

keras.utils.set_random_seed(0)
(x, y), (x_test, y_test) = keras.datasets.digits.load_data()
x, x_test = x[..., None], x_test[..., None]  # one channel
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Rescaling(1 / 16),
        layers.Conv2D(16, 3, activation="relu", name="edges"),
        layers.MaxPooling2D(name="halves"),
        layers.Flatten(),
        layers.Dense(64, activation="relu", name="first"),
        layers.Dense(32, activation="relu", name="second"),
        layers.Dropout(0.3),
        layers.Dense(10, activation="softmax", name="digit"),
    ],
    name="digits",
)
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
"""

# A plot: its title, what it shows, and code that ends with `figure`, or with images in `drawn`.
PLOTS = {
    "Learning rates": (
        "`find_learning_rate` trains while the rate grows, and puts everything back.",
        """
curve = model.find_learning_rate(x, y)
figure = curve.plot()
""",
    ),
    "Learning curves": (
        "One panel for each result of `fit`, as `History` keeps them.",
        """
watch = keras.callbacks.LayerStatistics(x[:64], y[:64])
history = model.fit(x, y, epochs=12, validation_split=0.1, callbacks=[watch], verbose=0)
figure = history.plot()
""",
    ),
    "Inside the layers": (
        "`LayerStatistics` looks at outputs and gradients of each layer after each epoch.",
        """
figure = watch.plot()
""",
    ),
    "How far to trust it": (
        "`uncertainty_report` compares how sure a model is with how often it is right.",
        """
samples = model.predict(x_test, mc_samples=50, mc_seed=0, mc_keep=True, verbose=0)
report = keras.diagnostics.uncertainty_report(samples, y_test)
figure = report.plot()
""",
    ),
    "Where the time goes": (
        "`profile` times each layer by itself, forward and backward.",
        """
profile = model.profile(x, y)
figure = profile.plot()
""",
    ),
    "The model": (
        "`plot_model` needs no program beside Python; `model_to_dot` gives Graphviz' form of it.",
        """
keras.utils.plot_model(model, "model.svg", show_shapes=True)
dot = keras.utils.model_to_dot(model)
""",
    ),
    "A batch": (
        "`show_batch` draws samples as `fit` gets them: images, texts, series, numbers.",
        """
figure = keras.visualization.show_batch(x, y, count=8)
""",
    ),
    "Results": (
        "`show_results` adds what the model says.",
        """
figure = keras.visualization.show_results(model, x_test, y_test, count=8)
""",
    ),
    "The hardest": (
        "`top_losses` finds the samples of the greatest losses: hard ones, and wrong labels.",
        """
hardest = keras.visualization.top_losses(model, x_test, y_test, count=8)
figure = hardest.plot()
""",
    ),
    "What is taken for what": (
        "`confusion_matrix` counts which classes are taken for which.",
        """
matrix = keras.visualization.confusion_matrix(model, x_test, y_test)
figure = matrix.plot()
""",
    ),
    "What it looked at": (
        "`grad_cam` shows which places of an image speak for its class.",
        """
heat = keras.visualization.grad_cam(model, x_test[:6], layer="edges")
figure = heat.plot()
""",
    ),
    "One batch by heart": (
        "`overfit_one_batch`: a model that cannot learn one batch will not learn the rest.",
        """
by_heart = keras.diagnostics.overfit_one_batch(model, x, y)
figure = by_heart.plot()
""",
    ),
    "Images": (
        "`plot_image_gallery`, with labels and predictions.",
        """
images = np.repeat(x_test[:10], 3, axis=-1) * 16
predicted = model.predict(x_test[:10], verbose=0).argmax(axis=-1)
figure = keras.visualization.plot_image_gallery(images, y_test[:10], predicted, rows=2, cols=5)
""",
    ),
    "Boxes": (
        "`plot_bounding_box_gallery` draws what is true beside what a detector said.",
        """
large = np.full((2, 240, 240, 3), 235, "uint8")
large[0, 50:150, 70:180] = (70, 130, 180)
large[1, 100:200, 30:130] = (60, 150, 90)
true = {"boxes": [[[70, 50, 180, 150]], [[30, 100, 130, 200]]], "labels": [[0], [1]]}
said = {"boxes": [[[78, 60, 185, 155]], [[20, 112, 124, 210]]], "labels": [[0], [1]]}
figure = keras.visualization.plot_bounding_box_gallery(
    large, "xyxy", true, said, cols=2, scale=3, legend=True, dpi=110
)
""",
    ),
    "Segmentation masks": (
        "`plot_segmentation_mask_gallery`, classes in colors.",
        """
masks = (large.min(axis=-1) < 235).astype("int32") * np.array([1, 2])[:, None, None]
colors = {1: (230, 120, 20), 2: (150, 60, 170)}
figure = keras.visualization.plot_segmentation_mask_gallery(
    large, num_classes=3, y_true=masks, color_mapping=colors, scale=3
)
""",
    ),
    "Drawn into arrays": (
        "`draw_bounding_boxes` and `draw_segmentation_masks` return the images as arrays.",
        """
names = {0: "blue", 1: "green"}
boxes = keras.visualization.draw_bounding_boxes(large, true, "xyxy", names, color=(200, 30, 30))
over = keras.visualization.draw_segmentation_masks(large, masks, color_mapping=colors, alpha=0.6)
drawn = [*boxes, *over]
""",
    ),
}


def write(folder: pathlib.Path) -> list[str]:
    """Draw every plot into the folder, write the page that shows them, return what is lacking."""
    folder.mkdir(parents=True)
    found = {"model_svg": folder / "model.svg"}
    parts = ["# Gallery", "Every plot that the library draws, and the code that drew it."]
    parts += ["All of them start from this:", f"```python{_SETTING}```"]
    exec(_SETTING, found)
    for number, (title, (text, code)) in enumerate(PLOTS.items(), 1):
        found.pop("figure", None)
        found.pop("drawn", None)
        exec(code.replace('"model.svg"', "model_svg"), found)
        file = _save(found, folder, number)
        parts += [f"## {title}", text, f"![{title}]({file})", f"```python{code}```"]
    (folder / "index.md").write_text("\n\n".join(parts) + "\n")
    return _lacking({type(value).__name__ for value in found.values()})


def _save(found, folder, number):
    if "drawn" in found:
        images = found["drawn"]
        figure, axes = plt.subplots(1, len(images), figsize=(2 * len(images), 2))
        for axis, image in zip(axes, images, strict=True):
            axis.imshow(np.asarray(image))
            axis.axis("off")
    elif "figure" in found:
        figure = found["figure"]
    else:
        return "model.svg"
    file = f"{number}.png"
    figure.savefig(folder / file, dpi=110, bbox_inches="tight")
    plt.close(figure)
    return file


def _lacking(shown: set[str]) -> list[str]:
    """What draws and was not drawn: functions of `visualization`, and classes with `plot`."""
    code = "\n".join(code for _, code in PLOTS.values())
    functions = [name for name in keras.visualization.__all__ if not name[0].isupper()]
    absent = [name for name in functions if not re.search(rf"\b{name}\(", code)]
    for path in _PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and any(
                isinstance(part, ast.FunctionDef) and part.name == "plot" for part in node.body
            ):
                absent += [] if node.name in shown else [node.name]
    return absent
