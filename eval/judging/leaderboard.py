"""Summarise clips by model: rates, figures and comparisons, in any order of the clips the same."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch

from eval.results.measure import (
    GIVEN_UP,
    STILL,
    TRIMMED,
    UNMASKED,
    ClipResult,
    Comparison,
    Control,
    ErrorFigure,
    ErrorValue,
    Figure,
    MetricInfo,
    Model,
    Rate,
    RuleInfo,
    StillFigures,
    Value,
    Variant,
)
from eval.stats.comparisons import compare_samples, correct_for_many_tests
from eval.stats.samples import ClipValue
from eval.stats.summaries import summarise_errors, summarise_rate, summarise_values
from eval.trajectories import ERRORS, WORST

UNITS_DIFFER = {"ate": "units differ from clip to clip"}
"""Errors in the units of each clip's own request: they mean something of a clip, and nothing over clips."""


def rank_models(
    clips: Sequence[ClipResult],
    *,
    rules: Mapping[str, RuleInfo],
    consistency: Mapping[str, MetricInfo],
    control: str | None,
    generator: torch.Generator,
) -> dict[str, Model]:
    """Summarise each model, the control first, then by the rate of the first rule, then by name."""
    models = {
        name: summarise_model(
            [clip for clip in clips if clip.model == name],
            rules=rules,
            consistency=consistency,
            control=name == control,
            generator=generator,
        )
        for name in sorted({clip.model for clip in clips})
    }
    first = next(iter(rules), None)

    def place(name: str) -> tuple[bool, float, str]:
        """Sort key of a model: the control, then the rate, then the name."""
        rate = models[name].rules[first].rate if first else None
        return name != control, -(rate if rate is not None else -1.0), name

    return {name: models[name] for name in sorted(models, key=place)}


def summarise_model(
    clips: Sequence[ClipResult],
    *,
    rules: Mapping[str, RuleInfo],
    consistency: Mapping[str, MetricInfo],
    control: bool,
    generator: torch.Generator,
) -> Model:
    """Summarise the clips of one model; clips that could not be measured are counted and enter nothing else."""
    measured = _sort_measured(clips)
    errors = {key: _error(measured, key, generator) for key in ERRORS}
    # a clip may be given up before its frames are known
    shares: list[float | None] = [clip.registered / clip.frames if clip.frames else 0.0 for clip in measured]
    return Model(
        n=len(measured),
        failed=len(clips) - len(measured),
        control=control,
        requested=sum(clip.has_request for clip in measured),
        registered_share=summarise_values(shares, [""] * len(measured), generator=generator),
        rules={name: _rate(measured, name) for name in rules},
        rotation_deg=errors["rotation_deg"],
        position_share=errors["position_share"],
        errors=errors,
        consistency={key: _figure(measured, key, generator) for key in consistency},
        causes=_count_causes(clip for clip in measured if not clip.recovered),
        remarks=_count_causes(clip for clip in measured if clip.recovered),
        variants=_variants(measured, rules),
        still=_still_figures(measured, consistency, generator.initial_seed()),
        pose_choices=dict(
            sorted(Counter(clip.pose_choice.poses for clip in measured if clip.pose_choice.poses).items())
        ),
        readings=_count_readings(measured),
        motion=dict(sorted(Counter(clip.motion for clip in measured).items())),
    )


def compare_with_control(
    clips: Sequence[ClipResult],
    *,
    rules: Mapping[str, RuleInfo],
    consistency: Mapping[str, MetricInfo],
    control: str | None,
    note: str,
    generator: torch.Generator,
) -> Control:
    """Compare every rule, error and metric of every model with the control's; clips pair by their `group`.

    Errors whose units differ from clip to clip (`UNITS_DIFFER`) are not compared.
    """
    measured = _sort_measured(clips)
    comparisons: dict[str, dict[str, Comparison]] = {}
    for name in sorted({clip.model for clip in measured} - {control}) if control else ():
        ours = [clip for clip in measured if clip.model == name]
        theirs = [clip for clip in measured if clip.model == control]
        found = {}
        for rule in rules:
            found[f"rule:{rule}"] = compare_samples(
                _shares(ours, rule),
                _shares(theirs, rule),
                binary=not rule.startswith("auc@"),
                higher_is_better=True,
                generator=generator,
            )
        for key in (key for key in ERRORS if key not in UNITS_DIFFER):
            for kind in ("error", "failures_as_worst"):
                found[f"{kind}:{key}"] = compare_samples(
                    _error_values(ours, key, kind),
                    _error_values(theirs, key, kind),
                    binary=False,
                    higher_is_better=False,
                    generator=generator,
                )
        for key, info in consistency.items():
            found[f"consistency:{key}"] = compare_samples(
                [ClipValue(c.group, _value(c, key).value, c.name) for c in ours],
                [ClipValue(c.group, _value(c, key).value, c.name) for c in theirs],
                binary=False,
                higher_is_better=info.higher_is_better,
                generator=generator,
            )
        comparisons[name] = correct_for_many_tests(found)
    return Control(model=control, note=note, comparisons=comparisons)


def _sort_measured(clips: Sequence[ClipResult]) -> list[ClipResult]:
    """Clips that were measured, by name and path: resampling depends on their order."""
    return sorted((clip for clip in clips if clip.failed is None), key=lambda c: (c.name, c.path))


def _count_causes(clips: Iterable[ClipResult]) -> dict[str, int]:
    return dict(sorted(Counter(cause for clip in clips for cause in clip.causes).items()))


def _count_readings(clips: Sequence[ClipResult]) -> dict[str, int]:
    """Fits first, then the readings that clips name."""
    fits = Counter(clip.readings.fit for clip in clips if clip.readings.fit)
    named = Counter(name for clip in clips for name in clip.readings.named)
    return dict(sorted(fits.items())) | dict(sorted(named.items()))


def _value(clip: ClipResult, key: str) -> Value:
    """A consistency metric of a clip; undefined, with the reason, where it was not measured."""
    because = GIVEN_UP if clip.status.startswith(GIVEN_UP) else "not measured"
    return clip.consistency.get(key, Value(value=None, undefined_because=because, count=0))


def _shares(clips: Sequence[ClipResult], rule: str) -> list[ClipValue]:
    return [ClipValue(clip.group, clip.verdicts[rule].share, clip.name) for clip in clips]


def _error_values(clips: Sequence[ClipResult], key: str, kind: str) -> list[ClipValue]:
    """Errors of recovered clips ('error'), or of all clips, failures at their worst value; never a mixture."""
    found = []
    for clip in clips:
        error = clip.errors[key]
        filled = error.worst if error.value is None and kind != "error" else error.value
        found.append(ClipValue(clip.group, filled, clip.name))
    return found


def _rate(clips: Sequence[ClipResult], rule: str) -> Rate:
    verdicts = [clip.verdicts[rule] for clip in clips]
    return summarise_rate(
        [v.share for v in verdicts], ["" if v.share is not None else v.because for v in verdicts]
    )


def _variants(clips: Sequence[ClipResult], rules: Mapping[str, RuleInfo]) -> dict[str, Variant]:
    """The rates again for each variant that any clip has; the other clips keep their verdicts."""
    found = {}
    for name in (UNMASKED, TRIMMED, STILL):
        affected = sum(name in clip.variants for clip in clips)
        if affected:
            seen = [replace(clip, verdicts=clip.variants.get(name, clip.verdicts)) for clip in clips]
            found[name] = Variant(affected, {rule: _rate(seen, rule) for rule in rules})
    return found


def _still_figures(
    clips: Sequence[ClipResult], consistency: Mapping[str, MetricInfo], seed: int
) -> StillFigures:
    """The figures again without what moves; clips in which nothing does keep theirs.

    Args:
        seed: of samples of their own, so that the figures that count do not depend on these.
    """
    generator = torch.Generator().manual_seed(seed)
    affected = [STILL in clip.variants for clip in clips]
    shares = [clip.still.moving_share for clip in clips]
    whys = [clip.still.undefined_because or "not looked for" for clip in clips]
    moving_share = summarise_values(shares, whys, generator=generator)
    if not any(affected):
        return StillFigures(moving_share=moving_share)
    # metrics of whole pictures are not measured again
    told = {
        key for clip, moves in zip(clips, affected, strict=True) if moves for key in clip.still.consistency
    }
    seen = [
        replace(clip, errors=clip.still.errors, consistency=clip.still.consistency) if moves else clip
        for clip, moves in zip(clips, affected, strict=True)
    ]
    return StillFigures(
        clips=sum(affected),
        moving_share=moving_share,
        errors={key: _error(seen, key, generator) for key in ERRORS},
        consistency={key: _figure(seen, key, generator) for key in consistency if key in told},
    )


def _error(clips: Sequence[ClipResult], key: str, generator: torch.Generator) -> ErrorFigure:
    errors = [clip.errors[key] for clip in clips]
    if key in UNITS_DIFFER:
        because = UNITS_DIFFER[key]
        errors = [ErrorValue(value=None, worst=None, undefined_because=because) for _ in errors]
    return summarise_errors(errors, worst_in_words=WORST[key], generator=generator)


def _figure(clips: Sequence[ClipResult], key: str, generator: torch.Generator) -> Figure:
    values = [_value(clip, key) for clip in clips]
    return summarise_values(
        [v.value for v in values], [v.undefined_because for v in values], generator=generator
    )
