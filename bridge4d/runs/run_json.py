"""What the JSON files of a finished run say, as far as anybody but the loop itself reads them.

Read them with `typed_json.read_typed`: a run folder may come from anywhere, and may have been edited.
"""

from typing import Any, Literal, NotRequired, TypedDict

from bridge4d.runs.store import StoredSimilarity


class OptionsSaid(TypedDict):
    """Of `AugmentOptions`, what readers of a run need."""

    frame_poses: Literal["recovered", "requested"]
    weigh_by_confidence: bool
    generated_weight: float


class AskedSaid(TypedDict):
    options: OptionsSaid


class RunSaid(TypedDict):
    """``run.json``"""

    asked: AskedSaid
    stages: dict[str, str]
    """Fingerprints by name."""


class ReportSaid(TypedDict):
    """``report.json``"""

    kept_round: NotRequired[int | None]


class OriginalSaid(TypedDict):
    name: str
    """In the capture."""
    file: str
    """Relative to the capture."""


class LensPhotosSaid(TypedDict):
    photos: list[str]
    """Taken through one lens."""


class CaptureSaid(TypedDict):
    """``capture/capture.json``"""

    path: str
    """Where the photos were, as it was given."""
    kind: str
    """'images', 'video', or the format of cameras that came along."""
    training: list[str]
    heldout: list[str]
    protocol: NotRequired[str]
    levels: NotRequired[list[float] | None]
    """Black and white."""
    allow_outside: NotRequired[bool]
    originals: NotRequired[dict[str, OriginalSaid] | None]
    """By the names that the run gave the photos."""
    capture_from_scene: NotRequired[StoredSimilarity | None]
    lenses: NotRequired[list[LensPhotosSaid]]


class LensSaid(TypedDict):
    model: str
    params: list[float]
    """In COLMAP's order."""
    width: int
    height: int


class SfmSaid(TypedDict):
    """``sfm/sfm.json``"""

    georeference: NotRequired[dict[str, Any] | None]
    """Where the world is in metres by the photos' GPS."""
    lenses: NotRequired[list[LensSaid | None]]
    """For each lens of ``capture.json`` but those of held-out photos alone, which come last there."""
    lens: NotRequired[LensSaid | None]
    """Of runs made when photos shared one lens."""


class BackdropSaid(TypedDict):
    center: list[float]
    radius: float
    """Units of the scene."""


class FitSaid(TypedDict):
    """``splats/*/fit.json``"""

    backdrop: NotRequired[BackdropSaid | None]


class FrameSaid(TypedDict):
    """A row of ``recovery/round-*/frames.json``."""

    name: str
    accepted: bool
    reason: str
