"""The depth search with the network in place of the edge-aware completion."""

import numpy as np

from recon.depth.complete import find_confirmed
from recon.depth.learned.inputs import SweptPhoto, describe_photo, draw_points, plane_parallax_px
from recon.depth.search import DepthSearch, sweep_costs


class LearnedSearch(DepthSearch):
    """The search as it is, with what the network is told of it."""

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
