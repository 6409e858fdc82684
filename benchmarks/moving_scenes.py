"""What is a moving scene worth beside one that stands still, and beside a scene of its own for each time?

    python -m benchmarks.moving_scenes [--seeds 1 2 3] [--times 12] [--masks true]

A procedural place with a person, a thing and a soft body, filmed by a rig of seven still cameras on an arc of 40 degrees, 12 frames a
second; the middle one is held out and judges. All have true cameras, and start from the same points. Compared are

- *still*: a scene that stands still, of all frames (3DGS), in as many steps and with as many Gaussians;
- *per time*: the still part, and at each time a scene that goes on from it and that time's points, on that time's frames alone: it has no
  memory, and no compression;
- *moving*: `recon.splats.moving`, with the masks of the product or, with `--masks true`, the exact ones.

PSNR of the held-out camera over all times: of the whole picture, and of what moves by the exact masks. Sizes are those of all numbers
that are stored, as float32.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.output import Table, command
from bridge4d.moving.stages import mask_movers
from bridge4d.runs.stored_json import write_json
from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.progress import track
from recon.gaussians import Gaussians, concatenate, from_points
from recon.points import PointCloud
from recon.sequence import GaussianSequence
from recon.splats.fit import fit_gaussians
from recon.splats.fitting.options import FitOptions
from recon.splats.moving.fit import fit_sequence
from recon.splats.moving.options import SequenceOptions
from recon.splats.moving.start import TimedPoints, find_points
from recon.splats.render import draw_views
from worldgen.scenes.moving_place import Film, MovingPlace

CAMERAS, JUDGE = 7, 3
FPS = 12.0
PER_TIME_ITERATIONS = 300
"""Steps of each scene of a single time, which begins with most of what it shows."""


@dataclass(frozen=True)
class Arguments:
    seeds: tuple[int, ...] = (1, 2, 3)
    """Places."""
    times: int = 12
    width: int = 256
    height: int = 192
    masks: Literal["found", "true"] = "found"
    iterations: int = 1500
    """Of the moving scene."""
    out: Path | None = None
    """Folder for moving_scenes.json."""


def main(arguments: Arguments) -> None:
    rows = [measure(seed, arguments) for seed in arguments.seeds]
    table = Table(["seed", "scene", "whole, dB", "what moves, dB", "MB", "s"])
    for row in rows:
        for name, said in row["scenes"].items():
            table.add(
                row["seed"],
                name,
                f"{said['whole']:.2f}",
                f"{said['moving']:.2f}",
                f"{said['mb']:.1f}",
                f"{said['seconds']:.0f}",
            )
    if arguments.out is not None:
        about = {"machine": describe_machine(torch.get_num_threads()), "rows": rows}
        write_json(arguments.out / "moving_scenes.json", about)
    print(table)


def measure(seed: int, arguments: Arguments) -> dict:
    """Figures of one place."""
    place = MovingPlace(seed)
    rig = place.rig(CAMERAS, width=arguments.width, height=arguments.height)
    times = torch.arange(arguments.times, dtype=torch.float64) / FPS
    train = shoot(place, rig[[k for k in range(CAMERAS) if k != JUDGE]], times)
    judge = shoot(place, rig[[JUDGE]], times)
    masks, masking = train.moving, 0.0
    if arguments.masks == "found":
        began = time.perf_counter()
        masks = find_masks(train.clip, CAMERAS - 1)
        masking = time.perf_counter() - began
    options = SequenceOptions(iterations=arguments.iterations)
    generator = torch.Generator().manual_seed(seed)
    began = time.perf_counter()
    still, timed = find_points(train.clip, masks, count=options.static.cap // 2, generator=generator)
    starting = time.perf_counter() - began
    fitted = fit_sequence(train.clip, masks, still, timed, options=options, generator=generator)
    scenes = {
        "moving": score(judge, fitted.sequence.at)
        | {"mb": sequence_mb(fitted.sequence), "seconds": masking + starting + fitted.seconds}
    }
    began = time.perf_counter()
    every = PointCloud.concatenate([still, timed.cloud])
    steps, cap = options.static.iterations + options.iterations, options.static.cap + options.moving_cap
    alike = replace(options.static, iterations=steps, cap=cap)
    whole = fit_gaussians(train.clip, every, options=alike, generator=generator).gaussians
    scenes["still"] = score(judge, lambda _: whole) | {
        "mb": scene_mb(whole),
        "seconds": starting + time.perf_counter() - began,
    }
    began = time.perf_counter()
    each = fit_each_time(train.clip, fitted.sequence.static, timed, generator)
    scenes["per time"] = score(judge, lambda t: each[t]) | {
        "mb": sum(scene_mb(one) for one in each.values()),
        "seconds": masking + starting + time.perf_counter() - began,
    }
    return {"seed": seed, "share": float(judge.moving.float().mean()), "scenes": scenes}


def shoot(place: MovingPlace, rig: Cameras, times: Tensor) -> Film:
    """Every camera at every time, time by time."""
    return place.film(Cameras.concatenate([rig] * len(times)), times.repeat_interleave(len(rig)))


def find_masks(clip: Clip, cameras: int) -> Bool[Tensor, "n h w"]:
    """Masks of the product, camera by camera."""
    return mask_movers(clip, [i % cameras for i in range(len(clip))])


def fit_each_time(
    clip: Clip, static: Gaussians, timed: TimedPoints, generator: torch.Generator
) -> dict[float, Gaussians]:
    """A scene for each time, which goes on from the still part and that time's points."""
    assert clip.times_s is not None
    scenes = {}
    options = FitOptions(iterations=PER_TIME_ITERATIONS, cap=len(static) + len(timed))
    for time_s in track(clip.times_s.double().unique().tolist(), "a scene for each time"):
        rows = (clip.times_s.double() == time_s).nonzero()[:, 0].tolist()
        here = timed.cloud[timed.time_s == time_s]
        start = concatenate([static, from_points(here.xyz, here.rgb, opacity=0.5)]) if len(here) else static
        frames = replace(clip[rows], times_s=None)
        scenes[time_s] = fit_gaussians(frames, start, options=options, generator=generator).gaussians
    return scenes


def score(judge: Film, at: Callable[[float], Gaussians]) -> dict[str, float]:
    """PSNR over all times together."""
    assert judge.clip.times_s is not None
    cameras = judge.clip.require_cameras()
    drawn = [
        draw_views(at(t), cameras[i : i + 1]).images[0].clamp(0, 1)
        for i, t in enumerate(judge.clip.times_s.double().tolist())
    ]
    squared = (torch.stack(drawn) - judge.clip.images) ** 2
    return {
        "whole": float(-10 * squared.mean().log10()),
        "moving": float(-10 * squared[judge.moving].mean().log10()),
    }


def scene_mb(scene: Gaussians) -> float:
    return sum(value.numel() for value in scene.tensors().values()) * 4 / 1e6


def sequence_mb(sequence: GaussianSequence) -> float:
    motion = sum(value.numel() for value in vars(sequence.motion).values()) * 4 / 1e6
    return scene_mb(sequence.static) + scene_mb(sequence.moving) + motion


if __name__ == "__main__":
    command(main, Arguments, __doc__)
