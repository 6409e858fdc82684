"""Does `bridge4d measure` praise what is wrong, or blame what is right? Faults with known names in rendered clips.

    python -m benchmarks.measure_faults --out runs/faults [--hardest] [--scenes room-0 outdoors-1] [--rows jump pan] [--json]

Every row of `fault_kinds.FAULTS` makes a clip that is wrong against its request, every row of `fault_harmless.HARMLESS` one that
is right, at three strengths in each scene. Requests are RealEstate10K files. Verdicts on wrong clips:

- *praised*: `follows@15` is met and nothing names the fault; or `cosmos` is, though the path runs against the request; or auc@5
  is 0.9 or more without a cause or a note;
- *told*: `follows@15` is not met and a cause or note names the fault; *noted*: it is met, and one names it;
- *unspecific*: it is not met, and no more is said than that the path is not the requested one; *misnamed*: another cause is named;
- *undefined*: no verdict, with the reason; *lost*: not registered, with a cause.

Verdicts on right ones: *right*, *undefined* and *lost* as above; *blamed*: `follows@15` is not met, a cause or a note of odd
frames is false, or a headline error is large (`fault_verdicts.LARGE`); *excused* where a note says
that such an error may be COLMAP's. What is lost, undefined or not met without any reason is *unexplained*.

Pictures, clips, matches and recoveries are kept in the folder, and results too, each for the state of the code that it comes from:
a second run goes on where the first one stopped, and after a change of what is judged alone takes seconds a clip.
"""

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image

from benchmarks.fault_harmless import HARMLESS
from benchmarks.fault_kinds import FAULTS, FaultyClip, Row, Strength
from benchmarks.fault_recoveries import measure_here
from benchmarks.fault_scenes import CANDIDATES, Scene
from benchmarks.fault_verdicts import AGAINST, ALARMING, Cell, judge
from benchmarks.machine import describe_machine
from benchmarks.output import Table, command, number
from benchmarks.source_hash import sources
from bridge4d.measuring.measure_options import MeasureOptions
from eval.results.measure import ClipResult
from recon.cameras import Cameras
from recon.errors import BridgeError
from recon.videos.write import write_video

SCENES = ("room-0", "outdoors-1", "clutter-0", "facade-0")
"""Of procedural places the first seed of a kind whose clean curve is recovered whole with auc@5 of 0.85 (`--candidates 3`): by nothing else."""
ROWS = (*FAULTS, *HARMLESS)
FEATURES = 1024
"""Of a frame. Half of the default and, in pictures of this size, no limit: three clips gave equal figures with both."""
RULES = ("share@90", "follows@15", "auc@5")
"""One recovery serves them all; cosmos has its own, and is asked only where a path runs against its request (`AGAINST`)."""


@dataclass(frozen=True)
class Arguments:
    out: Path
    """Keeps pictures, clips and results; start again to go on."""
    scenes: tuple[str, ...] = SCENES
    rows: tuple[str, ...] = ()
    """Beginnings of names; all of them by default."""
    hardest: bool = False
    """Of every row only the strength that is hardest to judge: the weakest fault, the strongest harmless change. A third of the time."""
    width: int = 256
    height: int = 176
    candidates: int = 0
    """Instead, measure the clean curve in so many seeds of each kind of procedural place."""
    json: bool = False


def main(arguments: Arguments) -> None:
    torch.set_num_threads(1)
    if arguments.candidates:
        print(try_candidates(arguments))
        return
    rows = choose_rows(arguments.rows)
    if arguments.hardest:
        rows = [
            dataclasses.replace(row, strengths=row.strengths[slice(0, 1) if row.wrong else slice(-1, None)])
            for row in rows
        ]
    results: dict[str, ClipResult] = {}
    for name in arguments.scenes:
        results |= measure_scene(arguments, name, rows)
    cells = judge_all(results, arguments.scenes, rows)
    alarms = [cell for cell in cells if cell.verdict in ALARMING]
    if arguments.json:
        found = {"machine": describe_machine(1), "cells": [dataclasses.asdict(cell) for cell in cells]}
        print(json.dumps(found, indent=1))
    else:
        print(table(cells, rows), f"\n{len(alarms)} cells are praised though wrong or blamed though right\n")
        print("\n".join(cell.describe() for cell in alarms))


def choose_rows(beginnings: Sequence[str]) -> list[Row]:
    """Rows by the beginnings of their names; the clean one always, for others are compared with it.

    Raises:
        BridgeError: a beginning that no row has.
    """
    for one in beginnings:
        if not any(row.name.startswith(one) for row in ROWS):
            raise BridgeError(f"expected rows out of {', '.join(row.name for row in ROWS)}, got {one!r}")
    return [row for row in ROWS if not beginnings or row.name.startswith(tuple(beginnings))]


def measure_scene(arguments: Arguments, name: str, rows: Sequence[Row]) -> dict[str, ClipResult]:
    """Draw and measure the clips of a scene: name of the clip -> result."""
    scene = Scene(name, arguments.width, arguments.height, arguments.out / "pictures")
    results: dict[str, ClipResult] = {}
    for rules in (RULES, (*RULES, "cosmos")):
        chosen = [row for row in rows if (row.name in AGAINST) == ("cosmos" in rules)]
        entries = [draw_clip(scene, row, strength, arguments.out) for row, strength in steps(chosen)]
        if entries:
            results |= measure(arguments, entries, rules)
    return results


def measure(
    arguments: Arguments, entries: Sequence[dict[str, str]], rules: tuple[str, ...] = RULES
) -> dict[str, ClipResult]:
    """Measure clips by the code as it is now."""
    code = sources("bridge4d.measuring.clip_task")
    manifest = arguments.out / "clips" / "clips.json"
    manifest.write_text(json.dumps(list(entries), indent=1))
    options = MeasureOptions(rules=rules, max_features=FEATURES, metrics="none")
    run = arguments.out / "runs" / f"{code[:12]}-{len(rules)}"
    return measure_here(manifest, run, options, store=arguments.out / "recoveries", note=say)


def say(line: str) -> None:
    """Progress, beside what is printed."""
    print(line, file=sys.stderr, flush=True)


def steps(rows: Sequence[Row]) -> Iterator[tuple[Row, Strength]]:
    for row in rows:
        for strength in row.strengths:
            yield row, strength


def clip_name(scene: str, row: Row, strength: Strength) -> str:
    """As a folder."""
    words = "".join(c if c.isalnum() else "-" for c in row.name).replace("--", "-")
    step = strength.replace(" ", "-") if isinstance(strength, str) else f"{strength:g}"
    return f"{scene}/{words}_{step}"


def draw_clip(scene: Scene, row: Row, strength: Strength, out: Path) -> dict[str, str]:
    """Write a clip unless it is there; returns its line of the manifest."""
    name = clip_name(scene.name, row, strength)
    folder = out / "clips" / name
    cameras = folder / "request.txt"
    if not cameras.is_file():
        seed = sum(map(ord, name))
        made = row.make(scene, strength, torch.Generator().manual_seed(seed))
        folder.mkdir(parents=True, exist_ok=True)
        write_pictures(made, folder)
        # last: its being there says that the clip is complete
        cameras.write_text(realestate10k(made.asked, made.decimals))
        say(f"drew {name}")
    video = folder / "clip.mp4"
    clip = video if video.is_file() else folder / "frames"
    return {
        "clip": str(clip.relative_to(out / "clips")),
        "cameras": str(cameras.relative_to(out / "clips")),
        "name": name,
        "model": row.name,
    }


def write_pictures(made: FaultyClip, folder: Path) -> None:
    """As PNG, or as a video."""
    if made.crf is not None:
        height, width = made.pictures.shape[1:3]
        with write_video(folder / "clip.mp4", width=width, height=height, fps=12, crf=made.crf) as add:
            for picture in made.pictures:
                add(picture.numpy())
        return
    (folder / "frames").mkdir(exist_ok=True)
    for i, picture in enumerate(made.pictures):
        Image.fromarray(picture.numpy()).save(folder / "frames" / f"{i:03d}.png", compress_level=1)


def realestate10k(cameras: Cameras, decimals: int) -> str:
    """The text of a camera file of RealEstate10K."""
    lines = ["https://example.org/rendered"]
    sizes = torch.tensor([cameras.width, cameras.height, cameras.width, cameras.height])
    for i, (pose, K) in enumerate(zip(cameras.cam_from_world.double(), cameras.K.double(), strict=True)):
        lens = torch.stack([K[0, 0], K[1, 1], K[0, 2], K[1, 2]]) / sizes
        values = [*lens.tolist(), 0.0, 0.0, *pose[:3].flatten().tolist()]
        lines.append(" ".join([str(i * 33333), *(f"{value + 0:.{decimals}f}" for value in values)]))
    return "\n".join(lines) + "\n"


def judge_all(results: dict[str, ClipResult], scenes: Sequence[str], rows: Sequence[Row]) -> list[Cell]:
    """A cell for each scene, row and strength."""
    return [
        judge(row, str(strength), scene, results[clip_name(scene, row, strength)])
        for scene in scenes
        for row, strength in steps(rows)
    ]


def table(cells: Sequence[Cell], rows: Sequence[Row]) -> Table:
    """A line for each row: counts of verdicts over the scenes at each strength, and the largest errors of right clips."""
    out = Table(("clip", "is", "weak", "medium", "strong", "rotation °", "position"))
    for row in rows:
        of_row = [cell for cell in cells if cell.row == row.name]
        counts = [
            Counter(cell.verdict for cell in of_row if cell.strength == str(strength))
            for strength in row.strengths
        ]
        said = [
            f"{describe_strength(strength, row.unit)}: "
            + ", ".join(f"{verdict} {n}" for verdict, n in count.most_common())
            for strength, count in zip(row.strengths, counts, strict=True)
        ]
        worst = [] if row.wrong else [cell for cell in of_row if cell.verdict == "right"]
        rotation = [cell.rotation_deg for cell in worst if cell.rotation_deg is not None]
        position = [cell.position_share for cell in worst if cell.position_share is not None]
        out.add(
            row.name, "wrong" if row.wrong else "right", *said, *[""] * (3 - len(said)),
            number(max(rotation, default=None)), number(max(position, default=None), "{:.4f}"),
        )  # fmt: skip
    return out


def describe_strength(strength: Strength, unit: str) -> str:
    step = strength if isinstance(strength, str) else f"{strength:g}"
    return f"{step} {unit}".strip()


def try_candidates(arguments: Arguments) -> Table:
    """How well the clean curve is recovered in the first seeds of each kind of procedural place."""
    clean = choose_rows(("clean",))[0]
    names = [f"{kind}-{seed}" for kind in CANDIDATES for seed in range(arguments.candidates)]
    entries = []
    for name in names:
        scene = Scene(name, arguments.width, arguments.height, arguments.out / "pictures")
        entries.append(draw_clip(scene, clean, "curve", arguments.out))
    results = measure(arguments, entries)
    out = Table(("scene", "registered", "auc@5", "position", "motion"))
    for name in names:
        clip = results[clip_name(name, clean, "curve")]
        auc = clip.verdicts["auc@5"].share if "auc@5" in clip.verdicts else None
        position = clip.errors["position_share"].value if "position_share" in clip.errors else None
        out.add(
            name, f"{clip.registered} of {clip.frames}", number(auc), number(position, "{:.4f}"), clip.motion
        )
    return out


if __name__ == "__main__":
    command(main, Arguments, __doc__)
