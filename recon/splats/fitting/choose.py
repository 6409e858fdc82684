"""Choice of how long to train, by training photos that are left out in turn."""

import math
import time
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.clips.pairing import spread_indices
from recon.compute.progress import progress
from recon.compute.seeds import draw_seed
from recon.errors import ReconstructionError
from recon.gaussians import Gaussians
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.fitting.start_cloud import StartCloud
from recon.splats.render import draw_views

LEAST_PHOTOS = 3
"""Of two photos one would be left, from which nothing but its own copy is learnt."""
MOST_LEFT_OUT = 6
"""Photos that are left out in turn at most, spread evenly; twice as many take twice the time."""
CHOICE_SIDE = 240
"""Long side in pixels of the pictures on which lengths are compared: a step takes a third of the time of one at 480."""
LEAST_CAP = 2_000
"""Gaussians that a comparison may have however small its pictures are."""
SHORTEST = 100
"""Iterations: the shortest training that is compared. Of half as many no capture showed unseen photos best."""
LONGEST_COMPARED = 4_000
"""Iterations: a longer training is taken where the longest that is compared shows the photos best."""


@dataclass(frozen=True)
class Choice:
    """How trainings of several lengths show photos that they did not see, and which length is taken."""

    compared: tuple[FitOptions, ...]
    """From the shortest on, up to the first that is worse than one before."""
    left_out: tuple[str, ...]
    """Names of the photos that were left out in turn."""
    psnr: Float[Tensor, "photos lengths"]
    """Of each left-out photo, dB."""
    options: FitOptions
    """With the chosen length."""
    seconds: float

    @property
    def reason(self) -> str:
        """Why this length was taken, in words."""
        means = ", ".join(
            f"{options.iterations}: {mean:.2f}"
            for options, mean in zip(self.compared, self.psnr.mean(0).tolist(), strict=True)
        )
        return f"mean PSNR in dB of {len(self.left_out)} photos left out in turn, by iterations: {means}"


def choose_length(
    clip: Clip,
    start: StartCloud,
    options: FitOptions,
    *,
    generator: torch.Generator,
    max_side: int = CHOICE_SIDE,
    most_left_out: int = MOST_LEFT_OUT,
) -> Choice:
    """Find how long to train: leave training photos out in turn, train on the others, and see what that shows of them.

    Lengths double until one shows the photos worse than a shorter one. Each is trained from the start, because what a long
    training passes through is no short training: its pictures are still small and its rates high; together they take less than
    twice as long as the longest. Pictures are small, and Gaussians fewer in proportion to the pixels.

    Args:
        clip: the posed training photos.
        options: of the training; its `iterations` are the most that can be chosen.

    Raises:
        ReconstructionError: fewer than `LEAST_PHOTOS` photos.
    """
    if len(clip) < LEAST_PHOTOS:
        raise ReconstructionError(
            f"expected at least {LEAST_PHOTOS} photos to leave one out of, got {len(clip)}; say how long to train"
        )
    began = time.perf_counter()
    small = clip.limit_size(max_side)
    share = small.width * small.height / (clip.width * clip.height)
    start = replace(start, surface_count=max(1, round(start.surface_count * share)))
    fewer = replace(options, cap=max(LEAST_CAP, round(options.cap * share)))
    seed, left_out = draw_seed(generator), spread_indices(len(clip), min(len(clip), most_left_out))
    lengths, columns = list_lengths(options.iterations), []
    with progress("choosing how long to train", len(lengths)) as update:
        for length in lengths:
            trained = replace(fewer, iterations=length)
            columns.append([_show_left_out(small, start, photo, trained, seed) for photo in left_out])
            means = [sum(column) / len(column) for column in columns]
            update(len(columns), f"{length} iterations: {means[-1]:.2f} dB")
            if means[-1] < max(means):
                break
    best = max(range(len(means)), key=means.__getitem__)
    chosen = options.iterations if best == len(lengths) - 1 else lengths[best]
    return Choice(
        tuple(replace(options, iterations=length) for length in lengths[: len(columns)]),
        tuple(clip.names[photo] for photo in left_out),
        torch.tensor(columns, dtype=torch.float64).T,
        replace(options, iterations=chosen),
        time.perf_counter() - began,
    )


def list_lengths(longest: int) -> list[int]:
    """Lengths to compare, each half of the next, from `SHORTEST` on: up to `longest`, or `LONGEST_COMPARED` before it."""
    lengths = [longest]
    while lengths[0] >= 2 * SHORTEST:
        lengths.insert(0, lengths[0] // 2)
    return [length for length in lengths if length <= LONGEST_COMPARED] or [LONGEST_COMPARED]


def _show_left_out(clip: Clip, start: StartCloud, photo: int, options: FitOptions, seed: int) -> float:
    """PSNR of a photo in the scene of all others, dB; the same random numbers for all, so that they differ less by chance."""
    rest = [other for other in range(len(clip)) if other != photo]
    generator = torch.Generator().manual_seed(seed)
    points = start.draw(clip, rest, generator)
    scene = fit_gaussians(clip[rest], points, options=options, generator=generator).gaussians
    return _measure_psnr(scene, clip[photo])


def _measure_psnr(scene: Gaussians, photo: Clip) -> float:
    drawn = draw_views(scene, photo.require_cameras()).images.double().clamp(0, 1)
    error = float((drawn - photo.images.double()).square().mean())
    return -10 * math.log10(max(error, 1e-10))  # 100 dB at most, as eval has it
