"""Do the pixels of two photos agree with their cameras? Matches are not asked.

Where two cameras are right, what a pixel shows is found again on its epipolar line in the other photo. Where they are wrong, that
line is as good as any other. So each pixel's best correlation along its line is compared with the best along lines that are turned
away from it about the baseline: of wrong cameras half of the comparisons are won, whatever the photos show.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip, PictureSet
from recon.depth.sweep import integer_pixel_map
from recon.sfm.judging.kernels import best_correlations

SIDE_PX = 320
"""Long side at which photos are compared: coarse enough that cameras a pixel off still agree, and that wide views look alike."""
HALF_PATCH_PX = 4
"""Patches of 9 x 9 pixels; larger ones are told apart better and survive wide baselines worse."""
PATCH_STEP_PX = 2
"""Every second pixel of a patch is compared each way: a third of the time, and the same told apart."""
PLACES = 1200
"""Pixels compared of each photo; twice as many take twice the time. What exchanged cameras win then varies by 0.01 to 0.04
(standard deviation; benchmarks/README.md)."""
LEAST_PLACES = 60
"""Compared pixels below which the share says nothing."""
PLANES = 64
"""Depths tried along an epipolar line: on most lines a step is below two pixels."""
MOST_COVERED = 300
"""Matches of a pair up to which the places around them are not asked. The wrong cameras that were looked at stood on fewer."""
TURNS_PX = (-20.0, -10.0, 10.0, 20.0)
"""How far the lines compared with lie from the true one, pixels at the distance of the focal length. Closer than a patch they would be alike."""
LEAST_CONTRAST = 0.02
"""Grey-level deviation, in [0, 1], of a patch that can be recognised: less is noise."""


@dataclass(frozen=True)
class SmallPhotos:
    """Grey photos of one size with their pinholes, and which pixels are worth comparing."""

    gray: Float[Tensor, "n h w"]
    cameras: Cameras
    textured: Bool[Tensor, "n h w"]


def shrink_photos(posed: PictureSet) -> SmallPhotos:
    """Shrink photos to the size at which they are compared, one after another."""
    cameras = posed.require_cameras().limit_size(SIDE_PX).to("cpu", torch.float64)
    gray = torch.empty(len(posed), cameras.height, cameras.width)
    textured = torch.empty(gray.shape, dtype=torch.bool)
    for i in range(len(posed)):
        gray[i], textured[i] = _shrink_photo(posed[i].limit_size(SIDE_PX).load())
    return SmallPhotos(gray, cameras, textured)


def _shrink_photo(small: Clip) -> tuple[Float[Tensor, "h w"], Bool[Tensor, "h w"]]:
    """Grey levels of one photo, and which of its pixels are worth comparing."""
    gray = small.images.mean(-1)
    side = 2 * HALF_PATCH_PX + 1
    mean = _window_mean(gray, side)
    textured = _window_mean(gray * gray, side) - mean * mean > LEAST_CONTRAST**2
    if small.confidence is not None:
        textured &= _window_mean((small.confidence > 0).float(), side) > 0.999  # the whole patch is picture
    margin = HALF_PATCH_PX + 1
    inner = torch.zeros_like(textured)
    inner[:, margin:-margin, margin:-margin] = True
    return gray[0], (textured & inner)[0]


def cover_places(
    textured: Bool[Tensor, "h w"], xy: Float[Tensor, "m 2"], scale: float
) -> Bool[Tensor, "h w"]:
    """The textured pixels away from matches that cameras came from, where these are few.

    A pair with more than `MOST_COVERED` matches needs no such care: nothing looks alike in as many places.

    Args:
        xy: pixels of the matches; `scale` leads to those of `textured`.
    """
    if not len(xy) or len(xy) > MOST_COVERED:
        return textured
    height, width = textured.shape
    covered = torch.zeros(1, height, width)
    x, y = (xy * scale).long().unbind(1)
    covered[0, y.clamp(0, height - 1), x.clamp(0, width - 1)] = 1
    side = 2 * HALF_PATCH_PX + 1
    return textured & (torch.nn.functional.max_pool2d(covered, side, stride=1, padding=HALF_PATCH_PX)[0] == 0)


def _window_mean(pictures: Float[Tensor, "n h w"], side: int) -> Float[Tensor, "n h w"]:
    mean = torch.nn.functional.avg_pool2d(pictures[:, None], side, stride=1, padding=side // 2)
    return mean[:, 0]


def draw_places(textured: Bool[Tensor, "h w"], generator: torch.Generator) -> Int[Tensor, "p 2"]:
    """Whole pixels (x, y) to compare, at random among the textured ones."""
    found = textured.nonzero().flip(1)
    return found[torch.randperm(len(found), generator=generator)[:PLACES]]


def share_won(
    photos: SmallPhotos,
    a: int,
    b: int,
    depths: Float[Tensor, "2"],
    places: Int[Tensor, "p 2"],
) -> float:
    """Share of the comparisons that the true epipolar lines win: 0.5 where cameras are wrong, 1 at best.

    NaN where fewer than `LEAST_PLACES` pixels of photo `a` can be compared: too little texture, or too little in common.

    Args:
        depths: nearest and farthest z-depth of what photo `a` sees.
        places: pixels of photo `a`.
    """
    b_from_a = photos.cameras.cam_from_world[b] @ torch.linalg.inv(photos.cameras.cam_from_world[a])
    near, far = depths.tolist()
    inverse = np.linspace(1 / far, 1 / near, PLANES)
    true = _best_along(photos, a, b, b_from_a, inverse, places)
    won, compared = 0, 0
    for turn_px in TURNS_PX:
        angle = turn_px / float(photos.cameras.K[a, 0, 0])
        other = _best_along(photos, a, b, b_from_a @ _turn_about_baseline(b_from_a, angle), inverse, places)
        both = (true > -1) & (other > -1)
        won += int((true > other)[both].sum())
        compared += int(both.sum())
    return won / compared if compared >= len(TURNS_PX) * LEAST_PLACES else math.nan


def _best_along(
    photos: SmallPhotos,
    a: int,
    b: int,
    b_from_a: Float[Tensor, "4 4"],
    inverse_depths: np.ndarray,
    places: Int[Tensor, "p 2"],
) -> np.ndarray:
    """Best correlation [p] of the pixels along their lines."""
    K_a, K_b = (photos.cameras.K[i].numpy() for i in (a, b))
    plane, shift = integer_pixel_map(K_b, b_from_a.numpy(), K_a)
    best = np.empty(len(places))
    best_correlations(
        photos.gray[a].numpy(),
        photos.gray[b].numpy(),
        places.numpy(),
        plane,
        shift,
        inverse_depths,
        HALF_PATCH_PX,
        PATCH_STEP_PX,
        LEAST_CONTRAST * (2 * HALF_PATCH_PX // PATCH_STEP_PX + 1),
        best,
    )
    return best


def _turn_about_baseline(b_from_a: Float[Tensor, "4 4"], angle_rad: float) -> Float[Tensor, "4 4"]:
    """A turn of camera a about the line to camera b, which turns every epipolar line and moves no epipole."""
    axis = -b_from_a[:3, :3].T @ b_from_a[:3, 3]
    axis = axis / axis.norm().clamp_min(1e-12)
    zero = torch.zeros((), dtype=axis.dtype)
    x, y, z = axis
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    turn = torch.eye(4, dtype=axis.dtype)
    turn[:3, :3] = torch.matrix_exp(angle_rad * cross)
    return turn
