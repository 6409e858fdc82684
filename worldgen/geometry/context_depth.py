"""The depth of a request's context: from parallax, or, of a single photo, from what little else there is."""

import logging

import numpy as np
import torch

from recon.cameras import Cameras, project
from recon.clip import Clip
from recon.depth import DepthMaps, multiview_depth
from recon.points import PointCloud
from worldgen.model import Request

log = logging.getLogger(__name__)

ASSUMED_TRUST = 0.1
"""Confidence of a depth that nothing speaks for."""


class ContextDepth:
    """Depth of the context, estimated once and kept while the context stays the same.

    A single photo has no parallax: what is taken for its depth depends on the targets, and is not kept.
    """

    def __init__(self) -> None:
        self._kept: tuple[Clip, DepthMaps] | None = None
        self._points: PointCloud | None = None

    def of(self, request: Request) -> DepthMaps:
        """Depth of the request's context, one photo or more: the scene's own where it is of these photos.

        Raises:
            CaptureError: a context without cameras.
            ReconstructionError: several photos, all from one place.
        """
        context, scene = request.context, request.scene
        if len(context) == 1:
            return single_view_depth(context, scene.points, request.targets)
        for known in (scene.depth, self._kept if scene.points is self._points else None):
            if known is not None and same_clip(known[0], context):
                return known[1]
        self._kept = (context, multiview_depth(context, points=scene.points))
        self._points = scene.points
        return self._kept[1]


def single_view_depth(context: Clip, points: PointCloud | None, targets: Cameras) -> DepthMaps:
    """Depth without parallax: inverse depth interpolated between SfM points, or one plane facing the photo.

    Without points the plane stands ten times as far as the farthest target is away. Confidence is 0.3 with
    points and `ASSUMED_TRUST` without.
    """
    camera = context.require_cameras()
    h, w = context.height, context.width
    if points is not None and len(points) >= 4:
        px, z = project(points.xyz.double(), camera)
        inside = (z[0] > 0) & (px[0] >= 0).all(1) & (px[0, :, 0] < w) & (px[0, :, 1] < h)
        if int(inside.sum()) >= 4:
            inverse = _interpolate_points(px[0, inside].numpy(), (1 / z[0, inside]).numpy(), w, h)
            return DepthMaps(torch.from_numpy(1 / inverse)[None].float(), torch.full((1, h, w), 0.3))
    log.warning(
        "one context photo and no points: its depth is taken as a plane facing it, and views are a guess; "
        "give a second photo, or the points of a reconstruction (points=...)"
    )
    apart = (targets.centers - camera.centers[0].to(targets.K.dtype)).norm(dim=1).max().item()
    return DepthMaps(
        torch.full((1, h, w), 10 * apart if apart > 1e-6 else 1.0), torch.full((1, h, w), ASSUMED_TRUST)
    )


def _interpolate_points(px: np.ndarray, inverse: np.ndarray, width: int, height: int) -> np.ndarray:
    """Linear between points, nearest outside their hull."""
    from scipy.interpolate import LinearNDInterpolator, NearestNDInterpolator

    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    out = LinearNDInterpolator(px, inverse)(x, y)
    return np.where(np.isnan(out), NearestNDInterpolator(px, inverse)(x, y), out)


def same_clip(a: Clip, b: Clip) -> bool:
    """Whether two posed clips hold the same pictures and cameras."""
    if a is b:
        return True
    first, second = a.require_cameras(), b.require_cameras()
    return (
        a.images.shape == b.images.shape
        and torch.equal(first.cam_from_world, second.cam_from_world)
        and torch.equal(first.K, second.K)
        and torch.equal(a.images, b.images)
    )
