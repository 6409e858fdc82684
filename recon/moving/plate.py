"""Do other frames show the same colour where a scene that stands still would have it?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from recon.moving.static_fit import StaticFit, ViewMaps

MapsFrom = Callable[[int, Sequence[int]], ViewMaps]

SURE_OFF = 4.0
"""Deviations from which the flow of a pixel is not taken for that of a still scene."""
WIDEN_PX = 5
"""Side of the square by which what is not sure is widened: flow is wrong so far from a border."""
UNSURE_WEIGHT = 0.002
"""Of the depth of what is not sure where gaps are filled: it counts only where nothing else is about."""
REACH_PX = 9
"""Side of the square in which a pixel looks for another depth: borders of depth from flow lie so far off."""
ALIKE = 0.05
"""Difference of colours, of 1, at which agreement falls to 61%: five times the noise of a good camera."""
MOST_OTHERS = 10
"""Other frames that are looked at, spread over the clip."""
NEARER = 1.1
"""Inverse depths of what covers a place in another frame are larger by so much."""
PRIOR = 0.5
"""Frames that agree by half, added to those that are looked at."""
SLACK = 0.02
"""Of the median inverse depth: differences that hide nothing where all is far."""
BETTER = 0.02
"""Agreement by which another depth must win over a pixel's own; noise makes as much."""
MASKED = 0.1
"""What a frame's say counts for where it may show a mover itself."""


@dataclass(frozen=True)
class Plate:
    """What other frames say of a scene at rest."""

    agreement: Float[np.ndarray, "h w"]
    """Weighted share of other frames that show the same colour, in [0, 1]."""
    looked: Float[np.ndarray, "h w"]
    """Sum of their weights."""
    inverse_depth: Float[np.ndarray, "h w"]
    """At which they do."""
    one_side: Float[np.ndarray, "h w"]
    """Agreement of the frames before alone or of those after alone, whichever agree more: the others may see what covers it."""

    @property
    def contradicted(self) -> Bool[np.ndarray, "h w"]:
        """Where most of those that see a place show another colour."""
        return (self.looked > 1) & (self.agreement < 0.5)


def is_unsure(fit: StaticFit) -> Bool[np.ndarray, "h w"]:
    """Where a frame may show a mover, a little too much."""
    import cv2

    found = ((fit.off > SURE_OFF) | (fit.known < 1)).astype(np.uint8)
    return cv2.dilate(found, np.ones((WIDEN_PX, WIDEN_PX), np.uint8)) > 0


def compare(
    i: int,
    fits: Sequence[StaticFit],
    pictures: Sequence[Float[np.ndarray, "h w 3"]],
    masks: Sequence[Bool[np.ndarray, "h w"]],
    maps_from: MapsFrom,
    *,
    parallax: bool,
) -> Plate:
    """Agreement of other frames with frame i at the best of a few depths: its own, and the nearest and farthest near by.

    Args:
        pictures: without noise.
        masks: where frames may show movers.
        maps_from: between a frame and others.
        parallax: False for cameras in one place, where depth plays no part.
    """
    import cv2

    fit = fits[i]
    h, w = fit.off.shape
    others = _choose_others(i, len(fits))
    maps = maps_from(i, others)
    rays = maps.rays(h, w)
    weight = (fit.known >= 2) * np.where(masks[i], UNSURE_WEIGHT, 1) / (1 + fit.off**2)
    filled = fill(fit.inverse_depth, weight.astype(np.float32))
    own = (
        np.where(masks[i], filled, fit.inverse_depth).astype(np.float32)
        if parallax
        else np.zeros_like(filled)
    )
    tried = [own]
    if parallax:
        calm = cv2.medianBlur(own, 5)
        square = np.ones((REACH_PX, REACH_PX), np.uint8)
        tried += [cv2.erode(calm, square), cv2.dilate(calm, square)]
    low, high = _range(pictures[i])
    slack = SLACK * float(np.median(filled))
    states = [np.dstack([masks[j], fits[j].inverse_depth]).astype(np.float32) for j in others]
    best: list[np.ndarray] = []
    for depth in tried:
        agreed, looked = np.zeros((2, h, w), np.float32), np.zeros((2, h, w), np.float32)
        for a, shift, j, state in zip(rays, maps.shift, others, states, strict=True):
            z = a[2] + depth * shift[2]
            u, v = (a[0] + depth * shift[0]) / z, (a[1] + depth * shift[1]) / z
            shown = cv2.remap(
                pictures[j], u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(9, 9, 9)
            )
            there = cv2.remap(state, u, v, cv2.INTER_LINEAR, borderValue=(1, 0))
            apart = np.maximum(np.maximum(low - shown, shown - high), 0).max(-1)
            counts = (shown[..., 0] < 2) * (1 - (1 - MASKED) * there[..., 0])
            if parallax:
                counts *= there[..., 1] * z < depth * NEARER + slack
            agreed[int(j > i)] += counts * np.exp(-0.5 * (apart / ALIKE) ** 2)
            looked[int(j > i)] += counts
        share = (agreed.sum(0) + PRIOR * 0.5) / (looked.sum(0) + PRIOR)
        side = ((agreed + PRIOR * 0.5) / (looked + PRIOR)).max(0)
        new = [share, looked.sum(0), depth, side, cv2.blur(share, (3, 3))]
        if best:
            better = new[-1] > best[-1] + BETTER
            new = [np.where(better, b, a) for a, b in zip(best, new, strict=True)]
        best = new
    return Plate(*best[:4])


def _choose_others(i: int, n: int) -> list[int]:
    """The frames next to a frame, and some of the others, evenly spaced."""
    others = [j for j in range(n) if j != i]
    if len(others) <= MOST_OTHERS:
        return others
    near = [j for j in others if abs(j - i) <= MOST_OTHERS // 4]
    far = [j for j in others if abs(j - i) > MOST_OTHERS // 4]
    picks = np.linspace(0, len(far) - 1, MOST_OTHERS - len(near)).round().astype(int)
    return sorted(near + [far[p] for p in picks])


def _range(
    picture: Float[np.ndarray, "h w 3"],
) -> tuple[Float[np.ndarray, "h w 3"], Float[np.ndarray, "h w 3"]]:
    """Least and greatest value within half a pixel (Birchfield, Tomasi 1998): what a small error of the depth may show."""
    ways = ((0, 1), (0, -1), (1, 0), (-1, 0))
    half = [picture, *((picture + np.roll(picture, way, (0, 1))) / 2 for way in ways)]
    return np.min(half, 0), np.max(half, 0)


def fill(values: Float[np.ndarray, "h w"], weight: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Weighted means over squares that grow until enough is known in them (pull and push, Gortler et al. 1996)."""
    import cv2

    levels = [(values * weight, weight)]
    while min(levels[-1][0].shape) >= 4:
        levels.append((cv2.pyrDown(levels[-1][0]), cv2.pyrDown(levels[-1][1])))
    top, under = levels[-1]
    out = top / np.maximum(under, 1e-9)
    for top, under in levels[-2::-1]:
        coarse = cv2.pyrUp(out, dstsize=(top.shape[1], top.shape[0]))
        share = np.minimum(4 * under, 1)
        out = share * top / np.maximum(under, 1e-9) + (1 - share) * coarse
    return out
