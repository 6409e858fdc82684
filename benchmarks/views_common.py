"""Names under which `benchmarks.augment_knobs` asks for what is now in `benchmarks.output`."""

from benchmarks.output import Table, mean, number

__all__ = ["Table", "mean", "number"]
