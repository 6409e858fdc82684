"""How else a request might have been read: other conventions of its matrices or its lens, backwards, in a mirror."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from eval.geometry.pairwise import FOLLOWED_DEG, follows, pose_auc
from eval.paths.fault import PathFault
from eval.poses import mean_turn
from recon.camera_files.convention import CONVENTIONS, Convention
from recon.cameras import Cameras

T = TypeVar("T")

OPPOSED = -0.5
"""Correlation of recovered and requested places, turned as suits the rotations, up to which a path runs against its request.
A path at right angles to what was asked has 0, give or take its noise."""
TIE = 0.02
"""AUC within which two readings of a request fit alike; poses that are right to 0.3° differ by less."""
MIN_FOLLOWING = 4
"""Frames whose relative poses are held against other readings: their six pairs all have to agree."""
HELD_FRAMES = (4, 8)
"""Lengths of the blocks of frames that share a pose: a model that is given every fourth or eighth camera alone films such a path."""
STATED = Convention("cam_from_world", "opencv")
"""The convention of `Cameras` themselves, for requests that come from no file."""


@dataclass(frozen=True)
class Reading:
    """One way in which a request might have been meant."""

    name: str
    """Unique, for tables; of another convention the convention itself."""
    words: str
    """Ends 'the clip fits its cameras better if …'."""
    meant: Callable[[Cameras], Cameras]
    """The cameras that were meant, from those that were read."""
    convention: Convention | None = None
    """The convention to give instead; None where no convention makes the difference."""
    of_lens: bool = False
    """Whether it changes the lens alone."""


def list_readings(stated: Convention = STATED) -> tuple[Reading, ...]:
    """Every other reading of a request, the likelier first.

    Args:
        stated: how its matrices were read.
    """
    rotations, centres = (
        partial(_in_file, stated=stated, change=change) for change in (_transpose_rotations, _invert_places)
    )
    return (
        *(_of_convention(one, stated) for one in CONVENTIONS if one != stated),
        Reading("opposite translation", "the signs of its translations are changed", negate),
        Reading("reversed", "they are taken from the last to the first", reverse),
        Reading("mirrored", "its pictures are mirrored", mirror),
        Reading("transposed rotations", "the rotations are transposed (columns written as rows)", rotations),
        Reading(
            "other translations",
            "the translations are taken for those of the inverse matrices (a camera's place for t, or t for its place)",
            centres,
        ),
        *(_of_hold(frames) for frames in HELD_FRAMES),
        *LENSES,
    )


def words_of(name: str) -> str:
    """How a reading ends the sentence 'the clip fits its cameras better if …'; a name of none is its own words."""
    known = {one.name: one.words for stated in CONVENTIONS for one in list_readings(stated)}
    return known.get(name, f"they are read by {name!r}")


def find_reading(recovered: Cameras, requested: Cameras) -> Reading | None:
    """The other reading of a request that recovered cameras follow best, where they do not follow it as it stands.

    None for fewer than `MIN_FOLLOWING` cameras, which follow something by chance. Readings of the lens are not asked.
    """
    if len(recovered) < MIN_FOLLOWING or follows(recovered, requested):
        return None
    others = [one for one in list_readings() if not one.of_lens]
    return _follow_best(recovered, [(one, one.meant(requested)) for one in others])


def find_contradiction(recovered: Cameras, requested: Cameras) -> PathFault | None:
    """The reading of the request that the path follows best, where it does not follow the request itself.

    A straight path driven backwards looks like one in a mirror: then the direction is named.
    """
    if follows(recovered, requested):
        return None
    readings = (
        (PathFault.OPPOSITE, reverse(requested)),
        (PathFault.OPPOSITE, negate(requested)),
        (PathFault.MIRRORED, mirror(requested)),
        (PathFault.INVERSE, reread(requested, STATED, Convention("world_from_cam", "opencv"))),
        (PathFault.INVERSE, reread(requested, STATED, Convention("world_from_cam", "opengl"))),
    )
    if fault := _follow_best(recovered, readings):
        return fault
    return PathFault.OPPOSITE if runs_backwards(recovered, requested) else None


def _follow_best(recovered: Cameras, readings: Sequence[tuple[T, Cameras]]) -> T | None:
    """The first of the readings that recovered cameras follow and fit best, but for `TIE`; None where they follow none."""
    fits = [(one, _fit(recovered, meant)) for one, meant in readings if follows(recovered, meant)]
    best = max((fit for _, fit in fits), default=0.0)
    return next((one for one, fit in fits if fit >= best - TIE), None)


def runs_backwards(recovered: Cameras, requested: Cameras) -> bool:
    """Whether the centres, turned as suits the cameras' rotations best, run against the requested ones (`OPPOSED`)."""
    x, y = recovered.centers.double(), requested.centers.double()
    dx, dy = x - x.mean(0), y - y.mean(0)
    spread = (dx.norm() * dy.norm()).clamp_min(1e-300)
    return float((dy * (dx @ mean_turn(recovered, requested).mT)).sum() / spread) <= OPPOSED


def _fit(recovered: Cameras, reading: Cameras) -> float:
    everyone = torch.ones(len(recovered), dtype=torch.bool)
    return pose_auc(recovered, everyone, reading, (FOLLOWED_DEG,))[0] or 0.0


def reread(cameras: Cameras, stated: Convention, other: Convention) -> Cameras:
    """The cameras of the same matrices, read by another convention."""
    return replace(
        cameras, cam_from_world=other.to_cam_from_world(stated.to_matrices(cameras.cam_from_world))
    )


def reverse(cameras: Cameras) -> Cameras:
    """The path driven from its end to its beginning."""
    return cameras[list(range(len(cameras)))[::-1]]


def negate(cameras: Cameras) -> Cameras:
    """The same gazes from places on the other side of the first."""
    return cameras.place_at(2 * cameras.centers[:1] - cameras.centers)


def mirror(cameras: Cameras) -> Cameras:
    """The cameras of mirrored pictures: every pose and its lens seen in a mirror that swaps left and right."""
    swap = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=cameras.cam_from_world.dtype))
    K = cameras.K.clone()
    K[:, 0, 2] = cameras.width - K[:, 0, 2]
    return replace(cameras, cam_from_world=swap @ cameras.cam_from_world @ swap, K=K)


def hold(cameras: Cameras, frames: int) -> Cameras:
    """The path on which each pose stays for so many frames: 0 to 3, 4 to 7 … for four."""
    return cameras[[i - i % frames for i in range(len(cameras))]]


def _of_convention(other: Convention, stated: Convention) -> Reading:
    return Reading(
        str(other), f"they are read as {other}", partial(reread, stated=stated, other=other), other
    )


def _of_hold(frames: int) -> Reading:
    return Reading(
        f"held for {frames}", f"each pose is held for {frames} frames", partial(hold, frames=frames)
    )


def _in_file(
    cameras: Cameras, stated: Convention, change: Callable[[Float[Tensor, "n 4 4"]], Float[Tensor, "n 4 4"]]
) -> Cameras:
    """Cameras whose matrices are changed as the file has them."""
    matrices = change(stated.to_matrices(cameras.cam_from_world))
    return replace(cameras, cam_from_world=stated.to_cam_from_world(matrices))


def _transpose_rotations(matrices: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
    out = matrices.clone()
    out[:, :3, :3] = matrices[:, :3, :3].mT
    return out


def _invert_places(matrices: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
    """Rotations as they are, with the translation whose inverse is the one in the file."""
    out = matrices.clone()
    out[:, :3, 3] = -(matrices[:, :3, :3] @ matrices[:, :3, 3:])[..., 0]
    return out


def _scale_focal(cameras: Cameras, *, x: float = 1.0, y: float = 1.0) -> Cameras:
    K = cameras.K.clone()
    K[:, 0, 0] *= x
    K[:, 1, 1] *= y
    return replace(cameras, K=K)


def _swap_sides(cameras: Cameras) -> Cameras:
    return _scale_focal(
        cameras, x=cameras.height / cameras.width, y=cameras.width / cameras.height
    )  # as divided by (h, w) and multiplied by (w, h)


def _by_width(cameras: Cameras) -> Cameras:
    return _scale_focal(cameras, y=cameras.width / cameras.height)


def _by_height(cameras: Cameras) -> Cameras:
    return _scale_focal(cameras, x=cameras.height / cameras.width)


LENSES = (
    Reading("lens: sides exchanged", "its focal lengths are divided by height and width, exchanged", _swap_sides, of_lens=True),
    Reading("lens: by width", "both of its focal lengths are in units of the width", _by_width, of_lens=True),
    Reading("lens: by height", "both of its focal lengths are in units of the height", _by_height, of_lens=True),
    Reading("lens: half", "its focal length is half as long", partial(_scale_focal, x=0.5, y=0.5), of_lens=True),
    Reading("lens: double", "its focal length is twice as long", partial(_scale_focal, x=2.0, y=2.0), of_lens=True),
)  # fmt: skip
