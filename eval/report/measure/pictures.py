"""Which clips get their strip of frames and their path into the page, when there are too many for all."""

import base64
import io
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from eval.results.measure import ClipResult, MeasureReport, Model

log = logging.getLogger(__name__)

LADDER = ((1600, 78), (1280, 74), (1024, 68), (800, 62))
"""Long side in pixels and WebP quality of a strip, best first."""

FAILED_FIRST, OTHERS_FIRST = 4, 2
"""How many of a model's telling and of its unremarkable clips come before anything else."""


def order_clips(r: MeasureReport) -> list[int]:
    """Indices of the clips, those that tell most first: a few of each model, then all that failed or on
    which the rules disagree, then the others. The same report gives the same order."""
    by_model: dict[str, list[int]] = {}
    for index, clip in enumerate(r.clips):
        by_model.setdefault(clip.model, []).append(index)
    first: list[tuple[int, int]] = []
    for indices in by_model.values():
        ranked = sorted(indices, key=lambda i: -_surprise(r, r.clips[i]))
        plain = [i for i in ranked if _surprise(r, r.clips[i]) == 0]
        first += enumerate(dict.fromkeys([*ranked[:FAILED_FIRST], *plain[:OTHERS_FIRST]]))
    taken = [index for _, index in sorted(first)]  # one of each model, then the next of each
    rest = sorted(set(range(len(r.clips))) - set(taken), key=lambda i: (-_surprise(r, r.clips[i]), i))
    return taken + rest


def _surprise(r: MeasureReport, clip: ClipResult) -> int:
    """3: a control clip that fails, 2: rules disagree or poses were not recovered, 1: has notes."""
    said = {verdict.success for verdict in clip.verdicts.values()} - {None}
    failed = clip.recovered is False or clip.failed is not None or False in said
    if failed and r.models.get(clip.model, Model()).control:
        return 3
    return 2 if failed else int(bool(clip.notes or clip.causes))


def embed_strips(r: MeasureReport, order: Sequence[int], run: Path, *, max_bytes: int) -> dict[int, str]:
    """Data URIs by the clip's index, at the best rung of `LADDER` at which all fit; at the last rung those
    that come first in `order`."""
    files = {index: file for index in order if (file := _file(r.clips[index].strip, run)) is not None}
    room = max_bytes * 3 // 4  # base64
    done: dict[int, bytes] = {}
    for side, quality in LADDER[_first_rung(list(files.values()), room) :]:
        done = {}
        used = 0
        for index, file in files.items():
            data = _webp(file, side, quality)
            if used + len(data) > room:
                break
            done[index] = data
            used += len(data)
        else:
            break
    return {
        index: "data:image/webp;base64," + base64.b64encode(data).decode()
        for index, data in done.items()
        if data
    }


def link_to(strip: str | None, run: Path, out: Path) -> str | None:
    """A link from the page to a strip that is not in it; None where it does not lie below the page's folder."""
    file = _file(strip, run)
    folder = out.resolve().parent
    if file is None or not file.is_relative_to(folder):
        return None
    return quote(os.fsencode(file.relative_to(folder).as_posix()))  # a name need not be UTF-8


def _file(strip: str | None, run: Path) -> Path | None:
    """None for what is no file of the run."""
    if not strip:
        return None
    try:
        file = (run / strip).resolve()
        return file if file.is_relative_to(run.resolve()) and file.is_file() else None
    except (OSError, ValueError):
        return None


def _first_rung(files: Sequence[Path], room: int) -> int:
    """The first rung of `LADDER` at which all pictures should fit, estimated from a few."""
    sample = files[:: max(1, len(files) // 5)]
    for index, rung in enumerate(LADDER):
        if sum(len(_webp(file, *rung)) for file in sample) * len(files) <= room * len(sample):
            return index
    return len(LADDER) - 1


def _webp(file: Path, side: int, quality: int) -> bytes:
    """Empty for a file that is no picture: a page with a hole is better than no page."""
    from PIL import Image

    try:
        with Image.open(file) as image:
            picture = image.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        log.warning("left %s out of the report: %s", file, error)
        return b""
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=quality, method=2)
    return buffer.getvalue()
