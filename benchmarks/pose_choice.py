"""By how much held-out PSNR of splats differs between seeds, and by how much when cameras are wrong.

    python -m benchmarks.pose_choice [--clips ../shared/clips/cameractrl]

`measure` hands over requested or recovered poses by the difference of two such figures. *Null*: the same cameras twice, with other
seeds of the start and the training; of each clip all pairs of seeds. *Wrong*: cameras of the built-in room turned and moved at random, each
frame on its own, against the true ones. What a difference must be to say something is read off the null of real clips; from the room one sees
what is then still found.
"""

import itertools
import json
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from scipy.spatial.transform import Rotation

from benchmarks.output import Table, command
from eval.geometry.view_synthesis import view_synthesis
from eval.pictures.perceptual import Unavailable
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.clipset import find_clips
from recon.clips.read import read_clip
from recon.compute.seeds import make_generator
from recon.errors import BridgeError
from recon.points import PointCloud
from recon.sfm import FRAMES, build_anchor
from worldgen.models.synthetic import SyntheticRoom
from worldgen.trajectories import interpolate

SIDE = 320
"""Long side in pixels at which points are triangulated; splats are fitted at that of the metric."""
ROOM_FRAMES = 24


@dataclass(frozen=True)
class Arguments:
    clips: Path = Path("../shared/clips/cameractrl")
    """Real clips with cameras."""
    seeds: int = 4
    rooms: int = 4
    wrong_deg: tuple[float, ...] = (0.05, 0.1, 0.2, 0.5, 1.0)
    """Standard deviation of the turn of each frame about each axis; places move by the same angle seen from the middle of the scene."""
    out: Path = Path("runs/pose_choice.json")


def main(arguments: Arguments) -> None:
    null = Table(["clip", "PSNR dB", "largest difference between seeds"])
    rows: list[dict] = []
    for name, clip in [*read_real(arguments.clips), *make_rooms(arguments.rooms)]:
        points = triangulate(clip)
        scores = [score(clip, points, seed) for seed in range(arguments.seeds)]
        pairs = [abs(a - b) for a, b in itertools.combinations(scores, 2)]
        rows.append({"clip": name, "scores": scores, "pairs": pairs})
        null.add(name, f"{sum(scores) / len(scores):.2f}", f"{max(pairs):.2f}")
        print(f"{name}: {scores}", flush=True)
    print(null)
    for what in ("real", "room"):
        pairs = torch.tensor([p for row in rows if row["clip"].startswith(what) for p in row["pairs"]])
        if len(pairs):
            print(
                f"{what}: null 50% {pairs.quantile(0.5):.2f}, 95% {pairs.quantile(0.95):.2f}, most {pairs.max():.2f} dB"
            )
    wrong = Table(["turned by deg", "dB lost on average", "least", "clips"])
    lost: dict[str, list[float]] = {}
    for deg in arguments.wrong_deg:
        found = []
        for i, (_, clip) in enumerate(make_rooms(arguments.rooms)):
            jittered = replace(clip, cameras=jitter(clip.require_cameras(), deg, make_generator(7, i)))
            found.append(score(clip, triangulate(clip), 0) - score(jittered, triangulate(jittered), 1))
        lost[str(deg)] = found
        wrong.add(f"{deg:g}", f"{sum(found) / len(found):.2f}", f"{min(found):.2f}", str(len(found)))
        print(f"{deg}: {found}", flush=True)
    print(wrong)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps({"null": rows, "wrong": lost}, indent=1))


def read_real(folder: Path) -> list[tuple[str, Clip]]:
    """Real clips that have cameras."""
    found = []
    for source in find_clips(folder).sources:
        if source.name.startswith("real"):
            try:
                clip = read_clip(source, max_side=SIDE).clip
            except BridgeError:
                continue
            if clip.cameras is not None:
                found.append((source.name, clip))
    return found


def make_rooms(count: int) -> list[tuple[str, Clip]]:
    """A walk through each of several rooms, with true cameras."""
    found = []
    for seed in range(count):
        room = SyntheticRoom(seed)
        cameras = interpolate(room.cameras(9, width=SIDE, height=240)[2:6], count=ROOM_FRAMES)
        found.append((f"room {seed}", Clip(room.render(cameras, samples=1)[0], cameras)))
    return found


def triangulate(clip: Clip) -> PointCloud:
    with tempfile.TemporaryDirectory() as scratch:
        return build_anchor(clip, Path(scratch) / "points", recipe=FRAMES, threads=1).points


def score(clip: Clip, points: PointCloud, seed: int) -> float:
    found = view_synthesis(
        clip, points, generator=make_generator(seed, 1), network=Unavailable("not asked for")
    )["splat_psnr"]
    return float("nan") if found.value is None else found.value


def jitter(cameras: Cameras, deg: float, generator: torch.Generator) -> Cameras:
    """Each camera turned about its axes, and moved by the same angle of a distance of 3 m (the middle of the room)."""
    n, angle = len(cameras), torch.pi / 180 * deg
    turned = torch.randn(n, 3, generator=generator, dtype=torch.float64) * angle
    step = torch.eye(4, dtype=torch.float64).repeat(n, 1, 1)
    step[:, :3, :3] = torch.from_numpy(Rotation.from_rotvec(turned.numpy()).as_matrix())
    step[:, :3, 3] = torch.randn(n, 3, generator=generator, dtype=torch.float64) * angle * 3.0
    return replace(cameras, cam_from_world=step @ cameras.cam_from_world.double())


if __name__ == "__main__":
    command(main, Arguments, __doc__)
