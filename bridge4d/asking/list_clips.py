"""List the clips that world models were asked for, for measuring: ``generated.csv`` and ``asked.json``."""

import csv
from collections.abc import Sequence
from pathlib import Path

from bridge4d.asking.plan_clips import PlannedClip
from bridge4d.runs.fingerprints import fingerprint
from bridge4d.runs.run import Run
from bridge4d.runs.run_folder import set_aside
from bridge4d.runs.stages import read_stage
from bridge4d.runs.store import cameras_to_json
from bridge4d.runs.stored_json import read_object, write_json
from eval.results.measure import AskedModel
from eval.results.reading import from_json, to_json
from recon.compute.progress import note
from recon.errors import BridgeError

GENERATED, MANIFEST, ASKED_FILE = "generated", "generated.csv", "asked.json"
COLUMNS: tuple[str, ...] = ("clip", "name", "model", "group", "prompt")
"""Of the manifest, as `recon.clips.manifest` reads it."""


def state_question(clip: PlannedClip) -> str:
    """What is equal for clips of several models that answer the same: along the same cameras, from the same photos."""
    return fingerprint(cameras_to_json(clip.cameras), clip.photos, clip.earlier)


def check_label(run: Run, label: str, model: str) -> None:
    """Refuse a label under which clips of another model lie.

    Args:
        model: as it is named on the command line.

    Raises:
        BridgeError: which names both.
    """
    known = _read_asked(run)
    if label in known and known[label].model not in ("", model):
        raise BridgeError(
            f"{run.folder / GENERATED / label} holds clips of {known[label].model}, and {model} would replace them; tell the models "
            "apart by --label, or choose another --out"
        )


def check_others(run: Run, planned: Sequence[PlannedClip], label: str) -> None:
    """Refuse to ask otherwise than other models in the folder were asked, whose clips would leave the report.

    Raises:
        BridgeError: which names one of them.
    """
    asked_now = {clip.name: state_question(clip) for clip in planned}
    for folder, model in _generated(run):
        if model == label:
            continue
        said = read_object(folder / ASKED_FILE, "asked_of")["asked_of"]
        if asked_now.get(folder.name) != said:
            raise BridgeError(
                f"{run.folder} holds clips of {model} that were asked otherwise ({folder.name}: another path, number of cameras, picture size "
                "or other photos); give the options that it was given, or choose another --out"
            )


def list_clips(
    run: Run, planned: Sequence[PlannedClip], label: str, model: AskedModel
) -> dict[str, AskedModel]:
    """Write the manifest of the clips of all models that were asked the same; others are set aside.

    Args:
        label: of the model that was asked now.
        model: how it was asked.

    Returns:
        How each model was asked, with the number of its clips.
    """
    rows = _find_rows(run, planned)
    with run.file(MANIFEST) as file, file.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, COLUMNS)
        table.writeheader()
        table.writerows(rows)
    asked = {}
    for name, one in (_read_asked(run) | {label: model}).items():
        own = [row for row in rows if row["model"] == name]
        if own:
            asked[name] = from_json(
                AskedModel,
                to_json(one) | {"clips": len(own), "paths": len({row["group"] for row in own})},
            )
    with run.file(ASKED_FILE) as file:
        write_json(file, {"models": to_json(asked)})
    return asked


def _find_rows(run: Run, planned: Sequence[PlannedClip]) -> list[dict[str, str]]:
    asked_now = {clip.name: clip for clip in planned}
    rows = []
    for folder, model in _generated(run):
        name, stage = folder.name, f"{GENERATED}/{model}/{folder.name}"
        said = read_object(folder / ASKED_FILE, "asked_of")
        clip = asked_now.get(name)
        if clip is None or state_question(clip) != said["asked_of"]:
            moved = set_aside(folder, run.folder, stage)
            note(f"{model} along {name}: asked otherwise before, kept in {moved}")
            continue
        place = folder.relative_to(run.folder).as_posix()
        values = (place, f"{model}/{name}", model, clip.path, str(said.get("prompt") or ""))
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    return rows


def _generated(run: Run) -> list[tuple[Path, str]]:
    """Finished clips, with the label of their model."""
    return [
        (folder, folder.parent.name)
        for folder in sorted((run.folder / GENERATED).glob("*/*"))
        if not folder.name.startswith(".")
        and read_stage(f"{GENERATED}/{folder.parent.name}/{folder.name}", folder) is not None
    ]


def _read_asked(run: Run) -> dict[str, AskedModel]:
    place: Path = run.folder / ASKED_FILE
    stored = read_object(place, "models")["models"] if place.is_file() else {}
    return {model: from_json(AskedModel, asked) for model, asked in stored.items()}
