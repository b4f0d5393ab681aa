"""Callbacks: what watches training, and acts on what it sees."""

from kerasish.callbacks.base.callback import Callback, LambdaCallback
from kerasish.callbacks.base.callback_list import CallbackList
from kerasish.callbacks.base.history import History
from kerasish.callbacks.base.logs import Logs
from kerasish.callbacks.base.monitor import MonitorCallback
from kerasish.callbacks.batch_learning_rate import BatchLearningRateScheduler, OneCycle
from kerasish.callbacks.checkpoint.backup_and_restore import BackupAndRestore
from kerasish.callbacks.checkpoint.model_checkpoint import ModelCheckpoint
from kerasish.callbacks.checkpoint.orbax_checkpoint import OrbaxCheckpoint
from kerasish.callbacks.early_stopping import EarlyStopping
from kerasish.callbacks.experiment_loggers import MLflowLogger, WandbLogger
from kerasish.callbacks.gradual_unfreezing import GradualUnfreezing
from kerasish.callbacks.layer_statistics import LayerStatistics
from kerasish.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from kerasish.callbacks.loggers import CSVLogger, RemoteMonitor
from kerasish.callbacks.progress.progbar import Progbar
from kerasish.callbacks.progress.progbar_logger import ProgbarLogger
from kerasish.callbacks.swap_ema_weights import SwapEMAWeights
from kerasish.callbacks.tensorboard import TensorBoard
from kerasish.callbacks.terminate_on_nan import TerminateOnNaN
from kerasish.callbacks.time_limit import TimeLimit

__all__ = [
    "BackupAndRestore",
    "BatchLearningRateScheduler",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "GradualUnfreezing",
    "History",
    "LambdaCallback",
    "LayerStatistics",
    "LearningRateScheduler",
    "Logs",
    "MLflowLogger",
    "ModelCheckpoint",
    "MonitorCallback",
    "OneCycle",
    "OrbaxCheckpoint",
    "Progbar",
    "ProgbarLogger",
    "ReduceLROnPlateau",
    "RemoteMonitor",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "TimeLimit",
    "WandbLogger",
]
