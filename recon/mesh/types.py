"""A surface of coloured triangles."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.sim3 import Sim3


@dataclass(frozen=True)
class Mesh:
    """v vertices and f triangles, counterclockwise as seen from the side that cameras saw."""

    vertices: Float[Tensor, "v 3"]
    """Positions in scene units."""
    faces: Int[Tensor, "f 3"]
    """Rows of three vertices each, counter-clockwise from outside."""
    colors: Float[Tensor, "v 3"]
    """sRGB in [0, 1]."""
    uv: Float[Tensor, "v 2"] | None = None
    """Place of each vertex in the texture, in [0, 1] from its lower left corner."""
    texture: Float[Tensor, "h w 3"] | None = None
    """sRGB in [0, 1], the first row on top."""

    def __len__(self) -> int:
        """Number of triangles."""
        return self.faces.shape[0]

    @staticmethod
    def empty() -> "Mesh":
        """A mesh without vertices."""
        return Mesh(torch.zeros(0, 3), torch.zeros(0, 3, dtype=torch.long), torch.zeros(0, 3))

    def areas(self) -> Float[Tensor, "f"]:
        """Areas of the triangles, in squared units of the scene."""
        a, b, c = self.vertices.double()[self.faces].unbind(1)
        return torch.linalg.cross(b - a, c - a).norm(dim=-1) / 2

    def transform(self, b_from_a: Sim3) -> "Mesh":
        """The same surface in another frame."""
        moved = b_from_a.points(self.vertices.double())
        return replace(self, vertices=moved.to(self.vertices.dtype))

    def keep_faces(self, keep: Bool[Tensor, "f"]) -> "Mesh":
        """Keeps some of the triangles, and the vertices that they use."""
        faces = self.faces[keep]
        used = torch.zeros(len(self.vertices), dtype=torch.bool)
        used[faces.flatten()] = True
        number = torch.cumsum(used, 0) - 1
        return replace(
            self,
            vertices=self.vertices[used],
            faces=number[faces],
            colors=self.colors[used],
            uv=None if self.uv is None else self.uv[used],
        )
