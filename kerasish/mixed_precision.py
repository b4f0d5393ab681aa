"""`keras.mixed_precision`: computing in 16 bits with weights in 32."""

from kerasish.core.dtypes import DTypePolicy, dtype_policy, set_dtype_policy
from kerasish.optimizers import LossScaleOptimizer

__all__ = [
    "DTypePolicy",
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
]

Policy = DTypePolicy
global_policy = dtype_policy
set_global_policy = set_dtype_policy
