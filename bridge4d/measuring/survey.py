"""Measuring clips: find them, measure each in a process of its own, sum up, report."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from bridge4d import __version__
from bridge4d.measuring.clip_models import find_models, say_models
from bridge4d.measuring.clip_result import given_up, metric_infos, not_measured
from bridge4d.measuring.clip_task import RESULT, ClipTask, intrinsics_known, measure_clip
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.fingerprints import measuring_versions
from bridge4d.runs.run import open_run, set_aside_sentence
from bridge4d.runs.run_folder import MEASURE as MEASURE_RUN
from bridge4d.runs.stages import read_stage
from bridge4d.runs.stored_json import DamagedFileError, read_object, write_json
from bridge4d.runs.typed_json import misfit
from bridge4d.workers import Outcome, run_tasks
from eval.judging.leaderboard import compare_with_control, leaderboard
from eval.judging.published import PUBLISHED
from eval.judging.rules import choose_rules
from eval.report.measure.page import write_clips_csv, write_measure_report, write_table_tex
from eval.results.measure import GIVEN_UP, ClipResult, MeasureReport, Skipped
from eval.results.reading import from_json, to_json
from eval.trajectories import ERRORS
from recon.camera_files import Convention, check_format
from recon.clips.read import Sampling
from recon.compute.progress import note, progress
from recon.errors import BridgeError
from recon.sfm.features.describe import require as require_features
from recon.words import count_noun

T = TypeVar("T")

SAID = 10
"""Failed clips whose reason is told while one waits, in the order of the clips; the report has all."""
MIN_SIDE_PX = 32
"""Below this `max_side`, features of any kind are not found."""
REREAD_TIMEOUT_S = 60.0
"""Most seconds for reading the request of a lost clip once more; past them its lens counts as unknown."""
MIN_FRAMES = 3
"""Fewer make no path."""


@dataclass(frozen=True)
class MeasureResult:
    """What a measurement leaves behind."""

    report: MeasureReport
    run: Path
    report_html: Path
    clips_csv: Path
    table_tex: Path


def measure(
    clips: Path | str,
    out: Path | str,
    options: MeasureOptions = MeasureOptions(),
    *,
    command: str = "",
) -> MeasureResult:
    """Measures how well cameras can be recovered from clips, and how consistent these are.

    Args:
        clips: A folder of videos or of folders of frames, one such folder a model, or a manifest (CSV, JSON).
        out: The run folder. Start again with the same one to continue: clips that are done are kept.

    Clips that cannot be read are counted apart; those on which COLMAP dies, or that take longer than
    `seconds_limit`, are failures under every rule. Neither stops the others.

    Raises:
        BridgeError: no clips there, options that contradict the clips, a run folder that cannot be used.
    """
    started = time.perf_counter()
    _check(options)
    choose_rules(options.rules)  # a wrong name is said now, not after an hour
    require_features(options.features)
    found = find_models(Path(clips), options)
    control = found.control
    with open_run(Path(out), kind=MEASURE_RUN) as run:
        tasks = [
            ClipTask(source, options, run.folder.resolve(), measuring_versions()) for source in found.sources
        ]
        say_models(found, manifest=Path(clips).is_file())
        _drop_damaged(tasks)
        results = _measured(tasks, options)
        skipped = _skipped(found.passed_over, Path(clips), run.folder)
        report = _report(results, control, _unlike(results, control), skipped, options, command)
        seconds = {"total": round(time.perf_counter() - started, 3)}
        report = replace(report, grouping=found.remarks, seconds=seconds)
        with run.file("report.json") as file:
            write_json(file, to_json(report))
        with run.file("report.html") as page:
            write_measure_report(report, run.folder, page)
        with run.file("clips.csv") as table:
            write_clips_csv(report, table)
        with run.file("table.tex") as tex:
            write_table_tex(report, tex)
        with run.file("run.json") as file:
            about = {"command": command, "options": _plain(asdict(options)), "versions": _versions()}
            write_json(file, {"kind": MEASURE_RUN, **about})
    return MeasureResult(report, run.folder, page, table, tex)


def _unlike(clips: Sequence[ClipResult], control: str | None) -> str:
    """A remark where the control was recovered knowing its lens, and a model not, or the other way round."""
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


def _check(options: MeasureOptions) -> None:
    """Numbers that no clip can be measured with are refused once, not by every clip."""
    Sampling(options.every, options.frames)
    if options.frames is not None and options.frames < MIN_FRAMES:
        raise BridgeError(
            f"expected --frames of {MIN_FRAMES} or more, got {options.frames}: fewer make no path"
        )
    if options.convention is not None:
        _as_flag("--convention", Convention.parse, options.convention)
    _as_flag("--camera-format", check_format, options.camera_format)
    least = {"trials": 1, "max_side": MIN_SIDE_PX, "max_features": 1, "workers": 0}
    for name, bound in least.items():
        value = getattr(options, name)
        if value is not None and value < bound:
            raise BridgeError(f"expected --{name.replace('_', '-')} of {bound} or more, got {value}")
    if not 0 <= options.seed < 2**31 - 1000:  # trials count up from it
        raise BridgeError(f"expected --seed from 0 to {2**31 - 1001}, got {options.seed}")
    if not options.seconds_limit > 0:
        raise BridgeError(f"expected --seconds-limit above 0, got {options.seconds_limit:g}")


def _as_flag(flag: str, check: Callable[[T], object], value: T) -> None:
    """What `check` refuses is said with the name of the option that it came by."""
    try:
        check(value)
    except BridgeError as error:
        raise BridgeError(f"{flag}: {error}") from error


def _skipped(passed_over: Sequence[tuple[str, str]], clips: Path, run: Path) -> list[Skipped]:
    """For the report; a run folder among the clips is none of them and not worth a word."""
    return [
        Skipped(file, reason) for file, reason in passed_over if (clips / file).resolve() != run.resolve()
    ]


def _measured(tasks: Sequence[ClipTask], options: MeasureOptions) -> list[ClipResult]:
    """The results in the order of the tasks."""
    failed: dict[str, Outcome] = {}
    kept, moved, again = 0, list[tuple[str, Path]](), Counter[str]()
    outcomes = run_tasks(
        measure_clip,
        [(task.source.name, task) for task in tasks],
        executor=options.executor,
        workers=options.workers,
        seconds_limit=options.seconds_limit,
    )
    with progress("measuring clips", len(tasks)) as update:
        for done, outcome in enumerate(outcomes, start=1):
            if outcome.failed is not None:
                failed[outcome.key] = outcome
            if outcome.value is not None:
                kept += outcome.value.kept
                moved += [(outcome.key, place) for place in outcome.value.set_aside]
                again[outcome.value.redone] += bool(outcome.value.redone)
            update(done, f"{len(failed)} failed" if failed else "")
    if kept:
        note(f"{kept} of {len(tasks)} clips were measured before and kept")
    for why, times in (+again).most_common(SAID):
        note(f"{count_noun(times, 'clip')} measured again: {why}")
    for name, place in moved:
        note(set_aside_sentence(name, place))
    troubled = [task.source.name for task in tasks if task.source.name in failed]
    for name in troubled[:SAID]:
        note(f"{name}: {failed[name].failed}")
    if len(troubled) > SAID:
        note(f"and {len(troubled) - SAID} more clips failed; the report says why")
    lost = [task for task in tasks if task.source.name in failed and failed[task.source.name].lost]
    with_lens = _with_lens(lost, options)
    return [_result(task, failed.get(task.source.name), lens=task.source.name in with_lens) for task in tasks]


def _with_lens(lost: Sequence[ClipTask], options: MeasureOptions) -> set[str]:
    """Which of these clips have known intrinsics: rules that need them are asked of no other, measured or lost.

    They are read in workers again, for reading may be what a clip is lost by; then none are known."""
    asked = [(task.source.name, task) for task in lost if task.source.cameras is not None]
    if not asked or not any(rule.needs_intrinsics for rule in choose_rules(options.rules)):
        return set()
    outcomes = run_tasks(
        intrinsics_known,
        asked,
        executor=options.executor,
        workers=options.workers,
        seconds_limit=REREAD_TIMEOUT_S,
    )
    return {outcome.key for outcome in outcomes if outcome.value}


def _drop_damaged(tasks: Sequence[ClipTask]) -> None:
    """Removes stored results that do not hold what a result holds, so that their clips are measured again."""
    for task in tasks:
        found = read_stage(task.stage, task.folder)
        if found is None or RESULT not in found[1]:  # nothing there, or not the run's
            continue
        file = task.folder / RESULT
        try:
            why = misfit(read_object(file, "result")["result"], ClipResult)
        except DamagedFileError as error:
            why = str(error)
        except OSError:
            continue  # the stage is damaged, which measuring it finds
        if why:
            note(f"{task.source.name}: its stored result is damaged, measuring it again")
            file.unlink()


def _result(task: ClipTask, trouble: Outcome | None, *, lens: bool) -> ClipResult:
    """As stored; what the manifest says of the clip may have changed since. `trouble` is why there is none, and
    `lens` then whether its intrinsics are known."""
    if trouble is not None:
        why = trouble.failed or ""
        if trouble.lost:
            return given_up(task.source, why, task.options, intrinsics_known=lens)
        return not_measured(task.source, why)
    try:
        stored = from_json(ClipResult, read_object(task.folder / RESULT, "result")["result"])
    except (OSError, ValueError) as error:
        return not_measured(task.source, f"its result cannot be read again ({error})")
    source = task.source
    return replace(
        stored, model=source.model, group=source.group, prompt=source.prompt, path=str(source.path)
    )


def _report(
    clips: list[ClipResult],
    control: str | None,
    remark: str,
    skipped: list[Skipped],
    options: MeasureOptions,
    command: str,
) -> MeasureReport:
    generator = torch.Generator().manual_seed(options.seed)
    rules = {rule.name: rule.info for rule in choose_rules(options.rules)}
    consistency = metric_infos(options.metrics)
    common: dict[str, Any] = {
        "rules": rules,
        "consistency": consistency,
        "control": control,
        "generator": generator,
    }
    return MeasureReport(
        command=command,
        seed=options.seed,
        settings=_plain(asdict(options)),
        versions=_versions(),
        rules=rules,
        errors=ERRORS,
        consistency=consistency,
        models=leaderboard(clips, **common),
        clips=clips,
        control=compare_with_control(clips, note=remark, **common),
        skipped=skipped,
        published=PUBLISHED if options.published else [],
    )


def _versions() -> dict[str, str]:
    return {**measuring_versions(), "bridge4d": __version__}


def _plain(options: Mapping[str, Any]) -> dict[str, object]:
    return {
        key: str(value) if isinstance(value, Path) else list(value) if isinstance(value, tuple) else value
        for key, value in options.items()
    }
