"""Requests and answers in metres, for models that know the size of things."""

from dataclasses import replace

import torch

from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from recon.scene import Scene
from recon.sim3 import Sim3
from worldgen.model import ModelSpec, Request, Views


def units_per_scene_unit(spec: ModelSpec, scene: Scene) -> float:
    """What lengths are multiplied by on their way to the model.

    Raises:
        BridgeError: the model works in metres and nobody knows how long a unit of the scene is.
    """
    if spec.unit != "metre":
        return 1.0
    if scene.metres_per_unit is None:
        raise BridgeError(
            f"{spec.name} works in metres, and the scale of this scene is not known; give metres_per_unit"
        )
    return scene.metres_per_unit


def scale_request(request: Request, scale: float) -> Request:
    """The same question about a scene that is `scale` times as large."""
    if scale == 1:
        return request
    similarity = replace(Sim3.identity(), scale=torch.tensor(scale, dtype=torch.float64))

    def rescale(clip: Clip) -> Clip:
        return clip if clip.cameras is None else replace(clip, cameras=similarity.cameras(clip.cameras))

    return replace(
        request,
        context=rescale(request.context),
        targets=similarity.cameras(request.targets),
        scene=_scale_scene(request.scene, similarity),
    )


def unscale_answer(views: Views, targets: Cameras, scale: float) -> Views:
    """The answer to `scale_request` about the scene in its own unit."""
    if scale == 1:
        return views
    depth = None if views.depth is None else views.depth / scale
    return replace(views, clip=replace(views.clip, cameras=targets), depth=depth)


def _scale_scene(scene: Scene, similarity: Sim3) -> Scene:
    from recon.splats.similarity import transform_gaussians

    points, depth, gaussians = scene.points, scene.depth, scene.gaussians
    scale = float(similarity.scale)
    if points is not None:
        points = replace(points, xyz=similarity.points(points.xyz.double()))
    if depth is not None:
        photos, maps = depth
        moved = replace(photos, cameras=similarity.cameras(photos.require_cameras()))
        depth = moved, replace(maps, depth=maps.depth * scale)
    if gaussians is not None:
        gaussians = transform_gaussians(gaussians, similarity)
    assert scene.metres_per_unit is not None
    return Scene(points, depth, gaussians, scene.metres_per_unit / scale)
