"""Does a generated frame show what the photos show? Per region, beside the gate, which judges its pose alone.

The caller moves photos into the frame through their depth. A photo counts at a pixel where it agrees with a second one, and where both
would disagree if the depth were wrong: that rules errors of depth out. A region is contradicted where the frame differs there from every
photo that counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import avg_pool2d, max_pool2d

CHECKED_SIDE = 320
"""Long side in pixels at which frames are compared, and at which all lengths here are meant."""
MOST_ANGLE_DEG = 12.0
"""Between the rays of frame and photo. This and what follows were chosen on procedural places with planted faults
(`benchmarks/content_faults.py`): from farther aside most regions were contradicted by wrong depth alone."""
MOST_RATIO = 0.5
"""Angle between frame and photo over that between the two photos: an error of depth that they do not notice moves the frame's pixel by
less than half of what it moves theirs."""
AGREE_SIDE, AGREE = 9, 0.05
"""Window in pixels, and mean difference of colours in [0, 1] in it, up to which two photos agree: noise and compression leave 0.03."""
SHIFTS, SENSITIVE = ((0, 4), (0, -4), (4, 0), (-4, 0)), 0.02
"""Pixels by which one photo is shifted, and by how much more both must then differ. In a plain area they would agree at any depth."""
DIFFERS = 0.05
"""Difference of colours in [0, 1], beyond all within a pixel, from which a pixel differs."""
SOLID_SIDE, SOLID = 5, 0.4
"""Window in pixels, and share of its compared pixels that must differ: single ones are noise, or depth at an edge."""
LEAST_REGION = 0.001
"""Share of the frame from which a region counts."""
LEAST_COMPARED = 0.1
"""Share of the frame that must be compared, else nothing is said: where photos confirm little of their depth, what they do confirm is wrong
more often."""
LEAST_GAIN = 0.5
"""Least contrast of a frame over that of a photo, and the inverse of the most, that exposure explains: a stop. Else a negative, or a frame
of one colour, would pass as a photo taken otherwise."""
EXPOSURE_ROUNDS, EXPOSURE_KEPT = 4, 0.7
"""Fits of a photo's exposure to the frame, and share of the pixels each keeps for the next: what differs must not bend it."""


@dataclass(frozen=True)
class MovedPhoto:
    """A photo as the frame's camera would see it."""

    picture: Float[Tensor, "h w 3"]
    """sRGB in [0, 1]."""
    seen: Bool[Tensor, "h w"]
    """Where it shows something for certain."""
    rays: Float[Tensor, "h w 3"]
    """Unit vectors from the photo's centre to what each pixel shows, in the world."""


@dataclass(frozen=True)
class ContentCheck:
    """What photos say of one frame."""

    compared: Bool[Tensor, "h w"]
    """Where a photo counts."""
    contradicted: Bool[Tensor, "h w"]
    """Where the frame differs from all that count; regions of `LEAST_REGION` and more, none where `share` is None."""

    @property
    def share(self) -> float | None:
        """Contradicted over compared pixels; None where less than `LEAST_COMPARED` of the frame was compared."""
        if float(self.compared.float().mean()) < LEAST_COMPARED:
            return None
        return int(self.contradicted.sum()) / int(self.compared.sum())


def check_content(
    frame: Float[Tensor, "h w 3"], rays: Float[Tensor, "h w 3"], moved: Sequence[MovedPhoto]
) -> ContentCheck:
    """Compare a frame with photos that were moved into it.

    Args:
        frame: sRGB in [0, 1], with a long side of about `CHECKED_SIDE`.
        rays: unit vectors from the frame's centre to what each pixel shows, in the world.
        moved: photos; with fewer than two nothing is compared.
    """
    moved = [photo for photo in moved if bool(photo.seen.any())]
    pictures = [_match_exposure(photo, frame) for photo in moved]
    counts = _find_counting(rays, moved, pictures)
    least = torch.full(frame.shape[:2], torch.inf)
    for photo, picture, counting in zip(moved, pictures, counts, strict=True):
        differs = torch.maximum(
            _beyond(frame, picture, photo.seen), _beyond(picture, frame, torch.ones_like(photo.seen))
        )
        least = torch.where(counting, torch.minimum(least, differs), least)
    compared = least.isfinite()
    if float(compared.float().mean()) < LEAST_COMPARED:
        return ContentCheck(compared, torch.zeros_like(compared))
    wrong = compared & (least > DIFFERS)
    share = _mean(wrong.float(), SOLID_SIDE) / _mean(compared.float(), SOLID_SIDE).clamp_min(1e-6)
    return ContentCheck(compared, _drop_small(compared & (share >= SOLID)))


def find_regions(mask: Bool[Tensor, "h w"]) -> list[Bool[Tensor, "h w"]]:
    """Connected regions of a mask that take at least `LEAST_REGION` of it."""
    import cv2

    n, labels, stats, _ = cv2.connectedComponentsWithStats(mask.byte().numpy())
    least = LEAST_REGION * mask.numel()
    return [torch.from_numpy(labels == i) for i in range(1, n) if stats[i, cv2.CC_STAT_AREA] >= least]


def _drop_small(mask: Bool[Tensor, "h w"]) -> Bool[Tensor, "h w"]:
    regions = find_regions(mask)
    return torch.stack(regions).any(0) if regions else torch.zeros_like(mask)


def _find_counting(
    rays: Float[Tensor, "h w 3"], moved: Sequence[MovedPhoto], pictures: Sequence[Float[Tensor, "h w 3"]]
) -> list[Bool[Tensor, "h w"]]:
    """Of each photo where it counts: near enough to the frame, confirmed by another one, and not so at any depth."""
    counts = [torch.zeros_like(photo.seen) for photo in moved]
    angles = [_angles_deg(rays, photo.rays) for photo in moved]
    for i, j in combinations(range(len(moved)), 2):
        apart = MOST_RATIO * _angles_deg(moved[i].rays, moved[j].rays)
        near = {k: (angles[k] <= MOST_ANGLE_DEG) & (angles[k] <= apart) for k in (i, j)}
        both = moved[i].seen & moved[j].seen
        if not bool((both & (near[i] | near[j])).any()):
            continue
        agreed = _mean_difference(pictures[i], pictures[j], both)
        shifted = [
            _mean_difference(
                pictures[i].roll(step, (0, 1)), pictures[j], both & moved[i].seen.roll(step, (0, 1))
            )
            for step in SHIFTS
        ]
        confirmed = both & (agreed < AGREE) & (torch.stack(shifted).amin(0) > agreed + SENSITIVE)
        for k in (i, j):
            counts[k] |= confirmed & near[k]
    return counts


def _mean_difference(
    a: Float[Tensor, "h w 3"], b: Float[Tensor, "h w 3"], where: Bool[Tensor, "h w"]
) -> Float[Tensor, "h w"]:
    """Mean over windows of the largest difference of a channel; infinite where less than half of a window is known."""
    known = _mean(where.float(), AGREE_SIDE)
    mean = _mean((a - b).abs().amax(-1) * where, AGREE_SIDE) / known.clamp_min(1e-6)
    return torch.where(known >= 0.5, mean, torch.inf)


def _beyond(
    a: Float[Tensor, "h w 3"], b: Float[Tensor, "h w 3"], known: Bool[Tensor, "h w"]
) -> Float[Tensor, "h w"]:
    """How far a colour lies outside of all that `b` shows within a pixel, at least 0: a shift of a pixel costs nothing."""
    high = _most(torch.where(known[..., None], b, -torch.inf))
    low = -_most(torch.where(known[..., None], -b, -torch.inf))
    return torch.maximum(a - high, low - a).amax(-1).clamp_min(0)


def _match_exposure(photo: MovedPhoto, frame: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """The photo with each channel scaled and shifted so that most of it fits the frame."""
    out = torch.empty_like(photo.picture)
    for c in range(3):
        x, y = photo.picture[..., c][photo.seen].double(), frame[..., c][photo.seen].double()
        kept = torch.ones_like(x, dtype=torch.bool)
        gain, shift = 1.0, 0.0
        for _ in range(EXPOSURE_ROUNDS):
            # towards no change, by a thousandth, for a photo of one colour has no gain
            lean = 1e-3 * int(kept.sum())
            a = torch.stack([x[kept], torch.ones_like(x[kept])], 1)
            normal = a.T @ a + lean * torch.eye(2, dtype=a.dtype)
            gain, shift = torch.linalg.solve(
                normal, a.T @ y[kept] + lean * torch.tensor([1.0, 0.0], dtype=a.dtype)
            ).tolist()
            if not LEAST_GAIN <= gain <= 1 / LEAST_GAIN:
                gain = min(max(gain, LEAST_GAIN), 1 / LEAST_GAIN)
                shift = float((y[kept] - gain * x[kept]).mean())
            off = (y - gain * x - shift).abs()
            kept = off <= off.kthvalue(max(1, round(EXPOSURE_KEPT * len(off)))).values
        out[..., c] = gain * photo.picture[..., c] + shift
    return out


def _angles_deg(a: Float[Tensor, "h w 3"], b: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w"]:
    """Between unit vectors; by their distance, which is exact for small angles."""
    return torch.rad2deg(2 * torch.arcsin(((a - b).norm(dim=-1) / 2).clamp(0, 1)))


def _mean(x: Float[Tensor, "h w"], side: int) -> Float[Tensor, "h w"]:
    """Over windows; at the border over the part inside."""
    x = x[None, None]
    for window, pad in (((side, 1), (side // 2, 0)), ((1, side), (0, side // 2))):
        x = avg_pool2d(x, window, stride=1, padding=pad, count_include_pad=False)
    return x[0, 0]


def _most(x: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
    """Largest within a pixel, by channel."""
    rows = max_pool2d(x.permute(2, 0, 1)[None], (3, 1), stride=1, padding=(1, 0))
    return max_pool2d(rows, (1, 3), stride=1, padding=(0, 1))[0].permute(1, 2, 0)
