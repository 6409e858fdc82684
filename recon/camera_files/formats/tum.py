"""Trajectories of the TUM RGB-D benchmark (Sturm et al. 2012)."""

from pathlib import Path

import torch

from recon.camera_files.convention import Convention
from recon.camera_files.rigid import check_quaternion, last_digit
from recon.camera_files.stated import StatedCameras, ascending_times
from recon.camera_files.text import read_columns
from recon.camera_files.words.heading import find_column_order
from recon.camera_files.words.units import seconds_per_tick

COLUMNS = 8
"""Numbers a line: time, position, quaternion."""


def read(file: Path) -> StatedCameras:
    """Read a trajectory: ``timestamp_s tx ty tz qx qy qz qw`` in each line, the camera in the world.

    OpenCV axes; no intrinsics. A heading may name the columns in another order.

    Raises:
        CameraError: a quaternion that is not a unit (`check_quaternion`); a heading that names other columns.
    """
    from scipy.spatial.transform import Rotation

    table = read_columns(file, COLUMNS, "timestamp tx ty tz qx qy qz qw")
    statements = table.interpret("world_from_cam/opencv", str(file))
    order = find_column_order(table.headings, COLUMNS, str(file))
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
    times_s, said = ascending_times((v[:, 0] - v[0, 0]) * tick_s)
    return StatedCameras(
        cam_from_world,
        table.labels,
        times_s=times_s,
        position_tolerance=still,
        metres_per_unit=statements.metres_per_unit,
        notes=(*statements.notes, *said),
    )


def _ticks_per_second(first: float) -> float:
    """Ticks in a second of times since 1970, by size: 1.7e9 are seconds; drones' data sets state nanoseconds."""
    return next((ticks for least, ticks in ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3)) if first > least), 1.0)
