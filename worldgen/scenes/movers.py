"""What moves in a place: people, things and soft bodies."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float
from numpy.random import Generator

from worldgen.scenes import shapes
from worldgen.scenes.movements import Drift, Movement, Patrol, Ripple, Swing
from worldgen.scenes.places import Place
from worldgen.scenes.places.things import thing
from worldgen.scenes.rendering import Stage

Vector = Float[np.ndarray, "3"]

STEP_S = 0.9
"""Seconds of two steps of a person: a brisk walk."""


def add_mover(rng: Generator, place: Place) -> None:
    """Something that crosses the view between the first camera and what it looks at."""
    eye, look = place.rig.eye(0.0), place.rig.look(0.0)
    distance = float(np.linalg.norm(look - eye))
    mesh = thing(rng, distance * rng.uniform(0.1, 0.3))
    at = eye + rng.uniform(0.6, 0.95) * (look - eye)
    at[2] = max(look[2] - distance * rng.uniform(0.0, 0.2), 0.0)
    material = int(rng.integers(len(place.stage.materials)))
    across = np.cross(look - eye, [0, 0, 1.0]) + 0.3 * (look - eye) * rng.standard_normal()
    speed = distance * rng.uniform(0.05, 0.3) * rng.choice([-1, 1])
    place.stage.add(mesh.place(at), material, Drift(across / np.linalg.norm(across) * speed))


def add_person(rng: Generator, stage: Stage, at: Vector, height: float, reach: Vector) -> None:
    """Somebody who walks to and fro: a body and a head, arms and legs that swing in turn.

    Args:
        at: the ground in the middle of the way.
        reach: from there to its end.
    """
    walk = _patrol(rng, at, reach, spin=0.0)
    ahead = reach / np.linalg.norm(reach)
    side = np.cross(ahead, [0, 0, 1.0])
    body = shapes.blob(rng, 0.22 * height, rough=0.2).place((0, 0, 0.62 * height))
    head = shapes.blob(rng, 0.09 * height, rough=0.2).place((0, 0, 0.91 * height))
    for mesh in (body, head):
        stage.add(mesh.place(at), _cloth(rng, stage), walk)
    legs, arms = _cloth(rng, stage), _cloth(rng, stage)
    phase = rng.uniform(0, 2 * np.pi)
    for left in (-1, 1):
        for top, bottom, apart, thick, amplitude, material, turn in (
            (0.50, 0.0, 0.08, 0.055, 0.5, legs, 0.0),
            (0.78, 0.42, 0.20, 0.038, 0.6, arms, np.pi),
        ):
            joint = at + left * apart * height * side + np.array([0, 0, top * height])
            hand = joint - np.array([0, 0, (top - bottom) * height])
            swing = Swing(joint, side, amplitude, STEP_S, phase + turn + (np.pi if left > 0 else 0), walk)
            stage.add(shapes.rod(hand, joint, thick * height), material, swing)


def add_thing(rng: Generator, stage: Stage, at: Vector, height: float, reach: Vector) -> None:
    """A rigid thing that goes to and fro and turns; arguments as those of `add_person`."""
    patrol = _patrol(rng, at, reach, spin=float(rng.uniform(-1.5, 1.5)))
    stage.add(thing(rng, height).place(at), _cloth(rng, stage), patrol)


def add_soft_body(rng: Generator, stage: Stage, at: Vector, height: float, reach: Vector) -> None:
    """A body that stays on its foot and bends to and fro; `reach` is how far its top goes."""
    mesh = shapes.blob(rng, height / 2, rough=0.25)
    mesh = mesh.place((0, 0, -float(mesh.vertices[:, 2].min()))).place(at)
    period, phase = rng.uniform(0.8, 1.8), rng.uniform(0, 2 * np.pi)
    # at most six tenths of its height, or it would be torn
    push = reach * min(1.0, 0.6 * height / float(np.linalg.norm(reach)))
    stage.add(mesh, _cloth(rng, stage), Ripple(at, height, push, 3 * height, period, phase))


MOVERS: dict[str, Callable[[Generator, Stage, Vector, float, Vector], None]] = {
    "person": add_person,
    "thing": add_thing,
    "soft": add_soft_body,
}
"""Articulated, rigid and deforming ones by their names."""


def _patrol(rng: Generator, at: Vector, reach: Vector, *, spin: float) -> Movement:
    return Patrol(at, reach, rng.uniform(2.5, 5.0), rng.uniform(0, 2 * np.pi), spin)


def _cloth(rng: Generator, stage: Stage) -> int:
    """One of the materials of the place."""
    return int(rng.integers(len(stage.materials)))
