"""A shot of a procedural place: what a photographer would have, and what a world model should answer."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.random import Generator
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import CameraError
from recon.points import PointCloud
from recon.sim3 import Sim3
from worldgen.scenes.movers import add_mover
from worldgen.scenes.phone import develop, take_photos
from worldgen.scenes.places import PLACES
from worldgen.scenes.rendering import Tracer
from worldgen.scenes.selection import worth_taking
from worldgen.scenes.shapes import any_rotation
from worldgen.scenes.structure_from_motion import disturbed_cameras, sparse_points
from worldgen.scenes.viewpoints import view_times_s, viewpoints

MOVING_SHARE = 0.15
"""Of shots, with one object on the move."""


@dataclass(frozen=True)
class Shot:
    """One training example. World units and axes are arbitrary, as after structure from motion."""

    context: Clip
    """Photos with a phone's faults (noise, exposure, compression), slightly wrong poses, and times."""
    truth: Clip
    """Clean pictures of the targets in neutral exposure; true poses, the context's slightly wrong focal length."""
    depth: Float[Tensor, "t h w"]
    """True z-depth of the targets through the pixel centres, world units; 0 where nothing is hit (sky)."""
    points: PointCloud
    """Sparse, slightly noisy points, each seen by two contexts or more; none on what moves."""
    context_depth: Float[Tensor, "c h w"]
    """True z-depth of the photos through the pixel centres of their true cameras, world units; 0 where nothing is hit."""
    parts: Int[Tensor, "t h w"]
    """Number of the part of the place (a thing, a wall) that each target shows through the pixel centres; -1 where nothing is hit."""


def sample_shot(
    generator: torch.Generator,
    *,
    width: int = 256,
    height: int = 192,
    contexts: int = 6,
    targets: int = 6,
    photographs: bool = False,
) -> Shot:
    """A random place, photographed from a few viewpoints, with a short camera path through or beside them.

    The same generator state gives the same shot.

    Args:
        generator: where all randomness comes from.
        width: of all pictures, pixels.
        height: of all pictures, pixels.
        contexts: photos, at least 2.
        targets: frames of the camera path, at least 1.
        photographs: mix scikit-image's public-domain photographs into the textures.

    Raises:
        CameraError: fewer than two contexts or no target.
        MissingDependencyError: `photographs` without scikit-image.
    """
    if contexts < 2 or targets < 1:
        raise CameraError(f"expected at least 2 contexts and 1 target, got {contexts} and {targets}")
    rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
    while True:
        place = PLACES[rng.integers(len(PLACES))](rng, photographs)
        moves = bool(rng.random() < MOVING_SHARE)
        if moves:
            add_mover(rng, place)
        tracer = Tracer(place.stage, rng)
        times = view_times_s(rng, contexts, targets, moves)
        for _ in range(12):
            cameras = viewpoints(rng, place, width, height, contexts, targets)
            if worth_taking(rng, tracer, cameras, times, contexts):
                return _take(rng, tracer, cameras, times, contexts)


def _take(rng: Generator, tracer: Tracer, cameras: Cameras, times: np.ndarray, contexts: int) -> Shot:
    """Renders the views, ages the photos, disturbs the poses, and moves all to a world of its own."""
    poses, K = cameras.world_from_cam.numpy(), cameras.K.numpy()
    light, depth, still, parts = [], [], [], []
    for i in range(len(cameras)):
        light.append(tracer.render(poses[i], K[i], cameras.width, cameras.height, times[i]))
        z, triangle = tracer.z_depth(poses[i], K[i], cameras.width, cameras.height, times[i])
        depth.append(z)
        still.append((triangle >= 0) & ~tracer.moving[triangle])
        parts.append(np.where(triangle >= 0, tracer.part[triangle], -1))
    exposure = rng.uniform(0.16, 0.32) / max(float(np.mean([x.mean() for x in light[:contexts]])), 1e-3)
    images = torch.from_numpy(take_photos(rng, light[:contexts], exposure))
    clean = torch.from_numpy(np.stack([develop(x, exposure) for x in light[contexts:]]))
    depths = torch.from_numpy(np.stack(depth))
    scale = float(np.exp(rng.uniform(np.log(0.3), np.log(3.0))))
    world = Sim3(
        torch.tensor(scale, dtype=torch.float64),
        torch.from_numpy(any_rotation(rng)),
        torch.from_numpy(rng.standard_normal(3)),
    )
    disturbed = disturbed_cameras(rng, cameras, contexts, float(depths[depths > 0].median()))
    taken = range(contexts)
    points = sparse_points(
        rng,
        cameras[taken],
        disturbed[taken],
        depths[:contexts],
        images,
        torch.from_numpy(np.stack(still[:contexts])),
    )
    at, shown = torch.from_numpy(times).float(), range(contexts, len(cameras))
    return Shot(
        Clip(images, world.cameras(disturbed[taken]), at[:contexts]),
        Clip(clean, world.cameras(disturbed[shown]), at[contexts:]),
        depths[contexts:] * scale,
        replace(points, xyz=world.points(points.xyz)),
        depths[:contexts] * scale,
        torch.from_numpy(np.stack(parts[contexts:])),
    )
