"""Requests that are wrong on purpose, and paths through the built-in room that are filmed exactly or loosely."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from eval.paths.readings import HELD_FRAMES, STATED, list_readings, mirror, negate, reread, reverse
from recon.camera_files.convention import CONVENTIONS, Convention
from recon.cameras import Cameras
from recon.sfm.matches import Matches
from recon.world.extent import measure_extent
from worldgen.models.synthetic import SyntheticRoom
from worldgen.trajectories import dolly, orbit, spiral

TABLE = (-0.1, 1.25, 0.62)
"""What orbit and spiral look at, metres: the middle of the room's furniture."""
UNSEEN = ("half a pixel", "twice the scale")
"""Errors of a request that no other reading mends, for epipolar lines do not show them."""


def truths(stated: Convention = STATED) -> list[str]:
    """Every way in which requests are made wrong, and none."""
    return ["as stated", *(one.name for one in list_readings(stated)), *UNSEEN]


def misread(name: str, meant: Cameras, stated: Convention = STATED) -> Cameras:
    """The cameras that are read where these were meant, and the reading `name` would have been right."""
    n = meant.height / meant.width
    undo: dict[str, Callable[[Cameras], Cameras]] = {
        "as stated": lambda cameras: cameras,
        **{str(one): partial(reread, stated=one, other=stated) for one in CONVENTIONS},
        "opposite translation": negate,
        "reversed": reverse,
        "mirrored": mirror,
        "transposed rotations": partial(_in_file, stated=stated, change=_transpose),
        "other translations": partial(_in_file, stated=stated, change=_invert_places),
        **dict.fromkeys((f"held for {k}" for k in HELD_FRAMES), lambda cameras: cameras),
        "lens: sides exchanged": partial(_focal, x=1 / n, y=n),
        "lens: by width": partial(_focal, x=1, y=n),
        "lens: by height": partial(_focal, x=1 / n, y=1),
        "lens: half": partial(_focal, x=2, y=2),
        "lens: double": partial(_focal, x=0.5, y=0.5),
        "half a pixel": _shift,
        "twice the scale": lambda cameras: cameras.place_at(2 * cameras.centers),
    }
    return undo[name](meant)


def hold_frames(matches: Matches, name: str) -> Matches:
    """Matches of a clip each of whose frames is shown so often as a held path has it; unchanged for other names."""
    if not name.startswith("held for "):
        return matches
    k = int(name.removeprefix("held for "))
    source = [i - i % k for i in range(len(matches))]
    rows = {pair: rows for pair, rows in matches.by_pair()}
    indices = []
    for a, b in matches.pairs:
        same = torch.arange(len(matches.keypoints[source[a]]))[:, None].expand(-1, 2)
        indices.append(same if source[a] == source[b] else rows[source[a], source[b]])
    return replace(matches, keypoints=tuple(matches.keypoints[i] for i in source), indices=tuple(indices))


def room_paths(room: SyntheticRoom, *, count: int, width: int, height: int) -> Mapping[str, Cameras]:
    """Paths of many kinds, plain ones among them."""
    start = room.cameras(3, width=width, height=height)[1]
    table = torch.tensor(TABLE, dtype=torch.float64)
    still = start[[0] * count]
    forward = dolly(start, distance=0.9, count=count)
    return {
        "walk": room.cameras(count, width=width, height=height),
        "orbit": orbit(start, target=table, count=count, arc_deg=50),
        "spiral": spiral(start, target=table, count=count, radius=0.4, turns=1.5, sway=0.2),
        "forward": forward,
        "sideways": still.place_at(still.centers + _share(count) * start.world_from_cam[0, :3, 0]),
        "forward, turning": _turn(forward, _share(count) * torch.tensor([6.0, 30, 0])),
        "turn": _turn(still, _share(count) * torch.tensor([5.0, 40, 0])),
    }


@dataclass(frozen=True)
class Looseness:
    """How loosely a generator follows: slow curves about the request."""

    name: str
    rotation_deg: float = 0.0
    position_share: float = 0.0
    """Of the path's extent."""


EXACT, LOOSE = Looseness("exact"), Looseness("loose", 1.0, 0.03)


def follow(request: Cameras, how: Looseness, *, generator: torch.Generator) -> Cameras:
    """The cameras that are really filmed."""
    turn, shift = (torch.stack([_curve(len(request), generator) for _ in range(3)], 1) for _ in range(2))
    extent = measure_extent(request.centers)
    moved = request.place_at(request.centers + how.position_share * extent * shift)
    return _turn(moved, how.rotation_deg * turn)


def _curve(count: int, generator: torch.Generator) -> Float[Tensor, "n"]:
    """Three slow waves of random phases and heights, 0 at first."""
    waves = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)[:, None]
    phase = torch.rand(3, 1, generator=generator, dtype=torch.float64)
    height = torch.randn(3, 1, generator=generator, dtype=torch.float64) / 3**0.5
    curve = (height * (2 * torch.pi * (waves * _share(count)[:, 0] + phase)).sin()).sum(0)
    return curve - curve[0]


def _share(count: int) -> Float[Tensor, "n 1"]:
    return torch.linspace(0, 1, count, dtype=torch.float64)[:, None]


def _turn(cameras: Cameras, vector_deg: Float[Tensor, "n 3"]) -> Cameras:
    """Cameras turned about their own axes, where they stand."""
    x, y, z = vector_deg.double().deg2rad().unbind(1)
    zero = torch.zeros_like(x)
    skew = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3)
    pose = cameras.cam_from_world.clone()
    pose[:, :3] = torch.linalg.matrix_exp(skew) @ pose[:, :3]
    return replace(cameras, cam_from_world=pose)


def _in_file(
    cameras: Cameras, *, stated: Convention, change: Callable[[Float[Tensor, "n 4 4"]], None]
) -> Cameras:
    matrices = stated.to_matrices(cameras.cam_from_world).clone()
    change(matrices)
    return replace(cameras, cam_from_world=stated.to_cam_from_world(matrices))


def _transpose(matrices: Float[Tensor, "n 4 4"]) -> None:
    matrices[:, :3, :3] = matrices[:, :3, :3].mT.clone()


def _invert_places(matrices: Float[Tensor, "n 4 4"]) -> None:
    """The translation of the inverse in place of their own."""
    matrices[:, :3, 3] = -(matrices[:, :3, :3].mT @ matrices[:, :3, 3:])[..., 0]


def _focal(cameras: Cameras, *, x: float, y: float) -> Cameras:
    K = cameras.K.clone()
    K[:, 0, 0] *= x
    K[:, 1, 1] *= y
    return replace(cameras, K=K)


def _shift(cameras: Cameras) -> Cameras:
    K = cameras.K.clone()
    K[:, :2, 2] += 0.5
    return replace(cameras, K=K)
