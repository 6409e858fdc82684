"""What does the depth network add where few photos are given? Both ways to fill in depth beside each other.

    python -m benchmarks.learned_depth [--captures ../shared/captures] [--only places pi3_room lund_door]

*search* is `multiview_depth` as it is by default, *learned* the same with `method="learned"`. Photos are spread evenly over the
capture, 3, 6 and 9 of them or as many as there are; cameras are known. `places` are procedural places of another seed than
the training's, at 320 px, with cameras that are slightly wrong as structure from motion leaves them; all pixels that hit
something count. pi3_room has exact cameras and depth; all its pixels count, at 400 px. Of other captures the cameras are
those of the own structure from motion from all photos; half of its points, drawn at random, are kept from the search and
measured in the photos that observe them. Given are the points that two of the chosen photos observe. *chance error* is how
far the stated probability of being within 2% is off where photos do not agree: the mean over ten equally filled bins of the
absolute difference (expected calibration error). *mean* counts errors above 1 as 1.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from benchmarks.depth import Scene, observations, point_errors, read_scene, true_depth
from benchmarks.machine import describe_machine
from benchmarks.output import command
from bridge4d.runs.run import open_run
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.depth.learned import DepthWeights, LearnedSearch, load_depth_weights
from recon.depth.multiview import Method
from recon.depth.search import DepthSearch
from recon.points import PointCloud
from worldgen.depth_training.calibrate import calibration_error
from worldgen.depth_training.samples import seen_twice
from worldgen.depth_training.shots import HELD_OUT_EVERY, load_shot, make_shot, save_shot, shot_path

CONFIRMED = 0.5
"""Confidence above which photos agree on a depth."""


@dataclass(frozen=True)
class Arguments:
    captures: Path = Path("../shared/captures")
    only: tuple[str, ...] = ("places", "pi3_room", "lund_door", "buddha", "banana", "brighton")
    """Names of captures; `places` are the procedural ones."""
    counts: tuple[int, ...] = (3, 6, 9)
    """Photos that are given."""
    places: int = 8
    """Procedural places."""
    seed: int = 7
    """Of the places; the training has 0."""
    sfm: Path = Path("runs/depth_sfm")
    """Keeps structure from motion, as `benchmarks.depth` does."""
    made: Path = Path("runs/depth_places")
    """Keeps the places of one seed."""
    weights: Path | None = None
    """Of the network; None for those of the package."""


@dataclass(frozen=True)
class Errors:
    """Relative errors of depth, and what was stated of them."""

    error: Float[Tensor, "q"]
    confidence: Float[Tensor, "q"]


@dataclass(frozen=True)
class Case:
    """Photos to search, what is given, and how depth maps of them are judged."""

    clip: Clip
    points: PointCloud
    truth: Float[Tensor, "n h w"] | None
    """0 where unknown; None where points judge."""
    held_out: Scene | None
    """The same photos with the points that are kept from the search."""

    def judge(self, maps: DepthMaps) -> Errors:
        """Relative errors at all pixels, or at the points that were held out."""
        if self.truth is not None:
            known = self.truth > 0
            error = (maps.depth - self.truth).abs()[known] / self.truth[known]
            return Errors(error, maps.confidence[known])
        assert self.held_out is not None
        everywhere = torch.ones_like(maps.depth, dtype=torch.bool)
        error, _ = point_errors(maps.depth, everywhere, self.held_out)
        _, _, at, _ = observations(self.held_out, *maps.depth.shape[1:])
        return Errors(error, maps.confidence[at])


def main(arguments: Arguments) -> None:
    print(describe_machine(torch.get_num_threads()))
    print(
        "set photos method | median % | within 2% | within 5% | mean % | confirmed %, within 2% of these | chance error"
    )
    weights = load_depth_weights(arguments.weights)
    for name in arguments.only:
        for count in arguments.counts:
            found: dict[Method, list[Errors]] = defaultdict(list)
            cases = (
                place_cases(arguments, count) if name == "places" else capture_cases(arguments, name, count)
            )
            for case in cases:
                for method, maps in both_depths(case, weights).items():
                    found[method].append(case.judge(maps))
            for method, errors in found.items():
                report(name, count, method, errors)


def both_depths(case: Case, weights: DepthWeights) -> dict[Method, DepthMaps]:
    """What `multiview_depth` gives by either method, from one search; each completes the same."""
    search = LearnedSearch(case.clip, points=case.points, weights=weights)
    search.search_all()
    plain = [DepthSearch.finish(search, i) for i in range(len(case.clip))]
    inverse, sure = (torch.from_numpy(np.stack(part)) for part in zip(*plain, strict=True))
    return {"search": DepthMaps(1 / inverse, sure), "learned": search.complete()}


def report(name: str, count: int, method: Method, errors: list[Errors]) -> None:
    error = torch.cat([part.error for part in errors])
    stated = torch.cat([part.confidence for part in errors])
    sure = stated > CONFIRMED
    off = (
        f"{calibration_error(stated[~sure] / 0.3, (error[~sure] < 0.02).float()):.3f}"
        if method == "learned"
        else "–"
    )
    print(
        f"{name:10} {count} {method:7} | {100 * error.median():.2f} | {within(error, 0.02):.1f} | {within(error, 0.05):.1f} | "
        f"{100 * error.clamp(max=1).mean():.1f} | {100 * sure.float().mean():.0f} {within(error[sure], 0.02):.0f} | {off}",
        flush=True,
    )


def within(error: Float[Tensor, "q"], bound: float) -> float:
    """Share of errors below a bound, percent."""
    return 100 * float((error < bound).float().mean()) if len(error) else float("nan")


def spread_evenly(total: int, count: int) -> list[int]:
    """`count` of `total` photos in order, from the first to the last; all where there are fewer."""
    count = min(total, count)
    return [round(k * (total - 1) / (count - 1)) for k in range(count)]


def place_cases(arguments: Arguments, count: int) -> Iterator[Case]:
    for number in range(arguments.places):
        index = HELD_OUT_EVERY * (number + 1) - 1  # numbers of held-out places, which have nine photos
        path = shot_path(arguments.made, index)
        if not path.exists():
            save_shot(make_shot(index, arguments.seed, width=320, height=240), path)
        shot = load_shot(path)
        picks = spread_evenly(len(shot.clip), count)
        yield Case(shot.clip[picks].load(), seen_twice(shot, picks), shot.depth[picks], None)


def capture_cases(arguments: Arguments, name: str, count: int) -> Iterator[Case]:
    with open_run(arguments.sfm) as run:
        scene = read_scene(run, arguments.captures / name)
    picks = spread_evenly(len(scene.clip), count)
    part = scene[picks]
    seen: Bool[Tensor, "p"] = part.observed.sum(0) >= 2
    truth = true_depth(arguments.captures / name, scene.clip)
    if truth is not None:
        yield Case(part.clip, part.points[seen], truth[picks], None)
        return
    kept = torch.from_numpy(np.random.default_rng(0).random(len(seen)) < 0.5)
    held = Scene(part.clip, part.points, part.observed & ~kept, part.tracks)
    yield Case(part.clip, part.points[seen & kept], None, held)


if __name__ == "__main__":
    command(main, Arguments, __doc__)
