"""Is a recovered path one path? Jumps, drift of scale, and frames out of place, against the request."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from eval.paths.fault import PathFault
from eval.poses import mean_turn, scene_extent
from recon.cameras import Cameras

JUMP = 5.0
"""A step so many times as long as it should be by the other steps is a jump, where what follows stays displaced."""
LEAST_JUMP = 0.1
"""Share of the requested extent that a jump is too long by, at least: slow parts of a path have short steps and as much noise."""
SCALE_DRIFT = 1.6
"""Largest over smallest scale, among quarters of a path, between recovered and requested lengths. Where the scale doubles from the
first step to the last it is 1.7; of ten right clips of RealEstate10K it is at most 1.09."""
CHORDS = 8
"""Lengths are taken over chords of an eighth of the path, in which noise of single places is small, and so many are needed."""
PAUSE_SHARE = 0.05
"""Chords below this share of the extent have no scale: the camera pauses, or the clip is frozen, which is named elsewhere."""
STOPPED_SHARE = 0.1
"""Share of a requested step, at the scale of the whole path, below which it was not taken; a scale that drifts by 5 leaves a third."""
MISPLACED_SHARE, MISPLACED_TIMES = 0.1, 5.0
"""Distance of a frame from its requested place, as a share of the extent and beside the median distance, from which it is out of
place. Of ten right clips of RealEstate10K no frame is off by more than 0.02."""
MIN_MISPLACED = 2
"""One frame may be COLMAP's error."""


@dataclass(frozen=True)
class Break:
    """A fault of a path's steps."""

    fault: PathFault | None
    """None for what may be the mapper's error and not the clip's."""
    evidence: str
    frames: tuple[int, ...] = ()
    """Registered frames, counted from 0 among these."""


def find_breaks(recovered: Cameras, requested: Cameras, frames: Int[Tensor, "m"]) -> list[Break]:
    """Jumps, drift of scale and misplaced frames.

    Args:
        requested: of the recovered frames alone.
        frames: their numbers in the clip, ascending.
    """
    x, y = recovered.centers.double(), requested.centers.double()
    extent, stride = scene_extent(requested), max(1, len(frames) // CHORDS)
    if extent is None:
        return []
    breaks = [_find_misplaced(recovered, requested, extent)]
    if len(frames) >= 2 * CHORDS:
        chords, asked = _chords(x, stride), _chords(y, stride)
        telling = (asked > PAUSE_SHARE * extent) & (frames[stride:] - frames[:-stride] == stride)
        telling &= chords > PAUSE_SHARE * (x - x.mean(0)).norm(dim=-1).max()
        telling &= ~_stops_within(x, y, stride)
        if int(telling.sum()) >= CHORDS:
            scale = chords[telling] / asked[telling]
            breaks += [_find_jump(x, y, frames, float(scale.median()), extent), _find_drift(scale)]
    return [found for found in breaks if found is not None]


def _find_misplaced(recovered: Cameras, requested: Cameras, extent: float) -> Break | None:
    """Single frames that lie elsewhere than where they were asked for, while the others are in place."""
    off = _distance_off(recovered, requested, extent)
    if off is None:
        return None
    wrong = (off > MISPLACED_SHARE) & (off > MISPLACED_TIMES * off.median())
    where = wrong.nonzero()[:, 0].tolist()
    if not where:
        return None
    displaced = f"{float(off[wrong].median()):.2f} of the extent out of place"
    if len(where) < MIN_MISPLACED:
        return Break(None, f"one frame is {displaced}, which may be COLMAP's error", tuple(where))
    return Break(PathFault.MISPLACED, f"{len(where)} frames are {displaced}", tuple(where))


def _distance_off(recovered: Cameras, requested: Cameras, extent: float) -> Float[Tensor, "m"] | None:
    """Distance of each frame from its requested place, as a share of the extent; None where the paths run in opposite directions.

    The request is scaled and moved onto the recovered places, and not these onto the request: a few frames that lie very far away
    would shrink the recovered path until all its frames seem alike.
    """
    x = recovered.centers.double() @ mean_turn(recovered, requested).mT
    dx, dy = x - x.mean(0), requested.centers.double() - requested.centers.double().mean(0)
    scale = float((dx * dy).sum() / dy.square().sum())
    return (dx - scale * dy).norm(dim=-1) / (scale * extent) if scale > 0 else None


def _find_drift(scale: Float[Tensor, "k"]) -> Break | None:
    quarters = [float(part.median()) for part in torch.tensor_split(scale, 4)]
    if max(quarters) <= SCALE_DRIFT * min(quarters):
        return None
    said = ", ".join(f"{quarter / quarters[0]:.2f}" for quarter in quarters)
    return Break(PathFault.SCALE_DRIFT, f"lengths over requested ones, by quarters of the path: {said}")


def _find_jump(
    x: Float[Tensor, "m 3"], y: Float[Tensor, "m 3"], frames: Int[Tensor, "m"], scale: float, extent: float
) -> Break | None:
    """A step between neighbours that is far too long, and so is the way from before it to after it.

    Args:
        x: recovered places.
        y: requested places.
        scale: recovered over requested lengths.
    """
    steps, asked = _chords(x, 1) / max(scale, 1e-300), _chords(y, 1)
    excess = steps - asked
    long = (steps > JUMP * asked) & (excess > LEAST_JUMP * extent) & (frames.diff() == 1)
    for i in long.nonzero()[:, 0].tolist():
        before, after = x[max(0, i - 2) : i + 1], x[i + 1 : i + 4]
        way = (after.median(0).values - before.median(0).values).norm() / max(scale, 1e-300)
        asked_way = (y[i + 1 : i + 4].median(0).values - y[max(0, i - 2) : i + 1].median(0).values).norm()
        if float(way - asked_way) > float(excess[i]) / 2:
            said = f"a step of {float(steps[i]) / extent:.2f} of the extent before frame {int(frames[i + 1])}"
            return Break(PathFault.JUMP, f"{said}, asked for {float(asked[i]) / extent:.2f}", (i, i + 1))
    return None


def _stops_within(x: Float[Tensor, "m 3"], y: Float[Tensor, "m 3"], stride: int) -> Bool[Tensor, "k"]:
    """Whether a chord has a step that was not taken: half of a chord into a frozen end would halve the scale."""
    steps, asked = _chords(x, 1), _chords(y, 1)
    usual = float(steps.sum() / asked.sum().clamp_min(1e-300))
    return (steps < STOPPED_SHARE * usual * asked).unfold(0, stride, 1).any(-1)


def _chords(places: Float[Tensor, "m 3"], stride: int) -> Float[Tensor, "k"]:
    return (places[stride:] - places[:-stride]).norm(dim=-1)
