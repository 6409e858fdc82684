"""What moves in a place, and when its photos are taken."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes.places import Place
from worldgen.scenes.places.things import thing


def add_mover(rng: Generator, place: Place) -> None:
    """Something that crosses the view between the first camera and what it looks at."""
    eye, look = place.rig.eye(0.0), place.rig.look(0.0)
    distance = float(np.linalg.norm(look - eye))
    mesh = thing(rng, distance * rng.uniform(0.1, 0.3))
    at = eye + rng.uniform(0.6, 0.95) * (look - eye)
    at[2] = max(look[2] - distance * rng.uniform(0.0, 0.2), 0.0)
    place.stage.add(mesh.place(at), int(rng.integers(len(place.stage.materials))), moves=True)
    across = np.cross(look - eye, [0, 0, 1.0]) + 0.3 * (look - eye) * rng.standard_normal()
    place.stage.velocity = (
        across / np.linalg.norm(across) * distance * rng.uniform(0.05, 0.3) * rng.choice([-1, 1])
    )


def view_times_s(rng: Generator, contexts: int, targets: int, moves: bool) -> np.ndarray:
    """Seconds of all views around 0; all 0 for half of the places where nothing moves."""
    if not moves and rng.random() < 0.5:
        return np.zeros(contexts + targets)
    span = rng.uniform(0.5, 1.5)
    start = rng.uniform(-span, 0.6 * span)
    shown = np.linspace(start, start + rng.uniform(0.1, 0.4) * span, targets)
    return np.concatenate([np.sort(rng.uniform(-span, span, contexts)), shown])
