"""Models for others to run."""

from kerasish.export.exported import ExportedModel, load
from kerasish.export.program import export

__all__ = ["ExportedModel", "export", "load"]
