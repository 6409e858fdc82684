"""Directions of x, y and z in a file."""

from enum import Enum

import torch
from jaxtyping import Float
from torch import Tensor


class Axes(Enum):
    """Directions of +x, +y and +z; the value is what the command line and `export.json` say."""

    RDF = "rdf"
    """Right, down, front: this project, COLMAP, OpenCV; what PLY, .splat, .ksplat and SOG hold in practice."""
    RUB = "rub"
    """Right, up, back: OpenGL, three.js, USD with upAxis Y; SPZ by its specification."""
    LUF = "luf"
    """Left, up, front: glTF, PlayCanvas."""
    Z_UP = "z-up"
    """Right, front, up: Blender, Omniverse, east-north-up maps."""


# Columns: where right, down and front (x, y, z in memory) go.
_FROM_RDF: dict[Axes, list[list[float]]] = {
    Axes.RDF: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    Axes.RUB: [[1, 0, 0], [0, -1, 0], [0, 0, -1]],
    Axes.LUF: [[-1, 0, 0], [0, -1, 0], [0, 0, 1]],
    Axes.Z_UP: [[1, 0, 0], [0, 0, 1], [0, -1, 0]],
}
"""Rotation from right, down, front into the axes of a file, row by row."""


def axes_from_rdf(axes: Axes) -> Float[Tensor, "3 3"]:
    """Rotation from the project's axes (RDF) into those of a file; its transpose leads back."""
    return torch.tensor(_FROM_RDF[axes], dtype=torch.float64)
