"""Are cameras recovered of clips in which much moves, and is it worth leaving that out?

    python -m benchmarks.moving_poses [--seeds 0 7]

Films of procedural places (`worldgen.scenes.moving_place`) of a carried camera, 12 frames at 6 a second with noise of 1%, in which
three or four people, things and soft bodies of three sizes move; and the same frames with time standing still. Each is
measured as `bridge4d measure` does, without requested intrinsics: *whole* is the figure that counts, *without* the one without what moves. *True masks*
leaves out what moves in truth, *still* is the film in which nothing does. *Follows* counts clips by follows@15; errors are
means over registered clips. Films are kept; started again they are only read.
"""

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from benchmarks.machine import describe_machine
from benchmarks.output import Table, command, number
from bridge4d.measuring.clip_figures import error_values
from bridge4d.measuring.clip_judgement import judge_path
from bridge4d.measuring.clip_movers import judge_without_movers
from bridge4d.measuring.clip_recovery import Recovering, recover_sifted
from bridge4d.measuring.measure_options import MeasureOptions
from bridge4d.runs.stored_json import write_json
from eval.judging.rules import is_recovered
from eval.results.measure import FOLLOWS, ErrorValue, Verdict
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.read import ReadClip
from recon.compute.progress import track
from worldgen.scenes.moving_place import MovingPlace

LEVELS = {
    "few": (("person", "thing", "soft"), 0.3),
    "more": (("person", "thing", "soft", "thing"), 0.4),
    "most": (("thing", "person", "soft", "thing"), 0.5),
}
"""Movers, and their heights as a share of how far they are from the camera."""
FRAMES, PER_SECOND = 12, 6
SIZE = (320, 240)
NOISE = 0.01
BORDERS = (0.0, 0.2, 0.4, 0.6, 1.0)
"""Shares of the pictures that move, between which clips are counted together."""
WAYS = ("whole", "without", "true masks", "still")
OPTIONS = MeasureOptions(rules=("share@90", FOLLOWS), metrics="none", intrinsics="shared")


@dataclass(frozen=True)
class Arguments:
    seeds: tuple[int, int] = (0, 7)
    """First and last of the places."""
    out: Path = Path("runs/moving_poses")
    """Keeps the films and `moving_poses.json`."""


@dataclass(frozen=True)
class Film:
    clip: Clip
    moving: Bool[Tensor, "n h w"]


@dataclass(frozen=True)
class Score:
    """Of one film, recovered in one way."""

    film: str
    share: float
    """Of the pictures, that moves in truth."""
    way: str
    registered: int
    follows: bool | None
    rotation_deg: float | None
    position_share: float | None
    found_share: float | None = None
    """Of the pictures, that was taken to move."""
    undefined_because: str = ""


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    scores: list[Score] = []
    seeds = range(arguments.seeds[0], arguments.seeds[1] + 1)
    for seed, level in track([(seed, level) for seed in seeds for level in LEVELS], "measuring films"):
        scores += score_film(seed, level, arguments.out)
    print(tabulate(scores))
    write_json(
        arguments.out / "moving_poses.json",
        {"machine": describe_machine(torch.get_num_threads()), "scores": [asdict(one) for one in scores]},
    )


def score_film(seed: int, level: str, out: Path) -> list[Score]:
    """A film in all ways."""
    name, folder = f"{seed}_{level}", out / "colmap"
    film, still = read_film(seed, level, out, stands=False), read_film(seed, level, out, stands=True)
    share = float(film.moving.float().mean())
    found = [*measure(film, name, share, folder), measure(still, name, share, folder)[0]]
    return [Score(**{**asdict(one), "way": way}) for one, way in zip(found, WAYS, strict=True)]


def measure(film: Film, name: str, share: float, folder: Path) -> list[Score]:
    """The whole, without what seems to move, and without what does."""
    generator = torch.Generator().manual_seed(0)
    read = ReadClip(film.clip, False, tuple(range(len(film.clip))), ())
    requested = film.clip.require_cameras()
    sifted = recover_sifted(read, OPTIONS, folder / name, generator=generator, seconds={})
    judged = judge_path(sifted, requested, generator=generator)
    counted = sifted.counted

    def score(
        registered: int, verdict: Verdict | None, errors: dict[str, ErrorValue], **more: object
    ) -> Score:
        """A row of the table."""
        rotation, position = (
            errors[key].value if key in errors else None for key in ("rotation_deg", "position_share")
        )
        follows = None if verdict is None else verdict.success
        return Score(name, share, "", registered, follows, rotation, position, **more)  # type: ignore[arg-type]

    whole = score(
        int(counted.recovery.registered.sum()),
        counted.verdicts[FOLLOWS],
        error_values(counted.recovery, judged.recovered, requested, judged.check),
    )
    if not film.moving.any():
        return [whole]
    found = judge_without_movers(sifted, judged, read, OPTIONS, generator=generator, seconds={})
    without = whole
    if found.verdicts:
        still = found.still
        verdict = found.verdicts[FOLLOWS]
        without = score(
            still.registered,
            verdict,
            still.errors,
            found_share=still.moving_share,
            undefined_because=verdict.because if verdict.success is None else "",
        )
    recoverer = counted.recoverer.hide(film.moving, "true")
    true = Recovering(OPTIONS, folder / name, {}).judge(recoverer, read, generator)
    errors = error_values(true.recovery, is_recovered(true.recovery), requested, true.check)
    return [whole, without, score(int(true.recovery.registered.sum()), true.verdicts[FOLLOWS], errors)]


def read_film(seed: int, level: str, out: Path, *, stands: bool) -> Film:
    """Filmed where it is not kept yet; with noise and true cameras.

    Args:
        stands: with time standing still, so that nothing moves.
    """
    path = out / f"{seed}_{level}{'_still' if stands else ''}.pt"
    if not path.exists():
        movers, size = LEVELS[level]
        place = MovingPlace(seed, movers=movers, size=size)
        cameras = place.walk(FRAMES, width=SIZE[0], height=SIZE[1])
        times_s = torch.zeros(FRAMES) if stands else torch.arange(FRAMES) / PER_SECOND
        film = place.film(cameras, times_s)
        out.mkdir(parents=True, exist_ok=True)
        pictures = film.clip.images.mul(255).round().byte()
        torch.save((cameras.cam_from_world, cameras.K, film.moving, pictures), path)
    pose, K, moving, pictures = torch.load(path)
    images = pictures.float() / 255
    noise = NOISE * torch.randn(images.shape, generator=torch.Generator().manual_seed(seed))
    clip = Clip((images + noise).clamp(0, 1), Cameras(pose, K, *SIZE))
    return Film(clip, torch.zeros_like(moving) if stands else moving)


def tabulate(scores: Sequence[Score]) -> Table:
    """Means by how much moves and by way."""
    table = Table(
        (
            "moves",
            "clips",
            "way",
            "registered",
            "follows",
            "undefined",
            "rotation °",
            "the median",
            "position, share of the path",
        )
    )
    for low, high in itertools.pairwise(BORDERS):
        of = [one for one in scores if low <= one.share < high]
        for way in WAYS:
            part = [one for one in of if one.way == way]
            if not part:
                continue
            rotations = [one.rotation_deg for one in part if one.rotation_deg is not None]
            positions = [one.position_share for one in part if one.position_share is not None]
            table.add(
                f"{low:.0%} to {high:.0%}", len(part), way, sum(one.registered == FRAMES for one in part),
                sum(one.follows is True for one in part), sum(one.follows is None for one in part),
                number(statistics.fmean(rotations) if rotations else None), number(statistics.median(rotations) if rotations else None),
                number(statistics.fmean(positions) if positions else None, "{:.3f}"),
            )  # fmt: skip
    return table


if __name__ == "__main__":
    command(main, Arguments, __doc__)
