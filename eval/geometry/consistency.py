"""Does a clip show one rigid scene? Epipolar distances of its matched points, per clip.

A pair's figure is the *median over all putative matches*, wrong ones included: judging the inliers of a fit alone
would hide exactly the errors that are looked for, for a fit chooses its inliers. The median bears up to half of the
matches being wrong, needs no threshold in pixels beyond which an error stops counting, and a clip whose frames
match badly is the worse for it. A clip's figure is the mean over pairs, so that a few broken frames show.

Pixels are those of the pictures that were matched: compare clips of one size.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eval.geometry.consistency_metrics import CONSISTENCY, TSED_PX
from eval.geometry.measured import Measured
from eval.geometry.motion import Motion, MotionKind
from eval.geometry.pairs import MIN_MATCHES, enough_pairs, neighbours, pairs_apart
from eval.pictures.autocorrelation import morans_i
from recon.cameras import Cameras
from recon.compute.seeds import draw_seed
from recon.errors import CameraError
from recon.sfm.matches import Matches
from recon.two_views.epipolar import fundamental, mean_epipolar_px, sampson_px, signed_sampson_px
from recon.two_views.robust import fit_fundamental
from recon.world.extent import measure_extent

TSED_MIN_MATCHES = 10
"""Fewest matches of a pair that TSED and the symmetric epipolar distance count, as in the code of Yu et al."""
MIN_BASELINE = 1e-4
"""Share of the largest distance between two centres of a path below which centres count as coinciding."""
GROSS_SIGMAS = 3.0
"""Robust deviations beyond which a residual counts as a wrong match, which has no structure to find."""
PLACES_PER_PX = 100
"""Features within a hundredth of a pixel are one place, such as the orientations of one SIFT feature."""
MAD_TO_SIGMA = 1.4826
"""Standard deviation over the median of absolute values, of a normal distribution."""
_ZERO_PX = 1e-3
"""Robust deviation below which residuals are rounding of float32 coordinates, and have no structure."""
_TOO_FEW = "too few matches"

PairFundamentals = Mapping[tuple[int, int], Float[Tensor, "3 3"]]
"""F of pairs of frames; NaN where it is undefined."""


def consistency(
    matches: Matches,
    motion: Motion,
    *,
    requested: Cameras | None,
    intrinsics_known: bool,
    recovered: Cameras | None,
    registered: Bool[Tensor, "n"],
    generator: torch.Generator,
) -> dict[str, Measured]:
    """Every metric of `CONSISTENCY` for one clip of n frames.

    `requested` has n cameras, `recovered` one for each registered frame, in order (as in `Recovery`).
    Where the motion leaves epipolar lines to chance, all are undefined: a clip that does not move, or only
    turns, satisfies even the lines of a requested path that it does not follow.

    Raises:
        CameraError: cameras that are not as many as the frames, or of pictures of another size.
    """
    _check(matches, requested, recovered, registered)
    fitted = fitted_consistency(matches, motion, generator=generator)
    asked = requested_consistency(matches, motion, requested=requested, intrinsics_known=intrinsics_known)
    found = recovered_consistency(matches, motion, recovered=recovered, registered=registered)
    out = {**fitted, **asked, **found}
    return {key: out[key] for key in CONSISTENCY}


def fitted_consistency(
    matches: Matches, motion: Motion, *, generator: torch.Generator
) -> dict[str, Measured]:
    """`sampson_fitted_px` and `morans_i`, of one fundamental matrix fitted to each pair."""
    keys = ("sampson_fitted_px", "morans_i")
    seed = draw_seed(generator)  # drawn always: what follows stays the same
    if because := _degenerate(motion):
        return dict.fromkeys(keys, Measured.no_value(because))
    chosen = pairs_apart(matches)
    medians: list[float] = []
    structure: list[float] = []
    for pair in chosen:
        xy_a, xy_b = matches.points(pair)
        F = fit_fundamental(xy_a, xy_b, seed=seed) if len(xy_a) >= MIN_MATCHES else None
        if F is None:
            continue
        medians.append(_median(sampson_px(F, xy_a, xy_b)))
        if (moran := residual_structure(F, xy_a, xy_b)) is not None:
            structure.append(moran)
    return {
        "sampson_fitted_px": _mean(medians, enough_pairs(medians, chosen)),
        "morans_i": _mean(
            structure, enough_pairs(structure, chosen), _TOO_FEW if not medians else "no residuals"
        ),
    }


def requested_consistency(
    matches: Matches, motion: Motion, *, requested: Cameras | None, intrinsics_known: bool
) -> dict[str, Measured]:
    """`sampson_requested_px`, `sed_requested_px` and `tsed@…`, of the fundamental matrices that were asked for."""
    keys = ("sampson_requested_px", "sed_requested_px", *(f"tsed@{t:g}" for t in TSED_PX))
    because = _degenerate(motion)
    if requested is None:
        because = "no requested cameras"
    elif not intrinsics_known:
        because = "no requested intrinsics"
    if because or requested is None:
        return dict.fromkeys(keys, Measured.no_value(because))
    near, far = neighbours(matches), pairs_apart(matches)
    F = pair_fundamentals(requested, [matches.pairs[i] for i in dict.fromkeys(near + far)])
    return {
        "sampson_requested_px": sampson_between(matches, far, F),
        "sed_requested_px": sed_between(matches, near, F),
        **{f"tsed@{t:g}": tsed_share(matches, near, F, threshold_px=t) for t in TSED_PX},
    }


def recovered_consistency(
    matches: Matches, motion: Motion, *, recovered: Cameras | None, registered: Bool[Tensor, "n"]
) -> dict[str, Measured]:
    """`sampson_recovered_px`, of the fundamental matrices between cameras that structure from motion found."""
    because = _degenerate(motion) or ("not recovered" if recovered is None or len(recovered) < 2 else "")
    if because or recovered is None:
        return {"sampson_recovered_px": Measured.no_value(because)}
    pairs = [i for i in pairs_apart(matches) if registered[list(matches.pairs[i])].all()]
    if not pairs:
        return {"sampson_recovered_px": Measured.no_value("too few frames recovered")}
    frames = torch.nonzero(registered)[:, 0].tolist()
    F = pair_fundamentals(recovered, [matches.pairs[i] for i in pairs], frames=frames)
    return {"sampson_recovered_px": sampson_between(matches, pairs, F)}


def pair_fundamentals(
    cameras: Cameras, pairs: Sequence[tuple[int, int]], *, frames: Sequence[int] | None = None
) -> dict[tuple[int, int], Float[Tensor, "3 3"]]:
    """F of pairs of frames; NaN where the centres are nearer than `MIN_BASELINE` of the path's extent.

    `frames` are those that the cameras belong to, in order; all frames where it is None.
    """
    row = {frame: i for i, frame in enumerate(range(len(cameras)) if frames is None else frames)}
    centers = cameras.centers.double()
    extent = measure_extent(centers)
    a, b = ([row[pair[side]] for pair in pairs] for side in (0, 1))
    F = fundamental(cameras[a], cameras[b], min_baseline=MIN_BASELINE * extent)
    return dict(zip(pairs, F, strict=True))


def sampson_between(matches: Matches, pairs: list[int], F: PairFundamentals) -> Measured:
    """Mean over the pairs of the median over all matches of the square root of the Sampson distance, in px.

    Pairs with fewer than `MIN_MATCHES` matches are left out, and so are those whose centres coincide.
    """
    return _mean_of_medians(matches, pairs, F, sampson_px, at_least=MIN_MATCHES)


def sed_between(matches: Matches, pairs: list[int], F: PairFundamentals) -> Measured:
    """As `sampson_between`, of the symmetric epipolar distance ½(d_a + d_b), for pairs with at least 10 matches."""
    return _mean_of_medians(matches, pairs, F, mean_epipolar_px, at_least=TSED_MIN_MATCHES)


def tsed_share(matches: Matches, pairs: list[int], F: PairFundamentals, *, threshold_px: float) -> Measured:
    """Share of the pairs with at least 10 matches and a median symmetric epipolar distance below the threshold.

    Yu et al. 2023 (arXiv 2304.10700), the distance as in their code: ½(d_a + d_b). A pair with too few
    matches is inconsistent; one whose requested centres coincide has no epipolar lines and is left out.
    """
    consistent: list[bool] = []
    for pair in pairs:
        matrix = F[matches.pairs[pair]]
        if matrix.isnan().any():
            continue
        xy_a, xy_b = matches.points(pair)
        many = len(xy_a) >= TSED_MIN_MATCHES
        consistent.append(many and _median(mean_epipolar_px(matrix, xy_a, xy_b)) < threshold_px)
    if not consistent:
        return Measured.no_value("requested centres coincide" if pairs else "no matched pairs")
    return Measured(sum(consistent) / len(consistent), count=len(consistent))


def residual_structure(
    F: Float[Tensor, "3 3"], xy_a: Float[Tensor, "m 2"], xy_b: Float[Tensor, "m 2"]
) -> float | None:
    """Moran's I of the signed Sampson residuals at their places in picture a; None where it is undefined.

    Wrong matches have no structure and would drown what there is: residuals beyond `GROSS_SIGMAS` robust
    standard deviations (1.4826 × the median of all) are left out. The rule scales with the error, so a
    bent picture cannot hide behind it. Features in one place (SIFT's several orientations) count once, and
    residuals that are mere rounding are none.
    """
    residual = signed_sampson_px(F, xy_a, xy_b)
    sigma = MAD_TO_SIGMA * _median(residual.abs())
    if not sigma > _ZERO_PX:
        return None
    _, place = torch.unique((PLACES_PER_PX * xy_a).round(), dim=0, return_inverse=True)
    order = torch.argsort(place, stable=True)
    fresh = torch.ones(len(order), dtype=torch.bool)
    fresh[order[1:]] = place[order][1:] != place[order][:-1]
    keep = fresh & (residual.abs() <= GROSS_SIGMAS * sigma)
    if keep.sum() < MIN_MATCHES // 2 + 2:
        return None
    moran = morans_i(residual[keep], xy_a[keep])
    return None if moran is None else moran.value


def _mean_of_medians(
    matches: Matches,
    pairs: list[int],
    F: PairFundamentals,
    distance: Callable[[Tensor, Tensor, Tensor], Tensor],
    *,
    at_least: int,
) -> Measured:
    """Mean over pairs of the median distance; pairs without lines or with fewer matches are left out."""
    with_lines = [(pair, F[matches.pairs[pair]]) for pair in pairs]
    with_lines = [(pair, matrix) for pair, matrix in with_lines if not matrix.isnan().any()]
    if pairs and not with_lines:
        return Measured.no_value("camera centres coincide")
    medians = [
        _median(distance(matrix, *matches.points(pair)))
        for pair, matrix in with_lines
        if len(matches.indices[pair]) >= at_least
    ]
    return _mean(medians, enough_pairs(medians, with_lines))


def _degenerate(motion: Motion) -> str:
    """Why the motion leaves epipolar metrics undefined; '' where they are defined."""
    if motion.kind is MotionKind.GENERAL:
        return ""
    return _TOO_FEW if motion.kind is MotionKind.UNKNOWN else motion.kind.value


def _median(x: Float[Tensor, "m"]) -> float:
    """The median, between the middle two of an even number."""
    return x.quantile(0.5).item()


def _mean(values: list[float], defined: bool, otherwise: str = _TOO_FEW) -> Measured:
    if not defined:
        return Measured.no_value(otherwise)
    return Measured(sum(values) / len(values), count=len(values))


def _check(
    matches: Matches, requested: Cameras | None, recovered: Cameras | None, registered: Bool[Tensor, "n"]
) -> None:
    if len(registered) != len(matches):
        raise CameraError(f"expected {len(matches)} flags of registered frames, got {len(registered)}")
    counts = (("requested", requested, len(matches)), ("recovered", recovered, int(registered.sum())))
    for name, cameras, expected in counts:
        if cameras is None:
            continue
        if len(cameras) != expected:
            raise CameraError(f"expected {expected} {name} cameras, one a frame, got {len(cameras)}")
        if (cameras.width, cameras.height) != (matches.width, matches.height):
            raise CameraError(
                f"expected {name} cameras of {matches.width}x{matches.height} pictures, as were matched, got "
                f"{cameras.width}x{cameras.height}; use Cameras.resize"
            )
