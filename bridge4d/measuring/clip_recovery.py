"""Recover the poses of one clip, judge them by every rule, and again without what may mislead: overlays and odd frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from bridge4d.measuring.clip_result import NO_INTRINSICS, NO_REQUEST
from bridge4d.measuring.measure_options import MeasureOptions
from eval.geometry.motion import Motion, MotionKind, classify_motion
from eval.geometry.turns import turns_as_recovery
from eval.judging.rules import PRIMARY, choose_rules, is_recovered, judge_clip, leave_unjudged
from eval.paths.check import NO_PARALLAX, asks_zoom, check_path
from eval.paths.fault import PathCheck
from eval.pictures.odd_frames import OddFrames, find_odd_frames
from eval.pictures.overlays import find_overlay
from eval.pictures.shots import find_cuts
from eval.poses import scene_extent
from eval.results.measure import FOLLOWS, TRIMMED, UNMASKED, Verdict
from recon.clips.read import ReadClip
from recon.compute.timing import add_elapsed
from recon.recovery import Recovery
from recon.sfm.matches import Matches
from recon.sfm.recipes import Recipe
from recon.sfm.recoverer import Recoverer

NOTHING_TO_TRIANGULATE = "stands or only turns, as asked: nothing to triangulate"
"""Why rules that count registered frames are not asked."""
MIN_TRIMMED = 3
"""Frames that must be left where odd ones are left out; a path of two has no shape."""


@dataclass(frozen=True)
class ClipRecovery:
    """Poses of a clip, and what every rule says of them."""

    recoverer: Recoverer
    recipe: Recipe
    """Of `recovery`, which all figures but the rules' own are taken from."""
    matches: Matches
    motion: Motion
    recovery: Recovery
    check: PathCheck
    """What is wrong with the path. Of a clip that was not recovered only why it fails nothing, if it was asked to show nothing."""
    verdicts: dict[str, Verdict]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SiftedRecovery:
    """The recovery that counts, beside those that show what an overlay or odd frames did."""

    counted: ClipRecovery
    """Of every frame, without the features of an overlay."""
    overlay: Bool[Tensor, "h w"] | None
    odd: OddFrames
    variants: dict[str, dict[str, Verdict]]
    """`UNMASKED` and `TRIMMED` -> rule -> verdict; only those that differ from what counts in what they look at."""


def recover_sifted(
    read: ReadClip,
    options: MeasureOptions,
    folder: Path,
    *,
    generator: torch.Generator,
    seconds: dict[str, float],
) -> SiftedRecovery:
    """Recover a clip without the features of an overlay, and show what the overlay, and odd frames, change.

    Every frame counts: one that is black or repeats another is a fault of the clip, while an overlay is no part of the
    place.

    Args:
        folder: of COLMAP's files, which may be removed afterwards.
        seconds: takes the wall time of each part.
    """
    recover = Recovering(options, folder, seconds)
    first = recover.match(read)
    matches = first.matches(recover.recipe(first))
    with add_elapsed(seconds, "overlays"):
        overlay = find_overlay(matches, generator=generator)
        if overlay is not None:  # it goes on across a cut
            matches = matches.drop_masked(overlay)
        odd = find_odd_frames(read.clip.images)
        odd = replace(odd, cuts=tuple(sorted({*odd.cuts, *find_cuts(matches, odd.blank)})))
    whole = recover.judge(first, read, generator)
    counted, variants = whole, {}
    if overlay is not None:
        variants[UNMASKED] = whole.verdicts
        counted = recover.judge(first.hide(overlay, "masked"), read, generator)
    kept = odd.kept(len(read.clip))
    if len(kept) < len(read.clip):
        variants[TRIMMED] = _judge_trimmed(recover, _select(read, kept), overlay, generator)
    return SiftedRecovery(counted, overlay, odd, variants)


def _judge_trimmed(
    recover: "Recovering", read: ReadClip, overlay: Bool[Tensor, "h w"] | None, generator: torch.Generator
) -> dict[str, Verdict]:
    if len(read.clip) < MIN_TRIMMED:
        nothing = leave_unjudged("too few frames without the odd ones")
        return {rule.name: nothing for rule in choose_rules(recover.options.rules)}
    return recover.judge(recover.match(read, hidden=overlay), read, generator).verdicts


def _select(read: ReadClip, frames: Sequence[int]) -> ReadClip:
    return replace(read, clip=read.clip[frames], indices=tuple(read.indices[i] for i in frames))


class Recovering:
    """Recoveries of one clip, each with COLMAP's files in a folder of its own."""

    def __init__(self, options: MeasureOptions, folder: Path, seconds: dict[str, float]) -> None:
        self.options, self.folder, self.seconds = options, folder, seconds
        self.count = 0

    def match(self, read: ReadClip, *, hidden: Bool[Tensor, "h w"] | None = None) -> Recoverer:
        """A recoverer of the clip, which matches when it is asked."""
        requested = read.clip.cameras
        K = requested.K if requested is not None and read.intrinsics_known else None
        self.count += 1
        return Recoverer(
            read.clip,
            self.folder / str(self.count),
            K=K,
            max_features=self.options.max_features,
            hidden=hidden,
            seconds=self.seconds,
        )

    def recipe(self, recoverer: Recoverer) -> Recipe:
        """The recipe of share@90, AUC, errors and consistency."""
        options, known = self.options, recoverer.K is not None
        intrinsics = options.intrinsics
        if intrinsics in ("auto", "fixed"):
            intrinsics = "fixed" if known else "shared"
        return replace(
            PRIMARY,
            features=options.features,
            pairing=options.pairing,
            intrinsics=intrinsics,
            mapper=options.mapper,
            seed=options.seed,
        )

    def judge(self, recoverer: Recoverer, read: ReadClip, generator: torch.Generator) -> ClipRecovery:
        """Recover by each rule's recipe, and judge."""
        options, requested, recipe = self.options, read.clip.cameras, self.recipe(recoverer)
        notes = []
        if options.intrinsics == "fixed" and recoverer.K is None:
            notes.append("no requested intrinsics to fix: one unknown lens instead")
        matches = recoverer.matches(recipe)
        with add_elapsed(self.seconds, "motion"):
            motion = classify_motion(matches, generator=generator)

        @cache
        def recover_checked(one: Recipe) -> tuple[Recovery, PathCheck]:
            """A recovery and what is wrong with its path, once for all rules that share its recipe."""
            recovery = recoverer.recover(one)
            return recovery, check_path(recovery, motion, requested)

        recovery, check = recover_checked(recipe)
        still = _judge_still(recovery, matches, motion, read, generator)
        if still.recovery is not None:
            recovery, check = still.recovery, check_path(still.recovery, motion, requested)
            notes.append("nothing to triangulate, as asked: rotations alone, from homographies")
        verdicts = {}
        for rule in choose_rules(options.rules):
            if rule.needs_request and requested is None:
                verdicts[rule.name] = leave_unjudged(NO_REQUEST)
            elif rule.needs_intrinsics and recoverer.K is None:
                verdicts[rule.name] = leave_unjudged(NO_INTRINSICS)
            elif still.recovery is not None and (rule.graded or rule.name == FOLLOWS):
                verdicts[rule.name] = judge_clip(rule, [(recovery, check)], requested)
            elif still.unjudged:
                verdicts[rule.name] = leave_unjudged(still.unjudged)
            else:
                trials = [recover_checked(one) for one in rule.recipes(recipe, options.trials)]
                verdicts[rule.name] = judge_clip(rule, trials, requested)
        if not is_recovered(recovery):
            check = PathCheck(untold=still.unjudged)
        return ClipRecovery(recoverer, recipe, matches, motion, recovery, check, verdicts, tuple(notes))


@dataclass(frozen=True)
class _Still:
    """How a clip is judged that was asked not to move and does not: what is registered of it, if anything, is noise."""

    recovery: Recovery | None = None
    """Its rotations, where they are known."""
    unjudged: str = ""
    """Why rules that count what is registered are not asked; '' where they are."""


def _judge_still(
    recovery: Recovery, matches: Matches, motion: Motion, read: ReadClip, generator: torch.Generator
) -> _Still:
    requested = read.clip.cameras
    if requested is None or scene_extent(requested) is not None:
        return _Still()
    if motion.kind in (MotionKind.STATIC, MotionKind.ROTATION_ONLY):
        turns = None
        if read.intrinsics_known:
            turns = turns_as_recovery(
                matches,
                requested,
                read.clip.names,
                still=motion.kind is MotionKind.STATIC,
                generator=generator,
            )
        if turns is not None or not (read.intrinsics_known or is_recovered(recovery)):
            return _Still(turns, NOTHING_TO_TRIANGULATE)
    # of a zoom that was asked for, too, nothing can be triangulated; of one that was not, the failure stays
    zoomed = motion.kind is MotionKind.PLANE and asks_zoom(requested) and not is_recovered(recovery)
    return _Still(unjudged=NO_PARALLAX if zoomed else "")
