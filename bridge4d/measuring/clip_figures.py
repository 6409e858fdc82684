"""Figures of one clip after pose recovery: consistency, pose errors and the path for the report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from bridge4d.measuring.clip_result import NO_INTRINSICS, NO_REQUEST
from eval.geometry.consistency import consistency, recovered_consistency
from eval.geometry.measured import Measured
from eval.geometry.motion import Motion, MotionKind
from eval.geometry.regions import region_agreement
from eval.geometry.tracks import track_figures
from eval.geometry.view_synthesis import requested_synthesis, view_synthesis
from eval.paths.conventions import compare_readings
from eval.paths.fault import WITHOUT_PATH, PathCheck
from eval.paths.readings import STATED
from eval.poses import align_poses
from eval.results.conventions import CANNOT_TELL, ReadingCheck
from eval.results.measure import ErrorValue, Trajectory, Value
from eval.trajectories import ERRORS, ROTATION_ERRORS, trajectory_errors
from recon.camera_files.convention import CONVENTIONS, Convention
from recon.cameras import Cameras
from recon.clips.read import ReadClip
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sfm.anchor import triangulate_matches
from recon.sfm.matches import Matches

NOT_RECOVERED = "poses not recovered"
"""Why a figure that needs recovered poses is undefined."""


def consistency_figures(
    matches: Matches,
    motion: Motion,
    recovery: Recovery,
    recovered: bool,
    read: ReadClip,
    generator: torch.Generator,
) -> dict[str, Measured]:
    """Consistency by matches alone, against the requested cameras, against the recovered ones, and of tracks."""
    found = consistency(
        matches,
        motion,
        requested=read.clip.cameras,
        intrinsics_known=read.intrinsics_known,
        recovered=None,
        registered=recovery.registered,
        generator=generator,
    )
    if recovered:
        found |= recovered_consistency(
            undistort_matches(matches, recovery),
            motion,
            recovered=raw_pinholes(recovery),
            registered=recovery.registered,
        )
    still = "" if motion.kind is MotionKind.GENERAL else motion.kind.value
    return found | track_figures(recovery, still if recovered else NOT_RECOVERED)


def to_values(figures: Mapping[str, Measured]) -> dict[str, Value]:
    """Figures as a result stores them."""
    return {
        name: Value(value=v.value, undefined_because=v.undefined_because, count=v.count)
        for name, v in figures.items()
    }


def raw_pinholes(recovery: Recovery) -> Cameras:
    """The recovered cameras with the intrinsics in whose pixels `undistort_matches` answers."""
    assert recovery.cameras is not None
    return replace(recovery.cameras, K=torch.stack([lens.raw_K for lens in recovery.lenses]))


def undistort_matches(matches: Matches, recovery: Recovery) -> Matches:
    """Move matches to where the recovered pinholes see them; frames that were not registered keep theirs.

    Left out are matches at the corners of pictures where a strong distortion has no inverse.
    """
    rows = (torch.cumsum(recovery.registered, 0) - 1).tolist()
    keypoints = tuple(
        recovery.lenses[rows[i]].undistort_points(xy) if registered else xy
        for i, (xy, registered) in enumerate(
            zip(matches.keypoints, recovery.registered.tolist(), strict=True)
        )
    )
    sound = [xy.isfinite().all(1) for xy in keypoints]
    indices = tuple(
        pair[sound[a][pair[:, 0]] & sound[b][pair[:, 1]]]
        for (a, b), pair in zip(matches.pairs, matches.indices, strict=True)
    )
    return replace(matches, keypoints=keypoints, indices=indices)


def thorough_figures(
    matches: Matches,
    motion: Motion,
    recovery: Recovery,
    recovered: bool,
    read: ReadClip,
    folder: Path,
    generator: torch.Generator,
) -> dict[str, Measured]:
    """Figures that take seconds a clip: agreement of image regions, and splats fitted to some of the frames.

    Args:
        folder: for scratch.
    """
    clip = read.clip
    why_not = "" if recovered else NOT_RECOVERED
    if motion.kind is not MotionKind.GENERAL:
        why_not = motion.kind.value
    K, posed, raw = None, None, matches
    if not why_not and recovery.cameras is not None:
        K = recovery.lenses[0].raw_K
        straight = undistort_matches(matches, recovery)
        lens = recovery.lenses[0]
        registered = clip[recovery.registered.nonzero()[:, 0]]
        posed = replace(lens.undistort(registered), cameras=recovery.cameras)
        same_lens = all(other == lens for other in recovery.lenses)
        if not same_lens:
            why_not = "a lens of its own for each frame"
        matches = straight
    found = region_agreement(matches, K, undefined_because=why_not, generator=generator)
    found |= view_synthesis(posed, recovery.points, undefined_because=why_not, generator=generator)
    return found | _requested_figures(raw, recovery, read, why_not, folder, generator)


def _requested_figures(
    matches: Matches,
    recovery: Recovery,
    read: ReadClip,
    why_not: str,
    folder: Path,
    generator: torch.Generator,
) -> dict[str, Measured]:
    """The registered frames as splats show them that were fitted with the requested cameras.

    Args:
        matches: in the pixels of the frames as they are: the requested cameras have no distortion.
    """
    posed, points = None, PointCloud.empty()
    if not (why_not or read.intrinsics_known):
        why_not = NO_REQUEST if read.clip.cameras is None else NO_INTRINSICS
    if not why_not:
        kept = recovery.registered.nonzero()[:, 0].tolist()
        posed = read.clip[kept]
        points = triangulate_matches(posed, matches.of_pictures(kept), folder / "requested")
    return requested_synthesis(posed, points, undefined_because=why_not, generator=generator)


def error_values(
    recovery: Recovery, recovered: bool, requested: Cameras | None, check: PathCheck
) -> dict[str, ErrorValue]:
    """Pose errors against the requested cameras; of a clip that was not recovered only the worst value.

    Undefined where the pictures cannot tell the path, and of the worst translation where the camera does not move.
    """
    if requested is None:
        nothing = ErrorValue(value=None, worst=None, undefined_because=NO_REQUEST)
        return dict.fromkeys(ERRORS, nothing)
    cameras = recovery.cameras if recovered else None
    registered = recovery.registered if recovered else torch.zeros_like(recovery.registered)
    found = trajectory_errors(cameras, registered, requested)
    if check.untold:
        return {key: ErrorValue(undefined_because=check.untold) for key in found}
    if WITHOUT_PATH & set(check.faults):  # the recovered baselines are noise
        found |= {
            key: replace(error, value=error.worst, undefined_because="")
            for key, error in found.items()
            if key not in ROTATION_ERRORS
        }
    return {
        key: ErrorValue(value=e.value, worst=e.worst, undefined_because=e.undefined_because)
        for key, e in found.items()
    }


def check_readings(
    matches: Matches, recovery: Recovery, recovered: bool, read: ReadClip, generator: torch.Generator
) -> ReadingCheck:
    """Whether the requested cameras were read as they were meant, by the matches alone.

    Where the request states no lens, that of the recovery is taken.
    """
    requested = read.clip.cameras
    if requested is None:
        return ReadingCheck()
    if not read.intrinsics_known:
        if not recovered:
            return ReadingCheck(CANNOT_TELL, NO_INTRINSICS)
        matches = undistort_matches(matches, recovery)
        K = torch.stack([lens.raw_K for lens in recovery.lenses]).median(0).values
        requested = replace(requested, K=K.expand(len(requested), 3, 3))
    known = read.convention in map(str, CONVENTIONS)
    check = compare_readings(
        matches,
        requested,
        stated=Convention.parse(read.convention) if known else STATED,
        lens_known=read.intrinsics_known,
        generator=generator,
    )
    return replace(check, convention=read.convention, format=read.format)


def draw_trajectory(
    recovery: Recovery, requested: Cameras | None, *, marked: Sequence[int] = ()
) -> Trajectory | None:
    """The recovered path aligned to the requested one, for the report; None without either."""
    found = recovery.cameras
    if found is None and requested is None:
        return None
    aligned = False
    if found is not None and requested is not None:
        similarity = align_poses(found, requested[recovery.registered])
        aligned = similarity is not None
        found = found if similarity is None else similarity.cameras(found)
    places: list[list[float] | None] = [None] * len(recovery.names)
    gazes: list[list[float] | None] = [None] * len(recovery.names)
    if found is not None:
        for row, i in enumerate(recovery.registered.nonzero()[:, 0].tolist()):
            places[i] = _to_list(found.centers[row])
            gazes[i] = _to_list(found.forward[row])
    return Trajectory(
        requested=None if requested is None else [_to_list(x) for x in requested.centers],
        requested_forward=None if requested is None else [_to_list(x) for x in requested.forward],
        recovered=places,
        recovered_forward=gazes,
        aligned=aligned,
        marked=list(marked),
    )


def _to_list(vector: Float[Tensor, "3"]) -> list[float]:
    """Six significant digits: a plot needs no more, and reports stay small."""
    return [float(f"{x:.6g}") for x in vector.tolist()]
