"""The filter before every writer: numbers that no file may hold."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.gaussians import Gaussians
from recon.sequence import GaussianFrames

OPAQUE_LOGIT = 13.8
"""Stands for an opacity of exactly 1 (or, negative, 0): a millionth away, the logit that float32 still tells from 1."""
SMALLEST_LOG_SCALE = -20.0
"""Two nanometres where the unit is a metre; smaller Gaussians are points to every renderer, and −∞ breaks most."""


def clean(gaussians: Gaussians) -> tuple[Gaussians, dict[str, int]]:
    """Drop Gaussians with NaN or infinities, clamp values at the limits, and count both.

    Gaussians with NaN anywhere, or with infinite means, colours, quaternions or (positive) scales, are dropped.
    Infinite opacities become ±13.8, scales below e^−20 become that, quaternions of length 0 become identity.

    Returns:
        The scene on the CPU in float32, and counts: `dropped`, `opacity`, `scale`, `quaternion`.
    """
    scene = gaussians.detach().to("cpu", torch.float32)
    bad = ~numeric_rows(scene)
    if bad.any():
        scene = scene[~bad]
    infinite = scene.opacity_logits.isinf()
    small = (scene.log_scales < SMALLEST_LOG_SCALE).any(1)
    zero = (scene.quats_wxyz == 0).all(1)
    if infinite.any() or small.any() or zero.any():
        opacity = torch.where(infinite, scene.opacity_logits.sign() * OPAQUE_LOGIT, scene.opacity_logits)
        identity = torch.tensor([1.0, 0.0, 0.0, 0.0])
        scene = replace(
            scene,
            opacity_logits=opacity,
            log_scales=scene.log_scales.clamp_min(SMALLEST_LOG_SCALE),
            quats_wxyz=torch.where(zero[:, None], identity, scene.quats_wxyz),
        )
    counts = {"dropped": bad, "opacity": infinite, "scale": small, "quaternion": zero}
    return scene, {name: int(rows.sum()) for name, rows in counts.items()}


def clean_frames(moving: GaussianFrames) -> tuple[GaussianFrames, dict[str, int]]:
    """Filter every frame; returns the frames and the sums of `clean`'s counts. Reads every frame once."""
    sums: dict[str, int] = {}
    for frame in moving.frames:
        for name, count in clean(frame)[1].items():
            sums[name] = sums.get(name, 0) + count
    # a dropped Gaussian moves the rows behind it
    identity = moving.identity and sums["dropped"] == 0
    return replace(moving, identity=identity).map_frames(lambda one: clean(one)[0]), sums


def numeric_rows(scene: Gaussians) -> Bool[Tensor, "g"]:
    """Mask of the Gaussians without NaN or infinities, which `clean` keeps in order."""
    good = _finite_rows(scene.means) & _finite_rows(scene.quats_wxyz) & _finite_rows(scene.sh.flatten(1))
    bad = scene.log_scales.isnan().any(1) | scene.log_scales.isposinf().any(1) | scene.opacity_logits.isnan()
    return good & ~bad


def _finite_rows(values: Float[Tensor, "g n"]) -> Bool[Tensor, "g"]:
    """Mask of rows without NaN or infinities, by their sums: a tenth of the time of testing every number."""
    finite = values.sum(1).isfinite()
    if not finite.all():  # a sum can also overflow
        finite[~finite] = values[~finite].isfinite().all(1)
    return finite
