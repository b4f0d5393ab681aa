"""What every loss, metric, initializer, ... must do, by the public checks: see `part_cases`."""

import pytest

from kerasish import constraints, initializers, losses, metrics, optimizers, regularizers, testing
from tests.support.part_cases import (
    CONSTRAINTS,
    INITIALIZERS,
    LOSSES,
    METRICS,
    OF_THE_BATCH,
    OPTIMIZERS,
    REGULARIZERS,
)

# What takes others as arguments, and bases.
OTHERS = {
    losses: {"Loss", "LossFunctionWrapper"},
    metrics: {"Mean", "MeanMetricWrapper", "Metric", "Sum"},
    initializers: {"Initializer"},
    regularizers: {"Regularizer"},
    constraints: {"Constraint"},
    optimizers: {
        *("Optimizer", "OptaxOptimizer", "OptimizerMap"),
        *("LossScaleOptimizer", "MultiOptimizer"),
    },
}
TABLES = {
    losses: LOSSES,
    metrics: METRICS,
    initializers: INITIALIZERS,
    regularizers: REGULARIZERS,
    constraints: CONSTRAINTS,
    optimizers: OPTIMIZERS,
}


@pytest.mark.parametrize("module", TABLES, ids=lambda module: module.__name__.split(".")[-1])
def test_every_public_class_has_a_line(module):
    public = (getattr(module, name) for name in module.__all__)
    named = {thing.__name__ for thing in public if isinstance(thing, type)}
    assert named - OTHERS[module] - set(TABLES[module]) == set()


@pytest.mark.parametrize("name", LOSSES)
def test_losses(name):
    arguments, batch = LOSSES[name]
    without = ["values"] if name in OF_THE_BATCH else []
    testing.check_loss(getattr(losses, name)(**arguments), *batch, without=without)


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name):
    arguments, batch = METRICS[name]
    testing.check_metric(getattr(metrics, name)(**arguments), *batch)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers(name):
    shape = (8, 1, 5) if name == "STFT" else (8, 4)
    testing.check_initializer(getattr(initializers, name)(**INITIALIZERS[name]), shape)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_regularizers(name):
    testing.check_regularizer(getattr(regularizers, name)(**REGULARIZERS[name]))


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_constraints(name):
    testing.check_constraint(getattr(constraints, name)(**CONSTRAINTS[name]))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers(name):
    testing.check_optimizer(getattr(optimizers, name)(**OPTIMIZERS[name]))
