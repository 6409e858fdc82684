"""Choose how long to train, by leaving training photos out in turn."""

from pathlib import Path
from typing import TypedDict

import torch

from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages import depth, sfm
from recon.splats.fit import FitOptions
from recon.splats.fitting import choose
from recon.splats.fitting.choose import LEAST_PHOTOS

VERSION = 1


class ChoiceRecord(TypedDict):
    """``choose.json``."""

    iterations: int
    """How long to train."""
    why: str
    """In words."""
    lengths: list[int]
    """Iterations that were compared; none where there were too few photos."""
    left_out: list[str]
    """Names of the photos that were left out in turn."""
    psnr: list[list[float]]
    """Of each of them at each length, dB."""


def choose_length(
    cameras: Path,
    surfaces: Path,
    out: Path,
    *,
    options: FitOptions,
    max_side: int,
    max_points: int,
    generator: torch.Generator,
) -> None:
    """Train on all training photos but one at several lengths, and take the length that shows the left-out ones best.

    Args:
        cameras: what `sfm.recover_cameras` wrote.
        surfaces: what `depth.estimate_depth` wrote.
        out: an empty folder, made where it is absent; gets ``choose.json``.
        options: of the training; its `iterations` are the longest that is asked about.
        max_side: long side in pixels of the photos that will be trained on.
        max_points: upper bound of the surface points to start from.
    """
    out.mkdir(parents=True, exist_ok=True)
    photos = sfm.load_photos(cameras, max_side)
    if len(photos) < LEAST_PHOTOS:
        said = f"of {len(photos)} photos none can be left out to choose by"
        record = ChoiceRecord(iterations=options.iterations, why=said, lengths=[], left_out=[], psnr=[])
        return write_json(out / "choose.json", record)
    start = depth.load_start_cloud(cameras, surfaces, max_points)
    choice = choose.choose_length(photos, start, options, generator=generator)
    write_json(
        out / "choose.json",
        ChoiceRecord(
            iterations=choice.options.iterations,
            why=choice.reason,
            lengths=[compared.iterations for compared in choice.compared],
            left_out=list(choice.left_out),
            psnr=[[round(value, 3) for value in row] for row in choice.psnr.tolist()],
        ),
    )


def load_record(folder: Path) -> ChoiceRecord:
    """What `choose_length` wrote down.

    Raises:
        DamagedFileError: it is not what was written.
    """
    return read_typed(folder / "choose.json", ChoiceRecord)
