"""Diagrams of models as SVG, drawn without Graphviz."""

import builtins
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import kerasish as keras
from kerasish import Input, Model, Sequential, layers
from kerasish.models.inspection.svg_diagram import Box, draw

SVG = "{http://www.w3.org/2000/svg}"


def residual():
    x = Input((8,), name="x")
    h = layers.Dense(8, name="first")(x)
    inner = Sequential([Input((8,)), layers.Dense(8, name="inside")], name="inner")
    return Model(x, layers.Add(name="sum")([x, inner(h) * 2.0]), name="residual")


class Own(layers.Layer):
    def call(self, x):
        return x


def drawn(model, tmp_path, **options):
    path = tmp_path / "model.svg"
    keras.utils.plot_model(model, path, show_layer_names=True, **options)
    return ET.fromstring(path.read_text())


def boxes_of(svg):
    """Title to (left, top, width, height, colour) of each box."""
    solid = [r for r in svg.findall(f"{SVG}rect") if r.get("stroke-dasharray") is None]
    titles = [t.text for t in svg.findall(f"{SVG}text") if t.get("font-weight")]
    rows = [[float(r.get(k)) for k in ("x", "y", "width", "height")] for r in solid]
    return {t: (*row, r.get("fill")) for t, row, r in zip(titles, rows, solid, strict=True)}


@pytest.fixture
def no_pydot(monkeypatch):
    whole = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pydot":
            raise ImportError(name)
        return whole(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setenv("PATH", "")


@pytest.mark.usefixtures("no_pydot")
@pytest.mark.parametrize("rankdir", ["TB", "LR"])
def test_a_graph(rankdir, tmp_path):
    svg = drawn(residual(), tmp_path, rankdir=rankdir, show_shapes=True)
    boxes = boxes_of(svg)
    assert [t.split(" ")[0] for t in boxes] == ["x", "first", "inner", "multiply", "sum"]
    axis = 0 if rankdir == "LR" else 1
    starts = [box[axis] for box in boxes.values()]
    assert starts == sorted(starts) and len(set(starts)) == 5
    assert len(svg.findall(f"{SVG}path")) == 5
    assert "Output shape: (None, 8)" in [t.text for t in svg.findall(f"{SVG}text")]
    width, height = float(svg.get("width")), float(svg.get("height"))
    for left, top, wide, high, _ in boxes.values():
        assert left >= 0 <= top and left + wide <= width + 1 and top + high <= height + 1


@pytest.mark.usefixtures("no_pydot")
def test_models_inside_have_frames(tmp_path):
    svg = drawn(residual(), tmp_path, expand_nested=True)
    assert "inside (Dense)" in boxes_of(svg) and "inner (Sequential)" not in boxes_of(svg)
    assert "inner" in [t.text for t in svg.findall(f"{SVG}text")]
    assert len([r for r in svg.findall(f"{SVG}rect") if r.get("stroke-dasharray")]) == 1


def test_colours_go_by_kind(tmp_path):
    stack = [Input((8, 8, 3)), layers.Conv2D(2, 3), layers.MaxPooling2D(), Own()]
    stack += [layers.Flatten(), layers.Dense(2, name="a"), layers.Dense(2, name="b")]
    boxes = boxes_of(drawn(Sequential(stack), tmp_path))
    colours = {title.split(" ")[0]: box[-1] for title, box in boxes.items()}
    assert colours["a"] == colours["b"]
    kinds = [colours[name] for name in ("conv2d", "max_pooling2d", "own", "flatten", "a")]
    assert len(set(kinds)) == 5


def test_a_subclassed_model_is_a_list_of_its_layers(tmp_path):
    class Net(Model):
        def __init__(self):
            super().__init__()
            self.one, self.two = layers.Dense(2, name="one"), layers.Dense(1, name="two")

        def call(self, x):
            return self.two(self.one(x))

    model = Net()
    with pytest.raises(ValueError, match="has no graph to draw yet"):
        drawn(model, tmp_path)
    model(np.ones((1, 3)))
    assert list(boxes_of(drawn(model, tmp_path))) == ["one (Dense)", "two (Dense)"]


def test_boxes_do_not_overlap():
    rng = np.random.default_rng(0)
    boxes = {i: Box(["x" * rng.integers(1, 30)] * rng.integers(1, 4), "#fff") for i in range(40)}
    edges = [(int(rng.integers(0, i)), i) for i in range(1, 40) for _ in range(2)]
    for sideways in (False, True):
        found = re.findall(
            r'<rect x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)"', draw(boxes, edges, sideways)
        )
        rects = [tuple(map(float, each)) for each in found]
        for i, (a, b, c, d) in enumerate(rects):
            for x, y, w, h in rects[:i]:
                assert a + c <= x or x + w <= a or b + d <= y or y + h <= b


def test_what_calls_itself_again_is_drawn(tmp_path):
    x, dense = Input((4,)), layers.Dense(4, name="again")
    model = Model(x, dense(dense(dense(x))))
    assert len(boxes_of(drawn(model, tmp_path))) == 2


def test_names_are_escaped(tmp_path):
    model = Sequential([Input((3,)), layers.Dense(1, name="a<b>&c")])
    assert "a<b>&c (Dense)" in boxes_of(drawn(model, tmp_path))
