"""`keras.config`: what is the same for the whole process."""

from kerasish.core.dtypes import dtype_policy, set_dtype_policy
from kerasish.core.settings import (
    backend,
    disable_flash_attention,
    disable_interactive_logging,
    disable_nan_checks,
    disable_traceback_filtering,
    enable_flash_attention,
    enable_interactive_logging,
    enable_nan_checks,
    enable_traceback_filtering,
    enable_unsafe_deserialization,
    epsilon,
    floatx,
    image_data_format,
    is_flash_attention_enabled,
    is_interactive_logging_enabled,
    is_traceback_filtering_enabled,
    max_epochs,
    max_steps_per_epoch,
    nan_checks_enabled,
    set_backend,
    set_epsilon,
    set_floatx,
    set_image_data_format,
    set_max_epochs,
    set_max_steps_per_epoch,
)


def is_nnx_enabled() -> bool:
    """Whether layers are Flax NNX modules: never, here.

    Example:
        >>> is_nnx_enabled()
        False
    """
    return False


__all__ = [
    "backend",
    "disable_flash_attention",
    "disable_interactive_logging",
    "disable_nan_checks",
    "disable_traceback_filtering",
    "dtype_policy",
    "enable_flash_attention",
    "enable_interactive_logging",
    "enable_nan_checks",
    "enable_traceback_filtering",
    "enable_unsafe_deserialization",
    "epsilon",
    "floatx",
    "image_data_format",
    "is_flash_attention_enabled",
    "is_interactive_logging_enabled",
    "is_nnx_enabled",
    "is_traceback_filtering_enabled",
    "max_epochs",
    "max_steps_per_epoch",
    "nan_checks_enabled",
    "set_backend",
    "set_dtype_policy",
    "set_epsilon",
    "set_floatx",
    "set_image_data_format",
    "set_max_epochs",
    "set_max_steps_per_epoch",
]
