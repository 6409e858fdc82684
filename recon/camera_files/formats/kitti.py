"""Trajectories of the KITTI odometry benchmark (Geiger et al. 2012)."""

from pathlib import Path

from recon.camera_files.convention import Convention
from recon.camera_files.rigid import squared, still_within
from recon.camera_files.stated import Stated
from recon.camera_files.text import table_of
from recon.camera_files.words.heading import check_rows

COLUMNS = 12


def read(file: Path) -> Stated:
    """A line is the 3x4 ``world_from_cam``, row by row, with OpenCV axes; no intrinsics, no times."""
    table = table_of(file, COLUMNS, "the 3x4 pose, row by row")
    check_rows(table.headings, str(file))
    heard = table.heard("world_from_cam/opencv", str(file))
    world_from_cam = squared(table.values.reshape(-1, 3, 4), table.labels, str(file))
    pose = Convention("world_from_cam", "opencv").to_cam_from_world(world_from_cam)
    return Stated(
        pose,
        table.labels,
        still_within=still_within(world_from_cam, inverse=False),
        metres_per_unit=heard.metres_per_unit,
        notes=heard.notes,
    )
