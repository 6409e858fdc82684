"""Why photos stay out of a reconstruction, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from recon.sfm.features.keypoints import MIN_FEATURES


class Reason(Enum):
    """Why a photo has no camera; the value is shown in reports."""

    TOO_FEW_FEATURES = "too few features"
    NO_MATCH = "no match"
    INCONSISTENT = "matched but inconsistent"

    @property
    def advice(self) -> str:
        """One sentence on what to do."""
        return _ADVICE[self]


_ADVICE = {
    Reason.TOO_FEW_FEATURES: "It is blurred, dark or plain: take it again, sharp, with something textured in view.",
    Reason.NO_MATCH: "No other photo shows the same things from a similar side: take one or two photos on the way to its neighbours.",
    Reason.INCONSISTENT: "Its matches give no camera that its pixels confirm, as where they are few, or things move or look alike "
    "from two sides: take photos on the way to its neighbours, or remove it.",
}


@dataclass(frozen=True)
class LeftOut:
    """A photo without a camera."""

    name: str
    reason: Reason


def explain_left_out(
    names: Sequence[str], registered: Sequence[bool], features: Sequence[int], linked: Sequence[bool]
) -> tuple[LeftOut, ...]:
    """Explain the photos that are not registered.

    Args:
        features: of each photo the most of any kind.
        linked: whether verified matches of any kind link a photo with another.
    """
    return tuple(
        LeftOut(name, _find_reason(count, link))
        for name, found, count, link in zip(names, registered, features, linked, strict=True)
        if not found
    )


def _find_reason(features: int, linked: bool) -> Reason:
    if features < MIN_FEATURES:
        return Reason.TOO_FEW_FEATURES
    return Reason.INCONSISTENT if linked else Reason.NO_MATCH
