"""What does time cost: drawing a frame of a moving scene beside a still one, and its files?

    python -m benchmarks.moving_files [--times 60] [--gaussians 50000]

A scene made up of Gaussians before a camera, a third of which move, as `reconstruct --moving` makes them (cubic paths, a spin, a
window of time, plain colours). *Still* is the scene of one moment as it is; *moving* asks the sequence for a moment and draws it. The
two take turns, each moment once, on one thread. Each format is then written and read again: *differs* is the largest difference of any centre at
any time, as a share of the scene's size.
"""

import shutil
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.machine import describe_machine
from benchmarks.output import Table, command
from bridge4d.runs.stored_json import write_json
from recon.cameras import Cameras, intrinsics
from recon.gaussians import SH_C0, Gaussians
from recon.scenefiles import read_scene, write_scene
from recon.scenefiles.formats.motion_tensors import save_sequence
from recon.scenefiles.formats.spacetime import write_spacetime
from recon.sequence import GaussianFrames, GaussianSequence, Motion
from recon.splats.render import render

SECONDS = 2.0
SIZE = (640, 480)
MOVING = 1 / 3
TARGETS = (
    "scene.safetensors",
    "spacetime.ply",
    "scene.4dgs",
    "scene.usdc",
    "frames_ply/frame_####.ply",
    "frames_spz/frame_####.spz",
    "scene.html",
)


@dataclass(frozen=True)
class Arguments:
    times: int = 60
    gaussians: int = 50_000
    out: Path = Path("runs/moving_files")


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    sequence = make_sequence(arguments)
    still, moving, at = time_frames(sequence)
    drawing = {
        "still_s": still,
        "moving_s": moving,
        "at_s": at,
        "ratio": statistics.median(m / s for m, s in zip(moving, still, strict=True)),
    }
    print(
        f"a frame: still {statistics.median(still):.3f} s, moving {statistics.median(moving):.3f} s, of which asking for the moment "
        f"{statistics.median(at):.4f} s; ratio {drawing['ratio']:.3f}"
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    files, table = (
        [],
        Table(("file", "MB", "bytes a Gaussian and time", "written in s", "differs, % of the scene")),
    )
    for name in TARGETS:
        row = write_and_read(sequence, arguments.out / name)
        files.append(row)
        each = row["bytes"] / (arguments.gaussians * arguments.times)
        differs = "–" if row["differs"] is None else f"{100 * row['differs']:.4f}"
        table.add(name, f"{row['bytes'] / 1e6:.1f}", f"{each:.2f}", f"{row['seconds']:.1f}", differs)
        print(table.rows[-1], flush=True)
    print(table)
    write_json(
        arguments.out / "moving_files.json",
        {"machine": describe_machine(torch.get_num_threads()), "drawing": drawing, "files": files},
    )


def make_sequence(arguments: Arguments) -> GaussianSequence:
    """Gaussians in a box of two units before the camera, each some pixels large."""
    generator = torch.Generator().manual_seed(0)
    moving = round(MOVING * arguments.gaussians)

    def scene(g: int) -> Gaussians:
        """So many Gaussians."""
        return Gaussians(
            torch.rand(g, 3, generator=generator) * 2 - 1,
            torch.randn(g, 4, generator=generator),
            torch.randn(g, 3, generator=generator) * 0.4 - 4.3,
            torch.randn(g, generator=generator) + 1,
            (torch.rand(g, 1, 3, generator=generator) - 0.5) / SH_C0,
        )

    motion = Motion(
        torch.rand(moving, generator=generator) * SECONDS,
        torch.randn(moving, generator=generator) * 0.3 - 0.7,
        torch.randn(moving, 3, 3, generator=generator) * 0.1,
        torch.randn(moving, 4, generator=generator) * 0.1,
    )
    times = torch.arange(arguments.times, dtype=torch.float64) * SECONDS / arguments.times
    return GaussianSequence(scene(arguments.gaussians - moving), scene(moving), motion, times)


def time_frames(sequence: GaussianSequence) -> tuple[list[float], list[float], list[float]]:
    """Seconds for each time: of the still scene, of the moving one, and the part of that in which it is asked for the moment."""
    pose = torch.eye(4, dtype=torch.float64)[None].clone()
    pose[0, 2, 3] = 3.5
    cameras = Cameras(pose, intrinsics(focal_px=0.85 * SIZE[0], width=SIZE[0], height=SIZE[1], n=1), *SIZE)
    still, moving, at = [], [], []
    render(sequence.at(0.0), cameras)  # what is compiled and cached once
    for time_s in sequence.times_s.tolist():
        moment = sequence.at(time_s)
        started = time.perf_counter()
        render(moment, cameras)
        between = time.perf_counter()
        now = sequence.at(time_s)
        asked = time.perf_counter()
        render(now, cameras)
        ended = time.perf_counter()
        still.append(between - started)
        moving.append(ended - between)
        at.append(asked - between)
    return still, moving, at


def write_and_read(sequence: GaussianSequence, path: Path) -> dict:
    """Bytes of all files, seconds of writing, and how far the centres are off after reading; None for what is only written."""
    shutil.rmtree(path.parent if "#" in path.name else path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = sequence.frames()
    started = time.perf_counter()
    if path.suffix == ".safetensors":
        save_sequence(sequence, path)
    elif path.name == "spacetime.ply":
        write_spacetime(sequence, path)
    else:
        write_scene(frames, path)
    seconds = time.perf_counter() - started
    files = list(path.parent.iterdir()) if "#" in path.name else [path]
    size = sum(file.stat().st_size for file in files)
    differs = None
    if path.suffix != ".html":
        read = read_scene(path.parent if "#" in path.name else path).moving
        differs = None if read is None else compare_centres(read, frames)
    return {"file": path.name, "bytes": size, "seconds": seconds, "differs": differs}


def compare_centres(read: GaussianFrames, frames: GaussianFrames) -> float | None:
    """Largest difference, as a share of the scene's size of 2; None where rows or times are not those that were written."""
    if len(read) != len(frames):
        return None
    worst = 0.0
    for a, b in zip(read.frames, frames.frames, strict=True):
        if len(a) != len(b):
            return None
        worst = max(worst, float((a.means - b.means).abs().max()) / 2)
    return worst


if __name__ == "__main__":
    command(main, Arguments, __doc__)
