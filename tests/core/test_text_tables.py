"""Tables as text, wherever they are made."""

import pytest
import rich.console

from kerasish.core.text_tables import as_html, as_text

TABLE = ("Title", ["name", "size"], [["a [b]", "1"], ["c", "20"]])


@pytest.mark.parametrize("in_jupyter", [False, True])
def test_text_is_returned_and_nothing_shown(in_jupyter, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: in_jupyter)
    monkeypatch.setattr("rich.jupyter.display", lambda *args: shown.append(args))
    text = as_text(*TABLE, width=40, right=["size"], lines=["below"])
    assert text.startswith("Title\n") and text.endswith(" below")
    assert "a [b]" in text and "20 " in text
    assert not shown and capsys.readouterr().out == ""


def test_html_has_the_same_cells():
    html = as_html(*TABLE)
    assert "a [b]" in html and html.count("<tr>") == 3
