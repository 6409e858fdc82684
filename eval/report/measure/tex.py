"""The leaderboard as a LaTeX table, for a paper."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eval.report.measure.complete import complete_measure
from eval.report.measure.sentences import (
    bracket,
    control_of,
    first_sentence,
    key_consistency,
    percent_words,
    protocol_words,
)
from eval.report.numbers import MINUS, plain
from eval.report.page import write_text
from eval.results.measure import Figure, MeasureReport, MetricInfo, Model, Rate

MAX_TABLE_METRICS = 3
"""Consistency metrics in the table; a page has only so much width."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "[": "{[}",  # after \\ a bare bracket is an optional argument
    "]": "{]}",
    "°": r"$^{\circ}$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "√": r"$\surd$",
    "²": "$^2$",
    MINUS: "$-$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "\n": " ",
    "\t": " ",
}


def write_table_tex(report: MeasureReport | Mapping[str, Any], out: Path) -> None:
    r"""A ``table*`` for ``\usepackage{booktabs}``: models as rows, the control first if it is.

    Columns: n; each rule's rate in per cent with its 95% interval; rotation and position error of the
    registered clips (how many in parentheses); up to `MAX_TABLE_METRICS` consistency metrics.
    The caption says what is what. Everything compiles with pdfLaTeX: letters that it has no glyph for
    are spelt as their code point.

    Raises:
        BridgeError: a report of another schema.
    """
    r = complete_measure(report)
    metrics = _metrics(r)
    heads = ["Model", "$n$", *(_math(rule) for rule in r.rules)]
    heads += [_head(r.errors, key) for key in _errors(r)]
    heads += [_head(r.consistency, key) for key in metrics]
    lines = [
        r"% Needs \usepackage{booktabs}.",
        *([f"% {_comment(protocol_words(r))}"] if r.protocol else []),
        r"\begin{table*}[t]",
        r"  \centering",
        r"  \small",
        r"  \setlength{\tabcolsep}{4pt}",
        rf"  \caption{{{_caption(r, metrics)}}}",
        r"  \label{tab:pose-recovery}",
        rf"  \begin{{tabular}}{{l{'r' * (len(heads) - 1)}}}",
        r"    \toprule",
        f"    {' & '.join(heads)} \\\\",
        r"    \midrule",
    ]
    for name, model in r.models.items():
        lines.append(f"    {' & '.join(_row(r, name, model, metrics))} \\\\")
    if not r.models:
        lines.append(rf"    \multicolumn{{{len(heads)}}}{{l}}{{No clip was measured.}} \\")
    lines += [r"    \bottomrule", r"  \end{tabular}", r"\end{table*}", ""]
    write_text(out, "\n".join(lines))


def escape(text: str) -> str:
    """Plain text as LaTeX that prints the same."""
    return "".join(_SPECIAL.get(letter) or _letter(letter) for letter in text)


def _comment(text: str) -> str:
    """Plain text in one line, which is all that a comment is."""
    return " ".join(text.split())


def _letter(letter: str) -> str:
    """pdfLaTeX knows Latin letters; others become their code point."""
    known = " " <= letter <= "~" or "À" <= letter <= "ſ"
    return letter if known else rf"\texttt{{U+{ord(letter):04X}}}"


def _row(r: MeasureReport, name: str, model: Model, metrics: list[str]) -> list[str]:
    cells = [escape(name) + (" (control)" if name == control_of(r) else ""), str(model.n)]
    cells += [_rate(model.rules.get(rule), model.n) for rule in r.rules]
    for key in _errors(r):
        error = model.errors.get(key)
        cells.append("--" if error is None else _figure(error.survivors, r.errors[key].digits, count=True))
    for key in metrics:
        figure = model.consistency.get(key)
        cells.append("--" if figure is None else _figure(figure, r.consistency[key].digits))
    return cells


def _rate(rate: Rate | None, measured: int) -> str:
    """The rate, its interval, and of how many clips where the rule could not be asked of all."""
    if rate is None or rate.rate is None:
        return "--"
    interval = escape(bracket(rate.interval95, rate.n))
    percent = percent_words(rate.rate, rate.n).rstrip("%")
    of = f" of {rate.n}" if rate.n != measured else ""
    return percent + (rf" {{\footnotesize {interval}{of}}}" if interval else "")


def _figure(figure: Figure, digits: int, *, count: bool = False) -> str:
    if figure.mean is None:
        return "--"
    return escape(plain(figure.mean, digits)) + (rf" {{\footnotesize ({figure.n})}}" if count else "")


def _errors(r: MeasureReport) -> list[str]:
    return [key for key in ("rotation_deg", "position_share") if key in r.errors]


def _metrics(r: MeasureReport) -> list[str]:
    first = key_consistency(r)
    rest = [key for key in r.consistency if key != first]
    return ([first] if first else [])[:MAX_TABLE_METRICS] + rest[: MAX_TABLE_METRICS - 1]


def _head(infos: Mapping[str, MetricInfo], key: str) -> str:
    unit = infos[key].unit
    return escape(infos[key].title) + (f" ({escape(unit)})" if unit else "")


def _math(rule: str) -> str:
    return escape(rule) + r" (\%)"


def _caption(r: MeasureReport, metrics: list[str]) -> str:
    control = control_of(r)
    said = [
        r"\textbf{Pose recovery.} $n$: clips measured.",
        r"Rates in per cent of the clips that the rule could be asked of (how many where not all), with Wilson's 95\% intervals; "
        "clips that were not registered count as failures. Rules that count registered frames do not ask whether their "
        "poses are right.",
        *(
            f"{escape(rule)}: {escape(first_sentence(info.definition))}"
            for rule, info in r.rules.items()
            if info.definition
        ),
    ]
    if _errors(r):
        said.append(
            "Rotation and position: mean over the registered clips (how many in parentheses), whether they follow their "
            "request or not; "
            "failures are not in these means. Rotation is after the one turn of the world that suits all cameras "
            "best (chordal mean), position after aligning the recovered path to the requested one by a similarity."
        )
    if metrics:
        ways = [f"{escape(r.consistency[key].title)}: {_way(r.consistency[key])}" for key in metrics]
        said.append(f"Consistency, mean over clips: {'; '.join(ways)}.")
    said.append(
        f"{escape(control)} is the control of real video."
        if control
        else "No control of real video was measured."
    )
    said += [escape(protocol_words(r))] if r.protocol else []
    said.append("--: undefined.")
    return " ".join(said)


def _way(info: MetricInfo) -> str:
    return "higher is better" if info.higher_is_better else "lower is better"
