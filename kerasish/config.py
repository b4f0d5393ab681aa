"""`keras.config`: what is the same for the whole process."""

from kerasish.core.dtypes import dtype_policy, set_dtype_policy
from kerasish.core.settings import (
    backend,
    disable_interactive_logging,
    disable_nan_checks,
    enable_interactive_logging,
    enable_nan_checks,
    epsilon,
    floatx,
    image_data_format,
    is_interactive_logging_enabled,
    nan_checks_enabled,
    set_epsilon,
    set_floatx,
    set_image_data_format,
)

__all__ = [
    "backend",
    "disable_interactive_logging",
    "disable_nan_checks",
    "dtype_policy",
    "enable_interactive_logging",
    "enable_nan_checks",
    "epsilon",
    "floatx",
    "image_data_format",
    "is_interactive_logging_enabled",
    "nan_checks_enabled",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
]
