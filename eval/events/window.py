"""What a point process is about: events in a window of time and picture."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from recon.errors import BridgeError


class EventsError(BridgeError):
    """Events outside of their window, out of order, or of another window; masks without times."""


@dataclass(frozen=True)
class Window:
    """Seconds from 0 to `duration_s`, of a picture of so many pixels."""

    duration_s: float
    width: int
    height: int

    def __post_init__(self) -> None:
        if not 0 < self.duration_s < float("inf") or min(self.width, self.height) < 1:
            raise EventsError(
                "expected a window of a positive, finite duration and at least one pixel, got "
                f"{self.duration_s:g} s of {self.width}x{self.height}; a video needs two frames at least"
            )

    @property
    def area_px(self) -> float:
        """Square pixels."""
        return float(self.width * self.height)


@dataclass(frozen=True)
class Events:
    """n points in time and picture, in the order of time; events may share a time.

    Raises:
        EventsError: times that fall, or anything outside of the window.
    """

    times_s: Float[Tensor, "n"]
    """Seconds from the start of the window."""
    xy: Float[Tensor, "n 2"]
    """Pixels; the centre of the top-left one is (0.5, 0.5)."""
    window: Window

    def __post_init__(self) -> None:
        if self.xy.shape != (len(self.times_s), 2):
            raise EventsError(
                f"expected one place (x, y) for each of {len(self.times_s)} times, got {tuple(self.xy.shape)}"
            )
        if bool((self.times_s.diff() < 0).any()):
            raise EventsError("expected the times of events to rise, and they do not; sort them first")
        window = self.window
        # written so that NaN is outside
        within = (self.times_s >= 0) & (self.times_s <= window.duration_s) & (self.xy >= 0).all(1)
        within &= (self.xy[:, 0] <= window.width) & (self.xy[:, 1] <= window.height)
        if not bool(within.all()):
            worst = int((~within).nonzero()[0])
            x, y = self.xy[worst].tolist()
            raise EventsError(
                f"expected events within {window.duration_s:g} s of {window.width}x{window.height} px, got one at "
                f"{self.times_s[worst].item():g} s, ({x:g}, {y:g}); leave out what is outside, or widen the window"
            )

    def __len__(self) -> int:
        return len(self.times_s)

    def before(self, time_s: float) -> "Events":
        """Those strictly before a time, in the same window."""
        kept = self.times_s < time_s
        return Events(self.times_s[kept], self.xy[kept], self.window)
