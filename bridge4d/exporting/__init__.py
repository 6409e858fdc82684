"""Scenes leave: one call writes any number of files, reads each back and says what was lost."""

from bridge4d.exporting.export import ExportResult, export
from bridge4d.exporting.options import ExportOptions

__all__ = ["ExportOptions", "ExportResult", "export"]
