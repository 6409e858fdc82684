"""Where a person starts to look at a scene."""

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from bridge4d.scenes import LoadedScene
from recon.cameras import Cameras, intrinsics, look_at, project
from recon.gaussians import Gaussians
from recon.scenefiles import Viewpoint
from recon.splats.engines.screen import Rendering
from recon.splats.render import draw_views
from recon.splats.start import focus_point
from recon.world.upright import estimate_up

FOV_Y_DEG = 60.0
"""Vertical field of view where no photo states one; between a phone's 50° and the 75° that viewers begin with."""
WIDTH, HEIGHT = 640, 480
"""Size of a view that no photo states, in pixels."""
TRIAL_HEIGHT_PX = 90
"""Of the pictures by which views are compared: 24 of them take less than a second of 150,000 Gaussians."""
MOST_TRIED = 200_000
"""Gaussians drawn in them; of larger scenes every n-th."""
AZIMUTHS = 8
"""Directions that are tried around a scene; at 16 neighbours look alike."""
ELEVATION_DEG = 12.0
"""From slightly above, as people look at things that stand on the ground."""
CORE = 0.95
"""Share of the Gaussians that a view from outside shows; the far shell of a trained scene is 1% of them."""
LEAST_LEVEL = 0.05
"""Cosine between a camera's up and gravity's below which it looks straight up or down, or is held upside down."""
SOLID = 0.5
"""Alpha, or opacity, from which on something counts as seen."""
MOST_POINTS = 20_000
"""By which photos are compared."""


def start_view(scene: LoadedScene) -> Cameras:
    """One camera to open a scene at: the photo that sees most, or for a bare file the view with most detail.

    Of a file without cameras, views from eight sides towards its densest part, and views from that part and from
    the origin outwards, are drawn small; fog and the insides of things have no detail.

    Example:
        >>> camera = start_view(load_scene("runs/demo"))
    """
    photos = scene.cameras()
    return _most_detailed(scene) if photos is None else photos[_sees_most(photos, scene)]


def viewpoint_of(camera: Cameras, scene: LoadedScene) -> Viewpoint:
    """A camera in the words of viewers, in the project's axes.

    The target is the point on the optical axis at the median depth of the picture's middle; where nothing is drawn
    there, the point nearest to where the photos look.

    Args:
        camera: one; a principal point off the middle and skew are lost.
        scene: what it looks at.
    """
    position, forward = camera.centers[0].double(), camera.forward[0].double()
    target = position + _depth_ahead(camera, scene) * forward
    up = level_up(camera, up_of(scene))
    return Viewpoint.of(position, target, up, fov_y_deg(camera))


def level_up(camera: Cameras, up: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """The up vector nearest to `up` with which a viewer shows the camera's picture unrolled.

    Viewers turn about their up vector: with the camera's own one they would tilt the world as they orbit.
    """
    right, own = camera.cam_from_world[0, 0, :3].double(), -camera.cam_from_world[0, 1, :3].double()
    level = up.double() - (up.double() @ right) * right
    return normalize(level, dim=0) if float(level @ own) > LEAST_LEVEL else own


def up_of(scene: LoadedScene) -> Float[Tensor, "3"]:
    """The direction against gravity, from how the photos were taken; −y where they do not tell."""
    photos = scene.cameras()
    known = None if photos is None else estimate_up(photos, scene.points)
    return torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64) if known is None else known.direction


def fov_y_deg(camera: Cameras) -> float:
    """The vertical field of view of the first camera, as if its principal point lay in the middle."""
    return math.degrees(2 * math.atan(camera.height / 2 / float(camera.K[0, 1, 1])))


def _sees_most(photos: Cameras, scene: LoadedScene) -> int:
    """The photo with most of the triangulated points inside its borders, or of the solid Gaussians without any."""
    if scene.points is not None and len(scene.points):
        xyz = scene.points.xyz.double()
    else:
        xyz = scene.gaussians.means[scene.gaussians.opacity_logits.sigmoid() > SOLID].double()
    pixels, depths = project(xyz[:: max(1, len(xyz) // MOST_POINTS)], photos)
    size = torch.tensor([photos.width, photos.height])
    inside = ((pixels >= 0) & (pixels < size)).all(-1) & (depths > 0)
    return int(inside.sum(1).argmax())


def _depth_ahead(camera: Cameras, scene: LoadedScene) -> float:
    """Median depth of what is seen in the middle half of the picture, in units of the scene."""
    small = _small(camera)
    drawn = _draw(scene, small)
    rows, columns = (slice(n // 4, n - n // 4) for n in (small.height, small.width))
    depth, alpha = drawn.depth[0, rows, columns], drawn.alpha[0, rows, columns]
    seen = depth[alpha > SOLID]
    if len(seen):
        return float(seen.median())
    cameras = scene.cameras() or camera
    reach = float((focus_point(cameras) - camera.centers[0].double()) @ camera.forward[0].double())
    return reach if reach > 0 else 1.0


def _most_detailed(scene: LoadedScene) -> Cameras:
    """Of the views tried the one whose picture has the largest mean step between neighbouring pixels."""
    if len(scene.gaussians) == 0:
        return _views(torch.tensor([[0.0, 0.0, -1.0]]), torch.zeros(1, 3))
    tried = _trial_views(scene.gaussians)
    grey = _draw(scene, _small(tried)).images.mean(-1).clamp(0, 1)
    detail = grey.diff(dim=1).abs().mean((1, 2)) + grey.diff(dim=2).abs().mean((1, 2))
    return tried[int(detail.argmax())]


def _trial_views(gaussians: Gaussians) -> Cameras:
    """Around the densest part from outside, and around the viewer from within it and from the origin."""
    means = gaussians.means.double()
    middle = means.median(0).values
    distances = (means - middle).norm(dim=-1).sort().values
    size = float(gaussians.log_scales.double().exp().amax(-1).median())
    radius = max(float(distances[int(CORE * (len(distances) - 1))]), 3 * size, 1e-6)
    away = radius / math.sin(math.radians(FOV_Y_DEG / 2))
    turn = torch.arange(AZIMUTHS, dtype=torch.float64) * (2 * math.pi / AZIMUTHS)
    level = torch.stack([turn.sin(), torch.zeros(AZIMUTHS), -turn.cos()], -1)  # the first looks along +z
    tilt = math.radians(ELEVATION_DEG)
    raised = math.cos(tilt) * level + math.sin(tilt) * torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64)
    here, origin = middle.expand(AZIMUTHS, 3), torch.zeros(AZIMUTHS, 3, dtype=torch.float64)
    eyes = torch.cat([here + away * raised, here, origin])
    return _views(eyes, torch.cat([here, here - radius * level, -radius * level]))


def _views(eyes: Float[Tensor, "n 3"], targets: Float[Tensor, "n 3"]) -> Cameras:
    """Cameras at eyes that look at targets, −y up."""
    up = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64).expand(len(eyes), 3)
    focal = HEIGHT / 2 / math.tan(math.radians(FOV_Y_DEG / 2))
    K = intrinsics(focal_px=focal, width=WIDTH, height=HEIGHT, n=len(eyes))
    return Cameras(look_at(eyes.double(), targets.double(), up), K, WIDTH, HEIGHT)


def _small(cameras: Cameras) -> Cameras:
    width = max(1, round(cameras.width * TRIAL_HEIGHT_PX / cameras.height))
    return cameras.resize(width=width, height=TRIAL_HEIGHT_PX)


def _draw(scene: LoadedScene, cameras: Cameras) -> Rendering:
    few = scene.gaussians[:: max(1, len(scene.gaussians) // MOST_TRIED)]
    return draw_views(few, cameras.to(dtype=torch.float32), antialiased=scene.render_mode == "mip")
