"""A smooth way through scattered views, for models of videos: they were never shown a camera that jumps."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from worldgen.model import ModelSpec, Request, Views
from worldgen.trajectories import interpolate
from worldgen.units import median_depth

SHORTER = 0.8
"""Share of the given way below which another order is taken: paths keep theirs, although by chance another may be a little shorter."""


@dataclass(frozen=True)
class Route:
    """The views that are asked for in the end, some of them only to get from one to the next."""

    request: Request
    stops: list[int]
    """Of the targets in their own order, which of these they are."""

    def pick(self, views: Views) -> Views:
        """The views that were wanted, in the order of the targets."""
        if self.stops == list(range(len(views))):
            return views
        picked = views[self.stops]
        names = tuple(f"{i:05d}" for i in range(len(picked)))
        return replace(picked, clip=replace(picked.clip, names=names))


def plan_route(spec: ModelSpec, request: Request) -> Route:
    """The request with views between its targets, so that none differs from the one before by more than `spec.largest_turn_deg`.

    What lies between is interpolated. Scattered targets are visited in another order, each time the most alike. A model whose first
    frame is a photo comes from the photo that is most like the first of them.
    """
    targets, limit = request.targets, spec.largest_turn_deg
    if limit is None:
        return Route(request, list(range(len(targets))))
    depth = _scene_depth(request)
    changes = view_changes(targets, targets, depth)
    if spec.first_frame_is_context:
        photos = request.context.require_cameras()
        away = view_changes(photos, targets, depth)
        order = _shorter_order(changes, int(away.min(0).values.argmin()))
        start = photos[int(away[:, order[0]].argmin())].to(dtype=targets.K.dtype)
        keys = Cameras.concatenate([start, targets[order]])
    else:
        order = _shorter_order(changes, 0)
        keys = targets[order]
    frames = _space_keys(keys, depth, limit)
    way = keys
    if frames[-1] > len(keys) - 1:
        knots = torch.tensor(frames, dtype=torch.float64)
        way = interpolate(keys, count=frames[-1] + 1, knots=knots).to(dtype=targets.K.dtype)
    begin = len(keys) - len(targets)  # the photo itself is put before the way when the model is asked
    stops = [0] * len(targets)
    for frame, target in zip(frames[begin:], order, strict=True):
        stops[target] = frame - begin
    times = request.times_s
    if times is not None:
        between = np.interp(np.arange(begin, len(way)), frames[begin:], times[order].double().numpy())
        times = torch.from_numpy(between).to(times)
    return Route(replace(request, targets=way[begin:], times_s=times), stops)


def _space_keys(keys: Cameras, depth: float | None, limit: float) -> list[int]:
    """The frame of each key camera on a way whose steps are at most `limit` degrees."""
    steps = view_changes(keys[:-1], keys[1:], depth).diagonal()
    return [
        0,
        *np.cumsum([max(1, math.ceil(float(step) / limit - 1e-9)) for step in steps]).tolist(),
    ]  # rounding


def view_changes(a: Cameras, b: Cameras, depth: float | None) -> Float[Tensor, "n m"]:
    """How far each view of `a` differs from each of `b`, degrees: the turn, or the angle by which a step shifts what is `depth` away,
    whichever is larger. Without a depth, turns alone."""
    one, other = a.cam_from_world.double(), b.cam_from_world.double()
    traces = torch.einsum("nij,mij->nm", one[:, :3, :3], other[:, :3, :3])
    turns = torch.rad2deg(torch.arccos(((traces - 1) / 2).clamp(-1, 1)))
    if depth is None:
        return turns
    steps = torch.cdist(a.centers.double(), b.centers.double())
    return torch.maximum(turns, torch.rad2deg(torch.arctan(steps / depth)))


def _shorter_order(changes: Float[Tensor, "n n"], first: int) -> list[int]:
    """Each time the most alike of those left, from `first` on; as they are where that is not clearly shorter."""
    given = list(range(len(changes)))
    order, left = [first], set(given) - {first}
    while left:
        row = changes[order[-1]]
        order.append(min(left, key=lambda i: (float(row[i]), i)))
        left.remove(order[-1])

    def length(way: list[int]) -> float:
        return float(changes[way[:-1], way[1:]].sum())

    return order if length(order) < SHORTER * length(given) else given


def _scene_depth(request: Request) -> float | None:
    """Typical z-depth of what is seen, in the unit of the request; None where nothing tells it."""
    known = request.scene.depth
    if known is not None and len(known[0]):
        return float(known[1].depth.float().median())
    return median_depth(request.scene.points, request.context.cameras)
