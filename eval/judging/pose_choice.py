"""Which poses of a clip fit its pixels better, requested or recovered ones: those to hand to Gaussian splatting."""

from collections.abc import Mapping

from eval.results.measure import PoseChoice, Value

LEAST_DB = 2.2
"""Difference of held-out PSNR from which one set of cameras is better. Fits of other seeds with the same cameras differ by up to that in 95% of
pairs on real clips of 16 frames, of which two are held out (`python -m benchmarks.pose_choice`)."""
TYPICAL_DB = 0.76
"""The median of these differences: held-out frames that favour the requested cameras by more are not overruled by epipolar lines, which favour
the recovered ones by construction."""
LEAST_PX, LEAST_SHARE = 0.25, 0.25
"""Difference of Sampson errors, in pixels and as a share of the larger, from which the recovered cameras are better. They were fitted to
these very matches, so that they are always somewhat ahead."""


def choose_poses(figures: Mapping[str, Value]) -> PoseChoice:
    """Compare the cameras of a clip by the frames that splats were not fitted to, and where these do not tell by epipolar lines.

    By epipolar lines the requested cameras never win: the recovered ones were fitted to the same matches.

    Args:
        figures: of the clip, by the names of its consistency metrics.
    """
    said, gain = [], 0.0
    requested, recovered = (_value(figures, key) for key in ("splat_psnr_requested", "splat_psnr"))
    if requested is not None and recovered is not None:
        said.append(
            f"splats show held-out frames with {requested:.1f} dB by the requested and {recovered:.1f} dB by the recovered cameras"
        )
        gain = requested - recovered
        if abs(gain) >= LEAST_DB:
            return PoseChoice("requested" if gain > 0 else "recovered", said[0])
    requested, recovered = (_value(figures, key) for key in ("sampson_requested_px", "sampson_recovered_px"))
    if requested is not None and recovered is not None:
        said.append(
            f"matches lie {requested:.2f} px from the requested and {recovered:.2f} px from the recovered epipolar lines"
        )
        worse = requested - recovered
        if gain <= TYPICAL_DB and worse > LEAST_PX and worse > LEAST_SHARE * requested:
            return PoseChoice("recovered", "; ".join(said))
    if said:
        return PoseChoice("either", "; ".join(said))
    because = next(
        (
            figures[key].undefined_because
            for key in ("sampson_recovered_px", "sampson_requested_px")
            if key in figures
        ),
        "",
    )
    return PoseChoice("", because or "nothing was compared")


def _value(figures: Mapping[str, Value], key: str) -> float | None:
    return figures[key].value if key in figures else None
