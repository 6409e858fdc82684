"""Photos without cameras to photos with cameras."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.compute.progress import progress
from recon.compute.timing import add_elapsed
from recon.errors import ReconstructionError, RecoveryStatus
from recon.lens import Lens
from recon.recovery import Recovery
from recon.sfm import mapping
from recon.sfm.features.describe import require
from recon.sfm.matching import MatchedPhotos, match_photos, undistort_matched
from recon.sfm.recipes import PHOTOS, Recipe, refuse_guided
from recon.sfm.verification import verify_matches


@dataclass(frozen=True)
class Reconstruction:
    """What structure from motion made of photos taken with one lens."""

    recovery: Recovery
    """Cameras are pinholes: those of `lens` without its distortion."""
    clip: Clip | None
    """The registered photos only, undistorted, with cameras; None where nothing was registered."""
    lens: Lens | None
    """Lens of the photos; `lens.undistort` prepares held-out photos in the same way."""
    matched: MatchedPhotos | None
    """Features and matches of the photos of `clip`, in their undistorted pixels; None where nothing was registered."""


def reconstruct(
    clip: Clip,
    folder: Path,
    *,
    recipe: Recipe = PHOTOS,
    focal_prior_px: float | None = None,
    K: Float[Tensor, "3 3"] | None = None,
    ordered: bool = False,
    threads: int = -1,
) -> Reconstruction:
    """Structure from motion (COLMAP; Schönberger and Frahm 2016) over photos taken with one lens.

    With `focal_prior_px` the mapper keeps that focal length, and a last bundle adjustment refines it (flat scenes seen
    from above would otherwise lead it astray); `K` is known for certain and kept. Hard pictures are a `RecoveryStatus`,
    not an exception. The world is that of the largest model, in COLMAP's arbitrary gauge. Same photos, recipe and
    seed: same result, bit for bit.

    Args:
        clip: any cameras of it are ignored.
        folder: for scratch; replaced.
        ordered: frames of a video.
        threads: for features and verification, -1 for all cores; mapping runs on one.

    Raises:
        ReconstructionError: a recipe with guided matching or a lens for each photo, or with fixed intrinsics and no `K`.
        MissingDependencyError: learned features whose package is not installed.
    """
    _check_recipe(recipe, K)
    require(recipe.features)
    if len(clip) < 2:
        return _nothing(clip, RecoveryStatus.TOO_FEW_IMAGES, {})
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seconds: dict[str, float] = {}
    database, known = folder / "database.db", K is not None or focal_prior_px is not None
    lenses = mapping.guess_cameras(clip, None if K is None else K.expand(len(clip), 3, 3), focal_prior_px)
    with progress("structure from motion", 3) as update:
        with add_elapsed(seconds, "matching"):
            matched = match_photos(clip, recipe, ordered=ordered, threads=threads)
        update(1, "features and matches")
        with add_elapsed(seconds, "verification"):
            status = verify_matches(
                database, lenses, matched.matches, shared=True, known=known, seed=recipe.seed, threads=threads
            )
        update(2, "verification")
        if status is not RecoveryStatus.OK:
            return _nothing(clip, status, seconds)
        with add_elapsed(seconds, "mapping"):
            recovery = mapping.map_by_recipe(
                recipe,
                database,
                clip,
                folder / "mapping",
                keypoints=matched.matches.keypoints,
                fixed=known,
                refine_from_px=focal_prior_px if K is None else None,
            )
        update(3, "mapping")
    return _undistort(clip, replace(recovery, seconds=seconds), matched)


def _check_recipe(recipe: Recipe, K: Tensor | None) -> None:
    """Refuse recipes that one lens and reusable matches rule out.

    Raises:
        ReconstructionError: says what to do instead.
    """
    refuse_guided(recipe)
    if recipe.intrinsics == "free":
        raise ReconstructionError(
            "expected a recipe with one lens for all photos, got intrinsics 'free'; recover such photos with Recoverer, "
            "or take intrinsics 'shared'"
        )
    if recipe.intrinsics == "fixed" and K is None:
        raise ReconstructionError(
            "fixed intrinsics were asked for, and none are known; give K, or take intrinsics 'shared'"
        )


def _undistort(clip: Clip, recovery: Recovery, matched: MatchedPhotos) -> Reconstruction:
    """The registered photos without distortion, with their cameras, features and matches."""
    if recovery.cameras is None:
        return Reconstruction(recovery, None, None, None)
    lens = recovery.lenses[0]
    kept = recovery.registered.nonzero()[:, 0].tolist()
    posed = replace(lens.undistort(clip[kept]), cameras=recovery.cameras)
    return Reconstruction(recovery, posed, lens, undistort_matched(matched, kept, lens))


def _nothing(clip: Clip, status: RecoveryStatus, seconds: dict[str, float]) -> Reconstruction:
    return Reconstruction(replace(mapping.empty_recovery(clip, status), seconds=seconds), None, None, None)
