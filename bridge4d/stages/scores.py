"""Score a scene on photos that nothing else has seen."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from bridge4d.runs import store
from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages.splats import SCENE_FILE
from eval.pictures import images, perceptual
from eval.results.metric import Metric
from recon.clip import Clip
from recon.scenefiles import read_scene
from recon.splats.render import draw_views

VERSION = 1


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
    """Render a scene from the held-out cameras and compare.

    Args:
        scene: what `splats.fit_splats` wrote.
        heldout: photos with cameras.
        out: an empty folder, made where it is absent; gets the pictures and ``score.json``.
    """
    out.mkdir(parents=True, exist_ok=True)
    gaussians = read_scene(scene / SCENE_FILE).gaussians
    seen = draw_views(gaussians, heldout.require_cameras()).images.float().clamp(0, 1)
    for i, name in enumerate(heldout.names):
        store.save_picture(seen[i], out / f"{Path(name).stem}.png")
    distance = perceptual.perceptual_distance(seen, heldout.images)
    record: ScoreRecord = {
        "names": list(heldout.names),
        "psnr": images.psnr(seen, heldout.images).tolist(),
        "ssim": images.ssim(seen, heldout.images).tolist(),
        "perceptual": list(distance.defined_values) if isinstance(distance, Metric) else None,
        "perceptual_note": distance.name if isinstance(distance, Metric) else distance.reason,
    }
    write_json(out / "score.json", record)


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
