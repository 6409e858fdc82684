"""What the network is told of one photo: the costs of the swept planes, what the search made of them, the picture, points.

Depth is told as its *share*: 0 at the farthest inverse depth that is searched, 1 at the nearest. So nothing depends
on the world's scale.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, project
from recon.depth.complete import spread_depth
from recon.depth.sweep import pixel_homography
from recon.points import PointCloud

PLANES, POOLED = 96, 48
"""Planes that are swept, and into how many the plain matching cost is pooled."""
PATHS = 8
"""Of semi-global matching, whose costs add up."""
MOST_NEIGHBOURS = 8
"""As many count as all."""
OTHERS = 18
"""Channels beside the costs: colour, swept depth and its cost, refined depth and depth spread from confirmed pixels, cost of
the one and reach of the other, confirmed depth and by how many photos, points and where they are, number of neighbours,
parallax of a plane, position."""
CHANNELS = POOLED + PLANES + OTHERS
REFINED, SPREAD = POOLED + PLANES + 5, POOLED + PLANES + 6
"""The channels of the refined depth, and of depth spread from confirmed pixels."""
SPREAD_PX = 30.0
"""How far confirmed depth is spread: as far as in `recon.depth.complete` at twice the size."""


@dataclass(frozen=True)
class SweptPhoto:
    """One photo at the size at which planes are swept."""

    cost: Float[Tensor, "48 h w"]
    """Least matching cost of each two planes, in [0, 1]."""
    total: Float[Tensor, "96 h w"]
    """Aggregated cost above the best plane's, mean over the paths, in [0, 1]."""
    image: Float[Tensor, "3 h w"]
    """sRGB."""
    swept: Float[Tensor, "h w"]
    """Share of the plane that semi-global matching chose."""
    winner: Float[Tensor, "h w"]
    """Matching cost of that plane."""
    refined: Float[Tensor, "h w"]
    """Share of the depth after refinement with slanted windows."""
    mismatch: Float[Tensor, "h w"]
    """Matching cost of that depth."""
    agreeing: Float[Tensor, "h w"]
    """Photos that confirm that depth; 0, 1 or 2, which stands for more."""
    points: Float[Tensor, "h w"]
    """Share of the SfM points; -1 where there is none."""
    neighbours: int
    """Photos compared with."""
    plane_px: float
    """How far a pixel moves in a neighbour from plane to plane, median, pixels."""

    def channels(self) -> Float[Tensor, "162 h w"]:
        """All that the network sees, about in [-1, 1]."""
        h, w = self.swept.shape
        there, sure = self.points >= 0, self.agreeing > 0
        y, x = torch.meshgrid(torch.linspace(-1, 1, h), torch.linspace(-1, 1, w), indexing="ij")
        flat = torch.ones(h, w)
        spread, reach = self._spread()
        rest = torch.stack([
            *(2 * self.image - 1), 2 * self.swept - 1, self.winner, 2 * self.refined - 1, 2 * spread - 1, self.mismatch, reach,
            torch.where(sure, 2 * self.refined - 1, 0), sure.float(), (self.agreeing > 1).float(), torch.where(there, 2 * self.points - 1, 0),
            there.float(), flat * min(self.neighbours, MOST_NEIGHBOURS) / MOST_NEIGHBOURS,
            flat * float(np.clip(np.log2(max(self.plane_px, 1e-6)), -4, 4)) / 4, x, y,
        ])  # fmt: skip
        return torch.cat([1 - self.cost, 1 - self.total, rest])

    def _spread(self) -> tuple[Float[Tensor, "h w"], Float[Tensor, "h w"]]:
        """Share spread from confirmed pixels over similar colours, and the share of confirmed pixels near by."""
        image = np.ascontiguousarray(self.image.permute(1, 2, 0).numpy())
        sure = (self.agreeing > 0).numpy()
        spread, reach = spread_depth(self.refined.numpy(), self.mismatch.numpy(), sure, image, SPREAD_PX)
        return torch.from_numpy(spread).float().clamp(0, 1), torch.from_numpy(reach).float().clamp(0, 1)


def describe_photo(
    cost: np.ndarray,
    total: np.ndarray,
    image: np.ndarray,
    inverse: np.ndarray,
    inverse_depths: np.ndarray,
    refined: np.ndarray,
    mismatch: np.ndarray,
    agreeing: np.ndarray,
    *,
    points: np.ndarray,
    neighbours: int,
    plane_px: float,
) -> SweptPhoto:
    """The network's input from the costs of a sweep.

    Args:
        cost, total: [h, w, 96] matching costs and their sum over the paths of semi-global matching.
        image: [h, w, 3], sRGB in [0, 1], of the same size.
        inverse: [h, w] inverse depth that semi-global matching chose.
        inverse_depths: of the planes, from the farthest.
        refined, mismatch, agreeing: [h, w] inverse depth after refinement, its cost, and how many photos confirm it.
        points: [h, w] inverse depth of SfM points; 0 where there is none.
    """
    h, w, planes = cost.shape
    far, near = float(inverse_depths[0]), float(inverse_depths[-1])
    share = (inverse - far) / (near - far)
    plane = np.clip(np.round(share * (planes - 1)), 0, planes - 1).astype(np.int64)
    winner = np.take_along_axis(cost, plane[..., None], -1)[..., 0]
    above = (total - total.min(-1, keepdims=True)) / PATHS
    pooled = cost.reshape(h, w, POOLED, planes // POOLED).min(-1)
    shown = np.where(points > 0, np.clip((points - far) / (near - far), 0, 1), -1)

    def tensor(x: np.ndarray) -> Tensor:
        """As float32, contiguous."""
        return torch.from_numpy(np.ascontiguousarray(x, np.float32))

    return SweptPhoto(
        tensor(pooled.transpose(2, 0, 1)).clamp(0, 1), tensor(above.transpose(2, 0, 1)).clamp(0, 1),
        tensor(image.transpose(2, 0, 1)), tensor(np.clip(share, 0, 1)), tensor(winner),
        tensor(np.clip((refined - far) / (near - far), 0, 1)), tensor(mismatch), tensor(np.minimum(agreeing, 2)), tensor(shown),
        neighbours, plane_px,
    )  # fmt: skip


def draw_points(camera: Cameras, points: PointCloud | None) -> np.ndarray:
    """Inverse depth [h, w] of the nearest SfM point in each pixel; 0 where there is none."""
    out = np.zeros((camera.height, camera.width), np.float32)
    if points is None or len(points) == 0:
        return out
    px, z = (part[0].numpy() for part in project(points.xyz.double(), camera.to(dtype=torch.float64)))
    inside = (z > 0) & (px >= 0).all(1) & (px[:, 0] < camera.width) & (px[:, 1] < camera.height)
    column, row = np.floor(px[inside]).astype(np.int64).T
    np.maximum.at(out, (row, column), (1 / z[inside]).astype(np.float32))
    return out


def plane_parallax_px(
    K: np.ndarray,
    K_others: list[np.ndarray],
    others_from_ref: list[np.ndarray],
    inverse_depths: np.ndarray,
    middle: tuple[float, float],
) -> float:
    """How far the middle pixel moves in a neighbour from plane to plane, median over neighbours, pixels."""
    a, b = inverse_depths[len(inverse_depths) // 2 - 1 : len(inverse_depths) // 2 + 1]
    moved = []
    for K_other, pose in zip(K_others, others_from_ref, strict=True):
        ends = [pixel_homography(K_other, pose, K, float(q)) @ np.array([*middle, 1.0]) for q in (a, b)]
        if all(end[2] > 1e-9 for end in ends):
            moved.append(np.linalg.norm(ends[1][:2] / ends[1][2] - ends[0][:2] / ends[0][2]))
    return float(np.median(moved)) if moved else 0.0
