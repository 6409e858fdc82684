"""``poses_bounds.npy`` of LLFF (Mildenhall et al. 2019), which Neural 3D Video has beside its films."""

from pathlib import Path

import numpy as np
import torch

from recon.bounded import read_arrays
from recon.camera_files.rigid import inverse_rigid, to_homogeneous
from recon.camera_files.stated import StatedCameras
from recon.camera_files.stated_lens import check_size
from recon.errors import CameraError, CaptureError

NAME = "poses_bounds.npy"
COLUMNS = 17
"""A matrix [3, 5] row by row, then the depths of the nearest and the farthest point."""
MOST_BYTES = 16 << 20
"""Of the array: a hundred thousand cameras."""
LLFF_FROM_CV = torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]], dtype=torch.float64)
"""The axes of a camera of LLFF are down, right, backwards."""


def read(file: Path) -> StatedCameras:
    """Read one pinhole a row, in the order of the file, which names no pictures.

    The columns of each matrix are the axes of the camera in the world, its centre, and height, width and focal length in pixels.

    Raises:
        CaptureError: no array of numbers, or one that is too large.
        CameraError: another shape than [n, 17], or a size of pictures that is none.
    """
    rows = read_arrays(file, most_bytes=MOST_BYTES, largest_file=2 * MOST_BYTES, error=CaptureError)
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != COLUMNS or len(rows) == 0:
        got = list(rows.shape) if isinstance(rows, np.ndarray) else "several arrays"
        raise CameraError(
            f"{file}: expected a row of {COLUMNS} numbers for each camera, as LLFF writes them, got {got}"
        )
    matrices = torch.from_numpy(rows[:, :15].astype(np.float64)).reshape(-1, 3, 5)
    labels = tuple(str(i) for i in range(len(rows)))
    sizes = [check_size(w, h, f"{file}: camera {i}") for i, (h, w) in enumerate(matrices[:, :2, 4].tolist())]
    K = torch.eye(3, dtype=torch.float64).repeat(len(rows), 1, 1)
    K[:, 0, 0] = K[:, 1, 1] = matrices[:, 2, 4]
    K[:, :2, 2] = torch.tensor(sizes, dtype=torch.float64) / 2
    world_from_cam = torch.cat([matrices[:, :, :3] @ LLFF_FROM_CV, matrices[:, :, 3:4]], 2)
    return StatedCameras(
        inverse_rigid(to_homogeneous(world_from_cam, labels, str(file))), labels, K=K, sizes=tuple(sizes)
    )
