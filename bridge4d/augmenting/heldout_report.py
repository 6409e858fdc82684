"""What the report says of the held-out photos."""

import torch

from bridge4d.stages.scores import Score
from eval.stats import intervals


def heldout_report(expected: list[str], scores: list[Score], shown: int | None, seed: int) -> dict:
    """The figures of the photos alone, and of the scene that is compared with them.

    Args:
        expected: names of all held-out photos.
        scores: of the photos alone and of every round; empty where no held-out photo could be registered.
        shown: which of them is compared; None where no generated frame entered any, and then there is no gain.
    """
    report = {
        "views": 0,
        "expected": len(expected),
        "names": [],
        "psnr": None,
        "ssim": None,
        "perceptual": None,
        "perceptual_note": "",
    }
    if not scores:
        return report
    before, after = scores[0], None if shown is None else scores[shown]
    report |= {"views": len(before.names), "names": list(before.names)}
    report["psnr"] = _series(before.psnr, after and after.psnr, seed)
    report["ssim"] = _series(before.ssim, after and after.ssim, seed)
    if before.perceptual is not None:
        found = _series(before.perceptual, after and after.perceptual, seed, higher_is_better=False)
        report["perceptual"] = found | {"network": before.perceptual_note}
    return report | {"perceptual_note": before.perceptual_note}


def _series(
    before: tuple[float, ...], after: tuple[float, ...] | None, seed: int, *, higher_is_better: bool = True
) -> dict:
    if after is not None:
        return compare(before, after, higher_is_better=higher_is_better, seed=seed)
    both_alike = compare(before, before, higher_is_better=higher_is_better, seed=seed)
    nothing = dict.fromkeys(("augmented", "gain", "gain_interval95", "worst_view_gain"))
    return both_alike | nothing | {"per_view": both_alike["per_view"] | {"augmented": []}}


def compare(
    before: tuple[float, ...], after: tuple[float, ...], *, higher_is_better: bool, seed: int
) -> dict:
    """A metric of both scenes, with the mean gain (positive is better) and its 95% bootstrap interval over views."""
    sign = 1 if higher_is_better else -1
    gains = [sign * (b - a) for a, b in zip(before, after, strict=True)]
    interval = intervals.bootstrap_mean95(gains, generator=torch.Generator().manual_seed(seed))
    return {
        "photos_only": _round(sum(before) / len(before)),
        "augmented": _round(sum(after) / len(after)),
        "gain": _round(sum(gains) / len(gains)),
        "gain_interval95": None if interval is None else [_round(interval[0]), _round(interval[1])],
        "worst_view_gain": _round(min(gains)),
        "per_view": {"photos_only": [_round(v) for v in before], "augmented": [_round(v) for v in after]},
    }


def _round(value: float) -> float:
    return round(float(value), 4)
