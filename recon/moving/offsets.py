"""By how much the clocks of still cameras differ, from what moves before them."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.progress import track
from recon.errors import CaptureError
from recon.moving.epipolar_time import Lag, measure_lag
from recon.moving.rectified import Film, rectify
from recon.pictures.eight_bit import to_eight_bit
from recon.pictures.images import shrink

MAX_SIDE = 192
"""Long side in pixels of the pictures that are compared: those of 160x120 were measured, and larger ones take longer."""
MOST_LAG = 15
"""Whole frames that two cameras are looked for to be apart, at most a quarter of the film."""
SURE = 3.0
"""Deviations beyond which an offset is taken to be one."""
LEAST_FRAMES = 0.5
"""Smallest offset that is acted on, in frames: on a place of known truth one was off by 0.47 with a deviation of 0.08 as said, and synchronous
cameras must stay so."""


@dataclass(frozen=True)
class Offsets:
    """How far the clock of each camera is from that of the first."""

    offset_s: Float[Tensor, "c"]
    """To be added to the times of each camera; NaN where it is undefined."""
    deviation_s: Float[Tensor, "c"]
    """One standard deviation; infinite where the offset is undefined, 0 of the first camera."""
    frame_s: float
    """Seconds between frames."""
    because: tuple[str, ...]
    """Why the offset of a camera is undefined; '' where it is not."""

    @property
    def sure_s(self) -> Float[Tensor, "c"]:
        """Offsets that are larger than their uncertainty and than half a frame, 0 for others."""
        least = (SURE * self.deviation_s).clamp_min(LEAST_FRAMES * self.frame_s)
        return torch.where(self.offset_s.abs() > least, self.offset_s, 0.0)  # NaN is larger than nothing


def find_offsets(clip: Clip, camera_of: Sequence[int], *, most_lag: int = MOST_LAG) -> Offsets:
    """Find by how much the clocks of still cameras differ.

    Cameras are compared with their neighbours, from the nearest to the first one on; see `measure_lag`. An offset is undefined where nothing
    moves, where two neighbours do not see the same of it, or where it moves along the lines between them.

    Args:
        clip: posed frames with times, of the clock of each camera.
        camera_of: number of the camera that took each frame, from 0.
        most_lag: frames by which two neighbours may differ.

    Raises:
        CaptureError: no cameras or no times.

    Example:
        >>> find_offsets(clip, camera_of).offset_s
    """
    if clip.times_s is None:
        raise CaptureError("expected frames with times, got none; give the time of each frame in seconds")
    posed = clip.require_cameras().limit_size(MAX_SIDE)
    count = max(camera_of) + 1
    rows = [[i for i, one in enumerate(camera_of) if one == k] for k in range(count)]
    times = [clip.times_s[of].double().numpy() for of in rows]
    cameras = posed[[of[0] for of in rows]]
    if min(map(len, rows)) < 3:
        return _undefined(count, 1.0, "fewer than three frames")
    frame_s = float(np.median(np.concatenate([np.diff(one) for one in times])))
    start = min(float(one[0]) for one in times)
    reach = min(most_lag, min(map(len, rows)) // 4)
    offsets, deviations, because = [math.nan] * count, [math.inf] * count, [""] * count
    offsets[0], deviations[0] = 0.0, 0.0
    films: dict[int, Film] = {}
    links = _link_neighbours(cameras)
    for k, (a, b) in enumerate(track(links, "offsets between cameras")):
        if math.isnan(offsets[a]):
            because[b] = f"its neighbour {a} has none"
            continue
        for camera in (a, b):
            if camera not in films:
                films[camera] = _film(clip[rows[camera]], posed, (times[camera] - start) / frame_s)
        lag = _lag_between(films[a], films[b], cameras[[a, b]], reach)
        offsets[b], because[b] = offsets[a] - lag.frames * frame_s, lag.because
        deviations[b] = math.hypot(deviations[a], lag.deviation * frame_s)
        needed = {camera for pair in links[k + 1 :] for camera in pair}
        films = {camera: film for camera, film in films.items() if camera in needed}
    return Offsets(
        torch.tensor(offsets, dtype=torch.float64),
        torch.tensor(deviations, dtype=torch.float64),
        frame_s,
        tuple(because),
    )


def _undefined(count: int, frame_s: float, because: str) -> Offsets:
    first = torch.arange(count) == 0
    return Offsets(
        torch.where(first, 0.0, math.nan).double(),
        torch.where(first, 0.0, math.inf).double(),
        frame_s,
        tuple("" if k == 0 else because for k in range(count)),
    )


def apply_offsets(clip: Clip, camera_of: Sequence[int], offset_s: Float[Tensor, "c"]) -> Clip:
    """The clip with its times on one clock, in the order that it has."""
    assert clip.times_s is not None
    return replace(clip, times_s=clip.times_s.double() + offset_s.double()[torch.tensor(camera_of)])


def _link_neighbours(cameras: Cameras) -> list[tuple[int, int]]:
    """Pairs that join all cameras to the first by the shortest ways, each of one that is joined and a new one (Prim)."""
    apart = torch.cdist(cameras.centers.double(), cameras.centers.double())
    joined, links = [0], []
    while len(joined) < len(cameras):
        others = [k for k in range(len(cameras)) if k not in joined]
        near = apart[joined][:, others]
        a, b = divmod(int(near.argmin()), len(others))
        links.append((joined[a], others[b]))
        joined.append(others[b])
    return links


def _lag_between(first: Film, second: Film, cameras: Cameras, most_lag: int) -> Lag:
    both = rectify((first, second), cameras)
    if both is None:
        return Lag(
            math.nan,
            math.inf,
            "one of two neighbours stands in the picture of the other, or both in one place",
        )
    return measure_lag(*both, most_lag)


def _film(clip: Clip, posed: Cameras, times: Float[np.ndarray, "n"]) -> Film:
    """Small pictures and the flows between them."""
    import cv2

    small = [shrink(to_eight_bit(one).numpy(), posed.width, posed.height) for one in clip.images]
    grey = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in small]
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    pairs = [*itertools.pairwise(grey)]
    ahead, back = ([search.calc(*pair, None) for pair in way] for way in (pairs, [p[::-1] for p in pairs]))  # type: ignore[call-overload]
    return Film(small, times, ahead, back)
