"""A smooth way through scattered views, for models of videos: they were never shown a camera that jumps."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, nearest_camera
from recon.compute.progress import note
from worldgen.model import ModelSpec, Request, Views
from worldgen.trajectories import interpolate
from worldgen.units import median_depth

SHORTER = 0.8
"""Share of the given way below which another order is taken: paths keep theirs, although by chance another may be a little shorter."""

MOST_BETWEEN = 240
"""Steps from one view to the next at most: three calls of 81 frames. A half turn at 1.5° takes 120; a lone view that is 100 depths away
would take thousands, hours of a video model."""


@dataclass(frozen=True)
class Route:
    """The views that are asked for in the end, some of them only to get from one to the next."""

    request: Request
    stops: list[int]
    """Of the targets in their own order, which of these they are."""
    start: int | None
    """The photo of the context before the first of them, for a model whose first frame is a photo; None for others."""

    def pick(self, views: Views) -> Views:
        """The views that were wanted, in the order of the targets."""
        if self.stops == list(range(len(views))):
            return views
        picked = views[self.stops]
        names = tuple(f"{i:05d}" for i in range(len(picked)))
        return replace(picked, clip=replace(picked.clip, names=names))


def plan_route(spec: ModelSpec, request: Request) -> Route:
    """The request with views between its targets, so that none differs from the one before by more than `spec.largest_turn_deg`.

    What lies between is interpolated, `MOST_BETWEEN` steps from view to view at most. Scattered targets are visited in another order, each
    time the most alike. A model whose first frame is a photo comes from the photo that is most like the first of them.
    """
    targets, limit, start = request.targets, spec.largest_turn_deg, None
    if limit is None:
        start = choose_start(request) if spec.first_frame_is_context else None
        return Route(request, list(range(len(targets))), start)
    depth = _scene_depth(request)
    changes = view_changes(targets, targets, depth)
    if spec.first_frame_is_context:
        photos = request.context.require_cameras()
        away = view_changes(photos, targets, depth)
        order = _shorter_order(changes, int(away.min(0).values.argmin()))
        start = choose_start(replace(request, targets=targets[order]))
        keys = Cameras.concatenate([photos[start].to(dtype=targets.K.dtype), targets[order]])
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
    return Route(replace(request, targets=way[begin:], times_s=times), stops, start)


def choose_start(request: Request) -> int:
    """The photo of the context that is most like the first target."""
    photos, first = request.context.require_cameras(), request.targets[0]
    depth = _scene_depth(request)
    if depth is None:  # turns alone would not tell the near photos from the far
        return nearest_camera(photos, first)
    return int(view_changes(photos, first, depth).argmin())


def _space_keys(keys: Cameras, depth: float | None, limit: float) -> list[int]:
    """The frame of each key camera on a way whose steps are at most `limit` degrees, as far as `MOST_BETWEEN` allows."""
    changes = view_changes(keys[:-1], keys[1:], depth).diagonal().tolist()
    steps = [max(1, math.ceil(change / limit - 1e-9)) for change in changes]  # less rounding
    if max(steps, default=0) > MOST_BETWEEN:
        row = steps.index(max(steps))
        note(
            f"two views are so far apart that steps of {limit:g}° between them would take {steps[row]} frames; it makes {MOST_BETWEEN}, "
            f"in steps of {changes[row] / MOST_BETWEEN:.1f}°"
        )
    return [0, *np.cumsum([min(count, MOST_BETWEEN) for count in steps]).tolist()]


def view_changes(a: Cameras, b: Cameras, depth: float | None) -> Float[Tensor, "n m"]:
    """How far each view of `a` differs from each of `b`, degrees, so that a way of n even steps changes by an nth in each.

    The turn, or the angle by which a step shifts what is `depth` away, whichever is larger. Long steps count in proportion to short ones:
    their own angle would not grow beyond 90°, however many short ones they take. Without a depth, turns alone.
    """
    one, other = a.cam_from_world.double(), b.cam_from_world.double()
    traces = torch.einsum("nij,mij->nm", one[:, :3, :3], other[:, :3, :3])
    turns = torch.rad2deg(torch.arccos(((traces - 1) / 2).clamp(-1, 1)))
    if depth is None:
        return turns
    return torch.maximum(turns, torch.rad2deg(torch.cdist(a.centers.double(), b.centers.double()) / depth))


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
    if known is not None and (there := known[1].depth > 0).any():
        return float(known[1].depth[there].float().median())
    return median_depth(request.scene.points, request.context.cameras)
