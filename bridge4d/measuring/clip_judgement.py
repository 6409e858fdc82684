"""What is wrong with the path of one clip, in names and figures."""

from dataclasses import dataclass

import torch

from bridge4d.measuring.clip_figures import raw_pinholes, undistort_matches
from bridge4d.measuring.clip_recovery import ClipRecovery, SiftedRecovery
from eval.geometry.motion import MotionKind
from eval.judging.causes import failure_causes
from eval.judging.rules import is_recovered
from eval.paths.fault import PathCheck
from eval.paths.match_check import MatchCheck, check_matches
from eval.results.measure import ASTRAY, TORN
from recon.cameras import Cameras


@dataclass(frozen=True)
class ClipJudgement:
    """Named causes, the figures behind them, and the frames where the path breaks."""

    recovered: bool
    check: PathCheck
    causes: list[str]
    notes: list[str]
    marked: list[int]


def judge_path(
    sifted: SiftedRecovery, requested: Cameras | None, *, generator: torch.Generator
) -> ClipJudgement:
    """Name what stood in the way of recovering the poses, or what is wrong with those that were recovered."""
    counted = sifted.counted
    recovery = counted.recovery
    recovered = is_recovered(recovery)
    check = counted.check
    match = _check_matches(counted, generator) if recovered else MatchCheck()
    causes = failure_causes(
        counted.matches, counted.motion, recovery, recovered=recovered, requested=requested, check=check
    )
    if match.torn:
        causes.append(TORN)
    if not recovered or ASTRAY in causes:  # what is black or frozen does not follow
        causes = [*_name_obstacles(sifted), *causes]
    frames = recovery.registered.nonzero()[:, 0].tolist()
    marked = {frames[row] for row in check.marked} | {*(match.contradicted[0] if match.torn else ())}
    return ClipJudgement(
        recovered,
        check,
        causes,
        [*_obstacle_sentences(sifted), *check.evidence, *([match.sentence()] if match.torn else [])],
        sorted(marked),
    )


def _check_matches(counted: ClipRecovery, generator: torch.Generator) -> MatchCheck:
    if counted.motion.kind not in (MotionKind.GENERAL, MotionKind.PLANE):
        return MatchCheck()
    recovery = counted.recovery
    straight = undistort_matches(counted.matches, recovery)
    return check_matches(straight, raw_pinholes(recovery), recovery.registered, generator=generator)


def _name_obstacles(sifted: SiftedRecovery) -> list[str]:
    """What stood in the way, as causes."""
    return [*(["overlay"] if sifted.overlay is not None else []), *sifted.odd.causes()]


def _obstacle_sentences(sifted: SiftedRecovery) -> list[str]:
    said = sifted.odd.sentences()
    if sifted.overlay is not None:
        share = sifted.overlay.double().mean().item()
        said.insert(0, f"an overlay covers {share:.0%} of the picture: its features are left out")
    return said
