"""Which clips are measured, of which model each is, and which of the models is the control."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bridge4d.measuring.measure_options import MeasureOptions
from recon.clips.clipset import find_clips
from recon.clips.models import sounds_made, sounds_real
from recon.clips.source import ClipSource
from recon.compute.progress import note
from recon.errors import CaptureError
from recon.words import count_noun

CONTROL = "control"
NAMED = 3
"""Clips of a model that are named before the work starts; the report has all."""
MODELS_SAID = 12
"""Models that are listed then."""


@dataclass(frozen=True)
class ClipModels:
    sources: list[ClipSource]
    control: str | None
    """The name of a model."""
    passed_over: list[tuple[str, str]]
    """(file, reason)"""
    remarks: list[str]
    """What a reader must know of how clips were taken for models, in sentences."""


def find_models(clips: Path, options: MeasureOptions) -> ClipModels:
    """All clips with their models.

    Raises:
        CaptureError: no clips, or a control that is none, or holds generated clips too.
    """
    found = find_clips(clips, cameras=options.cameras, allow_outside=options.allow_outside)
    sources, skipped, remarks = list(found.sources), list(found.skipped), list(found.notes)
    models = {source.model for source in sources}
    if options.control is None:
        real = sorted(model for model in models if sounds_real(model) and len(models) > 1)
        if real:
            remarks.append(
                f"No control was named: --control {real[0]} would compare the others with {real[0]}."
            )
        return ClipModels(sources, None, skipped, remarks)
    if options.control in models:
        return ClipModels(sources, options.control, skipped, remarks)
    path = Path(options.control)
    if not path.exists():
        raise CaptureError(
            f"expected --control to be a folder, a manifest or a model among the clips ({', '.join(sorted(models))}), "
            f"got {path}"
        )
    beside = find_clips(path, allow_outside=options.allow_outside)
    pooled = list(dict.fromkeys(source.model for source in beside.sources))
    if beside.notes or (len(pooled) > 1 and any(map(sounds_made, pooled))):
        why = " ".join(beside.notes) or f"It holds clips of {', '.join(pooled)}."
        raise CaptureError(
            f"expected --control to hold real clips alone, got {path}: {why} Give a folder or a manifest of the real "
            "ones, or name a model among the clips"
        )
    theirs = {os.path.realpath(source.path) for source in beside.sources}
    sources = [source for source in sources if os.path.realpath(source.path) not in theirs]
    name = _free(pooled[0] if len(pooled) == 1 else CONTROL, {source.model for source in sources})
    if len(pooled) > 1:
        remarks.append(f"The control is one model of the clips of {', '.join(pooled)}.")
    return ClipModels(
        [*sources, *_renamed(beside.sources, name, sources)], name, [*skipped, *beside.skipped], remarks
    )


def say_models(found: ClipModels, *, manifest: bool) -> None:
    """Tells before the work starts which clips are taken for which model, and how to say otherwise."""
    models: dict[str, list[str]] = {}
    for source in found.sources:
        models.setdefault(source.model, []).append(source.name)
    groups = len({source.group for source in found.sources} - {""})
    grouped = f", {groups} groups" if groups else ""
    note(f"{count_noun(len(found.sources), 'clip')} of {count_noun(len(models), 'model')}{grouped}:")
    for model, names in list(models.items())[:MODELS_SAID]:
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        role = ", the control" if model == found.control else ""
        note(f"  {model} ({len(names)}{role}): {', '.join(names[:NAMED])}{more}")
    if len(models) > MODELS_SAID:
        note(f"  and {len(models) - MODELS_SAID} more models")
    for remark in found.remarks:
        note(remark)
    if not manifest:
        note("to group clips otherwise, list them in a manifest (CSV with the columns clip,model,group)")


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name = CONTROL if name != CONTROL and CONTROL not in taken else f"{name} (control)"
    return name


def _renamed(clips: Sequence[ClipSource], model: str, others: Sequence[ClipSource]) -> list[ClipSource]:
    """As clips of that model, with names that are none of the others'."""
    taken = {source.file_name.casefold() for source in others}
    renamed = []
    for source in clips:
        named = replace(source, model=model)
        if named.file_name.casefold() in taken:
            named = replace(named, name=f"{model}/{source.name}")
        taken.add(named.file_name.casefold())
        renamed.append(named)
    return renamed
