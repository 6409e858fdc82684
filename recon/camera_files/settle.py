"""Requested paths within the precision of their file: at rest or moving, near the origin."""

from dataclasses import replace

from recon.camera_files.rigid import orthonormal
from recon.cameras import Cameras
from recon.world.extent import FAR, measure_extent

COARSE_PATH_RATIO = 20
"""Path length in position tolerances below which a note warns: rounding then is more than a twentieth of the path. Doubled,
paths with half of that are noted too; no figure changes."""


def settle_path(cameras: Cameras, position_tolerance: float) -> tuple[Cameras, tuple[str, ...]]:
    """Freeze a path whose motion is below the file's precision; recentre a distant one.

    Paths in map coordinates start at the origin, where differences of positions keep their digits. No figure depends on
    where a path lies.

    Args:
        position_tolerance: distance of centres that may be one place, in the unit of the cameras.

    Returns:
        The cameras, and notes for the reader of a report.
    """
    R = orthonormal(cameras.cam_from_world[:, :3, :3])
    centers = -(R.mT @ cameras.cam_from_world[:, :3, 3:])[..., 0]
    extent = measure_extent(centers)
    notes: tuple[str, ...] = ()
    if 0 < extent <= position_tolerance:
        centers = centers[:1].expand_as(centers)
        notes = (
            f"the requested positions differ by {extent:.2g} at most, which is no more than the digits of the file tell: "
            "the request is taken not to move",
        )
    elif 0 < extent < COARSE_PATH_RATIO * position_tolerance:
        notes = (
            f"the requested path is {extent:.2g} long and its positions are known to {position_tolerance / 2:.2g} only: errors "
            "of translation say little",
        )
    if float(centers.norm(dim=1).max()) > FAR * extent:
        centers = centers - centers[0]
    pose = cameras.cam_from_world.clone()
    pose[:, :3, :3] = R
    return replace(cameras, cam_from_world=pose).place_at(centers), notes
