"""Ways in which somebody would walk with a camera: around, past, or wherever they stand."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

Vector = Float[np.ndarray, "3"]


@dataclass(frozen=True)
class Rig:
    """A camera path without end: photo i is taken around s = i, and what lies between is where one could walk."""

    eye: Callable[[float], Vector]
    look: Callable[[float], Vector]
    """The point looked at."""


def orbit(rng: Generator, centre: Vector, radius: float, rise: float, start: float | None = None) -> Rig:
    """Around a point, with a sway in height and distance; `rise` is the camera's height above the point."""
    step = np.radians(_step_deg(rng)) * rng.choice([-1, 1])
    first = rng.uniform(0, 2 * np.pi) if start is None else start
    sway, phase = rng.uniform(0, 0.15, 2), rng.uniform(0, 6, 2)

    def eye(s: float) -> Vector:
        """Where the camera stands at share `s` of the way."""
        angle, r = first + s * step, radius * (1 + sway[0] * np.sin(0.9 * s + phase[0]))
        z = rise + sway[1] * radius * np.sin(1.3 * s + phase[1])
        return centre + np.array([r * np.cos(angle), r * np.sin(angle), z])

    return Rig(eye, lambda s: centre)


def walk(rng: Generator, start: Vector, along: Vector, focus: Vector, *, turning: float) -> Rig:
    """Straight past something: the view stays square to the path (turning 0) or follows the focus (1)."""
    distance = np.linalg.norm(focus - start)
    step = distance * np.tan(np.radians(_step_deg(rng))) * along / np.linalg.norm(along)
    start = start - 2.5 * step
    return Rig(
        lambda s: start + s * step,
        lambda s: turning * focus + (1 - turning) * (focus + (s - 2.5) * step),
    )


def drift(rng: Generator, base: Vector, focus: Vector, spread: float) -> Rig:
    """A smooth random curve in a ball: photos from wherever somebody stood."""
    turn, phase = rng.uniform(0.5, 1.2, 3), rng.uniform(0, 6.28, 3)
    size = spread * rng.uniform(0.5, 1.0, 3) * np.array([1, 1, 0.4])
    return Rig(
        lambda s: base + size * np.sin(turn * s + phase), lambda s: focus + 0.1 * size * np.cos(turn * s)
    )


def _step_deg(rng: Generator) -> float:
    """Angle between neighbouring photos: sparse captures have wide ones."""
    return float(np.exp(rng.uniform(np.log(3.5), np.log(24))))
