"""Are the offsets between the clocks of still cameras found, to a tenth of a frame?

    python -m benchmarks.camera_offsets [--seeds 0 5] [--offsets 0 0.37 -1.6 2.25]

Films of procedural places (`worldgen.scenes.moving_place`) in which a person, a thing and a soft body move, by still cameras 13° apart, each
of which films at times of its own; 12 frames a second, with noise of 1%, true cameras. Films are kept; started again they are only read.
*± said* is the standard deviation that the estimate states. Seconds are of one thread.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.machine import describe_machine
from benchmarks.output import Table, command, number
from bridge4d.runs.stored_json import write_json
from recon.cameras import Cameras
from recon.clip import Clip
from recon.moving.offsets import Offsets, find_offsets
from worldgen.scenes.moving_place import MovingPlace

FRAMES, PER_SECOND = 24, 12
SIZE = (160, 120)
NOISE = 0.01
FIRST_FRAME = 2
"""Of the first camera, so that another may have begun up to two frames earlier."""
WANTED = 0.1
"""Frames by which an offset may be off."""


@dataclass(frozen=True)
class Arguments:
    seeds: tuple[int, int] = (0, 5)
    """First and last of the places."""
    offsets: tuple[float, ...] = (0.0, 0.37, -1.6, 2.25)
    """Of each camera, in frames; the first is what the others are measured against."""
    out: Path = Path("runs/camera_offsets")
    """Keeps the films and `camera_offsets.json`."""


@dataclass(frozen=True)
class Score:
    """Of one camera of one place."""

    seed: int
    camera: int
    true: float
    """Frames, as all that follow."""
    found: float | None
    deviation: float | None
    used: float
    """What a reconstruction adds to the camera's times."""
    because: str
    seconds: float
    """Of the whole place."""

    @property
    def error(self) -> float | None:
        return None if self.found is None else self.found - self.true


def main(arguments: Arguments) -> None:
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    scores: list[Score] = []
    for seed in range(arguments.seeds[0], arguments.seeds[1] + 1):
        clip, camera_of = read_films(seed, arguments.offsets, arguments.out)
        started = time.process_time()
        found = find_offsets(clip, camera_of)
        scores += score(seed, arguments.offsets, found, time.process_time() - started)
        print(*scores[1 - len(arguments.offsets) :], sep="\n", flush=True)
    print(tabulate(scores))
    print(summarise(scores))
    name = "_".join(map(str, arguments.offsets))
    write_json(
        arguments.out / f"camera_offsets_{name}.json",
        {"machine": describe_machine(torch.get_num_threads()), "scores": [vars(one) for one in scores]},
    )


def read_films(seed: int, offsets: Sequence[float], out: Path) -> tuple[Clip, list[int]]:
    """Frames of all cameras by the clock of each, and the camera of each frame; filmed where they are not kept yet."""
    place: MovingPlace | None = None
    rig, pictures = None, []
    for k, offset in enumerate(offsets):
        path = out / f"{seed}_{k}of{len(offsets)}_{offset}.pt"
        if not path.exists():
            place = place or MovingPlace(seed)
            cameras = place.rig(len(offsets), width=SIZE[0], height=SIZE[1])
            times = (torch.arange(FRAMES) + FIRST_FRAME + offset) / PER_SECOND
            film = place.film(cameras[[k] * FRAMES], times)
            out.mkdir(parents=True, exist_ok=True)
            torch.save((cameras.cam_from_world, cameras.K, film.clip.images.mul(255).round().byte()), path)
        pose, K, images = torch.load(path)
        rig = Cameras(pose, K, *SIZE)
        pictures.append(images)
    assert rig is not None
    images = torch.cat(pictures).float() / 255
    images += NOISE * torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    camera_of = [k for k in range(len(offsets)) for _ in range(FRAMES)]
    own = torch.arange(FRAMES, dtype=torch.float64).repeat(len(offsets)) / PER_SECOND
    return Clip(images.clamp(0, 1), rig[camera_of], own), camera_of


def score(seed: int, offsets: Sequence[float], found: Offsets, seconds: float) -> list[Score]:
    """One a camera, without the first."""
    said, used = found.offset_s / found.frame_s, found.sure_s / found.frame_s
    deviation = found.deviation_s / found.frame_s
    return [
        Score(
            seed, k, offsets[k] - offsets[0],
            None if math.isnan(said[k]) else float(said[k]),
            None if math.isnan(said[k]) else float(deviation[k]),
            float(used[k]), found.because[k], seconds,
        )
        for k in range(1, len(offsets))
    ]  # fmt: skip


def tabulate(scores: Sequence[Score]) -> Table:
    """A row a camera."""
    table = Table(("seed", "camera", "true", "found", "error", "± said", "used", "s"))
    for one in scores:
        table.add(
            one.seed, one.camera, f"{one.true:.2f}", number(one.found) if not one.because else one.because,
            number(one.error, "{:+.3f}"), number(one.deviation, "{:.3f}"), f"{one.used:.2f}", f"{one.seconds:.0f}",
        )  # fmt: skip
    return table


def summarise(scores: Sequence[Score]) -> str:
    """How many are within what is wanted, and whether what is said of the errors is so."""
    errors = [(abs(one.error), one.deviation) for one in scores if one.error is not None and one.deviation]
    good = sum(error <= WANTED for error, _ in errors)
    within = sum(error <= 2 * said for error, said in errors)
    return (
        f"{len(errors)} of {len(scores)} defined, {good} of them within {WANTED} frames, {within} within two deviations as said; "
        f"median {number(sorted(e for e, _ in errors)[len(errors) // 2] if errors else None, '{:.3f}')}, largest "
        f"{number(max((e for e, _ in errors), default=None), '{:.3f}')} frames"
    )


if __name__ == "__main__":
    command(main, Arguments, __doc__)
