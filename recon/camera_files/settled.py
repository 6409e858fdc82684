"""Requested paths where their digits last: at rest if they are not known to move, and near the origin."""

from dataclasses import replace

from recon.camera_files.rigid import orthonormal
from recon.cameras import Cameras
from recon.world.extent import FAR, extent_of

COARSE = 20
"""A path shorter than so many times what its digits tell has errors of translation that come from the digits."""


def settled(cameras: Cameras, still_within: float) -> tuple[Cameras, tuple[str, ...]]:
    """The same path, at rest if it is not known to move; one that is far from the origin (map coordinates) is moved
    there, where differences of places keep their digits. No figure depends on where a path lies."""
    R = orthonormal(cameras.cam_from_world[:, :3, :3])
    centers = -(R.mT @ cameras.cam_from_world[:, :3, 3:])[..., 0]
    extent = extent_of(centers)
    notes: tuple[str, ...] = ()
    if 0 < extent <= still_within:
        centers = centers[:1].expand_as(centers)
        notes = (
            f"the requested positions differ by {extent:.2g} at most, which is no more than the digits of the file tell: "
            "the request is taken not to move",
        )
    elif extent < COARSE * still_within:
        notes = (
            f"the requested path is {extent:.2g} long and its positions are known to {still_within / 2:.2g} only: errors "
            "of translation say little",
        )
    if float(centers.norm(dim=1).max()) > FAR * extent:
        centers = centers - centers[0]
    pose = cameras.cam_from_world.clone()
    pose[:, :3, :3] = R
    pose[:, :3, 3] = -(R @ centers[..., None])[..., 0]
    return replace(cameras, cam_from_world=pose), notes
