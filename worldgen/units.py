"""Requests and answers in metres, for models that know the size of things."""

from dataclasses import replace

import torch

from recon.cameras import Cameras, project
from recon.clip import Clip
from recon.errors import BridgeError
from recon.points import PointCloud
from recon.scene import Scene
from recon.sequence import GaussianSequence, MovingScene
from recon.sim3 import Sim3
from worldgen.model import ModelSpec, Request, Views

ASSUMED_DEPTH_M = 3.0
"""Median depth of the photos' points, metres, where nothing tells the scale: across a room, the most usual capture. Models that were
trained in metres answer to steps of a few centimetres a frame, so that a wrong factor of two costs less than one of ten."""


def median_depth(points: PointCloud | None, cameras: Cameras | None) -> float | None:
    """Median z-depth of points in the pictures of cameras, world units; None where there is none."""
    if points is None or cameras is None or not len(points) or not len(cameras):
        return None
    px, z = project(points.xyz.double(), cameras.to("cpu", torch.float64))
    size = torch.tensor([cameras.width, cameras.height], dtype=px.dtype)
    seen = (z > 0) & (px >= 0).all(-1) & (px < size).all(-1)
    return float(z[seen].median()) if seen.any() else None


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
    similarity = _rescale(scale)

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
    drawn = None if views.drawn is None else _rescale(scale).inverse().cameras(views.drawn)
    return replace(views, clip=replace(views.clip, cameras=targets), depth=depth, drawn=drawn)


def _rescale(scale: float) -> Sim3:
    return replace(Sim3.identity(), scale=torch.tensor(scale, dtype=torch.float64))


def _scale_scene(scene: Scene, similarity: Sim3) -> Scene:
    from recon.splats.similarity import transform_gaussians

    points, depth, gaussians, moving = scene.points, scene.depth, scene.gaussians, scene.moving
    scale = float(similarity.scale)
    if points is not None:
        points = replace(points, xyz=similarity.points(points.xyz.double()))
    if depth is not None:
        photos, maps = depth
        moved = replace(photos, cameras=similarity.cameras(photos.require_cameras()))
        depth = moved, replace(maps, depth=maps.depth * scale)
    if gaussians is not None:
        gaussians = transform_gaussians(gaussians, similarity)
    if moving is not None:
        moving = _scale_moving(moving, similarity)
    assert scene.metres_per_unit is not None
    given, posed = scene.given_from_scene, scene.posed_photos
    return replace(
        scene,
        points=points,
        depth=depth,
        gaussians=gaussians,
        moving=moving,
        metres_per_unit=scene.metres_per_unit / scale,
        posed_photos=None if posed is None else (posed[0], similarity.cameras(posed[1])),
        given_from_scene=None if given is None else given.compose(similarity.inverse()),
    )


def _scale_moving(moving: MovingScene, similarity: Sim3) -> MovingScene:
    """`similarity` only scales, so that turns over time stay as they are."""
    from recon.splats.similarity import transform_gaussians

    if not isinstance(moving, GaussianSequence):
        return moving.map_frames(lambda one: transform_gaussians(one, similarity))
    coefficients = moving.motion.coefficients * float(similarity.scale)
    return replace(
        moving,
        static=transform_gaussians(moving.static, similarity),
        moving=transform_gaussians(moving.moving, similarity),
        motion=replace(moving.motion, coefficients=coefficients),
    )
