"""Score a scene on photos that nothing else has seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from jaxtyping import Float
from torch import Tensor

from bridge4d.runs import store
from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages.splats import SCENE_FILE
from eval.pictures import images, perceptual
from eval.results.metric import Metric
from recon.clip import Clip
from recon.pictures.canvas import Box, find_boxes
from recon.scenefiles import read_scene
from recon.splats.render import draw_views

VERSION = 2


class ScoreRecord(TypedDict):
    """``score.json``; lists are per view."""

    names: list[str]
    psnr: list[float]
    ssim: list[float]
    perceptual: list[float] | None
    perceptual_note: str
    """Name of the network, or why there is none."""


@dataclass(frozen=True)
class Score:
    """One scene on the held-out views; lists are per view, in the order of `names`."""

    names: tuple[str, ...]
    psnr: tuple[float, ...]
    ssim: tuple[float, ...]
    perceptual: tuple[float, ...] | None
    perceptual_note: str

    @property
    def mean_psnr(self) -> float:
        return sum(self.psnr) / len(self.psnr)


def score_scene(scene: Path, heldout: Clip, out: Path) -> None:
    """Render a scene from the held-out cameras and compare, each photo without its canvas.

    Args:
        scene: what `splats.fit_splats` wrote.
        heldout: photos with cameras.
        out: an empty folder, made where it is absent; gets the pictures and ``score.json``.
    """
    out.mkdir(parents=True, exist_ok=True)
    gaussians = read_scene(scene / SCENE_FILE).gaussians
    seen = draw_views(gaussians, heldout.require_cameras()).images.float().clamp(0, 1)
    boxes = find_boxes(heldout)
    for i, name in enumerate(heldout.names):
        store.save_picture(boxes[i].crop(seen[i]), out / f"{Path(name).stem}.png")
    write_json(out / "score.json", _compare(seen, heldout, boxes))


def _compare(seen: Float[Tensor, "n h w 3"], heldout: Clip, boxes: Sequence[Box]) -> ScoreRecord:
    """Figures of every view over the pixels of its photo: pictures of one box are compared together."""
    n = len(heldout)
    psnr, ssim, distances = [0.0] * n, [0.0] * n, [0.0] * n
    network = perceptual.load()
    note, measured = "", True
    for box in dict.fromkeys(boxes):
        rows = [i for i in range(n) if boxes[i] == box]
        ours, theirs = (part[rows][:, box.rows, box.columns] for part in (seen, heldout.images))
        distance = perceptual.perceptual_distance(ours, theirs, network=network)
        measured = measured and isinstance(distance, Metric)
        note = distance.name if isinstance(distance, Metric) else distance.reason
        known = distance.defined_values if isinstance(distance, Metric) else [0.0] * len(rows)
        figures = images.psnr(ours, theirs).tolist(), images.ssim(ours, theirs).tolist(), known
        for row, a, b, c in zip(rows, *figures, strict=True):
            psnr[row], ssim[row], distances[row] = a, b, c
    return {
        "names": list(heldout.names),
        "psnr": psnr,
        "ssim": ssim,
        "perceptual": distances if measured else None,
        "perceptual_note": note,
    }


def load_score(folder: Path) -> Score:
    """What `score_scene` found.

    Raises:
        DamagedFileError: it is not what was written.
    """
    record: ScoreRecord = read_typed(folder / "score.json", ScoreRecord)
    return Score(
        names=tuple(record["names"]),
        psnr=tuple(record["psnr"]),
        ssim=tuple(record["ssim"]),
        perceptual=None if record["perceptual"] is None else tuple(record["perceptual"]),
        perceptual_note=record["perceptual_note"],
    )
