"""What can be asked of a reconstruction of what moves."""

import math
from dataclasses import dataclass, fields
from typing import Any

from bridge4d.augmenting.options import ReconstructOptions
from bridge4d.stages.options import check_least
from recon.errors import BridgeError
from recon.moving.masks import MIN_FRAMES
from recon.splats.fitting.options import FitOptions
from recon.splats.moving.options import SequenceOptions


@dataclass(frozen=True)
class MovingOptions:
    """Options of `reconstruct_moving`."""

    max_side: int = 480
    """Long side in pixels of what is trained and judged."""
    fps: float = 30.0
    """Frames a second of folders of frames; videos and camera files state their times."""
    max_frames: int = 60
    """Most times, spread evenly over the capture."""
    static_iterations: int = 800
    """Training steps of the part that stands still."""
    iterations: int = 1500
    """Training steps of both parts together."""
    max_gaussians: int = 50_000
    """Most Gaussians, over all times together; a third of them move."""
    allow_outside: bool = False
    """Also read pictures that a camera file or a link brings in from outside the given folder."""
    seed: int = 0
    """Same seed, same result."""

    def __post_init__(self) -> None:
        least = {"max_side": 32, "max_frames": MIN_FRAMES, "static_iterations": 1, "iterations": 1}
        check_least(self, least | {"max_gaussians": 150})
        if not 0 < self.fps < math.inf:
            raise BridgeError(f"expected --fps above 0, got {self.fps}")
        if not 0 <= self.seed < 2**31:
            raise BridgeError(f"expected --seed from 0 to {2**31 - 1}, got {self.seed}")

    @property
    def moving_gaussians(self) -> int:
        """Most moving Gaussians."""
        return self.max_gaussians // 3

    @property
    def static(self) -> FitOptions:
        """How the part that stands still is trained."""
        return FitOptions(iterations=self.static_iterations, cap=self.max_gaussians - self.moving_gaussians)

    @property
    def still(self) -> FitOptions:
        """How the scene that stands still is trained: as many steps and Gaussians as the moving one has."""
        return FitOptions(iterations=self.static_iterations + self.iterations, cap=self.max_gaussians)

    @property
    def sequence(self) -> SequenceOptions:
        """How the moving scene is trained."""
        return SequenceOptions(
            static=self.static, iterations=self.iterations, moving_cap=self.moving_gaussians
        )


def pick_moving(options: ReconstructOptions) -> dict[str, Any]:
    """The options of a reconstruction that one of what moves has too.

    Raises:
        BridgeError: others were asked for.
    """
    given = [f.name for f in fields(options) if getattr(options, f.name) != f.default]
    known = {"max_side", "iterations", "max_gaussians", "allow_outside", "seed"}
    if other := [name for name in given if name not in known]:
        raise BridgeError(
            f"--moving does not know --{other[0].replace('_', '-')}; it takes --max-side, --iterations, --max-gaussians, --fps, "
            "--max-frames, --allow-outside and --seed"
        )
    asked = {name: getattr(options, name) for name in sorted(known)}
    return {name: value for name, value in asked.items() if value is not None}
