"""What can be asked of a reconstruction and of the closed loop; every field is a flag of `bridge4d augment`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from bridge4d.stages.options import CaptureOptions, ModelChoice, check_least
from eval.judging.gate import FRAME_POSES, FramePoses, GateOptions
from recon.errors import BridgeError
from recon.splats.fitting.options import MOST_DROPOUT

Keep = Literal["decide", "augmented", "photos"]
Baselines = Literal["all", "own-renderings", "trainer", "none"]
TWENTIETHS = 20
"""Parts of the training, at whose ends generated frames may come in or leave."""

Quality = Literal["draft", "standard", "high"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)


def quality_options(quality: Quality, *, gpu: bool | None = None) -> dict[str, Any]:
    """The options that a quality stands for: `ReconstructOptions(**quality_options("standard"))`.

    A draft is what options are by default. Others train at full resolution, and as long as 3DGS (30 000 steps) on a GPU; a tenth of
    that on a CPU, where such a step takes a tenth of a second or more. They leave baselines out: own renderings take three more fits beside two
    to four, and fits most of the time.

    Args:
        gpu: whether a GPU trains; None: where torch finds one.
    """
    import torch

    gpu = torch.cuda.is_available() if gpu is None else gpu
    if quality == "draft":
        return {"max_side": 480, "sfm_side": 1280, "max_gaussians": 50_000, "longest": 800}
    side = {"standard": 1600, "high": 2400}[quality]
    gaussians = (
        {"standard": 1_000_000, "high": 3_000_000} if gpu else {"standard": 300_000, "high": 1_000_000}
    )
    longest = {"standard": 30_000, "high": 30_000} if gpu else {"standard": 3_000, "high": 7_000}
    return {
        "max_side": side,
        "sfm_side": side,
        "max_gaussians": gaussians[quality],
        "longest": longest[quality],
        "baselines": "none",
    }


@dataclass(frozen=True)
class ReconstructOptions(CaptureOptions):
    """Also flags of `bridge4d reconstruct`."""

    start: Path | None = None
    """A splat scene in the capture's frame, in any format, to start every fit from instead of points; needs the
    known-poses protocol."""
    iterations: int | None = None
    """Training steps of every splat fit, the same for photos only and augmented. None: as many, up to --longest, as show training
    photos best that are left out in turn; with --start --longest itself."""
    longest: int = 800
    """The most training steps that are chosen where --iterations does not state them."""
    dropout: float | None = None
    """Share of the Gaussians that a training step leaves out at the end of the training, so that a few photos are not overfitted.
    None: 0.3 or none at all, chosen like the steps; none where --iterations states these."""
    baselines: Baselines = "none"
    """What the report sets beside the scene, to compare with. trainer: the photos as bridge4d
    trained before it chose how long to train (800 steps or --iterations, no dropout, a start where three photos agree), one more fit. all:
    the same; own-renderings is refused, since nothing is generated."""
    seeds: int = 1
    """Train every scene from so many seeds, and merge these into one that settles on the photos and on the mean of what they show
    between the photos. It has the Gaussians of all, up to so many times --max-gaussians. 3 is what was measured: three to six times
    the time of a fit."""
    sh_degree: int = 2
    """Degree of the spherical harmonics of the colours."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, {"iterations": 1, "longest": 1, "seeds": 1})
        if self.seeds > 1 and self.start is not None:
            raise BridgeError(
                f"expected --seeds 1 with --start, got {self.seeds}: scenes that start from one scene hardly differ; leave either out"
            )
        if self.dropout is not None and not 0 <= self.dropout <= MOST_DROPOUT:
            raise BridgeError(f"expected --dropout from 0 to {MOST_DROPOUT}, got {self.dropout}")
        if not 0 <= self.sh_degree <= 3:
            raise BridgeError(f"expected --sh-degree from 0 to 3, got {self.sh_degree}")

    @property
    def fits_earlier_trainer(self) -> bool:
        """Whether the photos are also fitted as the trainer before did."""
        return self.baselines in ("trainer", "all")

    @property
    def fits_own_renderings(self) -> bool:
        """Whether own renderings are also fitted in the place of generated frames, where there are some."""
        # scenes of several seeds that start from one scene hardly differ
        return self.baselines in ("own-renderings", "all") and self.start is None

    @property
    def scene_files(self) -> tuple[Path, ...]:
        """Scenes that the training starts from; they must lie in the capture's frame."""
        return (self.start,) if self.start else ()


@dataclass(frozen=True)
class AugmentOptions(ModelChoice, ReconstructOptions):
    rounds: int = 2
    """At most so many rounds of generate, check and fit; the loop stops when a round brings no gain."""
    baselines: Baselines = "own-renderings"
    """What the report sets beside the augmented scene, to compare with. own-renderings: a scene in which renderings of the photos alone,
    the mean of three seeds, stand in the place of the accepted frames; frames that do not beat it add nothing of their own; three more fits,
    and none with --start, from which all seeds are alike.
    trainer: the photos alone as bridge4d trained before it chose how long to train (800 steps or --iterations, no dropout, a start where
    three photos agree), one more fit. all: both."""
    keep: Keep = "decide"
    """Which scene is kept. decide: the augmented one where it shows training photos better that are left out in turn, else that of
    the photos alone; augmented or photos: that one, whatever it is worth, and all rounds are played."""
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
    check_content: bool = False
    """Also compare each generated frame with the photos moved to it, region by region: what photos contradict weighs nothing in the fit,
    and a frame with more than --max-contradicted of it is refused."""
    latents: str | None = None
    """Also compare each generated frame with the photos moved to it, by the features of an encoder of transformers (DINOv2, DINOv3,
    V-JEPA 2): a folder, or a name such as facebook/dinov2-small. It is reported, and decides nothing."""
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
        return (*super().scene_files, *self.model_scenes)

    @property
    def generated_twentieths(self) -> range:
        """In which twentieths of the training generated frames are looked at."""
        return range(round(TWENTIETHS * self.generated_from), round(TWENTIETHS * self.generated_until))
