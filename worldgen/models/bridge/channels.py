"""Where things lie in the tensors that the network is given; saved samples and weights depend on the order."""

from enum import IntEnum


class Cue(IntEnum):
    """Channels of `Conditioning.cues`: what is known of one context view at a pixel of the target."""

    VISIBLE = 0
    DIFFERENCE = 1
    """Of depth; the only cue with a sign."""
    TRUST = 2
    ANGLE = 3
    FINENESS = 4
    INSIDE = 5
    """Above 0 where the view has a pixel at all."""
    TIME = 6
    GENERATED = 7


class Channel(IntEnum):
    """Channels of `Conditioning.frame`, but for the rays, which lie between `SEEN` and `TIME`."""

    CONFIDENCE = 0
    KNOWN = 1
    INVERSE_DEPTH = 2
    TRUST = 3
    SEEN = 4
    TIME = 11
    SPREAD = 12
    GENERATED = 13


RAYS = slice(Channel.SEEN + 1, int(Channel.TIME))
"""Plücker rays in `Conditioning.frame`: direction (3), moment (3)."""
CUES = len(Cue)
FRAME_CHANNELS = Channel.GENERATED + 1


def only(channel: IntEnum) -> slice:
    """A channel that stays a dimension."""
    return slice(int(channel), channel + 1)
