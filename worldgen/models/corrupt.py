"""Any world model with known damage: what metrics and gates must notice, with the truth beside it."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import BridgeError
from worldgen.model import ModelSpec, Request, Views, WorldModel


@dataclass(frozen=True)
class Corruption:
    """Strengths of the damage; 0 is none of it. Frame i of a call is damaged by its place in the call."""

    rotation_drift_deg: float = 0.0
    """Frame i is seen from a camera turned by i times this, about one random axis."""
    translation_drift: float = 0.0
    """Frame i is seen from a camera moved by i times this share of the targets' extent, one random direction."""
    scale_drift: float = 0.0
    """Frame i's camera stands (1 + this) ** i times as far from the first camera as asked."""
    flicker: float = 0.0
    """Standard deviation of a random gain per frame and colour channel."""
    swapped: float = 0.0
    """Share of frames whose picture changes places with that of another frame."""
    blur_px: float = 0.0
    """Standard deviation of a Gaussian blur, pixels."""
    noise: float = 0.0
    """Standard deviation of white noise, sRGB in [0, 1]."""
    bend_px: float = 0.0
    """Root mean square displacement of a smooth random thin-plate warp, pixels; no camera explains it."""


@dataclass(frozen=True)
class Damage:
    """What was done to each frame of one call."""

    true_cameras: Cameras
    """Where each picture was really seen from; equal to the request where there is no drift and no swap."""
    source: tuple[int, ...]
    """Which target's (drifted) camera each picture was made for; 0, 1, 2 … where nothing is swapped."""
    gains: Float[Tensor, "n 3"]
    """Factors of the colour channels of each frame."""
    displacement_px: Float[Tensor, "n h w 2"] | None
    """Thin-plate displacement: the picture at x shows what the clean one shows at x + displacement."""


class Corrupt:
    """Wraps a model; `damage` tells the truth about what `generate` does with the same generator state."""

    def __init__(self, model: WorldModel, corruption: Corruption) -> None:
        self.model = model
        self.corruption = corruption

    @property
    def spec(self) -> ModelSpec:
        """The wrapped model's, under a name of its own."""
        return replace(self.model.spec, name=f"corrupt-{self.model.spec.name}")

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """The damaged pictures; see `generate_with_truth`."""
        return self.generate_with_truth(request, generator=generator)[0]

    def true_cameras(self, targets: Cameras, *, generator: torch.Generator) -> Cameras:
        """Where `generate` will see each target from, with a generator in the same state (it is drawn from)."""
        return self.damage(targets, generator=generator).true_cameras

    def generate_with_truth(self, request: Request, *, generator: torch.Generator) -> tuple[Views, Damage]:
        """The damaged pictures, which claims the requested cameras, and what was done to it."""
        damage = self.damage(request.targets, generator=generator)
        answer = self.model.generate(replace(request, targets=damage.true_cameras), generator=generator)
        clip = answer.clip
        images, confidence = clip.images, clip.confidence
        if damage.displacement_px is not None:
            images = bend_pictures(images, damage.displacement_px)
            if confidence is not None:
                confidence = bend_pictures(confidence[..., None], damage.displacement_px)[..., 0]
        if self.corruption.blur_px > 0:
            images = blur_pictures(images, self.corruption.blur_px)
        images = images * damage.gains[:, None, None]
        if self.corruption.noise > 0:
            images = images + self.corruption.noise * torch.randn(images.shape, generator=generator)
        clip = replace(clip, images=images.clamp(0, 1), confidence=confidence, cameras=request.targets)
        return replace(answer, clip=clip), damage

    def damage(self, targets: Cameras, *, generator: torch.Generator) -> Damage:
        """Draws the damage to a call with these targets."""
        c, n = self.corruption, len(targets)
        axis, direction = torch.nn.functional.normalize(
            torch.randn(2, 3, generator=generator, dtype=torch.float64), dim=1
        )
        gains = 1 + c.flicker * torch.randn(n, 3, generator=generator)
        source = _swap_frames(n, c.swapped, generator)
        displacement = None
        if c.bend_px > 0:
            displacement = thin_plate_displacement(
                n, targets.width, targets.height, c.bend_px, generator=generator
            )
        drifted = _drift_cameras(targets, c, axis, direction)
        return Damage(drifted[source], tuple(source), gains, displacement)


def _drift_cameras(
    targets: Cameras, c: Corruption, axis: Float[Tensor, "3"], direction: Float[Tensor, "3"]
) -> Cameras:
    from scipy.spatial.transform import Rotation

    step = torch.arange(len(targets), dtype=torch.float64)
    poses = targets.world_from_cam.double().clone()
    centers = poses[:, :3, 3]
    extent = (centers - centers.mean(0)).norm(dim=1).max() * 2
    angle = np.radians(c.rotation_drift_deg) * step.numpy()
    turn = torch.from_numpy(Rotation.from_rotvec(angle[:, None] * axis.numpy()).as_matrix())
    away = (1 + c.scale_drift) ** step
    centers = centers[0] + away[:, None] * (centers - centers[0])
    poses[:, :3, 3] = centers + c.translation_drift * extent * step[:, None] * direction
    poses[:, :3, :3] = poses[:, :3, :3] @ turn
    return replace(targets, cam_from_world=replace(targets, cam_from_world=poses).world_from_cam)


def _swap_frames(n: int, share: float, generator: torch.Generator) -> list[int]:
    """A permutation that exchanges frames in pairs."""
    if not 0 <= share <= 1:
        raise BridgeError(f"expected a share of swapped frames in [0, 1], got {share}")
    order = torch.randperm(n, generator=generator).tolist()
    source = list(range(n))
    for k in range(int(share * n / 2)):
        a, b = order[2 * k], order[2 * k + 1]
        source[a], source[b] = b, a
    return source


def thin_plate_displacement(
    n: int, width: int, height: int, rms_px: float, *, generator: torch.Generator
) -> Float[Tensor, "n h w 2"]:
    """Smooth random displacement fields: thin-plate splines through a 4 x 4 grid of random shifts."""
    from scipy.interpolate import RBFInterpolator

    grid = np.stack(np.meshgrid(np.linspace(0, width, 4), np.linspace(0, height, 4)), -1).reshape(-1, 2)
    shifts = torch.randn(16, 2 * n, generator=generator, dtype=torch.float64).numpy()
    rows, columns = 24, 32
    x, y = np.meshgrid((np.arange(columns) + 0.5) * width / columns, (np.arange(rows) + 0.5) * height / rows)
    coarse = RBFInterpolator(grid, shifts, kernel="thin_plate_spline")(np.stack([x, y], -1).reshape(-1, 2))
    field = torch.from_numpy(coarse).reshape(1, rows, columns, 2 * n).permute(0, 3, 1, 2).float()
    field = torch.nn.functional.interpolate(field, size=(height, width), mode="bicubic", align_corners=False)
    field = field.reshape(n, 2, height, width).permute(0, 2, 3, 1)
    field = field - field.mean((1, 2), keepdim=True)
    return rms_px * field / field.pow(2).sum(-1).mean((1, 2)).sqrt()[:, None, None, None]


def bend_pictures(
    images: Float[Tensor, "n h w c"], displacement_px: Float[Tensor, "n h w 2"]
) -> Float[Tensor, "n h w c"]:
    """Each pixel reads its picture at its own place plus the displacement; edges are repeated."""
    _, h, w, _ = images.shape
    v, u = torch.meshgrid(torch.arange(h) + 0.5, torch.arange(w) + 0.5, indexing="ij")
    at = (torch.stack([u, v], -1) + displacement_px) / torch.tensor([w, h]) * 2 - 1
    return torch.nn.functional.grid_sample(
        images.permute(0, 3, 1, 2),
        at.to(images.dtype),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    ).permute(0, 2, 3, 1)


def blur_pictures(images: Float[Tensor, "n h w 3"], sigma_px: float) -> Float[Tensor, "n h w 3"]:
    """Blur each picture with a Gaussian of this standard deviation."""
    from scipy.ndimage import gaussian_filter

    return torch.from_numpy(gaussian_filter(images.numpy(), (0, sigma_px, sigma_px, 0), mode="nearest"))
