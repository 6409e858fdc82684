"""Camera files of RealEstate10K (Zhou et al. 2018), which CameraCtrl, MotionCtrl and others ask for."""

from pathlib import Path

import torch

from recon.camera_files.rigid import squared, still_within
from recon.camera_files.stated import Stated, going_up
from recon.camera_files.stated_lens import NORMALISED
from recon.camera_files.text import table_of
from recon.camera_files.words.heading import check_rows
from recon.camera_files.words.units import seconds_per_tick

COLUMNS = 19
DISTORTED = "the request states lens distortion (k1 k2), which is left in the pictures"


def read(file: Path) -> Stated:
    """After an address: ``timestamp_us fx fy cx cy k1 k2`` and the 3x4 ``cam_from_world``, row by row.

    OpenCV axes; the intrinsics are in units of the picture's width and height. Distortion is noted only: the
    data set's own files state zeros.
    """
    table = table_of(file, COLUMNS, "timestamp fx fy cx cy k1 k2 and 12 of the pose")
    check_rows(table.headings, str(file))
    heard = table.heard("cam_from_world/opencv", str(file))
    v = table.values
    K = torch.zeros(len(v), 3, 3, dtype=torch.float64)
    K[:, 0, 0], K[:, 1, 1], K[:, 0, 2], K[:, 1, 2], K[:, 2, 2] = v[:, 1], v[:, 2], v[:, 3], v[:, 4], 1
    times_s, said = going_up((v[:, 0] - v[0, 0]) * (seconds_per_tick(table.headings) or 1e-6))
    distorted = bool((v[:, 5:7] != 0).any())
    pose = squared(v[:, 7:].reshape(-1, 3, 4), table.labels, str(file))
    return Stated(
        pose,
        table.labels,
        K,
        (NORMALISED,) * len(v),
        times_s=times_s,
        still_within=still_within(pose, inverse=True),
        metres_per_unit=heard.metres_per_unit,
        notes=(*heard.notes, *said, *([DISTORTED] if distorted else [])),
    )
