"""Bring the world of a finished clip and that of a capture together, by what both know."""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera_files.apart import CamerasApart
from recon.errors import BridgeError
from recon.scene import Scene
from recon.sim3 import Sim3, fit_similarity, nearest_rotation
from recon.world.extent import measure_extent

COLLINEAR = 0.02
"""Spread of shared places across their main direction, over that along it, below which their turns give the rotation; as of `eval.poses`."""
MISPLACED = 0.05
"""Share of the shared places' extent that one may lie off after the two worlds are brought together. Structure from motion of ten photos
differs from reference cameras by less than a hundredth; exchanged names differ by tenths."""
ENOUGH = 3
"""Shared photos from which places alone give a similarity."""


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
                "capture among those that the file names; add three or more of these"
            )
        return scene.given_from_scene.inverse()
    assert scene.posed_photos is not None
    names, cameras = scene.posed_photos
    rows = [names.index(name) for name in apart.photos]
    ours = cameras.cam_from_world[rows].double()
    theirs = apart.photos_cam_from_world.double()
    turn = nearest_rotation((ours[:, :3, :3].mT @ theirs[:, :3, :3]).sum(0))
    a, b = _places(theirs), _places(ours)
    if len(rows) == 1:
        return _from_one(a[0], b[0], turn, scene, apart.metres_per_unit or metres_per_unit, who)
    found = fit_similarity(a, b, rotation=turn if len(rows) < ENOUGH or _on_a_line(a) else None)
    off = torch.inf if found is None else float((found.points(a) - b).norm(dim=-1).max())
    if found is None or off > MISPLACED * measure_extent(b):
        raise BridgeError(
            f"{len(rows)} photos that the cameras of {who} name stand elsewhere in the capture (by {off / measure_extent(b):.0%} of their "
            "extent); check the convention of its file, and that the names are of the same photos"
        )
    return found


def _from_one(
    place: Float[Tensor, "3"],
    ours: Float[Tensor, "3"],
    turn: Float[Tensor, "3 3"],
    scene: Scene,
    metres_per_unit: float | None,
    who: str,
) -> Sim3:
    if metres_per_unit is None or scene.metres_per_unit is None or scene.metres_assumed:
        lacks = "--model.metres-per-unit" if metres_per_unit is None else "--metres-per-unit"
        raise BridgeError(
            f"the cameras of {who} share one photo with the capture, which leaves their scale open; give {lacks}, or name more photos"
        )
    scale = torch.tensor(metres_per_unit / scene.metres_per_unit, dtype=torch.float64)
    return Sim3(scale, turn, ours - scale * (turn @ place))


def _places(cam_from_world: Float[Tensor, "k 4 4"]) -> Float[Tensor, "k 3"]:
    return -(cam_from_world[:, :3, :3].mT @ cam_from_world[:, :3, 3:])[..., 0]


def _on_a_line(places: Float[Tensor, "k 3"]) -> bool:
    spread = torch.linalg.svdvals(places - places.mean(0))
    return bool(spread[1] < COLLINEAR * spread[0])
