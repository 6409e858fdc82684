"""What procedural surfaces are made of: textures with the statistics of photographs, and how they shine."""

from worldgen.scenes.materials.material import SIZE, Material, random_material
from worldgen.scenes.materials.painters import GROUNDS, THINGS, WALLS, Painter

__all__ = ["GROUNDS", "SIZE", "THINGS", "WALLS", "Material", "Painter", "random_material"]
