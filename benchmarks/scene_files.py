"""How long does it take to write and read a scene in each format, how large is the file, and how does splat-transform do?

    python -m benchmarks.scene_files [--counts 100000 1000000] [--files c.compressed.ply v3.spz v4.spz]

The scene is a garden's points with random sizes, turns, opacities and spherical harmonics of degree 3, which compress
worse than those of a trained scene. Both programs write the same files, one after the other: ours from memory,
splat-transform from a PLY, whose reading and the start of Node (0.2 s) its seconds include; those it takes to read the
PLY and write nothing stand in the row *read PLY*. Seconds are of the wall clock and, in brackets, of all cores, each
the smallest of --repeats runs, between which the programs take turns. Torch has one thread; zlib and zstd have all cores.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from benchmarks.garden import garden
from benchmarks.machine import describe_machine
from benchmarks.output import Table, command
from benchmarks.peers.splat_transform import convert, missing
from recon.gaussians import Gaussians, sh_bases
from recon.scenefiles import WriteOptions, read_scene, write_scene

NOT_THEIRS = (".splat", ".usd", ".usda", ".usdc", ".usdz", ".4dgs")
"""What splat-transform does not write."""
SLOW_PALETTE = ".sog"
"""Where splat-transform seeks a palette of view-dependent colours. Without a GPU one of its ten rounds of k-means took 13
minutes of one core at 100,000 Gaussians; it is left out where there are such colours, unless --sog-rounds is given."""


@dataclass(frozen=True)
class Arguments:
    counts: tuple[int, ...] = (100_000, 1_000_000)
    """Gaussians."""
    files: tuple[str, ...] = ("s.ply", "c.compressed.ply", "a.splat", "v3.spz", "v4.spz", "s.sog", "s.glb")
    """Names whose endings say the formats; v4 before .spz is its version 4."""
    sh_degree: int = 3
    """Of the colours."""
    repeats: int = 3
    seed: int = 0
    sog_rounds: int | None = None
    """Write .sog with splat-transform too, with so many rounds of k-means (its own default is 10)."""


@dataclass(frozen=True)
class Seconds:
    wall: float
    cores: float
    """Summed over all cores, child processes included."""

    def __str__(self) -> str:
        return f"{self.wall:.2f} ({self.cores:.2f})"


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)  # threads that wait for each other on busy cores cost more than they bring
    print(describe_machine(torch.get_num_threads()))
    if reason := missing():
        print(f"splat-transform is left out: {reason}")
    for count in arguments.counts:
        generator = torch.Generator().manual_seed(arguments.seed)
        scene, _, source = garden(count, width=64, height=48, generator=generator)
        scene = replace(scene, sh=scene.sh[:, : sh_bases(arguments.sh_degree)].contiguous())
        table = Table(("file", "write s", "read s", "MB", "splat-transform s", "its MB"))
        with tempfile.TemporaryDirectory() as folder:
            ply = Path(folder) / "source.ply"
            write_scene(scene, ply)
            for name in arguments.files:
                table.add(name, *_turns(scene, ply, Path(folder) / name, arguments))
            if missing() is None:
                turns = [measure(lambda p=ply: convert(p, Path("null"))) for _ in range(arguments.repeats)]
                table.add("read PLY", "", "", "", _best(turns), "")
        print(f"\n{count:,} Gaussians of degree {arguments.sh_degree} ({source})\n\n{table}")


def _turns(scene: Gaussians, ply: Path, ours: Path, arguments: Arguments) -> tuple[object, ...]:
    """Cells of one format: our seconds to write and to read, megabytes, its seconds and megabytes."""
    theirs = ours.with_name(f"their-{ours.name}")
    version = 4 if ours.name.endswith("v4.spz") else 3
    written, read, other = [], [], []
    for _ in range(arguments.repeats):
        written.append(measure(lambda: write_scene(scene, ours, WriteOptions(spz_version=version))))
        read.append(measure(lambda: read_scene(ours)))
        rounds = arguments.sog_rounds
        takes_hours = ours.suffix == SLOW_PALETTE and scene.sh_degree > 0 and rounds is None
        if missing() is None and ours.suffix not in NOT_THEIRS and not takes_hours:
            options = ["--spz-version", str(version)] if ours.suffix == ".spz" else []
            if ours.suffix == SLOW_PALETTE and rounds is not None:
                options = ["--sh-iterations", str(rounds)]
            other.append(measure(lambda o=options: convert(ply, theirs, *o)))
    return _best(written), _best(read), _megabytes(ours), _best(other), _megabytes(theirs)


def _best(turns: list[Seconds]) -> Seconds | str:
    if not turns:
        return "–"
    return Seconds(min(turn.wall for turn in turns), min(turn.cores for turn in turns))


def measure(work: Callable[[], object]) -> Seconds:
    wall, cores = time.perf_counter(), _core_seconds()
    work()
    return Seconds(time.perf_counter() - wall, _core_seconds() - cores)


def _core_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f}" if path.is_file() else "–"


if __name__ == "__main__":
    command(main, Arguments, __doc__)
