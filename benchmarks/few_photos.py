"""How well a few photos show what none of them was trained on, by how the training starts, drops out and ends.

    python -m benchmarks.few_photos CAPTURES --only lund_door banana --photos 3 6 9

Photos come with reference cameras, or with those of COLMAP over all photos of the capture. Points and depth come from the
training photos alone. PSNR is the mean over photos that do not train: those that are held out by name, and others up to
`--judges`. Every training is a line of `few_photos.jsonl`; started again the benchmark continues.
"""

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from time import process_time
from typing import Any

from tyro.conf import Positional

from benchmarks.few_photos_cases import Case, find_captures, load_case
from benchmarks.output import Table, command, mean, number
from eval.pictures.images import psnr
from recon.compute.seeds import make_generator
from recon.depth.surfaces import LEAST_CONFIDENCE
from recon.splats.fit import fit_gaussians
from recon.splats.fitting.choose import Choice, choose_training, list_lengths
from recon.splats.render import draw_views


@dataclass(frozen=True)
class Kind:
    """One way to train."""

    least_confidence: float
    """Of the depth from which Gaussians start."""
    dropout: float
    iterations: int


LONGEST = 800
"""Steps, of a draft."""
THREE, TWO = 0.8, LEAST_CONFIDENCE
"""Confidence of depth on which three photos agree, and two."""
OLD = Kind(THREE, 0.0, LONGEST)
RECIPES = {
    "new": (TWO, 0.3),
    "start where three agree": (THREE, 0.3),
    "no dropout": (TWO, 0.0),
}
"""Least confidence of the start, and dropout; lengths are chosen."""


@dataclass(frozen=True)
class Arguments:
    captures: Positional[Path]
    """Folder of captures."""
    only: tuple[str, ...] = ()
    """Names of captures; all where none is given."""
    photos: tuple[int, ...] = (3, 6, 9)
    """Numbers of training photos."""
    seeds: tuple[int, ...] = (0, 1)
    max_side: int = 320
    judges: int = 12
    out: Path = Path("runs/few_photos")


def main(arguments: Arguments) -> None:
    captures = find_captures(arguments.captures, arguments.only)
    arguments.out.mkdir(parents=True, exist_ok=True)
    log = Log(arguments.out / "few_photos.jsonl")
    for recipe in RECIPES:  # the new recipe of all captures before any with a part off
        for capture in captures:
            for photos in arguments.photos:
                case = load_case(
                    capture, photos, arguments.out, max_side=arguments.max_side, judges=arguments.judges
                )
                if case is not None:
                    for seed in arguments.seeds:
                        about = {"capture": capture.name, "photos": photos, "seed": seed}
                        measure(case, log, about, recipe)
    print(f"\n{table(log.rows)}\n\nwritten: {log.path}")


class Log:
    """Lines of JSON, of which each is measured once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            self.rows = [json.loads(line) for line in path.read_text().splitlines()]

    def has(self, key: dict[str, Any]) -> bool:
        return any(key.items() <= row.items() for row in self.rows)

    def find(self, key: dict[str, Any]) -> dict[str, Any]:
        return next(row for row in self.rows if key.items() <= row.items())

    def add(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        with self.path.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(json.dumps({k: v for k, v in row.items() if k != "psnr_by_photo"}), flush=True)


def measure(case: Case, log: Log, about: dict[str, Any], recipe: str) -> None:
    """A recipe at the length that it chooses; of the new one all lengths, and the old trainer, too."""
    least_confidence, dropout = RECIPES[recipe]
    if recipe == "new":
        measure_fit(case, log, about, OLD)
    key = about | {"choice": recipe}
    if not log.has(key):
        start, options = case.start(least_confidence), case.options(dropout, LONGEST)
        generator, began = make_generator(about["seed"], 4), process_time()
        choice = choose_training(case.training, start, options, generator=generator)
        log.add(key | describe(choice, process_time() - began))
    chosen = log.find(key)
    measure_fit(case, log, about, Kind(least_confidence, chosen["dropout"], chosen["iterations"]))
    if recipe == "new":
        for length in list_lengths(LONGEST):
            measure_fit(case, log, about, Kind(least_confidence, dropout, length))
        measure_fit(case, log, about, Kind(least_confidence, 0.0, chosen["iterations"]))


def measure_fit(case: Case, log: Log, about: dict[str, Any], kind: Kind) -> None:
    key = about | asdict(kind)
    if log.has(key):
        return
    start, options = case.start(kind.least_confidence), case.options(kind.dropout, kind.iterations)
    generator, began = make_generator(about["seed"], 1), process_time()
    cloud = start.draw(case.training, range(len(case.training)), generator)
    scene = fit_gaussians(case.training, cloud, options=options, generator=generator).gaussians
    cpu_seconds = process_time() - began
    seen = draw_views(scene, case.judging.require_cameras()).images.clamp(0, 1)
    each = psnr(seen, case.judging.images).tolist()
    held = [value for name, value in zip(case.judging.names, each, strict=True) if name in case.heldout]
    log.add(
        key
        | {
            "psnr": round(sum(each) / len(each), 3),
            "heldout_psnr": round(sum(held) / len(held), 3),
            "gaussians": len(scene),
            "cpu_seconds": round(cpu_seconds, 2),
        }
    )


def describe(choice: Choice, cpu_seconds: float) -> dict[str, Any]:
    return {
        "dropout": choice.options.dropout,
        "iterations": choice.options.iterations,
        "compared": [[kind.iterations, kind.dropout] for kind in choice.compared],
        "psnr_by_photo": [[round(v, 3) for v in row] for row in choice.psnr.tolist()],
        "cpu_seconds": round(cpu_seconds, 2),
    }


def table(rows: list[dict[str, Any]]) -> Table:
    """A line a case, mean over seeds, and the mean over cases: dB over the old trainer, regret in dB, CPU-seconds."""
    cases = sorted({(row["capture"], row["photos"]) for row in rows})
    out = Table(
        (
            *("capture", "photos", "old", "new", "gain", "steps", "regret"),
            *(f"{name}" for name in list(RECIPES)[1:]),
            *("800 steps", "s old", "s choice", "s new"),
        )
    )
    lines = [summarise([row for row in rows if (row["capture"], row["photos"]) == case]) for case in cases]
    for (capture, photos), line in zip(cases, lines, strict=True):
        out.add(capture, photos, *(cell(name, line) for name in COLUMNS))
    everything = {name: mean([line[name] for line in lines]) for name in COLUMNS}
    out.add("**mean**", "", *(cell(name, everything) for name in COLUMNS))
    return out


COLUMNS = {
    "old": "{:.2f}",
    "new": "{:.2f}",
    "gain": "{:+.2f}",
    "steps": "{:.0f}",
    "regret": "{:.2f}",
    **{name: "{:+.2f}" for name in list(RECIPES)[1:]},
    "fixed": "{:+.2f}",
    "s old": "{:.0f}",
    "s choice": "{:.0f}",
    "s new": "{:.0f}",
}


def cell(name: str, line: dict[str, float | None]) -> str:
    return number(line[name], COLUMNS[name])


def summarise(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    """The figures of a case: means over its seeds."""
    each = [
        summarise_seed([row for row in rows if row["seed"] == seed]) for seed in {row["seed"] for row in rows}
    ]
    return {name: mean([line[name] for line in each]) for name in COLUMNS}


def summarise_seed(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    fits = {Kind(**{f.name: row[f.name] for f in fields(Kind)}): row for row in rows if "psnr" in row}
    choices = {row["choice"]: row for row in rows if "choice" in row}

    def chosen(recipe: str) -> dict[str, Any] | None:
        """The fit of what a recipe chose."""
        choice = choices.get(recipe)
        return choice and fits.get(Kind(RECIPES[recipe][0], choice["dropout"], choice["iterations"]))

    def gain(row: dict[str, Any] | None) -> float | None:
        return None if row is None or old is None else row["psnr"] - old["psnr"]

    old, new, line = fits.get(OLD), chosen("new"), dict.fromkeys(COLUMNS)
    ladder = [row["psnr"] for kind, row in fits.items() if kind.least_confidence == TWO]
    line |= {name: gain(chosen(name)) for name in list(RECIPES)[1:]}
    line["fixed"] = gain(fits.get(Kind(TWO, RECIPES["new"][1], LONGEST)))
    if old is not None:
        line |= {"old": old["psnr"], "s old": old["cpu_seconds"]}
    if new is not None:
        line |= {
            "new": new["psnr"],
            "gain": gain(new),
            "steps": new["iterations"],
            "regret": max(ladder) - new["psnr"],
            "s choice": choices["new"]["cpu_seconds"],
            "s new": new["cpu_seconds"],
        }
    return line


if __name__ == "__main__":
    command(main, Arguments, __doc__)
