"""Scenes that move: as stored frames, or as a still part and Gaussians with polynomial motion."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.compute.lazy import LazySequence
from recon.errors import BridgeError, SceneFileError
from recon.gaussians import Gaussians, concatenate

FAINTEST = 1e-6
"""Opacity of a Gaussian whose time has not come; it stays in the frame, so that a row is the same Gaussian in every frame."""

SHORTEST_S = 1e-15
"""Seconds; a duration of 0 would be divided by."""


@dataclass(frozen=True)
class GaussianFrames:
    """n scenes, each shown from its time until the next; a frame may be read only when it is asked for."""

    times_s: Float[Tensor, "n"]
    """Rising, float64."""
    frames: Sequence[Gaussians]
    """One scene a time; Gaussians may come and go."""
    identity: bool = False
    """Whether a row is the same Gaussian in every frame."""

    def __post_init__(self) -> None:
        if len(self.times_s) != len(self.frames) or len(self.frames) == 0:
            raise SceneFileError(
                f"expected one time for each of at least one frame, got {len(self.times_s)} times for {len(self.frames)}"
            )
        if bool((self.times_s.diff() <= 0).any()):
            raise SceneFileError("expected the times of a moving scene to rise, and they do not")

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def fps(self) -> float | None:
        """Frames a second; None for a single frame."""
        if len(self) < 2:
            return None
        return float((len(self) - 1) / (self.times_s[-1] - self.times_s[0]))

    @property
    def duration_s(self) -> float:
        """From the first frame until the last one ends, which lasts as long as the others; 1 for a single one."""
        return float(self.times_s[-1] - self.times_s[0]) + 1 / (self.fps or 1.0)

    def index_at(self, time_s: float) -> int:
        """The frame that is shown at a time; the first before the beginning, the last after the end."""
        # a time written with few digits still means its frame
        slack = 1e-6 * max(1.0, abs(time_s))
        after = int(
            torch.searchsorted(self.times_s, torch.tensor(time_s + slack, dtype=torch.float64), right=True)
        )
        return max(0, after - 1)

    def at(self, time_s: float) -> Gaussians:
        """The scene at a time, without interpolation."""
        return self.frames[self.index_at(time_s)]

    def map_frames(self, change: Callable[[Gaussians], Gaussians]) -> "GaussianFrames":
        """The same times with every frame changed, each when it is asked for."""
        return replace(self, frames=LazySequence(lambda i: change(self.frames[i]), range(len(self))))


@dataclass(frozen=True)
class Motion:
    """Motion and visibility of m Gaussians over time (SpacetimeGaussians, Li et al. 2024).

    With δ = t − time_center_s, in seconds, each has

    means + Σ coefficients[:, j] · δ^(j+1), quats + spin · δ, opacity · exp(−(δ / duration)²).
    """

    time_center_s: Float[Tensor, "m"]
    """Time at which opacity is largest."""
    log_duration_s: Float[Tensor, "m"]
    """Natural logarithm of the time after which opacity has fallen to 1/e."""
    coefficients: Float[Tensor, "m k 3"]
    """Scene units per second, per second squared …"""
    spin: Float[Tensor, "m 4"]
    """Change of the quaternion (wxyz) per second; the sum need not be normalised."""

    def __len__(self) -> int:
        return len(self.time_center_s)


@dataclass(frozen=True)
class GaussianSequence:
    """A static scene and moving Gaussians, which can be asked for at any time.

    Example:
        >>> render(sequence.at(0.5), cameras)
    """

    static: Gaussians
    moving: Gaussians
    """Each at its own centre of time."""
    motion: Motion
    times_s: Float[Tensor, "n"]
    """Rising, float64: the times at which players show it."""

    def __post_init__(self) -> None:
        m, motion = len(self.moving), self.motion
        parts = (motion.time_center_s, motion.log_duration_s, motion.coefficients, motion.spin)
        if any(len(part) != m for part in parts):
            raise SceneFileError(
                f"expected the motion of {m} moving Gaussians, got {', '.join(str(len(part)) for part in parts)} times, "
                "durations, coefficients and spins"
            )
        if bool((self.times_s.diff() <= 0).any()):
            raise SceneFileError("expected the times of a moving scene to rise, and they do not")

    def at(self, time_s: float) -> Gaussians:
        """The scene at a time, the static rows first; differentiable in everything it is made of."""
        motion, moving = self.motion, self.moving
        delta = (time_s - motion.time_center_s)[:, None]
        degrees = torch.arange(1, motion.coefficients.shape[1] + 1, dtype=delta.dtype, device=delta.device)
        powers = delta[:, :, None] ** degrees[:, None]
        duration = motion.log_duration_s.exp().clamp_min(SHORTEST_S)
        presence = torch.exp(-((delta[:, 0] / duration) ** 2))
        opacity = (moving.opacity_logits.sigmoid() * presence).clamp(FAINTEST, 1 - FAINTEST)
        now = replace(
            moving,
            means=moving.means + (motion.coefficients * powers).sum(dim=1),
            quats_wxyz=moving.quats_wxyz + motion.spin * delta,
            opacity_logits=torch.logit(opacity.double()).to(opacity.dtype),  # in float, 1 − 1e-6 is off by 3%
        )
        return now if len(self.static) == 0 else concatenate([self.static, now])

    def frames(self) -> GaussianFrames:
        """The scene at `times_s`, each frame computed when it is asked for."""
        load = LazySequence(lambda i: self.at(float(self.times_s[i])), range(len(self.times_s)))
        return GaussianFrames(self.times_s, load, identity=True)


MovingScene = GaussianSequence | GaussianFrames
"""What can be asked for at a time."""


def check_times(scene: MovingScene, times_s: Float[Tensor, "n"]) -> None:
    """Refuse times at which nobody has seen a scene: a polynomial leads anywhere there.

    Raises:
        BridgeError: names the first.
    """
    first, last = float(scene.times_s[0]), float(scene.times_s[-1])
    slack = 1e-6 * max(1.0, abs(first), abs(last))  # times written with few digits
    outside = (times_s < first - slack) | (times_s > last + slack) | ~times_s.isfinite()
    if outside.any():
        raise BridgeError(
            f"expected times from {first:g} to {last:g} seconds, in which the scene was seen, got {float(times_s[outside][0]):g}"
        )
