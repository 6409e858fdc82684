"""Find the clips to measure, the model of each, and which model is the control."""

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
"""Name of a control that pools clips of several models."""
MAX_PRINTED_CLIPS = 3
"""Clips of a model that are named before the work starts: one line; the report lists all."""
MAX_PRINTED_MODELS = 12
"""Models that are listed then: a terminal has 24 lines."""


@dataclass(frozen=True)
class ClipModels:
    """The clips of a measurement, sorted by model."""

    sources: list[ClipSource]
    control: str | None
    """The name of the model of real clips; None without a control."""
    passed_over: list[tuple[str, str]]
    """(file, reason)"""
    remarks: list[str]
    """Sentences on how clips were assigned to models."""


def find_models(clips: Path, options: MeasureOptions) -> ClipModels:
    """Find all clips, with their models and the control.

    Raises:
        CaptureError: no clips, or a control that does not exist or holds generated clips too.
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
    name = _find_free_name(pooled[0] if len(pooled) == 1 else CONTROL, {source.model for source in sources})
    if len(pooled) > 1:
        remarks.append(f"The control is one model of the clips of {', '.join(pooled)}.")
    return ClipModels(
        [*sources, *_assign_model(beside.sources, name, sources)], name, [*skipped, *beside.skipped], remarks
    )


def print_models(found: ClipModels, *, manifest: bool) -> None:
    """Print which clips are taken for which model, and how to group them otherwise."""
    models: dict[str, list[str]] = {}
    for source in found.sources:
        models.setdefault(source.model, []).append(source.name)
    groups = len({source.group for source in found.sources} - {""})
    grouped = f", {groups} groups" if groups else ""
    note(f"{count_noun(len(found.sources), 'clip')} of {count_noun(len(models), 'model')}{grouped}:")
    for model, names in list(models.items())[:MAX_PRINTED_MODELS]:
        more = f" and {len(names) - MAX_PRINTED_CLIPS} more" if len(names) > MAX_PRINTED_CLIPS else ""
        role = ", the control" if model == found.control else ""
        note(f"  {model} ({len(names)}{role}): {', '.join(names[:MAX_PRINTED_CLIPS])}{more}")
    if len(models) > MAX_PRINTED_MODELS:
        note(f"  and {len(models) - MAX_PRINTED_MODELS} more models")
    for remark in found.remarks:
        note(remark)
    if not manifest:
        note("to group clips otherwise, list them in a manifest (CSV with the columns clip,model,group)")


def _find_free_name(name: str, taken: set[str]) -> str:
    """A name for the control that no other model has."""
    while name in taken:
        name = CONTROL if name != CONTROL and CONTROL not in taken else f"{name} (control)"
    return name


def _assign_model(clips: Sequence[ClipSource], model: str, others: Sequence[ClipSource]) -> list[ClipSource]:
    """Make clips those of a model, renamed where another clip has the name of their file."""
    taken = {source.file_name.casefold() for source in others}
    assigned = []
    for source in clips:
        named = replace(source, model=model)
        if named.file_name.casefold() in taken:
            named = replace(named, name=f"{model}/{source.name}")
        taken.add(named.file_name.casefold())
        assigned.append(named)
    return assigned
