"""Point clouds as PLY, as trainers take them to start from."""

from pathlib import Path

import numpy as np
import torch

from recon.files import written_whole
from recon.points import PointCloud

POINT = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "nx", "ny", "nz")]
    + [(name, "u1") for name in ("red", "green", "blue")]
)
"""The 3DGS code wants normals, of which it uses none."""


def write_points_ply(points: PointCloud, path: Path) -> None:
    """Positions as float32 and colours in 8 bits, binary; normals are 0."""
    table = np.zeros(len(points), POINT)
    rgb = (points.rgb * 255).round().clamp(0, 255).to(torch.uint8)
    for i in range(3):
        table["xyz"[i]] = points.xyz[:, i].numpy()
        table[("red", "green", "blue")[i]] = rgb[:, i].numpy()
    kinds = {"f": "float", "u": "uchar"}
    properties = [f"property {kinds[POINT[name].kind]} {name}" for name in POINT.names or ()]
    header = ["ply", "format binary_little_endian 1.0", f"element vertex {len(points)}", *properties]
    with written_whole(path) as beside, open(beside, "wb") as file:
        file.write("\n".join([*header, "end_header", ""]).encode("ascii"))
        file.write(table.tobytes())
