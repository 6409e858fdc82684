"""Scenes leave: one call writes any number of files, reads each back and says what was lost."""

from bridge4d.exporting.options import ExportOptions
from bridge4d.exporting.pipeline import ExportResult, export

__all__ = ["ExportOptions", "ExportResult", "export"]
