"""Compiling steps and running them: what is between a model and its `fit`."""

from kerasish.training.trainer import Trainer

__all__ = ["Trainer"]
