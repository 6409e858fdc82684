"""Is a frame that is mixed with the scene's rendering better than frame, rendering, and their plain mean?

    python -m benchmarks.mixing --points --limit 6 --side 320 [--contexts 3 6] [--only buddha lund_door]

Photos are given, and judge, as in `benchmarks.view_quality`; a scene of `--iterations` steps with dropout is trained on those given. *At the
judges* are the pictures that `bridge` mixes, from the cameras of the photos that judge: PSNR in dB of the scene's *rendering*, *frame* of
bridge from the photos alone, *half* of each (the mean of frame and of renderings with Gaussians left out), the *mixture*, and *picked*: the
mixture where it is stated to be better than the rendering, else the rendering. *chance error* is how far the stated probability of that is
off (expected calibration error, ten equal bins). *Into the fit* enter twelve frames from planned cameras; gains are over the scene of the
photos alone, in dB at the judges, averaged over `--seeds`: *frames* of bridge with its confidence and half weight; *own* renderings (mean of
three scenes of other seeds) and *half* with half weight; the *mixture* with the stated probability; and the mixture made *again* from the
scene that it entered. Nothing is registered and no frame is refused. All trainings take the same steps.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from benchmarks.output import Table, command, mean, number, write_record
from benchmarks.view_context import context_depth, context_points
from benchmarks.view_tasks import Task, ViewArguments, tasks
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.runs.run import Run, open_run
from bridge4d.stages.splats import FrameShare, image_frequencies
from eval.pictures.images import psnr
from eval.stats.calibration import reliability
from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.seeds import make_generator
from recon.errors import ReconstructionError
from recon.gaussians import Gaussians
from recon.scene import Scene
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.fitting.ensemble import COUNT, draw_mean
from recon.splats.fitting.start_cloud import StartCloud
from recon.splats.render import draw_views
from worldgen.model import Request
from worldgen.models.bridge.mixing.evidence import Evidence, Source
from worldgen.models.bridge.mixing.mixer import load_mixer
from worldgen.models.bridge.mixing.samples import DROPOUT, GAUSSIANS_PER_PIXEL
from worldgen.models.bridge.mixing.train import find_better
from worldgen.models.bridge.model import Bridge
from worldgen.models.bridge.weights import confidence
from worldgen.plan import plan_cameras

PLAN, FIT, ASK = 1, 2, 3
"""Numbers of the streams of random numbers."""
EVERY = 4
"""Pixels between those whose stated probability is compared."""
FRAMES = 12
"""Cameras that are planned."""


@dataclass(frozen=True)
class Arguments(ViewArguments):
    contexts: tuple[int, ...] = (3, 6)
    iterations: int = 400
    seeds: int = 2
    share: float = 0.3
    """Of the steps that look at frames."""


class Setting:
    """A task with the depth of its photos, and scenes trained on them."""

    def __init__(self, run: Run, task: Task, arguments: Arguments, seed: int) -> None:
        self.arguments, self.seed = arguments, seed
        self.photos, self.judges = task.context.load(), task.targets.load()
        self.points, self.maps = context_points(run, task), context_depth(run, task)
        if self.points is None:
            raise SystemExit("expected --points: a scene starts from them")
        self.start = StartCloud(self.points, None, self.maps, 0)
        self.model, self.mixer = Bridge(), load_mixer()
        self.scenes = [self.fit(number) for number in range(COUNT)]

    def fit(
        self,
        number: int = 0,
        cameras: Cameras | None = None,
        pictures: Float[Tensor, "n h w 3"] | None = None,
        weight: Float[Tensor, "n h w"] | None = None,
    ) -> Gaussians:
        """A scene of the photos, and of pictures from other cameras."""
        photos = self.photos
        sure = torch.ones(photos.images.shape[:3]) if photos.confidence is None else photos.confidence
        clip = replace(photos, confidence=sure)
        added = 0 if pictures is None else len(pictures)
        if pictures is not None:
            names = tuple(f"frame-{i}" for i in range(added))
            clip = Clip.concatenate([clip, Clip(pictures, cameras, confidence=weight, names=names)])
        cap = round(GAUSSIANS_PER_PIXEL * photos.width * photos.height)
        generator = make_generator(self.arguments.seed + self.seed, FIT, number)
        start = replace(self.start, surface_count=cap // 2).draw(photos, range(len(photos)), generator)
        options = FitOptions(iterations=self.arguments.iterations, cap=cap, dropout=DROPOUT)
        often = image_frequencies(len(photos), added, FrameShare(self.arguments.share, 1, range(1)))
        return fit_gaussians(clip, start, options=options, generator=generator, frequency=often).gaussians

    def ask(self, cameras: Cameras, scene: Gaussians) -> Evidence:
        known = Scene(points=self.points, depth=(self.photos, self.maps), gaussians=scene)
        generator = make_generator(self.arguments.seed + self.seed, ASK)
        return self.model.collect_evidence(Request(self.photos, cameras, scene=known), generator=generator)

    def score(self, scene: Gaussians) -> float:
        """Mean PSNR at the judges."""
        drawn = draw_views(scene, self.judges.require_cameras()).images.clamp(0, 1)
        return float(psnr(drawn, self.judges.images).mean())


def main(arguments: Arguments) -> None:
    at: list[dict[str, Any]] = []
    into: list[dict[str, Any]] = []
    with open_run(arguments.out) as run:
        for task in tasks(arguments):
            try:
                settings = [Setting(run, task, arguments, seed) for seed in range(arguments.seeds)]
                gains = [measure_fits(setting) for setting in settings]
            except ReconstructionError as error:
                print(f"{task.name}: {error}")
                continue
            at.append({"case": task.name, **measure_pictures(settings[0])})
            into.append({"case": task.name, **{key: mean([one[key] for one in gains]) for key in gains[0]}})
            print(at[-1], into[-1], flush=True)
    written = write_record(arguments, "mixing", at_the_judges=at, into_the_fit=into)
    for rows in (at, into):
        table, names = Table(list(rows[0])), [name for name in rows[0] if name != "case"]
        for row in rows:
            table.add(row["case"], *(number(row[name]) for name in names))
        table.add("mean", *(number(mean([row[name] for row in rows])) for name in names))
        print(f"\n{table}")
    print(f"written: {written}")


def measure_pictures(setting: Setting) -> dict[str, float | None]:
    """PSNR of what is mixed and of the mixture, dB, and the chance error."""
    evidence = setting.ask(setting.judges.require_cameras(), setting.scenes[0])
    mixed, truth = setting.mixer.mix(evidence), setting.judges.images
    rendering = as_pictures(evidence, Source.RENDERING)
    pictures = {
        "rendering": rendering,
        "frame": as_pictures(evidence, Source.FRAME),
        "half": halve(evidence),
        "mixture": mixed.image,
        "picked": torch.where(mixed.better[..., None] > 0.5, mixed.image, rendering),
    }
    is_better = find_better(mixed.image.permute(0, 3, 1, 2), evidence, truth.permute(0, 3, 1, 2))
    thin = (slice(None), slice(None, None, EVERY), slice(None, None, EVERY))
    return {name: float(psnr(picture, truth).mean()) for name, picture in pictures.items()} | {
        "better": float(is_better.mean()),
        "stated": float(mixed.better.mean()),
        "chance error": reliability(
            mixed.better[thin].flatten(), is_better[thin].flatten() > 0
        ).expected_error,
    }


def measure_fits(setting: Setting) -> dict[str, float]:
    """Gain of each kind of frames over the scene of the photos alone, dB.

    Raises:
        ReconstructionError: no cameras can be planned.
    """
    arguments, scene = setting.arguments, setting.scenes[0]
    generator = make_generator(arguments.seed + setting.seed, PLAN)
    cameras = plan_cameras(
        scene,
        setting.photos,
        count=FRAMES,
        points=setting.points,
        generator=generator,
        support=AugmentOptions().support,
    )
    evidence = setting.ask(cameras, scene)
    mixed = setting.mixer.mix(evidence)
    half_weight = torch.full(mixed.better.shape, AugmentOptions().generated_weight)
    own = draw_mean(setting.scenes, cameras).images
    frames: dict[str, Callable[[], tuple[Tensor, Tensor]]] = {
        "frames": lambda: (
            as_pictures(evidence, Source.FRAME),
            half_weight * confidence(evidence.frame_error()),
        ),
        "own": lambda: (own, half_weight),
        "half": lambda: (halve(evidence), half_weight),
        "mixture": lambda: (mixed.image, mixed.better),
    }
    photos = setting.score(scene)
    gains = {name: setting.fit(0, cameras, *make()) for name, make in frames.items()}
    again = setting.mixer.mix(setting.ask(cameras, gains["mixture"]))
    gains["again"] = setting.fit(0, cameras, again.image, again.better)
    return {"photos": photos} | {name: setting.score(one) - photos for name, one in gains.items()}


def as_pictures(evidence: Evidence, source: Source) -> Float[Tensor, "n h w 3"]:
    return evidence.pictures[:, source].permute(0, 2, 3, 1).contiguous()


def halve(evidence: Evidence) -> Float[Tensor, "n h w 3"]:
    return (as_pictures(evidence, Source.FRAME) + as_pictures(evidence, Source.DRAWS)) / 2


if __name__ == "__main__":
    command(main, Arguments, __doc__)
