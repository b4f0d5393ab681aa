"""Models for others to run."""

from kerasish.export.export_archive import ExportArchive
from kerasish.export.exported import Endpoint, ExportedModel, load
from kerasish.export.model_export import export
from kerasish.export.verification import Verification, verify

__all__ = ["Endpoint", "ExportArchive", "ExportedModel", "Verification", "export", "load", "verify"]
