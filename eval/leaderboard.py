"""From clips to models: rates, figures and comparisons, the same whatever order the clips came in."""

from collections import Counter
from collections.abc import Mapping, Sequence

import torch

from eval.report.measure_schema import (
    ClipResult,
    Comparison,
    Control,
    ErrorFigure,
    Figure,
    MetricInfo,
    Model,
    Rate,
    RuleInfo,
)
from eval.statistics import compare, error_figure, figure, rate
from eval.trajectories import ERRORS, WORST

Split = tuple[list[ClipResult], list[ClipResult]]


def leaderboard(
    clips: Sequence[ClipResult],
    *,
    rules: Mapping[str, RuleInfo],
    consistency: Mapping[str, MetricInfo],
    control: str | None,
    generator: torch.Generator,
) -> dict[str, Model]:
    """One entry a model: the control first, then by the rate of the first rule, best first, then by name."""
    models = {
        name: summarised(
            [clip for clip in clips if clip["model"] == name],
            rules=rules,
            consistency=consistency,
            control=name == control,
            generator=generator,
        )
        for name in sorted({clip["model"] for clip in clips})
    }
    first = next(iter(rules), None)

    def place(name: str) -> tuple[bool, float, str]:
        rate = models[name]["rules"][first]["rate"] if first else None
        return name != control, -(rate if rate is not None else -1.0), name

    return {name: models[name] for name in sorted(models, key=place)}


def summarised(
    clips: Sequence[ClipResult],
    *,
    rules: Mapping[str, RuleInfo],
    consistency: Mapping[str, MetricInfo],
    control: bool,
    generator: torch.Generator,
) -> Model:
    """The figures of one model; clips that could not be measured are counted and enter nothing else."""
    measured = _measured(clips)
    errors = {key: _error(measured, key, generator) for key in ERRORS}
    shares: list[float | None] = [clip["registered"] / clip["frames"] for clip in measured]
    return Model(
        n=len(measured),
        failed=len(clips) - len(measured),
        control=control,
        requested=sum(clip["has_request"] for clip in measured),
        registered_share=figure(shares, [""] * len(measured), generator=generator),
        rules={name: _rate(measured, name) for name in rules},
        rotation_deg=errors["rotation_deg"],
        position_share=errors["position_share"],
        errors=errors,
        consistency={key: _figure(measured, key, generator) for key in consistency},
        causes=dict(sorted(Counter(cause for clip in measured for cause in clip["causes"]).items())),
        motion=dict(sorted(Counter(clip["motion"] for clip in measured).items())),
    )


def compared(
    clips: Sequence[ClipResult],
    *,
    rules: Mapping[str, RuleInfo],
    consistency: Mapping[str, MetricInfo],
    control: str | None,
    note: str,
    generator: torch.Generator,
) -> Control:
    """Every rule, error and metric of every model against the control's; clips pair where they share a `group`."""
    measured = _measured(clips)
    comparisons: dict[str, dict[str, Comparison]] = {}
    for name in sorted({clip["model"] for clip in measured} - {control}) if control else ():
        ours = [clip for clip in measured if clip["model"] == name]
        theirs = [clip for clip in measured if clip["model"] == control]
        found = {}
        for rule in rules:
            found[f"rule:{rule}"] = compare(
                _shares(ours, rule),
                _shares(theirs, rule),
                binary=not rule.startswith("auc@"),
                higher_is_better=True,
                generator=generator,
            )
        for key in ERRORS:
            for kind in ("error", "failures_as_worst"):
                found[f"{kind}:{key}"] = compare(
                    _error_values(ours, key, kind),
                    _error_values(theirs, key, kind),
                    binary=False,
                    higher_is_better=False,
                    generator=generator,
                )
        for key, info in consistency.items():
            found[f"consistency:{key}"] = compare(
                [(c["group"], c["consistency"][key]["value"]) for c in ours],
                [(c["group"], c["consistency"][key]["value"]) for c in theirs],
                binary=False,
                higher_is_better=info["higher_is_better"],
                generator=generator,
            )
        comparisons[name] = found
    return Control(model=control, note=note, comparisons=comparisons)


def _measured(clips: Sequence[ClipResult]) -> list[ClipResult]:
    """In an order of their own, for resampling draws clips by their place."""
    return sorted((clip for clip in clips if clip["failed"] is None), key=lambda c: (c["name"], c["path"]))


def _shares(clips: Sequence[ClipResult], rule: str) -> list[tuple[str, float | None]]:
    return [(clip["group"], clip["verdicts"][rule]["share"]) for clip in clips]


def _error_values(clips: Sequence[ClipResult], key: str, kind: str) -> list[tuple[str, float | None]]:
    """Of the survivors, or of all with what a failure counts as; the two are never mixed."""
    errors = [(clip["group"], clip["errors"][key]) for clip in clips]
    if kind == "error":
        return [(group, error["value"]) for group, error in errors]
    return [(group, error["worst"] if error["value"] is None else error["value"]) for group, error in errors]


def _rate(clips: Sequence[ClipResult], rule: str) -> Rate:
    verdicts = [clip["verdicts"][rule] for clip in clips]
    return rate(
        [v["share"] for v in verdicts], ["" if v["share"] is not None else v["because"] for v in verdicts]
    )


def _error(clips: Sequence[ClipResult], key: str, generator: torch.Generator) -> ErrorFigure:
    return error_figure(
        [clip["errors"][key] for clip in clips], worst_in_words=WORST[key], generator=generator
    )


def _figure(clips: Sequence[ClipResult], key: str, generator: torch.Generator) -> Figure:
    values = [clip["consistency"][key] for clip in clips]
    return figure([v["value"] for v in values], [v["undefined_because"] for v in values], generator=generator)
