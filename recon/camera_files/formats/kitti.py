"""Trajectories of the KITTI odometry benchmark (Geiger et al. 2012)."""

from pathlib import Path

from recon.camera_files.convention import Convention
from recon.camera_files.rigid import position_tolerance, to_homogeneous
from recon.camera_files.stated import StatedCameras
from recon.camera_files.text import read_columns
from recon.camera_files.words.heading import check_row_order

COLUMNS = 12
"""Numbers a line: a 3x4 matrix."""


def read(file: Path) -> StatedCameras:
    """Read a trajectory: 3x4 ``world_from_cam`` row by row in each line, OpenCV axes.

    The format has no intrinsics and no times.

    Raises:
        CaptureError, CameraError: as `read_columns`; a heading that names other columns.
    """
    table = read_columns(file, COLUMNS, "the 3x4 pose, row by row")
    check_row_order(table.headings, str(file))
    statements = table.interpret("world_from_cam/opencv", str(file))
    world_from_cam = to_homogeneous(table.values.reshape(-1, 3, 4), table.labels, str(file))
    pose = Convention("world_from_cam", "opencv").to_cam_from_world(world_from_cam)
    return StatedCameras(
        pose,
        table.labels,
        position_tolerance=position_tolerance(world_from_cam, inverse=False),
        metres_per_unit=statements.metres_per_unit,
        notes=statements.notes,
    )
