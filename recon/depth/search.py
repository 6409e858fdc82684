"""Search for depth: plane sweep, refinement, and agreement between photos."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from recon.cameras import Cameras
from recon.clip import PictureSet
from recon.compute.progress import track
from recon.depth.aggregate import JUMP_PENALTY, STEP_PENALTY, sweep_depth
from recon.depth.complete import complete_depth
from recon.depth.maps import DepthMaps
from recon.depth.sweep import integer_pixel_map
from recon.depth.views import best_neighbours, depth_ranges, places_apart
from recon.errors import ReconstructionError
from recon.pictures.canvas import HALF
from recon.points import PointCloud

SOFTNESS = 0.08
"""Grey-level difference that cuts a pixel's weight in a slanted window to 1/e."""
AGREEMENT = 0.02
"""Relative depth difference up to which two photos agree."""
FUSED = 0.01
"""Relative depth difference up to which the depths of two photos are averaged."""

Engine = Literal["auto", "numba", "torch"]
LEAST_PLANES = 3
"""A best plane between two others, which is what the parabola through their costs needs."""


@dataclass(frozen=True)
class Refinement:
    """Settings of a refinement by slanted windows; see `slanted.refine_planes`."""

    reach: float
    """Size of the first changes tried, in spacings of the swept planes."""
    rounds: int
    """Number of sweeps over the photo."""
    pull: float
    """Cost of a plane that is four times the reach or more from its first depth; matching costs up to 1."""
    geometric: float
    """Cost of a plane where a neighbour has another depth; a mismatch of the pictures costs up to 1."""


FIRST = Refinement(reach=1.0, rounds=2, pull=0.08, geometric=0.0)
"""Before neighbours have depth: near the swept depth, which a pull keeps."""
SECOND = Refinement(reach=0.3, rounds=1, pull=0.0, geometric=0.25)
"""Once neighbours have depth: small changes, judged by their depth too."""
NOWHERE = 1e-9
"""Inverse depth of what lies around a photo: beyond all scenes, and still a number that kernels divide by."""
NO_PLANES = np.zeros((0, 1, 1, 3))
"""Planes of no neighbour, for kernels that expect an array."""


class DepthSearch:
    """The depth of all photos of one capture, stage by stage; a stage works on photo i.

    Args and errors are those of `recon.depth.multiview_depth`.
    """

    def __init__(
        self,
        clip: PictureSet,
        *,
        points: PointCloud | None = None,
        neighbours: int = 4,
        planes: int = 96,
        passes: Literal[1, 2] = 1,
        engine: Engine = "auto",
    ) -> None:
        import cv2

        cameras = clip.require_cameras()
        check_search(cameras, neighbours=neighbours, planes=planes, passes=passes, engine=engine)
        self.passes = passes
        self.torch_device = torch_device(engine)
        self.ranges = depth_ranges(cameras, points)
        self.neighbours = best_neighbours(cameras, self.ranges, points, neighbours)
        self.planes = planes
        self.padding = (
            None if clip.confidence is None else np.stack([(sure < HALF).numpy() for sure in clip.confidence])
        )
        self.images = clip.images
        self.grays = [
            np.ascontiguousarray(self.image(i) @ np.array([0.299, 0.587, 0.114], np.float32))
            for i in range(len(clip))
        ]
        if self.padding is not None:
            self._fill_padding(self.padding)
        self.K = list(cameras.K.double().numpy())
        self.points = points
        half = cameras.resize(width=max(1, clip.width // 2), height=max(1, clip.height // 2))
        self.half_cameras = half
        self.half_K = list(half.K.double().numpy())
        self.half_grays = [
            cv2.resize(gray, (half.width, half.height), interpolation=cv2.INTER_AREA) for gray in self.grays
        ]
        self.poses = cameras.cam_from_world.double().numpy()
        self.inverse_poses = cameras.world_from_cam.double().numpy()
        self.planes_of: list[np.ndarray] = []
        self.cost: list[np.ndarray] = []

    def image(self, i: int) -> np.ndarray:
        """Picture [h, w, 3] of photo i."""
        return np.ascontiguousarray(self.images[i].float().numpy())

    def _fill_padding(self, padding: np.ndarray) -> None:
        """Fill what lies around photos with noise: it correlates with nothing, like what lies outside of a picture."""
        noise = np.random.default_rng(0)
        for gray, outside in zip(self.grays, padding, strict=True):
            gray[outside] = noise.random(int(outside.sum()), np.float32)

    def raw(self) -> DepthMaps:
        """Depth before it is checked and completed; confidence is one minus the matching cost."""
        self.search_all()
        depth = 1 / np.stack([planes[..., 0].astype(np.float32) for planes in self.planes_of])
        cost = np.stack(self.cost)
        return DepthMaps(torch.from_numpy(depth), torch.from_numpy(1 - cost).clamp(0, 1))

    def complete(self) -> DepthMaps:
        """Depth of all photos: confirmed by others, and completed where none confirms it."""
        self.search_all()
        depth = torch.empty(len(self.grays), *self.grays[0].shape)
        confidence = torch.empty_like(depth)
        with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
            for i, (inverse, sure) in enumerate(pool.map(self.finish, range(len(self.grays)))):
                depth[i], confidence[i] = torch.from_numpy(1 / inverse), torch.from_numpy(sure)
        return DepthMaps(depth, confidence)

    def search_all(self) -> None:
        """All stages up to the comparison, once."""
        if self.planes_of:
            return
        n = len(self.grays)
        stages = ((self.sweep, "depth of the photos"), (self.reconsider, "depth compared"))[: self.passes]
        with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
            for stage, name in stages:
                found = [
                    (self._keep(planes), cost) for planes, cost in track(pool.map(stage, range(n)), name, n)
                ]
                self.planes_of = [planes for planes, _ in found]
                self.cost = [cost for _, cost in found]

    def _keep(self, planes: np.ndarray) -> np.ndarray:
        """What is asked of planes [h, w, 3] later: of one pass their depth alone, of a sixth of the memory."""
        return planes[..., :1].astype(np.float32) if self.passes == 1 else planes

    def other_from_ref(self, other: int, ref: int) -> np.ndarray:
        """Pose of one view relative to another: [4,4]."""
        return self.poses[other] @ self.inverse_poses[ref]

    def inverse_depths(self, i: int) -> np.ndarray:
        """Inverse depths of the swept planes, from the farthest to the nearest."""
        near, far = (float(x) for x in self.ranges[i])
        return np.linspace(1 / far, 1 / near, self.planes)

    def sweep(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Planes [h, w, 3] and their matching cost [h, w], not yet checked.

        Planes are swept at half size, which is faster and steadier; slanted windows add the detail.
        """
        import cv2

        inverse_depths = self.inverse_depths(i)
        others = self.neighbours[i]
        pictures = self.half_grays[i], [self.half_grays[j] for j in others]
        lenses = self.half_K[i], [self.half_K[j] for j in others], [self.other_from_ref(j, i) for j in others]
        if self.torch_device is None:
            inverse = sweep_depth(*pictures, *lenses, inverse_depths)
        else:
            from recon.depth.torch_sweep import plane_sweep

            penalties = STEP_PENALTY, JUMP_PENALTY
            inverse = plane_sweep(*pictures, *lenses, inverse_depths, penalties, self.torch_device)
        h, w = self.grays[i].shape
        start = cv2.resize(inverse, (w, h), interpolation=cv2.INTER_NEAREST)
        planes = np.zeros((h, w, 3))
        planes[..., 0] = start
        return self.refine(i, planes, start, FIRST)

    def reconsider(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Planes [h, w, 3] and their cost [h, w], now that the neighbours have planes too.

        Theirs are tried, and those that they do not confirm cost more (the idea of geometric consistency:
        Schönberger et al. 2016).
        """
        from recon.depth.fuse import draw_planes

        maps, shifts = self.integer_pixel_maps(i)
        theirs = np.stack([self.planes_of[j] for j in self.neighbours[i]])
        drawn = np.empty_like(theirs)
        for n in range(len(theirs)):
            draw_planes(theirs[n], maps[n], shifts[n], drawn[n])
        planes = self.planes_of[i].copy()
        start = planes[..., 0].astype(np.float32)
        return self.refine(i, planes, start, SECOND, theirs=theirs, candidates=drawn)

    def refine(
        self,
        i: int,
        planes: np.ndarray,
        start: np.ndarray,
        how: Refinement,
        *,
        theirs: np.ndarray = NO_PLANES,
        candidates: np.ndarray = NO_PLANES,
    ) -> tuple[np.ndarray, np.ndarray]:
        """The planes [h, w, 3] with slanted windows, free of those swept, in place, and their cost [h, w].

        Args:
            start: inverse depth [h, w] to begin with.
            theirs, candidates: planes of the neighbours, and planes to try; see `slanted.refine_planes`.
        """
        from recon.depth import slanted, torch_sweep

        maps, shifts = self.integer_pixel_maps(i)
        low, second, *_, high = self.inverse_depths(i).tolist()
        spacing = how.reach * (second - low)
        cost = np.empty(start.shape, np.float32)
        others = np.stack([self.grays[j] for j in self.neighbours[i]])
        arguments = (
            self.grays[i], others, maps, shifts, planes, start, spacing, low, high, how.rounds,
            SOFTNESS, how.pull, theirs, how.geometric, candidates, cost,
        )  # fmt: skip
        if self.torch_device is None:
            slanted.refine_planes(*arguments)
        else:
            torch_sweep.refine_planes(*arguments, self.torch_device)
        return planes, cost

    def integer_pixel_maps(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Maps of pixels and inverse depth from photo i to its neighbours, with integer pixel centres."""
        found = [
            integer_pixel_map(self.K[j], self.other_from_ref(j, i), self.K[i]) for j in self.neighbours[i]
        ]
        maps, shifts = zip(*found, strict=True)
        return np.stack(maps), np.stack(shifts)

    def finish(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Dense inverse depth and confidence, both [h, w]."""
        inverse, cost, agreeing = self.compare(i)
        dense, confidence = complete_depth(inverse, cost, agreeing, self.image(i))
        return dense, self.distrust_padding(i, confidence)

    def distrust_padding(self, i: int, confidence: np.ndarray) -> np.ndarray:
        """The confidence [h, w] of photo i, 0 around the photo."""
        return confidence if self.padding is None else np.where(self.padding[i], np.float32(0), confidence)

    def compare(
        self, i: int, planes_of: list[np.ndarray] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Inverse depth found in photo i, its matching cost, and how many neighbours confirm it, all [h, w].

        Args:
            planes_of: planes of all photos, where they are not those that the search found.
        """
        from recon.depth.fuse import fuse_planes
        from recon.depth.kernels import count_agreeing

        planes_of = planes_of or self.planes_of
        inverse = planes_of[i][..., 0].astype(np.float32)
        agreeing = np.zeros(inverse.shape, np.int64)
        if self.passes == 1:
            for j in self.neighbours[i]:
                theirs = self._planes_in_picture(planes_of, j)[..., 0].astype(np.float32)
                pose = self.other_from_ref(j, i)
                count_agreeing(inverse, self.K[i], theirs, self.K[j], pose, AGREEMENT, agreeing)
        else:
            maps, shifts = self.integer_pixel_maps(i)
            theirs = np.stack([self._planes_in_picture(planes_of, j) for j in self.neighbours[i]])
            fused = np.empty(inverse.shape)
            fuse_planes(planes_of[i], theirs, maps, shifts, AGREEMENT, FUSED, fused, agreeing)
            inverse = fused.astype(np.float32)
        if self.padding is None:
            return inverse, self.cost[i], agreeing
        outside = self.padding[i]
        agreeing[outside] = 0
        inverse[outside] = np.median(inverse[~outside])
        return inverse, np.where(outside, np.float32(1), self.cost[i]), agreeing

    def _planes_in_picture(self, planes_of: list[np.ndarray], j: int) -> np.ndarray:
        """Planes of a photo; those around it lie so far away that they agree with none."""
        if self.padding is None:
            return planes_of[j]
        planes = planes_of[j]
        return np.where(self.padding[j][..., None], np.array([NOWHERE, 0, 0])[: planes.shape[-1]], planes)


def check_search(cameras: Cameras, *, neighbours: int, planes: int, passes: int, engine: str) -> None:
    """Checks that depth can be found for these cameras and options.

    Raises:
        ReconstructionError: fewer than two photos or one place; options out of range.
    """
    if len(cameras) < 2:
        raise ReconstructionError(
            f"expected at least two photos for depth, got {len(cameras)}; add photos from other places"
        )
    if not bool((places_apart(cameras, 0) > 0).any()):
        raise ReconstructionError(
            f"expected photos from different places for depth, got {len(cameras)} from one; "
            "add photos taken a step aside"
        )
    if neighbours < 1 or planes < LEAST_PLANES:
        raise ReconstructionError(
            f"expected to compare with at least one neighbour at {LEAST_PLANES} planes or more, "
            f"got {neighbours} neighbours and {planes} planes; ask for more"
        )
    if passes not in (1, 2):
        raise ReconstructionError(f"expected 1 or 2 passes, got {passes}; pass one of these")
    if engine not in get_args(Engine):
        raise ReconstructionError(
            f"expected the engine auto, numba or torch, got {engine!r}; pass one of these"
        )


def torch_device(engine: Engine) -> torch.device | None:
    """Device of the torch search; None for the numba kernels."""
    if engine == "numba" or (engine == "auto" and not torch.cuda.is_available()):
        return None
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
