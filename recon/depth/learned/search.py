"""The depth search with the network in place of the edge-aware completion."""

from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import torch

from recon.clip import PictureSet
from recon.compute.progress import track
from recon.depth.aggregate import sweep_costs
from recon.depth.complete import complete_from_guess, find_confirmed
from recon.depth.learned.guess import DepthGuess, guess_depth
from recon.depth.learned.inputs import PLANES, SweptPhoto, describe_photo, draw_points, plane_parallax_px
from recon.depth.learned.weights import DepthWeights
from recon.depth.maps import DepthMaps
from recon.depth.search import FIRST, DepthSearch, Engine
from recon.errors import ReconstructionError
from recon.points import PointCloud

SURFACE = 0.01
"""Relative change of a guess from pixel to pixel below which it is the slope of a surface; above, an edge."""


class LearnedSearch(DepthSearch):
    """The search as it is; where no other photo confirms its depth, the network says what it takes it to be.

    Args:
        weights: of the network; `describe` needs none.
    """

    def __init__(
        self,
        clip: PictureSet,
        *,
        points: PointCloud | None = None,
        neighbours: int = 4,
        planes: int = PLANES,
        passes: Literal[1, 2] = 1,
        engine: Engine = "auto",
        weights: DepthWeights | None = None,
    ) -> None:
        if planes != PLANES:
            raise ReconstructionError(
                f"expected {PLANES} planes, which the depth network was trained with, got {planes}; leave planes away"
            )
        super().__init__(
            clip, points=points, neighbours=neighbours, planes=planes, passes=passes, engine=engine
        )
        self.weights = weights
        self.guesses: list[DepthGuess] = []
        self.rematched: list[np.ndarray] = []

    def describe(self, i: int) -> SweptPhoto:
        """What the depth network is told of photo i, once all photos are searched."""
        import cv2

        inverse_depths = self.inverse_depths(i)
        gray, others = self.half_grays[i], self.neighbours[i]
        h, w = gray.shape

        def half(x: np.ndarray) -> np.ndarray:
            """Half of the size, at the nearest pixel."""
            return cv2.resize(x, (w, h), interpolation=cv2.INTER_NEAREST)

        lenses = self.half_K[i], [self.half_K[j] for j in others], [self.other_from_ref(j, i) for j in others]
        swept, cost, total = sweep_costs(gray, [self.half_grays[j] for j in others], *lenses, inverse_depths)
        refined, mismatch, agreeing = self.compare(i)
        confirmed = agreeing * find_confirmed(refined, agreeing)
        return describe_photo(
            cost, total, cv2.resize(self.image(i), (w, h), interpolation=cv2.INTER_AREA), swept, inverse_depths,
            half(refined), half(mismatch), half(confirmed.astype(np.float32)),
            points=draw_points(self.half_cameras[i], self.points), neighbours=len(others),
            plane_px=plane_parallax_px(*lenses, inverse_depths, (w / 2, h / 2)),
        )  # fmt: skip

    def guess(self, i: int) -> DepthGuess:
        """What the network says of photo i, at the size of the photo."""
        import cv2

        assert self.weights is not None
        inverse_depths = self.inverse_depths(i)
        ends = float(inverse_depths[0]), float(inverse_depths[-1])
        found = guess_depth(self.weights, self.describe(i), *ends)
        h, w = self.grays[i].shape
        # between pixels on one surface, at the nearest one across an edge of depth
        smooth, nearest = (
            cv2.resize(found.inverse, (w, h), interpolation=how)
            for how in (cv2.INTER_LINEAR, cv2.INTER_NEAREST)
        )
        inverse = np.where(np.abs(smooth / nearest - 1) < 0.03, smooth, nearest)
        return DepthGuess(inverse, cv2.resize(found.chance, (w, h), interpolation=cv2.INTER_LINEAR))

    def complete(self) -> DepthMaps:
        """Depth of all photos; where none confirms it, that which photos confirm near the guess, and else the guess."""
        self.search_all()
        n = len(self.grays)
        with ThreadPoolExecutor(max_workers=torch.get_num_threads()) as pool:
            self.guesses = list(track(pool.map(self.guess, range(n)), "depth guessed", n))
            self.rematched = list(track(pool.map(self.rematch, range(n)), "guesses compared", n))
        return super().complete()

    def rematch(self, i: int) -> np.ndarray:
        """Planes of photo i: those found where photos agree, and elsewhere the guess after slanted windows improved it."""
        inverse, _, agreeing = self.compare(i)
        sure = find_confirmed(inverse, agreeing)
        start = np.where(sure, inverse, self.guesses[i].inverse).astype(np.float32)
        planes = np.zeros((*start.shape, 3))
        planes[..., 0] = start
        for axis in (1, 2):
            slope = np.gradient(self.guesses[i].inverse, axis=2 - axis)
            planes[..., axis] = np.where(np.abs(slope) < SURFACE * start, slope, 0)
        planes, _ = self.refine(i, planes, start, FIRST)
        return self._keep(
            np.where(sure[..., None], self.planes_of[i], planes[..., : self.planes_of[i].shape[2]])
        )

    def finish(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Dense inverse depth and confidence, both [h, w]; confirmed near a guess, depth is still called filled in."""
        inverse, _, agreeing = self.compare(i)
        again, _, agreeing_again = self.compare(i, self.rematched)
        guess = self.guesses[i]
        filled = np.where(find_confirmed(again, agreeing_again), again, guess.inverse)
        dense, confidence = complete_from_guess(inverse, agreeing, filled, guess.chance)
        return dense, self.distrust_padding(i, confidence)
