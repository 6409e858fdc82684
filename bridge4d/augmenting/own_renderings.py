"""The null of the generated frames: what the photos alone show from the same cameras, in their place.

A world model whose frames are worth no more than these renderings adds nothing that the photos did not say.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from bridge4d.augmenting.options import AugmentOptions
from bridge4d.augmenting.prepare import PreparedPhotos
from bridge4d.augmenting.rounds import RoundResult, fit_with_frames
from bridge4d.augmenting.training import fit_seed
from bridge4d.runs import store
from bridge4d.runs.run import Run
from bridge4d.runs.stages import StageRecord
from bridge4d.scenes import load_scene
from bridge4d.stages.splats import SCENE_FILE
from eval.results.augment import OWN_RENDERINGS, PHOTOS_ONLY
from recon.cameras import Cameras
from recon.splats.fitting.ensemble import COUNT, draw_mean

RENDERINGS_VERSION = 1
"""Of the stages ``own_renderings/*``; raised when what they write of the same input changes."""


def fit_own_renderings(
    run: Run,
    prepared: PreparedPhotos,
    base: StageRecord,
    rounds: Sequence[RoundResult],
    options: AugmentOptions,
) -> StageRecord:
    """Splats of the photos and, in the place of the frames that the rounds accepted, of own renderings.

    These enter as the frames did: same cameras, share and weight, same steps and seeds. Nothing else is made of the scene.

    Args:
        base: the scene of the photos alone.
        options: with the iterations and dropout that were chosen.
    """
    scenes = _fit_scenes(run, prepared, base, options)
    in_place = [_render_round(run, scenes, played, options) for played in rounds]
    return fit_with_frames(run, OWN_RENDERINGS, prepared, in_place, options)


def _fit_scenes(
    run: Run, prepared: PreparedPhotos, base: StageRecord, options: AugmentOptions
) -> list[StageRecord]:
    """Scenes of the photos alone from `COUNT` seeds; that of the run is one of them where it was trained from one seed."""
    known = [base] if options.seeds == 1 else []
    others = range(1, COUNT + 1 - len(known))
    return [*known, *(fit_seed(run, PHOTOS_ONLY, number, prepared, options) for number in others)]


def _render_round(
    run: Run, scenes: Sequence[StageRecord], played: RoundResult, options: AugmentOptions
) -> RoundResult:
    """The round with renderings for its accepted frames."""
    accepted, checked = played.accepted, played.checked
    if accepted is None or checked is None:
        return played
    cameras = accepted.require_cameras()
    drawn = run.stage(
        f"{OWN_RENDERINGS}/round-{played.number}",
        lambda folder: _draw(scenes, cameras, accepted.names, folder),
        version=RENDERINGS_VERSION,
        depends_on={"frame_poses": options.frame_poses},
        earlier={stage.name: stage.fingerprint for stage in (*scenes, checked)},
    )
    pictures = store.load_clip(drawn.folder)
    weights = torch.full(pictures.images.shape[:3], options.generated_weight)
    return replace(played, accepted=replace(pictures, confidence=weights), checked=drawn)


def _draw(scenes: Sequence[StageRecord], cameras: Cameras, names: tuple[str, ...], out: Path) -> None:
    """Store the mean of what the scenes show, as a clip with these cameras and names."""
    mean = draw_mean([load_scene(scene.folder / SCENE_FILE).gaussians for scene in scenes], cameras)
    store.save_clip(replace(mean, names=names, confidence=None), out)
