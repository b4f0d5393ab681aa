"""Looking at models: how sure a classifier is, and whether a deep network can train."""

from kerasish.diagnostics.self_normalization import check_self_normalizing
from kerasish.diagnostics.uncertainty import (
    UncertaintyReport,
    expected_calibration_error,
    uncertainty_report,
)

__all__ = [
    "UncertaintyReport",
    "check_self_normalizing",
    "expected_calibration_error",
    "uncertainty_report",
]
