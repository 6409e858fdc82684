"""Datasets: a run laid out as a folder that gsplat, the 3DGS code and nerfstudio train from."""

from bridge4d.dataset.write import write_dataset

__all__ = ["write_dataset"]
