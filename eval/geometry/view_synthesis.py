"""The view-synthesis test of Cosmos: does a scene fitted to some frames of a clip show the others?

A clip of one rigid static scene, with the right cameras, is explained by Gaussians; what bends, flickers or moves,
and what the recovered cameras get wrong, is not, and is missing or smeared in the frames held out.
"""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from eval.geometry.measured import Measured
from eval.pictures.images import psnr, ssim
from eval.pictures.perceptual import PerceptualDistance, Unavailable, load, perceptual_distance
from eval.results.measure import MetricInfo
from recon.clip import Clip
from recon.errors import ReconstructionError
from recon.points import PointCloud

HELD_OUT_EVERY = 8
FIRST = 4
"""The middle of every eight: the first and the last frame would ask for what no other frame shows."""
MIN_HELD_OUT = 2
MIN_TRAINING = 8
MIN_SIDE = 11
"""Least side in pixels of the pictures: SSIM's window."""
ITERATIONS = 500
MAX_SIDE_PX = 192
START_POINTS = 5_000
"""Random points make up what structure from motion leaves short of it, so that a clip's score depends little on how
many corners its scene has."""


def view_synthesis(
    clip: Clip | None,
    points: PointCloud,
    *,
    generator: torch.Generator,
    iterations: int = ITERATIONS,
    max_side: int = MAX_SIDE_PX,
    network: PerceptualDistance | Unavailable | None = None,
    undefined_because: str = "",
) -> dict[str, Measured]:
    """Every metric of `VIEW_SYNTHESIS` for one clip: its registered frames with their recovered cameras, and the
    points of the same structure from motion. `count` is the number of held-out frames.

    Takes about four CPU-seconds at the defaults, whatever the length of the clip, and always runs on the CPU:
    the same seed gives the same figures with any number of threads. Figures compare with those of equal
    `iterations` and `max_side` only. A clip's own confidence has no say.

    Undefined without cameras, for fewer than two held-out or eight training frames, for pictures of less than 11
    pixels at `max_side`, where training diverges, and where the compiled engine for splats is missing. Everything
    is undefined where `undefined_because` says so: say it for a clip that does not move, which any scene explains.

    Args:
        max_side: The long side, px, that frames are shrunk to, if they are larger.
        network: LPIPS from `eval.pictures.perceptual.load`, to read its weights once for many clips; None loads it.

    Raises:
        CameraError: a camera is none.
    """
    because = undefined_because or _why_not(clip, max_side)
    if because or clip is None:
        return {name: Measured.no_value(because) for name in VIEW_SYNTHESIS}
    small = replace(clip.limit_size(max_side), confidence=None)
    held_out = _choose_held_out(len(clip))
    try:
        drawn = _draw(small, held_out, points, iterations, generator)
    except ReconstructionError:
        return {name: Measured.no_value("training diverged") for name in VIEW_SYNTHESIS}
    truth = small.images[held_out]
    return {
        "splat_psnr": _mean(psnr(drawn, truth)),
        "splat_ssim": _mean(ssim(drawn, truth)),
        "splat_lpips": _lpips(drawn, truth, network),
    }


def _choose_held_out(n: int) -> list[int]:
    return list(range(FIRST, n, HELD_OUT_EVERY))


def _why_not(clip: Clip | None, max_side: int) -> str:
    """A few words for a table on why nothing can be measured; empty where it can."""
    from recon.splats.native.loading import unavailable

    if clip is None or clip.cameras is None or len(clip) == 0:
        return "no recovered poses"
    held_out = len(_choose_held_out(len(clip)))
    if held_out < MIN_HELD_OUT or len(clip) - held_out < MIN_TRAINING:
        return "too few frames"
    if min(clip.width, clip.height) * min(1.0, max_side / max(clip.width, clip.height)) < MIN_SIDE:
        return "pictures too small"
    return "splatting engine not compiled" if unavailable() else ""


def _draw(
    clip: Clip, held_out: list[int], points: PointCloud, iterations: int, generator: torch.Generator
) -> Float[Tensor, "m h w 3"]:
    """The held-out frames as a scene shows them that was fitted to the others."""
    from recon.splats.fit import FitOptions, fit_gaussians
    from recon.splats.render import render

    training = clip[[i for i in range(len(clip)) if i not in held_out]]
    # colours that change with the view would explain flicker away
    options = FitOptions(iterations=iterations, sh_degree=0, device="cpu")
    start = _top_up_points(points, training, generator)
    scene = fit_gaussians(training, start, options=options, generator=generator).gaussians
    return render(scene, clip.require_cameras()[held_out], engine="cpu").images.clamp(0, 1)


def _top_up_points(points: PointCloud, training: Clip, generator: torch.Generator) -> PointCloud:
    from recon.splats.start import random_points

    missing = START_POINTS - len(points)
    if missing <= 0:
        return points
    extra = random_points(training, missing, generator)
    return PointCloud.concatenate([points, extra])


def _lpips(
    drawn: Float[Tensor, "m h w 3"],
    truth: Float[Tensor, "m h w 3"],
    network: PerceptualDistance | Unavailable | None,
) -> Measured:
    metric = perceptual_distance(drawn, truth, network=load() if network is None else network)
    if isinstance(metric, Unavailable):
        small = "too small" if min(truth.shape[1:3]) < 31 else "LPIPS weights not installed"
        return Measured.no_value(small)
    return Measured(metric.mean, count=len(truth))


def _mean(values: Float[Tensor, "m"]) -> Measured:
    return Measured(values.mean().item(), count=len(values))


def requested_synthesis(
    clip: Clip | None, points: PointCloud, *, generator: torch.Generator, undefined_because: str = ""
) -> dict[str, Measured]:
    """`splat_psnr_requested`: as `view_synthesis`, of the same frames with their requested cameras.

    Args:
        points: triangulated with these cameras.
    """
    found = view_synthesis(
        clip,
        points,
        generator=generator,
        network=Unavailable("not asked for"),
        undefined_because=undefined_because,
    )
    return {"splat_psnr_requested": found["splat_psnr"]}


def _info(
    title: str, unit: str, digits: int, what: str, *, higher: bool, whose: str = "recovered"
) -> MetricInfo:
    return MetricInfo(
        title=title,
        unit=unit,
        digits=digits,
        higher_is_better=higher,
        definition=f"{what}, mean over the frames held out (the 5th, 13th, 21st … of the registered ones), of a scene "
        f"of 3D Gaussians fitted to the others with the {whose} cameras: {ITERATIONS} iterations at a long side of "
        f"{MAX_SIDE_PX} px, "
        "colours that do not depend on the view.",
        source="After the view synthesis consistency of NVIDIA Cosmos, arXiv 2501.03575: every 8th frame held out, 3D "
        "Gaussians fitted to the rest. Different: the middle one of each eight is held out, and the training takes a few "
        "CPU-seconds on small pictures, so that figures compare with a control measured alike, not with published ones.",
    )


VIEW_SYNTHESIS: dict[str, MetricInfo] = {
    "splat_psnr": _info("Held-out PSNR of splats", "dB", 2, "PSNR", higher=True),
    "splat_ssim": _info("Held-out SSIM of splats", "", 3, "SSIM (window of 11 px)", higher=True),
    "splat_lpips": _info("Held-out LPIPS of splats", "", 3, "LPIPS (AlexNet, v0.1)", higher=False),
}
REQUESTED_SYNTHESIS: dict[str, MetricInfo] = {
    "splat_psnr_requested": _info(
        "Held-out PSNR of splats, requested cameras", "dB", 2, "PSNR", higher=True, whose="requested"
    ),
}
