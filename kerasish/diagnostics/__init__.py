"""Looking at models: how sure a classifier is, whether a network can train, trials before it."""

from kerasish.diagnostics.self_normalization import check_self_normalizing
from kerasish.diagnostics.trials import DryRun, OverfitReport, dry_run, overfit_one_batch
from kerasish.diagnostics.uncertainty import (
    UncertaintyReport,
    expected_calibration_error,
    uncertainty_report,
)

__all__ = [
    "DryRun",
    "OverfitReport",
    "UncertaintyReport",
    "check_self_normalizing",
    "dry_run",
    "expected_calibration_error",
    "overfit_one_batch",
    "uncertainty_report",
]
