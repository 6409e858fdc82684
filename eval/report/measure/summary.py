"""A measure report in a few lines of plain text, for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from eval.report.measure.asked import asked_sentences, pose_choice_sentences, witness_sentences
from eval.report.measure.causes import NOT_REGISTERED, REGISTERED_BUT, list_causes
from eval.report.measure.complete import complete_measure
from eval.report.measure.headline import MAX_GRADED_MODELS, headline, meaning
from eval.report.measure.sentences import (
    bracket,
    certainty,
    control_of,
    key_consistency,
    percent_words,
    protocol_words,
    some,
    undefined_words,
    warnings,
)
from eval.report.measure.variants import moving_sentences, variant_sentences
from eval.report.numbers import plain
from eval.results.measure import FOLLOWS, ErrorFigure, Figure, MeasureReport, MetricInfo, Rate

MAX_TABLE_MODELS = 12
"""Models in the terminal's table; the page has all."""
MAX_NAME_LETTERS = 28
"""Letters of a model's name that are shown."""


def summary_text(report: MeasureReport | Mapping[str, Any]) -> str:
    """The headline, the leaderboard, what is settled against the control, failures and warnings.

    Raises:
        BridgeError: a report of another schema.
    """
    r = complete_measure(report)
    lines = [headline(r), *meaning(r)]
    if r.models:
        lines += ["", *_table(r), ""]
    lines += [
        *_other_rules(r),
        *_undefined_lines(r),
        *certainty(r),
        *_failures(r),
        *variant_sentences(r),
        *moving_sentences(r),
        *asked_sentences(r),
        *pose_choice_sentences(r),
        *witness_sentences(r),
        *_skipped_lines(r),
    ]
    lines += [f"warning: {warning}" for warning in warnings(r)]
    lines += [protocol_words(r)]
    return "\n".join(lines).rstrip()


def _table(r: MeasureReport) -> list[str]:
    consistency, control, rules = key_consistency(r), control_of(r), _leading_rules(r)
    errors = [key for key in ("rotation_deg", "position_share") if key in r.errors]
    rows = [["model", "n", *rules, *(_head(r.errors[key]) for key in errors)]]
    rows[0] += [_head(r.consistency[consistency])] if consistency else []
    for name, model in list(r.models.items())[:MAX_TABLE_MODELS]:
        row = [_short(name) + (" (control)" if name == control else ""), str(model.n)]
        for rule in rules:
            rate = model.rules.get(rule, Rate())
            row.append(f"{percent_words(rate.rate, rate.n)} {bracket(rate.interval95, rate.n)}".strip())
        for key in errors:
            figure = model.errors.get(key, ErrorFigure()).survivors
            row.append(_mean(figure, r.errors[key].digits, count=True))
        if consistency:
            row.append(_mean(model.consistency.get(consistency), r.consistency[consistency].digits))
        rows.append(row)
    lines = align_columns(rows)
    if errors:
        lines.append("  errors are means over the registered clips (how many in parentheses), right or not")
    if len(r.models) > MAX_TABLE_MODELS:
        lines.append(f"  and {len(r.models) - MAX_TABLE_MODELS} more models")
    return lines


def _leading_rules(r: MeasureReport) -> list[str]:
    """The columns of the table: how many clips were registered, how many as requested, and the first AUC."""
    rules: list[str] = list(r.rules)
    auc = next((rule for rule in rules if rule.startswith("auc@")), None)
    return rules[:1] + [rule for rule in rules[1:] if rule in (FOLLOWS, auc)]


def align_columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table, its first column to the left and the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  "
        + "  ".join(
            c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def _head(info: MetricInfo) -> str:
    """The title, without what follows its first comma where it is too long."""
    title = " ".join(info.title.split())
    title = title if len(title) <= MAX_NAME_LETTERS else title.partition(",")[0]
    return _short(title) + (f" {info.unit}" if info.unit else "")


def _mean(figure: Figure | None, digits: int, *, count: bool = False) -> str:
    if figure is None or figure.mean is None:
        return "–"
    return plain(figure.mean, digits) + (f" ({figure.n})" if count else "")


def _short(name: str) -> str:
    name = " ".join(name.split())
    return name if len(name) <= MAX_NAME_LETTERS else name[: MAX_NAME_LETTERS - 1] + "…"


def _other_rules(r: MeasureReport) -> list[str]:
    """What the table has no column for: rules disagree, and a person should see it without opening the page."""
    graded = bool(meaning(r)) and len(r.models) <= MAX_GRADED_MODELS  # AUC stands below the headline then
    others = [
        rule for rule in r.rules if rule not in _leading_rules(r) and not (graded and rule.startswith("auc@"))
    ]
    lines = []
    for name, model in r.models.items() if others else ():
        rates = ((rule, model.rules.get(rule, Rate()).rate) for rule in others)
        said = [f"{rule} {rate:.0%}" if rate is not None else f"{rule} –" for rule, rate in rates]
        lines.append(f"{_short(name)} by other rules: {', '.join(said)}")
    return lines


def _undefined_lines(r: MeasureReport) -> list[str]:
    """Why clips are in no rate of the leading rules."""
    said = []
    for name, model in r.models.items():
        for rule in _leading_rules(r)[:2]:
            rate = model.rules.get(rule, Rate())
            if rate.n and rate.undefined:
                said.append(
                    f"{_short(name)}, {rule}: of {rate.n} clips; undefined: {undefined_words(rate.undefined)}"
                )
    return said[:MAX_TABLE_MODELS]


def _failures(r: MeasureReport) -> list[str]:
    said = []
    for row in list_causes(r):
        for words, causes in ((NOT_REGISTERED, row.causes), (REGISTERED_BUT, row.remarks)):
            if causes:
                said.append(
                    f"{_short(row.model)} {words}: {some([f'{cause} ({n})' for cause, n in causes], 4)}"
                )
    return said[: 2 * MAX_TABLE_MODELS]


def _skipped_lines(r: MeasureReport) -> list[str]:
    files = [_short(file.file) for file in r.skipped]
    return [f"{len(files)} passed over: {some(files, 4)} (report.html says why)"] if files else []
