"""Ask a world model for views of the training photos' place."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.runs import store
from bridge4d.runs.stored_json import read_object, write_json
from bridge4d.stages import depth, sfm
from bridge4d.stages.scale import ASSUMED, SceneScale
from bridge4d.stages.splats import SCENE_FILE
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import ReconstructionError
from recon.scene import Scene
from recon.scenefiles import read_scene
from recon.sim3 import Sim3
from worldgen.model import ChoosesCameras, Request, WorldModel
from worldgen.plan import plan_cameras, plan_times
from worldgen.rollout import rollout

VERSION = 3
"""A world model of this package that answers otherwise, by its weights too, raises it."""
FIRST_SHOWN = 2
"""Round from which on models that mend renderings are shown the scene: before it, nothing but photos has entered the scene, and they say
more themselves."""
NOTHING_PLANNED = "nothing.json"


def plan_and_generate(
    scene: Path,
    cameras: Path,
    surfaces: Path,
    out: Path,
    *,
    model: WorldModel,
    count: int,
    part: int,
    support: float,
    max_side: int,
    scale: SceneScale,
    show_scene: bool = False,
    given_from_scene: Sim3 | None = None,
    every_photo: Path | None = None,
    accepted: Sequence[Clip] = (),
    names: str,
    planning: torch.Generator,
    generating: torch.Generator,
) -> None:
    """Plan cameras that see what the photos and their splats show worst, and ask for the views from there.

    A model that chooses cameras itself is asked from these. That none can be planned is a result: `out` then holds ``nothing.json`` alone.

    Args:
        scene: what `splats.fit_splats` wrote.
        cameras: what `sfm.recover_cameras` wrote.
        surfaces: what `depth.estimate_depth` wrote.
        out: an empty folder, made where it is absent; gets a clip with the requested cameras.
        part: number of the round, from 1: a model that chooses cameras gives others in each.
        support: share of the points of a typical photo that a camera should see.
        max_side: long side of the photos and views in pixels.
        scale: of the run.
        show_scene: whether a model that mends renderings is shown what the scene looks like from the planned cameras.
        given_from_scene: to the frame of the cameras that came with the photos; None where none did.
        every_photo: what `sfm.recover_cameras` wrote, where `cameras` holds some of its photos alone.
        accepted: frames of earlier rounds that entered the scene; what they saw is no news.
        names: what the names of the views begin with.
    """
    out.mkdir(parents=True, exist_ok=True)
    photos = sfm.load_photos(cameras, max_side)
    known = describe_scene(photos, cameras, surfaces, scale, given_from_scene, every_photo)
    gaussians = read_scene(scene / SCENE_FILE).gaussians
    if "scene" in model.spec.conditions_on or (show_scene and "rendering" in model.spec.conditions_on):
        known = replace(known, gaussians=gaussians)
    try:
        if isinstance(model, ChoosesCameras):
            targets = model.choose_targets(photos, known, count=count, part=part)
        else:
            asked = [clip.require_cameras() for clip in accepted]
            targets = plan_cameras(
                gaussians,
                photos,
                count=count,
                points=known.points,
                generator=planning,
                support=support,
                earlier=Cameras.concatenate(asked) if asked else None,
            )
    except ReconstructionError as error:  # of these photos; the photos-only scene stands
        write_json(out / NOTHING_PLANNED, {"reason": str(error)})
        return
    views = ask_model(
        photos,
        known,
        model=model,
        targets=targets,
        times_s=plan_times(targets, photos) if model.spec.takes_times else None,  # of a scene at rest
        generator=generating,
    )
    store.save_clip(replace(views, names=tuple(f"{names}{i:03d}" for i in range(len(views)))), out)


def describe_scene(
    photos: Clip,
    cameras: Path,
    surfaces: Path,
    scale: SceneScale,
    given_from_scene: Sim3 | None = None,
    every_photo: Path | None = None,
) -> Scene:
    """All that is known of the place.

    Args:
        photos: with cameras, at the size at which `surfaces` was made.
        cameras: what `sfm.recover_cameras` wrote.
        surfaces: what `depth.estimate_depth` wrote.
        scale: of the run.
        given_from_scene: to the frame of the cameras that came with the photos; None where none did.
        every_photo: what `sfm.recover_cameras` wrote, where `cameras` holds some of its photos alone.
    """
    posed = sfm.open_photos(every_photo or cameras)
    maps = depth.load_maps(surfaces)
    return Scene(
        points=sfm.load_points(cameras),
        depth=None if maps is None else (photos, maps),
        metres_per_unit=scale["metres_per_unit"],
        metres_assumed=scale["scale_from"].startswith(ASSUMED),
        posed_photos=(posed.names, posed.require_cameras()),
        given_from_scene=given_from_scene,
    )


def ask_model(
    photos: Clip,
    known: Scene,
    *,
    model: WorldModel,
    targets: Cameras,
    times_s: Float[Tensor, "n"] | None = None,
    prompt: str | None = None,
    generator: torch.Generator,
) -> Clip:
    """The views that a world model gives from `targets`, with all that is known of the place; where it states other cameras than it
    was asked for, with these. Their confidence is how likely they are better than the scene, where the model states that.

    Args:
        photos: the context, with cameras.
        times_s: of the targets, seconds on the clock of the photos.
    """
    request = Request(photos, targets, times_s=times_s, prompt=prompt, scene=known)
    answer = rollout(model, request, generator=generator)
    clip = answer.clip
    if answer.better is not None:  # and 0 where the model did not look
        sure = torch.ones_like(answer.better) if clip.confidence is None else (clip.confidence > 0).float()
        clip = replace(clip, confidence=answer.better * sure)
    return clip if answer.drawn is None else replace(clip, cameras=answer.drawn)


def why_nothing(folder: Path) -> str:
    """Why no view could be planned; '' where some were generated."""
    file = folder / NOTHING_PLANNED
    return str(read_object(file, "reason")["reason"]) if file.exists() else ""
