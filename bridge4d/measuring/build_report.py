"""The report of a measurement, from the results of its clips."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bridge4d import __version__
from bridge4d.measuring.clip_result import list_metrics
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.fingerprints import measuring_versions
from eval.judging.leaderboard import compare_with_control, rank_models
from eval.judging.published import PUBLISHED
from eval.judging.rules import choose_rules
from eval.results.measure import GIVEN_UP, PROTOCOL, ClipResult, MeasureReport, Skipped
from eval.trajectories import ERRORS

FREE_BY_PROTOCOL = {
    "cameras", "control", "rules", "metrics", "convention", "camera_format", "allow_outside", "seed", "workers",
    "executor", "published",
}  # fmt: skip
"""Options that choose what is measured, or how it is read or worked on, and leave each figure by the protocol."""


def build_report(
    clips: list[ClipResult],
    options: MeasureOptions,
    *,
    control: str | None,
    lens_remark: str,
    skipped: list[Skipped],
    command: str,
) -> MeasureReport:
    """Sum clips up by model and compare the models with the control.

    Args:
        clips: Results in the order of the clips.
        options: What was measured; its seed draws the bootstrap samples.
        control: The name of the model of real clips.
        lens_remark: What `compare_known_lenses` found.
        skipped: Files that were no clips.
        command: The command line.
    """
    generator = torch.Generator().manual_seed(options.seed)
    rules = {rule.name: rule.info for rule in choose_rules(options.rules)}
    consistency = list_metrics(options.metrics)
    common: dict[str, Any] = {
        "rules": rules,
        "consistency": consistency,
        "control": control,
        "generator": generator,
    }
    return MeasureReport(
        protocol=PROTOCOL,
        departures=list_departures(options),
        command=command,
        seed=options.seed,
        settings=options_to_json(asdict(options)),
        versions=list_versions(),
        rules=rules,
        errors=ERRORS,
        consistency=consistency,
        models=rank_models(clips, **common),
        clips=clips,
        control=compare_with_control(clips, note=lens_remark, **common),
        skipped=skipped,
        published=PUBLISHED if options.published else [],
    )


def list_departures(options: MeasureOptions) -> list[str]:
    """Settings that decide figures and are not the protocol's, which are the defaults."""
    given, protocol = (options_to_json(asdict(one)) for one in (options, MeasureOptions()))
    return [
        f"{name} {_setting_words(name, given[name])} instead of {_setting_words(name, protocol[name])}"
        for name in protocol
        if name not in FREE_BY_PROTOCOL and given[name] != protocol[name]
    ]


def _setting_words(name: str, value: object) -> str:
    without = {"frames": "all", "trials": "each rule's own"}
    return without.get(name, "none") if value is None else str(value)


def compare_known_lenses(clips: Sequence[ClipResult], control: str | None) -> str:
    """Say so where lenses were known for the control but not for a model, or the other way round; else ''."""
    lenses: dict[str, set[str]] = {}
    for clip in clips:
        if clip.failed is None and not clip.status.startswith(GIVEN_UP):
            lenses.setdefault(clip.model, set()).add(clip.lens)
    others = [name for name in sorted(lenses) if control in lenses and lenses[name] != lenses[control]]
    if control is None or not others:
        return ""
    return (
        f"The lens was known for some of the clips only ({', '.join(others)} unlike {control}): give intrinsics for "
        "all, or measure with --intrinsics shared."
    )


def list_skipped(passed_over: Sequence[tuple[str, str]], clips: Path, run: Path) -> list[Skipped]:
    """The files passed over, for the report; without the run folder, which may lie among the clips."""
    return [
        Skipped(file, reason) for file, reason in passed_over if (clips / file).resolve() != run.resolve()
    ]


def list_versions() -> dict[str, str]:
    """Versions of bridge4d and of the libraries that decide the figures."""
    return {**measuring_versions(), "bridge4d": __version__}


def options_to_json(options: Mapping[str, Any]) -> dict[str, object]:
    """Options with paths as text and tuples as lists."""
    return {
        key: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for key, value in options.items()
    }
