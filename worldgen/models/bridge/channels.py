"""Where things lie in the tensors that the network is given; saved samples and weights depend on the order."""

from enum import IntEnum


class Cue(IntEnum):
    """Channels of `Conditioning.cues`: what is known of one context view at a pixel of the target."""

    VISIBLE = 0
    """1 where the view sees the surface, else 0."""
    DIFFERENCE = 1
    """Of depth; the only cue with a sign."""
    TRUST = 2
    """Confidence of the view's own depth there."""
    ANGLE = 3
    """Nearness in angle: 1 along the target's ray, a half at 8°."""
    FINENESS = 4
    """1 where the view resolves the surface as finely as the target, less where it is coarser."""
    INSIDE = 5
    """Above 0 where the view has a pixel at all."""
    TIME = 6
    """Nearness in time: 1 at the requested time."""
    GENERATED = 7
    """1 for a generated view, 0 for a photo."""


class Channel(IntEnum):
    """Channels of `Conditioning.frame`, but for the rays, which lie between `SEEN` and `TIME`."""

    CONFIDENCE = 0
    """Confidence of the warp's colour."""
    KNOWN = 1
    """1 where a photo's depth gives the surface, 0 where it was completed."""
    INVERSE_DEPTH = 2
    """Completed inverse depth; see `Conditioning.inverse_depth`."""
    TRUST = 3
    """Depth confidence summed over photos, of which 3 count as full."""
    SEEN = 4
    """1 where any view sees the surface, else 0."""
    TIME = 11
    """Nearness in time of the nearest view."""
    SPREAD = 12
    """Disagreement of the views' colours, 0 to 1."""
    GENERATED = 13
    """1 where a generated view sees the surface."""


RAYS = slice(Channel.SEEN + 1, int(Channel.TIME))
"""Plücker rays in `Conditioning.frame`: direction (3), moment (3)."""
CUES = len(Cue)
FRAME_CHANNELS = Channel.GENERATED + 1


def only(channel: IntEnum) -> slice:
    """A channel that stays a dimension."""
    return slice(int(channel), channel + 1)
