"""Reprojection error and track length of a model from structure from motion."""

from eval.geometry.measured import Measured
from eval.results.measure import MetricInfo
from recon.recovery import Recovery

TRACKS: dict[str, MetricInfo] = {
    "reprojection_px": MetricInfo(
        title="reprojection error",
        unit="px",
        digits=3,
        higher_is_better=False,
        definition="Mean over the registered frames of the mean distance between features and the projections of "
        "their 3D points. Of inliers only: COLMAP has thrown out what is further off than 4 px, so this says how "
        "exact the survivors are and not how many there were; read it beside the track length.",
        source="Schönberger and Frahm, CVPR 2016",
    ),
    "track_length": MetricInfo(
        title="track length",
        unit="frames",
        digits=2,
        higher_is_better=True,
        definition="Mean number of frames in which a 3D point is seen.",
        source="Schönberger and Frahm, CVPR 2016",
    ),
}


def track_figures(recovery: Recovery, undefined_because: str = "") -> dict[str, Measured]:
    """Every metric of `TRACKS`; undefined for the reason given, or where there are no points."""
    if not undefined_because and (recovery.track_length is None or not len(recovery.points)):
        undefined_because = "no points"
    if undefined_because:
        return dict.fromkeys(TRACKS, Measured.no_value(undefined_because))
    error = recovery.reprojection_error_px
    error = error[error.isfinite()]
    return {
        "reprojection_px": Measured(
            error.mean().item() if len(error) else None, "" if len(error) else "no inliers", len(error)
        ),
        "track_length": Measured(recovery.track_length, "", len(recovery.points)),
    }
