"""`kerasish explain`: each code of an error has an entry, and each entry an error."""

import json
import pathlib
import re

import numpy as np
import pytest

import kerasish as keras
from kerasish.commands import explain, main
from kerasish.core.errors import bad_argument, see

ROOT = pathlib.Path(__file__).parent.parent.parent
CODE = re.compile(r"""(?:see\(|, )["'](E\d\d)["']\)?""")


def codes_in_the_package():
    texts = (p.read_text() for p in ROOT.glob("kerasish/**/*.py") if p.name != "explain.py")
    return {code for text in texts for code in CODE.findall(text)}


def test_codes_and_explanations_are_the_same():
    assert set(explain.explanations()) == codes_in_the_package()
    assert 12 <= len(explain.explanations()) <= 20


@pytest.mark.parametrize("code", explain.explanations())
def test_each_entry_says_what_to_do(code):
    title, text = explain.explanations()[code]
    shown = "" if code == "E14" else f"(kerasish explain {code})"  # which takes several devices
    assert title and shown in text and "](" not in text
    assert "\n- " in text or code == "E14"


@pytest.mark.parametrize("typed", ["E06", "e06", " (E06)", "[e06]."])
def test_a_code_is_taken_as_it_is_typed(typed, capsys):
    assert main(["explain", typed]) == 0
    said = capsys.readouterr().out
    assert said.startswith("E06: targets and outputs differ in shape\n")
    assert '\n    model.compile("sgd", "categorical_crossentropy")\n' in said
    assert "```" not in said


def test_without_a_code_all_are_listed(capsys):
    assert main(["explain"]) == 0
    assert capsys.readouterr().out.splitlines()[3] == "E04  not compiled"
    assert main(["explain", "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == list(explain.explanations())


def test_json(capsys):
    assert main(["explain", "E04", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["code"], found["title"]) == ("E04", "not compiled")


def test_an_unknown_code(capsys):
    assert main(["explain", "E99"]) == 2
    said = capsys.readouterr().err
    assert said == (
        "kerasish explain: no error has the code 'E99'. `kerasish explain` lists all.\n"
    )


def test_the_code_ends_the_message():
    error = bad_argument("who", "x", "positive", -1, "Try 1.", code="E01")
    assert str(error) == "who: `x` must be positive; got -1. Try 1. (kerasish explain E01)"
    assert str(bad_argument("who", "x", "positive", -1)).endswith("got -1.")
    assert see("E16") == "(kerasish explain E16)"


def test_a_batch_that_does_not_divide():
    count = keras.distribution.get_device_count()
    if count == 1:
        pytest.skip("takes several devices")
    keras.distribution.set_distribution(keras.distribution.DataParallel())
    try:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        x = np.ones((2 * count + 2, 2))
        with pytest.raises(ValueError, match=r"\(kerasish explain E14\)$"):
            model.fit(x, x[:, :1], batch_size=count + 1, verbose=0)
    finally:
        keras.distribution.set_distribution(None)
