"""The consistency metrics: titles, units, definitions and sources, as reports print them."""

from eval.results.measure import MetricInfo, describe_metric

TSED_PX = (1.0, 2.0, 4.0)
"""Thresholds of TSED in pixels of the clip's own size; published values are at 256x256."""

_PAIRS = "Pairs n/8 and n/4 frames apart (n the clip's length), at most 15 of each, with at least 20 matches"
_MEDIAN = "per pair the median over all putative matches, none left out; then the mean over pairs"
_SAMPSON = "Square root of the Sampson distance (Hartley & Zisserman, eq. 11.9)"
_YU = "Yu et al., Long-Term Photometric Consistent Novel View Synthesis with Diffusion Models, ICCV 2023, arXiv 2304.10700"


CONSISTENCY: dict[str, MetricInfo] = {
    "sampson_fitted_px": describe_metric(
        "Sampson error, fitted geometry",
        "px",
        2,
        f"{_SAMPSON} to a fundamental matrix fitted robustly (MAGSAC++) to each pair; {_MEDIAN}. {_PAIRS}.",
        "Temporal Sampson Error of the NVIDIA Cosmos cookbook (mvbench/metrics/sampson.py): same distance, same "
        "median over all matches of a pair without choosing inliers. Different: SIFT and not SuperPoint + LightGlue, "
        "USAC MAGSAC++ at 0.5 px and not OpenCV's RANSAC at 3 px, wider pairs and not consecutive frames.",
    ),
    "sampson_requested_px": describe_metric(
        "Sampson error, requested cameras",
        "px",
        2,
        f"{_SAMPSON} to the fundamental matrix of the requested cameras, nothing fitted; {_MEDIAN}. {_PAIRS}.",
        "Hartley & Zisserman, Multiple View Geometry, 2nd edition, sections 9.2 and 11.4.3",
    ),
    "sed_requested_px": describe_metric(
        "Symmetric epipolar distance, requested cameras",
        "px",
        2,
        f"½(d_a + d_b), the mean distance of two matched points from each other's epipolar line; {_MEDIAN}. Pairs of "
        "consecutive frames with at least 10 matches.",
        _YU,
    ),
    **{
        f"tsed@{t:g}": describe_metric(
            f"TSED at {t:g} px",
            "",
            2,
            f"Share of the pairs of consecutive frames with at least 10 matches and a median symmetric epipolar distance "
            f"below {t:g} px under the requested cameras. Pixels of the clip's own size; published at 256x256.",
            f"{_YU}; the distance as in its code (compute_sed.py)",
            higher=True,
        )
        for t in TSED_PX
    },
    "sampson_recovered_px": describe_metric(
        "Sampson error, recovered cameras",
        "px",
        2,
        f"{_SAMPSON} to the fundamental matrix of the cameras that structure from motion recovered; {_MEDIAN}. {_PAIRS}, "
        "both frames registered.",
        "Hartley & Zisserman, Multiple View Geometry, 2nd edition, sections 9.2 and 11.4.3",
    ),
    "morans_i": describe_metric(
        "Moran's I of epipolar residuals",
        "",
        2,
        "Spatial autocorrelation, 8 nearest neighbours with equal weights, of the signed Sampson residuals of the fitted "
        "geometry over the picture; residuals beyond 3 robust standard deviations are left out; mean over pairs. "
        "About 0 for noise, higher where neighbouring points err alike, at most about 1. It says nothing about how large the "
        "errors are: many precise matches reveal the slightest distortion of a lens, and wrong matches cover structure; "
        f"read it beside the Sampson error. {_PAIRS}.",
        "Moran, Notes on Continuous Stochastic Phenomena, Biometrika 1950; equal to PySAL's esda.Moran",
    ),
}
