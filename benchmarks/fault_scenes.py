"""Places that faulty clips are drawn of, and the paths through them: all from the true renderer, kept on disk."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from recon.cameras import Cameras, intrinsics, look_at
from recon.errors import BridgeError
from recon.pictures.eight_bit import to_eight_bit
from worldgen.models.synthetic import SyntheticRoom
from worldgen.scenes.phone import develop
from worldgen.scenes.places import PLACES, Place
from worldgen.scenes.rendering import Tracer

Pictures = UInt8[Tensor, "n h w 3"]
FRAMES = 20
"""Steps and scale along a path are judged from 16 frames on; all pairs are matched, so that 40 take four times as long."""
FOCAL = 0.8
"""Of the picture's width: 64° across."""
GREY = 0.24
"""Mean linear light that procedural places are exposed for: the middle of what `worldgen.scenes.shot` draws."""
CANDIDATES = ("facade", "outdoors", "clutter", "tabletop")
"""Kinds of procedural places; furnished rooms are left to the built-in one."""


@dataclass(frozen=True)
class Scene:
    """A place seen from anywhere, and the camera in the middle of every path through it."""

    name: str
    """'room-0', the built-in room, or the kind and the seed of a procedural place: 'outdoors-3'."""
    width: int
    height: int
    cache: Path
    """Where drawn pictures are kept, a PNG each."""

    @cached_property
    def middle(self) -> Cameras:
        """One camera."""
        kind, seed = _split(self.name)
        if kind == "room":
            return SyntheticRoom(seed).cameras(3, width=self.width, height=self.height)[1]
        rig = _place(kind, seed)[0].rig
        eye, look = (torch.from_numpy(np.asarray(x(0.0)))[None].double() for x in (rig.eye, rig.look))
        up = torch.tensor([[0.0, 0, 1]], dtype=torch.float64)
        K = intrinsics(focal_px=FOCAL * self.width, width=self.width, height=self.height)
        return Cameras(look_at(eye, look, up), K, self.width, self.height)

    @cached_property
    def distance(self) -> float:
        """Median depth of the middle picture: the ruler of all paths."""
        kind, seed = _split(self.name)
        if kind == "room":
            depth = SyntheticRoom(seed).render(self.middle)[1].numpy()
        else:
            pose, K = self.middle.world_from_cam[0].numpy(), self.middle.K[0].numpy()
            depth = self._tracer.z_depth(pose, K, self.width, self.height, 0.0)[0]
        return float(np.median(depth[depth > 0]))

    @cached_property
    def _tracer(self) -> Tracer:
        place, rng = _place(*_split(self.name))
        return Tracer(place.stage, rng)

    @cached_property
    def _exposure(self) -> float:
        pose, K = self.middle.world_from_cam[0].numpy(), self.middle.K[0].numpy()
        return GREY / max(float(self._tracer.render(pose, K, self.width, self.height).mean()), 1e-3)

    def draw(self, cameras: Cameras) -> Pictures:
        """Pictures from cameras of the scene's size, of 8 bits; those drawn before come from the disk."""
        return torch.stack([self._draw_one(cameras[[i]]) for i in range(len(cameras))])

    def _draw_one(self, camera: Cameras) -> UInt8[Tensor, "h w 3"]:
        # rounded, lest a pose that went through another world is drawn anew
        key = torch.cat([camera.world_from_cam[0].double(), camera.K[0].double() @ torch.eye(3, 4).double()])
        text = ",".join(f"{x + 0:.9f}" for x in (key.flatten() + 0.0).tolist())
        file = self.cache / self.name / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.png"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            beside = file.with_suffix(".part")
            Image.fromarray(to_eight_bit(self._render(camera)).numpy()).save(beside, "PNG", compress_level=1)
            beside.replace(file)
        return torch.from_numpy(np.array(Image.open(file)))

    def _render(self, camera: Cameras) -> Float[Tensor, "h w 3"]:
        kind, seed = _split(self.name)
        if kind == "room":
            return SyntheticRoom(seed).render(camera)[0][0]
        pose, K = camera.world_from_cam[0].double().numpy(), camera.K[0].double().numpy()
        return torch.from_numpy(
            develop(self._tracer.render(pose, K, camera.width, camera.height), self._exposure)
        )

    def path(self, name: str, frames: int = FRAMES, *, size: float = 1.0) -> Cameras:
        """A path of `PATHS`, so many times as large."""
        share = torch.linspace(-1, 1, frames, dtype=torch.float64)
        return self.place(*PATHS[name](share, size))

    def place(self, offsets: Float[Tensor, "n 3"], yaw_deg: Float[Tensor, "n"]) -> Cameras:
        """Cameras beside the middle one.

        Args:
            offsets: right, down and ahead, in `distance`.
            yaw_deg: turn to the right.
        """
        pose = self.middle.world_from_cam[0].double()
        poses = pose.repeat(len(offsets), 1, 1)
        poses[:, :3, :3] = pose[:3, :3] @ turns(yaw_deg)
        poses[:, :3, 3] += self.distance * offsets @ pose[:3, :3].mT
        K = self.middle.K.repeat(len(offsets), 1, 1)
        return Cameras(torch.linalg.inv(poses), K, self.width, self.height)


def turns(yaw_deg: Float[Tensor, "n"]) -> Float[Tensor, "n 3 3"]:
    """Turns of a camera to its right, about its down axis."""
    c, s = torch.deg2rad(yaw_deg).cos(), torch.deg2rad(yaw_deg).sin()
    out = torch.eye(3, dtype=torch.float64).repeat(len(yaw_deg), 1, 1)
    out[:, 0, 0], out[:, 0, 2], out[:, 2, 0], out[:, 2, 2] = c, s, -s, c
    return out


def zoomed(cameras: Cameras, times: Float[Tensor, "n"]) -> Cameras:
    """The same poses with focal lengths so many times as long."""
    K = cameras.K.clone()
    K[:, 0, 0] *= times
    K[:, 1, 1] *= times
    return replace(cameras, K=K)


def _split(name: str) -> tuple[str, int]:
    kind, _, seed = name.partition("-")
    if kind not in ("room", *CANDIDATES) or not seed.isdecimal():
        raise BridgeError(
            f"expected a scene like room-0 or, of {', '.join(CANDIDATES)}, {CANDIDATES[0]}-3, got {name!r}"
        )
    return kind, int(seed)


def _place(kind: str, seed: int) -> tuple[Place, np.random.Generator]:
    rng = np.random.default_rng(seed)
    build = next(place for place in PLACES if place.__name__ == kind)
    return build(rng, False), rng


def _offsets(
    right: Tensor | float, down: Tensor | float, ahead: Tensor | float, share: Tensor
) -> Float[Tensor, "n 3"]:
    return torch.stack([torch.zeros_like(share) + x for x in (right, down, ahead)], 1)


def _curve(share: Tensor, size: float) -> tuple[Tensor, Tensor]:
    """To the right on a bow, up and down a little, the gaze turning back."""
    down, ahead = 0.04 * torch.sin(2.5 * share), 0.08 * (1 - share**2)
    return size * _offsets(0.22 * share, down, ahead, share), -8.0 * size * share


def _orbit(share: Tensor, size: float) -> tuple[Tensor, Tensor]:
    """Around what stands `distance` ahead, by 36°."""
    angle = math.radians(18) * size * share
    return _offsets(angle.sin(), 0.0, 1 - angle.cos(), share), -18.0 * size * share


Path_ = Callable[[Tensor, float], tuple[Tensor, Tensor]]
PATHS: dict[str, Path_] = {
    "curve": _curve,
    "orbit": _orbit,
    "truck": lambda s, size: (_offsets(0.22 * size * s, 0.0, 0.0, s), 0 * s),
    "rise": lambda s, size: (_offsets(0.0, -0.15 * size * s, 0.0, s), 0 * s),
    "diagonal": lambda s, size: (_offsets(0.16 * size * s, 0.0, 0.16 * size * s, s), 0 * s),
    "dolly": lambda s, size: (_offsets(0.0, 0.0, 0.35 * size * (s + 1) / 2, s), 0 * s),
    "pan": lambda s, size: (_offsets(0.0, 0.0, 0.0, s), 10.0 * size * s),
}
"""Offsets and turns over shares -1 … 1; lengths in the median depth of the middle picture. A pan turns by 20°."""
