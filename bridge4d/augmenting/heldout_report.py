"""What the report says of the held-out photos."""

from bridge4d.augmenting.judge import Score, compare


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
