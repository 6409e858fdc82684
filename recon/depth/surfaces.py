"""Points on the surfaces that depth maps agree on."""

import torch

from recon.cameras import backproject
from recon.clip import Clip
from recon.depth.multiview import DepthMaps
from recon.points import PointCloud

LEAST_CONFIDENCE = 0.6
"""Two photos agree (0.7, see `DepthMaps`); filled in depth stays below 0.3. From 0.8 on three have to, which few photos that lie
far apart do nowhere: benchmarks/README.md has what either costs."""


def surface_points(
    clip: Clip,
    maps: DepthMaps,
    *,
    count: int,
    generator: torch.Generator,
    least_confidence: float = LEAST_CONFIDENCE,
) -> PointCloud:
    """At most `count` coloured world points, drawn at random from the pixels whose depth is sure.

    Args:
        clip: the n posed photos that the maps belong to.
        maps: depth and confidence [n, h, w] of these photos.
        least_confidence: pixels below it give no point.
    """
    sure = (maps.confidence >= least_confidence) & (maps.depth > 0)
    where = sure.flatten().nonzero()[:, 0]
    picks = where[torch.randperm(len(where), generator=generator)[:count]]
    xyz = backproject(maps.depth.double(), clip.require_cameras()).reshape(-1, 3)[picks]
    return PointCloud(xyz, clip.images.reshape(-1, 3)[picks], torch.zeros(len(picks), dtype=torch.float64))
