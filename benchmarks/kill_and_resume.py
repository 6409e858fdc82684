"""Killing a measurement at random moments, and starting it again: is the report that of an undisturbed run?

    python -m benchmarks.kill_and_resume [CLIPS] [--kills 10] [--json]

The command is ended by SIGKILL, which nothing can catch, at a moment drawn evenly from the time that an undisturbed
run takes; then the same command is started again. Equal means equal to the last digit and byte of ``report.json``, but
for seconds. Without CLIPS a few small ones are made: a ray-traced room as it is, with its frames exchanged, and noise.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
import tyro
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from recon.camera_files.formats.transforms_write import write_transforms
from recon.cameras import Cameras
from recon.clip import Clip
from recon.pictures.eight_bit import to_eight_bit
from worldgen.model import Request
from worldgen.models.corrupt import Corrupt, Corruption
from worldgen.models.synthetic import SyntheticRoom

GONE_S = 10.0
"""Within this, all processes of a killed run must have ended."""


@dataclass(frozen=True)
class Arguments:
    clips: tyro.conf.Positional[Path | None] = None
    """As for `bridge4d measure`; made here by default."""
    kills: int = 10
    workers: int = 2
    seed: int = 0
    """Of the moments."""
    json: bool = False


@dataclass(frozen=True)
class Kill:
    """One kill and what came of it."""

    after_s: float
    """Since the command's start."""
    under_way: bool
    """Whether the command was still running."""
    kept: int
    """Clips that were finished before the kill, and were not measured again."""
    survivors: int
    """Processes of the killed run that did not end with it."""
    equal: bool
    """Whether the final report is the undisturbed one."""


def write_frames(folder: Path, images: Float[Tensor, "n h w 3"], cameras: Cameras | None = None) -> Path:
    """A clip as a folder of PNG frames; where cameras are given, with these in ``transforms.json``."""
    folder.mkdir(parents=True)
    names = tuple(f"frame_{i:03d}.png" for i in range(len(images)))
    if cameras is not None:
        write_transforms(folder / "transforms.json", Clip(images=images, cameras=cameras, names=names))
        return folder
    for name, image in zip(names, to_eight_bit(images).numpy(), strict=True):
        Image.fromarray(image).save(folder / name)
    return folder


def write_room_clips(
    folder: Path, *, frames: int = 10, width: int = 192, height: int = 128, seed: int = 0
) -> Path:
    """Three small clips of frames: a true walk through a room, one with frames exchanged, and noise."""
    generator = torch.Generator().manual_seed(seed)
    room = SyntheticRoom(seed)
    walk = room.cameras(4 * frames, width=width, height=height)[: 2 * frames : 2]
    images, _ = room.render(walk)
    write_frames(folder / "walk", images, walk)
    request = Request(context=Clip(images=images, cameras=walk), targets=walk)
    mixed = Corrupt(room, Corruption(swapped=0.6, noise=0.02)).generate(request, generator=generator)
    write_frames(folder / "exchanged", mixed.clip.images, walk)
    write_frames(folder / "noise", torch.rand(frames, height, width, 3, generator=generator), walk)
    return folder


def measure_command(clips: Path, out: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "bridge4d", "measure", str(clips), "--out", str(out), *options]


def comparable(report: dict[str, Any], *, but: Sequence[str] = ()) -> str:
    """A report as text, without what may differ between two runs of one question.

    That is: seconds; the command line; and settings that say how it was computed, not what (`workers`, `engine`).
    `but` names further keys of clips.
    """
    report = json.loads(json.dumps(report))
    for key in ("seconds", "command"):
        del report[key]
    for key in ("workers", "engine", "seconds_limit"):
        report["settings"].pop(key, None)
    for clip in report["clips"]:
        for key in ("seconds", *but):
            del clip[key]
    return json.dumps(report, indent=1)


def read_report(run: Path) -> dict[str, Any]:
    return json.loads((run / "report.json").read_text())


def alive(process: psutil.Process) -> bool:
    """Not gone, and not a zombie that nobody collects."""
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def survivors(processes: Sequence[psutil.Process], within_s: float = GONE_S) -> list[psutil.Process]:
    """Those that still run after so long; returns as soon as none does."""
    end = time.monotonic() + within_s
    while any(alive(p) for p in processes) and time.monotonic() < end:
        time.sleep(0.02)
    return [p for p in processes if alive(p)]


def kill_and_resume(command: Sequence[str], run: Path, undisturbed: str, *, after_s: float) -> Kill:
    """Starts the command, kills it after so long, and starts it again to the end.

    Raises:
        subprocess.CalledProcessError: the second start failed.
    """
    first = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with suppress(subprocess.TimeoutExpired):
        first.wait(after_s)
    under_way = first.poll() is None
    family = psutil.Process(first.pid).children(recursive=True) if under_way else []
    with suppress(ProcessLookupError):
        os.kill(first.pid, signal.SIGKILL)
    first.wait()
    left = survivors(family)
    # a hidden folder is one that was being written: what lies in it was not finished yet
    done = {file: file.stat().st_mtime_ns for file in run.glob("clips/[!.]*/result.json")}
    subprocess.run(command, check=True, capture_output=True)
    kept = sum(file.stat().st_mtime_ns == then for file, then in done.items())
    return Kill(
        after_s=round(after_s, 2),
        under_way=under_way,
        kept=kept,
        survivors=len(left),
        equal=kept == len(done) and comparable(read_report(run)) == undisturbed,
    )


def run(a: Arguments, folder: Path) -> list[Kill]:
    """Every kill in a run folder of its own below `folder`."""
    clips = a.clips or write_room_clips(folder / "clips")
    options = ("--workers", str(a.workers))
    started = time.monotonic()
    subprocess.run(
        measure_command(clips, folder / "undisturbed", *options), check=True, stdout=subprocess.DEVNULL
    )
    whole_s = time.monotonic() - started
    undisturbed = comparable(read_report(folder / "undisturbed"))
    moments = random.Random(a.seed)
    kills = []
    for i in range(a.kills):
        out = folder / f"killed-{i}"
        kills.append(
            kill_and_resume(
                measure_command(clips, out, *options),
                out,
                undisturbed,
                after_s=moments.uniform(0.0, whole_s),
            )
        )
        print(f"{i + 1}/{a.kills}: {kills[-1]}", file=sys.stderr, flush=True)
    return kills


def main(a: Arguments) -> int:
    with tempfile.TemporaryDirectory() as folder:
        kills = run(a, Path(folder))
    if a.json:
        print(json.dumps([vars(kill) for kill in kills], indent=2))
    else:
        print("| killed after s | under way | clips kept | processes left | report equal |")
        print("| --- | --- | --- | --- | --- |")
        for k in sorted(kills, key=lambda k: k.after_s):
            print(
                f"| {k.after_s} | {'yes' if k.under_way else 'no'} | {k.kept} | {k.survivors} | {'yes' if k.equal else 'no'} |"
            )
        print(
            f"\n{sum(k.equal for k in kills)} of {len(kills)} final reports equal the undisturbed one; "
            f"{sum(k.survivors for k in kills)} processes were left"
        )
    return 0 if all(k.equal and not k.survivors for k in kills) else 1


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
