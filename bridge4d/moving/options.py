"""What can be asked of a reconstruction of what moves."""

import math
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal, get_args

from bridge4d.augmenting.options import AugmentOptions, ReconstructOptions
from bridge4d.stages.options import ModelChoice, check_least
from eval.judging.gate import FRAME_POSES, FramePoses, GateOptions
from recon.errors import BridgeError
from recon.moving.masks import MIN_FRAMES
from recon.splats.fitting.options import FitOptions
from recon.splats.moving.options import SequenceOptions

MOST_SHARE = 0.9
"""Above it captured frames hardly have a say."""
Sync = Literal["auto", "given"]
"""Whether the times of several cameras are checked against each other."""


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
    sync: Sync = "auto"
    """auto: offsets between the clocks of the cameras are found from what moves, and taken into account where they are sure. given: the
    cameras are synchronous, or their times are right."""
    allow_outside: bool = False
    """Also read pictures that a camera file or a link brings in from outside the given folder."""
    seed: int = 0
    """Same seed, same result."""

    def __post_init__(self) -> None:
        least = {"max_side": 32, "max_frames": MIN_FRAMES, "static_iterations": 1, "iterations": 1}
        check_least(self, least | {"max_gaussians": 150})
        if not 0 < self.fps < math.inf:
            raise BridgeError(f"expected --fps above 0, got {self.fps}")
        if self.sync not in get_args(Sync):
            raise BridgeError(f"expected --sync {' or '.join(get_args(Sync))}, got {self.sync!r}")
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


@dataclass(frozen=True)
class AugmentMovingOptions(ModelChoice, MovingOptions):
    """Options of `augment_moving`."""

    novel_cameras: int = 4
    """Cameras between those that train from which views are asked for, each at all times."""
    support: float = 0.6
    """Share of the points of a typical camera that a planned one should see."""
    generated_weight: float = 0.5
    """Weight of a fully trusted generated pixel; a captured one weighs 1."""
    generated_share: float = 0.2
    """Share of the training steps that look at generated frames."""
    weigh_by_confidence: bool = True
    """Whether the model's confidence weighs each generated pixel."""
    frame_poses: FramePoses = FRAME_POSES
    """With which pose an accepted frame enters the training."""
    gate: GateOptions = field(default_factory=GateOptions)
    """What a generated frame must satisfy to enter the training."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, {"novel_cameras": 1})
        for name, value, most in (
            ("support", self.support, 1.0),
            ("generated_weight", self.generated_weight, 1.0),
            ("generated_share", self.generated_share, MOST_SHARE),
        ):
            if not 0 < value <= most:
                raise BridgeError(
                    f"expected --{name.replace('_', '-')} above 0 and up to {most:g}, got {value}"
                )


RECONSTRUCTION = ("max_side", "iterations", "max_gaussians", "allow_outside", "seed")
AUGMENTATION = (
    "model", "model_options", "metres_per_unit", "support", "generated_weight", "generated_share", "weigh_by_confidence",
    "frame_poses", "gate",
)  # fmt: skip
"""Options that scenes at rest and scenes that move both have, of `reconstruct` and of `augment` besides."""


def pick_moving(options: ReconstructOptions) -> dict[str, Any]:
    """The options of a reconstruction or of the loop that one of what moves has too.

    Raises:
        BridgeError: others were asked for.
    """
    given = [f.name for f in fields(options) if getattr(options, f.name) != _default_of(f)]
    known = {*RECONSTRUCTION, *(AUGMENTATION if isinstance(options, AugmentOptions) else ())}
    if other := [name for name in given if name not in known]:
        flags = [f"--{name.replace('_', '-')}" for name in (*RECONSTRUCTION, "fps", "max_frames", "sync")]
        raise BridgeError(
            f"--moving does not know --{other[0].replace('_', '-')}; it takes {', '.join(flags)}"
            + (
                " and --novel-cameras, and of the loop --model, --generated-weight, --generated-share, --support, --frame-poses and the limits of the gate"
            )
            * isinstance(options, AugmentOptions)
        )
    asked = {name: getattr(options, name) for name in sorted(known)}
    return {name: value for name, value in asked.items() if value is not None}


def _default_of(field: Field[Any]) -> Any:
    return field.default if field.default_factory is MISSING else field.default_factory()
