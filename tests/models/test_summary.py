"""The table of layers: what it says, as text and in a notebook."""

import re
import sys
import types

import pytest

from kerasish import Input, Model, Sequential, layers
from kerasish.core.text_tables import as_html, readable_bytes
from tests.support.keras_oracle import X


def text_of(model, **options):
    said = []
    model.summary(print_fn=said.append, **options)
    assert len(said) == 1
    return said[0]


def cells_of(model, **options):
    lines = [line for line in text_of(model, **options).splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def stack():
    stack = [Input((4,)), layers.Dense(300, name="wide"), layers.Dropout(0.1), layers.Dense(1)]
    return Sequential(stack, name="stack")


def graph():
    x = Input((4,), name="x")
    inner = Sequential([Input((4,)), layers.Dense(3), layers.BatchNormalization()], name="inner")
    added = layers.Add(name="added")([inner(x), layers.Dense(3, name="side")(x)])
    model = Model(x, [added * 2, layers.Dense(1, name="head")(added)], name="graph")
    inner.trainable = False
    return model


def test_stack():
    assert cells_of(stack()) == [
        ["wide (Dense)", "(None, 300)", "1,500"],
        ["dropout (Dropout)", "(None, 300)", "0"],
        ["dense (Dense)", "(None, 1)", "301"],
    ]


def test_totals():
    text = text_of(graph())
    assert 'Model: "graph"' in text
    assert "Total params: 46 (184.00 B)" in text
    assert "Trainable params: 19 (76.00 B)" in text
    assert "Non-trainable params: 27 (108.00 B)" in text


def test_totals_with_an_optimizer():
    model = stack()
    model.compile("adam", "mse")
    model.fit(X, X[:, :1], verbose=0)
    text = text_of(model)
    assert "Optimizer params: 3,604 (14.08 KB)" in text
    assert "Total params: 5,405 (21.11 KB)" in text


def test_graph_says_what_is_connected_to_what():
    assert cells_of(graph(), line_length=120) == [
        ["x (InputLayer)", "(None, 4)", "0", "-"],
        ["inner (Sequential)", "(None, 3)", "27", "x[0][0]"],
        ["side (Dense)", "(None, 3)", "15", "x[0][0]"],
        ["added (Add)", "(None, 3)", "0", "inner[0][0], side[0][0]"],
        ["multiply (Multiply)", "(None, 3)", "0", "added[0][0]"],
        ["head (Dense)", "(None, 1)", "4", "added[0][0]"],
    ]


def test_nested_layers_and_what_is_trained():
    model = graph()
    rows = cells_of(model, expand_nested=True, show_trainable=True, line_length=140)
    assert [(row[0], row[-1]) for row in rows] == [
        ("x (InputLayer)", "-"),
        ("inner (Sequential)", "N"),
        ("dense (Dense)", "N"),
        ("batch_normalization (BatchNormalization)", "N"),
        ("side (Dense)", "Y"),
        ("added (Add)", "-"),
        ("multiply (Multiply)", "-"),
        ("head (Dense)", "Y"),
    ]
    assert "    dense (Dense)" in text_of(model, expand_nested=True)


def test_layer_range():
    assert [row[0] for row in cells_of(stack(), layer_range=("wide", "drop"))] == [
        "wide (Dense)",
        "dropout (Dropout)",
    ]
    with pytest.raises(ValueError, match=r"`layer_range` .* matches no layers"):
        stack().summary(layer_range=("a", "b"))


def test_line_length():
    assert max(map(len, text_of(graph(), line_length=70).splitlines())) <= 70
    assert max(map(len, text_of(stack()).splitlines())) == 80


def test_what_is_not_built_yet():
    model = Sequential([layers.Dense(2)])
    assert cells_of(model) == [["dense (Dense)", "? (unbuilt)", "0 (unbuilt)"]]
    model(X)
    assert cells_of(model) == [["dense (Dense)", "(None, 2)", "10"]]


def test_subclass_shows_the_shapes_first_seen():
    class Own(Model):
        def __init__(self):
            super().__init__()
            self.blocks = [layers.Dense(3), layers.Dense(2)]

        def call(self, x):
            return self.blocks[1](self.blocks[0](x))

    model = Own()
    assert cells_of(model)[0] == ["dense (Dense)", "? (unbuilt)", "0 (unbuilt)"]
    model(X)
    assert cells_of(model) == [
        ["dense (Dense)", "(5, 3)", "15"],
        ["dense_1 (Dense)", "(5, 2)", "8"],
    ]


def test_names_that_look_like_markup():
    model = Sequential([Input((4,)), layers.Dense(1, name="[bold]")])
    assert cells_of(model) == [["[bold] (Dense)", "(None, 1)", "5"]]


def test_prints_by_default(capsys):
    stack().summary()
    assert "wide (Dense)" in capsys.readouterr().out


def test_notebook_gets_html(monkeypatch, capsys):
    shown = []
    shell, display = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    shell.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    display.HTML, display.display = str, shown.append
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    model = Sequential([Input((4,)), layers.Dense(2, name="a<b")], name="in_html")
    model.summary()
    (html,) = shown
    assert "in_html" in html and "a&lt;b (Dense)" in html and "Total params: 10" in html
    assert capsys.readouterr().out == ""
    assert "in_html" in text_of(model)  # a `print_fn` gets text, wherever it runs


def test_a_terminal_session_of_ipython_gets_text(monkeypatch, capsys):
    shell = types.ModuleType("IPython")
    shell.get_ipython = lambda: types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "IPython", shell)
    stack().summary()
    assert "wide (Dense)" in capsys.readouterr().out


@pytest.mark.parametrize(
    "size, text", [(0, "0.00 B"), (1023, "1023.00 B"), (1536, "1.50 KB"), (2**31, "2.00 GB")]
)
def test_readable_bytes(size, text):
    assert readable_bytes(size) == text


def wide(k=layers):
    x = Input((4,), name="x")
    names = ["a_layer_with_a_name_that_is_long", "another_layer_with_a_name_that_is_long"]
    hidden = [k.Dense(3, name=name)(x) for name in names]
    return Model(x, k.Concatenate(name="joined")([*hidden, x]))


@pytest.mark.parametrize("columns, width", [("60", 60), ("80", 80), ("100", 100), ("400", None)])
@pytest.mark.parametrize("make", [stack, wide])
def test_the_text_is_as_wide_as_it_needs_and_the_terminal_has(
    make, columns, width, monkeypatch, capsys
):
    monkeypatch.setenv("COLUMNS", columns)
    make().summary()
    shown = [line for line in capsys.readouterr().out.splitlines() if line.strip()]
    lengths = {len(line) for line in shown if line[0] in "┏┃┡│├└"}
    assert len(lengths) == 1
    if make is stack:
        assert lengths == {min(80, width or 80)}
    elif width:
        assert lengths == {width}
    else:
        assert any("a_layer_with_a_name_that_is_long (Dense)" in line for line in shown)
        assert 100 < max(lengths) < 400


def test_html_keeps_shapes_on_one_line():
    html = as_html("title", ["a", "b"], [["(None, 3)", "long text"]], unbroken=["a"])
    first, second = re.findall(r"<td style='(.*?)'>", html)
    assert "nowrap" in first and "nowrap" not in second
