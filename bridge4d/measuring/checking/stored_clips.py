"""The clips of a report beside the results that its run stored: which are missing, added, or not what was measured."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge4d.measuring.checking.differences import Difference, find_differences
from bridge4d.measuring.clip_task import RESULT
from bridge4d.runs.stages import find_damage, read_stage
from bridge4d.runs.stored_json import DamagedFileError, read_object
from bridge4d.runs.typed_json import misfit
from eval.results.measure import GIVEN_UP, ClipResult, MeasureReport
from eval.results.reading import clean, from_json, to_json

CLIPS = "clips"
ASSIGNED = ("model", "group", "prompt", "path")
"""What a report states of a clip by the manifest and the folders, whatever its stored result says."""


@dataclass(frozen=True)
class MatchedClips:
    """The clips of a report, as far as they could be taken from the stored results."""

    clips: list[ClipResult]
    differences: list[Difference]
    compared: int
    """Values of clips that were compared."""
    without_result: int
    """Clips that were unreadable or given up: nothing was stored of them, and the report alone says so."""


def match_clips(report: MeasureReport, stated: list[Any], run: Path) -> MatchedClips:
    """Compare each clip of a report with its stored result, and take the latter.

    Args:
        report: As `read_report` reads it.
        stated: Its clips as they stand in ``report.json``, after `clean`.
        run: The run folder.
    """
    stored, differences = _read_stored(run)
    as_stated = {one.get("name"): one for one in stated if isinstance(one, dict)}
    clips, compared, without = [], 0, 0
    for clip in report.clips:
        where = f"{CLIPS}.{clip.name}"
        found = stored.pop(clip.name, None)
        if found is None:
            clips.append(clip)
            if clip.failed is not None or clip.status.startswith(GIVEN_UP):
                without += 1
            else:
                differences.append(Difference(where, "a measured clip", "no stored result"))
            continue
        if clip.failed is not None:
            differences.append(Difference(f"{where}.failed", clip.failed, "a stored result"))
        said = {key: value for key, value in as_stated[clip.name].items() if key not in ASSIGNED}
        again = {key: value for key, value in found.items() if key not in ASSIGNED}
        count, unlike = find_differences(said, again, where)
        compared, differences = compared + count, differences + unlike
        assigned = {key: getattr(clip, key) for key in ASSIGNED}
        clips.append(replace(from_json(ClipResult, found), **assigned))
    differences += [Difference(f"{CLIPS}.{name}", "nothing", "a stored result") for name in stored]
    return MatchedClips(clips, differences, compared, without)


def _explain(result: dict[str, Any]) -> str:
    """What is the matter with a result that does not fit: fields that came later are no damage."""
    if result and not misfit(to_json(ClipResult()) | result, ClipResult):
        return "of another version of bridge4d"
    return "damaged"


def _read_stored(run: Path) -> tuple[dict[str, dict[str, Any]], list[Difference]]:
    """Results by the name of the clip; those that are damaged, or not as they were written, are named."""
    stored, differences = {}, []
    for file in sorted((run / CLIPS).glob(f"*/{RESULT}")):
        stage = f"{CLIPS}/{file.parent.name}"
        try:
            result = clean(read_object(file, "result")["result"])
            why = misfit(result, ClipResult)
        except (DamagedFileError, OSError) as error:
            result, why = {}, str(error)
        if why:
            differences.append(Difference(f"{stage}/{RESULT}", "a result", f"{_explain(result)}: {why}"))
            continue
        if result["name"] in stored:
            differences.append(Difference(f"{stage}/{RESULT}", "one result", f"another of {result['name']}"))
            continue
        stored[result["name"]] = result
        written = read_stage(stage, file.parent)
        damage = "no record of what was written" if written is None else find_damage(file.parent, written[1])
        if damage:
            differences.append(Difference(f"{stage}/{RESULT}", "as it was written", damage))
    return stored, differences
