"""The conventions of pose errors in words: what a source defines, what it leaves open, what was chosen."""

from eval.results.measure import MetricInfo, describe_metric

_CAMERACTRL = "arXiv 2404.02101 (CameraCtrl)"
_CAMI2V = "arXiv 2410.15957 (CamI2V), evaluation/glomap_evaluation.py in github.com/ZGCTroy/CamI2V"
_CAMCO = "arXiv 2406.02509 (CamCo)"
_COSMOS = "arXiv 2501.03575 (Cosmos), post-training for camera control"
_EVO = "Sturm et al. 2012, as in github.com/MichaelGrupp/evo"

_SIM3 = (
    "The recovered path is moved onto the requested one by the similarity that best maps camera centres onto "
    "centres (Umeyama 1991) over the registered frames; for centres that are nearly a line the rotation comes "
    "from the cameras' own rotations instead."
)
_FIRST = "Poses are taken relative to the first frame"
_SCALED = "each path is divided by the distance of its farthest camera from its first"


ERRORS: dict[str, MetricInfo] = {
    "rotation_deg": describe_metric(
        "rotation error",
        "°",
        2,
        "Mean over the registered frames of the angle between recovered and requested rotation, after the one turn "
        "of the world that suits all cameras best (chordal mean of the rotations). Not after an alignment of the "
        "centres as in cosmos_rotation_deg: the centres of an almost straight path leave the roll about it to "
        "chance, and poses that are right to a fraction of a degree then come out wrong by up to 180°.",
        "this project",
    ),
    "position_share": describe_metric(
        "position error",
        "of extent",
        4,
        "Mean over the registered frames of the distance between recovered and requested camera centre, after the same "
        "turn of the world as rotation_deg and the scale and shift that then suit the centres best: one alignment for both, "
        "so that neither hides what the other would show. A path that runs against its request, whose scale would be "
        "negative, counts with the worst error. As a share of the largest distance between two requested centres (over "
        "all frames).",
        "this project",
    ),
    "cameractrl_rot_err": describe_metric(
        "RotErr (CameraCtrl)",
        "rad",
        3,
        "Source: sum over the frames of arccos((tr(R_gen R_gtᵀ) − 1)/2). Left open: the common frame of the two "
        f"paths and what a partly registered clip counts. Chosen: {_FIRST.lower()}; needs every frame, for a sum "
        "over fewer frames is smaller. The angle is taken by atan2, the same number without the loss of digits.",
        _CAMERACTRL,
    ),
    "cameractrl_trans_err": describe_metric(
        "TransErr (CameraCtrl)",
        "of farthest",
        3,
        "Source: sum over the frames of ‖T_gt − T_gen‖, the translations of the extrinsics [R|T]. Left open: the "
        "scale of COLMAP's translations, which is arbitrary (asked in github.com/hehao13/CameraCtrl, unanswered). "
        f"Chosen: {_FIRST.lower()}, as camera-from-first translations, and {_SCALED}; needs every frame. "
        "Published figures of this name may be in another scale.",
        _CAMERACTRL,
    ),
    "cami2v_rot_err": describe_metric(
        "RotErr (CamI2V)",
        "rad",
        3,
        "Source: sum over the frames of the angle between the rotations relative to the first frame. Left open: "
        "a frame that is not registered (the script drops a clip that raises an error). Chosen: needs every "
        "frame. It is the same number as CameraCtrl's RotErr relative to the first frame; the trials that the "
        "source averages over are the caller's.",
        _CAMI2V,
    ),
    "cami2v_trans_err": describe_metric(
        "TransErr (CamI2V)",
        "of farthest",
        3,
        "Source (its variant 'rel'): sum over the frames of the distance between the camera positions in the axes "
        f"of the first camera (first-from-camera translations), where {_SCALED}. Chosen: needs every frame. Its "
        "variant 'abs' scales by a depth network and is not computed.",
        _CAMI2V,
    ),
    "cami2v_cam_mc": describe_metric(
        "CamMC (CamI2V)",
        "",
        3,
        "Source (its variant 'rel'): sum over the frames of the Frobenius norm of the difference of the 3×4 "
        f"first-from-camera matrices [R|t], where {_SCALED}. Chosen: needs every frame. Rotation and translation "
        "are added without units, as in the source.",
        _CAMI2V,
    ),
    "camco_rotation_deg": describe_metric(
        "rotation error (CamCo)",
        "°",
        2,
        f"{_FIRST}; mean angle to the requested rotation. No code is public; which mean is published was not "
        "found out. Chosen: the mean over the registered frames after the first registered one, in degrees.",
        _CAMCO,
    ),
    "camco_translation": describe_metric(
        "translation error (CamCo)",
        "of farthest",
        4,
        f"{_FIRST} and {_SCALED}; mean distance to the requested position. No code is public; which mean is "
        "published was not found out. Chosen: the mean over the registered frames after the first registered one; "
        "first and farthest are taken among the registered frames, of both paths.",
        _CAMCO,
    ),
    "cosmos_rotation_deg": describe_metric(
        "rotation error (Cosmos)",
        "°",
        2,
        f"The mean angle to the requested rotation after a Procrustes alignment of the paths. {_SIM3} Left open: "
        "paths that are nearly straight, whose centres hardly fix the roll about them: expect large angles there, "
        "and see rotation_deg.",
        _COSMOS,
    ),
    "cosmos_translation": describe_metric(
        "translation error (Cosmos)",
        "of farthest",
        4,
        f"The mean distance to the requested position after a Procrustes alignment of the paths. {_SIM3} Left "
        "open: the unit of length. Chosen: the distance of the farthest requested camera from the first (over all "
        "frames), so that clips of different scale can be averaged.",
        _COSMOS,
    ),
    "ate": describe_metric(
        "ATE",
        "request units",
        4,
        f"Root mean square over the registered frames of the distance between the centres. {_SIM3} This differs "
        "from evo for nearly collinear centres only: evo turns them by the centres alone (whose roll noise "
        "decides) or refuses, so that its ATE may be smaller there. In the units of the requested path.",
        _EVO,
    ),
    "ate_share": describe_metric(
        "ATE, share",
        "of extent",
        4,
        "ATE divided by the largest distance between two requested centres (over all frames).",
        _EVO,
    ),
    "rpe_translation_share": describe_metric(
        "RPE, translation",
        "of extent",
        4,
        "Root mean square, over pairs of consecutive frames that are both registered, of the translation part of "
        f"(Q_i⁻¹Q_j)⁻¹(P_i⁻¹P_j). {_SIM3} Only its scale matters here. As a share of the largest distance between "
        "two requested centres. evo pairs registered frames across a gap; here such pairs are left out.",
        _EVO,
    ),
    "rpe_rotation_deg": describe_metric(
        "RPE, rotation",
        "°",
        3,
        "Root mean square, over pairs of consecutive frames that are both registered, of the rotation angle of "
        "(Q_i⁻¹Q_j)⁻¹(P_i⁻¹P_j). Needs no alignment.",
        _EVO,
    ),
}
"""Every convention of `trajectory_errors`, in the order of its result."""

_HALF_TURN = "180°, the largest angle between two rotations"
_SPREAD = (
    "the root mean square distance of the requested centres from their mean: the error of a path shrunk to a "
    "point, which a Sim(3) alignment over all frames never exceeds (a mean distance never exceeds the root mean square)"
)
_BOTH_ENDS = "both paths reach 1 at their farthest camera"

WORST: dict[str, str] = {
    "rotation_deg": _HALF_TURN,
    "position_share": f"{_SPREAD}, as a share of the extent",
    "cameractrl_rot_err": "π in every frame after the first",
    "cameractrl_trans_err": f"2 in every frame after the first, for {_BOTH_ENDS}",
    "cami2v_rot_err": "π in every frame after the first",
    "cami2v_trans_err": f"2 in every frame after the first, for {_BOTH_ENDS}",
    "cami2v_cam_mc": "√(8 + 4) in every frame after the first: ‖ΔR‖² is 8 at 180°, ‖Δt‖² is 4 at opposite ends",
    "camco_rotation_deg": _HALF_TURN,
    "camco_translation": f"2, for {_BOTH_ENDS}",
    "cosmos_rotation_deg": _HALF_TURN,
    "cosmos_translation": f"{_SPREAD}, as a share of the farthest requested camera's distance",
    "ate": _SPREAD,
    "ate_share": f"{_SPREAD}, as a share of the extent",
    "rpe_translation_share": (
        "a bound, as a share of the extent: the root mean square requested step plus 2√(n/(n−1)) times the root "
        "mean square distance of the requested centres from their mean, for an aligned path spreads no wider"
    ),
    "rpe_rotation_deg": _HALF_TURN,
}
"""What a clip counts as, in each convention, where failures are counted as worst."""
