"""Were requested cameras read as they were meant? Every reading of them, against the matches of the clip.

The figure of a reading is how far matches lie from where its cameras allow them: the distance from the epipolar line or, of points
that would lie behind a camera, from where a point at infinity is seen. So a path driven backwards, whose lines are the same, is told,
and cameras that only turn are judged as well. Only matches count that the pair's own epipolar geometry explains: they are right,
whatever the cameras.

Two things cannot be seen so. The scale of a path: epipolar lines have none, and what shows it (metres, or depth from elsewhere) a clip
alone does not have. And half a pixel of the principal point: it moves the distances by 0.02 px.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from eval.geometry.motion import STATIC_PX
from eval.geometry.pairs import MIN_MATCHES, pairs_apart
from eval.paths.match_check import MIN_RIGHT_SHARE, RIGHT_PX
from eval.paths.readings import STATED, list_readings, words_of
from eval.results.conventions import AS_STATED, CANNOT_TELL, NONE_FITS, OTHERWISE, ReadingCheck
from recon.camera_files.convention import Convention
from recon.cameras import Cameras
from recon.compute.seeds import draw_seed
from recon.sfm.matches import Matches
from recon.two_views.epipolar import fundamental, homogeneous, sampson_px
from recon.two_views.robust import fit_fundamental
from recon.world.extent import measure_extent

SHARES = (1 / 8, 1 / 4, 1 / 2)
"""Shares of the clip's length that pairs lie apart: over half a clip most readings part by tens of pixels."""
CAP_SHARE = 0.05
"""Share of the long side beyond which a pair's distance counts no more: one lost pair of 30 is not to decide."""
FIT_SHARE = 0.01
"""The same up to which a reading fits. Of paths through the built-in room that are followed to within about 1° and 3% of their length,
half have less than 0.008 and the worst 0.014. Beyond it other paths come near: a turn seen by a slide's cameras has 0.013."""
BETTER, BETTER_SHARE = 0.5, 0.0025
"""A reading fits clearly better at half of the distance, and by such a share of the long side (1 px of 400) at least. In the room no
other reading of a right request comes below 0.7 of its distance, also where it is followed to within 2° and 8% only."""
ALIKE, ALIKE_SHARE = 1.25, 0.001
"""Distances within this factor, and this share of the long side more, fit alike: noise of a figure of 30 pairs."""
MIN_PAIRS = 3
"""Of fewer pairs an accident decides."""
MIN_BASELINE = 1e-4
"""Share of a path's extent below which two cameras stand in one place; as of the epipolar metrics."""


def compare_readings(
    matches: Matches,
    requested: Cameras,
    *,
    stated: Convention = STATED,
    lens_known: bool = True,
    generator: torch.Generator,
) -> ReadingCheck:
    """Compare the matches of a clip with its requested cameras as stated, and under every other reading.

    Args:
        matches: in the pixels of `requested`.
        stated: how the matrices of the request were read.
        lens_known: False leaves out other readings of the lens, where it is a guess itself.
    """
    seed = draw_seed(generator)
    others = [one for one in list_readings(stated) if lens_known or not one.of_lens]
    every = _stack([requested, *(one.meant(requested) for one in others)])
    own, travel, misses = [], [], []
    for pair in pairs_apart(matches, SHARES):
        right = _right_matches(matches, pair, seed)
        if right is None:
            continue
        xy_a, xy_b, off = right
        own.append(off)
        travel.append(float((xy_b - xy_a).norm(dim=-1).median()))
        misses.append(every.distance_px(*matches.pairs[pair], xy_a, xy_b).median(-1).values)
    if len(misses) < MIN_PAIRS:
        return ReadingCheck(CANNOT_TELL, "too few matches between frames that are apart", pairs=len(misses))
    long = max(matches.width, matches.height)
    px = torch.stack(misses).clamp_max(CAP_SHARE * long).mean(0).tolist()
    check = ReadingCheck(
        stated_px=px[0],
        best_px=min(px),
        own_px=sum(own) / len(own),
        pairs=len(misses),
        px={one.name: value for one, value in zip(others, px[1:], strict=True)},
        convention=str(stated),
    )
    if max(travel) < STATIC_PX:
        return replace(check, fit=CANNOT_TELL, because="nothing moves")
    return _judge(check, long)


@dataclass(frozen=True)
class _Stack:
    """Cameras of r readings of n frames."""

    cam_from_world: Float[Tensor, "r n 4 4"]
    K: Float[Tensor, "r n 3 3"]
    width: int
    height: int
    extents: Float[Tensor, "r"]
    """Of each path, for what counts as one place."""

    def distance_px(
        self, a: int, b: int, xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"]
    ) -> Float[Tensor, "r m"]:
        """How far matches of frames a and b lie from where each reading allows them, px; at most the picture's diagonal.

        A point before both cameras is seen in b on the part of the epipolar line from where it is seen at infinity on. Of a
        match elsewhere on the line the distance is that from infinity, and so it is for cameras in one place.
        """
        first, second = (
            Cameras(self.cam_from_world[:, i], self.K[:, i], self.width, self.height) for i in (a, b)
        )
        b_from_a = second.cam_from_world @ first.world_from_cam
        x = homogeneous(xy_b)
        turned = second.K @ b_from_a[:, :3, :3] @ torch.linalg.inv(first.K)
        infinity = homogeneous(xy_a) @ turned.mT
        epipole = (second.K @ b_from_a[:, :3, 3:]).mT
        seen = infinity[..., :2] / infinity[..., 2:].clamp_min(1e-12)
        from_infinity = torch.where(infinity[..., 2] > 0, (seen - xy_b).norm(dim=-1), torch.inf)
        F = fundamental(first, second)
        apart = (b_from_a[:, :3, 3].norm(dim=-1) > MIN_BASELINE * self.extents)[:, None]
        from_line = sampson_px(F, xy_a, xy_b)
        # depth in a of the point on a's ray that b sees nearest to the match: x ~ depth · infinity + epipole
        across = torch.linalg.cross(x.expand_as(infinity), infinity)
        toward = torch.linalg.cross(x.expand_as(infinity), epipole.expand_as(infinity))
        depth = -(across * toward).sum(-1) / across.square().sum(-1).clamp_min(1e-300)
        before = (depth > 0) & (depth * infinity[..., 2] + epipole[..., 2] > 0)
        allowed = torch.where(before, from_line, torch.maximum(from_line, from_infinity))
        one_place = ~apart | F.isnan().any(-1).any(-1)[:, None]
        return torch.where(one_place, from_infinity, allowed).clamp_max(math.hypot(self.width, self.height))


def _stack(readings: Sequence[Cameras]) -> _Stack:
    one = readings[0]
    return _Stack(
        torch.stack([cameras.cam_from_world.double() for cameras in readings]),
        torch.stack([cameras.K.double() for cameras in readings]),
        one.width,
        one.height,
        torch.tensor([measure_extent(cameras.centers.double()) for cameras in readings], dtype=torch.float64),
    )


def _right_matches(
    matches: Matches, pair: int, seed: int
) -> tuple[Float[Tensor, "m 2"], Float[Tensor, "m 2"], float] | None:
    """Matches that the pair's own geometry explains, and their median distance from it; None where it explains few."""
    xy_a, xy_b = matches.points(pair)
    F = fit_fundamental(xy_a, xy_b, seed=seed) if len(xy_a) >= MIN_MATCHES else None
    if F is None:
        return None
    off = sampson_px(F, xy_a, xy_b)
    right = off < RIGHT_PX
    if int(right.sum()) < max(MIN_MATCHES, MIN_RIGHT_SHARE * len(xy_a)):
        return None
    return xy_a[right], xy_b[right], float(off[right].median())


def _judge(check: ReadingCheck, long: int) -> ReadingCheck:
    """Name the readings that fit, where they fit clearly better than the request as stated."""
    assert check.stated_px is not None
    assert check.best_px is not None
    stated, best = check.stated_px, check.best_px
    limit = ALIKE * best + ALIKE_SHARE * long
    alike = [name for name, px in check.px.items() if px <= limit]
    if best > FIT_SHARE * long:
        said = f"the best is {best:.1f} px off, and the frames' own geometry {check.own_px:.1f} px"
        return replace(check, fit=NONE_FITS, because=said)
    if stated <= limit:
        return replace(check, fit=AS_STATED, alike=alike)
    if best <= BETTER * stated and stated - best >= BETTER_SHARE * long:
        return replace(check, fit=OTHERWISE, named=alike)
    return replace(check, fit=CANNOT_TELL, because="another reading fits better, but not clearly")


def find_agreed(checks: Sequence[ReadingCheck]) -> list[str]:
    """Readings that more than half of the clips name that tell any; of several, those that most name."""
    told = [check for check in checks if check.fit in (AS_STATED, OTHERWISE)]
    counts = {name: sum(name in check.named for check in told) for check in told for name in check.named}
    most = max(counts.values(), default=0)
    return [name for name, n in counts.items() if n == most and 2 * n > len(told)]


def name_readings(names: Sequence[str]) -> str:
    """'they are read as world_from_cam/opencv or its pictures are mirrored', in the order given."""
    return " or ".join(words_of(name) for name in names)


def describe_check(check: ReadingCheck) -> str:
    """What a report says of a clip whose cameras fit better otherwise; '' of others."""
    if check.fit != OTHERWISE or check.stated_px is None or check.best_px is None:
        return ""
    alike = ", which look alike on this path" if len(check.named) > 1 else ""
    return (
        f"the clip fits its requested cameras clearly better if {name_readings(check.named)}{alike} "
        f"({check.best_px:.1f} px off instead of {check.stated_px:.1f} px)"
    )
