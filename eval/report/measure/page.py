"""The report of measured clips: how often their poses were recovered, how far off they are, beside a control."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from eval.report.measure.asked import asked_sentences, pose_choice_sentences, witness_sentences
from eval.report.measure.causes import NOT_REGISTERED, REGISTERED_BUT, list_causes
from eval.report.measure.comparisons import (
    cap_detectable,
    detectable_brief,
    digits_beside_zero,
    samples_words,
    unlike_table,
    unpaired_words,
)
from eval.report.measure.complete import complete_measure
from eval.report.measure.csv import write_clips_csv
from eval.report.measure.data import paths, rows
from eval.report.measure.headline import REGISTERING, clip_words, headline, meaning
from eval.report.measure.pictures import embed_strips, link_to, order_clips
from eval.report.measure.plot import SHARES, axis_about_zero, metric_axis
from eval.report.measure.sentences import (
    bracket,
    certainty,
    control_of,
    key_consistency,
    percent_words,
    primary_rule,
    protocol_words,
    undefined_words,
    warnings,
)
from eval.report.measure.summary import summary_text
from eval.report.measure.tex import write_table_tex
from eval.report.measure.variants import moving_sentences, variant_sentences
from eval.report.numbers import p_words, plain
from eval.report.page import render, write_text
from eval.results.measure import FOLLOWS, Comparison, MeasureReport, MetricInfo

__all__ = ["summary_text", "write_clips_csv", "write_measure_report", "write_table_tex"]

STRIP_BYTES = 5_500_000
ROW_BYTES = 3_500_000
PATH_BYTES = 2_000_000
"""Most bytes of strips, rows and paths: with them the page stays below 12 MB, however many clips there are."""

TINTS = 6
"""Colours of models in ``measure.css``; the seventh model has the first again."""

PERCENT = "%"
"""The unit of compared rates, which are stored as shares in [0, 1]."""

PLAIN_ROWS = 200
"""Clips in the table for readers without scripts."""


LEADING_ERRORS = (
    "rotation_deg", "position_share", "cameractrl_rot_err", "cameractrl_trans_err", "cami2v_trans_err",
)  # fmt: skip
"""Errors in the leaderboard: those after one alignment, and, beside them, those that published tables state, which need none.
CamI2V's rotation error is CameraCtrl's."""


def write_measure_report(report: MeasureReport | Mapping[str, Any], run: Path, out: Path) -> None:
    """Writes one self-contained HTML page to `out`.

    Args:
        report: as in ``report.json``, schema ``bridge4d/measure/1``; any value may be null.
        run: the folder that the clips' strips of frames are found in. Of thousands of clips the page holds
            as many strips and paths as a budget allows, those that tell most first; the others are linked.
        out: where the page goes; it appears whole or not at all.

    Raises:
        BridgeError: a report of another schema.
    """
    r = complete_measure(report)
    data = _data(r, run, out)
    page = {
        "r": r,
        "headline": headline(r),
        "meaning": meaning(r),
        "clip_words": clip_words,
        "registering": REGISTERING,
        "follows": FOLLOWS,
        "certainty": certainty(r),
        "warnings": warnings(r),
        "protocol": protocol_words(r),
        "causes": list_causes(r),
        "variants": [*variant_sentences(r), *moving_sentences(r)],
        "moving": [name for name, model in r.models.items() if model.still.clips],
        "still_metrics": {
            key: info
            for key, info in r.consistency.items()
            if any(key in model.still.consistency for model in r.models.values())
        },
        "asked": asked_sentences(r),
        "poses": [*pose_choice_sentences(r), *witness_sentences(r)],
        "cause_heads": (NOT_REGISTERED, REGISTERED_BUT),
        "primary": primary_rule(r),
        "sampson": key_consistency(r),
        "control": control_of(r),
        "tints": _tints(r),
        "leading_errors": [key for key in LEADING_ERRORS if key in r.errors],
        "auc": next((rule for rule in r.rules if rule.startswith("auc@")), None),
        "data": _json(data),
        "shown": len(data["clips"]),
        "plain_rows": r.clips[:PLAIN_ROWS],
        "comparisons": _comparisons(r),
        "shares": SHARES,
        "metric_axis": metric_axis,
        "axis_about_zero": axis_about_zero,
        "percent_words": percent_words,
        "bracket": bracket,
        "plain": plain,
        "p_words": p_words,
        "undefined_words": undefined_words,
    }
    write_text(out, render("measure.html", page))


def _data(r: MeasureReport, run: Path, out: Path) -> dict[str, Any]:
    """Data of the page's scripts."""
    order = order_clips(r)
    clips, texts = rows(r, order, max_bytes=ROW_BYTES)
    shown = [index for index in order if index in clips]
    place = {index: position for position, index in enumerate(clips)}
    strips = embed_strips(r, shown, run, max_bytes=STRIP_BYTES)
    links = {index: link_to(r.clips[index].strip, run, out) for index in shown if index not in strips}
    drawn = paths(r, shown, max_bytes=PATH_BYTES)
    return {
        "models": [
            {"name": name, "control": name == control_of(r), "tint": tint} for name, tint in _tints(r).items()
        ],
        "rules": [{"key": key, "title": info.title} for key, info in r.rules.items()],
        "errors": [_metric(r, key, "errors") for key in r.errors],
        "consistency": [_metric(r, key, "consistency") for key in r.consistency],
        "texts": texts,
        "telling": [place[index] for index in shown],
        "clips": list(clips.values()),
        "strips": {place[index]: uri for index, uri in strips.items()},
        "links": {place[index]: link for index, link in links.items() if link},
        "paths": {place[index]: path for index, path in drawn.items()},
        "left_out": len(r.clips) - len(clips),
    }


def _tints(r: MeasureReport) -> dict[str, str]:
    """A colour for each model, the same everywhere on the page; the control's is neutral."""
    others = [name for name in r.models if name != control_of(r)]
    return {name: f"--m{others.index(name) % TINTS}" if name in others else "--second" for name in r.models}


def _metric(r: MeasureReport, key: str, kind: str) -> dict[str, Any]:
    """What the plot of a metric's distribution shows beside the dots."""
    info = r.errors[key] if kind == "errors" else r.consistency[key]
    figures = [
        error and error.survivors if kind == "errors" else model.consistency.get(key)
        for model in r.models.values()
        for error in [model.errors.get(key)]
    ]
    return {
        "title": info.title,
        "unit": info.unit,
        "digits": info.digits,
        "higher_is_better": info.higher_is_better,
        "key": key,
        "figures": [
            f and {"mean": f.mean, "median": f.median, "interval95": f.interval95, "n": f.n} for f in figures
        ],
    }


def _comparisons(r: MeasureReport) -> list[tuple[str, list[tuple[MetricInfo, Comparison, dict[str, Any]]]]]:
    """Per model the (description of the metric, comparison, what is said of it) that were made."""
    return [
        (
            name,
            [
                (info, c, _words(c, name, control_of(r) or "the control", info))
                for key, c in comparisons.items()
                for info in [_metric_of_comparison(r, key)]
            ],
        )
        for name, comparisons in r.control.comparisons.items()
    ]


def _metric_of_comparison(r: MeasureReport, key: str) -> MetricInfo:
    """Description of the metric behind a comparison such as 'rule:share@90'; rates are shown in per cent."""
    kind, _, name = key.partition(":")
    if kind == "rule":
        title = r.rules[name].title if name in r.rules else key
        return MetricInfo(title=title, unit=PERCENT, digits=0, higher_is_better=True)
    infos = {"error": r.errors, "failures_as_worst": r.errors, "consistency": r.consistency}.get(kind, {})
    info = infos.get(name, MetricInfo(title=key))
    return replace(info, title=f"{info.title}, failures as worst") if kind == "failures_as_worst" else info


def _words(c: Comparison, model: str, control: str, info: MetricInfo) -> dict[str, Any]:
    """Words on the samples behind two compared numbers, and where these differ from a table of all clips."""
    scale = 100 if info.unit == PERCENT else 1

    def write_value(value: float) -> str:
        """A value as the table prints it."""
        return f"{plain(100 * value, 0)}%" if info.unit == PERCENT else plain(value, info.digits)

    def write_difference(value: float) -> str:
        """A difference in the metric's unit."""
        if info.unit == PERCENT:
            return f"{plain(100 * value, 0)} points"
        return f"{plain(value, digits_beside_zero([value], info.digits))} {info.unit}".rstrip()

    unlike = unlike_table(c, model, control, write_value)
    return {
        "model": samples_words(c),
        "control": samples_words(c, control=True),
        "scale": scale,
        "digits": digits_beside_zero([v * scale for v in c.interval95 or ()], info.digits),
        "detectable": detectable_brief(
            cap_detectable(c, 1.0) if info.unit == PERCENT else c, write_difference
        ),
        "test": c.test.partition(" (")[0],  # what follows stands under the two numbers
        "unlike_table": [*unlike, *unpaired_words(c)],
        "summary": "not the table's numbers" if unlike else "not in pairs",
    }


def _json(data: Mapping[str, Any]) -> Any:
    """JSON that can stand inside a script element, its keys in the order given."""
    from jinja2.utils import htmlsafe_json_dumps

    return htmlsafe_json_dumps(data, dumps=json.dumps, separators=(",", ":"), allow_nan=False)
