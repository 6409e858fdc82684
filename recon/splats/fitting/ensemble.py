"""One scene of several that were trained from other seeds.

What a few photos leave open, each training fills in by chance. The mean of several renderings is nearer to the truth than one of
them, because what is due to chance differs from scene to scene. The scenes are laid over each other, so faint that together they look
much like this mean, and settle: a short training on the photos, and on the mean of the renderings between these, makes them one scene.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from recon.gaussians import Gaussians, concatenate
from recon.mesh.cameras import place_ring
from recon.splats.density import Density
from recon.splats.fit import FitOptions, FitResult, fit_gaussians
from recon.splats.render import draw_views

COUNT = 3
"""Scenes: the mean of two gained 70% of what that of three did, on four captures (benchmarks/README.md)."""
BETWEEN = 32
"""Cameras at which the mean is drawn."""
SHARE = 0.6
"""Of the steps that look at the mean while scenes settle; the rest look at photos."""
UNSURE = 0.1
"""Standard deviation between scenes (sRGB, over the three colours) at which a pixel of their mean counts half."""
SETTLE_SHARE, SETTLE_LEAST = 0.25, 100
"""Steps to settle, as a share of those of a training, and the least: fewer hardly see each picture."""
NEVER = Density(start=2.0, stop=2.0)
"""No Gaussian is added or removed: all times lie after the end."""


def fit_mean(
    clip: Clip,
    scenes: Sequence[Gaussians],
    photos: Cameras,
    *,
    options: FitOptions,
    generator: torch.Generator,
    frequency: Float[Tensor, "n"] | Float[Tensor, "p n"] | None = None,
) -> FitResult:
    """Make one scene of several that were trained on the same pictures.

    It has the Gaussians of all of them, and shows unseen photos about as well as the mean of their renderings.

    Args:
        clip: the posed pictures that they were trained on; as of `fit_gaussians`.
        scenes: at least two.
        photos: cameras between which the mean is drawn.
        options: of their trainings.
        frequency: how often each picture was trained on, as of `fit_gaussians`.

    Raises:
        BridgeError: fewer than two scenes.
    """
    between = place_ring(photos, BETWEEN, generator)
    pictures, often = add_mean(clip, scenes, between, frequency)
    settling = settling_options(options, sum(map(len, scenes)))
    return fit_gaussians(pictures, merge(scenes), options=settling, generator=generator, frequency=often)


def settling_options(options: FitOptions, count: int) -> FitOptions:
    """Options by which `count` Gaussians settle after trainings by `options`: short, at full size, none added or removed."""
    steps = min(options.iterations, max(SETTLE_LEAST, round(SETTLE_SHARE * options.iterations)))
    seconds = None if options.cpu_seconds is None else SETTLE_SHARE * options.cpu_seconds
    return replace(options, iterations=steps, cpu_seconds=seconds, cap=count, density=NEVER, doublings=())


def add_mean(
    clip: Clip,
    scenes: Sequence[Gaussians],
    between: Cameras,
    frequency: Float[Tensor, "n"] | Float[Tensor, "p n"] | None = None,
) -> tuple[Clip, Float[Tensor, "p m"]]:
    """The pictures of a clip and the mean of what scenes show between them, and how often each is looked at."""
    often = torch.ones(1, len(clip)) if frequency is None else frequency.reshape(-1, len(clip))
    often = (1 - SHARE) * often / often.sum(1, keepdim=True)
    of_mean = torch.full((len(often), len(between)), SHARE / len(between))
    return Clip.concatenate([clip, draw_mean(scenes, between)]), torch.cat([often, of_mean], 1)


def draw_mean(scenes: Sequence[Gaussians], cameras: Cameras) -> Clip:
    """What several scenes show on average, trusted where they are opaque and agree.

    Returns:
        A frame for each camera; its confidence is the mean opacity, divided by 1 + (deviation / `UNSURE`)².

    Raises:
        BridgeError: fewer than two scenes.
    """
    if len(scenes) < 2:
        raise BridgeError(f"expected at least two scenes to take the mean of, got {len(scenes)}")
    mean = squares = alpha = torch.zeros(())
    for scene in scenes:  # not all kept at once: of large pictures that would be gigabytes
        drawn = draw_views(scene, cameras)
        images = drawn.images.clamp(0, 1) / len(scenes)
        mean, squares = mean + images, squares + images.square() * len(scenes)
        alpha = alpha + drawn.alpha / len(scenes)
    variance = (squares - mean.square()).clamp_min(0).mean(-1)
    names = tuple(f"mean-{i:03d}" for i in range(len(cameras)))
    return Clip(mean, cameras, names=names, confidence=alpha.clamp(0, 1) / (1 + variance / UNSURE**2))


def merge(scenes: Sequence[Gaussians]) -> Gaussians:
    """All Gaussians of k scenes in one, so faint that k copies of one scene look like it: opacity 1 - (1 - o)^(1/k)."""
    together = concatenate(scenes)
    clear = torch.nn.functional.logsigmoid(-together.opacity_logits.double()) / len(scenes)  # log(1 - o) / k
    opacity = -torch.expm1(clear)
    return replace(together, opacity_logits=torch.logit(opacity, eps=1e-6).to(together.opacity_logits.dtype))
