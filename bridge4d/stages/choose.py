"""Choose how long to train, by leaving training photos out in turn."""

from dataclasses import replace
from pathlib import Path
from typing import TypedDict

import torch

from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages import depth, sfm
from bridge4d.stages.splats import ANNOUNCED_FROM
from recon.compute.progress import note
from recon.splats.fit import FitOptions
from recon.splats.fitting import choose
from recon.splats.fitting.choose import LEAST_PHOTOS

VERSION = 2


class ChoiceRecord(TypedDict):
    """``choose.json``."""

    iterations: int
    """How long to train."""
    dropout: float
    """Share of the Gaussians that is left out at the end."""
    why: str
    """In words."""
    lengths: list[int]
    """Iterations that were compared; none where there were too few photos."""
    dropouts: list[float]
    """Dropout that these were trained with."""
    left_out: list[str]
    """Names of the photos that were left out in turn."""
    psnr: list[list[float]]
    """Of each of them by each training, dB."""


def choose_training(
    cameras: Path,
    surfaces: Path,
    out: Path,
    *,
    options: FitOptions,
    max_side: int,
    max_points: int,
    try_without_dropout: bool,
    generator: torch.Generator,
) -> None:
    """Train on all training photos but one at several lengths, and take what shows the left-out ones best.

    Args:
        cameras: what `sfm.recover_cameras` wrote.
        surfaces: what `depth.estimate_depth` wrote.
        out: an empty folder, made where it is absent; gets ``choose.json``.
        options: of the training; its `iterations` are the longest that is asked about.
        max_side: long side in pixels of the photos that will be trained on.
        max_points: upper bound of the surface points to start from.
        try_without_dropout: whether the best length is also tried without the dropout of `options`.
    """
    out.mkdir(parents=True, exist_ok=True)
    photos = sfm.open_photos(cameras, max_side)
    if len(photos) < LEAST_PHOTOS:
        said = f"of {len(photos)} photos none can be left out to choose by"
        few = min(choose.LENGTH_OF_FEW, options.iterations)
        return write_json(out / "choose.json", _record(replace(options, iterations=few), said))
    start = depth.load_start_cloud(cameras, surfaces, max_points)
    if options.iterations >= ANNOUNCED_FROM:
        minutes = choose.estimate_choice(photos, start, options) / 60
        note(f"choosing how long to train: at most about {minutes:.0f} min")
    choice = choose.choose_training(
        photos, start, options, generator=generator, try_without_dropout=try_without_dropout
    )
    write_json(out / "choose.json", _record(choice.options, choice.reason, choice))


def _record(options: FitOptions, why: str, choice: choose.Choice | None = None) -> ChoiceRecord:
    compared = () if choice is None else choice.compared
    return ChoiceRecord(
        iterations=options.iterations,
        dropout=options.dropout,
        why=why,
        lengths=[kind.iterations for kind in compared],
        dropouts=[kind.dropout for kind in compared],
        left_out=[] if choice is None else list(choice.left_out),
        psnr=[] if choice is None else [[round(value, 3) for value in row] for row in choice.psnr.tolist()],
    )


def load_record(folder: Path) -> ChoiceRecord:
    """What `choose_training` wrote down.

    Raises:
        DamagedFileError: it is not what was written.
    """
    return read_typed(folder / "choose.json", ChoiceRecord)
