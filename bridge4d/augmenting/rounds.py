"""One round of the loop: plan novel cameras, generate, recover blind, gate, fit again.

Everything here is handed the training photos and what was made of them; never a held-out photo.
"""

import logging
import math
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.augmenting.frame_check import judge_frames, register_blind
from bridge4d.augmenting.ground import Ground, options_key, options_of
from bridge4d.augmenting.options import TWENTIETHS, AugmentOptions, CaptureOptions
from bridge4d.runs import store
from bridge4d.runs.fingerprints import fingerprint, fingerprint_files
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.runs.stored_json import read_json, write_json
from bridge4d.scenes import load_scene
from eval import poses
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import ReconstructionError
from recon.scene import Scene
from recon.scenefiles import read_scene, write_scene
from recon.splats.fit import FitOptions, fit_gaussians
from worldgen.model import Request
from worldgen.plan import plan_cameras
from worldgen.registry import load_model
from worldgen.rollout import rollout

log = logging.getLogger(__name__)

PHOTOS_ONLY = "photos_only"
NOTHING_PLANNED = "nothing.json"
SPLATS_VERSION, GENERATED_VERSION, RECOVERY_VERSION = 1, 1, 1
"""Of the stages of a fit, a generation and a recovery; raised when what one writes of the same input changes. A world
model of this package that answers otherwise, by its weights too, raises that of the generation."""


@dataclass(frozen=True)
class RoundResult:
    """What one round brought."""

    number: int
    scene: StageRecord
    """The fit on photos and everything accepted so far."""
    frames: list[dict]
    """One row per generated frame: evidence, verdict, reason."""
    accepted: Clip | None
    """Accepted frames with the cameras and weights with which they enter the fit."""
    nothing_because: str = ""
    """Why no view could be planned; '' where some were."""


def generator_for(seed: int, *path: int) -> torch.Generator:
    """A stream of its own for every piece of work, so that skipping one does not shift the others."""
    mixed = seed
    for part in path:
        mixed = (mixed * 1_000_003 + part + 1) % (2**63)
    return torch.Generator().manual_seed(mixed)


def fit_scene(
    run: Run,
    name: str,
    ground: Ground,
    extra: list[Clip],
    options: AugmentOptions,
    *,
    depends_on: Mapping[str, Any] | None = None,
    earlier: Mapping[str, str] | None = None,
) -> StageRecord:
    """Splats from the photos and the accepted frames; the same steps and seed whatever enters.

    `depends_on` and `earlier` say what decides the frames in `extra`.
    """
    assert ground.photos is not None
    photos = ground.photos
    fit_options = FitOptions(
        iterations=options.iterations, sh_degree=options.sh_degree, cap=options.max_gaussians
    )

    def work(folder: Path) -> None:
        clip = Clip.concatenate([without_times(photos), *map(without_times, extra)])
        fitted = fit_gaussians(
            clip,
            ground.start if options.start is None else load_scene(options.start).gaussians,
            options=fit_options,
            generator=generator_for(options.seed, 1),
            frequency=frequencies(len(photos), len(clip) - len(photos), options),
        )
        write_scene(fitted.gaussians, folder / "scene.ply")
        write_json(
            folder / "fit.json",
            {
                "gaussians": len(fitted.gaussians),
                "iterations": fitted.iterations,
                "photos": len(photos),
                "generated": len(clip) - len(photos),
                "seconds": round(fitted.seconds, 3),
                "loss": [round(float(loss), 6) for loss in fitted.losses],
                "backdrop": None if fitted.backdrop is None else asdict(fitted.backdrop),
            },
        )

    return run.stage(
        f"splats/{name}",
        work,
        version=SPLATS_VERSION,
        depends_on={
            **options_of(options, "max_side", "seed"),
            **options_key(fit_options),
            **(depends_on or {}),
        },
        earlier={"depth": ground.fingerprint, **(earlier or {})},
        reads=lambda: fingerprint_scenes(options),
    )


def fingerprint_scenes(options: CaptureOptions) -> str:
    """Of the scene files that the run reads."""
    return fingerprint(*[fingerprint_files(file) for file in options.scene_files])


def frequencies(photos: int, generated: int, options: AugmentOptions) -> Float[Tensor, "p n"]:
    """How often each image is trained on in each twentieth of the training: photos alike, generated frames alike,
    these with `generated_share` of the steps while they take part.

    The more frames pass the gate, the less often each is looked at, so that photos never go short of steps.
    """
    alone = torch.cat([torch.ones(photos) / photos, torch.zeros(generated)])
    if not generated:
        return alone[None]
    share = options.generated_share
    both = torch.cat(
        [torch.full((photos,), (1 - share) / photos), torch.full((generated,), share / generated)]
    )
    when = options.generated_twentieths
    if len(when) == TWENTIETHS:
        return both[None]
    return torch.stack([both if k in when else alone for k in range(TWENTIETHS)])


def without_times(clip: Clip) -> Clip:
    return replace(clip, times_s=None)


def play_round(
    run: Run,
    number: int,
    ground: Ground,
    before: StageRecord,
    earlier: list[RoundResult],
    options: AugmentOptions,
) -> RoundResult:
    """Plans against the scene `before`, and fits anew with what this and the earlier rounds accepted."""
    generated = _generate(run, number, ground, before, options)
    if (generated.folder / NOTHING_PLANNED).exists():
        reason = read_json(generated.folder / NOTHING_PLANNED)["reason"]
        return RoundResult(number, before, [], None, reason)
    clip = store.load_clip(generated.folder)
    recovered = _recover(run, number, ground, clip, generated, options)
    frames = read_json(recovered.folder / "frames.json")
    accepted = _accepted(clip, recovered.folder, frames, options)
    clips = [r.accepted for r in earlier if r.accepted is not None] + (
        [accepted] if accepted is not None else []
    )
    scene = before
    if accepted is not None:
        scene = fit_scene(
            run,
            f"round-{number}",
            ground,
            clips,
            options,
            depends_on=options_of(
                options,
                "generated_share",
                "generated_weight",
                "generated_from",
                "generated_until",
                "weigh_by_confidence",
                "frame_poses",
            ),
            earlier={recovered.name: recovered.fingerprint}
            | {r.scene.name: r.scene.fingerprint for r in earlier},
        )
    return RoundResult(number, scene, frames, accepted)


def _generate(
    run: Run, number: int, ground: Ground, before: StageRecord, options: AugmentOptions
) -> StageRecord:
    photos = ground.photos
    assert photos is not None

    def work(folder: Path) -> None:
        try:
            targets = plan_cameras(
                read_scene(before.folder / "scene.ply").gaussians,
                photos,
                count=options.novel,
                points=ground.points,
                generator=generator_for(options.seed, 2, number),
                support=options.support,
            )
        except ReconstructionError as error:  # of these photos; the photos-only scene stands
            write_json(folder / NOTHING_PLANNED, {"reason": str(error)})
            return
        request = Request(photos, targets, scene=Scene(points=ground.points, depth=ground.depth()))
        views = rollout(load_model(options.model), request, generator=generator_for(options.seed, 3, number))
        names = tuple(f"r{number}-{i:03d}" for i in range(len(views)))
        store.save_clip(replace(views.clip, names=names), folder)

    return run.stage(
        f"generated/round-{number}",
        work,
        version=GENERATED_VERSION,
        depends_on=options_of(options, "novel", "support", "model", "seed"),
        earlier={before.name: before.fingerprint},
        reads=lambda: fingerprint_scenes(options),
    )


def _recover(
    run: Run, number: int, ground: Ground, clip: Clip, generated: StageRecord, options: AugmentOptions
) -> StageRecord:
    photos = ground.photos
    assert photos is not None

    def work(folder: Path) -> None:
        found = register_blind(
            ground.anchor(), clip, folder=run.folder / ".work" / f"register-{number}", options=options
        )
        extent = poses.scene_extent(photos.require_cameras(), ground.points)
        rows = []
        judged = judge_frames(clip.require_cameras(), found, ground.anchor(), extent, options)
        for i, (item, verdict) in enumerate(judged):
            row = {key: _plain(value) for key, value in asdict(item).items()}
            picture = f"generated/round-{number}/{clip.names[i]}.png"
            rows.append(
                row
                | {
                    "round": number,
                    "accepted": verdict.accepted,
                    "reason": verdict.reason,
                    "picture": picture,
                }
            )
        write_json(folder / "frames.json", rows)
        cameras = found.recovery.cameras
        store.save_tracks(found.tracks, folder / "tracks.npz")
        write_json(
            folder / "cameras.json",
            {
                "names": list(found.recovery.registered_names),
                "cameras": None if cameras is None else store.cameras_to_json(cameras),
            },
        )

    return run.stage(
        f"recovery/round-{number}",
        work,
        version=RECOVERY_VERSION,
        depends_on=options_of(options, "frame_poses", "seed") | options_key(options.gate),
        earlier={generated.name: generated.fingerprint},
    )


def _plain(value: object) -> object:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def _accepted(clip: Clip, folder: Path, frames: list[dict], options: AugmentOptions) -> Clip | None:
    picks = [i for i, row in enumerate(frames) if row["accepted"]]
    if not picks:
        return None
    chosen = clip[picks]
    cameras = chosen.require_cameras()
    if options.frame_poses == "recovered":
        cameras = recovered_cameras(cameras, chosen.names, folder)
    sure = torch.ones(chosen.images.shape[:3])
    if chosen.confidence is not None and options.weigh_by_confidence:
        sure = chosen.confidence
    return replace(chosen, cameras=cameras, confidence=sure * options.generated_weight)


def recovered_cameras(requested: Cameras, names: tuple[str, ...], folder: Path) -> Cameras:
    """The cameras of accepted frames with the poses that a recovery stage found for them."""
    recovered = store.read_recovered(folder / "cameras.json", names)
    return replace(requested, cam_from_world=recovered.cam_from_world)


def summarise(frames: list[dict]) -> dict:
    """Counts and medians over generated frames, for the report."""

    def median(key: str) -> float | None:
        values = [row[key] for row in frames if row[key] is not None]
        return round(statistics.median(values), 6) if values else None

    return {
        "requested": len(frames),
        "recovered": sum(row["registered"] for row in frames),
        "accepted": sum(row["accepted"] for row in frames),
        "rotation_deg_median": median("rotation_deg"),
        "position_share_median": median("position_share"),
    }
