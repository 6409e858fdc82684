"""Triangle meshes of everyday shapes, each with texture coordinates and smooth normals.

Shapes stand on z = 0 or around the origin, as each says; x and y are level, z is up. Texture coordinates are
in world units along the surface, so that a material keeps its grain on shapes of every size.
"""

from worldgen.scenes.shapes.crafted import chair, fence, jar, rod, stairs, table
from worldgen.scenes.shapes.grown import blob, hills, leaves
from worldgen.scenes.shapes.mesh import Mesh, any_rotation, rotation_z
from worldgen.scenes.shapes.solids import box, cylinder, quad, revolve, sphere, torus

__all__ = [
    "Mesh", "any_rotation", "blob", "box", "chair", "cylinder", "fence", "hills", "jar", "leaves", "quad",
    "revolve", "rod", "rotation_z", "sphere", "stairs", "table", "torus",
]  # fmt: skip
