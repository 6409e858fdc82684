"""Camera files of RealEstate10K (Zhou et al. 2018), which CameraCtrl, MotionCtrl and others ask for."""

from pathlib import Path

import torch

from recon.camera_files.rigid import position_tolerance, to_homogeneous
from recon.camera_files.stated import StatedCameras, ascending_times
from recon.camera_files.stated_lens import NORMALISED
from recon.camera_files.text import read_columns
from recon.camera_files.words.heading import check_row_order
from recon.camera_files.words.units import seconds_per_tick

COLUMNS = 19
"""Numbers a line: time, six of the lens, a 3x4 matrix."""
DISTORTED = "the request states lens distortion (k1 k2), which is left in the pictures"


def read(file: Path) -> StatedCameras:
    """Read a camera file: after an address ``timestamp_us fx fy cx cy k1 k2`` and a 3x4 ``cam_from_world`` in each line.

    Poses are row by row with OpenCV axes, intrinsics in units of the picture's width and height. Distortion is only noted:
    the data set's own files state zeros.

    Raises:
        CaptureError, CameraError: as `read_columns`; a heading that names other columns.
    """
    table = read_columns(file, COLUMNS, "timestamp fx fy cx cy k1 k2 and 12 of the pose")
    check_row_order(table.headings, str(file))
    statements = table.interpret("cam_from_world/opencv", str(file))
    v = table.values
    K = torch.zeros(len(v), 3, 3, dtype=torch.float64)
    K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2], K[:, 2, 2] = v[:, 1], v[:, 2], v[:, 3], v[:, 4], 1
    times_s, said = ascending_times((v[:, 0] - v[0, 0]) * (seconds_per_tick(table.headings) or 1e-6))
    distorted = bool((v[:, 5:7] != 0).any())
    pose = to_homogeneous(v[:, 7:].reshape(-1, 3, 4), table.labels, str(file))
    return StatedCameras(
        pose,
        table.labels,
        K,
        (NORMALISED,) * len(v),
        times_s=times_s,
        position_tolerance=position_tolerance(pose, inverse=True),
        metres_per_unit=statements.metres_per_unit,
        notes=(*statements.notes, *said, *([DISTORTED] if distorted else [])),
    )
