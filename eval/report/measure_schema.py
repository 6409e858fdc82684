"""The shape of the ``report.json`` that measuring clips writes. Scripts rely on it: keys are added, never renamed.

Every figure is finite or null. Lengths are pixels or shares, never unnamed units.
"""

from typing import TypedDict

MEASURE = "bridge4d/measure/1"
GIVEN_UP = "given up"
"""The cause of failure of a clip whose process died or took too long, and how its `status` begins."""

FOLLOWS = "follows@15"
"""The rule that asks whether the registered cameras are those that were requested; others ask how many there are."""
ASTRAY = "does not follow the request"
"""The remark on a registered clip that does not meet `FOLLOWS`, whether the rule was asked or not."""


class Rate(TypedDict):
    """How often a rule was met."""

    rate: float | None
    """Mean of the clips' shares in [0, 1] (a share is 0 or 1 but for rules that average over trials); null for
    n = 0."""
    interval95: list[float] | None
    """Wilson's, at n clips."""
    n: int
    """Clips that the rule could be asked of; failures are in it."""
    undefined: dict[str, int]
    """Why how many clips could not be asked: {'no requested cameras': 3}."""


class Figure(TypedDict):
    """A metric over the clips of a model."""

    mean: float | None
    median: float | None
    interval95: list[float] | None
    """Percentile bootstrap of the mean over clips; null for fewer than two."""
    interval_note: str
    """What a reader must know of the interval: that so few values make it too narrow; '' where there is nothing."""
    n: int
    """Clips with a value."""
    undefined: dict[str, int]
    """Why how many clips have none."""


class ErrorFigure(TypedDict):
    """A pose error. The two are never confused."""

    survivors: Figure
    """Over the clips whose poses were recovered."""
    failures_as_worst: Figure
    """Over all clips: a clip whose poses were not recovered counts with the largest error the convention allows."""
    worst: str
    """What that largest error is, in words."""


class Model(TypedDict):
    n: int
    """Clips measured; unreadable ones are in `failed`."""
    failed: int
    control: bool
    requested: int
    """Clips with requested (or reference) cameras."""
    registered_share: Figure
    rules: dict[str, Rate]
    rotation_deg: ErrorFigure
    """Mean angle to the requested rotation, degrees, after the one turn of the world that suits all cameras best."""
    position_share: ErrorFigure
    """Mean distance from the requested position after Sim(3), as a share of the requested path's extent."""
    errors: dict[str, ErrorFigure]
    """Every convention by its name, the two above included. 'ate' has no figures, for it is in the units of each
    clip's request."""
    consistency: dict[str, Figure]
    causes: dict[str, int]
    """Of failure: cause -> clips whose poses were not recovered."""
    remarks: dict[str, int]
    """The same of clips whose poses were recovered nevertheless: {'does not follow the request': 4, 'drift': 1}."""
    motion: dict[str, int]
    """'general', 'static', 'rotation only', 'plane', 'unknown' -> clips."""


class Verdict(TypedDict):
    success: bool | None
    """null where the rule could not be asked."""
    share: float | None
    """In [0, 1]; over trials for rules that average."""
    because: str


class Value(TypedDict):
    value: float | None
    undefined_because: str
    count: int


class ErrorValue(TypedDict):
    value: float | None
    """null where the poses were not recovered or there was no request."""
    worst: float | None
    """What a failure counts as for this clip; null where there was no request."""
    undefined_because: str


class Trajectory(TypedDict):
    """World positions and viewing directions; the recovered ones moved onto the request by Sim(3), where there is
    one."""

    requested: list[list[float]] | None
    requested_forward: list[list[float]] | None
    recovered: list[list[float] | None]
    recovered_forward: list[list[float] | None]
    aligned: bool


class ClipResult(TypedDict):
    name: str
    model: str
    group: str
    prompt: str
    path: str
    frames: int
    width: int
    height: int
    has_request: bool
    lens: str
    """'requested' or 'unknown': what the primary recovery knew of it."""
    registered: int
    """Frames in the largest model of the primary recovery (that of share@90)."""
    model_sizes: list[int]
    """Frames in each model that the mapper made, largest first."""
    recovered: bool
    """Whether that model holds at least 90% of the frames; errors and consistency are taken from it only then."""
    status: str
    verdicts: dict[str, Verdict]
    errors: dict[str, ErrorValue]
    consistency: dict[str, Value]
    motion: str
    motion_because: str
    causes: list[str]
    notes: list[str]
    strip: str | None
    """A strip of frames (JPEG), relative to the run folder."""
    trajectory: Trajectory | None
    failed: str | None
    """Why this clip could not be measured at all (unreadable); everything else is empty then. A clip on which the
    process died or ran out of time is not one of these but a failure, `GIVEN_UP`."""
    seconds: dict[str, float]


class Comparison(TypedDict):
    """One metric of one model against the control. Interval and test rest on the same samples."""

    test: str
    """'paired permutation', 'unpaired permutation', 'McNemar', 'Fisher' … and what was averaged or left out."""
    paired: bool
    why_unpaired: str
    """Why clips that have groups are not compared in pairs; '' where they are, or where none has a group."""
    n: int
    """Samples: a clip, or a group of clips, which are averaged."""
    n_control: int
    """Pairs where paired (then equal to n)."""
    unit: str
    """What the model's samples are: 'clips', 'groups' or 'groups and single clips'."""
    unit_control: str
    clips: int
    """Clips in the model's samples."""
    clips_control: int
    mean: float | None
    """Over the samples: what is compared."""
    mean_control: float | None
    mean_of_clips: float | None
    """Over every clip with a value, as the model's own rate or figure has it; another number than `mean` where groups
    were averaged or clips left out."""
    mean_of_clips_control: float | None
    left_out: int
    """Clips of the model that have a value and are in no sample, their group having no partner."""
    left_out_control: int
    left_out_names: list[str]
    """The first of these."""
    left_out_names_control: list[str]
    difference: float | None
    """Model minus control."""
    interval95: list[float] | None
    """Of the difference."""
    interval_note: str
    """As in `Figure`."""
    effect_size: float | None
    effect_size_name: str
    p_value: float | None
    """Of this one test."""
    p_holm: float | None
    """The same among all tests of the model (Holm 1979)."""
    p_smallest: float | None
    """What the test gives for as many samples that lie as far apart as can be: no difference falls below it."""
    tests: int
    """Comparisons that `p_holm` is corrected for, this one included."""
    better: str
    """'control', 'model' or 'undecided' (the interval holds zero, or `p_holm` is 0.05 or more)."""
    why_undecided: str
    """Half a sentence; '' where one is better or nothing was compared."""
    undefined_because: str


class Control(TypedDict):
    model: str | None
    """Name of the control among `models`; null where none was given."""
    note: str
    """What a reader must know of the comparison, in sentences; '' where there is nothing."""
    comparisons: dict[str, dict[str, Comparison]]
    """model -> 'rule:share@90', 'error:rotation_deg' (survivors), 'failures_as_worst:rotation_deg' (all clips),
    'consistency:sampson_fitted_px' … -> comparison."""


class RuleInfo(TypedDict):
    title: str
    definition: str
    source: str
    choices: list[str]
    """What the source leaves undefined, and what was chosen."""


class MetricInfo(TypedDict):
    """Of an error or a consistency metric."""

    title: str
    unit: str
    """'°', 'px', 'rad', 'of extent', 'dB', '' …"""
    digits: int
    higher_is_better: bool
    definition: str
    source: str


class MeasureReport(TypedDict):
    schema: str
    command: str
    seed: int
    settings: dict[str, object]
    versions: dict[str, str]
    rules: dict[str, RuleInfo]
    errors: dict[str, MetricInfo]
    consistency: dict[str, MetricInfo]
    models: dict[str, Model]
    """In the order of a leaderboard: the control first, then by the rate of the first rule, best first."""
    clips: list[ClipResult]
    control: Control
    skipped: list[dict[str, str]]
    """{'file', 'reason'}: what lay beside the clips and was not measured."""
    grouping: list[str]
    """What a reader must know of how clips were taken for models, in sentences."""
    published: list[dict[str, str]]
    """Figures others published, for scale: {'who', 'what', 'value', 'source', 'note'}."""
    seconds: dict[str, float]
    """The only part that differs between two runs with one seed (with each clip's own `seconds`)."""
