"""The shell of a room: floor, walls and ceiling, with pictures and windows."""

import numpy as np
from numpy.random import Generator

from worldgen.scenes import shapes, textures
from worldgen.scenes.materials import GROUNDS, SIZE, WALLS, Material, random_material
from worldgen.scenes.materials.made_textures import glyphs
from worldgen.scenes.materials.natural_textures import coloured_noise, dead_leaves
from worldgen.scenes.places.film_set import FilmSet
from worldgen.scenes.places.rigs import Vector


def walls(rng: Generator, here: FilmSet, half: Vector, low: float, high: float) -> None:
    """Floor, four walls, a ceiling, skirting, and on the walls what hangs there."""
    x, y = half[0], half[1]
    wall = [here.paint(WALLS, extent=float(rng.uniform(1.5, 4))) for _ in range(int(rng.integers(1, 3)))]
    floor = here.paint(GROUNDS, extent=float(rng.uniform(2, 4)))
    here.add(shapes.quad((-x, -y, low), (2 * x, 0, 0), (0, 2 * y, 0)), floor)
    here.add(shapes.quad((-x, -y, high), (2 * x, 0, 0), (0, 2 * y, 0)), here.plain[0])
    skirting = here.any_thing()
    for k in range(4):
        turn = shapes.rotation_z(k * np.pi / 2)
        along, away = (x, y) if k % 2 == 0 else (y, x)
        face = shapes.quad(turn @ [-along, away, high], turn @ [2 * along, 0, 0], (0, 0, low - high))
        here.add(face, wall[k % len(wall)])
        foot = shapes.box((2 * along, 0.03, 0.09)).place(turn @ [0, away - 0.01, low], yaw=k * np.pi / 2)
        here.add(foot, skirting)
        _hang(rng, here, k * np.pi / 2, along, away, low, high)


def _hang(
    rng: Generator, here: FilmSet, yaw: float, along: float, away: float, low: float, high: float
) -> None:
    """Pictures and windows along the wall at distance `away`, from -along to along."""
    turn = shapes.rotation_z(yaw)
    position = -along + rng.uniform(0.2, 0.8)
    while position < along - 0.4:
        width, height = rng.uniform(0.3, 1.3), rng.uniform(0.3, 1.2)
        if position + width > along - 0.1:
            break
        hung = rng.random()
        if hung < 0.75:
            bottom = low + (high - low) * rng.uniform(0.35, 0.6)
            centre = turn @ [position + width / 2, away - 0.02, min(bottom, high - height - 0.1)]
            _hung(rng, here, centre, width, height, yaw, window=hung < 0.2)
        position += width + rng.uniform(0.15, 1.5)


def _hung(
    rng: Generator, here: FilmSet, at: np.ndarray, width: float, height: float, yaw: float, *, window: bool
) -> None:
    """A picture in its frame, or a window with bars; the wall is towards +y."""
    turn = shapes.rotation_z(yaw)
    depth = rng.uniform(0.02, 0.06)
    bar = rng.uniform(0.02, 0.07)
    frame = [shapes.box((width, depth, bar)).place((0, 0, z)) for z in (0, height - bar)]
    frame += [shapes.box((bar, depth, height)).place((s * (width - bar) / 2, 0, 0)) for s in (-1, 1)]
    if window:
        frame += [
            shapes.box((0.04, 0.06, height)),
            shapes.box((width, 0.06, 0.04)).place((0, 0, height * 0.55)),
        ]
        view = Material(dead_leaves(rng, SIZE, SIZE) * 0.4 + 0.6, glow=rng.uniform(0.5, 1.3))
    else:
        prints = (dead_leaves, glyphs, textures.poster, coloured_noise)
        view = random_material(rng, prints, photographs=here.photographs)
    pane = shapes.quad((-width / 2, -0.01, height), (width, 0, 0), (0, 0, -height))
    here.add(pane.place(at, yaw=yaw), here.stage.uses(view), fit=True)
    here.add(shapes.Mesh.join(frame).place(at + turn @ [0, -0.01, 0], yaw=yaw), int(rng.choice(here.plain)))
