"""A scene as the engine keeps it: [groups, rows, 16], all numbers of sixteen Gaussians side by side.

The rows are said in `src/splats.h`.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from recon.gaussians import Gaussians

LANES = 16
"""Gaussians in a group."""
ALIGNMENT = 64
"""Bytes."""
COLOUR = 11
"""First row of colour."""
SHAPE = {
    "means": slice(0, 3),
    "quats_wxyz": slice(3, 7),
    "log_scales": slice(7, 10),
    "opacity_logits": slice(10, 11),
}
"""The rows before it."""


def row_count(bases: int) -> int:
    """Rows of a scene whose colour has so many coefficients."""
    return COLOUR + 3 * bases


def empty_groups(rows: int, count: int) -> Float[Tensor, "groups rows 16"]:
    """Zeros for `count` Gaussians, aligned as the engine wants them."""
    groups = -(-count // LANES)
    room = torch.zeros(groups * rows * LANES + LANES)
    start = -room.data_ptr() % ALIGNMENT // room.element_size()
    return room[start : start + groups * rows * LANES].view(groups, rows, LANES)


def from_table(table: Float[Tensor, "g rows"]) -> Float[Tensor, "groups rows 16"]:
    """A copy of a matrix with a line per Gaussian; lanes past the last one are 0."""
    count, rows = table.shape
    groups, whole = empty_groups(rows, count), count // LANES * LANES
    groups[: whole // LANES] = table[:whole].view(-1, LANES, rows).mT
    if whole < count:
        groups[-1, :, : count - whole] = table[whole:].T
    return groups


def to_table(groups: Float[Tensor, "groups rows 16"], count: int) -> Float[Tensor, "g rows"]:
    """A copy of the first `count` Gaussians, a line each."""
    return groups.mT.reshape(-1, groups.shape[1])[:count]


def pack(gaussians: Gaussians, bases: int) -> Float[Tensor, "groups rows 16"]:
    """A copy in float32, with the first `bases` coefficients of colour."""
    count, values = len(gaussians), gaussians.detach().tensors()
    table = torch.zeros(count, row_count(bases))
    for name, rows in SHAPE.items():
        table[:, rows] = values[name].reshape(count, rows.stop - rows.start)
    table[:, COLOUR:] = values["sh"][:, :bases].reshape(count, 3 * bases)
    return from_table(table)


def unpack(groups: Float[Tensor, "groups rows 16"], count: int) -> Gaussians:
    """A copy of the first `count` Gaussians, with as many coefficients of colour as there are rows for."""
    table = to_table(groups, count)
    shape = {name: table[:, rows].contiguous() for name, rows in SHAPE.items()}
    shape["opacity_logits"] = shape["opacity_logits"][:, 0]
    return Gaussians(**shape, sh=table[:, COLOUR:].reshape(count, (groups.shape[1] - COLOUR) // 3, 3))
