"""The results of clips that no worker measured, and the metrics that a result has."""

from dataclasses import replace

from bridge4d.measuring.measure_options import MeasureOptions
from eval.geometry.consistency_metrics import CONSISTENCY
from eval.geometry.motion import MotionKind
from eval.geometry.regions import SGC
from eval.geometry.tracks import TRACKS
from eval.geometry.view_synthesis import REQUESTED_SYNTHESIS, VIEW_SYNTHESIS
from eval.judging.agreement import AGREEMENT
from eval.judging.rules import choose_rules, leave_unjudged
from eval.results.measure import GIVEN_UP, ClipResult, ErrorValue, MetricInfo, Value, Verdict
from eval.trajectories import ERRORS
from recon.clips.source import ClipSource

NO_REQUEST = "no requested cameras"
"""Why rules and errors that compare with a request are undefined."""
NO_INTRINSICS = "no requested intrinsics known"
"""Why rules that fix the lens are undefined."""


def unreadable_result(source: ClipSource, why: str) -> ClipResult:
    """The result of a clip that could not be read; it enters no rate."""
    return replace(name_result(source), failed=why)


def name_result(source: ClipSource) -> ClipResult:
    """A result that says which clip it is of, and nothing else."""
    return ClipResult(
        name=source.name,
        model=source.model,
        group=source.group,
        prompt=source.prompt,
        path=str(source.path),
        lens="unknown",
        failed=None,
    )


def given_up_result(
    source: ClipSource, why: str, options: MeasureOptions, *, intrinsics_known: bool = False
) -> ClipResult:
    """The result of a clip on which COLMAP died, or which took too long: a failure under every rule.

    It is not left out, because hard clips are the ones that take long. Rules that need requested cameras are applied
    where the source names some, rules that need a lens where `intrinsics_known`; the file itself is not read. Pose
    errors are undefined: what a failure counts as depends on the requested path.
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
        name_result(source),
        status=f"{GIVEN_UP}: {why}",
        verdicts=verdicts,
        errors=dict.fromkeys(ERRORS, no_error),
        consistency=dict.fromkeys(list_metrics(options.metrics), no_value),
        causes=[GIVEN_UP],
        motion=MotionKind.UNKNOWN.value,
        notes=[why],
        has_request=asked,
    )


def list_metrics(metrics: str) -> dict[str, MetricInfo]:
    """The consistency metrics that `MeasureOptions.metrics` asks for, in the order of tables."""
    if metrics == "none":
        return {}
    thorough = AGREEMENT | SGC | VIEW_SYNTHESIS | REQUESTED_SYNTHESIS
    return CONSISTENCY | TRACKS | (thorough if metrics == "all" else {})
