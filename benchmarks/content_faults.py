"""Does the check of content find what is wrong in a frame whose background is right, and leave right frames alone?

    python -m benchmarks.content_faults [--places 18] [--first 91000] [--captures CAPTURES]

Procedural places that nothing was trained on, six photos each with the faults of a phone and of structure from motion; depth is found
from these alone. Frames are clean pictures from two other cameras. In each up to two things that stand out in front are *moved* by 2% of
the long side in any direction, *doubled* beside themselves, or *torn* (the lower half aside by 2%); the hole is painted in from around.

A fault is *shown* where enough of the frame is compared for a check, and photos that count show a thousandth of the frame or more of what it
changes by more than 0.06. A shown fault is
*found* where contradicted regions cover at least 30% of that. Of all regions, in faulty and clean frames alike, those that touch
changed pixels are *right*, the others *false*. Intervals are Wilson's 95%; faults and regions of one place are not independent.

With --captures, frames of real captures with reference cameras: photos that were left out, clean by definition, and what `--models` make
of the same views from six and nine photos.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.output import Table, command
from benchmarks.view_tasks import ViewArguments, tasks
from bridge4d.stages.content import move_photos
from eval.judging.content import check_content, find_regions
from eval.stats.intervals import wilson95
from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.seeds import make_generator
from recon.depth import DepthMaps, multiview_depth
from worldgen.model import Request
from worldgen.registry import load_model
from worldgen.rollout import rollout
from worldgen.scenes import Shot, sample_shot

SIZE = (320, 240)
MOVED = 0.02
"""Of the long side."""
FOUND = 0.3
"""Share of changed pixels that are shown."""
SMALLEST = 0.001
"""Share of the frame that a fault must change."""
CHANGED = 0.06
"""Largest difference of a channel from which a pixel is changed."""
LEAST_THING, LARGEST_THING = 0.004, 0.15
"""Share of the frame that a thing takes: smaller ones move by more than themselves, larger ones are walls."""
STANDS_OUT = 1.04
"""How much farther away its surroundings are: 4% is twice what depth may err by and still be confirmed."""
BORDER = 3
"""Pixels between a thing and the frame's border."""
THINGS = 2
"""The largest in a frame."""


@dataclass(frozen=True)
class Arguments:
    places: int = 18
    first: int = 91000
    """Seed of the first place; limits were chosen on 50000 to 50017 and 90001 to 90004."""
    photos: int = 6
    captures: Path | None = None
    """Folder of captures; those with reference cameras take part."""
    only: tuple[str, ...] = ()
    """Names of captures; all where none is given."""
    models: str = "warp,bridge"
    limit: int = 8
    """At most so many photos left out a capture, evenly spaced."""


def main(arguments: Arguments) -> None:
    if arguments.captures is not None:
        print(judge_captures(arguments, arguments.captures))
        return
    counts, frames = Counter(), Counter()
    for place in range(arguments.first, arguments.first + arguments.places):
        generator = make_generator(place)
        shot = sample_shot(generator, width=SIZE[0], height=SIZE[1], contexts=arguments.photos, targets=2)
        maps = multiview_depth(shot.context, points=shot.points)
        for t in range(len(shot.truth)):
            judge_place(shot, t, maps, generator, counts, frames)
        print(place, dict(counts), dict(frames), flush=True)
    table = Table(["fault", "planted", "shown", "found", "recall", "95%"])
    for kind in ("moved", "doubled", "torn", "all"):
        found, shown = counts[kind, "found"], counts[kind, "shown"]
        table.add(kind, counts[kind, "planted"], shown, found, *rate(found, shown))
    regions = frames["right"] + frames["false"]
    print(f"\n{table}\n\nregions: {frames['right']} right, {frames['false']} false; precision, 95%:", end=" ")
    print(*rate(frames["right"], regions))
    print(
        f"clean frames: {frames['clean']}, of them checked: {frames['checked']}, accused: {frames['accused']},",
        end=" ",
    )
    print(f"with {frames['accused regions']} regions;", end=" ")
    print(f"contradicted {share(frames['contradicted'], frames['compared'])} of what was compared,", end=" ")
    print(f"which is {share(frames['compared'], frames['clean'] * SIZE[0] * SIZE[1])} of all pixels")


def judge_place(
    shot: Shot, t: int, maps: DepthMaps, generator: torch.Generator, counts: Counter, frames: Counter
) -> None:
    """Count what is found in a clean frame and in it with each fault."""
    clean = shot.truth.images[t]
    rays, moved = move_photos(shot.context, maps, shot.truth.require_cameras()[[t]])
    check = check_content(clean, rays, moved)
    accused = find_regions(check.contradicted)
    frames.update(
        {
            "clean": 1,
            "checked": check.share is not None,
            "accused": bool(accused),
            "accused regions": len(accused),
            "false": len(accused),
            "compared": int(check.compared.sum()),
            "contradicted": int(check.contradicted.sum()),
        }
    )
    for thing in pick_things(shot.parts[t].numpy(), shot.depth[t].numpy()):
        for kind, faulty in plant(clean, thing, generator):
            changed = (faulty - clean).abs().amax(-1) > CHANGED
            if changed.float().mean() < SMALLEST:
                continue
            found = check_content(faulty, rays, moved).contradicted
            for region in find_regions(found):
                frames["right" if bool((region & changed).any()) else "false"] += 1
            # what the clean frame is compared by: a fault must not decide whether it counts
            visible = changed & check.compared
            shown = check.share is not None and bool(visible.float().mean() >= SMALLEST)
            hit = shown and bool((found & visible).sum() >= FOUND * visible.sum())
            for name in (kind, "all"):
                counts.update({(name, "planted"): 1, (name, "shown"): shown, (name, "found"): hit})


def pick_things(parts: np.ndarray, depth: np.ndarray) -> list[np.ndarray]:
    """Masks of the largest connected regions of one part of the place that stand out in front, away from the border."""
    h, w = parts.shape
    z = np.where(depth > 0, depth, 2 * depth.max() + 1)
    found = []
    for part in np.unique(parts[parts >= 0]):
        n, labels, stats, _ = cv2.connectedComponentsWithStats((parts == part).astype(np.uint8))
        for i in range(1, n):
            x, y, width, height, area = stats[i]
            inside = min(x, y, w - x - width, h - y - height) >= BORDER
            if not inside or not LEAST_THING <= area / (h * w) <= LARGEST_THING:
                continue
            mask = labels == i
            ring = _grow(mask, 4) & ~_grow(mask, 1)
            if np.median(z[ring]) > STANDS_OUT * np.median(z[mask]):
                found.append((area, _grow(mask, 1)))
    return [mask for _, mask in sorted(found, key=lambda pair: -pair[0])[:THINGS]]


def plant(
    clean: Float[Tensor, "h w 3"], thing: np.ndarray, generator: torch.Generator
) -> Iterator[tuple[str, Float[Tensor, "h w 3"]]]:
    """The frame with each fault."""
    picture = (clean.numpy() * 255).round().clip(0, 255).astype(np.uint8)
    empty = cv2.inpaint(picture, _grow(thing, 2).astype(np.uint8), 5, cv2.INPAINT_TELEA)
    turn = float(torch.rand(1, generator=generator)) * 2 * np.pi
    step = MOVED * max(picture.shape)
    side = 1 if turn < np.pi else -1
    yield (
        "moved",
        _to_tensor(_paste(empty, picture, thing, round(step * np.cos(turn)), round(step * np.sin(turn)))),
    )
    aside = max(round(step), int(np.ptp(np.nonzero(thing.any(0))[0]) + 1) // 2)
    yield "doubled", _to_tensor(_paste(_paste(picture, picture, thing, side * aside), picture, thing))
    lower = thing.copy()
    lower[: int(np.nonzero(thing.any(1))[0].mean())] = False
    torn = _paste(np.where(thing[..., None], empty, picture), picture, thing & ~lower)
    yield "torn", _to_tensor(_paste(torn, picture, lower, side * round(step)))


def _paste(
    onto: np.ndarray, picture: np.ndarray, thing: np.ndarray, right: int = 0, down: int = 0
) -> np.ndarray:
    move, size = np.array([[1, 0, right], [0, 1, down]], np.float32), thing.shape[::-1]
    where = cv2.warpAffine(thing.astype(np.uint8), move, size) > 0
    return np.where(where[..., None], cv2.warpAffine(picture, move, size), onto)


def _grow(mask: np.ndarray, px: int) -> np.ndarray:
    return cv2.dilate(mask.astype(np.uint8), np.ones((2 * px + 1, 2 * px + 1))) > 0


def _to_tensor(picture: np.ndarray) -> Float[Tensor, "h w 3"]:
    return torch.from_numpy(picture.astype(np.float32) / 255)


def judge_captures(arguments: Arguments, captures: Path) -> Table:
    """Frames of real captures: photos that were left out, and what models make of the same views."""
    table = Table(["capture", "given", "frames", "of", "compared", "accused", "regions", "shares"])
    views = ViewArguments(
        captures=captures, only=arguments.only, contexts=(6, 9), limit=arguments.limit, side=SIZE[0]
    )
    for task in tasks(views):
        maps, cameras = multiview_depth(task.context), task.targets.require_cameras()
        moved = [move_photos(task.context, maps, cameras[[i]]) for i in range(len(cameras))]
        made = {"photo left out": task.targets.images}
        for name in filter(None, arguments.models.split(",")):
            made[name] = ask(name, task.context, cameras)
        for name, images in made.items():
            checks = [check_content(image, *given) for image, given in zip(images, moved, strict=True)]
            regions = [len(find_regions(check.contradicted)) for check in checks]
            compared = sum(float(check.compared.float().mean()) for check in checks) / len(checks)
            shares = " ".join("–" if check.share is None else f"{check.share:.1%}" for check in checks)
            accused = f"{sum(n > 0 for n in regions)}"
            table.add(
                task.capture,
                len(task.context),
                name,
                len(checks),
                f"{compared:.0%}",
                accused,
                sum(regions),
                shares,
            )
        print(table, flush=True)
    return table


def ask(name: str, context: Clip, cameras: Cameras) -> Float[Tensor, "n h w 3"]:
    """All views, each by a request of its own."""
    model = load_model(name)
    requests = (Request(context, cameras[[i]]) for i in range(len(cameras)))
    return torch.cat(
        [
            rollout(model, request, generator=make_generator(i)).clip.images
            for i, request in enumerate(requests)
        ]
    )


def rate(part: int, whole: int) -> tuple[str, str]:
    """A share and its interval; dashes where it is undefined."""
    interval = wilson95(part, whole)
    return ("–", "–") if interval is None else (f"{part / whole:.2f}", "{:.2f} to {:.2f}".format(*interval))


def share(part: int, whole: int) -> str:
    """In percent; a dash where it is undefined."""
    return f"{part / whole:.1%}" if whole else "–"


if __name__ == "__main__":
    command(main, Arguments, __doc__)
