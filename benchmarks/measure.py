"""Clips per minute of `bridge4d measure`, beside the plain recipe (`peers/plain_colmap.py`), on the same clips.

    python -m benchmarks.measure [--clips ../shared/clips/cameractrl] [--textured 2] [--memory 200] [--out FOLDER] [--json]

Contestants take turns over groups of clips, each turn in a fresh process, so that whatever else the machine does hits
all of them: *plain* is the recipe; *bare* is ``--rules share@90 --metrics none --intrinsics
shared``, the same job on an unknown lens; *default* answers every default
rule and every fast metric; *all* adds ``--metrics all``, on the first group only.

- *clips/min* from the first clip to the last, workers' start included; imports of the turn's own process are left out.
- *CPU-s a clip* of all processes of the turn, after those imports: compare these where the machine is shared.
- *recovered*: at least 90% of the frames in one model. *rotation °* and *position* (share of the extent) are medians,
  over the recovered clips, of `eval.trajectories`, against the request; for real and rendered clips that is the truth.

Textured clips are those of `benchmarks.textured`, 57 frames of 704x480, drawn here (one to two CPU-minutes each) unless they lie
in `--out` already. ``--memory N`` sends N copies of the first of them through the pool and says what is resident meanwhile.
"""

import dataclasses
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
import tyro

from benchmarks.machine import describe_machine
from benchmarks.peers.plain_colmap import recover_all
from benchmarks.textured import textured_clips
from bridge4d.measuring.measure_clips import measure_clips
from bridge4d.measuring.measure_options import MeasureOptions
from eval.judging.rules import MIN_REGISTERED_SHARE
from eval.trajectories import trajectory_errors
from recon.clips.clipset import find_clips
from recon.clips.source import ClipSource

SHARED = Path(__file__).resolve().parents[2] / "shared"
SETTINGS: dict[str, MeasureOptions] = {
    "bare": MeasureOptions(rules=("share@90",), metrics="none", intrinsics="shared"),
    "default": MeasureOptions(),
    "all": MeasureOptions(metrics="all"),
}
PLAIN = "plain"


@dataclass(frozen=True)
class Arguments:
    clips: Path = SHARED / "clips" / "cameractrl"
    """Clips with requested cameras; passed over with a word where they are not there."""
    textured: int = 0
    """So many textured clips as well."""
    size: tuple[int, int] = (704, 480)
    """Of textured clips, pixels."""
    frames: int = 57
    """Of a textured clip."""
    contestants: tuple[str, ...] = (PLAIN, *SETTINGS)
    group: int = 5
    """Clips of a turn."""
    workers: int = 0
    memory: int = 0
    """Instead of all else, resident memory over so many textured clips."""
    out: Path | None = None
    """Keeps the textured clips there, and every turn as it ends (`turns.jsonl`)."""
    json: bool = False


@dataclass(frozen=True)
class Outcome:
    """Of one clip with one contestant."""

    recovered: bool
    rotation_deg: float | None
    position_share: float | None
    seconds: dict[str, float]
    """By stage, where the contestant says."""


@dataclass(frozen=True)
class Turn:
    """One contestant on one group of clips."""

    contestant: str
    wall_s: float
    cpu_s: float
    load: float
    outcomes: dict[str, Outcome]


@dataclass(frozen=True)
class Total:
    """One contestant on one set of clips."""

    clips: int
    clips_per_minute: float
    cpu_s: float
    recovered: int
    rotation_deg: float | None
    position_share: float | None
    seconds: dict[str, float]
    """Mean a clip, by stage."""

    @staticmethod
    def of(turns: Sequence[Turn]) -> "Total":
        outcomes = [outcome for turn in turns for outcome in turn.outcomes.values()]
        stages = dict.fromkeys(stage for outcome in outcomes for stage in outcome.seconds)
        n = len(outcomes)
        return Total(
            clips=n,
            clips_per_minute=60 * n / sum(turn.wall_s for turn in turns),
            cpu_s=sum(turn.cpu_s for turn in turns) / n,
            recovered=sum(outcome.recovered for outcome in outcomes),
            rotation_deg=_median([o.rotation_deg for o in outcomes]),
            position_share=_median([o.position_share for o in outcomes]),
            seconds={stage: sum(o.seconds.get(stage, 0.0) for o in outcomes) / n for stage in stages},
        )


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def cpu_seconds() -> float:
    """Of this process and its children that have ended."""
    return sum(
        used.ru_utime + used.ru_stime for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )  # fmt: skip


def take_turn(contestant: str, sources: list[ClipSource], workers: int) -> Turn:
    """To be called in a process of its own: what is used up there is the contestant's."""
    import pycolmap

    pycolmap.logging.minloglevel = int(pycolmap.logging.ERROR)
    load, started, used = os.getloadavg()[0], time.perf_counter(), cpu_seconds()
    if contestant == PLAIN:
        found = recover_all(sources, max_side=MeasureOptions().max_side)
        wall, cpu = time.perf_counter() - started, cpu_seconds() - used
        outcomes = {name: _outcome_plain(plain) for name, plain in found.items()}
    else:
        options = dataclasses.replace(
            SETTINGS[contestant], workers=workers, allow_outside=True
        )  # the manifest lies in a scratch folder
        with tempfile.TemporaryDirectory() as folder:
            clips = measure_clips(manifest(sources, Path(folder)), Path(folder) / "run", options).report.clips
        wall, cpu = time.perf_counter() - started, cpu_seconds() - used
        outcomes = {
            clip.name: Outcome(
                clip.recovered,
                clip.errors["rotation_deg"].value if clip.errors else None,
                clip.errors["position_share"].value if clip.errors else None,
                clip.seconds,
            )
            for clip in clips
        }
    return Turn(contestant, wall, cpu, load, outcomes)


def _outcome_plain(plain) -> Outcome:
    enough = plain.registered.sum().item() >= MIN_REGISTERED_SHARE * len(plain.registered)
    if not enough or plain.requested is None:
        return Outcome(enough, None, None, {})
    errors = trajectory_errors(plain.cameras, plain.registered, plain.requested)
    return Outcome(True, errors["rotation_deg"].value, errors["position_share"].value, {})


def manifest(sources: Sequence[ClipSource], folder: Path) -> Path:
    file = folder / "clips.json"
    rows = [
        {"clip": str(s.path.resolve()), "cameras": str(s.cameras.resolve()) if s.cameras else "",
         "name": s.name, "model": s.model}
        for s in sources
    ]  # fmt: skip
    file.write_text(json.dumps(rows))
    return file


def compete(sources: Sequence[ClipSource], arguments: Arguments) -> list[Turn]:
    """Everyone on the first group, everyone on the second …; who begins changes from group to group."""
    groups = [list(sources[i : i + arguments.group]) for i in range(0, len(sources), arguments.group)]
    turns = []
    for number, group in enumerate(groups):
        here = [c for c in arguments.contestants if c != "all" or number == 0]
        for contestant in here[number % len(here) :] + here[: number % len(here)]:
            turns.append(alone(contestant, group, arguments.workers))
            done = turns[-1]
            if arguments.out is not None:
                with (arguments.out / "turns.jsonl").open("a") as file:
                    file.write(json.dumps(dataclasses.asdict(done)) + "\n")
            print(
                f"group {number + 1} of {len(groups)}: {contestant} {done.wall_s:.1f} s, {done.cpu_s:.1f} CPU-s, "
                f"load {done.load:.1f}",
                file=sys.stderr,
                flush=True,
            )
    return turns


def alone(contestant: str, sources: list[ClipSource], workers: int) -> Turn:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(max_workers=1, mp_context=context) as pool:
        return pool.submit(take_turn, contestant, sources, workers).result()


def sets(arguments: Arguments, scratch: Path) -> dict[str, list[ClipSource]]:
    """Real and generated clips apart, for only the first have the truth as request."""
    out: dict[str, list[ClipSource]] = {}
    if arguments.clips.exists():
        for source in find_clips(arguments.clips).sources:
            kind = "generated" if source.path.name.startswith("gen_") else "real"
            out.setdefault(f"{kind}, {arguments.clips.name}", []).append(source)
    else:
        print(f"{arguments.clips} is not there: textured clips only", file=sys.stderr)
    if arguments.textured:
        out["textured"] = _textured(arguments, scratch, arguments.textured)
    return out


def _textured(arguments: Arguments, folder: Path, count: int) -> list[ClipSource]:
    width, height = arguments.size
    return textured_clips(folder, count, frames=arguments.frames, width=width, height=height)


def table(totals: dict[str, dict[str, Total]]) -> str:
    rows = [
        "| clips | contestant | clips/min | × plain | CPU-s a clip | × plain | recovered | rotation ° | position |",
        "| --- " * 9 + "|",
    ]
    for name, by in totals.items():
        plain = by.get(PLAIN)
        for contestant, total in by.items():
            faster = f"{total.clips_per_minute / plain.clips_per_minute:.2f}" if plain else "–"
            cheaper = f"{plain.cpu_s / total.cpu_s:.2f}" if plain else "–"
            rotation = "–" if total.rotation_deg is None else f"{total.rotation_deg:.3f}"
            position = "–" if total.position_share is None else f"{total.position_share:.5f}"
            rows.append(
                f"| {name} | {contestant} | {total.clips_per_minute:.1f} | {faster} | {total.cpu_s:.2f} | {cheaper} | "
                f"{total.recovered}/{total.clips} | {rotation} | {position} |"
            )
    return "\n".join(rows)


def stages(totals: dict[str, dict[str, Total]]) -> str:
    """Mean wall seconds a clip in its worker."""
    names = list(dict.fromkeys(s for by in totals.values() for total in by.values() for s in total.seconds))
    rows = [
        "| clips | contestant | " + " | ".join(names) + " |",
        "| --- " * (len(names) + 2) + "|",
    ]
    for name, by in totals.items():
        for contestant, total in by.items():
            if total.seconds:
                cells = [f"{total.seconds.get(stage, 0):.2f}" for stage in names]
                rows.append(f"| {name} | {contestant} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def resident(source: ClipSource, count: int, workers: int, folder: Path) -> list[tuple[int, float]]:
    """(clips done, MB of the largest worker), every half second, while copies of one clip are measured."""
    copies = [dataclasses.replace(source, name=f"copy-{i:04d}") for i in range(count)]
    options = MeasureOptions(workers=workers, allow_outside=True)  # the manifest lies in a scratch folder
    seen: list[tuple[int, float]] = []
    ended = threading.Event()

    def look() -> None:
        me = psutil.Process()
        while not ended.wait(0.5):
            largest = 0
            for process in me.children(recursive=True):
                try:
                    largest = max(largest, process.memory_info().rss)
                except psutil.NoSuchProcess:
                    continue
            done = sum(1 for _ in (folder / "run" / "clips").glob("copy-*/result.json"))
            seen.append((done, largest / 1e6))
            if seen[-1][0] > (seen[-2][0] if len(seen) > 1 else 0):
                print(
                    f"{done} clips, {max(mb for _, mb in seen):.0f} MB at most", file=sys.stderr, flush=True
                )

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        measure_clips(manifest(copies, folder), folder / "run", options)
    finally:
        ended.set()
        watcher.join()
    return seen


def memory_table(seen: Sequence[tuple[int, float]], count: int) -> str:
    """The most that was seen around 10%, 25% … of the clips, and ever: flat where a worker leaks nothing."""
    rows = ["| clips done | MB of the largest worker, at most |", "| --- | --- |"]
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        near = [mb for done, mb in seen if abs(done - share * count) <= max(1, 0.03 * count)]
        if near:
            rows.append(f"| {share:.0%} of {count} | {max(near):.0f} |")
    rows.append(f"| ever | {max(mb for _, mb in seen):.0f} |")
    return "\n".join(rows)


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    if arguments.out is not None:
        arguments.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.memory:
            source = _textured(arguments, arguments.out or Path(scratch), 1)[0]
            seen = resident(source, arguments.memory, arguments.workers, Path(scratch))
            print(json.dumps(seen) if arguments.json else memory_table(seen, arguments.memory))
            return
        turns = {
            name: compete(sources, arguments)
            for name, sources in sets(arguments, arguments.out or Path(scratch)).items()
        }
    totals = {
        name: {
            c: Total.of([t for t in of if t.contestant == c])
            for c in arguments.contestants
            if any(t.contestant == c for t in of)
        }
        for name, of in turns.items()
    }
    machine = describe_machine(arguments.workers)
    if arguments.json:
        plain = {
            name: {c: dataclasses.asdict(total) for c, total in by.items()} for name, by in totals.items()
        }
        print(json.dumps({"machine": machine, "totals": plain}, indent=1))
        return
    print(f"{table(totals)}\n\n{stages(totals)}\n\n{machine}")


if __name__ == "__main__":
    main(tyro.cli(Arguments, description=__doc__))
