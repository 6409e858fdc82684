"""Trajectories of the TUM RGB-D benchmark (Sturm et al. 2012)."""

from pathlib import Path

import torch

from recon.capture.camera_files.convention import Convention
from recon.capture.camera_files.stated import Stated
from recon.capture.camera_files.text import table_of
from recon.capture.rigid import last_digit
from recon.errors import CameraError

COLUMNS = 8


def read(file: Path) -> Stated:
    """A line is ``timestamp_s tx ty tz qx qy qz qw``: position and orientation of the camera in the world.

    OpenCV axes, the scalar of the quaternion last; no intrinsics.

    Raises:
        CameraError: a quaternion whose length is not 1 (a hundredth is forgiven).
    """
    from scipy.spatial.transform import Rotation

    table = table_of(file, COLUMNS, "timestamp tx ty tz qx qy qz qw")
    v = table.values
    length = v[:, 4:].norm(dim=1)
    for label, x in zip(table.labels, length.tolist(), strict=True):
        if not abs(x - 1) < 0.01:
            raise CameraError(
                f"{file}: camera {label} has a quaternion of length {x:.4g}, expected a unit quaternion qx qy qz qw"
            )
    pose = torch.eye(4, dtype=torch.float64).repeat(len(v), 1, 1)
    pose[:, :3, :3] = torch.from_numpy(Rotation.from_quat(v[:, 4:].numpy()).as_matrix())
    pose[:, :3, 3] = v[:, 1:4]
    cam_from_world = Convention("world_from_cam", "opencv").to_cam_from_world(pose)
    # quaternions are rotations whatever their digits
    still = 3**0.5 * last_digit(v[:, 1:])
    return Stated(cam_from_world, table.labels, times_s=v[:, 0] - v[0, 0], still_within=still)
