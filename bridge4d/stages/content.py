"""Compare generated frames with the photos, moved into each through their depth."""

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, normalize

from eval.judging.content import CHECKED_SIDE, ContentCheck, MovedPhoto, check_content
from recon.cameras import Cameras, backproject
from recon.clip import Clip
from recon.depth import DepthMaps
from worldgen.models.warp import WarpOptions, nearest_photos, see_each

PHOTOS = 6
"""Photos moved into a frame: each counts only where another confirms it, so more of them compare more of it."""
SURE = 0.05
"""Confidence of a moved photo from which it is asked; whether it is right, photos say among each other."""
ROUGH_SIDE, ROUGH = 7, 0.05
"""Window in pixels, and deviation of log depth in it, from which the depth is torn there and no photo is asked."""


def check_clip(clip: Clip, photos: Clip, maps: DepthMaps) -> list[ContentCheck]:
    """Of each picture what photos say of it.

    Args:
        clip: frames with the cameras with which they are used.
        photos: posed, in the same world.
        maps: depth of the photos.
    """
    small = photos.limit_size(CHECKED_SIDE)
    lifted = maps.resize(width=small.width, height=small.height)
    frames = clip.limit_size(CHECKED_SIDE)
    cameras = frames.require_cameras()
    return [
        check_content(frames.images[i], *move_photos(small, lifted, cameras[[i]])) for i in range(len(frames))
    ]


def move_photos(
    photos: Clip, maps: DepthMaps, camera: Cameras
) -> tuple[Float[Tensor, "h w 3"], list[MovedPhoto]]:
    """Rays of one camera to what its pixels show, and the photos nearest to it as it sees them."""
    posed = photos.require_cameras()
    picks = nearest_photos(posed, maps, camera, PHOTOS)
    sights = see_each(photos, maps, camera, picks, WarpOptions())
    inverse = sights[0].inverse_depth
    points = backproject(1 / inverse[None].double().clamp_min(1e-9), camera)[0]

    def rays(center: Float[Tensor, "3"]) -> Float[Tensor, "h w 3"]:
        return normalize(points - center.double(), dim=-1).float()

    whole = _find_whole(inverse)
    return rays(camera.centers[0]), [
        MovedPhoto(sight.colour, (sight.confidence > SURE) & whole, rays(posed.centers[pick]))
        for sight, pick in zip(sights, picks, strict=True)
    ]


def _find_whole(inverse: Float[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    """Where depth is not torn within a window."""
    log = inverse.clamp_min(1e-6).log()[None, None]
    mean, square = (
        avg_pool2d(x, ROUGH_SIDE, stride=1, padding=ROUGH_SIDE // 2, count_include_pad=False)
        for x in (log, log * log)
    )
    return (square - mean * mean).clamp_min(0).sqrt()[0, 0] < ROUGH
