"""Bring the world of a finished clip and that of a capture together, by what both know."""

from dataclasses import replace

import torch

from recon.camera_files.apart import CamerasApart
from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.scene import Scene
from recon.sim3 import Sim3, align_cameras, mean_turn
from recon.world.extent import measure_extent

MISPLACED = 0.05
"""Share of the shared places' extent that one may lie off after the two worlds are brought together. Structure from motion of ten photos
differs from reference cameras by less than a hundredth; exchanged names differ by tenths."""
TURNED_DEG = 10.0
"""The same of their turns. Axes of another convention, of which places say nothing, are off by 90° and more."""


def find_world(apart: CamerasApart, scene: Scene, metres_per_unit: float | None, who: str) -> Sim3:
    """The similarity scene_from_clip.

    By the photos that the clip's file names: of two or more their places give the scale, of one the lengths of both units in metres do.
    Without any the cameras lie in the frame of those that came with the capture.

    Args:
        scene: with the photos that `apart` was read for.
        metres_per_unit: of the clip's file, where it does not state it.
        who: names the clip in errors.

    Raises:
        BridgeError: nothing brings them together, or the shared photos stand elsewhere.
    """
    if not apart.photos:
        if scene.given_from_scene is None:
            raise BridgeError(
                f"the cameras of {who} lie in a world of their own: expected them in that of a capture with cameras, or photos of the "
                "capture among those that the file names, three or more. Frames of a bridge4d generate run fit where both runs are given the exports "
                "folder of an augment or reconstruct run as their photos"
            )
        return scene.given_from_scene.inverse()
    assert scene.posed_photos is not None
    names, cameras = scene.posed_photos
    ours = cameras[[names.index(name) for name in apart.photos]].to(dtype=torch.float64)
    theirs = replace(ours, cam_from_world=apart.photos_cam_from_world.double())
    if len(ours) == 1:
        return _from_one(theirs, ours, scene, apart.metres_per_unit or metres_per_unit, who)
    found = align_cameras(theirs, ours)
    if found is None:
        raise BridgeError(
            f"the {len(ours)} photos that the cameras of {who} name stand in one place, or contradict each other, and leave the scale open; "
            "name others"
        )
    moved = found.cameras(theirs)
    off = float((moved.centers - ours.centers).norm(dim=-1).max()) / measure_extent(ours.centers)
    turned = _largest_turn_deg(moved, ours)
    if off > MISPLACED or turned > TURNED_DEG:
        raise BridgeError(
            f"{len(ours)} photos that the cameras of {who} name are elsewhere in the capture, by {off:.0%} of their extent and {turned:.0f}°; "
            "check the convention of its file, and that the names are of the same photos"
        )
    return found


def _largest_turn_deg(a: Cameras, b: Cameras) -> float:
    R = a.cam_from_world[:, :3, :3] @ b.cam_from_world[:, :3, :3].mT
    return float(((R.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2).clamp(-1, 1).arccos().rad2deg().max())


def _from_one(theirs: Cameras, ours: Cameras, scene: Scene, metres_per_unit: float | None, who: str) -> Sim3:
    if metres_per_unit is None or scene.metres_per_unit is None or scene.metres_assumed:
        lacks = "--model.metres-per-unit" if metres_per_unit is None else "--metres-per-unit"
        raise BridgeError(
            f"the cameras of {who} share one photo with the capture, which leaves their scale open; give {lacks}, or name more photos"
        )
    scale = torch.tensor(metres_per_unit / scene.metres_per_unit, dtype=torch.float64)
    turn = mean_turn(theirs, ours)
    return Sim3(scale, turn, ours.centers[0] - scale * (turn @ theirs.centers[0]))
