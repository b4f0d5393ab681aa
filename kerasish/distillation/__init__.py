"""`keras.distillation`: a small model taught by a large one."""

from kerasish.distillation.distiller import Distiller
from kerasish.distillation.losses import (
    DistillationLoss,
    FeatureDistillation,
    LogitsDistillation,
)

__all__ = ["DistillationLoss", "Distiller", "FeatureDistillation", "LogitsDistillation"]
