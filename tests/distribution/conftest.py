"""Distributions end with the test that set them."""

import pytest

from kerasish import distribution


@pytest.fixture(autouse=True)
def no_distribution_is_left():
    yield
    left = distribution.distribution()
    distribution.set_distribution(None)
    assert left is None
