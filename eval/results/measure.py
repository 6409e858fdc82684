"""The report that measuring clips writes, as ``report.json``. Scripts rely on it: keys are added, never renamed.

Every figure is finite or None (null in JSON). Lengths are pixels or shares, never unnamed units.
"""

from dataclasses import dataclass, field

from eval.results.conventions import ReadingCheck

MEASURE = "bridge4d/measure/1"
PROTOCOL_VERSION = "1.0"
"""Raised when figures of the same clips change, as docs/protocol.md says."""
PROTOCOL = f"bridge4d pose-recovery protocol {PROTOCOL_VERSION}"
"""What papers cite; docs/protocol.md states it."""
GIVEN_UP = "given up"
"""The cause of failure of a clip whose process died or took too long, and how its `status` begins."""

FOLLOWS = "follows@15"
"""The rule that asks whether the registered cameras are those that were requested; others ask how many there are."""
ASTRAY = "does not follow the request"
"""The remark on a registered clip that does not meet `FOLLOWS`, whether the rule was asked or not."""
TORN = "matches contradict the path"
"""The remark on a registered clip whose recovered poses do not explain what frames far apart share: it is no one path."""

UNMASKED, TRIMMED, STILL = "overlays not masked", "odd frames left out", "what moves left out"
"""Variants of a clip's verdicts: with the features of an overlay, which are left out otherwise; of the longest shot without its
blank and repeated frames; and without the features of what moves. The last two count otherwise."""
MISLED = "misled by what moves"
"""The cause or remark of a clip that is not recovered, or wrong, but right without what moves in it."""

Interval = tuple[float, float]
"""Lower and upper bound."""
Place = list[float]
"""Three coordinates, in the units of the requested path where there is one."""


@dataclass(frozen=True)
class Rate:
    """How often a rule was met."""

    rate: float | None = None
    """Mean of the clips' shares in [0, 1] (a share is 0 or 1 but for rules that average over trials); None for
    n = 0."""
    interval95: Interval | None = None
    """Wilson's, at n clips."""
    n: int = 0
    """Clips that the rule could be asked of; failures are in it."""
    undefined: dict[str, int] = field(default_factory=dict)
    """Why how many clips could not be asked: {'no requested cameras': 3}."""


@dataclass(frozen=True)
class Figure:
    """A metric over the clips of a model."""

    mean: float | None = None
    median: float | None = None
    interval95: Interval | None = None
    """Percentile bootstrap of the mean over clips; None for fewer than two."""
    interval_note: str = ""
    """A caution that so few values make the interval too narrow; '' where there is none."""
    n: int = 0
    """Clips with a value."""
    undefined: dict[str, int] = field(default_factory=dict)
    """Why how many clips have none."""


@dataclass(frozen=True)
class ErrorFigure:
    """A pose error. The two are never confused."""

    survivors: Figure = field(default_factory=Figure)
    """Over the clips whose poses were recovered."""
    failures_as_worst: Figure = field(default_factory=Figure)
    """Over all clips: a clip whose poses were not recovered counts with the largest error the convention allows."""
    worst: str = ""
    """What that largest error is, in words."""


@dataclass(frozen=True)
class Variant:
    """The rates of a model where some of its clips are looked at in another way."""

    clips: int = 0
    """Clips that are; of the others the verdicts that count are taken."""
    rules: dict[str, Rate] = field(default_factory=dict)


@dataclass(frozen=True)
class StillFigures:
    """The figures of a model where what moves is left out of its clips."""

    clips: int = 0
    """Clips in which something moves; of the others the figures that count are taken."""
    moving_share: Figure = field(default_factory=Figure)
    """Over all clips of which it could be told."""
    errors: dict[str, ErrorFigure] = field(default_factory=dict)
    consistency: dict[str, Figure] = field(default_factory=dict)


@dataclass(frozen=True)
class Model:
    n: int = 0
    """Clips measured; unreadable ones are in `failed`."""
    failed: int = 0
    control: bool = False
    requested: int = 0
    """Clips with requested (or reference) cameras."""
    registered_share: Figure = field(default_factory=Figure)
    rules: dict[str, Rate] = field(default_factory=dict)
    rotation_deg: ErrorFigure = field(default_factory=ErrorFigure)
    """Mean angle to the requested rotation, degrees, after the one turn of the world that suits all cameras best."""
    position_share: ErrorFigure = field(default_factory=ErrorFigure)
    """Mean distance from the requested position after Sim(3), as a share of the requested path's extent."""
    errors: dict[str, ErrorFigure] = field(default_factory=dict)
    """Every convention by its name, the two above included. 'ate' has no figures, for it is in the units of each
    clip's request."""
    consistency: dict[str, Figure] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=dict)
    """Causes of failure: cause -> clips whose poses were not recovered."""
    remarks: dict[str, int] = field(default_factory=dict)
    """The same of clips whose poses were recovered nevertheless: {'does not follow the request': 4, 'drift': 1}."""
    variants: dict[str, Variant] = field(default_factory=dict)
    """`UNMASKED`, `TRIMMED` and `STILL`, where any clip has them."""
    still: StillFigures = field(default_factory=StillFigures)
    pose_choices: dict[str, int] = field(default_factory=dict)
    """'requested', 'recovered', 'either' -> clips whose pixels these poses fit better."""
    readings: dict[str, int] = field(default_factory=dict)
    """How requested cameras fit the clips: a `Fit` -> clips; of those that fit otherwise, each reading that they name -> clips."""
    motion: dict[str, int] = field(default_factory=dict)
    """'general', 'static', 'rotation only', 'plane', 'unknown' -> clips."""


@dataclass(frozen=True)
class Verdict:
    success: bool | None = None
    """None where the rule could not be asked."""
    share: float | None = None
    """In [0, 1]; over trials for rules that average."""
    because: str = ""


@dataclass(frozen=True)
class Value:
    value: float | None = None
    undefined_because: str = ""
    count: int = 0


@dataclass(frozen=True)
class ErrorValue:
    value: float | None = None
    """None where the poses were not recovered or there was no request."""
    worst: float | None = None
    """What a failure counts as for this clip; None where there was no request."""
    undefined_because: str = ""


@dataclass(frozen=True)
class Trajectory:
    """World positions and viewing directions; the recovered ones moved onto the request by Sim(3), where there is
    one."""

    requested: list[Place | None] | None = None
    requested_forward: list[Place | None] | None = None
    recovered: list[Place | None] = field(default_factory=list)
    recovered_forward: list[Place | None] = field(default_factory=list)
    aligned: bool = False
    marked: list[int] = field(default_factory=list)
    """Frames at which the recovered path breaks: before and after a jump, out of place, or contradicted by their matches."""


@dataclass(frozen=True)
class PoseWitness:
    """What a world model makes of the poses of a clip, beside structure from motion; enters no verdict."""

    model: str = ""
    """Its name."""
    rotation_deg: float | None = None
    """Error of its poses against the requested ones, as the error of this name."""
    position_share: float | None = None
    """Likewise."""
    undefined_because: str = ""


@dataclass(frozen=True)
class PoseChoice:
    """Which poses of a clip fit its pixels better."""

    poses: str = ""
    """'requested', 'recovered', 'either' where neither is clearly better; '' where they could not be compared."""
    because: str = ""
    """The figures behind it, or why there are none."""


@dataclass(frozen=True)
class StillPart:
    """A clip without what moves in it; enters no verdict that counts."""

    moving_share: float | None = None
    """Share of the pictures that moves, mean over the frames; None where it was not told."""
    undefined_because: str = ""
    """Why there is no share, or nothing beside it."""
    registered: int = 0
    """As in `ClipResult`, and so are those below; all empty where nothing moves."""
    recovered: bool = False
    errors: dict[str, ErrorValue] = field(default_factory=dict)
    consistency: dict[str, Value] = field(default_factory=dict)


@dataclass(frozen=True)
class ClipResult:
    name: str = ""
    model: str = ""
    group: str = ""
    prompt: str = ""
    path: str = ""
    frames: int = 0
    width: int = 0
    height: int = 0
    has_request: bool = False
    lens: str = ""
    """'requested' or 'unknown': what the primary recovery knew of it."""
    registered: int = 0
    """Frames in the largest model of the primary recovery (that of share@90)."""
    model_sizes: list[int] = field(default_factory=list)
    """Frames in each model that the mapper made, largest first."""
    recovered: bool = False
    """Whether that model holds at least 90% of the frames; errors and consistency are taken from it only then."""
    status: str = ""
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    variants: dict[str, dict[str, Verdict]] = field(default_factory=dict)
    """`UNMASKED`, `TRIMMED` and `STILL` -> rule -> verdict; a clip without overlays, odd frames and what moves has none."""
    still: StillPart = field(default_factory=StillPart)
    errors: dict[str, ErrorValue] = field(default_factory=dict)
    consistency: dict[str, Value] = field(default_factory=dict)
    pose_choice: PoseChoice = field(default_factory=PoseChoice)
    """Which poses to hand to Gaussian splatting."""
    motion: str = ""
    motion_because: str = ""
    readings: ReadingCheck = field(default_factory=ReadingCheck)
    """Whether the requested cameras were read as they were meant; enters no verdict."""
    causes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    strip: str | None = None
    """A strip of frames (JPEG), relative to the run folder."""
    trajectory: Trajectory | None = None
    failed: str | None = None
    """Why this clip could not be measured at all (unreadable); everything else is empty then. A clip on which the
    process died or ran out of time is not one of these but a failure, `GIVEN_UP`."""
    seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """One metric of one model against the control. Interval and test rest on the same samples."""

    test: str = ""
    """'paired permutation', 'unpaired permutation', 'McNemar', 'Fisher' … and what was averaged or left out."""
    paired: bool = False
    why_unpaired: str = ""
    """Why clips that have groups are not compared in pairs; '' where they are, or where none has a group."""
    n: int = 0
    """Samples: a clip, or a group of clips, which are averaged."""
    n_control: int = 0
    """Pairs where paired (then equal to n)."""
    unit: str = ""
    """What the model's samples are: 'clips', 'groups' or 'groups and single clips'."""
    unit_control: str = ""
    clips: int = 0
    """Clips in the model's samples."""
    clips_control: int = 0
    mean: float | None = None
    """Over the samples: what is compared."""
    mean_control: float | None = None
    mean_of_clips: float | None = None
    """Over every clip with a value, as the model's own rate or figure has it; another number than `mean` where groups
    were averaged or clips left out."""
    mean_of_clips_control: float | None = None
    left_out: int = 0
    """Clips of the model that have a value and are in no sample, their group having no partner."""
    left_out_control: int = 0
    left_out_names: list[str] = field(default_factory=list)
    """The first of these."""
    left_out_names_control: list[str] = field(default_factory=list)
    difference: float | None = None
    """Model minus control."""
    interval95: Interval | None = None
    """95% interval of the difference."""
    interval_note: str = ""
    """As in `Figure`."""
    effect_size: float | None = None
    effect_size_name: str = ""
    p_value: float | None = None
    """p value of this one test."""
    p_holm: float | None = None
    """The same among all tests of the model (Holm 1979)."""
    p_smallest: float | None = None
    """What the test gives for as many samples that lie as far apart as can be: no difference falls below it."""
    tests: int = 0
    """Comparisons that `p_holm` is corrected for, this one included."""
    detectable: float | None = None
    """Smallest true difference from the control that this test alone finds at 5% with a power of 80%, for so many samples that
    spread as these do. Of rates: from the control's rate as found, towards the side with more room. None where no
    difference would be found, however large, or nothing was tested."""
    detectable_corrected: float | None = None
    """The same at 5% over `tests`: what the corrected test finds for certain, whatever the other tests give."""
    spread: float | None = None
    """Standard deviation behind `detectable`: of the differences of pairs, else within the two sides, pooled."""
    correlation: float | None = None
    """Of the model's and the control's values in pairs; None where not paired, or where one side does not vary."""
    better: str = "undecided"
    """'control', 'model' or 'undecided' (the interval holds zero, or `p_holm` is 0.05 or more)."""
    why_undecided: str = ""
    """Half a sentence; '' where one is better or nothing was compared."""
    undefined_because: str = ""


@dataclass(frozen=True)
class Control:
    model: str | None = None
    """Name of the control among `models`; None where none was given."""
    note: str = ""
    """What a reader must know of the comparison, in sentences; '' where there is nothing."""
    comparisons: dict[str, dict[str, Comparison]] = field(default_factory=dict)
    """model -> 'rule:share@90', 'error:rotation_deg' (survivors), 'failures_as_worst:rotation_deg' (all clips),
    'consistency:sampson_fitted_px' … -> comparison."""


@dataclass(frozen=True)
class RuleInfo:
    title: str = ""
    definition: str = ""
    source: str = ""
    choices: list[str] = field(default_factory=list)
    """What the source leaves undefined, and what was chosen."""


@dataclass(frozen=True)
class MetricInfo:
    """Description of an error or a consistency metric."""

    title: str = ""
    unit: str = ""
    """'°', 'px', 'rad', 'of extent', 'dB', '' …"""
    digits: int = 3
    higher_is_better: bool = False
    definition: str = ""
    source: str = ""


def describe_metric(
    title: str, unit: str, digits: int, definition: str, source: str, *, higher: bool = False
) -> MetricInfo:
    """A metric's description, with what is long last."""
    return MetricInfo(title, unit, digits, higher, definition, source)


@dataclass(frozen=True)
class Skipped:
    file: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Published:
    """A figure that others published of other data."""

    who: str = ""
    what: str = ""
    value: str = ""
    source: str = ""
    note: str = ""


@dataclass(frozen=True)
class AskedModel:
    """A world model that was asked for the clips."""

    model: str = ""
    """As it was named."""
    description: str = ""
    license: str = ""
    """Of the model and what it generates; '' where none is stated."""
    clips: int = 0
    paths: int = 0
    photos: str = ""
    """Where the photos lie that it was given."""
    metres_per_unit: float | None = None
    scale_from: str = ""
    """In words: how long a unit of the cameras is, for models that work in metres."""


@dataclass(frozen=True)
class MeasureReport:
    schema: str = MEASURE
    protocol: str = ""
    """`PROTOCOL` of the version of bridge4d that measured; '' in reports from before there was one."""
    departures: list[str] = field(default_factory=list)
    """Settings that are not the protocol's: 'max_side 320 instead of 640'."""
    command: str = ""
    seed: int = 0
    settings: dict[str, object] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    rules: dict[str, RuleInfo] = field(default_factory=dict)
    errors: dict[str, MetricInfo] = field(default_factory=dict)
    consistency: dict[str, MetricInfo] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    """In the order of a leaderboard: the control first, then by the rate of the first rule, best first."""
    clips: list[ClipResult] = field(default_factory=list)
    control: Control = field(default_factory=Control)
    skipped: list[Skipped] = field(default_factory=list)
    """What lay beside the clips and was not measured."""
    asked: dict[str, AskedModel] = field(default_factory=dict)
    """Model -> how it was asked, where the clips were asked for and not found."""
    witnesses: dict[str, PoseWitness] = field(default_factory=dict)
    """By the name of the clip, where `--witness` names a model."""
    grouping: list[str] = field(default_factory=list)
    """What a reader must know of how clips were taken for models, in sentences."""
    published: list[Published] = field(default_factory=list)
    """Figures others published, for scale."""
    seconds: dict[str, float] = field(default_factory=dict)
    """The only part that differs between two runs with one seed (with each clip's own `seconds`)."""
