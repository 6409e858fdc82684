"""By how many frames two still cameras are apart: at the right time what moves lies on its epipolar lines."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from recon.moving.rectified import Rectified

LEAST_PX = 0.3
"""Way between frames from which a pixel counts as moving: flow of still pixels with noise of 1% stays below."""
NEAREST, FARTHEST = 0.4, 0.3
"""Largest disparity of what is nearer than the point that both look at, and of what is farther, in widths."""
NEAR_PX = 0.25
"""Distance from an epipolar line at which a match says half as much for a time: the noise of a match."""
RETURN_PX, AGAIN_PX = 0.5, 2.0
"""Most by which flow there and back may miss its start, and by which it may move a match along its line again."""
ALIKE_PX, ALIKE_SHARE = 0.3, 0.3
"""Most by which velocities across the line may differ between the cameras, and the share of them that is added."""
FRAMES_LOOKED_AT = 8
"""Frames by which whole lags are compared, spread over the film."""
FRAMES_REFINED = 24
"""Frames by which residuals are measured."""
AROUND = (-0.4, 0.0, 0.4)
"""Lags about the best so far at which residuals are measured: the line through them crosses zero where they vanish."""
AGAIN_FRAMES = 0.3
"""Way from the best whole lag beyond which residuals are measured once more, about where they vanish."""
FARTHEST_FRAMES = 0.9
"""Most that residuals may move a lag away from the best whole one: beyond, they follow something else than what the matches do."""
LEAST_AGREEMENT = 0.9
"""Share of the agreement of the best whole lag that the refined one must have, or the two contradict each other."""
SYSTEMATIC = 0.02
"""Deviation in frames that no leaving out of frames shows, over the square of the gain: on four pairs of places of seeds 100 to 104
errors were 0.00 at a gain of 0.74, 0.11 at 0.45, 0.17 at 0.26 and 0.65 at 0.22."""
WHOLE = 0.5
"""Deviation in frames of a whole lag that cannot be refined."""
DISTINCT = 1.2
"""Times by which a whole lag must be better than those two frames off and more to count: of 18 pairs of seeds 100 to 105 the best was never
a frame off, and at least 1.09 times as good."""
LEAST_MATCHES = 300
"""Matches without which a lag is not defined."""
TOO_LITTLE = "too little of what moves is found in the other camera"
IRLS, SPREADS = 12, 1.5
"""Rounds of reweighting, and spreads of the residuals at which a match has lost most of its weight."""
LEAST_SPREAD_PX = 0.05
"""Residuals are never taken to be nearer than so."""


@dataclass(frozen=True)
class Lag:
    """What two films say about how far apart their clocks are."""

    frames: float
    """Frame i of the first shows the time of frame i + `frames` of the second; NaN where it is undefined."""
    deviation: float
    """One standard deviation in frames, from leaving out frames and `SYSTEMATIC`; infinite where it is undefined."""
    because: str = ""
    """Why it is undefined."""


@dataclass(frozen=True)
class _Matches:
    """Moving pixels of one frame that were found in the other film."""

    residual: Float[np.ndarray, "m"]
    """From the epipolar line, pixels, downwards."""
    velocity: Float[np.ndarray, "m"]
    """Across the line, pixels a frame."""
    moving: int
    """Pixels that could have been found."""

    @property
    def agreement(self) -> float:
        """Matches, each counted less the further it is from its line."""
        return float((1 / (1 + (self.residual / NEAR_PX) ** 2)).sum())


def measure_lag(first: Rectified, second: Rectified, most_lag: int) -> Lag:
    """Lag at which the moving pixels of the first film lie on their epipolar lines in the second.

    Whole lags are compared by how many moving pixels find their match on the line (dense stereo). About the best one, what is left across
    the line is the velocity across the line times the error of the lag; where it vanishes is the lag. What moves along epipolar
    lines does not tell. Where both tell different times a distinct whole lag is returned as it is, with a deviation of half a frame.

    Args:
        most_lag: whole frames that are looked at either way.
    """
    some = _spread(first, FRAMES_LOOKED_AT)
    scores = [_agree(first, second, some, lag) for lag in range(-most_lag, most_lag + 1)]
    if not any(scores):
        return Lag(math.nan, math.inf, "nothing moves that both see")
    best = float(np.argmax(scores) - most_lag)
    if abs(best) == most_lag > 0:
        return Lag(
            math.nan, math.inf, f"they may be further apart than the {most_lag} frames that are looked at"
        )
    lag = _refine(first, second, best)
    if AGAIN_FRAMES < abs(lag.frames - best) <= FARTHEST_FRAMES:
        lag = _refine(first, second, lag.frames)
    if (
        abs(lag.frames - best) <= FARTHEST_FRAMES  # not of NaN
        and _agree(first, second, some, lag.frames) >= LEAST_AGREEMENT * max(scores)
    ):
        return lag
    if lag.because == TOO_LITTLE:
        return lag
    others = [score for k, score in enumerate(scores) if abs(k - most_lag - best) >= 2]
    if others and max(scores) >= DISTINCT * max(others):
        return Lag(best, WHOLE)
    return Lag(
        math.nan, math.inf, lag.because or "matches and what is left across the lines tell different times"
    )


def _spread(film: Rectified, most: int) -> list[int]:
    """Numbers of frames, evenly spread over a film."""
    n = len(film.images)
    return list(range(n)) if n <= most else [round((i + 0.5) * n / most - 0.5) for i in range(most)]


def _agree(first: Rectified, second: Rectified, rows: Sequence[int], lag: float) -> float:
    """Share of the moving pixels that find their match on the line; 0 where nothing moves."""
    found = [one for _, one in _match(first, second, rows, lag)]
    moving = sum(one.moving for one in found)
    return sum(one.agreement for one in found) / moving if moving else 0.0


def _refine(first: Rectified, second: Rectified, lag: float) -> Lag:
    """The lag at which residuals vanish: r = g v (d - lag) + c over matches at several d, with gain g and calibration error c."""
    some = _spread(first, FRAMES_REFINED)
    rows, frame_of, residuals = [], [], []
    for d in (lag + step for step in AROUND):
        for i, found in _match(first, second, some, d):
            v = found.velocity
            rows.append(np.stack([(d - lag) * v, v, np.ones_like(v)], 1))
            residuals.append(found.residual)
            frame_of.append(np.full(len(v), i))
    if sum(map(len, rows)) < LEAST_MATCHES * len(AROUND):
        return Lag(math.nan, math.inf, TOO_LITTLE)
    A, r, frames = np.concatenate(rows), np.concatenate(residuals), np.concatenate(frame_of)
    weight = _reweigh(A, r)
    AtA, Atr = [], []
    for i in np.unique(frames):
        of = frames == i
        weighted = A[of] * weight[of, None]
        AtA.append(weighted.T @ A[of])
        Atr.append(weighted.T @ r[of])
    whole, right = np.sum(AtA, 0), np.sum(Atr, 0)
    found, gain = _vanishing(whole, right)
    without = np.array([_vanishing(whole - a, right - b)[0] for a, b in zip(AtA, Atr, strict=True)])
    if not (math.isfinite(found) and np.isfinite(without).all()):
        return Lag(math.nan, math.inf, "what moves does not move across the lines between the cameras")
    count = len(without)
    by_frames = math.sqrt((count - 1) / count * float(((without - without.mean()) ** 2).sum()))
    return Lag(lag + found, math.hypot(by_frames, SYSTEMATIC / gain**2))


def _vanishing(AtA: Float[np.ndarray, "3 3"], Atr: Float[np.ndarray, "3"]) -> tuple[float, float]:
    """Where the residual of a least-squares fit does not depend on the velocity, NaN where it does nowhere; and the gain."""
    try:
        gain, slope, _ = np.linalg.solve(AtA, Atr)
    except np.linalg.LinAlgError:
        return math.nan, 0.0
    return (float(-slope / gain), float(gain)) if gain > 0 else (math.nan, 0.0)


def _reweigh(A: Float[np.ndarray, "m 3"], r: Float[np.ndarray, "m"]) -> Float[np.ndarray, "m"]:
    """Weights of a robust fit (Geman, McClure 1985)."""
    weight = np.ones(len(r))
    for _ in range(IRLS):
        weighted = A * weight[:, None]
        left = r - A @ np.linalg.lstsq(weighted.T @ A, weighted.T @ r, rcond=None)[0]
        spread = max(1.4826 * float(np.median(np.abs(left))), LEAST_SPREAD_PX)
        weight = 1 / (1 + (left / (SPREADS * spread)) ** 2) ** 2
    return weight


def _match(
    first: Rectified, second: Rectified, rows: Iterable[int], lag: float
) -> Iterable[tuple[int, _Matches]]:
    """Matches of moving pixels of frames of the first film at `lag` frames later in the second."""
    for i in rows:
        there = second.at(first.times[i] + lag)
        if there is not None:
            yield i, _match_pictures(first.images[i], first.velocity[i], first.inside, *there)


def _match_pictures(
    left: np.ndarray,
    velocity: Float[np.ndarray, "h w 2"],
    inside: Bool[np.ndarray, "h w"],
    right: np.ndarray,
    velocity_right: Float[np.ndarray, "h w 2"],
) -> _Matches:
    """Disparities by semi-global matching, and what dense flow finds left across the lines."""
    import cv2

    h, w = inside.shape
    moving = (np.linalg.norm(velocity, axis=-1) > LEAST_PX) & inside
    disparity, known = _stereo(left, right)
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))

    def pull(values: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return cv2.remap(values, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    grey, pulled = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (left, pull(right, x - disparity, y)))
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    flow, back = search.calc(grey, pulled, None), search.calc(pulled, grey, None)  # type: ignore[call-overload]
    u, v = x + flow[..., 0], y + flow[..., 1]
    there = pull(pull(velocity_right, x - disparity, y), u, v)
    across, other = velocity[..., 1], there[..., 1]
    mean = (across + other) / 2
    good = (
        known
        & moving
        & (np.linalg.norm(flow + pull(back, u, v), axis=-1) < RETURN_PX)
        & (np.abs(flow[..., 0]) < AGAIN_PX)
        & (np.linalg.norm(there, axis=-1) > LEAST_PX)
        & (np.abs(across - other) < ALIKE_PX + ALIKE_SHARE * np.abs(mean))
    )
    return _Matches(flow[..., 1][good].astype(float), mean[good].astype(float), int(moving.sum()))


def _stereo(left: np.ndarray, right: np.ndarray) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Disparity (x left less x right), calmed, and where both ways agree on it."""
    import cv2

    w = left.shape[1]
    least, span = -round(FARTHEST * w), 16 * math.ceil((NEAREST + FARTHEST) * w / 16)
    border = span + abs(least)  # the matcher leaves out columns whose matches may lie outside
    search = cv2.StereoSGBM.create(
        minDisparity=least, numDisparities=span, blockSize=5, P1=8 * 3 * 25, P2=32 * 3 * 25, disp12MaxDiff=1,
        uniquenessRatio=5, mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )  # fmt: skip
    padded = [cv2.copyMakeBorder(one, 0, 0, border, border, cv2.BORDER_CONSTANT) for one in (left, right)]
    found = search.compute(*padded)[:, border:-border].astype(np.float32) / 16
    return cv2.medianBlur(found, 5), found >= least
