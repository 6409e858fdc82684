"""Where and when the photos of a place are taken, and the path of the camera that a world model is asked for."""

import numpy as np
import torch
from numpy.random import Generator

from recon.cameras import Cameras, intrinsics, look_at
from worldgen.scenes.places import Place, Rig


def viewpoints(rng: Generator, place: Place, width: int, height: int, contexts: int, targets: int) -> Cameras:
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


def view_times_s(rng: Generator, contexts: int, targets: int, moves: bool) -> np.ndarray:
    """Seconds of all views around 0; all 0 for half of the places where nothing moves."""
    if not moves and rng.random() < 0.5:
        return np.zeros(contexts + targets)
    span = rng.uniform(0.5, 1.5)
    start = rng.uniform(-span, 0.6 * span)
    shown = np.linspace(start, start + rng.uniform(0.1, 0.4) * span, targets)
    return np.concatenate([np.sort(rng.uniform(-span, span, contexts)), shown])


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
