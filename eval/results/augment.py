"""The report of an augmentation or a reconstruction, as ``report.json``. Scripts rely on it: keys are added, never renamed.

Every figure is finite or None (null in JSON). A gain is positive where the augmented scene is better, whichever way the
metric points.
"""

from dataclasses import dataclass, field

AUGMENT = "bridge4d/augment/1"
PHOTOS_ONLY, AUGMENTED = "photos_only", "augmented"
"""The two scenes that are compared, and how `AugmentReport.kept` names them."""
BASELINE = "baseline"
"""The scene of the photos alone as an earlier trainer made it: never kept, only compared with."""
OWN_RENDERINGS = "own_renderings"
"""The scene with renderings of the photos alone in the place of generated frames: likewise."""

Interval = tuple[float, float]
"""Lower and upper bound."""
Row = tuple[float, float, float, float]
Pose = tuple[Row, Row, Row, Row]
"""A rigid 4x4 matrix, OpenCV axes, in units of the scene."""


@dataclass(frozen=True)
class Capture:
    """What the photos came from."""

    path: str | None = None
    """As it was given."""
    kind: str | None = None
    """'photos', 'video', 'transforms' …"""
    pose_kind: str | None = None
    """Where its cameras come from; None where it has none."""
    width: int | None = None
    """Pixels of its photos as they were read."""
    height: int | None = None
    """Likewise."""


@dataclass(frozen=True)
class SkippedPhoto:
    name: str = ""
    """Of its file."""
    reason: str = ""
    """Why it was not used."""


@dataclass(frozen=True)
class Photos:
    """What became of the photos."""

    given: int | None = None
    """Photos found; of a video, frames taken."""
    usable: int | None = None
    """Those that could be read."""
    training: int | None = None
    """Those that were to be trained on."""
    registered: int | None = None
    """Training photos whose cameras are known."""
    skipped: list[SkippedPhoto] = field(default_factory=list)
    """Those that were left out."""
    training_names: list[str] = field(default_factory=list)
    """Names of the training photos in the run."""


@dataclass(frozen=True)
class Sfm:
    """Structure from motion of the training photos."""

    status: str | None = None
    """'ok', or why nothing was reconstructed."""
    models: int | None = None
    """Models that the mapper made; the largest is used."""
    points: int | None = None
    """Triangulated points."""
    reprojection_error_px: float | None = None
    """Mean over the registered photos; None where cameras came along or none was registered."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time of its steps by name."""


@dataclass(frozen=True)
class PerView:
    """A metric of each held-out photo, in the order of `HeldOut.names`."""

    photos_only: list[float | None] = field(default_factory=list)
    """Of the scene of the photos alone."""
    augmented: list[float | None] = field(default_factory=list)
    """Of the scene that is compared with it; empty where there is none."""


@dataclass(frozen=True)
class Series:
    """A metric over the held-out photos."""

    photos_only: float | None = None
    """Mean of the scene of the photos alone."""
    augmented: float | None = None
    """Mean of the kept scene, else of the first round's; None where no generated frame entered any."""
    gain: float | None = None
    """Mean gain per photo; None as `augmented`."""
    gain_interval95: Interval | None = None
    """Percentile bootstrap over photos; None for fewer than two."""
    worst_view_gain: float | None = None
    """Smallest gain of a single photo; None as `augmented`."""
    per_view: PerView = field(default_factory=PerView)
    """The same metric of each photo."""


@dataclass(frozen=True)
class PerceptualSeries(Series):
    """A perceptual distance; less is better."""

    network: str = ""
    """Its name and weights: 'LPIPS (AlexNet, v0.1)'."""


@dataclass(frozen=True)
class Baseline:
    """The photos alone as an earlier trainer fits them, held against the photos alone as they are fitted now."""

    psnr: float | None = None
    """Mean of the held-out photos, dB."""
    ssim: float | None = None
    """Mean of the held-out photos."""
    gain: float | None = None
    """By how much the scene of the photos alone is better now, in PSNR, dB."""
    worst_view_gain: float | None = None
    """Smallest gain of a single photo, dB."""
    psnr_per_view: list[float | None] = field(default_factory=list)
    """Of each held-out photo, in the order of `HeldOut.names`."""


@dataclass(frozen=True)
class NullSeries:
    """A metric of the scene with own renderings in the place of the generated frames."""

    mean: float | None = None
    """Mean of the held-out photos."""
    gain: float | None = None
    """Mean gain per photo over the scene of the photos alone."""
    gain_interval95: Interval | None = None
    """Percentile bootstrap over photos; None for fewer than two."""
    worst_view_gain: float | None = None
    """Smallest gain of a single photo."""
    generated_gain: float | None = None
    """Mean gain per photo of the augmented scene over this one: what the generated frames add to own renderings."""
    generated_gain_interval95: Interval | None = None
    """Of that, likewise."""
    generated_worst_view_gain: float | None = None
    """Of that, likewise."""
    per_view: list[float | None] = field(default_factory=list)
    """The metric of each photo, in the order of `HeldOut.names`."""


@dataclass(frozen=True)
class OwnRenderings:
    """The null of the generated frames: a scene that was trained as the augmented one, with the mean of what three seeds of the
    photos alone show from the cameras of its frames in the place of these."""

    psnr: NullSeries = field(default_factory=NullSeries)
    """dB, more is better."""
    ssim: NullSeries = field(default_factory=NullSeries)
    """At most 1, more is better."""
    perceptual: NullSeries | None = None
    """Less is better; None where no network is at hand."""


@dataclass(frozen=True)
class HeldOut:
    """What photos that nothing else has seen say of the scenes."""

    views: int | None = None
    """Held-out photos that could be registered and judged."""
    expected: int | None = None
    """Held-out photos."""
    names: list[str] = field(default_factory=list)
    """Those that were judged."""
    psnr: Series | None = None
    """dB, more is better; None where no photo was judged."""
    ssim: Series | None = None
    """At most 1, more is better; None as `psnr`."""
    perceptual: PerceptualSeries | None = None
    """None where no photo was judged or no network is at hand."""
    perceptual_note: str = ""
    """The network, or why there is none; '' where no photo was judged."""
    baseline: Baseline | None = None
    """None where it was not asked for, or no photo was judged."""
    own_renderings: OwnRenderings | None = None
    """None where it was not asked for, no photo was judged or no generated frame entered a scene, and in earlier reports."""
    best_round: int | None = None
    """The round whose scene shows these photos best, 0 where that is the one of the photos alone; None where no photo was judged,
    and in earlier reports. They do not decide which scene is kept."""
    regret: float | None = None
    """By how much that scene is better than the kept one, mean PSNR in dB, 0 where it is the kept one; None likewise."""


@dataclass(frozen=True)
class JudgedFrame:
    """A generated frame as the gate judged it; a row of ``recovery/round-*/frames.json``.

    `eval.judging.gate.Evidence` says what the figures are.
    """

    name: str = ""
    """In the run: 'r1-003' is the fourth of round 1."""
    registered: bool = False
    """Whether COLMAP registered it against the photos."""
    rotation_deg: float | None = None
    """Angle from the requested to the recovered pose, degrees; None where it is not registered."""
    position_share: float | None = None
    """Distance of these, as a share of the scene's extent; None likewise."""
    inliers: int | None = None
    """Matches that agree with the recovered pose."""
    reprojection_error_px: float | None = None
    """Mean of the inliers; None where it is not registered."""
    epipolar_error_px: float | None = None
    """Median of its matches with the nearest photos; None where there are none."""
    contradicted: float | None = None
    """Share of what photos show of it, moved to it, that it shows otherwise; None where content was not checked, or too little of it is
    shown."""
    round: int | None = None
    """Counts from 1."""
    accepted: bool = False
    """Whether it entered the scene."""
    reason: str = ""
    """Why, in words."""
    picture: str | None = None
    """Its PNG, relative to the run folder."""


@dataclass(frozen=True)
class GeneratedFrame(JudgedFrame):
    """A generated frame with what is shown beside it."""

    scene_picture: str | None = None
    """What the kept scene shows at the requested pose: a PNG, relative to the run folder."""
    confidence: str | None = None
    """The world model's confidence in [0, 1] as a 16-bit PNG, likewise; None where it gives none."""
    confidence_mean: float | None = None
    """Mean of that; None likewise."""
    latent_distance: float | None = None
    """Mean cosine distance to the photos moved to it, in the features of the encoder that was asked for; None without one, and where the
    photos show too little of it."""
    latent_distance_untrained: float | None = None
    """The same in the features of that encoder with random weights: what it says by its architecture alone."""


@dataclass(frozen=True)
class FrameCounts:
    """How many generated frames came through."""

    requested: int | None = None
    """Frames that the world model was asked for."""
    recovered: int | None = None
    """Those that COLMAP registered."""
    accepted: int | None = None
    """Those that entered the scene."""


@dataclass(frozen=True)
class Generated(FrameCounts):
    """The generated frames of all rounds."""

    rotation_deg_median: float | None = None
    """Median of the frames' `rotation_deg`; None where none has one."""
    position_share_median: float | None = None
    """Median of the frames' `position_share`; None likewise."""
    frames: list[GeneratedFrame] = field(default_factory=list)
    """Round after round."""


@dataclass(frozen=True)
class Round(FrameCounts):
    """One round of the loop."""

    round: int | None = None
    """Counts from 1."""
    psnr: float | None = None
    """Mean of the held-out photos in its scene, dB; None where no frame entered it."""
    gain: float | None = None
    """The same over the photos alone, dB; None likewise."""


@dataclass(frozen=True)
class Decision:
    """What training photos that were left out in turn say of a round, by which it is kept or not."""

    round: int | None = None
    """Counts from 1."""
    keep: bool = False
    """Whether the scene with its frames is kept rather than the one before."""
    why: str = ""
    """As part of a sentence."""
    left_out: list[str] = field(default_factory=list)
    """Names of the photos; none where there are too few."""
    groups: list[int] = field(default_factory=list)
    """For each with which others it was left out; counts from 1."""
    photos_only: list[float] = field(default_factory=list)
    """PSNR of each in a small scene of the other photos alone, dB."""
    before: list[float] = field(default_factory=list)
    """Likewise with frames of the rounds before, which a world model made from the other photos."""
    augmented: list[float] = field(default_factory=list)
    """Likewise with those of this round, too."""
    gain: float | None = None
    """Mean of `augmented` minus that of `before`; None where no photo was left out."""
    requested: list[int] = field(default_factory=list)
    """For each group frames of this round."""
    accepted: list[int] = field(default_factory=list)
    """Those that passed the gate."""


@dataclass(frozen=True)
class WorldModel:
    """The world model that was asked."""

    name: str | None = None
    """In the registry."""
    description: str = ""
    """What it is, in a sentence."""
    needs: str = ""
    """What it needs of a machine."""
    license: str | None = None
    """Of its weights and code."""
    note: str | None = None
    """What a user should know besides."""
    missing: str = ""
    """Command that installs what it lacks; '' where it lacks nothing."""
    metres_per_unit: float | None = None
    """Length of a unit of the scene, as models that work in metres are told; None where nothing was reconstructed."""
    scale_from: str = ""
    """Where that is from."""


@dataclass(frozen=True)
class Training:
    """How the scenes were trained."""

    iterations: int | None = None
    """Steps of every fit."""
    dropout: float | None = None
    """Share of the Gaussians that a step left out at the end; None in earlier reports."""
    seeds: int = 1
    """Scenes of other seeds that each was merged from; 1 where nothing was merged."""
    why: str = ""
    """How their number was chosen, as part of a sentence; '' where it was asked for."""
    lengths: list[int] = field(default_factory=list)
    """Numbers of steps that were compared."""
    dropouts: list[float] = field(default_factory=list)
    """Dropout with which they were."""
    left_out: list[str] = field(default_factory=list)
    """Training photos that were left out in turn to compare them."""
    psnr: list[list[float]] = field(default_factory=list)
    """Of each of these by each of the trainings compared, dB."""


@dataclass(frozen=True)
class PosedCamera:
    name: str = ""
    """Of its photo or frame."""
    world_from_cam: Pose | None = None
    """Where it stood; None in damaged reports alone."""


@dataclass(frozen=True)
class GeneratedCamera(PosedCamera):
    """A camera at the pose that was requested."""

    accepted: bool = False
    """Whether its frame entered the scene."""


@dataclass(frozen=True)
class ReportedCameras:
    """Cameras in the frame of the scene; all lists are empty where nothing was reconstructed."""

    training: list[PosedCamera] = field(default_factory=list)
    """Of the registered training photos."""
    heldout: list[PosedCamera] = field(default_factory=list)
    """Of the held-out photos, where they are known."""
    generated: list[GeneratedCamera] = field(default_factory=list)
    """Of all generated frames."""


@dataclass(frozen=True)
class Orbit:
    """Videos of the scene; paths are relative to the run folder."""

    path: str = ""
    """The way of the camera, in words."""
    frames: int | None = None
    """Of each video."""
    fps: float | None = None
    """Frames in a second."""
    seconds: float | None = None
    """Length of each video."""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Likewise."""
    kept: str | None = None
    """MP4 of the kept scene."""
    photos_only: str | None = None
    """MP4 of the scene of the photos alone; None where that is the kept one."""


@dataclass(frozen=True)
class Stage:
    """A step of the run; the only part, with `Sfm.seconds`, that differs between two runs with one seed."""

    name: str = ""
    """Its folder in the run."""
    seconds: float | None = None
    """Time it took when it was done."""
    peak_mb: float | None = None
    """Most memory of the process by then, MB."""


@dataclass(frozen=True)
class AugmentReport:
    schema: str = AUGMENT
    """Name and version of this report."""
    task: str = "augment"
    """'augment' or 'reconstruct'; the latter generates nothing."""
    status: str = "ok"
    """'ok', or 'no-reconstruction' where COLMAP could make nothing of the photos."""
    protocol: str | None = None
    """'known-poses' or 'from-scratch'; see `eval.judging.protocols`."""
    capture: Capture = field(default_factory=Capture)
    """What the photos came from."""
    photos: Photos = field(default_factory=Photos)
    """What became of the photos."""
    sfm: Sfm = field(default_factory=Sfm)
    """Structure from motion of the training photos."""
    training: Training | None = None
    """How the scenes were trained; None where nothing could be reconstructed, and in earlier reports."""
    heldout: HeldOut = field(default_factory=HeldOut)
    """What photos that nothing else has seen say of the scenes."""
    generated: Generated = field(default_factory=Generated)
    """The generated frames of all rounds."""
    rounds: list[Round] = field(default_factory=list)
    """The rounds that were played."""
    decisions: list[Decision] = field(default_factory=list)
    """What decided of the first of these; none where --keep did or no frame entered a scene, and in earlier reports."""
    kept: str | None = None
    """'augmented' or 'photos_only': the scene that is exported, or the way in which the exported one was trained."""
    delivered_photos: int | None = None
    """Photos that the exported scene was trained on, the held-out ones among them; None where they are the training photos."""
    kept_round: int | None = None
    """The round that made it; 0 where it is that of the photos alone."""
    kept_because: str = ""
    """Why, as part of a sentence; '' for a reconstruction that has a scene."""
    world_model: WorldModel | None = None
    """The model that was asked; None for a reconstruction."""
    cameras: ReportedCameras = field(default_factory=ReportedCameras)
    """Where photos were taken and frames were requested."""
    warnings: list[str] = field(default_factory=list)
    """What a reader should know, in sentences."""
    exports: dict[str, str] = field(default_factory=dict)
    """Name of an exported file or folder -> its path, relative to the run folder."""
    orbit: Orbit | None = None
    """Videos of the scene; None where none could be made."""
    stages: list[Stage] = field(default_factory=list)
    """The steps of the run, in their order."""
    command: str = ""
    """How to repeat the run."""
    options: dict[str, object] = field(default_factory=dict)
    """Every option by its name, as `bridge4d.AugmentOptions` declares it."""
    seed: int | None = None
    """Of all random numbers."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of Python and of the packages that decide the result."""
