"""Options of turning a scene into a mesh."""

from dataclasses import dataclass
from typing import Literal

from recon.errors import BridgeError


@dataclass(frozen=True)
class SurfaceOptions:
    """How a scene becomes a mesh; every field is a flag of `bridge4d mesh`."""

    depth: Literal["auto", "photos", "scene"] = "auto"
    """Where depth comes from. auto: photos where two of them agree, the scene elsewhere; of a file without photos, the
    scene. photos, scene: one of them alone; the scene's takes less time and is less exact."""
    voxel: float | None = None
    """Edge length of the grid in units of the scene; by default two pixels of a typical picture at a typical depth."""
    depth_max: float | None = None
    """Leave out what is farther from a camera, in units of the scene. The shell of Gaussians far behind the scene is left
    out in any case."""
    ring: int = 0
    """Look from so many further places between and beside the photos: more complete, and less exact."""
    around: Literal["outside", "inside"] = "outside"
    """Where cameras are placed for a file without any: on a sphere around it, looking in, or inside it (a room), looking out."""
    max_side: int = 640
    """Long side in pixels of the pictures whose depth is fused."""
    min_island: float = 0.001
    """Leave out loose pieces with less area than this share of the largest; 0 keeps all, 1 the largest alone."""
    faces: int | None = None
    """Simplify to at most so many triangles."""
    texture: int | None = None
    """Width in pixels of the texture of GLB and OBJ files; 0 for none, which leaves colours at the vertices. By default
    2048 where xatlas is installed (the extra `texture`). A mesh with a texture has at most 60,000 triangles."""

    def __post_init__(self) -> None:
        for name, value in (("voxel", self.voxel), ("depth-max", self.depth_max)):
            if value is not None and not value > 0:
                raise BridgeError(f"expected --{name} above 0, got {value}")
        if self.ring < 0:
            raise BridgeError(f"expected --ring of at least 0, got {self.ring}")
        if not 64 <= self.max_side <= 4096:
            raise BridgeError(f"expected --max-side from 64 to 4096, got {self.max_side}")
        if not 0 <= self.min_island <= 1:
            raise BridgeError(f"expected --min-island from 0 to 1, got {self.min_island}")
        if self.faces is not None and self.faces < 4:
            raise BridgeError(f"expected --faces of at least 4, got {self.faces}")
        if self.texture and not 64 <= self.texture <= 8192:
            raise BridgeError(f"expected --texture of 0, or from 64 to 8192 pixels, got {self.texture}")
