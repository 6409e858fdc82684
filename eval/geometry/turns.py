"""Rotations of a camera that only turns, from its homographies: where nothing can be triangulated they are all there is."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eval.geometry.motion import ROTATION_PX
from eval.geometry.pairs import MIN_MATCHES
from recon.cameras import Cameras
from recon.compute.seeds import draw_seed
from recon.errors import RecoveryStatus
from recon.lens import Lens
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sfm.matches import Matches
from recon.sfm.pairs import sequential_pairs
from recon.sim3 import nearest_rotation
from recon.two_views.robust import fit_homography, transfer


def recover_turns(
    matches: Matches, K: Float[Tensor, "n 3 3"], *, generator: torch.Generator
) -> Float[Tensor, "n 3 3"] | None:
    """Rotations cam-from-world of a camera known to turn only (`motion`); None where its pairs do not connect all frames.

    The first is the identity. The rotation of each pair is the nearest to ``K⁻¹ H K`` of its homography, and counts where the median of
    the matches is within `ROTATION_PX` of it; rotations of all frames are the three leading eigenvectors of the matrix of these
    (Arie-Nachimson et al., 3DIMPVT 2012), each frame's row scaled by the root of the number of its pairs.

    Args:
        K: the lens of each frame.
    """
    seed = draw_seed(generator)
    n = len(matches)
    block = torch.zeros(n, n, 3, 3, dtype=torch.float64)
    wanted = set(sequential_pairs(n))
    for number, (a, b) in enumerate(matches.pairs):
        turn = _turn_between(matches, number, K, seed) if (a, b) in wanted else None
        if turn is not None:
            block[b, a], block[a, b] = turn, turn.mT
    linked = block.square().sum((2, 3)) > 0
    if not _connects(linked):
        return None
    degree = linked.sum(1).double()
    block += torch.eye(n, dtype=torch.float64)[..., None, None] * torch.eye(3, dtype=torch.float64)
    scale = (degree + 1).rsqrt()
    whole = (
        (block * (scale[:, None] * scale[None])[..., None, None]).permute(0, 2, 1, 3).reshape(3 * n, 3 * n)
    )
    leading = torch.linalg.eigh(whole).eigenvectors[:, -3:].reshape(n, 3, 3) / scale[:, None, None]
    if torch.linalg.det(leading).sum() < 0:
        leading = leading * torch.tensor([1.0, 1.0, -1.0], dtype=torch.float64)
    rotation = nearest_rotation(leading)
    return rotation @ rotation[0].mT


def turns_as_recovery(
    matches: Matches,
    requested: Cameras,
    names: Sequence[str],
    *,
    still: bool = False,
    generator: torch.Generator,
) -> Recovery | None:
    """A recovery of a camera that stands in one place and turns: rotations alone, no points. None as `recover_turns`.

    Args:
        requested: whose lenses are known and kept.
        still: the camera is known to stand, so that frames that noise leaves without matches look the same way.
    """
    rotation = recover_turns(matches, requested.K, generator=generator)
    if rotation is None and still:
        rotation = torch.eye(3, dtype=torch.float64).expand(len(names), 3, 3)
    if rotation is None:
        return None
    pose = torch.eye(4, dtype=torch.float64).repeat(len(rotation), 1, 1)
    pose[:, :3, :3] = rotation
    cameras = replace(requested, cam_from_world=pose)
    n = len(names)
    return Recovery(
        status=RecoveryStatus.OK,
        names=tuple(names),
        registered=torch.ones(n, dtype=torch.bool),
        cameras=cameras,
        points=PointCloud.empty(),
        reprojection_error_px=torch.full((n,), torch.nan, dtype=torch.float64),
        inliers=torch.zeros(n, dtype=torch.long),
        model_sizes=(n,),
        lenses=tuple(Lens.pinholes(cameras)),
    )


def _turn_between(
    matches: Matches, number: int, K: Float[Tensor, "n 3 3"], seed: int
) -> Float[Tensor, "3 3"] | None:
    a, b = matches.pairs[number]
    xy_a, xy_b = matches.points(number)
    if len(xy_a) < MIN_MATCHES:
        return None
    H = fit_homography(xy_a, xy_b, seed=seed)
    if H is None:
        return None
    K_a, K_b = K[a].double(), K[b].double()
    turn = nearest_rotation(torch.linalg.inv(K_b) @ H @ K_a)
    explained = (transfer(H, xy_a) - xy_b).norm(dim=-1) < ROTATION_PX
    if int(explained.sum()) < MIN_MATCHES:
        return None
    off = transfer(K_b @ turn @ torch.linalg.inv(K_a), xy_a[explained]) - xy_b[explained]
    return turn if float(off.norm(dim=-1).median()) < ROTATION_PX else None


def _connects(linked: Bool[Tensor, "n n"]) -> bool:
    """Whether every frame is reached from the first."""
    reached = torch.zeros(len(linked), dtype=torch.bool)
    reached[:1] = True
    for _ in range(len(linked)):
        grown = reached | (linked.double() @ reached.double() > 0)
        if torch.equal(grown, reached):
            break
        reached = grown
    return bool(reached.all())
