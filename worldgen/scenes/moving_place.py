"""A procedural place in which things move, with the truth about pictures, depth, flow and what moves."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.random import Generator
from torch import Tensor

from recon.cameras import Cameras, intrinsics, look_at, project
from recon.clip import Clip
from recon.compute.progress import track
from recon.errors import CameraError
from worldgen.scenes.movers import MOVERS
from worldgen.scenes.phone import develop
from worldgen.scenes.places import PLACES, Place
from worldgen.scenes.rendering import Tracer

BETWEEN = (0.35, 0.8)
"""Where movers are, as a share of the way from the camera to what it looks at."""
VARIED = (0.7, 1.3)
"""Heights of movers beside the one that is asked for."""
TRIES = 200
"""Places that are drawn before a camera that sees enough of one is given up; one in three will do."""
MEAN_LIGHT = 0.22
"""Of a picture after exposure: the middle of what shots for training have."""
PREVIEW = (64, 48)
"""Pixels of the pictures by which a place is chosen."""


@dataclass(frozen=True)
class Film:
    """What cameras see of a moving place, and the truth about it."""

    clip: Clip
    """Pictures with true cameras and times."""
    depth: Float[Tensor, "n h w"]
    """z-depth through the pixel centres, world units; 0 where nothing is hit."""
    moving: Bool[Tensor, "n h w"]
    """Where the pixel centres show something that moves; its shadow counts as still."""
    flow: Float[Tensor, "n h w 2"]
    """Where what a pixel shows goes until the next frame, pixels; NaN where nothing is hit, and in the last frame."""


class MovingPlace:
    """A place drawn at random in which people, things and soft bodies move; the same seed is the same place."""

    def __init__(
        self,
        seed: int,
        *,
        movers: Sequence[str] = ("person", "thing", "soft"),
        size: float = 0.4,
    ) -> None:
        """Draw a place that is seen well from where its first camera stands.

        Args:
            movers: kinds of `MOVERS`, one mover each.
            size: their height as a share of how far they are from the first camera: 0.4 fills half of a picture's height, 0.1
                an eighth.

        Raises:
            CameraError: an unknown kind, or a size that is not positive.
        """
        if unknown := {*movers} - {*MOVERS}:
            raise CameraError(f"expected movers of {', '.join(MOVERS)}, got {', '.join(sorted(unknown))}")
        if not size > 0:
            raise CameraError(f"expected a size above 0, got {size}")
        rng = np.random.default_rng(seed)
        for _ in range(TRIES):
            place = PLACES[rng.integers(len(PLACES))](rng, False)
            self._place = place
            for kind in movers:
                _add(rng, place, kind, size)
            self._tracer = Tracer(place.stage, rng)
            light = self._light_of_middle()
            self._exposure = MEAN_LIGHT / max(float(light.mean()), 1e-3)
            if self._seen_well(develop(light, self._exposure)):
                break
        else:
            raise CameraError(f"no place of seed {seed} is seen well; choose another seed")

    @property
    def distance(self) -> float:
        """From the first camera to what it looks at, world units."""
        return float(np.linalg.norm(self._place.rig.look(0.0) - self._place.rig.eye(0.0)))

    def rig(self, count: int, *, width: int, height: int, spread_deg: float = 40.0) -> Cameras:
        """Cameras that stand on an arc around what is looked at.

        Args:
            spread_deg: from the first to the last.
        """
        return self._cameras(
            np.linspace(-0.5, 0.5, count) if count > 1 else np.zeros(1), spread_deg, width, height
        )

    def walk(self, count: int, *, width: int, height: int, spread_deg: float = 20.0) -> Cameras:
        """A camera carried along that arc, swaying a little; a spread of 0 stands still."""
        share = np.linspace(-0.5, 0.5, count)
        sway = spread_deg / 20 * 0.01 * self.distance * np.sin(9 * share)
        return self._cameras(share, spread_deg, width, height, sway)

    def film(self, cameras: Cameras, times_s: Float[Tensor, "n"], *, samples: int = 2) -> Film:
        """What each camera sees at its time.

        Args:
            times_s: one for each camera; the flow is from each to the next, through both of their cameras.
            samples: rays across a pixel, each way.

        Raises:
            CameraError: not one time for each camera.
        """
        if len(times_s) != len(cameras):
            raise CameraError(f"expected a time for each of {len(cameras)} cameras, got {len(times_s)}")
        poses, K = cameras.world_from_cam.double().numpy(), cameras.K.double().numpy()
        size, times = (cameras.width, cameras.height), times_s.double().tolist()
        images, depths, moving, flows = [], [], [], []
        for i in track(range(len(cameras)), "filming the place"):
            light = self._tracer.render(poses[i], K[i], *size, times[i], samples)
            images.append(torch.from_numpy(develop(light, self._exposure)))
            depth, triangle, weights = self._tracer.hit(poses[i], K[i], *size, times[i])
            depths.append(torch.from_numpy(depth))
            moving.append(torch.from_numpy((triangle >= 0) & self._tracer.moving[triangle]))
            last = i + 1 == len(cameras)
            flows.append(
                self._flow(
                    triangle, weights, None if last else cameras[i + 1], times[min(i + 1, len(times) - 1)]
                )
            )
        clip = Clip(torch.stack(images), cameras, times_s.float())
        return Film(clip, torch.stack(depths), torch.stack(moving), torch.stack(flows))

    def _flow(self, triangle: np.ndarray, weights: np.ndarray, to: Cameras | None, time_s: float) -> Tensor:
        """Where what is hit is seen by another camera at another time, relative to its pixel."""
        height, width = triangle.shape
        if to is None:
            return torch.full((height, width, 2), torch.nan)
        vertices, _ = self._tracer.surfaces_at(time_s)
        corners = vertices[self._tracer.faces[triangle]].astype(np.float64)  # [h, w, 3 corners, 3]
        shares = np.concatenate([1 - weights.sum(-1, keepdims=True), weights], -1)
        xyz = torch.from_numpy((corners * shares[..., None]).sum(2)).reshape(-1, 3)
        px, z = project(xyz, to)
        y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
        flow = px[0].reshape(height, width, 2) - torch.stack([x, y], -1)
        seen = torch.from_numpy(triangle >= 0) & (z[0].reshape(height, width) > 0)
        return torch.where(seen[..., None], flow, torch.nan).float()

    def _cameras(
        self, share: np.ndarray, spread_deg: float, width: int, height: int, lift: np.ndarray | None = None
    ) -> Cameras:
        look, eye = self._place.rig.look(0.0), self._place.rig.eye(0.0)
        angle = np.radians(spread_deg) * share
        away = eye - look
        eyes = np.stack(
            [
                look[0] + np.cos(angle) * away[0] - np.sin(angle) * away[1],
                look[1] + np.sin(angle) * away[0] + np.cos(angle) * away[1],
                eye[2] + (np.zeros_like(share) if lift is None else lift),
            ],
            1,
        )
        up = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand(len(share), 3)
        return Cameras(
            look_at(torch.from_numpy(eyes), torch.from_numpy(look).expand(len(share), 3), up),
            intrinsics(focal_px=0.85 * max(width, height), width=width, height=height, n=len(share)),
            width,
            height,
        )

    def _light_of_middle(self) -> Float[np.ndarray, "h w s s 3"]:
        """What the camera in the middle of the arc sees at first, small."""
        width, height = PREVIEW
        camera = self.rig(1, width=width, height=height)
        pose, K = camera.world_from_cam[0].numpy(), camera.K[0].numpy()
        return self._tracer.render(pose, K, width, height, 0.0, 1)

    def _seen_well(self, picture: Float[np.ndarray, "h w 3"]) -> bool:
        """Whether cameras on the arc stand free, what moves is in view at some time, and the middle's picture has texture."""
        width, height = PREVIEW
        cameras = self.rig(5, width=width, height=height)
        poses, K = cameras.world_from_cam.numpy(), cameras.K.numpy()
        moving = []
        for i in range(len(cameras)):
            depth, triangle = self._tracer.z_depth(poses[i], K[i], width, height, 0.4 * i)
            still = depth[(triangle >= 0) & ~self._tracer.moving[triangle]]
            if (
                (triangle >= 0).mean() < 0.6
                or len(still) == 0
                or np.quantile(still, 0.1) < 0.25 * self.distance
            ):
                return False
            moving.append(float(((triangle >= 0) & self._tracer.moving[triangle]).mean()))
        textured = float(np.abs(np.diff(picture, axis=1)).mean()) > 0.012  # as of shots for training
        return textured and (not self._tracer.anything_moves or min(moving) > 0)


def _add(rng: Generator, place: Place, kind: str, size: float) -> None:
    """A mover between the first camera and what it looks at, that goes across the view."""
    eye, look = place.rig.eye(0.0), place.rig.look(0.0)
    distance = float(np.linalg.norm(look - eye))
    ahead = (look - eye) / distance
    across = np.cross(ahead, [0, 0, 1.0])
    across /= np.linalg.norm(across)
    far = rng.uniform(*BETWEEN)
    height = far * distance * size * rng.uniform(*VARIED)
    at = eye + far * (look - eye) + 0.25 * far * distance * rng.uniform(-1, 1) * across
    at[2] -= 0.5 * height
    reach = across + 0.4 * rng.standard_normal() * np.array([ahead[0], ahead[1], 0])
    MOVERS[kind](rng, place.stage, at, height, reach * far * distance * rng.uniform(0.15, 0.4))
