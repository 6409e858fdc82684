"""Errors of a scene that was written and read back."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.gaussians import SH_C0, Gaussians, unit_quats
from recon.splats.sh import sh_basis
from recon.splats.similarity import even_directions

DIRECTIONS = 64
"""Viewing directions in which colours are compared."""
CHUNK = 65_536
"""Gaussians whose colours are evaluated at a time: 64 directions of them take 50 MB."""


def attribute_errors(
    written: Gaussians, found: Gaussians, *, order: Int[Tensor, "g"] | None = None
) -> dict[str, float]:
    """Largest error of each attribute, and the median where outliers would hide the rest.

    Args:
        written: the scene that was to be written.
        found: what was read, in the same axes.
        order: row i of `found` is row order[i] of `written`; None: the same rows.

    Returns:
        `position_units`, `angle_deg` (rotation between the axes), `log_scale`, `opacity`, `color` (without view
        dependence, in [0, 1]), `view_color` (its largest change over 64 directions), `view_color_rms`; each of the first
        four with a `_median` twin.
    """
    if len(written) != len(found):
        raise ValueError(f"expected the {len(written)} Gaussians that were written, got {len(found)}")
    if len(written) == 0:
        return {}
    expected = written if order is None else written[order]
    errors: dict[str, float] = {}

    def add(name: str, values: Tensor) -> None:
        """Enter the largest error of an attribute."""
        values = values.flatten().double()
        errors[name] = float(values.max())
        errors[f"{name}_median"] = float(values.median())

    add("position_units", (expected.means.double() - found.means.double()).norm(dim=-1))
    add("angle_deg", _angles_deg(expected.quats_wxyz, found.quats_wxyz))
    add("log_scale", (expected.log_scales.double() - found.log_scales.double()).abs())
    add(
        "opacity",
        (expected.opacity_logits.double().sigmoid() - found.opacity_logits.double().sigmoid()).abs(),
    )
    errors["color"] = float((expected.sh[:, 0].double() - found.sh[:, 0].double()).abs().max()) * SH_C0
    errors["view_color"], errors["view_color_rms"] = _view_color(expected.sh, found.sh)
    return errors


def match_nearest(written: Gaussians, found: Gaussians) -> Int[Tensor, "g"]:
    """Row of the nearest Gaussian in `written` for each of `found`; rows may repeat where positions do."""
    from scipy.spatial import cKDTree

    tree = cKDTree(written.means.double().numpy())
    return torch.from_numpy(tree.query(found.means.double().numpy(), workers=-1)[1])


def _angles_deg(a: Float[Tensor, "g 4"], b: Float[Tensor, "g 4"]) -> Float[Tensor, "g"]:
    a, b = unit_quats(a), unit_quats(b)
    b = b * torch.where((a * b).sum(-1, keepdim=True) < 0, -1.0, 1.0)
    # by the chord: the arc cosine of nearly 1 has no digits left
    return 4 * torch.rad2deg(torch.asin(((a - b).norm(dim=-1) / 2).clamp(max=1)))


def _view_color(written: Float[Tensor, "g a 3"], found: Float[Tensor, "g b 3"]) -> tuple[float, float]:
    """Largest and root mean square difference of the view-dependent part of the colour."""
    k = max(written.shape[1], found.shape[1])
    if k == 1:
        return 0.0, 0.0
    basis = sh_basis(even_directions(DIRECTIONS), round(k**0.5) - 1)[:, 1:].float()
    largest, squares = 0.0, 0.0
    for start in range(0, len(written), CHUNK):
        part = slice(start, start + CHUNK)
        difference = torch.zeros(len(written[part]), k, 3)
        difference[:, : written.shape[1]] += written[part].float()
        difference[:, : found.shape[1]] -= found[part].float()
        seen = torch.einsum("dk,gkc->gdc", basis, difference[:, 1:])
        largest = max(largest, float(seen.abs().max()))
        squares += float(seen.double().square().sum())
    return largest, math.sqrt(squares / (len(written) * DIRECTIONS * 3))
