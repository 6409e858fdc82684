"""How things move: what time does to the vertices of a mesh."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

Vector = Float[np.ndarray, "3"]
Vertices = Float[np.ndarray, "v 3"]


@runtime_checkable
class Movement(Protocol):
    """Where the vertices of a mesh are at a time."""

    def move(self, vertices: Vertices, normals: Vertices, time_s: float) -> tuple[Vertices, Vertices]:
        """Vertices and normals at `time_s`, of those that the mesh was made with."""
        ...


@dataclass(frozen=True)
class Drift:
    """At a constant velocity."""

    velocity: Vector
    """World units a second."""

    def move(self, vertices: Vertices, normals: Vertices, time_s: float) -> tuple[Vertices, Vertices]:
        """Shifted vertices; normals stay."""
        return vertices + (self.velocity * time_s).astype(vertices.dtype), normals


@dataclass(frozen=True)
class Patrol:
    """To and fro along a line, turning about an upright axis."""

    pivot: Vector
    """A point of that axis, where the mesh was made."""
    reach: Vector
    """From the middle of the way to its end, world units."""
    period_s: float
    phase: float
    """Of the way to and fro at time 0, radians; at 0 it is in the middle."""
    spin: float = 0.0
    """Radians a second."""

    def move(self, vertices: Vertices, normals: Vertices, time_s: float) -> tuple[Vertices, Vertices]:
        """Rigidly moved vertices and normals."""
        R = turn_about(np.array([0.0, 0.0, 1.0]), self.spin * time_s)
        shift = self.reach * np.sin(2 * np.pi * time_s / self.period_s + self.phase)
        return (vertices - self.pivot) @ R.T + self.pivot + shift, normals @ R.T


@dataclass(frozen=True)
class Swing:
    """About a joint, which is carried along: a limb."""

    joint: Vector
    """Where the mesh was made."""
    axis: Vector
    """Unit length."""
    amplitude: float
    """Radians to either side."""
    period_s: float
    phase: float
    """Radians at time 0."""
    carrier: Movement
    """Of the body that the joint belongs to."""

    def move(self, vertices: Vertices, normals: Vertices, time_s: float) -> tuple[Vertices, Vertices]:
        """Vertices and normals after the swing and what carries it."""
        angle = self.amplitude * np.sin(2 * np.pi * time_s / self.period_s + self.phase)
        R = turn_about(self.axis, angle)
        return self.carrier.move((vertices - self.joint) @ R.T + self.joint, normals @ R.T, time_s)


@dataclass(frozen=True)
class Ripple:
    """A wave that runs through a body and bends it, the more the higher above its foot."""

    foot: Vector
    height: float
    """Of the body above its foot, world units; the wave has its full strength there."""
    push: Vector
    """World units, of the crest."""
    wavelength: float
    period_s: float
    phase: float
    """Radians at time 0."""

    def move(self, vertices: Vertices, normals: Vertices, time_s: float) -> tuple[Vertices, Vertices]:
        """Bent vertices; normals stay, so that the light on a bent surface is a little off."""
        above = (vertices[:, 2] - self.foot[2]) / self.height
        wave = np.sin(
            2 * np.pi * (time_s / self.period_s - above * self.height / self.wavelength) + self.phase
        )
        return vertices + (np.clip(above, 0, None) * wave)[:, None] * self.push, normals


def turn_about(axis: Vector, angle: float) -> Float[np.ndarray, "3 3"]:
    """Rotation by `angle` radians about a unit vector (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
