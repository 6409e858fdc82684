"""A scene while it is put together: meshes with materials, a light, and what lies behind."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from worldgen.scenes.materials import Material
from worldgen.scenes.movements import Movement
from worldgen.scenes.shapes import Mesh


@dataclass(frozen=True)
class Part:
    mesh: Mesh
    material: int
    """Number of its material."""
    movement: Movement | None = None
    """None: it stands still."""
    fitted: bool = False
    """Whether its texture spans it once, rather than repeating."""


@dataclass(frozen=True)
class Light:
    place: Float[np.ndarray, "3"]
    """Of the sun (far away) or the lamp, world."""
    colour: Float[np.ndarray, "3"]
    """Linear light of the lamp, by channel."""
    ambient: Float[np.ndarray, "3"]
    """Linear light from everywhere, by channel."""
    shadows: bool
    """Whether the lamp casts shadows."""
    reach: float
    """Distance at which a lamp has its nominal strength; infinite for the sun."""


@dataclass
class Stage:
    """A scene while it is put together: meshes with materials, under a light, inside surroundings."""

    surroundings: Float[np.ndarray, "h w 3"]
    """sRGB panorama seen where nothing is hit, equirectangular, z up: row 0 is the zenith."""
    light: Light
    materials: list[Material] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    def uses(self, material: Material) -> int:
        """Registers a material; its number is what `add` takes."""
        self.materials.append(material)
        return len(self.materials) - 1

    def add(self, mesh: Mesh, material: int, movement: Movement | None = None, *, fit: bool = False) -> None:
        """`fit` shows the whole texture on the mesh once, as a poster or a screen wants it."""
        self.parts.append(Part(mesh.fit_uv() if fit else mesh, material, movement, fit))
