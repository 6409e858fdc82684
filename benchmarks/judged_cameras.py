"""What the judge of cameras says of right ones, and of right ones that are exchanged between photos.

    python -m benchmarks.judged_cameras CAPTURES --only kitchen maryrose --photos 3 6 9

Cameras are reference cameras, or those of COLMAP over all photos of the capture. Exchanged, each photo has
the camera of another one, at random: where cameras stand in nearly the same relation, as along a facade, some are nearly right.
*near*: photos in the largest group in which one can go from each to each by steps of at most so many degrees between lines of
sight. Matches of features hold up to thirty or forty; photos beyond have to be placed otherwise.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor
from tyro.conf import Positional

from benchmarks.few_photos_cases import find_captures, load_posed
from benchmarks.output import Table, command
from eval.judging.protocols import split_photos
from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.seeds import make_generator
from recon.points import PointCloud
from recon.sfm.judging.judge import Judgement, judge_cameras

NEAR_DEG = (30.0, 40.0)
"""Steps between lines of sight."""
SHUFFLE, RIGHT, EXCHANGED = 0, 1, 2
"""Numbers of the streams of random numbers."""


@dataclass(frozen=True)
class Arguments:
    captures: Positional[Path]
    """Folder of captures."""
    only: tuple[str, ...] = ()
    """Names of captures; all where none is given."""
    photos: tuple[int, ...] = (3, 6, 9)
    """Numbers of photos."""
    seed: int = 0
    out: Path = Path("runs/judged_cameras")


def main(arguments: Arguments) -> None:
    (arguments.out / "cases").mkdir(parents=True, exist_ok=True)
    table = Table(
        (
            "capture",
            "photos",
            *(f"near {step:.0f}°" for step in NEAR_DEG),
            "right: best of each photo",
            "trusted",
            "exchanged: mean",
            "sd",
            "most",
        )
    )
    everything: list[Float[Tensor, "pairs"]] = []
    for folder in find_captures(arguments.captures, arguments.only):
        clip = load_posed(folder, arguments.out)
        for photos in arguments.photos:
            names = split_photos(clip.names, views=photos).training
            posed = clip[sorted(map(clip.names.index, names))]
            right = judge(posed, make_generator(arguments.seed, RIGHT, photos))
            wrong = judge(
                exchange(posed, make_generator(arguments.seed, SHUFFLE, photos)),
                make_generator(arguments.seed, EXCHANGED, photos),
            )
            best = right.won.nan_to_num(-1).amax(1)
            pairs = wrong.won[torch.triu(~wrong.won.isnan(), 1)]
            everything.append(pairs)
            said = " ".join(f"{share:.2f}" if share >= 0 else "–" for share in best.tolist())
            near = [count_near(posed.require_cameras(), step) for step in NEAR_DEG]
            table.add(folder.name, len(posed), *near, said, int(right.trusted.sum()), *describe(pairs))
    table.add("**all**", *[""] * 5, *describe(torch.cat(everything)))
    print(table)


def count_near(cameras: Cameras, step_deg: float) -> int:
    """Cameras in the largest group that steps of so many degrees between lines of sight connect; 0 where none has another."""
    sight = cameras.cam_from_world[:, 2, :3]
    linked = (sight @ sight.T).clamp(-1, 1).arccos().rad2deg() < step_deg
    for _ in range(len(cameras)):
        linked = (linked.double() @ linked.double()) > 0
    most = int(linked.sum(1).max())
    return most if most > 1 else 0


def judge(posed: Clip, generator: torch.Generator) -> Judgement:
    return judge_cameras(posed, PointCloud.empty(), generator=generator)


def exchange(posed: Clip, generator: torch.Generator) -> Clip:
    """The photos, each with the camera of another one."""
    order = torch.randperm(len(posed), generator=generator)
    source = torch.empty_like(order)
    source[order] = order.roll(1)
    return replace(posed, cameras=posed.require_cameras()[source.tolist()])


def describe(won: Float[Tensor, "pairs"]) -> tuple[str, str, str]:
    """Mean, standard deviation and largest share."""
    if len(won) < 2:
        return "–", "–", "–"
    return f"{float(won.mean()):.3f}", f"{float(won.std()):.3f}", f"{float(won.max()):.3f}"


if __name__ == "__main__":
    command(main, Arguments, __doc__)
