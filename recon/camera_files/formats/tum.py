"""Trajectories of the TUM RGB-D benchmark (Sturm et al. 2012)."""

from pathlib import Path

import torch

from recon.camera_files.convention import Convention
from recon.camera_files.rigid import check_quaternion, last_digit
from recon.camera_files.stated import Stated, going_up
from recon.camera_files.text import table_of
from recon.camera_files.words.heading import column_order
from recon.camera_files.words.units import seconds_per_tick

COLUMNS = 8


def read(file: Path) -> Stated:
    """A line is ``timestamp_s tx ty tz qx qy qz qw``: position and orientation of the camera in the world.

    OpenCV axes; no intrinsics. A heading that names the columns in another order is obeyed.

    Raises:
        CameraError: a quaternion whose length is not 1 (a hundredth is forgiven); a heading that names other columns.
    """
    from scipy.spatial.transform import Rotation

    table = table_of(file, COLUMNS, "timestamp tx ty tz qx qy qz qw")
    heard = table.heard("world_from_cam/opencv", str(file))
    order = column_order(table.headings, COLUMNS, str(file))
    v = table.values if order is None else table.values[:, list(order)]
    for label, quaternion in zip(table.labels, v[:, 4:].tolist(), strict=True):
        check_quaternion(quaternion, f"camera {label}", str(file))
    pose = torch.eye(4, dtype=torch.float64).repeat(len(v), 1, 1)
    pose[:, :3, :3] = torch.from_numpy(Rotation.from_quat(v[:, 4:].numpy()).as_matrix())
    pose[:, :3, 3] = v[:, 1:4]
    cam_from_world = Convention("world_from_cam", "opencv").to_cam_from_world(pose)
    # quaternions are rotations whatever their digits
    still = 3**0.5 * last_digit(v[:, 1:], float(v[:, 1:4].abs().max()))
    tick_s = seconds_per_tick(table.headings) or 1 / _ticks_per_second(float(v[0, 0]))
    times_s, said = going_up((v[:, 0] - v[0, 0]) * tick_s)
    return Stated(
        cam_from_world,
        table.labels,
        times_s=times_s,
        still_within=still,
        metres_per_unit=heard.metres_per_unit,
        notes=(*heard.notes, *said),
    )


def _ticks_per_second(first: float) -> float:
    """Of times since 1970, which are 1.7e9 in seconds; data sets of drones state nanoseconds."""
    return next((ticks for least, ticks in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)) if first > least), 1.0)
