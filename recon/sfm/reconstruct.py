"""Photos without cameras to photos with cameras."""

import logging
import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.compute.progress import progress
from recon.errors import RecoveryStatus
from recon.lens import Lens
from recon.recovery import Recovery
from recon.sfm import mapping
from recon.sfm.features.describe import describe, match_pairs, require
from recon.sfm.features.keypoints import Features
from recon.sfm.matches import Matches
from recon.sfm.pairs import choose_pairs
from recon.sfm.recipes import PHOTOS, Recipe
from recon.sfm.verification import verify_matches

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MatchedPhotos:
    """Features of photos and their putative matches, so that nothing that follows need find them again."""

    features: tuple[Features, ...]
    matches: Matches


@dataclass(frozen=True)
class Reconstruction:
    recovery: Recovery
    """Cameras are pinholes: those of `lens` without its distortion."""
    clip: Clip | None
    """The registered photos only, undistorted, with cameras; None where nothing was registered."""
    lens: Lens | None
    """What the photos were taken with: `lens.undistort` prepares photos held out in the same way."""
    matched: MatchedPhotos | None
    """Features and matches of the photos of `clip`, in their undistorted pixels; None where nothing was registered."""


def match_photos(clip: Clip, recipe: Recipe, *, ordered: bool = False, threads: int = -1) -> MatchedPhotos:
    """Features of photos, and their putative matches.

    Args:
        ordered: frames of a video.
        threads: of COLMAP's SIFT, -1 for all cores; the result is the same.

    Raises:
        MissingDependencyError: learned features whose package is not installed.
    """
    features = describe(clip, recipe.features, max_features=recipe.max_features, threads=threads)
    pairs = choose_pairs(len(clip), sequential=recipe.is_sequential(len(clip), ordered=ordered))
    return MatchedPhotos(features, match_pairs(features, recipe.features, pairs))


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
        MissingDependencyError: learned features whose package is not installed.
    """
    require(recipe.features)
    if len(clip) < 2:
        return _nothing(clip, RecoveryStatus.TOO_FEW_IMAGES, {})
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seconds: dict[str, float] = {}
    with progress("structure from motion", 3) as update:
        started = time.perf_counter()
        matched = match_photos(clip, recipe, ordered=ordered, threads=threads)
        seconds["matching"] = time.perf_counter() - started
        update(1, "features and matches")

        started = time.perf_counter()
        database, known = folder / "database.db", K is not None or focal_prior_px is not None
        status = verify_matches(
            database,
            mapping.guess_cameras(clip, None if K is None else K.expand(len(clip), 3, 3), focal_prior_px),
            matched.matches,
            shared=True,
            known=known,
            seed=recipe.seed,
            threads=threads,
        )
        seconds["verification"] = time.perf_counter() - started
        update(2, "verification")
        if status is not RecoveryStatus.OK:
            return _nothing(clip, status, seconds)

        started = time.perf_counter()
        recovery = mapping.map_database(
            database,
            clip,
            folder / "mapping",
            keypoints=matched.matches.keypoints,
            mapper="incremental" if recipe.mapper == "either" else recipe.mapper,
            settings=recipe.mapping,
            fixed=known,
            calibrate=recipe.calibrate,
            refine_from_px=focal_prior_px if K is None else None,
            seed=recipe.seed,
        )
        seconds["mapping"] = time.perf_counter() - started
        update(3, "mapping")
    recovery = replace(recovery, seconds=seconds)
    if recovery.cameras is None:
        return Reconstruction(recovery, None, None, None)
    lens = recovery.lenses[0]
    kept = recovery.registered.nonzero()[:, 0].tolist()
    undistorted = lens.undistort(clip[kept])
    posed = replace(undistorted, cameras=recovery.cameras)
    return Reconstruction(recovery, posed, lens, _undistort_matched(matched, kept, lens))


def _undistort_matched(matched: MatchedPhotos, kept: list[int], lens: Lens) -> MatchedPhotos:
    """Features and matches of some of the photos, in the pixels of these without distortion.

    Features whose rays the lens does not know lose their matches and lie at (0, 0).
    """
    K = lens.K
    features, known = [], []
    for i in kept:
        xy = lens.undistort_points(matched.features[i].xy, K)
        finite = xy.isfinite().all(1)
        features.append(replace(matched.features[i], xy=torch.where(finite[:, None], xy, 0.0)))
        known.append(finite)
    slot = {i: row for row, i in enumerate(kept)}
    pairs, indices = [], []
    for (a, b), rows in matched.matches.by_pair():
        if a in slot and b in slot:
            pair = slot[a], slot[b]
            pairs.append(pair)
            indices.append(rows[known[pair[0]][rows[:, 0]] & known[pair[1]][rows[:, 1]]])
    matches = Matches(
        matched.matches.width,
        matched.matches.height,
        tuple(one.xy for one in features),
        tuple(pairs),
        tuple(indices),
    )
    return MatchedPhotos(tuple(features), matches)


def _nothing(clip: Clip, status: RecoveryStatus, seconds: dict[str, float]) -> Reconstruction:
    return Reconstruction(replace(mapping.empty_recovery(clip, status), seconds=seconds), None, None, None)
