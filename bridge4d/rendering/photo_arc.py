"""The arc of the photos around what they look at."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import normalize

from bridge4d.scenes import LoadedScene
from bridge4d.viewpoints import up_of, viewpoint_of
from recon.cameras import Cameras
from recon.splats.start import focus_point

LOOKS_AT_DEG = 45.0
"""Largest angle from a photo's axis of what it looks at: the corner of a wide lens's picture."""
INWARDS_SHARE = 0.8
"""Least share of photos that look at the point nearest to their axes, for that point to be what all look at."""
INWARDS_NEAREST, INWARDS_FARTHEST = 0.25, 2.0
"""Range of that point's distance, as a multiple of the distance to what the middle photo sees: axes of photos that all
look one way meet anywhere, far behind the scene or right before it."""
STEEP = 0.3
"""Ratio of the distance from the axis to the distance from the target, below which photos look along the axis (17° from
it) and azimuths mean nothing."""
LEAST_BLUR_DEG = 3.0
"""Least standard deviation in azimuth of the averages of distance and height: a shaking hand makes no bumps."""


@dataclass(frozen=True)
class PhotoArc:
    """Photos in cylinder coordinates about an axis through what they look at; float64, units of the scene."""

    lens: Cameras
    """One camera: the photo nearest to all others."""
    target: Float[Tensor, "3"]
    """What the photos look at."""
    up: Float[Tensor, "3"]
    """Unit vector of the axis."""
    north: Float[Tensor, "3"]
    """Unit vector at right angles to `up`, where azimuth 0 is."""
    azimuths_rad: Float[Tensor, "n"]
    """One for each photo that looks at the target."""
    radii: Float[Tensor, "n"]
    """Distances from the axis."""
    heights: Float[Tensor, "n"]
    """Along the axis, from the target."""
    gap_rad: float
    """The widest angle without a photo."""
    middle_rad: float
    """Azimuth opposite the middle of that gap."""
    blur_rad: float
    """Standard deviation in azimuth of the averages of distances and heights."""

    @property
    def arc_rad(self) -> float:
        """Angle from the first photo to the last."""
        return 2 * math.pi - self.gap_rad

    def average_nearby(
        self, values: Float[Tensor, "n"], azimuths_rad: Float[Tensor, "m"]
    ) -> Float[Tensor, "m"]:
        """Average a value of the photos at azimuths, weighted by a Gaussian of their distance in azimuth."""
        apart = azimuths_rad[:, None] - self.azimuths_rad
        apart = torch.atan2(apart.sin(), apart.cos())
        # a softmax, because far from all photos plain weights would vanish together
        return torch.softmax(-0.5 * (apart / self.blur_rad).square(), dim=1) @ values


def photo_arc(scene: LoadedScene, photos: Cameras) -> PhotoArc:
    """Place photos in cylinder coordinates around the point that they look at.

    That is where their axes meet if they look inwards, else what the photo in the middle sees.

    Args:
        scene: tells how far away things are.
        photos: at least one camera.
    """
    photos = photos.to(dtype=torch.float64)
    middle = middle_photo(photos)
    target = _find_target(scene, photos, middle)
    looks = _look_at(photos, target)
    looks[middle] = True
    offsets = photos.centers[looks] - target
    own_up = -photos.cam_from_world[middle, 1, :3]
    up = up_of(scene)
    if _steepness(offsets, up) < STEEP:
        up = own_up
    heights = offsets @ up
    level = offsets - heights[:, None] * up
    north = level.mean(0) if float(level.mean(0).norm()) > 1e-9 else level[0]
    north = normalize(north, dim=0)
    azimuths = torch.atan2(level @ torch.linalg.cross(up, north), level @ north)
    gap, middle_rad, largest_step = _find_gaps(azimuths)
    blur = max(largest_step / 2, math.radians(LEAST_BLUR_DEG))  # so that midway two photos count alike
    return PhotoArc(
        photos[middle], target, up, north, azimuths, level.norm(dim=-1), heights, gap, middle_rad, blur
    )


def middle_photo(photos: Cameras) -> int:
    """Index of the photo nearest to all others in place and direction."""
    return int(
        view_distances(photos, float(torch.pdist(photos.centers.double()).mean().nan_to_num(1.0)))
        .sum(1)
        .argmin()
    )


def view_distances(photos: Cameras, distance: float) -> Float[Tensor, "n n"]:
    """Distances between views as an eye feels them: radians of turn, plus movement over `distance` to the subject."""
    centers, forward = photos.centers.double(), photos.forward.double()
    cosines = (forward @ forward.T).clamp(-1, 1)
    return torch.cdist(centers, centers) / max(distance, 1e-9) + torch.acos(cosines)


def _find_target(scene: LoadedScene, photos: Cameras, middle: int) -> Float[Tensor, "3"]:
    """Where the axes of the photos meet, or else what the photo in the middle sees."""
    seen = torch.tensor(viewpoint_of(photos[middle], scene).target, dtype=torch.float64)
    distance = float((seen - photos.centers[middle]).norm())
    point = focus_point(photos)
    ahead = ((point - photos.centers) * photos.forward).sum(-1)
    typical = float(ahead.median())
    inwards = float(_look_at(photos, point).double().mean()) >= INWARDS_SHARE
    if inwards and INWARDS_NEAREST * distance < typical < INWARDS_FARTHEST * distance:
        return point
    return seen


def _look_at(photos: Cameras, point: Float[Tensor, "3"]) -> Bool[Tensor, "n"]:
    """Which photos look at a point, whether or not their picture holds it."""
    towards = normalize(point - photos.centers, dim=-1)
    return (towards * photos.forward).sum(-1) > math.cos(math.radians(LOOKS_AT_DEG))


def _steepness(offsets: Float[Tensor, "n 3"], up: Float[Tensor, "3"]) -> float:
    """Median distance from the axis over distance from the target."""
    level = offsets - (offsets @ up)[:, None] * up
    return float((level.norm(dim=-1) / offsets.norm(dim=-1).clamp_min(1e-12)).median())


def _find_gaps(azimuths_rad: Float[Tensor, "n"]) -> tuple[float, float, float]:
    """The widest gap on the circle, the azimuth opposite its middle, and the widest of the other gaps."""
    order = azimuths_rad.sort().values
    steps = torch.cat([order[1:], order[:1] + 2 * math.pi]) - order
    widest = int(steps.argmax())
    gap = float(steps[widest])
    others = torch.cat([steps[:widest], steps[widest + 1 :]])
    return gap, float(order[widest]) + gap / 2 - math.pi, float(others.max()) if len(others) else 0.0
