"""Dense depth of every photo of a posed capture, from the photos alone."""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.depth.views import best_neighbours, depth_ranges
from recon.errors import ReconstructionError
from recon.points import PointCloud
from recon.progress import track

log = logging.getLogger(__name__)

STEP_PENALTY, JUMP_PENALTY = 0.06, 0.5
"""What a path pays for a change of one plane, and of more; a pixel's cost is in [0, 1]."""
REFINEMENT_ROUNDS = 2
SPECKLE_PX = 60
"""Smaller patches of depth of their own are not believed."""
AGREEMENT = 0.02
"""Relative depth difference up to which two photos agree."""


@dataclass(frozen=True)
class DepthMaps:
    """Dense z-depth of n photos."""

    depth: Float[Tensor, "n h w"]
    """In world units, positive everywhere: where the photos did not say, it is completed from around."""
    confidence: Float[Tensor, "n h w"]
    """In [0, 1]: 1 where three photos agree, 0.7 where two do, below 0.3 where the depth was filled in."""


def multiview_depth(
    clip: Clip,
    *,
    points: PointCloud | None = None,
    neighbours: int = 4,
    planes: int = 96,
    max_side: int = 640,
) -> DepthMaps:
    """Depth by plane sweep over each photo's best neighbours, made dense and checked between photos.

    Planes in inverse depth are compared by normalised cross-correlation, aggregated along eight paths
    (semi-global matching), refined below the plane spacing, kept where another photo's depth agrees within
    2%, and completed elsewhere by an edge-aware filter.

    Args:
        clip: at least two posed photos.
        points: SfM points, which bound the search; without them the parallax of the cameras does.
        neighbours: photos to compare each photo with.
        planes: inverse depths to try.
        max_side: larger photos are searched at this long side and the depth is enlarged.

    Raises:
        CaptureError: a clip without cameras.
        ReconstructionError: fewer than two photos, or all from the same place.
    """
    cameras = clip.posed()
    if len(clip) < 2 or (cameras.centers - cameras.centers[0]).norm(dim=1).max() < 1e-9:
        raise ReconstructionError(
            f"expected at least two photos from different places for depth, got {len(clip)}; add photos"
        )
    small = clip.limited(max_side)
    search = _Search(small, points, neighbours, planes)
    with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
        found = list(track(pool.map(search.sweep, range(len(clip))), "depth of the photos", len(clip)))
        search.inverse_depth = [inverse for inverse, _ in found]
        search.cost = [cost for _, cost in found]
        dense = list(pool.map(search.finish, range(len(clip))))
    maps = DepthMaps(
        torch.from_numpy(np.stack([1 / inverse for inverse, _ in dense])),
        torch.from_numpy(np.stack([confidence for _, confidence in dense])),
    )
    return _enlarged(maps, clip.width, clip.height)


class _Search:
    """What the stages share about one capture; a stage works on photo i."""

    def __init__(self, clip: Clip, points: PointCloud | None, neighbours: int, planes: int) -> None:
        import cv2

        cameras = clip.posed()
        self.ranges = depth_ranges(cameras, points)
        self.neighbours = best_neighbours(cameras, self.ranges, points, neighbours)
        self.planes = planes
        self.images = [np.ascontiguousarray(image) for image in clip.images.float().numpy()]
        self.grays = [
            np.ascontiguousarray(image @ np.array([0.299, 0.587, 0.114], np.float32)) for image in self.images
        ]
        self.K = list(cameras.K.double().numpy())
        half = cameras.resized(width=max(1, clip.width // 2), height=max(1, clip.height // 2))
        self.half_K = list(half.K.double().numpy())
        self.half_grays = [
            cv2.resize(gray, (half.width, half.height), interpolation=cv2.INTER_AREA) for gray in self.grays
        ]
        self.poses = cameras.cam_from_world.double().numpy()
        self.inverse_poses = cameras.world_from_cam.double().numpy()
        self.inverse_depth: list[np.ndarray] = []
        self.cost: list[np.ndarray] = []

    def other_from_ref(self, other: int, ref: int) -> np.ndarray:
        return self.poses[other] @ self.inverse_poses[ref]

    def sweep(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Inverse depth and matching cost, both [h, w], not yet checked.

        Planes are swept at half size, which is faster and steadier; slanted windows add the detail.
        """
        import cv2

        from recon.depth.kernels import aggregate_scan, best_plane
        from recon.depth.sweep import matching_cost

        near, far = (float(x) for x in self.ranges[i])
        inverse_depths = np.linspace(1 / far, 1 / near, self.planes)
        others = self.neighbours[i]
        gray = self.half_grays[i]
        cost = matching_cost(
            gray, [self.half_grays[j] for j in others], self.half_K[i], [self.half_K[j] for j in others],
            [self.other_from_ref(j, i) for j in others], inverse_depths,
        )  # fmt: skip
        total = np.zeros_like(cost)
        aggregate_scan(cost, gray, STEP_PENALTY, JUMP_PENALTY, total)
        aggregate_scan(cost[::-1, ::-1], gray[::-1, ::-1], STEP_PENALTY, JUMP_PENALTY, total[::-1, ::-1])
        inverse, winner = np.empty_like(gray), np.empty_like(gray)
        spacing = inverse_depths[1] - inverse_depths[0]
        best_plane(total, cost, inverse_depths[0], spacing, inverse, winner)
        h, w = self.grays[i].shape
        return self.refine(i, cv2.resize(inverse, (w, h), interpolation=cv2.INTER_NEAREST), spacing)

    def refine(self, i: int, inverse: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray]:
        """The same with slanted windows, free of the planes."""
        from recon.depth.slanted import refine_planes

        others = self.neighbours[i]
        maps, shifts = self.integer_pixel_maps(i)
        planes = np.zeros((*inverse.shape, 3), np.float64)
        planes[..., 0] = inverse
        cost = np.empty(inverse.shape, np.float32)
        near, far = (float(x) for x in self.ranges[i])
        refine_planes(
            self.grays[i], np.stack([self.grays[j] for j in others]), maps, shifts, planes, inverse, spacing,
            1 / far, 1 / near, REFINEMENT_ROUNDS, 0.08, 0.08, cost,
        )  # fmt: skip
        return planes[..., 0].astype(np.float32), cost

    def integer_pixel_maps(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """What takes pixels and inverse depth of photo i to its neighbours, integer pixel centres."""
        to_ours = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
        to_integer = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
        maps, shifts = [], []
        for j in self.neighbours[i]:
            pose = self.other_from_ref(j, i)
            maps.append(to_integer @ self.K[j] @ pose[:3, :3] @ np.linalg.inv(self.K[i]) @ to_ours)
            shifts.append(to_integer @ self.K[j] @ pose[:3, 3])
        return np.stack(maps), np.stack(shifts)

    def finish(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Dense inverse depth and confidence, both [h, w]."""
        from recon.depth.kernels import count_agreeing

        agreeing = np.zeros(self.inverse_depth[i].shape, np.int64)
        for j in self.neighbours[i]:
            count_agreeing(
                self.inverse_depth[i], self.K[i], self.inverse_depth[j], self.K[j], self.other_from_ref(j, i),
                AGREEMENT, agreeing,
            )  # fmt: skip
        return completed(self.inverse_depth[i], self.cost[i], agreeing, self.images[i])


def completed(
    inverse_depth: np.ndarray, cost: np.ndarray, agreeing: np.ndarray, image: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Depth where photos agree, spread from there over places of like colour; and the confidence of both."""
    import cv2

    from recon.depth.kernels import edge_aware_smooth

    agreed = (agreeing > 0) & ~speckles(inverse_depth)
    sure = cv2.morphologyEx(agreed.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    trust = np.where(sure, 1.0, np.clip(0.35 - cost, 0, 0.35) * 0.05)
    spread = np.stack([trust * inverse_depth, trust, sure.astype(np.float64)], axis=-1)
    guide = cv2.GaussianBlur(image, (3, 3), 0).astype(np.float64)
    edge_aware_smooth(spread, guide, 60.0, 0.35, 3)
    filled = spread[..., 0] / np.maximum(spread[..., 1], 1e-12)
    filled = np.clip(filled, inverse_depth.min(), inverse_depth.max())
    median = cv2.medianBlur(inverse_depth.astype(np.float32), 5)
    dense = np.where(sure, 0.7 * inverse_depth + 0.3 * median, filled).astype(np.float32)
    known = np.where(agreeing > 1, 1.0, 0.7)
    confidence = np.where(sure, known, 0.3 * np.clip(spread[..., 2], 0, 1)).astype(np.float32)
    return dense, confidence


def speckles(inverse_depth: np.ndarray) -> np.ndarray:
    """Where small patches stand off from all around them: chance matches on blank walls."""
    import cv2

    steps = (inverse_depth / inverse_depth.max() * 16000).astype(np.int16)
    cv2.filterSpeckles(steps, -1, SPECKLE_PX, 16000 * 0.01)
    return steps < 0


def _enlarged(maps: DepthMaps, width: int, height: int) -> DepthMaps:
    """The maps at another size; depth is read at the nearest pixel, so that edges stay edges."""
    if maps.depth.shape[1:] == (height, width):
        return maps

    def nearest(x: Tensor) -> Tensor:
        return torch.nn.functional.interpolate(x[:, None], size=(height, width), mode="nearest-exact")[:, 0]

    return DepthMaps(nearest(maps.depth), nearest(maps.confidence))
