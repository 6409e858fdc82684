"""When do a clip's poses count as recovered? Every paper has its own rule; here each has its name.

A rule is a `Recipe` (how cameras are recovered) and a judgement of what came out. Sources were read for what they say;
what they leave open, and what was chosen, is in `choices`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from eval.geometry.pairwise import FOLLOWED_DEG, FOLLOWED_SHARE, pose_auc, share_followed
from eval.paths.check import MOVED_SHARE, path_over_depth
from eval.paths.fault import DISOBEDIENT, UNASKED, WITHOUT_PATH, PathCheck
from eval.poses import align, scene_extent
from eval.results.measure import FOLLOWS, RuleInfo, Verdict
from recon.cameras import Cameras
from recon.errors import BridgeError, did_you_mean
from recon.recovery import Recovery
from recon.sfm.recipes import AFFINE, Recipe

MIN_REGISTERED_SHARE = 0.9
"""Share of the frames that the largest model must hold for share@90, and to count as recovered at all."""
PRIMARY = Recipe(mapper="either", calibrate=True)
"""How cameras are recovered unless a rule asks for something else; errors and consistency are taken from it."""

UNASKED_SHARE = 0.25
"""Share of a path that was not asked for, from which two frames stand apart where the path is too short for `MOVED_SHARE`."""

Judge = Callable[[Recovery, Cameras | None, PathCheck], tuple[float, str]]
"""A share in [0, 1], and why it is not 1."""


@dataclass(frozen=True)
class Rule:
    """A published or own rule by which a clip's poses count as recovered."""

    name: str
    title: str
    definition: str
    source: str
    choices: tuple[str, ...]
    judge: Judge
    recipe: Recipe | None = None
    """None for the caller's primary recipe."""
    trials: int = 1
    """Number of seeds with which the source repeats the recovery; the verdict is the mean over them."""
    needs_request: bool = False
    needs_intrinsics: bool = False
    graded: bool = False
    """Whether the verdict is a share in [0, 1] alone, without success or failure."""

    @property
    def info(self) -> RuleInfo:
        """What a report says of the rule."""
        return RuleInfo(
            title=self.title, definition=self.definition, source=self.source, choices=list(self.choices)
        )

    def recipes(self, primary: Recipe, trials: int | None) -> list[Recipe]:
        """One recipe for each trial, with seeds that count up from the primary one's."""
        recipe = self.recipe or primary
        count = 1 if self.graded else (trials or self.trials)
        return [replace(recipe, seed=primary.seed + i) for i in range(count)]


def judge_clip(
    rule: Rule, trials: Sequence[tuple[Recovery, PathCheck]], requested: Cameras | None
) -> Verdict:
    """The verdict of a rule: the mean over trials, a success where it is above one half.

    Where the pictures cannot tell whether the path is right (`PathCheck.untold`) there is no verdict, unless too few frames were
    registered.

    Args:
        trials: recoveries, each with what is wrong with its path (`paths.check.check_path`).
    """
    judged = [rule.judge(recovery, requested, check) for recovery, check in trials]
    untold = next((check.untold for _, check in trials if check.untold), "")
    if untold and any(_judge_share(recovery, None, check)[0] > 0 for recovery, check in trials):
        return leave_unjudged(untold)
    share = sum(s for s, _ in judged) / len(judged)
    because = next((why for s, why in judged if s < 1), "")
    if len(judged) > 1 and share < 1:
        because = f"{sum(s == 1 for s, _ in judged)} of {len(judged)} trials; else {because}"
    return Verdict(success=None if rule.graded else share > 0.5, share=share, because=because)


def leave_unjudged(because: str) -> Verdict:
    """A verdict without success or share, for a clip that lacks what the rule needs."""
    return Verdict(success=None, share=None, because=because)


def choose_rules(names: Sequence[str]) -> list[Rule]:
    """Look rules up by name, in the order of `RULES`; 'all' means all of them, 'auc' the three AUC rules.

    Raises:
        BridgeError: an unknown name, or no name at all.
    """
    wanted: set[str] = set()
    for name in names:
        found = {
            rule for rule in RULES if name in ("all", rule) or (name == "auc" and rule.startswith("auc@"))
        }
        if not found:
            hint = did_you_mean(name, [*RULES, "auc", "all"])
            raise BridgeError(f"expected rules out of {', '.join(RULES)}, auc or all, got {name!r}{hint}")
        wanted |= found
    if not wanted:
        raise BridgeError(f"expected at least one rule out of {', '.join(RULES)}, auc or all, got none")
    return [rule for name, rule in RULES.items() if name in wanted]


def _count_registered(recovery: Recovery) -> tuple[int, int]:
    """Frames in the largest model, and frames of the clip."""
    return int(recovery.registered.sum()), len(recovery.names)


def _judge_share(recovery: Recovery, requested: Cameras | None, check: PathCheck) -> tuple[float, str]:
    held, n = _count_registered(recovery)
    return (
        (1.0, "") if held >= MIN_REGISTERED_SHARE * n else (0.0, f"largest model holds {held} of {n} frames")
    )


def _judge_follows(recovery: Recovery, requested: Cameras | None, check: PathCheck) -> tuple[float, str]:
    share, because = _judge_share(recovery, requested, check)
    assert requested is not None
    if share == 0 or recovery.cameras is None:
        return 0.0, because
    followed = share_followed(recovery.cameras, requested[recovery.registered])
    if followed is None:
        return 0.0, because or "fewer than two frames registered"
    if check.faults:
        return 0.0, f"registered, but: {', '.join(fault.value for fault in check.faults)}"
    if followed >= FOLLOWED_SHARE:
        return 1.0, ""
    return 0.0, (
        f"registered, but only {math.floor(100 * followed)}% of the pairs of frames are as requested, to within "
        f"{FOLLOWED_DEG:g}°"
    )


def _judge_every_frame(recovery: Recovery, requested: Cameras | None, check: PathCheck) -> tuple[float, str]:
    held, n = _count_registered(recovery)
    return (1.0, "") if held == n else (0.0, f"largest model holds {held} of {n} frames")


def _judge_one_model(recovery: Recovery, requested: Cameras | None, check: PathCheck) -> tuple[float, str]:
    if recovery.num_models != 1:
        return 0.0, f"{recovery.num_models or 'no'} models"
    return _judge_every_frame(recovery, requested, check)


def _judge_cosmos(recovery: Recovery, requested: Cameras | None, check: PathCheck) -> tuple[float, str]:
    share, because = _judge_one_model(recovery, requested, check)
    if share == 0 or requested is None or recovery.cameras is None:
        return share, because
    wrong = DISOBEDIENT & set(check.faults)
    if wrong:
        return 0.0, f"runs against the request: {', '.join(sorted(fault.value for fault in wrong))}"
    if scene_extent(requested) is None:  # nothing to align by: not the clip's fault
        return share, because
    if align(recovery.cameras, requested[recovery.registered]) is None:
        return 0.0, "no Procrustes alignment to the request"
    return 1.0, ""


def _make_auc_judge(threshold_deg: float) -> Judge:
    def judge(recovery: Recovery, requested: Cameras | None, check: PathCheck) -> tuple[float, str]:
        """The area under the recall curve, and why it is below 1."""
        assert requested is not None
        value = pose_auc(
            recovery.cameras,
            recovery.registered,
            requested,
            (threshold_deg,),
            moves=not WITHOUT_PATH & set(check.faults),
            still_limit=still_limit(recovery, check),
        )[0]
        assert value is not None  # a clip of two frames has a pair
        held, n = _count_registered(recovery)
        return value, "" if held == n else f"largest model holds {held} of {n} frames"

    return judge


_POSE_AUC = (
    "Of all pairs of frames, the angles by which relative rotation and relative translation direction are off the "
    "request, the larger of the two; area under the recall curve up to {t:g}°, over {t:g}°. Pairs with a frame that "
    "was not registered count as wrong. A share in [0, 1], not a yes or no."
)


def _auc_rule(threshold_deg: float) -> Rule:
    return Rule(
        name=f"auc@{threshold_deg:g}",
        title=f"AUC@{threshold_deg:g}°",
        definition=_POSE_AUC.format(t=threshold_deg),
        source="SuperGlue, arXiv 1911.11763; VGGSfM, arXiv 2312.04563",
        choices=(
            "Chosen: the exact area under the step curve; binned variants are higher by about half a bin.",
            "Chosen: pairs that the request does not move apart are judged by rotation alone, unless the clip shows "
            "parallax and the camera moves by 3% of the scene's distance or more: then they are wrong.",
            "Chosen: of a clip that stands or only turns, pairs that the request moves apart are wrong.",
        ),
        judge=_make_auc_judge(threshold_deg),
        needs_request=True,
        graded=True,
    )


_ALL = (
    Rule(
        name="share@90",
        title="90% in one model",
        definition="The largest model holds at least 90% of the frames.",
        source="this project",
        choices=(
            "Chosen, unless options say otherwise: SIFT; the requested lens where one is stated, else one of unknown "
            "focal length for the whole clip, first calibrated from the view graph; the global mapper, and where that "
            "holds less, the incremental one: a failure should be the clip's and not the mapper's.",
        ),
        judge=_judge_share,
    ),
    Rule(
        name=FOLLOWS,
        title="Follows its request",
        definition=f"The largest model holds at least 90% of the frames, and of all pairs of these at least "
        f"{FOLLOWED_SHARE:.0%} stand to each other as requested, to within {FOLLOWED_DEG:g}° of relative rotation and of "
        "the direction of relative translation. The path neither runs against the request, nor moves or zooms where none was asked, "
        "nor jumps, nor changes its scale on the way, nor has frames out of place.",
        source="this project; the errors are those of AUC",
        choices=(
            "Chosen: the recovery of share@90; frames that it misses are not asked for.",
            "Chosen: of real clips all pairs are within 15°, of real clips judged by another clip's cameras at most 58% "
            "(ten clips of RealEstate10K).",
            "Chosen: pairs that the request does not move apart are judged by rotation alone; a camera that was asked to stand "
            "and moves by 3% of the scene's distance or more, with parallax to show for it, does not follow.",
            "Chosen: undefined where one homography explains the clip, unless a turn was asked for.",
        ),
        judge=_judge_follows,
        needs_request=True,
    ),
    Rule(
        name="camco",
        title="CamCo",
        definition="One model of COLMAP's incremental mapper holds every frame; features with affine shape and "
        "domain-size pooling, guided and exhaustive matching; the mean over five trials.",
        source="CamCo, arXiv 2406.02509 (COLMAP error rate, which is 1 minus this)",
        choices=(
            "Left open: what differs between the trials. Chosen: the random seed of verification and mapping.",
            "Left open: the lens. Chosen: one for all frames, COLMAP's default model (SIMPLE_RADIAL).",
            "Left open: further small models beside the one that holds every frame. Chosen: they do not count.",
        ),
        judge=_judge_every_frame,
        recipe=AFFINE,
        trials=5,
    ),
    Rule(
        name="cosmos",
        title="Cosmos",
        definition="The global mapper makes exactly one model, it holds every frame, and where cameras were requested "
        "Procrustes analysis aligns its centres with them.",
        source="Cosmos, arXiv 2501.03575 (pose estimation success rate)",
        choices=(
            "Left open: what a success is. Chosen: one model, every frame.",
            "Left open: features and matching for this figure. Chosen: SIFT, mutual nearest neighbours.",
            "Left open: the lens. Chosen: one for all frames, focal length calibrated from the view graph.",
            "Chosen: a request that does not move needs no alignment.",
            "Chosen: a path that runs against its request (backwards, mirrored, as if poses were inverted, not at all, or where "
            "none was asked) is not aligned, though its centres alone would be.",
        ),
        judge=_judge_cosmos,
        recipe=Recipe(mapper="global", calibrate=True),
    ),
    Rule(
        name="cami2v",
        title="CamI2V",
        definition="After CamI2V's recipe: the requested intrinsics are given and kept, neighbours in time are "
        "matched, and the global mapper registers every frame in one model.",
        source="CamI2V, arXiv 2410.15957, evaluation/glomap_evaluation.py in github.com/ZGCTroy/CamI2V",
        choices=(
            "Left open: partly registered clips. Chosen: a failure.",
            "Different: the source's features have affine shape and domain-size pooling, its matching is guided, and "
            "it repeats all five times; here plain SIFT, up to 2048 features, once unless --trials says otherwise (camco "
            "has such features).",
            "Different: the source keeps one SIMPLE_PINHOLE, of the first frame; here each frame's own requested fx, "
            "fy and principal point.",
        ),
        judge=_judge_every_frame,
        recipe=Recipe(pairing="sequential", intrinsics="fixed", mapper="global"),
        needs_request=True,
        needs_intrinsics=True,
    ),
    *(_auc_rule(t) for t in (5.0, 15.0, 30.0)),
)
RULES: dict[str, Rule] = {rule.name: rule for rule in _ALL}
DEFAULT_RULES = ("share@90", FOLLOWS, "cosmos", "cami2v", "auc")


def still_limit(recovery: Recovery, check: PathCheck) -> float | None:
    """Length of a recovered baseline, in its own units, from which a camera that was asked to stand moves.

    None where the path does not move against its request.
    """
    share = path_over_depth(recovery)
    if not UNASKED & set(check.faults) or not share or recovery.cameras is None:
        return None
    extent = scene_extent(recovery.cameras)
    return None if extent is None else extent * min(MOVED_SHARE / share, UNASKED_SHARE)


def is_recovered(recovery: Recovery) -> bool:
    """Whether a recovery passes share@90 with at least three frames, which errors and consistency need."""
    return (
        _judge_share(recovery, None, PathCheck())[0] == 1.0
        and int(torch.count_nonzero(recovery.registered)) >= 3
    )
