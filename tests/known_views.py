"""Requests whose true answer is known: the ray-traced room with its exact depth, and what may go wrong with cameras."""

from collections.abc import Callable
from dataclasses import replace

import torch

from recon.cameras import Cameras
from recon.clip import Clip
from recon.depth import DepthMaps
from recon.scene import Scene
from recon.sim3 import Sim3
from worldgen.model import Request
from worldgen.models.synthetic import SyntheticRoom

ROOM = SyntheticRoom()


def ask(
    count: int, *, width: int = 64, height: int = 64, photos: tuple[int, ...] = (0, 6, 12), first: int = 1
) -> Request:
    """`count` views from `first` on along the walk through the room, with some photos of it and their true depth."""
    walk = ROOM.cameras(25, width=width, height=height)
    images, depth = ROOM.render(walk[list(photos)])
    clip = Clip(images, walk[list(photos)])
    known = Scene(depth=(clip, DepthMaps(depth, torch.ones_like(depth))), metres_per_unit=1.0)
    return Request(clip, walk[first : first + count], scene=known)


def similarity(scale: float) -> Sim3:
    """A world turned, shifted and scaled."""
    generator = torch.Generator().manual_seed(3)
    q, r = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    q = q * r.diag().sign()
    return Sim3(
        torch.tensor(scale, dtype=torch.float64),
        q * torch.linalg.det(q).sign(),
        torch.randn(3, generator=generator, dtype=torch.float64) * 5,
    )


def elsewhere(request: Request, scale: float) -> Request:
    """The same request about the same place in another world."""
    to = similarity(scale)

    def moved(clip: Clip) -> Clip:
        return replace(clip, cameras=to.cameras(clip.require_cameras()))

    assert request.scene.depth is not None
    photos, maps = request.scene.depth
    depth = moved(photos), replace(maps, depth=maps.depth * scale)
    metres = request.scene.metres_per_unit
    scene = Scene(depth=depth, metres_per_unit=None if metres is None else metres / scale)
    return replace(request, context=moved(request.context), targets=to.cameras(request.targets), scene=scene)


def inverted(cameras: Cameras) -> Cameras:
    """World from camera where camera from world is meant."""
    return replace(cameras, cam_from_world=cameras.world_from_cam)


def opengl(cameras: Cameras) -> Cameras:
    """Axes x right, y up, z backward."""
    flip = torch.diag(torch.tensor([1.0, -1, -1, 1], dtype=torch.float64))
    return replace(cameras, cam_from_world=flip @ cameras.cam_from_world)


def half_a_pixel_off(cameras: Cameras) -> Cameras:
    """The centre of the top-left pixel at (0, 0)."""
    K = cameras.K.clone()
    K[:, :2, 2] -= 0.5
    return replace(cameras, K=K)


MISTAKES: tuple[Callable[[Cameras], Cameras], ...] = (inverted, opengl, half_a_pixel_off)


def rays(
    camera: Cameras, world_from_cam: torch.Tensor, *, centre: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Origin [3] and unit directions [h,w,3] through points `centre` off the pixels' corners, from the definition."""
    v, u = torch.meshgrid(
        torch.arange(camera.height).double() + centre,
        torch.arange(camera.width).double() + centre,
        indexing="ij",
    )
    there = torch.stack([u, v, torch.ones_like(u)], -1) @ torch.linalg.inv(camera.K[0].double()).T
    turned = there @ world_from_cam[:3, :3].T
    return world_from_cam[:3, 3], turned / turned.norm(dim=-1, keepdim=True)
