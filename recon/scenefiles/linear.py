"""Scenes as GLB and USD store them: with scales and opacities in place of logarithms and logits."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32
from torch import Tensor

from recon.gaussians import Gaussians, unit_quats

LARGEST_SCALE = torch.finfo(torch.float32).max
"""Scales beyond are capped: float32 has no larger number."""
SMALLEST_OPACITY = torch.finfo(torch.float32).tiny
"""Smallest opacity that is read: its logit is finite."""
LARGEST_OPACITY = 1 - 2.0**-24
"""The largest float32 below 1; 1 itself has no finite logit."""
OPACITY_SLACK = 1e-4
"""How far an opacity may lie outside [0, 1] before that is worth a word; rounding of other programs lies within."""


@dataclass(frozen=True)
class LinearGaussians:
    """g Gaussians in the numbers of a file."""

    means: Float32[Tensor, "g 3"]
    quats_wxyz: Float32[Tensor, "g 4"]
    """Quaternions, of unit length in files of this project."""
    scales: Float32[Tensor, "g 3"]
    """Standard deviations along the local axes, scene units."""
    opacities: Float32[Tensor, "g"]
    sh: Float32[Tensor, "g k 3"]


def to_linear(scene: Gaussians) -> tuple[LinearGaussians, dict[str, int]]:
    """Convert a cleaned scene, each number rounded once to float32; also counts the scales that are too large."""
    scales = scene.log_scales.double().exp()
    too_large = int((scales > LARGEST_SCALE).sum())
    opacities = scene.opacity_logits.double().sigmoid().clamp(SMALLEST_OPACITY, LARGEST_OPACITY)
    linear = LinearGaussians(
        means=scene.means.float(),
        quats_wxyz=unit_quats(scene.quats_wxyz).float(),
        scales=scales.clamp(max=LARGEST_SCALE).float(),
        opacities=opacities.float(),
        sh=scene.sh.float(),
    )
    return linear, {"scale": too_large} if too_large else {}


def from_linear(linear: LinearGaussians) -> tuple[Gaussians, list[str]]:
    """Convert the numbers of a file to a scene, with notes for a person.

    Opacities of exactly 0 and 1 and scales of 0 become infinite, negative scales become NaN; `clean` deals with both.
    """
    notes = []
    opacities = linear.opacities.double()
    outside = int(((opacities < -OPACITY_SLACK) | (opacities > 1 + OPACITY_SLACK)).sum())
    if outside:
        notes.append(f"{outside:,} of its opacities lie outside 0 to 1 and were moved to the nearer end")
    scene = Gaussians(
        means=linear.means,
        quats_wxyz=linear.quats_wxyz,
        log_scales=linear.scales.double().log().float(),
        opacity_logits=opacities.clamp(0, 1).logit().float(),
        sh=linear.sh,
    )
    return scene, notes
