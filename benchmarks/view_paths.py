"""Camera paths through, between, beside and beyond a few photos."""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from worldgen.trajectories import interpolate, orbit


def chain(centers: Float[Tensor, "n 3"]) -> list[int]:
    """An order in which neighbours are near: always the nearest that is left, from the start that makes it shortest."""
    apart = torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist").double()
    best: tuple[float, list[int]] = (math.inf, [])
    for start in range(len(centers)):
        order, length = [start], 0.0
        while len(order) < len(centers):
            left = [i for i in range(len(centers)) if i not in order]
            nearest = min(left, key=lambda i: float(apart[order[-1], i]))
            length += float(apart[order[-1], nearest])
            order.append(nearest)
        best = min(best, (length, order))
    return best[1]


def through(contexts: Cameras, count: int) -> Cameras:
    """A smooth path from the first of the chain to its last."""
    return interpolate(contexts[chain(contexts.centers)], count=count, smooth=True)


def between(contexts: Cameras, count: int) -> Cameras:
    """In the middles of equal steps of the smooth path through all contexts."""
    return through(contexts, 2 * count + 1)[1::2]


def moved_right(cameras: Cameras, distance: float) -> Cameras:
    pose = cameras.cam_from_world.clone()
    pose[:, 0, 3] -= distance  # the camera to the right is the world to the left
    return replace(cameras, cam_from_world=pose)


def beyond(contexts: Cameras, depth: float, arc_deg: float, count: int) -> Cameras:
    """From the end of the chain that is farthest from the middle, around what it looks at, in the sense that leads away
    from the other contexts; the first of equal steps is one step away."""
    centers = contexts.centers
    ends = [chain(centers)[0], chain(centers)[-1]]
    end = max(ends, key=lambda i: float((centers[i] - centers.mean(0)).norm()))
    others = centers[[i for i in range(len(contexts)) if i != end]]
    start = contexts[end]
    target = start.centers[0] + depth * start.forward[0]
    up = torch.nn.functional.normalize(-contexts.cam_from_world[:, 1, :3].mean(0), dim=0)
    ways = [
        orbit(start, target=target, count=count + 1, arc_deg=sign * arc_deg, up=up)[1:] for sign in (1, -1)
    ]
    return max(ways, key=lambda way: float((others - way.centers[-1]).norm(dim=1).min()))


def focus(cameras: Cameras) -> Float[Tensor, "3"]:
    """The point nearest to all viewing axes, in least squares."""
    across = torch.eye(3, dtype=torch.float64) - cameras.forward[:, :, None] * cameras.forward[:, None]
    return torch.linalg.lstsq(across.sum(0), (across @ cameras.centers[..., None]).sum(0)).solution[:, 0]
