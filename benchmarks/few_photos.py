"""How well a few photos show what none of them was trained on, by how the training starts, drops out and ends.

    python -m benchmarks.few_photos CAPTURES --only lund_door banana --photos 3 6 9

Photos come with reference cameras, or with those of COLMAP over all photos of the capture. Points and depth come from the
training photos alone. PSNR is the mean over photos that do not train: those that are held out by name, and others up to
`--judges`. Every training is a line of `few_photos.jsonl`; started again the benchmark continues.
"""

import json
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import process_time
from typing import Any

import torch
from tyro.conf import Positional

from benchmarks.output import Table, command
from eval.judging.protocols import split_photos
from eval.pictures.images import psnr
from recon.capture import read_capture
from recon.clip import Clip
from recon.compute.seeds import make_generator
from recon.depth import DepthMaps, multiview_depth
from recon.errors import BridgeError, ReconstructionError
from recon.points import PointCloud
from recon.sfm.anchor import build_anchor
from recon.sfm.reconstruct import reconstruct
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.fitting.choose import Choice, choose_training
from recon.splats.fitting.start_cloud import StartCloud
from recon.splats.render import draw_views
from recon.tracks import Tracks

LENGTHS = (100, 200, 400, 800)
CAP_AT_480, SURFACE_AT_480 = 50_000, 25_000
"""Of `reconstruct` at its 480 px; fewer on smaller pictures, in proportion to their pixels."""
RECIPES: dict[str, tuple[float, float]] = {
    "old": (0.8, 0.0),
    "new": (0.6, 0.3),
    "new, three photos agree": (0.8, 0.3),
    "new, no dropout": (0.6, 0.0),
}
"""Confidence of the depth from which Gaussians start, and dropout."""
OLD = "old"


@dataclass(frozen=True)
class Arguments:
    captures: Positional[Path]
    """Folder of captures."""
    only: tuple[str, ...] = ()
    """Names of captures; all where none is given."""
    photos: tuple[int, ...] = (3, 6, 9)
    """Numbers of training photos."""
    seeds: tuple[int, ...] = (0, 1)
    max_side: int = 320
    judges: int = 12
    out: Path = Path("runs/few_photos")


@dataclass(frozen=True)
class Case:
    """Training photos of a capture, what is known of them, and the photos that judge."""

    name: str
    training: Clip
    judging: Clip
    heldout: tuple[str, ...]
    """Names of the judging photos that are held out by name."""
    points: PointCloud
    tracks: Tracks
    maps: DepthMaps | None

    @cached_property
    def share(self) -> float:
        """Of the pixels of pictures of 480 px."""
        return (max(self.training.width, self.training.height) / 480) ** 2

    def start(self, least_confidence: float) -> StartCloud:
        return StartCloud(
            self.points, self.tracks, self.maps, round(SURFACE_AT_480 * self.share), least_confidence
        )

    def options(self, dropout: float, iterations: int) -> FitOptions:
        return FitOptions(iterations=iterations, dropout=dropout, cap=round(CAP_AT_480 * self.share))


def main(arguments: Arguments) -> None:
    captures = sorted(p for p in arguments.captures.iterdir() if p.is_dir())
    captures = [p for p in captures if not arguments.only or p.name in arguments.only]
    if not captures:
        raise BridgeError(
            f"expected captures below {arguments.captures}, found none of that name; see --only"
        )
    arguments.out.mkdir(parents=True, exist_ok=True)
    log = Log(arguments.out / "few_photos.jsonl")
    for capture in captures:
        for photos in arguments.photos:
            case = load_case(capture, photos, arguments)
            if case is not None:
                for seed in arguments.seeds:
                    measure(case, log, {"capture": capture.name, "photos": photos, "seed": seed})
    print(f"written: {log.path}")


class Log:
    """Lines of JSON, of which each is measured once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            self.rows = [json.loads(line) for line in path.read_text().splitlines()]

    def has(self, key: dict[str, Any]) -> bool:
        return any(key.items() <= row.items() for row in self.rows)

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps({k: v for k, v in row.items() if k != "psnr_by_photo"}), flush=True)


def measure(case: Case, log: Log, about: dict[str, Any]) -> None:
    """Every recipe at every length, and which length leaving photos out would choose."""
    for recipe, (least_confidence, dropout) in RECIPES.items():
        start = case.start(least_confidence)
        for length in LENGTHS if recipe != OLD else LENGTHS[-1:]:
            key = about | {"recipe": recipe, "iterations": length}
            if not log.has(key):
                log.add(key | fit(case, start, case.options(dropout, length), about["seed"]))
        key = about | {"recipe": recipe, "chosen": True}
        if recipe != OLD and not log.has(key):
            candidates = [case.options(dropout, length) for length in LENGTHS]
            generator, began = make_generator(about["seed"], 2), process_time()
            choice = choose_training(case.training, start, candidates, generator=generator)
            log.add(key | describe(choice, process_time() - began))


def fit(case: Case, start: StartCloud, options: FitOptions, seed: int) -> dict[str, Any]:
    generator, began = make_generator(seed, 1), process_time()
    cloud = start.draw(case.training, range(len(case.training)), generator)
    scene = fit_gaussians(case.training, cloud, options=options, generator=generator).gaussians
    cpu_seconds = process_time() - began
    seen = draw_views(scene, case.judging.require_cameras()).images.clamp(0, 1)
    each = psnr(seen, case.judging.images).tolist()
    held = [value for name, value in zip(case.judging.names, each, strict=True) if name in case.heldout]
    return {
        "psnr": round(sum(each) / len(each), 3),
        "heldout_psnr": round(sum(held) / len(held), 3),
        "gaussians": len(scene),
        "cpu_seconds": round(cpu_seconds, 2),
    }


def describe(choice: Choice, cpu_seconds: float) -> dict[str, Any]:
    return {
        "chosen_iterations": choice.options.iterations,
        "psnr_by_photo": [[round(v, 3) for v in row] for row in choice.psnr.tolist()],
        "cpu_seconds": round(cpu_seconds, 2),
    }


def load_case(capture: Path, photos: int, arguments: Arguments) -> Case | None:
    """None where the capture has too few photos."""
    kept = arguments.out / "cases" / f"{capture.name}-{photos}-{arguments.max_side}.pt"
    if kept.exists():
        return torch.load(kept, weights_only=False)
    kept.parent.mkdir(exist_ok=True)
    clip = load_posed(capture, arguments.out)
    split = split_photos(clip.names, views=photos)
    if len(split.training) < photos:
        return None
    training = sorted(map(clip.names.index, split.training))
    others = sorted(map(clip.names.index, split.unused))
    room = max(0, arguments.judges - len(split.heldout))
    if len(others) > room:
        others = [others[int((2 * i + 1) * len(others) / (2 * room))] for i in range(room)]
    judging = sorted([*map(clip.names.index, split.heldout), *others])
    anchor = build_anchor(clip[training], arguments.out / ".anchor")
    small = clip.limit_size(arguments.max_side)
    try:
        maps = multiview_depth(small[training], points=anchor.points)
    except ReconstructionError:
        maps = None
    case = Case(
        capture.name, small[training], small[judging], split.heldout, anchor.points, anchor.tracks, maps
    )
    torch.save(case, kept)
    return case


def load_posed(capture: Path, out: Path) -> Clip:
    """All photos with cameras: reference cameras, or those of COLMAP over all of them."""
    kept = out / "cases" / f"{capture.name}.pt"
    if kept.exists():
        return torch.load(kept, weights_only=False)
    read = read_capture(capture, max_side=1280, resize_mixed=True)
    clip: Clip | None = read.clip
    if read.clip.cameras is None:
        focals = [focal for focal in read.focals_px if focal]
        prior = float(torch.tensor(focals).median()) if focals else None
        clip = reconstruct(read.clip, out / ".sfm", focal_prior_px=prior).clip
        shutil.rmtree(out / ".sfm", ignore_errors=True)
    if clip is None:
        raise BridgeError(f"expected photos that COLMAP can register, got {capture}; leave it out by --only")
    order = sorted(range(len(clip)), key=clip.names.__getitem__)
    clip = replace(clip[order], times_s=None, confidence=None)
    torch.save(clip, kept)
    return clip


def table(rows: list[dict[str, Any]]) -> Table:
    raise NotImplementedError


if __name__ == "__main__":
    command(main, Arguments, __doc__)
