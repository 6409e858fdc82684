"""How a page may rely on a measure report: every field is there, every name described, and text can be printed."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from eval.results.measure import ErrorFigure, MeasureReport, MetricInfo, Model, RuleInfo
from eval.results.reading import read_report

Info = TypeVar("Info", RuleInfo, MetricInfo)


def complete_measure(report: MeasureReport | Mapping[str, Any]) -> MeasureReport:
    """A report as a page shows it; see `read_report`.

    A rule or metric that a model or a clip knows but the report does not describe is described by its own name.

    Raises:
        BridgeError: a report of another schema.
    """
    r = read_report(MeasureReport, report)
    models = {name: _with_leading_errors(model) for name, model in r.models.items()}
    parts = [*models.values(), *r.clips]
    return replace(
        r,
        models=models,
        rules=_describe_names(
            r.rules,
            RuleInfo(),
            [*(model.rules for model in models.values()), *(clip.verdicts for clip in r.clips)],
        ),
        errors=_describe_names(r.errors, MetricInfo(), [part.errors for part in parts]),
        consistency=_describe_names(r.consistency, MetricInfo(), [part.consistency for part in parts]),
    )


def _with_leading_errors(model: Model) -> Model:
    leading: dict[str, ErrorFigure] = {
        "rotation_deg": model.rotation_deg,
        "position_share": model.position_share,
    }
    return replace(model, errors=leading | model.errors)


def _describe_names(
    infos: Mapping[str, Info], unknown: Info, used: Iterable[Mapping[str, Any]]
) -> dict[str, Info]:
    """Descriptions of every name that is described or used; the name is the title where none is given."""
    names = dict.fromkeys([*infos, *(name for some in used for name in some)])
    found = {name: infos.get(name, unknown) for name in names}
    return {name: replace(info, title=info.title or name) for name, info in found.items()}
