"""What moves in a clip, and what the clip is worth without it."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.measuring.clip_figures import (
    consistency_figures,
    error_values,
    raw_pinholes,
    to_values,
    undistort_matches,
)
from bridge4d.measuring.clip_judgement import ClipJudgement, judge_path
from bridge4d.measuring.clip_recovery import Recovering, SiftedRecovery
from bridge4d.measuring.measure_options import MeasureOptions
from eval.geometry.motion import MotionKind
from eval.geometry.pairs import MIN_MATCHES
from eval.results.measure import ASTRAY, TORN, StillPart, Verdict
from recon.cameras import Cameras
from recon.clips.read import ReadClip
from recon.compute.seeds import draw_seed
from recon.compute.timing import add_elapsed
from recon.moving import MovingMasks, find_movers_blind, find_movers_recovered
from recon.moving.confirm import confirm_movers
from recon.moving.masks import MIN_FRAMES
from recon.sfm.matches import Matches
from recon.two_views.epipolar import fundamental, sampson_px
from recon.two_views.robust import fit_fundamental, fit_homography, transfer

LONG_SIDE_PX = 320
"""Long side of the pictures in which movers are looked for: that of the films that the masks are measured on."""
LEAST_SHARE = 0.01
"""Share of the pictures from which something counts as moving: of real clips of empty rooms less does so wrongly."""
MOST_SHARE = 0.6
"""Share up to which what is left is a clip: beyond it, its torn parts could count as moving and the rest pass for a scene."""
LEAST_SIDE_PX = 24
"""Short side of these pictures; dense flow needs so much."""
MOST_OF_LIMIT = 0.25
"""Share of a clip's time limit after which movers are not looked for: a clip that was measured in time must not be given up for them, and
all of it together took at most twice as long as measuring before."""
TOO_FEW = f"fewer than {MIN_FRAMES} frames"
"""Why it cannot be told what moves in a clip; likewise the next ones."""
TOO_SMALL = f"a side of less than {LEAST_SIDE_PX} px of {LONG_SIDE_PX}"
NO_TIME = "measuring took too much of the time for a clip"
ALL_MOVES = f"more than {MOST_SHARE:.0%} of the pictures move"
"""Why a clip is not judged without what moves."""


@dataclass(frozen=True)
class WithoutMovers:
    """A clip without what moves in it, beside which the whole clip counts."""

    still: StillPart = field(default_factory=StillPart)
    masks: MovingMasks | None = None
    """In the pixels of the clip; None where nothing moves, or it could not be told."""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    """Of every rule; empty where nothing moves."""
    misled: bool = False
    """Whether the whole clip is not recovered, or wrong, and this is not."""


def judge_without_movers(
    sifted: SiftedRecovery,
    judged: ClipJudgement,
    read: ReadClip,
    options: MeasureOptions,
    *,
    generator: torch.Generator,
    seconds: dict[str, float],
) -> WithoutMovers:
    """Find what moves, and recover and judge the clip once more without the features on it.

    Nothing here can harm the figures that count: what goes wrong, and too little time, are reasons why there is nothing beside them.

    Args:
        judged: what was found of the whole clip.
        seconds: has the wall time of each part so far, and takes that of these.
    """
    clip = read.clip
    if len(clip) < MIN_FRAMES:
        return WithoutMovers(StillPart(undefined_because=TOO_FEW))
    small = LONG_SIDE_PX / max(clip.width, clip.height, LONG_SIDE_PX)
    if min(clip.width, clip.height) * small < LEAST_SIDE_PX:
        return WithoutMovers(StillPart(undefined_because=TOO_SMALL))
    if sum(seconds.values()) > MOST_OF_LIMIT * options.seconds_limit:
        return WithoutMovers(StillPart(undefined_because=NO_TIME))
    try:
        return _judge(sifted, judged, read, options, generator, seconds)
    except Exception as error:  # the clip's own figures stand already
        return WithoutMovers(StillPart(undefined_because=f"looking for what moves failed: {error}"))


def _judge(
    sifted: SiftedRecovery,
    judged: ClipJudgement,
    read: ReadClip,
    options: MeasureOptions,
    generator: torch.Generator,
    seconds: dict[str, float],
) -> WithoutMovers:
    with add_elapsed(seconds, "what moves"):
        masks = _find_movers(sifted, read, generator)
    share = float(masks.share.mean())
    if share < LEAST_SHARE:
        return WithoutMovers(StillPart(moving_share=share))
    if share > MOST_SHARE:
        return WithoutMovers(StillPart(moving_share=share, undefined_because=ALL_MOVES), masks)
    recoverer = sifted.counted.recoverer.hide(masks.moving, "still")
    counted = Recovering(options, recoverer.folder, seconds).judge(recoverer, read, generator)
    found = judge_path(replace(sifted, counted=counted, variants={}), read.clip.cameras, generator=generator)
    figures = {}
    if options.metrics != "none":
        with add_elapsed(seconds, "consistency"):
            figures = consistency_figures(
                counted.matches, counted.motion, counted.recovery, found.recovered, read, generator
            )
    still = StillPart(
        moving_share=share,
        registered=int(counted.recovery.registered.sum()),
        recovered=found.recovered,
        errors=error_values(counted.recovery, found.recovered, read.clip.cameras, found.check),
        consistency=to_values(figures),
    )
    misled = _is_wrong(judged) and not _is_wrong(found) and not found.check.untold
    return WithoutMovers(still, masks, counted.verdicts, misled)


def _is_wrong(judged: ClipJudgement) -> bool:
    return not judged.recovered or bool({ASTRAY, TORN} & set(judged.causes))


def _find_movers(sifted: SiftedRecovery, read: ReadClip, generator: torch.Generator) -> MovingMasks:
    """Masks by the recovered cameras, or without any where these are not all there or tell nothing about depth."""
    counted, clip = sifted.counted, read.clip
    small = clip.limit_size(LONG_SIDE_PX)
    seed = draw_seed(generator)
    stands = counted.motion.kind in (MotionKind.STATIC, MotionKind.ROTATION_ONLY)
    posed = bool(counted.recovery.registered.all()) and not stands
    if posed:
        found = find_movers_recovered(small, counted.recovery)
    else:
        found = find_movers_blind(small, generator=generator)
    found = found.resize(width=clip.width, height=clip.height)
    if sifted.overlay is not None:  # it stands before the picture, and moves against it
        found = replace(found, moving=found.moving & ~sifted.overlay)
    if posed:
        straight, cameras = (
            undistort_matches(counted.matches, counted.recovery),
            raw_pinholes(counted.recovery),
        )
        as_taken = replace(straight, keypoints=counted.matches.keypoints)
        return confirm_movers(found, as_taken, lambda number: _off_cameras(straight, cameras, number))
    return confirm_movers(
        found, counted.matches, lambda number: _off_fit(counted.matches, number, planar=stands, seed=seed)
    )


def _off_cameras(matches: Matches, cameras: Cameras, number: int) -> Float[Tensor, "m"]:
    """Pixels that the matches of a pair are off the epipolar lines of cameras."""
    a, b = matches.pairs[number]
    return sampson_px(fundamental(cameras[[a]], cameras[[b]])[0], *matches.points(number))


def _off_fit(matches: Matches, number: int, *, planar: bool, seed: int) -> Float[Tensor, "m"]:
    """The same of what most matches of the pair agree on: a homography, or epipolar lines."""
    xy_a, xy_b = matches.points(number)
    unknown = torch.full((len(xy_a),), torch.nan, dtype=torch.float64)
    if len(xy_a) < MIN_MATCHES:
        return unknown
    if planar:
        H = fit_homography(xy_a, xy_b, seed=seed)
        return unknown if H is None else (transfer(H, xy_a) - xy_b).norm(dim=1)
    F = fit_fundamental(xy_a, xy_b, seed=seed)
    return unknown if F is None else sampson_px(F, xy_a, xy_b)
