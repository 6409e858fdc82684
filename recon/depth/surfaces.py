"""Points on the surfaces that depth maps agree on."""

import torch
from jaxtyping import Bool, Float, Int32
from torch import Tensor

from recon.cameras import backproject
from recon.clip import PictureSet
from recon.depth.multiview import DepthMaps
from recon.points import PointCloud

LEAST_CONFIDENCE, SURE = 0.6, 0.8
"""Two photos agree (0.7, see `DepthMaps`), filled in depth stays below 0.3; three agree (1). Where few photos lie far apart
three agree nowhere: benchmarks/README.md has what either costs."""
NEAR_SHARE = 1 / 80
"""Of the long side: a pixel on which two photos agree gives no point where three agree so near, because two also agree by chance on
plain surfaces and beside edges. Four times as much made no difference on the one capture on which it was tried."""


def surface_points(
    clip: PictureSet,
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
    n = len(maps.depth)
    rows = [_find_sure(maps.depth[i], maps.confidence[i], least_confidence) for i in range(n)]
    ends = torch.tensor([len(part) for part in rows], dtype=torch.long).cumsum(0)
    total = int(ends[-1]) if n else 0
    picks = torch.randperm(total, generator=generator)[:count].clone()
    image = torch.searchsorted(ends, picks, right=True)
    xyz = torch.empty(len(picks), 3, dtype=torch.float64)
    rgb = torch.empty(len(picks), 3)
    cameras = clip.require_cameras()
    for i in image.unique().tolist():
        here = (image == i).nonzero()[:, 0]
        pixel = rows[i][picks[here] - (ends[i] - len(rows[i]))].long()
        xyz[here] = backproject(maps.depth[i : i + 1].double(), cameras[i]).reshape(-1, 3)[pixel]
        rgb[here] = clip.images[i].reshape(-1, 3)[pixel]
    return PointCloud(xyz, rgb, torch.zeros(len(picks), dtype=torch.float64))


def _find_sure(
    depth: Float[Tensor, "h w"], confidence: Float[Tensor, "h w"], least_confidence: float
) -> Int32[Tensor, "_"]:
    """Numbers of the pixels of a photo whose depth is sure; of hundreds of photos they are many, so they are short."""
    sure = (confidence >= least_confidence) & ~_is_doubtful(confidence[None])[0] & (depth > 0)
    return sure.flatten().nonzero()[:, 0].int()


def _is_doubtful(confidence: Float[Tensor, "n h w"]) -> Bool[Tensor, "n h w"]:
    """Mask of the pixels that are not sure and lie near one that is."""
    sure = confidence >= SURE
    reach = max(1, round(max(confidence.shape[1:]) * NEAR_SHARE))
    near = torch.nn.functional.max_pool2d(sure.float()[:, None], 2 * reach + 1, stride=1, padding=reach)[:, 0]
    return (near > 0) & ~sure
