"""What a clip's matches say of the way in which its requested cameras were read."""

from dataclasses import dataclass, field
from typing import Literal

Fit = Literal["as stated", "otherwise", "cannot tell", "no reading fits"]
AS_STATED: Fit = "as stated"
OTHERWISE: Fit = "otherwise"
CANNOT_TELL: Fit = "cannot tell"
NONE_FITS: Fit = "no reading fits"


@dataclass(frozen=True)
class ReadingCheck:
    """Every reading of a request beside the clip's matches, in pixels of the frames that were matched."""

    fit: str = ""
    """A `Fit`; '' where nothing was compared."""
    because: str = ""
    """A clause; '' where the fit says all."""
    named: list[str] = field(default_factory=list)
    """Readings that fit clearly better than the request as it stands, and alike among themselves; the likelier first."""
    alike: list[str] = field(default_factory=list)
    """Of a clip that fits as stated, readings that fit as well: the path is too plain to tell them apart."""
    stated_px: float | None = None
    """Distance of the matches from where the cameras as stated allow them: mean over pairs of frames of the median."""
    best_px: float | None = None
    """The same under the reading that fits best."""
    own_px: float | None = None
    """The same under each pair's own epipolar geometry: what no cameras can be better than."""
    pairs: int = 0
    """Pairs of frames behind the figures."""
    px: dict[str, float] = field(default_factory=dict)
    """Distance under every other reading, by its name."""
    convention: str = ""
    """How the matrices were read: 'world_from_cam/opengl'."""
    format: str = ""
    """Of the camera file."""
