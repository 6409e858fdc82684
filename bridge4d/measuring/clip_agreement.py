"""Recover a clip again: by the other mapper, from halves of its points, without its lens."""

from dataclasses import replace

from bridge4d.measuring.clip_recovery import ClipRecovery
from eval.geometry.measured import Measured
from eval.judging.agreement import AGREEMENT, FOCAL_TIMES, chessboard, compare_recoveries, focal_ratio
from recon.cameras import Cameras

OTHER_LENS = "focal length differs from the request"
"""The remark on a clip whose recovered focal length is off by `FOCAL_TIMES` or more."""


def agreement_figures(
    counted: ClipRecovery, requested: Cameras | None, *, undefined_because: str = ""
) -> tuple[dict[str, Measured], list[str]]:
    """Every metric of `AGREEMENT`, and causes: another lens than the requested one.

    Args:
        requested: cameras whose intrinsics are known, or None.
        undefined_because: why nothing is compared.
    """
    if undefined_because:
        return {key: Measured.no_value(undefined_because) for key in AGREEMENT}, []
    recoverer, recipe = counted.recoverer, counted.recipe
    black = chessboard(recoverer.clip.width, recoverer.clip.height)
    pairs = {
        "mappers": [recoverer.recover(replace(recipe, mapper=mapper)) for mapper in ("global", "incremental")],
        "halves": [recoverer.hide(mask, name).recover(recipe) for mask, name in ((black, "white"), (~black, "black"))],
    }  # fmt: skip
    figures: dict[str, Measured] = {}
    causes = []
    for key, (a, b) in pairs.items():
        figures[f"{key}_rotation_deg"], figures[f"{key}_position_share"] = compare_recoveries(a, b)
    figures["focal_ratio"] = Measured.no_value("no requested intrinsics")
    if requested is not None:
        blind = recoverer.recover(replace(recipe, intrinsics="shared"))
        figures["focal_ratio"] = ratio = focal_ratio(blind, requested)
        if ratio.value is not None and not 1 / FOCAL_TIMES <= ratio.value <= FOCAL_TIMES:
            causes.append(OTHER_LENS)
    return figures, causes
