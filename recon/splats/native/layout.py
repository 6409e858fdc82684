"""A scene as the engine keeps it: [groups, rows, 16], all numbers of sixteen Gaussians side by side.

The rows are said in `src/splats.h`. Copies are made by numpy: torch's threads and the engine's would take turns here,
and wait for each other.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.gaussians import Gaussians

LANES = 16
"""Gaussians in a group: what one AVX-512 register holds in float32."""
ALIGNMENT = 64
"""Alignment of arrays in bytes: a cache line."""
COLOUR = 11
"""First row of colour, after those of `SHAPE`."""
SHAPE = {
    "means": slice(0, 3),
    "quats_wxyz": slice(3, 7),
    "log_scales": slice(7, 10),
    "opacity_logits": slice(10, 11),
}
"""Rows of position, rotation, scale and opacity."""


def row_count(bases: int) -> int:
    """Rows of a scene whose colour has so many coefficients."""
    return COLOUR + 3 * bases


def empty_groups(rows: int, count: int) -> Float[Tensor, "groups rows 16"]:
    """Zeros for `count` Gaussians, aligned as the engine wants them."""
    groups = -(-count // LANES)
    room = np.zeros(groups * rows * LANES + LANES, np.float32)
    start = -room.ctypes.data % ALIGNMENT // room.itemsize
    return torch.from_numpy(room[start : start + groups * rows * LANES].reshape(groups, rows, LANES))


def from_table(table: Float[Tensor, "g rows"]) -> Float[Tensor, "groups rows 16"]:
    """A copy of a matrix with a line per Gaussian; lanes past the last one are 0."""
    count, rows = table.shape
    whole, rest = divmod(count, LANES)
    groups = empty_groups(rows, count)
    lines, lanes = table.numpy(), groups.numpy()
    lanes[:whole] = lines[: count - rest].reshape(whole, LANES, rows).transpose(0, 2, 1)
    if rest:
        lanes[whole, :, :rest] = lines[count - rest :].T
    return groups


def to_table(groups: Float[Tensor, "groups rows 16"], count: int) -> Float[Tensor, "g rows"]:
    """A copy of the first `count` Gaussians, a line each."""
    lines = groups.numpy().transpose(0, 2, 1).copy()
    return torch.from_numpy(lines.reshape(-1, groups.shape[1])[:count])


def pack(gaussians: Gaussians, bases: int) -> Float[Tensor, "groups rows 16"]:
    """A copy in float32, with the first `bases` coefficients of colour."""
    count = len(gaussians)
    values = {name: value.numpy() for name, value in gaussians.detach().tensors().items()}
    table = np.empty((count, row_count(bases)), np.float32)
    for name, rows in SHAPE.items():
        table[:, rows] = values[name].reshape(count, rows.stop - rows.start)
    table[:, COLOUR:] = values["sh"][:, :bases].reshape(count, 3 * bases)
    return from_table(torch.from_numpy(table))


def unpack(groups: Float[Tensor, "groups rows 16"], count: int) -> Gaussians:
    """A copy of the first `count` Gaussians, with as many coefficients of colour as there are rows for."""
    table = to_table(groups, count).numpy()
    shape = {name: torch.from_numpy(table[:, rows].copy()) for name, rows in SHAPE.items()}
    shape["opacity_logits"] = shape["opacity_logits"][:, 0]
    bases = (groups.shape[1] - COLOUR) // 3
    return Gaussians(**shape, sh=torch.from_numpy(table[:, COLOUR:].reshape(count, bases, 3).copy()))
