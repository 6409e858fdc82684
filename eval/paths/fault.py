"""What can be wrong with a path that was recovered."""

from dataclasses import dataclass
from enum import Enum


class PathFault(Enum):
    """The value is what a report shows as a cause."""

    OPPOSITE = "opposite direction"
    MIRRORED = "mirrored"
    INVERSE = "inverse poses"
    UNASKED_MOVE = "moves where none was asked"
    UNASKED_CHANGE = "moves or zooms where neither was asked"
    OTHERWISE = "moves otherwise than asked"
    NO_MOVE = "does not move where it was asked to"
    JUMP = "jump"
    SCALE_DRIFT = "scale drift"
    MISPLACED = "frames out of place"


AGAINST = frozenset({PathFault.OPPOSITE, PathFault.MIRRORED, PathFault.INVERSE})
"""Faults of a path that runs against its request."""
UNASKED = frozenset({PathFault.UNASKED_MOVE, PathFault.UNASKED_CHANGE})
"""Faults of a clip whose camera was asked to stand, or only to turn."""
WITHOUT_PATH = frozenset({PathFault.NO_MOVE, PathFault.OTHERWISE})
"""Faults of clips without parallax: whatever places the mapper gives their cameras, these are noise."""
DISOBEDIENT = AGAINST | UNASKED | WITHOUT_PATH
"""Faults of a clip that does something else than was asked; no alignment should hide them, as Procrustes analysis of the centres does."""
BROKEN = frozenset({PathFault.JUMP, PathFault.SCALE_DRIFT, PathFault.MISPLACED})
"""Faults of a path that is no one path."""


@dataclass(frozen=True)
class PathCheck:
    """What is wrong with a path that was recovered."""

    faults: tuple[PathFault, ...] = ()
    untold: str = ""
    """Why the pictures cannot tell whether the path is right: a zoom and a move look alike; '' where they can."""
    evidence: tuple[str, ...] = ()
    """Figures behind the faults, a clause each."""
    marked: tuple[int, ...] = ()
    """Registered frames, counted from 0 among these, at which the path breaks."""
