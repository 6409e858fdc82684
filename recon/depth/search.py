"""The search for depth: sweep, refinement, agreement between photos."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from recon.clip import Clip
from recon.depth.complete import completed
from recon.depth.maps import DepthMaps
from recon.depth.views import best_neighbours, depth_ranges
from recon.points import PointCloud
from recon.progress import track

STEP_PENALTY, JUMP_PENALTY = 0.06, 0.5
"""What a path pays for a change of one plane, and of more; a pixel's cost is in [0, 1]."""
REFINEMENT_ROUNDS = 2
AGREEMENT = 0.02
"""Relative depth difference up to which two photos agree."""


class DepthSearch:
    """The depth of all photos of one capture, stage by stage; a stage works on photo i.

    Args are those of `recon.depth.multiview_depth`.
    """

    def __init__(
        self, clip: Clip, *, points: PointCloud | None = None, neighbours: int = 4, planes: int = 96
    ) -> None:
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

    def raw(self) -> DepthMaps:
        """Depth as each photo finds it, before any other is asked; confidence is one minus the matching cost."""
        self._sweep_all()
        depth, cost = 1 / np.stack(self.inverse_depth), np.stack(self.cost)
        return DepthMaps(torch.from_numpy(depth), torch.from_numpy(1 - cost).clamp(0, 1))

    def completed(self) -> DepthMaps:
        """Depth that other photos confirm, spread from there to where none does."""
        self._sweep_all()
        with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
            dense = list(pool.map(self.finish, range(len(self.grays))))
        return DepthMaps(
            torch.from_numpy(np.stack([1 / inverse for inverse, _ in dense])),
            torch.from_numpy(np.stack([confidence for _, confidence in dense])),
        )

    def _sweep_all(self) -> None:
        if self.inverse_depth:
            return
        n = len(self.grays)
        with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
            found = list(track(pool.map(self.sweep, range(n)), "depth of the photos", n))
        self.inverse_depth = [inverse for inverse, _ in found]
        self.cost = [cost for _, cost in found]

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
