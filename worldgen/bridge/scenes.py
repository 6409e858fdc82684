"""Shots of procedural places: what a photographer would have, and what a world model should answer."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy.random import Generator
from torch import Tensor

from recon.cameras import Cameras, backproject, intrinsics, look_at, project
from recon.clip import Clip
from recon.errors import CameraError
from recon.points import PointCloud
from recon.sim3 import Sim3
from worldgen.bridge.layouts import PLACES, Place, Rig, thing
from worldgen.bridge.phone import developed, photographed
from worldgen.bridge.raycast import Tracer
from worldgen.bridge.shapes import any_rotation

MOVING_SHARE = 0.15
"""Of shots, with one object on the move."""
PREVIEW = 4
"""How many times smaller the pictures are by which a view is judged."""
HOLES = (0.01, 0.62)
"""Share of target pixels that no context sees, from and to which a shot is taken."""

EASY = 0.12
"""Shots with fewer holes than this are taken the more rarely the fewer they have; most paths have few."""


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
            _add_mover(rng, place)
        tracer = Tracer(place.stage, rng)
        times = _times(rng, contexts, targets, moves)
        for _ in range(12):
            cameras = _cameras(rng, place, width, height, contexts, targets)
            if _worth_taking(rng, tracer, cameras, times, contexts):
                return _take(rng, tracer, cameras, times, contexts)


def _add_mover(rng: Generator, place: Place) -> None:
    """Something that crosses the view between the first camera and what it looks at."""
    eye, look = place.rig.eye(0.0), place.rig.look(0.0)
    distance = float(np.linalg.norm(look - eye))
    mesh = thing(rng, distance * rng.uniform(0.1, 0.3))
    at = eye + rng.uniform(0.6, 0.95) * (look - eye)
    at[2] = max(look[2] - distance * rng.uniform(0.0, 0.2), 0.0)
    place.stage.add(mesh.placed(at), int(rng.integers(len(place.stage.materials))), moves=True)
    across = np.cross(look - eye, [0, 0, 1.0]) + 0.3 * (look - eye) * rng.standard_normal()
    place.stage.velocity = (
        across / np.linalg.norm(across) * distance * rng.uniform(0.05, 0.3) * rng.choice([-1, 1])
    )


def _times(rng: Generator, contexts: int, targets: int, moves: bool) -> np.ndarray:
    """Seconds of all views around 0; all 0 for half of the places where nothing moves."""
    if not moves and rng.random() < 0.5:
        return np.zeros(contexts + targets)
    span = rng.uniform(0.5, 1.5)
    start = rng.uniform(-span, 0.6 * span)
    shown = np.linspace(start, start + rng.uniform(0.1, 0.4) * span, targets)
    return np.concatenate([np.sort(rng.uniform(-span, span, contexts)), shown])


def _cameras(rng: Generator, place: Place, width: int, height: int, contexts: int, targets: int) -> Cameras:
    """True cameras: first the contexts, then the targets."""
    rig = place.rig
    place_on_path = np.arange(contexts) + 0.2 * rng.standard_normal(contexts) + rng.uniform(-1, 1)
    eyes = [rig.eye(s) + place.wander * rng.standard_normal(3) * [1, 1, 0.6] for s in place_on_path]
    looks = [rig.look(s) + 1.5 * place.wander * rng.standard_normal(3) for s in place_on_path]
    path_eyes, path_looks = _target_path(rng, rig, place_on_path, targets)
    roll = np.concatenate(
        [0.03 * rng.standard_normal(contexts), np.full(targets, 0.02 * rng.standard_normal())]
    )
    up = np.stack([np.sin(roll), np.zeros_like(roll), np.cos(roll)], 1)
    focal = max(width, height) * rng.uniform(0.7, 1.25)
    return Cameras(
        look_at(*(torch.from_numpy(np.asarray(x)) for x in (eyes + path_eyes, looks + path_looks, up))),
        intrinsics(focal_px=float(focal), width=width, height=height, n=contexts + targets),
        width,
        height,
    )


def _target_path(
    rng: Generator, rig: Rig, taken: np.ndarray, targets: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Eyes and points looked at: a short smooth path among the photos, beside them, or beyond."""
    middle = float(rng.uniform(taken.min(), taken.max()))
    mode = rng.random()
    if mode > 0.6:  # beyond the first or the last photo
        middle = (
            taken.max() + rng.uniform(0.3, 3.0) if rng.random() < 0.5 else taken.min() - rng.uniform(0.3, 3.0)
        )
    eye, look = rig.eye(middle), rig.look(middle)
    distance = float(np.linalg.norm(look - eye))
    pace = float(np.linalg.norm(rig.eye(middle + 0.1) - rig.eye(middle - 0.1))) / 0.2
    stride = distance * np.tan(np.radians(rng.uniform(0.5, 3.0)))
    ahead = (look - eye) / distance
    side = np.cross(ahead, [0, 0, 1.0])
    axes = np.stack([side / np.linalg.norm(side), ahead, [0, 0, 1.0]])
    stray = rng.standard_normal(3) * [1.0, 0.8, 0.5] * min(pace, 0.3 * distance)
    stray *= (0.1 if mode < 0.3 else rng.uniform(0.4, 1.8)) / max(1.0, targets / 12)
    veer = 0.5 * stride * rng.standard_normal(3) * [0.3, 1.0, 0.3]
    step = min(stride / max(pace, 1e-9), 1.0) * rng.choice([-1, 1])
    aim = 0.05 * distance * rng.standard_normal(3)
    steps = np.arange(targets) - (targets - 1) / 2
    eyes = [rig.eye(middle + k * step) + (stray + k * veer) @ axes for k in steps]
    looks = [rig.look(middle + k * step) + aim + 0.5 * (stray + k * veer) @ axes for k in steps]
    return eyes, looks


def _worth_taking(rng: Generator, tracer: Tracer, cameras: Cameras, times: np.ndarray, contexts: int) -> bool:
    """No camera inside a thing or before a bare wall, photos that overlap, and a fair share of holes."""
    small = cameras.resized(width=cameras.width // PREVIEW, height=cameras.height // PREVIEW)
    poses, K = small.world_from_cam.numpy(), small.K.numpy()
    depth = np.stack(
        [tracer.z_depth(poses[i], K[i], small.width, small.height, times[i])[0] for i in range(len(small))]
    )
    hit = depth > 0
    if hit.mean((1, 2)).min() < 0.35:
        return False
    median = np.array([np.median(d[d > 0]) for d in depth])
    near = (hit & (depth < 0.25 * np.median(median))).mean((1, 2))
    if near.max() > 0.25 or median.min() < 0.3 * np.median(median):
        return False
    seen = seen_share(small, torch.from_numpy(depth), contexts)
    holes = 1 - seen[contexts:].numpy()
    if not HOLES[0] < float(holes.mean()) < HOLES[1] or holes.max() > 0.8 or seen[:contexts].min() < 0.3:
        return False
    if holes.mean() < rng.uniform(0, EASY):
        return False
    middle = contexts + (len(small) - contexts) // 2
    views = [0, contexts - 1, middle]
    pictures = [
        developed(tracer.render(poses[i], K[i], small.width, small.height, times[i], 1), 1.0) for i in views
    ]
    return min(float(np.abs(np.diff(picture, axis=1)).mean()) for picture in pictures) > 0.012


def seen_share(cameras: Cameras, depth: Float[Tensor, "n h w"], contexts: int) -> Float[Tensor, "n"]:
    """Share of each picture's pixels that another of the first `contexts` pictures sees as well."""
    points = backproject(depth.double(), cameras).reshape(len(cameras), -1, 3)
    out = torch.zeros(len(cameras), dtype=torch.float64)
    for i in range(len(cameras)):
        others = [j for j in range(contexts) if j != i]
        seen = _visible(points[i], cameras[others], depth[others], 0.05).any(0)
        out[i] = (seen | (depth[i].reshape(-1) <= 0)).double().mean()
    return out


def _visible(
    points: Float[Tensor, "p 3"], cameras: Cameras, depth: Float[Tensor, "n h w"], tolerance: float
) -> Bool[Tensor, "n p"]:
    """Which points each camera sees: inside the picture, and as deep as the nearest pixel says."""
    px, z = project(points, cameras)
    column, row = px[..., 0].floor().long(), px[..., 1].floor().long()
    inside = (z > 0) & (column >= 0) & (row >= 0) & (column < cameras.width) & (row < cameras.height)
    at = row.clamp(0, cameras.height - 1) * cameras.width + column.clamp(0, cameras.width - 1)
    there = depth.reshape(len(cameras), -1).gather(1, at)
    return inside & ((there - z).abs() < tolerance * z)


def _take(rng: Generator, tracer: Tracer, cameras: Cameras, times: np.ndarray, contexts: int) -> Shot:
    """Renders the views, ages the photos, disturbs the poses, and moves all to a world of its own."""
    poses, K = cameras.world_from_cam.numpy(), cameras.K.numpy()
    light, depth, still = [], [], []
    for i in range(len(cameras)):
        light.append(tracer.render(poses[i], K[i], cameras.width, cameras.height, times[i]))
        z, triangle = tracer.z_depth(poses[i], K[i], cameras.width, cameras.height, times[i])
        depth.append(z)
        still.append((triangle >= 0) & ~tracer.moving[triangle])
    exposure = rng.uniform(0.16, 0.32) / max(float(np.mean([x.mean() for x in light[:contexts]])), 1e-3)
    images = torch.from_numpy(photographed(rng, light[:contexts], exposure))
    clean = torch.from_numpy(np.stack([developed(x, exposure) for x in light[contexts:]]))
    depths = torch.from_numpy(np.stack(depth))
    scale = float(np.exp(rng.uniform(np.log(0.3), np.log(3.0))))
    world = Sim3(
        torch.tensor(scale, dtype=torch.float64),
        torch.from_numpy(any_rotation(rng)),
        torch.from_numpy(rng.standard_normal(3)),
    )
    disturbed = _disturbed(rng, cameras, contexts, float(depths[depths > 0].median()))
    taken = range(contexts)
    points = _points(
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
    )


def _disturbed(rng: Generator, cameras: Cameras, contexts: int, depth: float) -> Cameras:
    """The cameras as structure from motion tells them: contexts a little off, one wrong focal length for all."""
    from scipy.spatial.transform import Rotation

    turn_deg = rng.uniform(0.02, 0.1) * rng.standard_normal((contexts, 3)) / np.sqrt(3)
    shift = rng.uniform(0.0005, 0.002) * depth * rng.standard_normal((contexts, 3)) / np.sqrt(3)
    pose = cameras.cam_from_world.clone()
    turned = torch.from_numpy(Rotation.from_rotvec(turn_deg, degrees=True).as_matrix())
    # turned about the camera's own centre, then moved
    pose[:contexts, :3] = turned @ pose[:contexts, :3]
    pose[:contexts, :3, 3] += torch.from_numpy(shift)
    K = cameras.K.clone()
    K[:, [0, 1], [0, 1]] *= 1 + rng.uniform(-0.003, 0.003)
    return replace(cameras, cam_from_world=pose, K=K)


def _points(
    rng: Generator,
    true: Cameras,
    told: Cameras,
    depth: Float[Tensor, "n h w"],
    images: Float[Tensor, "n h w 3"],
    still: Bool[Tensor, "n h w"],
) -> PointCloud:
    """Corners of the photos that a second photo sees too, as far off as half a pixel's error puts them."""
    import cv2

    xyz, rgb = [], []
    world = backproject(depth.double(), true)
    for i in range(len(true)):
        gray = cv2.cvtColor((images[i].numpy() * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY)
        corners = cv2.goodFeaturesToTrack(gray, 160, 0.01, 4)
        if corners is None:
            continue
        column, row = torch.from_numpy(corners[:, 0].astype(np.int64)).unbind(1)
        kept = still[i, row, column] & torch.from_numpy(rng.random(len(row)) < 0.8)
        xyz.append(world[i, row[kept], column[kept]])
        rgb.append(images[i, row[kept], column[kept]])
    if not xyz:
        return PointCloud.empty()
    exact, colour = torch.cat(xyz), torch.cat(rgb)
    seen = _visible(exact, true, depth, 0.02)
    kept = seen.sum(0) >= 2
    exact, colour, seen = exact[kept], colour[kept], seen[:, kept]
    if len(exact) == 0:
        return PointCloud.empty()
    px, z = project(exact, true)
    counts = seen.sum(0)
    # a point is unsure by half a pixel across, and along the ray by as much more as the parallax is small
    rays = exact - true.centers[:, None]
    rays = rays / rays.norm(dim=-1, keepdim=True)
    mean = (rays * seen[..., None]).sum(0) / counts[:, None]
    parallax = torch.sqrt((1 - mean.norm(dim=1) ** 2).clamp(min=0)).clamp(min=0.03)
    unit = (z * seen).sum(0) / counts * 0.5 / true.K[0, 0, 0] / counts.sqrt()
    across = torch.from_numpy(rng.standard_normal((len(exact), 3)))
    along = torch.from_numpy(rng.standard_normal((len(exact), 1)))
    found = exact + unit[:, None] * (across + along * mean / parallax[:, None])
    error = (project(found, told)[0] - px).norm(dim=-1)
    return PointCloud(found, colour, (error * seen).sum(0) / counts)
