"""Measure clips in workers, and read the results that they store."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bridge4d.measuring.clip_result import given_up_result, unreadable_result
from bridge4d.measuring.clip_task import RESULT, ClipTask, StageOutcome, are_intrinsics_known, measure_clip
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.run import Run, set_aside_sentence
from bridge4d.runs.run_folder import SET_ASIDE, set_aside
from bridge4d.runs.stages import read_stage
from bridge4d.runs.stored_json import DamagedFileError, read_object
from bridge4d.runs.typed_json import misfit
from bridge4d.workers import Outcome, run_tasks
from eval.judging.rules import choose_rules
from eval.results.measure import ClipResult
from eval.results.reading import from_json
from recon.compute.progress import note, progress
from recon.words import count_noun

MAX_PRINTED_LINES = 10
"""Failed clips, and reasons for measuring again, that are printed: they fit a terminal, and the report lists all."""
REREAD_TIMEOUT_S = 60.0
"""Most seconds for reading the request of a lost clip once more; past them its lens counts as unknown."""


@dataclass
class _Tally:
    """What happened to the clips so far, for the lines printed at the end."""

    failed: dict[str, Outcome] = field(default_factory=dict)
    """By the name of the clip."""
    kept: int = 0
    """Clips that were measured before."""
    set_aside: list[tuple[str, Path]] = field(default_factory=list)
    """(clip, where the foreign files in its place were moved)"""
    redone: Counter[str] = field(default_factory=Counter)
    """Reason → how many stored results were measured again."""

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        if outcome.failed is not None:
            self.failed[outcome.key] = outcome
        stage: StageOutcome | None = outcome.value
        if stage is not None:
            self.kept += stage.kept
            self.set_aside += [(outcome.key, place) for place in stage.set_aside]
            self.redone[stage.redone] += bool(stage.redone)

    def print_summary(self, tasks: Sequence[ClipTask]) -> None:
        """Print what was kept, measured again, set aside and failed, in the order of the clips."""
        if self.kept:
            note(f"{self.kept} of {len(tasks)} clips were measured before and kept")
        for why, times in (+self.redone).most_common(MAX_PRINTED_LINES):
            note(f"{count_noun(times, 'clip')} measured again: {why}")
        for name, place in self.set_aside:
            note(set_aside_sentence(name, place))
        failed = [task.source.name for task in tasks if task.source.name in self.failed]
        for name in failed[:MAX_PRINTED_LINES]:
            note(f"{name}: {self.failed[name].failed}")
        if len(failed) > MAX_PRINTED_LINES:
            note(f"and {len(failed) - MAX_PRINTED_LINES} more clips failed; the report says why")


def measure_tasks(tasks: Sequence[ClipTask], options: MeasureOptions) -> list[ClipResult]:
    """Measure clips in workers; results in the order of the tasks."""
    tally = _Tally()
    outcomes = run_tasks(
        measure_clip,
        [(task.source.name, task) for task in tasks],
        executor=options.executor,
        workers=options.workers,
        seconds_limit=options.seconds_limit,
    )
    with progress("measuring clips", len(tasks)) as update:
        for done, outcome in enumerate(outcomes, start=1):
            tally.add(outcome)
            update(done, f"{len(tally.failed)} failed" if tally.failed else "")
    tally.print_summary(tasks)
    failed = tally.failed
    lost = [task for task in tasks if task.source.name in failed and failed[task.source.name].lost]
    with_lens = _find_known_lenses(lost, options)
    return [
        _read_result(task, failed.get(task.source.name), intrinsics_known=task.source.name in with_lens)
        for task in tasks
    ]


def _find_known_lenses(lost: Sequence[ClipTask], options: MeasureOptions) -> set[str]:
    """Names of the lost clips with known intrinsics: only those face rules that need a lens.

    They are read once more in workers, because reading may be what the clip was lost by; then none are known.
    """
    asked = [(task.source.name, task) for task in lost if task.source.cameras is not None]
    if not asked or not any(rule.needs_intrinsics for rule in choose_rules(options.rules)):
        return set()
    outcomes = run_tasks(
        are_intrinsics_known,
        asked,
        executor=options.executor,
        workers=options.workers,
        seconds_limit=REREAD_TIMEOUT_S,
    )
    return {outcome.key for outcome in outcomes if outcome.value}


def set_earlier_clips_aside(run: Run, tasks: Sequence[ClipTask]) -> None:
    """Move stages of clips that are no longer asked for out of the way, so that the run holds what its report is of."""
    asked = {task.folder for task in tasks}
    folder = run.folder.resolve() / "clips"
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    earlier = [p for p in there if p not in asked and read_stage(f"clips/{p.name}", p) is not None]
    for stage in earlier:
        set_aside(stage, run.folder, f"clips/{stage.name}")
    if earlier:
        note(
            f"{count_noun(len(earlier), 'clip')} of an earlier measurement in this folder {'is' if len(earlier) == 1 else 'are'} not "
            f"asked for now: moved to {run.folder / SET_ASIDE}; the report there is replaced"
        )


def drop_damaged_results(tasks: Sequence[ClipTask]) -> None:
    """Delete stored results of the wrong shape, so that their clips are measured again."""
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


def _read_result(task: ClipTask, failure: Outcome | None, *, intrinsics_known: bool) -> ClipResult:
    """The stored result, with what the manifest says of the clip now; or that of a failed clip.

    Args:
        task: The clip.
        failure: Why nothing was stored; None where it was.
        intrinsics_known: Of a lost clip, whether its requested lens is known.
    """
    if failure is not None:
        why = failure.failed or ""
        if failure.lost:
            return given_up_result(task.source, why, task.options, intrinsics_known=intrinsics_known)
        return unreadable_result(task.source, why)
    try:
        stored = from_json(ClipResult, read_object(task.folder / RESULT, "result")["result"])
    except (OSError, ValueError) as error:
        return unreadable_result(task.source, f"its result cannot be read again ({error})")
    source = task.source
    return replace(
        stored, model=source.model, group=source.group, prompt=source.prompt, path=str(source.path)
    )
