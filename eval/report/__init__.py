"""Reports that a person opens from disk: one HTML file each, with everything in it."""

from eval.report.augment.page import write_augment_report

__all__ = ["write_augment_report"]
