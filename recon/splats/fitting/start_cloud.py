"""Points that a training starts from, such that those of some photos can be left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from recon.clip import Clip
from recon.depth import DepthMaps, surface_points
from recon.depth.surfaces import LEAST_CONFIDENCE
from recon.points import PointCloud
from recon.tracks import Tracks


@dataclass(frozen=True)
class StartCloud:
    """What n photos give a training to start from."""

    points: PointCloud
    """Of structure from motion."""
    tracks: Tracks | None
    """Which photos see these points; None: all points are taken whichever photos are left out."""
    maps: DepthMaps | None
    """Depth of the n photos; None where there is none."""
    surface_count: int
    """Most points that are drawn from the surfaces of `maps`."""
    least_confidence: float = LEAST_CONFIDENCE
    """Pixels of less confidence give no point; as of `surface_points`."""

    def draw(self, clip: Clip, photos: Sequence[int], generator: torch.Generator) -> PointCloud:
        """Points that come from the given photos of `clip` alone, the n photos at any size.

        A point of structure from motion needs two of them that see it; a surface is that of their own depth. Where this depth
        was found with a photo that is left out, it is not found again without it.
        """
        parts = [self._seen_by(photos, len(clip))]
        if self.maps is not None:
            rows = list(photos)
            maps = self.maps.resize(width=clip.width, height=clip.height)
            surfaces = surface_points(
                clip[rows],
                DepthMaps(maps.depth[rows], maps.confidence[rows]),
                count=self.surface_count,
                generator=generator,
                least_confidence=self.least_confidence,
            )
            parts.append(surfaces)
        return PointCloud.concatenate(parts)

    def _seen_by(self, photos: Sequence[int], count: int) -> PointCloud:
        if self.tracks is None:
            return self.points
        sees = torch.zeros(len(self.points), count, dtype=torch.bool)
        sees[self.tracks.point, self.tracks.image] = True
        return self.points[sees[:, list(photos)].sum(1) >= 2]
