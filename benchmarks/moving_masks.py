"""Is what moves in a clip found, to the pixel, and nothing else?

    python -m benchmarks.moving_masks [--seeds 0 11]

Films of procedural places (`worldgen.scenes.moving_place`) with one mover each, a still or a carried camera, at 12 frames a second with
noise of 1%, against the true masks; and places in which nothing moves. Masks come from true cameras, from cameras turned and moved a little as
recovery leaves them, and without cameras. Films are kept; started again they are only read. *IoU*, *precision* and *recall* count
the pixels of all frames of a clip together; *false* is the share of pixels that wrongly count as moving. Seconds are of one thread.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from scipy.spatial.transform import Rotation
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.output import Table, command, contact_sheet, mean, number
from bridge4d.runs.stored_json import write_json
from recon.cameras import Cameras
from recon.clip import Clip
from recon.moving import MovingMasks, find_movers, find_movers_blind
from worldgen.scenes.moving_place import MovingPlace

KINDS = ("person", "thing", "soft")
LARGE, SMALL = 0.4, 0.12
"""Heights of movers as a share of how far they are from the camera."""
SPREAD_DEG = 20.0
"""Way of a carried camera about what it looks at."""
FRAMES, PER_SECOND = 16, 12
SIZE = (320, 240)
NOISE = 0.01
TURNED_DEG = 0.05
"""By which cameras are turned, root mean square, and moved, as seen from what they look at."""
CAMERAS = ("true", "recovered", "none")
COVERED = 0.01
"""Share of the pixels that movers must cover to be counted among the large enough ones."""


@dataclass(frozen=True)
class Arguments:
    seeds: tuple[int, int] = (0, 11)
    """First and last of the places with a mover; kinds, sizes and cameras take turns."""
    still: tuple[int, int] = (0, 3)
    """First and last of the places without."""
    cameras: tuple[str, ...] = CAMERAS
    out: Path = Path("runs/moving_masks")
    """Keeps the films, `moving_masks.json` and `sheet.png`, on which masks are red and true borders yellow."""


@dataclass(frozen=True)
class Case:
    """A film that is asked for."""

    seed: int
    movers: tuple[str, ...]
    size: float
    spread_deg: float

    @property
    def name(self) -> str:
        return f"{self.seed}_{'-'.join(self.movers) or 'nothing'}_{self.size}_{self.spread_deg}_{FRAMES}"

    @property
    def kind(self) -> str:
        camera = "carried camera" if self.spread_deg else "still camera"
        if not self.movers:
            return f"{camera}, nothing moves"
        return f"{camera}, {'large' if self.size == LARGE else 'small'}"


@dataclass(frozen=True)
class Film:
    """A clip, and where it moves in truth."""

    clip: Clip
    moving: Bool[Tensor, "n h w"]
    distance: float
    """From the camera to what it looks at."""


@dataclass(frozen=True)
class Score:
    """Of one clip and one kind of cameras."""

    case: Case
    cameras: str
    covered: float
    """Share of the pixels that move in truth."""
    iou: float | None
    precision: float | None
    recall: float | None
    false: float
    seconds: float
    """A frame, of the processor."""


def main(arguments: Arguments) -> None:
    import cv2

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    cases, scores = choose_cases(arguments), []
    rows: list[list[Float[Tensor, "h w 3"]]] = [[] for _ in cases]
    middle = FRAMES // 2
    for cameras in arguments.cameras:
        for case, row in zip(cases, rows, strict=True):
            film = read_film(case, arguments.out)
            found, seconds = find(film, cameras, seed=case.seed)
            scores.append(score(case, cameras, found.moving, film.moving, seconds))
            row.append(overlay(film.clip.images[middle], found.moving[middle], film.moving[middle]))
            print(scores[-1], flush=True)
    labels = [f"{case.seed} {case.kind} {' '.join(case.movers)}" for case in cases]
    contact_sheet(rows, arguments.out / "sheet.png", titles=arguments.cameras, labels=labels)
    print(tabulate(scores))
    content = [{**vars(one), "case": one.case.name, "kind": one.case.kind} for one in scores]
    write_json(
        arguments.out / "moving_masks.json",
        {"machine": describe_machine(torch.get_num_threads()), "scores": content},
    )


def choose_cases(arguments: Arguments) -> list[Case]:
    """Twelve seeds in a row have each kind of mover once in each size before each camera."""
    cases = [
        Case(seed, (KINDS[seed % 3],), (LARGE, SMALL)[seed // 3 % 2], (0.0, SPREAD_DEG)[seed // 6 % 2])
        for seed in range(arguments.seeds[0], arguments.seeds[1] + 1)
    ]
    first, last = arguments.still
    # one of them seen by a still camera, of which nothing but noise differs between frames
    return cases + [Case(s, (), LARGE, 0.0 if s == last else SPREAD_DEG) for s in range(first, last + 1)]


def read_film(case: Case, out: Path) -> Film:
    """Filmed where it is not kept yet; with noise and true cameras."""
    path = out / f"{case.name}.pt"
    if not path.exists():
        place = MovingPlace(case.seed, movers=case.movers, size=case.size)
        cameras = place.walk(FRAMES, width=SIZE[0], height=SIZE[1], spread_deg=case.spread_deg)
        film = place.film(cameras, torch.arange(FRAMES) / PER_SECOND)
        out.mkdir(parents=True, exist_ok=True)
        pictures = film.clip.images.mul(255).round().byte()
        kept = (cameras.cam_from_world, cameras.K, film.moving, pictures, torch.tensor(place.distance))
        torch.save(kept, path)
    pose, K, moving, pictures, distance = torch.load(path)
    images = pictures.float() / 255
    noise = NOISE * torch.randn(images.shape, generator=torch.Generator().manual_seed(case.seed))
    clip = Clip((images + noise).clamp(0, 1), Cameras(pose, K, *SIZE), torch.arange(FRAMES) / PER_SECOND)
    return Film(clip, moving, float(distance))


def find(film: Film, cameras: str, *, seed: int) -> tuple[MovingMasks, float]:
    """Masks, and seconds of the processor a frame."""
    generator = torch.Generator().manual_seed(seed)
    clip = film.clip
    if cameras == "recovered":
        clip = replace(clip, cameras=disturb(clip.require_cameras(), film.distance, generator))
    started = time.process_time()
    masks = find_movers_blind(clip, generator=generator) if cameras == "none" else find_movers(clip)
    return masks, (time.process_time() - started) / len(clip)


def disturb(cameras: Cameras, distance: float, generator: torch.Generator) -> Cameras:
    """Each turned by `TURNED_DEG`, and moved by as much as that turns it about the point that is looked at."""
    angle = math.radians(TURNED_DEG)
    random = torch.randn(2, len(cameras), 3, generator=generator, dtype=torch.float64) / 3**0.5
    pose = cameras.cam_from_world.clone()
    pose[:, :3, :3] = (
        torch.from_numpy(Rotation.from_rotvec(angle * random[0].numpy()).as_matrix()) @ pose[:, :3, :3]
    )
    return replace(cameras, cam_from_world=pose).place_at(cameras.centers + angle * distance * random[1])


def score(
    case: Case, cameras: str, moving: Bool[Tensor, "n h w"], truth: Bool[Tensor, "n h w"], seconds: float
) -> Score:
    both, found, true = (float(x.float().mean()) for x in (moving & truth, moving, truth))
    return Score(
        case, cameras, true,
        both / (found + true - both) if true else None,
        both / found if found and true else None,
        both / true if true else None,
        found - both, seconds,
    )  # fmt: skip


def tabulate(scores: Sequence[Score]) -> Table:
    """Means over clips, the least IoU, and how many with movers over 1% of the picture reach 0.8."""
    table = Table(
        (
            "cameras",
            "clips",
            "IoU",
            "least",
            "precision",
            "recall",
            "0.8 of those over 1%",
            "false %",
            "s a frame",
        )
    )
    for cameras in dict.fromkeys(one.cameras for one in scores):
        of = [one for one in scores if one.cameras == cameras]
        for kind in dict.fromkeys(one.case.kind for one in of):
            part = [one for one in of if one.case.kind == kind]
            ious = [one.iou for one in part if one.iou is not None]
            large = [one.iou for one in part if one.iou is not None and one.covered > COVERED]
            table.add(
                cameras, f"{len(part)} {kind}", number(mean(ious)), number(min(ious, default=None)),
                number(mean([one.precision for one in part])), number(mean([one.recall for one in part])),
                f"{sum(iou >= 0.8 for iou in large)} of {len(large)}" if large else "–",
                number(mean([100 * one.false for one in part])), number(mean([one.seconds for one in part])),
            )  # fmt: skip
    return table


def overlay(
    picture: Float[Tensor, "h w 3"], moving: Bool[Tensor, "h w"], truth: Bool[Tensor, "h w"]
) -> Float[Tensor, "h w 3"]:
    """What counts as moving in red, and the border of what does in yellow."""
    grown = torch.nn.functional.max_pool2d(truth[None].float(), 3, stride=1, padding=1)[0] > 0
    tinted = torch.where(moving[..., None], 0.5 * picture + torch.tensor([0.5, 0.0, 0.0]), picture)
    return torch.where((grown & ~truth)[..., None], torch.tensor([1.0, 1.0, 0.0]), tinted)


if __name__ == "__main__":
    command(main, Arguments, __doc__)
