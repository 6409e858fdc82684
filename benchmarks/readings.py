"""Is it noticed that requested cameras were read wrongly, and is the right reading named? Wrong on purpose, of known clips.

    python -m benchmarks.readings CLIPS [--room] [--only real_] [--max-side 384] [--json]

CLIPS is a folder as `bridge4d measure` takes it, its cameras the truth; `--room` takes paths through the built-in room instead, filmed
exactly and by a generator that follows loosely (1° and 3% of the path). Each clip is matched once, and then asked with its cameras as
they are and made wrong in every way of `reading_cases.truths`. What is said of each:

- *named*: the right reading alone; *among*: with others that look alike on this path; *wrong*: others only;
- *as stated*: nothing is amiss; *cannot tell*: the right reading and the one as stated look alike, or nothing is clear;
- *none fits*: no reading comes near.

*another path*: each clip's matches with the cameras of every other clip of the same size and length, which no reading mends.
"""

import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tyro.conf import Positional

from benchmarks.machine import describe_machine
from benchmarks.output import Table, command
from benchmarks.reading_cases import EXACT, LOOSE, follow, hold_frames, misread, room_paths, truths
from eval.paths.conventions import compare_readings
from eval.results.conventions import AS_STATED, NONE_FITS, OTHERWISE, ReadingCheck
from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.clipset import find_clips
from recon.clips.read import read_clip
from recon.compute.seeds import make_generator
from recon.errors import CaptureError
from recon.sfm.matches import Matches
from recon.sfm.recipes import FRAMES
from recon.sfm.recoverer import Recoverer
from worldgen.models.synthetic import SyntheticRoom

SAID = ("named", "among", "wrong", "as stated", "cannot tell", "none fits")
ANOTHER = "another path"
ROOM_FRAMES, ROOM_SIZE = 16, (320, 208)
FEATURES = 2048
"""Of a frame, as `bridge4d measure` takes."""


@dataclass(frozen=True)
class Arguments:
    clips: Positional[Path | None] = None
    room: bool = False
    only: str = ""
    """Beginning of the names of clips."""
    max_side: int = 384
    seed: int = 0
    json: bool = False


@dataclass(frozen=True)
class Case:
    """A clip whose cameras are known."""

    name: str
    matches: Matches
    meant: Cameras


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    started = time.perf_counter()
    cases = list(film_room(arguments.seed) if arguments.room else read_clips(arguments))
    matched = time.perf_counter() - started
    found: dict[str, Counter[str]] = {}
    asked = 0
    for case in cases:
        for truth in truths():
            check = ask(hold_frames(case.matches, truth), misread(truth, case.meant), arguments.seed)
            found.setdefault(truth, Counter())[verdict(truth, check)] += 1
            asked += 1
            say(f"{case.name}, {truth}: {verdict(truth, check)} {check.named or check.because}")
        for other in cases:
            if comparable(case, other):
                check = ask(case.matches, other.meant, arguments.seed)
                found.setdefault(ANOTHER, Counter())[verdict(ANOTHER, check)] += 1
                asked += 1
                if check.fit == OTHERWISE:
                    say(f"{case.name} by the cameras of {other.name}: {check.named}")
    seconds = (time.perf_counter() - started - matched) / asked
    if arguments.json:
        print(
            json.dumps({"machine": describe_machine(1), "seconds_a_check": seconds, "found": found}, indent=1)
        )
        return
    table = Table(("cameras were meant as", "clips", *SAID))
    for truth, counts in found.items():
        table.add(truth, counts.total(), *(counts[said] or "" for said in SAID))
    print(table, f"\n{len(cases)} clips, matched in {matched:.0f} s; {asked} checks of {seconds:.2f} s")


def verdict(truth: str, check: ReadingCheck) -> str:
    """One of `SAID`."""
    if check.fit == OTHERWISE:
        if truth not in check.named:
            return "wrong"
        return "named" if len(check.named) == 1 else "among"
    if check.fit == AS_STATED:
        return "cannot tell" if truth in check.alike else "as stated"
    return "none fits" if check.fit == NONE_FITS else "cannot tell"


def ask(matches: Matches, requested: Cameras, seed: int) -> ReadingCheck:
    return compare_readings(matches, requested, generator=make_generator(seed))


def comparable(case: Case, other: Case) -> bool:
    """Whether the pictures of one could have been asked for by the cameras of the other, another path at that."""
    a, b = case.meant, other.meant
    same = (len(a), a.width, a.height) == (len(b), b.width, b.height)
    return same and path_of(case) != path_of(other)


def path_of(case: Case) -> str:
    """Loose and exact clips of the room share their request."""
    return case.name.partition(" (")[0]


def read_clips(arguments: Arguments) -> Iterator[Case]:
    if arguments.clips is None:
        raise CaptureError("expected a folder of clips with cameras, or --room; got neither")
    for source in find_clips(arguments.clips).sources:
        if not source.name.startswith(arguments.only):
            continue
        read = read_clip(source, max_side=arguments.max_side)
        if read.clip.cameras is not None and read.intrinsics_known:
            yield Case(source.name, match(read.clip), read.clip.cameras)


def film_room(seed: int) -> Iterator[Case]:
    room, (width, height) = SyntheticRoom(seed), ROOM_SIZE
    paths = room_paths(room, count=ROOM_FRAMES, width=width, height=height)
    for how in (EXACT, LOOSE):
        for i, (name, path) in enumerate(paths.items()):
            filmed = follow(path, how, generator=make_generator(seed, i))
            yield Case(f"{name} ({how.name})", match(Clip(room.render(filmed)[0])), path)


def match(clip: Clip) -> Matches:
    """As `bridge4d measure` matches."""
    with tempfile.TemporaryDirectory() as folder:
        return Recoverer(clip, Path(folder), max_features=FEATURES).matches(FRAMES)


def say(line: str) -> None:
    """Progress, beside what is printed."""
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    command(main, Arguments, __doc__)
