"""A place while it is decorated."""

from collections.abc import Sequence

from numpy.random import Generator

from worldgen.scenes import shapes
from worldgen.scenes.materials import THINGS, Painter, random_material
from worldgen.scenes.materials.made_textures import flat
from worldgen.scenes.places.sky import light, panorama
from worldgen.scenes.rendering import Stage


class FilmSet:
    """A lit stage, a choice of materials that occur together, and the shorthands that decorators want."""

    def __init__(self, rng: Generator, photographs: bool, *, indoors: bool) -> None:
        self.rng = rng
        self.photographs = photographs
        self.stage = Stage(panorama(rng, indoors), light(rng, indoors))
        self.things = [self.paint(THINGS) for _ in range(int(rng.integers(5, 10)))]
        self.plain = [self.paint((flat,)) for _ in range(3)]

    def paint(self, painters: Sequence[Painter], *, extent: float | None = None) -> int:
        """Registers a new random material out of these painters."""
        return self.stage.uses(
            random_material(self.rng, painters, photographs=self.photographs, extent=extent)
        )

    def any_thing(self) -> int:
        """One of the materials that things here are made of."""
        return int(self.rng.choice(self.things if self.rng.random() < 0.75 else self.plain))

    def add(self, mesh: shapes.Mesh, material: int | None = None, *, fit: bool = False) -> None:
        """Without a material the mesh gets one of those that things here are made of; `fit` as in `Stage.add`."""
        self.stage.add(mesh, self.any_thing() if material is None else material, fit=fit)
