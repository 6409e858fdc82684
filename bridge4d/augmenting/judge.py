"""What a scene is worth on photos that nothing else has seen."""

from dataclasses import dataclass
from pathlib import Path

import torch

from bridge4d.runs import store
from bridge4d.runs.run import Run
from bridge4d.runs.stored_json import read_json, write_json
from eval.pictures import images, perceptual
from eval.results.metric import Metric
from eval.stats import intervals
from recon.clip import Clip
from recon.scenefiles import read_scene
from recon.splats.render import draw_views

EVAL_VERSION = 1
"""Of the stages ``eval/<scene>``; raised when what they write of the same input changes."""


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


def judge(run: Run, scene: str, fingerprint: str, heldout: Clip) -> Score:
    """Renders `splats/<scene>` from the held-out cameras; pictures and scores go to `eval/<scene>`."""

    def work(folder: Path) -> None:
        gaussians = read_scene(run.folder / "splats" / scene / "scene.ply").gaussians
        seen = draw_views(gaussians, heldout.require_cameras()).images.float().clamp(0, 1)
        for i, name in enumerate(heldout.names):
            store.save_picture(seen[i], folder / f"{Path(name).stem}.png")
        distance = perceptual.perceptual_distance(seen, heldout.images)
        write_json(
            folder / "score.json",
            {
                "names": list(heldout.names),
                "psnr": images.psnr(seen, heldout.images).tolist(),
                "ssim": images.ssim(seen, heldout.images).tolist(),
                "perceptual": list(distance.values) if isinstance(distance, Metric) else None,
                "perceptual_note": distance.name if isinstance(distance, Metric) else distance.reason,
            },
        )

    done = run.stage(
        f"eval/{scene}",
        work,
        version=EVAL_VERSION,
        depends_on={"perceptual metric": str(perceptual.load())[:40]},
        earlier={f"splats/{scene}": fingerprint, "heldout": store.clip_fingerprint(heldout)},
    )
    score = read_json(done.folder / "score.json")
    return Score(
        names=tuple(score["names"]),
        psnr=tuple(score["psnr"]),
        ssim=tuple(score["ssim"]),
        perceptual=None if score["perceptual"] is None else tuple(score["perceptual"]),
        perceptual_note=score["perceptual_note"],
    )


def compare(
    before: tuple[float, ...], after: tuple[float, ...], *, higher_is_better: bool, seed: int
) -> dict:
    """A metric of both scenes, with the mean gain (positive is better) and its 95% bootstrap interval over views."""
    sign = 1 if higher_is_better else -1
    gains = [sign * (b - a) for a, b in zip(before, after, strict=True)]
    interval = intervals.bootstrap_mean95(gains, generator=torch.Generator().manual_seed(seed))
    return {
        "photos_only": _round(sum(before) / len(before)),
        "augmented": _round(sum(after) / len(after)),
        "gain": _round(sum(gains) / len(gains)),
        "gain_interval95": None if interval is None else [_round(interval[0]), _round(interval[1])],
        "worst_view_gain": _round(min(gains)),
        "per_view": {"photos_only": [_round(v) for v in before], "augmented": [_round(v) for v in after]},
    }


def _round(value: float) -> float:
    return round(float(value), 4)
