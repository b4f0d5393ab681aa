"""What a learning-rate curve suggests, where its minimum lies at an end."""

import numpy as np
import pytest

from kerasish.training.learning_rate_finder import LearningRateCurve

RATES = np.geomspace(1e-4, 1.0, 50)
CURVES = {
    "inside": (np.abs(np.log(RATES / 1e-1)) + 1, ""),
    "still falling": (np.linspace(9, 1, 50), "try a larger `end`"),
    "rising": (np.linspace(1, 9, 50), "try a smaller `start`"),
}


@pytest.mark.parametrize("case", CURVES)
def test_suggestion_lies_within_the_rates_and_ends_are_noted(case):
    losses, note = CURVES[case]
    curve = LearningRateCurve(RATES, losses)
    assert RATES[0] <= curve.suggestion <= RATES[-1]
    assert note in curve.note and bool(note) == bool(curve.note)
    assert curve.note in repr(curve)
    figure = curve.plot(show=False)
    (dot,) = [line for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert dot.get_xdata()[0] == curve.suggestion
    assert figure.axes[0].get_title() == curve.note


def test_a_narrow_range_near_its_start():
    curve = LearningRateCurve([0.05, 0.06, 0.07], [2.0, 1.0, 3.0])
    assert curve.suggestion == 0.05
