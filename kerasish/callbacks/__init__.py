"""Callbacks: what watches training, and acts on what it sees."""

from kerasish.callbacks.backup import BackupAndRestore
from kerasish.callbacks.batch_rates import BatchLearningRateScheduler, OneCycle
from kerasish.callbacks.callback import Callback, LambdaCallback
from kerasish.callbacks.callback_list import CallbackList
from kerasish.callbacks.checkpoint import ModelCheckpoint
from kerasish.callbacks.ema import SwapEMAWeights
from kerasish.callbacks.history import History
from kerasish.callbacks.layer_statistics import LayerStatistics
from kerasish.callbacks.learning_rate import LearningRateScheduler, ReduceLROnPlateau
from kerasish.callbacks.logs import Logs
from kerasish.callbacks.monitor import EarlyStopping, MonitorCallback
from kerasish.callbacks.nan import TerminateOnNaN
from kerasish.callbacks.orbax import OrbaxCheckpoint
from kerasish.callbacks.progbar_logger import ProgbarLogger
from kerasish.callbacks.progress import Progbar
from kerasish.callbacks.reports import CSVLogger, RemoteMonitor
from kerasish.callbacks.tensorboard import TensorBoard

__all__ = [
    "BackupAndRestore",
    "BatchLearningRateScheduler",
    "CSVLogger",
    "Callback",
    "CallbackList",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "LayerStatistics",
    "LearningRateScheduler",
    "Logs",
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
]
