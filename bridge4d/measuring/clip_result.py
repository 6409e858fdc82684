"""The results of clips that no worker measured, and the metrics that a result has."""

from dataclasses import replace

from bridge4d.measuring.measure_options import MeasureOptions
from eval.geometry.consistency import CONSISTENCY
from eval.geometry.motion import MotionKind
from eval.geometry.regions import SGC
from eval.geometry.tracks import TRACKS
from eval.geometry.view_synthesis import VIEW_SYNTHESIS
from eval.judging.rules import choose_rules, leave_unjudged
from eval.results.measure import GIVEN_UP, ClipResult, ErrorValue, MetricInfo, Value, Verdict
from eval.trajectories import ERRORS
from recon.clips.source import ClipSource

NO_REQUEST = "no requested cameras"
NO_INTRINSICS = "no requested intrinsics known"


def not_measured(source: ClipSource, why: str) -> ClipResult:
    """The result of a clip that could not be read; it is in no rate."""
    return ClipResult(
        name=source.name,
        model=source.model,
        group=source.group,
        prompt=source.prompt,
        path=str(source.path),
        lens="unknown",
        failed=why,
    )


def given_up(
    source: ClipSource, why: str, options: MeasureOptions, *, intrinsics_known: bool = False
) -> ClipResult:
    """The result of a clip on which COLMAP died, or which took too long: a failure under every rule, not a clip
    left out, for hard clips are those that take long.

    Rules that need requested cameras are asked where the source names some, those that need a lens where
    `intrinsics_known` says that these have one; the file itself is not read. What the failure counts as in pose
    errors depends on the requested path and is therefore undefined.
    """
    asked = source.cameras is not None
    verdicts = {}
    for rule in choose_rules(options.rules):
        if rule.needs_request and not asked:
            verdicts[rule.name] = leave_unjudged(NO_REQUEST)
        elif rule.needs_intrinsics and not intrinsics_known:
            verdicts[rule.name] = leave_unjudged(NO_INTRINSICS)
        else:
            verdicts[rule.name] = Verdict(success=None if rule.graded else False, share=0.0, because=why)
    no_error = ErrorValue(value=None, worst=None, undefined_because=GIVEN_UP if asked else NO_REQUEST)
    no_value = Value(value=None, undefined_because=GIVEN_UP, count=0)
    return replace(
        not_measured(source, why),
        failed=None,
        status=f"{GIVEN_UP}: {why}",
        verdicts=verdicts,
        errors=dict.fromkeys(ERRORS, no_error),
        consistency=dict.fromkeys(metric_infos(options.metrics), no_value),
        causes=[GIVEN_UP],
        motion=MotionKind.UNKNOWN.value,
        notes=[why],
        has_request=asked,
    )


def metric_infos(metrics: str) -> dict[str, MetricInfo]:
    """Of every consistency metric that `MeasureOptions.metrics` asks for, in the order of tables."""
    if metrics == "none":
        return {}
    return CONSISTENCY | TRACKS | (SGC | VIEW_SYNTHESIS if metrics == "all" else {})
