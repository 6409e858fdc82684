"""What the report says of the held-out photos."""

from dataclasses import replace

import torch

from bridge4d.augmenting.judge import best_round
from bridge4d.stages.scores import Score
from eval.results.augment import (
    Baseline,
    HeldOut,
    Interval,
    NullSeries,
    OwnRenderings,
    PerceptualSeries,
    PerView,
    Series,
)
from eval.stats import intervals


def describe_heldout(
    expected: list[str],
    scores: list[Score],
    *,
    kept: int,
    shown: int | None,
    seed: int,
    baseline: Score | None = None,
    own_renderings: Score | None = None,
) -> HeldOut:
    """The figures of the photos alone, and of the scene that is compared with them.

    Args:
        expected: names of all held-out photos.
        scores: of the photos alone and of every round; empty where no held-out photo could be registered.
        kept: which of them is that of the kept scene.
        shown: which of them is compared; None where no generated frame entered any, and then there is no gain.
        seed: of the bootstrap.
        baseline: of an earlier trainer; None where it was not asked for.
        own_renderings: with own renderings in the place of the generated frames; None where it was not asked for.
    """
    if not scores:
        return HeldOut(views=0, expected=len(expected))
    best = best_round(scores)
    before, after = scores[0], None if shown is None else scores[shown]
    perceptual = None
    if before.perceptual is not None:
        found = _series(before.perceptual, after and after.perceptual, seed, higher_is_better=False)
        perceptual = PerceptualSeries(**vars(found), network=before.perceptual_note)
    return HeldOut(
        views=len(before.names),
        expected=len(expected),
        names=list(before.names),
        psnr=_series(before.psnr, after and after.psnr, seed),
        ssim=_series(before.ssim, after and after.ssim, seed),
        perceptual=perceptual,
        perceptual_note=before.perceptual_note,
        baseline=None if baseline is None else _compare_with_baseline(before, baseline),
        own_renderings=None
        if own_renderings is None or after is None
        else _compare_with_own(before, own_renderings, after, seed),
        best_round=best,
        regret=_round(scores[best].mean_psnr - scores[kept].mean_psnr),
    )


def _compare_with_baseline(now: Score, before: Score) -> Baseline:
    gains = [new - old for new, old in zip(now.psnr, before.psnr, strict=True)]
    return Baseline(
        psnr=_mean(before.psnr),
        ssim=_mean(before.ssim),
        gain=_mean(gains),
        worst_view_gain=_round(min(gains)),
        psnr_per_view=[_round(value) for value in before.psnr],
    )


def _compare_with_own(before: Score, own: Score, after: Score, seed: int) -> OwnRenderings:
    perceptual = None
    if before.perceptual is not None and own.perceptual is not None and after.perceptual is not None:
        perceptual = _null_series(
            before.perceptual, own.perceptual, after.perceptual, seed, higher_is_better=False
        )
    return OwnRenderings(
        psnr=_null_series(before.psnr, own.psnr, after.psnr, seed),
        ssim=_null_series(before.ssim, own.ssim, after.ssim, seed),
        perceptual=perceptual,
    )


def _null_series(
    before: tuple[float, ...],
    own: tuple[float, ...],
    after: tuple[float, ...],
    seed: int,
    *,
    higher_is_better: bool = True,
) -> NullSeries:
    """A metric with own renderings, its gain over the photos alone, and the gain of the generated frames over it."""
    gain, interval, worst = _paired_gain(before, own, seed, higher_is_better)
    generated_gain, generated_interval, generated_worst = _paired_gain(own, after, seed, higher_is_better)
    return NullSeries(
        mean=_mean(own),
        gain=gain,
        gain_interval95=interval,
        worst_view_gain=worst,
        generated_gain=generated_gain,
        generated_gain_interval95=generated_interval,
        generated_worst_view_gain=generated_worst,
        per_view=[_round(v) for v in own],
    )


def _series(
    before: tuple[float, ...], after: tuple[float, ...] | None, seed: int, *, higher_is_better: bool = True
) -> Series:
    """A metric of both scenes, with the mean gain and its 95% bootstrap interval over views.

    Without `after` there is nothing but the figures of the scene before.
    """
    alone = Series(photos_only=_mean(before), per_view=PerView(photos_only=[_round(v) for v in before]))
    if after is None:
        return alone
    gain, interval, worst = _paired_gain(before, after, seed, higher_is_better)
    return replace(
        alone,
        augmented=_mean(after),
        gain=gain,
        gain_interval95=interval,
        worst_view_gain=worst,
        per_view=replace(alone.per_view, augmented=[_round(v) for v in after]),
    )


def _paired_gain(
    before: tuple[float, ...], after: tuple[float, ...], seed: int, higher_is_better: bool
) -> tuple[float, Interval | None, float]:
    """Mean gain per view, its 95% bootstrap interval over views (None for fewer than two) and the smallest gain."""
    sign = 1 if higher_is_better else -1
    gains = [sign * (b - a) for a, b in zip(before, after, strict=True)]
    interval = intervals.bootstrap_mean95(gains, generator=torch.Generator().manual_seed(seed))
    rounded = None if interval is None else (_round(interval[0]), _round(interval[1]))
    return _mean(gains), rounded, _round(min(gains))


def _mean(values: list[float] | tuple[float, ...]) -> float:
    return _round(sum(values) / len(values))


def _round(value: float) -> float:
    return round(float(value), 4)
