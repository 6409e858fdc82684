"""Whether several trainings of other seeds make one better scene of a few photos, beside more of one training.

    python -m benchmarks.ensembles CAPTURES --only lund_door banana --photos 3 6

Photos, points, depth and judging photos are those of `few_photos`, whose folder of cases is used where it is there; length and
dropout are chosen as there. Every way is a line of `ensembles.jsonl`; started again the benchmark continues.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import process_time

import torch
from jaxtyping import Float
from torch import Tensor
from tyro.conf import Positional

from benchmarks.few_photos import LONGEST, RECIPES, Log, describe
from benchmarks.few_photos_cases import Case, find_captures, load_case
from benchmarks.output import Table, command, mean, number
from eval.pictures.images import psnr
from recon.compute.progress import Silent, use_reporter
from recon.compute.seeds import make_generator
from recon.gaussians import Gaussians
from recon.mesh.cameras import place_ring
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.fitting.choose import choose_training
from recon.splats.fitting.ensemble import BETWEEN, COUNT, add_mean, fit_mean, merge, settling_options
from recon.splats.render import draw_views

FIT, CHOOSE, OTHERS, MEAN, THIRDS = 1, 4, 5, 6, 7
"""Streams of random numbers; the first two are those of `few_photos`."""


@dataclass(frozen=True)
class Arguments:
    captures: Positional[Path]
    """Folder of captures."""
    only: tuple[str, ...] = ()
    """Names of captures; all where none is given."""
    photos: tuple[int, ...] = (3, 6)
    """Numbers of training photos."""
    seeds: tuple[int, ...] = (0,)
    ways: tuple[str, ...] = ()
    """Of `WAYS`; all where none is given."""
    max_side: int = 320
    judges: int = 12
    cases: Path = Path("runs/few_photos")
    out: Path = Path("runs/ensembles")


@dataclass
class Trial:
    """A case at a seed, trained as it was chosen."""

    case: Case
    seed: int
    options: FitOptions
    seconds: dict[str, float] = field(default_factory=dict)
    """CPU-seconds of the scenes that several ways use, by name of the property that trains them."""

    def fit(self, options: FitOptions, generator: torch.Generator, surfaces: float = 1.0) -> Gaussians:
        """Train from points, `surfaces` of them as a share of those on surfaces that there are by default."""
        clip, start = self.case.training, self.case.start(RECIPES["new"][0])
        start = replace(start, surface_count=round(surfaces * start.surface_count))
        cloud = start.draw(clip, range(len(clip)), generator)
        return fit_gaussians(clip, cloud, options=options, generator=generator).gaussians

    @cached_property
    def one(self) -> Gaussians:
        """The scene of `few_photos`."""
        began = process_time()
        scene = self.fit(self.options, make_generator(self.seed, FIT))
        self.seconds["one"] = process_time() - began
        return scene

    @cached_property
    def scenes(self) -> list[Gaussians]:
        one, began = self.one, process_time()
        others = [self.fit(self.options, make_generator(self.seed, OTHERS, i)) for i in range(1, COUNT)]
        self.seconds["scenes"] = self.seconds["one"] + process_time() - began
        return [one, *others]

    @cached_property
    def thirds(self) -> list[Gaussians]:
        """Scenes with as many Gaussians in all as one may have."""
        began, options = process_time(), replace(self.options, cap=self.options.cap // COUNT)
        thirds = [self.fit(options, make_generator(self.seed, THIRDS, i), 1 / COUNT) for i in range(COUNT)]
        self.seconds["thirds"] = process_time() - began
        return thirds

    def show(self, scene: Gaussians) -> Float[Tensor, "n h w 3"]:
        return draw_views(scene, self.case.judging.require_cameras()).images.clamp(0, 1)

    def mean(self, scenes: list[Gaussians]) -> Float[Tensor, "n h w 3"]:
        return torch.stack([self.show(scene) for scene in scenes]).mean(0)

    def fit_mean(self, scenes: list[Gaussians]) -> Gaussians:
        clip = self.case.training
        generator = make_generator(self.seed, MEAN)
        return fit_mean(
            clip, scenes, clip.require_cameras(), options=self.options, generator=generator
        ).gaussians

    def settle(self, scene: Gaussians, mean_of: list[Gaussians]) -> Gaussians:
        """A scene alone settles on the photos and on the mean."""
        clip, generator = self.case.training, make_generator(self.seed, MEAN)
        between = place_ring(clip.require_cameras(), BETWEEN, generator)
        both, often = add_mean(clip, mean_of, between)
        options = settling_options(self.options, len(scene))
        return fit_gaussians(both, scene, options=options, generator=generator, frequency=often).gaussians

    def train_anew(self) -> Gaussians:
        """From points, on the photos and on the mean."""
        clip, generator = self.case.training, make_generator(self.seed, MEAN)
        both, often = add_mean(clip, self.scenes, place_ring(clip.require_cameras(), BETWEEN, generator))
        cloud = self.case.start(RECIPES["new"][0]).draw(clip, range(len(clip)), generator)
        return fit_gaussians(
            both, cloud, options=self.options, generator=generator, frequency=often
        ).gaussians

    def train_longer(self) -> Gaussians:
        """One scene, for about the time of the others."""
        longer = replace(self.options, iterations=(COUNT + 1) * self.options.iterations)
        return self.fit(longer, make_generator(self.seed, FIT))

    def train_wider(self) -> Gaussians:
        """One scene, with as many Gaussians as those of the others together."""
        wider = replace(self.options, cap=COUNT * self.options.cap)
        return self.fit(wider, make_generator(self.seed, FIT), COUNT)

    def settle_on_photos(self) -> Gaussians:
        """All scenes merged, on the photos alone."""
        merged, generator = merge(self.scenes), make_generator(self.seed, MEAN)
        options = settling_options(self.options, len(merged))
        return fit_gaussians(self.case.training, merged, options=options, generator=generator).gaussians


@dataclass(frozen=True)
class Way:
    """One way to make a scene, or pictures."""

    show: Callable[[Trial], Float[Tensor, "n h w 3"]]
    """What it shows at the cameras of the judging photos."""
    uses: str = ""
    """The scenes of the trial that it is made of."""


WAYS = {
    "one": Way(lambda t: t.show(t.one), "one"),
    "longer": Way(lambda t: t.show(t.train_longer())),
    "wider": Way(lambda t: t.show(t.train_wider())),
    "anew": Way(lambda t: t.show(t.train_anew()), "scenes"),
    "itself": Way(lambda t: t.show(t.settle(t.one, [t.one, t.one])), "one"),
    "one settled": Way(lambda t: t.show(t.settle(t.one, t.scenes)), "scenes"),
    "merged": Way(lambda t: t.show(merge(t.scenes)), "scenes"),
    "merged, photos": Way(lambda t: t.show(t.settle_on_photos()), "scenes"),
    "merged, settled": Way(lambda t: t.show(t.fit_mean(t.scenes)), "scenes"),
    "thirds, settled": Way(lambda t: t.show(t.fit_mean(t.thirds)), "thirds"),
    "mean": Way(lambda t: t.mean(t.scenes), "scenes"),
}


def main(arguments: Arguments) -> None:
    captures = find_captures(arguments.captures, arguments.only)
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.cases.mkdir(parents=True, exist_ok=True)
    log = Log(arguments.out / "ensembles.jsonl")
    for seed in arguments.seeds:
        for capture in captures:
            for photos in arguments.photos:
                case = load_case(
                    capture, photos, arguments.cases, max_side=arguments.max_side, judges=arguments.judges
                )
                if case is not None:
                    about = {"capture": capture.name, "photos": photos, "seed": seed}
                    measure(case, log, about, arguments.ways or tuple(WAYS))
    print(f"\n{table(log.rows)}\n\nwritten: {log.path}")


def measure(case: Case, log: Log, about: dict, ways: tuple[str, ...]) -> None:
    key = about | {"choice": "new"}
    if not log.has(key):
        least_confidence, dropout = RECIPES["new"]
        generator, began = make_generator(about["seed"], CHOOSE), process_time()
        options = case.options(dropout, LONGEST)
        choice = choose_training(case.training, case.start(least_confidence), options, generator=generator)
        log.add(key | describe(choice, process_time() - began))
    chosen = log.find(key)
    trial = Trial(case, about["seed"], case.options(chosen["dropout"], chosen["iterations"]))
    for way in ways:
        if log.has(about | {"way": way}):
            continue
        with use_reporter(Silent()):
            if WAYS[way].uses:
                getattr(trial, WAYS[way].uses)
            began = process_time()
            images = WAYS[way].show(trial)
        seconds = process_time() - began + trial.seconds.get(WAYS[way].uses, 0.0)
        each = psnr(images, case.judging.images).tolist()
        row = {"psnr": round(sum(each) / len(each), 3), "cpu_seconds": round(seconds, 2)}
        log.add(about | {"way": way} | row)


TIMED = ("one", "longer", "merged, settled")
"""Ways whose CPU-seconds the table has."""
COLUMNS = {
    "steps": "{:.0f}",
    **{way: "{:.2f}" if way == "one" else "{:+.2f}" for way in WAYS},
    **{f"s {way}": "{:.0f}" for way in TIMED},
}


def table(rows: list[dict]) -> Table:
    """A line a case, mean over seeds: dB of one scene, dB over it of the other ways, CPU-seconds; and the mean over cases."""
    cases = sorted({(row["capture"], row["photos"]) for row in rows if "way" in row})
    out = Table(("capture", "photos", *COLUMNS))
    lines = [summarise([row for row in rows if (row["capture"], row["photos"]) == case]) for case in cases]
    everything = {name: mean([line[name] for line in lines]) for name in COLUMNS}
    for case, line in zip([*cases, ("**mean**", "")], [*lines, everything], strict=True):
        out.add(*case, *(number(line[name], form) for name, form in COLUMNS.items()))
    return out


def summarise(rows: list[dict]) -> dict[str, float | None]:
    """The figures of a case: means over its seeds, of each what was measured at it."""
    seeds = sorted({row["seed"] for row in rows})
    each = [summarise_seed([row for row in rows if row["seed"] == seed]) for seed in seeds]
    return {name: mean([line[name] for line in each]) for name in COLUMNS}


def summarise_seed(rows: list[dict]) -> dict[str, float | None]:
    fits = {row["way"]: row for row in rows if "way" in row}
    line: dict[str, float | None] = dict.fromkeys(COLUMNS)
    line["steps"] = next((row["iterations"] for row in rows if "choice" in row), None)
    if "one" in fits:
        one = fits["one"]["psnr"]
        line |= {way: row["psnr"] - one for way, row in fits.items()} | {"one": one}
    return line | {f"s {way}": fits[way]["cpu_seconds"] for way in TIMED if way in fits}


if __name__ == "__main__":
    command(main, Arguments, __doc__)
