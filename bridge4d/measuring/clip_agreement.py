"""Recover a clip again: by the other mapper, from halves of its points, without its lens."""

from dataclasses import replace

from bridge4d.measuring.clip_recovery import ClipRecovery
from eval.geometry.measured import Measured
from eval.judging.agreement import AGREEMENT, chessboard, compare_recoveries, focal_ratio
from recon.cameras import Cameras


def agreement_figures(
    counted: ClipRecovery, requested: Cameras | None, *, undefined_because: str = ""
) -> dict[str, Measured]:
    """Every metric of `AGREEMENT`.

    Args:
        requested: cameras whose intrinsics are known, or None.
        undefined_because: why nothing is compared.
    """
    if undefined_because:
        return {key: Measured.no_value(undefined_because) for key in AGREEMENT}
    recoverer, recipe = counted.recoverer, counted.recipe
    black = chessboard(recoverer.clip.width, recoverer.clip.height)
    pairs = {
        "mappers": [recoverer.recover(replace(recipe, mapper=mapper)) for mapper in ("global", "incremental")],
        "halves": [recoverer.hide(mask, name).recover(recipe) for mask, name in ((black, "white"), (~black, "black"))],
    }  # fmt: skip
    figures: dict[str, Measured] = {}
    for key, (a, b) in pairs.items():
        figures[f"{key}_rotation_deg"], figures[f"{key}_position_share"] = compare_recoveries(a, b)
    figures["focal_ratio"] = Measured.no_value("no requested intrinsics")
    if requested is not None:
        blind = recoverer.recover(replace(recipe, intrinsics="shared"))
        figures["focal_ratio"] = focal_ratio(blind, requested)
    return figures
