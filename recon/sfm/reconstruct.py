"""Photos without cameras to photos with cameras."""

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import PictureSet
from recon.colmap.database import read_verified_pairs
from recon.colmap.model import Camera
from recon.compute.progress import progress
from recon.compute.timing import add_elapsed
from recon.errors import ReconstructionError, RecoveryStatus
from recon.lens import Lens, undistort_clip
from recon.pictures.canvas import find_boxes
from recon.recovery import Recovery
from recon.sfm import mapping
from recon.sfm.features.describe import require
from recon.sfm.matching import MatchedPhotos, keep_photos, match_photos, move_to_boxes, undistort_matched
from recon.sfm.recipes import PHOTOS, Recipe, refuse_guided
from recon.sfm.verification import verify_matches


@dataclass(frozen=True)
class Reconstruction:
    """What structure from motion made of photos taken with one lens or several."""

    recovery: Recovery
    """Cameras are pinholes: those of the lenses without distortion, for the canvas of the photos."""
    clip: PictureSet | None
    """The registered photos only, undistorted, with cameras; None where nothing was registered."""
    lenses: Mapping[int, Lens]
    """By group the lens of its photos, for their boxes; groups without a registered photo have none.
    `recon.lens.undistort_clip` prepares held-out photos in the same way."""
    matched: MatchedPhotos | None
    """Features and matches of the photos of `clip`, in their undistorted pixels; None where nothing was registered."""
    linked: Bool[Tensor, "n"]
    """Whether verified matches link each photo with another, registered or not."""

    def keep(self, kept: Bool[Tensor, "r"]) -> "Reconstruction":
        """Some of the r registered photos as they are, with their lenses alone; the points stay."""
        assert self.clip is not None
        assert self.matched is not None
        rows = kept.nonzero()[:, 0].tolist()
        recovery = mapping.select_registered(self.recovery, kept)
        return replace(
            self,
            recovery=recovery,
            clip=self.clip[rows],
            lenses={group: lens for group, lens in self.lenses.items() if lens in recovery.lenses},
            matched=keep_photos(self.matched, rows),
        )

    @property
    def lens(self) -> Lens | None:
        """The lens of the photos where they share one; else None."""
        return next(iter(self.lenses.values())) if len(self.lenses) == 1 else None


def reconstruct(
    clip: PictureSet,
    folder: Path,
    *,
    recipe: Recipe = PHOTOS,
    focal_prior_px: float | Mapping[int, float] | None = None,
    K: Float[Tensor, "3 3"] | None = None,
    lens_groups: Sequence[int] | None = None,
    ordered: bool = False,
    threads: int = -1,
    matched: MatchedPhotos | None = None,
    given: Cameras | None = None,
) -> Reconstruction:
    """Structure from motion (COLMAP; Schönberger and Frahm 2016) over photos taken with one lens or several.

    With `focal_prior_px` the mapper keeps that focal length, and a last bundle adjustment refines it (flat scenes seen
    from above would otherwise lead it astray); `K` is known for certain and kept. Hard pictures are a `RecoveryStatus`,
    not an exception. The world is that of the largest model, in COLMAP's arbitrary gauge. Same photos, recipe and
    seed: same result, bit for bit.

    Args:
        clip: any cameras of it are ignored; confidence is 0 outside of each picture's box, which its lens belongs to.
        folder: for scratch; replaced.
        focal_prior_px: of all photos, or by lens group; groups without one begin with a guess.
        K: of the canvas of all photos.
        lens_groups: number of each photo's lens, unknown but the same for all photos with it; None: all share one.
        ordered: frames of a video.
        threads: for features and verification, -1 for all cores; mapping runs on one.
        matched: features and matches of the photos, where they are known already.
        given: cameras that are roughly right, say of a network, for the canvas of the photos; NaN for photos without. They are adjusted
            to the matches, and nothing is mapped; photos without matches keep them.

    Raises:
        ReconstructionError: a recipe with guided matching or a lens for each photo, or with fixed intrinsics and no `K`;
            not one group for each photo.
        MissingDependencyError: learned features whose package is not installed.
    """
    _check_recipe(recipe, K)
    require(recipe.features)
    if len(clip) < 2:
        return _nothing(clip, RecoveryStatus.TOO_FEW_IMAGES, {})
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    seconds: dict[str, float] = {}
    database = folder / "database.db"
    if given is not None:
        focal_prior_px = _middle_focals(given, lens_groups)
    start = _start_lenses(clip, focal_prior_px, K, lens_groups)
    known = any(start.known)
    with progress("structure from motion", 3) as update:
        with add_elapsed(seconds, "matching"):
            if matched is None:
                matched = match_photos(clip, recipe, ordered=ordered, threads=threads)
        update(1, "matched, verifying")
        with add_elapsed(seconds, "verification"):
            status = verify_matches(
                database,
                start.cameras,
                move_to_boxes(matched.matches, find_boxes(start.clip)),
                groups=start.groups,
                known=start.known,
                seed=recipe.seed,
                threads=threads,
            )
        update(2, "verified, mapping")
        if status is not RecoveryStatus.OK:
            return _nothing(clip, status, seconds)
        linked = torch.zeros(len(clip), dtype=torch.bool)
        linked[sorted({i for pair in read_verified_pairs(database) for i in pair})] = True
        with add_elapsed(seconds, "mapping"):
            if given is None:
                recovery = mapping.map_by_recipe(
                    recipe,
                    database,
                    start.clip,
                    folder / "mapping",
                    keypoints=matched.matches.keypoints,
                    fixed=known,
                    refine=known and K is None,
                )
            else:
                recovery = mapping.map_given(
                    recipe,
                    database,
                    start.clip,
                    folder / "mapping",
                    keypoints=matched.matches.keypoints,
                    cameras=start.cameras,
                    cam_from_world=given.cam_from_world,
                )
        update(3, "mapped")
    return _undistort(start, clip, replace(recovery, seconds=seconds), matched, linked)


@dataclass(frozen=True)
class _Start:
    """What is known of the photos' lenses before mapping."""

    clip: PictureSet
    """Its boxes are the parts that the cameras are for."""
    groups: Sequence[int]
    cameras: list[Camera]
    """A first camera for each photo."""
    known: list[bool]
    """Whether its focal length is exact."""


def _start_lenses(
    clip: PictureSet,
    focal_prior_px: float | Mapping[int, float] | None,
    K: Float[Tensor, "3 3"] | None,
    lens_groups: Sequence[int] | None,
) -> _Start:
    groups = [0] * len(clip) if lens_groups is None else lens_groups
    if len(groups) != len(clip):
        raise ReconstructionError(f"expected a lens group for each of {len(clip)} photos, got {len(groups)}")
    if K is not None:
        whole = replace(clip, confidence=None)
        cameras = mapping.guess_cameras(whole, K.expand(len(clip), 3, 3))
        return _Start(whole, groups, cameras, [True] * len(clip))
    prior = focal_prior_px if isinstance(focal_prior_px, Mapping) else dict.fromkeys(groups, focal_prior_px)
    focals_px = [prior.get(group) for group in groups]
    cameras = mapping.guess_cameras(clip, None, focals_px)
    return _Start(clip, groups, cameras, [focal is not None for focal in focals_px])


def _middle_focals(given: Cameras, lens_groups: Sequence[int] | None) -> dict[int, float]:
    """Median focal length of the cameras of each group, pixels; groups without a camera have none."""
    groups = torch.zeros(len(given)) if lens_groups is None else torch.tensor(lens_groups)
    focals = given.K[:, 0, 0]
    found = {int(group): float(focals[groups == group].nanmedian()) for group in groups.unique()}
    return {group: focal for group, focal in found.items() if math.isfinite(focal)}


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


def _undistort(
    start: _Start, clip: PictureSet, recovery: Recovery, matched: MatchedPhotos, linked: Bool[Tensor, "n"]
) -> Reconstruction:
    """The registered photos without distortion, with their cameras, features and matches."""
    if recovery.cameras is None:
        return Reconstruction(recovery, None, {}, None, linked)
    kept, lenses = recovery.registered.nonzero()[:, 0].tolist(), recovery.lenses
    taken = start.clip if len(kept) == len(clip) else start.clip[kept]  # indexing copies all pictures
    posed = replace(
        undistort_clip(taken, lenses),
        cameras=recovery.cameras,
        confidence=clip.confidence if clip.confidence is None else clip.confidence[kept],
    )
    lens_of: dict[int, Lens] = {}
    for i, lens in zip(kept, lenses, strict=True):
        lens_of.setdefault(start.groups[i], lens)
    straight = undistort_matched(matched, kept, lenses, find_boxes(taken))
    return Reconstruction(recovery, posed, lens_of, straight, linked)


def _nothing(clip: PictureSet, status: RecoveryStatus, seconds: dict[str, float]) -> Reconstruction:
    empty = replace(mapping.empty_recovery(clip, status), seconds=seconds)
    return Reconstruction(empty, None, {}, None, empty.registered)
