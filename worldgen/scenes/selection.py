"""Which viewpoints make a shot worth taking."""

import numpy as np
import torch
from numpy.random import Generator

from recon.cameras import Cameras
from worldgen.scenes.phone import develop
from worldgen.scenes.rendering import Tracer
from worldgen.scenes.visibility import seen_share

PREVIEW = 4
"""How many times smaller the pictures are by which a view is judged."""
HOLES = (0.01, 0.62)
"""Share of target pixels that no context sees, from and to which a shot is taken."""
EASY = 0.12
"""Shots with fewer holes than this are taken the more rarely the fewer they have; most paths have few."""


def worth_taking(rng: Generator, tracer: Tracer, cameras: Cameras, times: np.ndarray, contexts: int) -> bool:
    """No camera inside a thing or before a bare wall, photos that overlap, and a fair share of holes."""
    small = cameras.resize(width=cameras.width // PREVIEW, height=cameras.height // PREVIEW)
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
        develop(tracer.render(poses[i], K[i], small.width, small.height, times[i], 1), 1.0) for i in views
    ]
    return min(float(np.abs(np.diff(picture, axis=1)).mean()) for picture in pictures) > 0.012
