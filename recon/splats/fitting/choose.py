"""Choice of how to train, by training photos that are left out in turn."""

import time
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import Tensor

from recon.clip import PictureSet
from recon.clips.pairing import spread_indices
from recon.compute.progress import Silent, progress, use_reporter
from recon.compute.seeds import draw_seed
from recon.errors import ReconstructionError
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.fitting.estimate import estimate_seconds
from recon.splats.fitting.small import (
    CHOICE_SIDE,
    LONGEST_COMPARED,
    SmallTraining,
    measure_psnr,
    shrink_training,
)
from recon.splats.fitting.start_cloud import StartCloud

LEAST_PHOTOS = 3
"""Of two photos one would be left, from which nothing but its own copy is learnt."""
LENGTH_OF_FEW = 100
"""Iterations where there are fewer: of 100, 200, 400 and 800 the least regret on four captures with two photos
(benchmarks/README.md)."""
MOST_LEFT_OUT = 6
"""Photos that are left out in turn at most, spread evenly; twice as many take twice the time."""
SHORTEST = 100
"""Iterations: the shortest training that is compared. One of half as many has seen the photos at full size 35 times."""


@dataclass(frozen=True)
class Choice:
    """How trainings of several kinds show photos that they did not see, and which is taken."""

    compared: tuple[FitOptions, ...]
    """From the shortest on, up to the first that is worse than one before; last the best of these without dropout."""
    left_out: tuple[str, ...]
    """Names of the photos that were left out in turn."""
    psnr: Float[Tensor, "photos kinds"]
    """Of each left-out photo in each kind of training, dB."""
    options: FitOptions
    """What is taken."""
    seconds: float

    @property
    def reason(self) -> str:
        """Why it was taken, in words."""
        means = ", ".join(
            f"{options.iterations}{'' if options.dropout else ' without dropout'}: {mean:.2f}"
            for options, mean in zip(self.compared, self.psnr.mean(0).tolist(), strict=True)
        )
        return f"mean PSNR in dB of {len(self.left_out)} photos left out in turn, by iterations: {means}"


def choose_training(
    clip: PictureSet,
    start: StartCloud,
    options: FitOptions,
    *,
    generator: torch.Generator,
    max_side: int = CHOICE_SIDE,
    most_left_out: int = MOST_LEFT_OUT,
    try_without_dropout: bool = True,
) -> Choice:
    """Find how long to train, and whether with dropout, by photos that are left out in turn.

    Lengths double until one shows the photos worse than a shorter one; the best is then tried without dropout. Each length is
    trained from the start, because what a long training passes through is no short training: its pictures are still small and its
    rates high; together they take less than twice as long as the longest. Pictures are small, and Gaussians fewer in proportion to
    the pixels. Where the longest that is compared (`LONGEST_COMPARED`) is best, a longer one that may be is taken.

    Args:
        clip: the posed training photos.
        options: of the training; its `iterations` are the most that can be chosen.
        try_without_dropout: whether the best length is also tried without the dropout of `options`.

    Raises:
        ReconstructionError: fewer than `LEAST_PHOTOS` photos.
    """
    if len(clip) < LEAST_PHOTOS:
        raise ReconstructionError(
            f"expected at least {LEAST_PHOTOS} photos to leave one out of, got {len(clip)}; say how long to train"
        )
    began = time.perf_counter()
    left_out = spread_indices(len(clip), min(len(clip), most_left_out))
    trial = _Trial(shrink_training(clip, start, options, max_side), left_out, draw_seed(generator))
    lengths = list_lengths(options.iterations)
    with progress("choosing how long to train", len(lengths) + 1) as update:

        def compare(kind: FitOptions) -> bool:
            """Whether it is the best so far."""
            mean = trial.compare(kind)
            update(len(trial.kinds), f"{kind.iterations} iterations: {mean:.2f} dB")
            return trial.best == len(trial.kinds) - 1

        for length in lengths:
            if not compare(replace(options, iterations=length)):
                break
        if options.dropout and try_without_dropout:
            compare(replace(trial.kinds[trial.best], dropout=0.0))
    chosen = trial.kinds[trial.best]
    if chosen.iterations == lengths[-1]:
        chosen = replace(chosen, iterations=options.iterations)
    names = tuple(clip.names[photo] for photo in trial.left_out)
    psnr = torch.tensor(trial.columns, dtype=torch.float64).T
    return Choice(tuple(trial.kinds), names, psnr, chosen, time.perf_counter() - began)


def estimate_choice(
    clip: PictureSet,
    start: StartCloud,
    options: FitOptions,
    *,
    max_side: int = CHOICE_SIDE,
    most_left_out: int = MOST_LEFT_OUT,
) -> float:
    """Seconds that `choose_training` will take at most, on this machine as it is now: if no longer training is worse than a shorter.

    To about a factor of two; less where choosing stops early. Draws its random numbers apart.
    """
    small = shrink_training(clip, start, options, max_side)
    lengths = list_lengths(options.iterations)
    steps = min(len(clip), most_left_out) * (sum(lengths) + lengths[-1])  # the best again without dropout
    points = small.start.draw(small.clip, range(len(clip)), torch.Generator().manual_seed(0))
    return estimate_seconds(small.clip, points, replace(options, iterations=steps, cap=small.cap))


@dataclass
class _Trial:
    """Trainings on small pictures, and what each shows of the photos that it is not given."""

    small: SmallTraining
    left_out: list[int]
    seed: int
    """The same for all trainings, so that they differ less by chance."""
    kinds: list[FitOptions] = field(default_factory=list)
    columns: list[list[float]] = field(default_factory=list)

    @property
    def best(self) -> int:
        """Row of the kind of the highest mean; of equal ones the first."""
        means = [sum(column) for column in self.columns]
        return means.index(max(means))

    def compare(self, kind: FitOptions) -> float:
        """Train one more kind; returns its mean over the left-out photos, dB."""
        column = [self._show_left_out(photo, replace(kind, cap=self.small.cap)) for photo in self.left_out]
        self.kinds.append(kind)
        self.columns.append(column)
        return sum(column) / len(column)

    def _show_left_out(self, photo: int, options: FitOptions) -> float:
        clip = self.small.clip
        rest = [other for other in range(len(clip)) if other != photo]
        generator = torch.Generator().manual_seed(self.seed)
        points = self.small.start.draw(clip, rest, generator)
        with use_reporter(Silent()):  # what is reported is the choice, not each of its trainings
            scene = fit_gaussians(clip[rest], points, options=options, generator=generator).gaussians
        return measure_psnr(scene, clip[photo])


def list_lengths(longest: int) -> list[int]:
    """Lengths to compare, each half of the next, from `SHORTEST` on: up to `longest`, or `LONGEST_COMPARED` before it."""
    lengths = [longest]
    while lengths[0] >= 2 * SHORTEST:
        lengths.insert(0, lengths[0] // 2)
    return [length for length in lengths if length <= LONGEST_COMPARED] or [LONGEST_COMPARED]
