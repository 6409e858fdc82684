"""Ask a world model for views of the training photos' place."""

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.runs import store
from bridge4d.runs.stored_json import read_object, write_json
from bridge4d.stages import depth, sfm
from bridge4d.stages.scale import find_scale
from bridge4d.stages.splats import SCENE_FILE
from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import ReconstructionError
from recon.gaussians import Gaussians
from recon.scene import Scene
from recon.scenefiles import read_scene
from worldgen.model import Request, WorldModel
from worldgen.plan import plan_cameras, plan_times
from worldgen.rollout import rollout

VERSION = 2
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
    support: float,
    max_side: int,
    metres_per_unit: float | None = None,
    show_scene: bool = False,
    names: str,
    planning: torch.Generator,
    generating: torch.Generator,
) -> None:
    """Plan cameras that see what the photos and their splats show worst, and ask for the views from there.

    That none can be planned is a result: `out` then holds ``nothing.json`` alone.

    Args:
        scene: what `splats.fit_splats` wrote.
        cameras: what `sfm.recover_cameras` wrote.
        surfaces: what `depth.estimate_depth` wrote.
        out: an empty folder, made where it is absent; gets a clip with the requested cameras.
        support: share of the points of a typical photo that a camera should see.
        max_side: long side of the photos and views in pixels.
        metres_per_unit: where it is given; else as `find_scale` finds it.
        show_scene: whether a model that mends renderings is shown what the scene looks like from the planned cameras.
        names: what the names of the views begin with.
    """
    out.mkdir(parents=True, exist_ok=True)
    photos = sfm.load_photos(cameras, max_side)
    gaussians = read_scene(scene / SCENE_FILE).gaussians
    try:
        targets = plan_cameras(
            gaussians,
            photos,
            count=count,
            points=sfm.load_points(cameras),
            generator=planning,
            support=support,
        )
    except ReconstructionError as error:  # of these photos; the photos-only scene stands
        write_json(out / NOTHING_PLANNED, {"reason": str(error)})
        return
    views = ask_model(
        photos,
        cameras,
        surfaces,
        model=model,
        targets=targets,
        times_s=plan_times(targets, photos),
        gaussians=gaussians if show_scene and "rendering" in model.spec.conditions_on else None,
        metres_per_unit=metres_per_unit,
        generator=generating,
    )
    store.save_clip(replace(views, names=tuple(f"{names}{i:03d}" for i in range(len(views)))), out)


def ask_model(
    photos: Clip,
    cameras: Path,
    surfaces: Path,
    *,
    model: WorldModel,
    targets: Cameras,
    times_s: Float[Tensor, "n"] | None = None,
    prompt: str | None = None,
    gaussians: Gaussians | None = None,
    metres_per_unit: float | None = None,
    generator: torch.Generator,
) -> Clip:
    """The views that a world model gives from `targets`, with all that is known of the place; where it states other cameras than it
    was asked for, with these.

    Args:
        photos: the context, with cameras, at the size at which `surfaces` was made.
        cameras: what `sfm.recover_cameras` wrote.
        surfaces: what `depth.estimate_depth` wrote.
        times_s: of the targets, seconds on the clock of the photos.
        gaussians: the scene as it is now, whose rendering the model is to mend; None: it is not shown.
        metres_per_unit: where it is given; else as `find_scale` finds it.
    """
    maps = depth.load_maps(surfaces)
    known = Scene(
        points=sfm.load_points(cameras),
        depth=None if maps is None else (photos, maps),
        gaussians=gaussians,
        metres_per_unit=find_scale(photos, cameras, metres_per_unit)["metres_per_unit"],
    )
    request = Request(photos, targets, times_s=times_s, prompt=prompt, scene=known)
    answer = rollout(model, request, generator=generator)
    return answer.clip if answer.drawn is None else replace(answer.clip, cameras=answer.drawn)


def why_nothing(folder: Path) -> str:
    """Why no view could be planned; '' where some were generated."""
    file = folder / NOTHING_PLANNED
    return str(read_object(file, "reason")["reason"]) if file.exists() else ""
