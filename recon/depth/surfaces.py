"""Points on the surfaces that depth maps agree on."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.cameras import backproject
from recon.clip import Clip
from recon.depth.multiview import DepthMaps
from recon.points import PointCloud

LEAST_CONFIDENCE, SURE = 0.6, 0.8
"""Two photos agree (0.7, see `DepthMaps`), filled in depth stays below 0.3; three agree (1). Where few photos lie far apart
three agree nowhere: benchmarks/README.md has what either costs."""
NEAR_SHARE = 1 / 80
"""Of the long side: a pixel on which two photos agree gives no point where three agree so near, because two also agree by chance on
plain surfaces and beside edges. Four times as much made no difference on the one capture on which it was tried."""


def surface_points(
    clip: Clip,
    maps: DepthMaps,
    *,
    count: int,
    generator: torch.Generator,
    least_confidence: float = LEAST_CONFIDENCE,
) -> PointCloud:
    """At most `count` coloured world points, drawn at random from the pixels whose depth is sure.

    Pixels on which three photos agree are sure, and those on which two agree with none of these near.

    Args:
        clip: the n posed photos that the maps belong to.
        maps: depth and confidence [n, h, w] of these photos.
        least_confidence: pixels below it give no point.
    """
    sure = (maps.confidence >= least_confidence) & ~_is_doubtful(maps.confidence) & (maps.depth > 0)
    where = sure.flatten().nonzero()[:, 0]
    picks = where[torch.randperm(len(where), generator=generator)[:count]]
    xyz = backproject(maps.depth.double(), clip.require_cameras()).reshape(-1, 3)[picks]
    return PointCloud(xyz, clip.images.reshape(-1, 3)[picks], torch.zeros(len(picks), dtype=torch.float64))


def _is_doubtful(confidence: Float[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Mask of the pixels that are not sure and lie near one that is."""
    sure = confidence >= SURE
    reach = max(1, round(max(confidence.shape[1:]) * NEAR_SHARE))
    near = torch.nn.functional.max_pool2d(sure.float()[:, None], 2 * reach + 1, stride=1, padding=reach)[:, 0]
    return (near > 0) & ~sure
