"""What a place is once it is decorated."""

from dataclasses import dataclass

from worldgen.scenes.places.rigs import Rig
from worldgen.scenes.rendering import Stage


@dataclass(frozen=True)
class Place:
    """A finished stage and the way in which somebody would photograph it."""

    stage: Stage
    rig: Rig
    wander: float
    """How far photographers stray from the path, world units."""
