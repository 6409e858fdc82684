"""The climb: rung after rung, each judged by pixels, until every photo is confirmed; the best is kept."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import PictureSet
from recon.colmap.mappers import MANY_PHOTOS
from recon.compute.progress import note
from recon.compute.seeds import make_generator
from recon.compute.timing import add_elapsed
from recon.errors import BridgeError, MissingDependencyError, RecoveryStatus
from recon.sfm.features.describe import FeatureKind, explain_too_small, why_unavailable
from recon.sfm.judging.judge import judge_cameras
from recon.sfm.ladder.left_out import LeftOut, explain_left_out
from recon.sfm.ladder.rungs import RUNGS, Rung
from recon.sfm.mapping import empty_recovery, spread_recovery
from recon.sfm.matching import MatchedPhotos, keep_photos, match_photos
from recon.sfm.recipes import Recipe
from recon.sfm.reconstruct import Reconstruction, reconstruct
from recon.words import count_noun

log = logging.getLogger(__name__)

JUDGE = 1
"""Number of the judge's stream of random numbers."""
LEAST_MAPPED_AGAIN = 3
"""Confirmed photos that are mapped once more without the others: two alone tell their focal length badly, and stay as they were."""
WHOLE_PIXEL: frozenset[FeatureKind] = frozenset({"xfeat", "disk"})
"""Features that lie on whole pixels, from which cameras are less exact."""
GEOMETRY = "geometry"
"""Folder beside the scratch folder where the answer of a geometry program stays."""
ENOUGH_SHARE = 0.95
"""Share of the photos that must be confirmed for the climb to end: of fewer than 20 photos all. Each rung more costs as much again."""
ENOUGH_OF_MANY = 0.8
"""The same of `MANY_PHOTOS`, of which the incremental mapper's rungs take hours; nor are these mapped again without
the others, who have little part in their cameras. Of 437 photos 400 were confirmed, of which mapping and judging again took 27 minutes."""


@dataclass(frozen=True)
class Attempt:
    """What came of one rung."""

    rung: str
    registered: int
    trusted: int
    """Photos whose cameras the pixels confirm."""
    seconds: float
    status: RecoveryStatus


@dataclass(frozen=True)
class Climb:
    """The best of several reconstructions, without the photos that its pixels do not confirm."""

    reconstruction: Reconstruction
    recipe: Recipe
    """Of the rung that was kept."""
    attempts: tuple[Attempt, ...]
    left_out: tuple[LeftOut, ...]
    """The photos without a camera."""


def climb(
    clip: PictureSet,
    folder: Path,
    *,
    rungs: Sequence[Rung] = RUNGS,
    focal_prior_px: Mapping[int, float] | None = None,
    lens_groups: Sequence[int] | None = None,
    ordered: bool = False,
    seed: int = 0,
    threads: int = -1,
) -> Climb:
    """Reconstruct photos by rung after rung, judge each result by pixels, and keep the best.

    The best is the one with the most confirmed photos, of equals one whose features are exact to less than a pixel, of these the
    first. Photos that are not confirmed have no camera in it: where three or more are left, these are mapped once more, so
    that the others have no part in their cameras. Rungs whose features are not installed are passed over, and later ones for whose
    features a photo is too small.

    Args:
        clip, folder, focal_prior_px, lens_groups, ordered, threads: see `reconstruct`.

    Raises:
        ReconstructionError: as `reconstruct`.
        BridgeError: a geometry program failed, and no recipe was tried before it.
    """
    photos = _Photos(clip, folder, focal_prior_px, lens_groups, ordered, seed, threads)
    attempts: list[Attempt] = []
    best: _Result | None = None
    linked = torch.zeros(len(clip), dtype=torch.bool)
    for rung in rungs:
        if reason := _explain_unfit(rung, clip, first=best is None):
            log.info("%s: %s", rung.name, reason)
            continue
        started = time.perf_counter()
        given = None
        if rung.geometry is not None:
            try:
                given = rung.geometry.find_cameras(clip, folder.parent / GEOMETRY)
            except BridgeError as error:
                if best is None:
                    raise
                note(f"{rung.name}: {error}; going on with what the recipes found")
                attempts.append(_failed_attempt(rung, started))
                continue
        found = photos.reconstruct(rung.recipe, given=given)
        trusted = photos.without_doubted(found)
        linked |= found.reconstruction.linked
        recovery = found.reconstruction.recovery
        seconds = round(time.perf_counter() - started, 3)
        attempts.append(
            Attempt(rung.name, int(recovery.registered.sum()), trusted.count, seconds, recovery.status)
        )
        note(_explain_attempt(attempts[-1], len(clip)))
        if best is None or trusted.worth > best.worth:
            best = trusted
        if photos.are_enough(best.count):
            break
    if best is None:
        raise MissingDependencyError(why_unavailable(rungs[0].recipe.features) or "expected a rung, got none")
    registered = best.reconstruction.recovery.registered.tolist()
    left_out = explain_left_out(clip.names, registered, photos.count_features(), linked.tolist())
    return Climb(best.reconstruction, best.recipe, tuple(attempts), left_out)


def _failed_attempt(rung: Rung, started: float) -> Attempt:
    return Attempt(rung.name, 0, 0, round(time.perf_counter() - started, 3), RecoveryStatus.FAILED)


def _explain_unfit(rung: Rung, clip: PictureSet, *, first: bool) -> str | None:
    """Why a rung is passed over; None where it is tried. The first refuses pictures that are too small for it itself."""
    if len(clip) < rung.photos_from:
        return f"it is for {count_noun(rung.photos_from, 'photo')} or more"
    if rung.photos_up_to is not None and len(clip) > rung.photos_up_to:
        return f"it is for up to {count_noun(rung.photos_up_to, 'photo')}"
    if rung.geometry is not None and len(clip) < 2:
        return "one photo has no other to be seen with"
    features = rung.recipe.features
    return why_unavailable(features) or (None if first else explain_too_small(clip, features))


def _explain_attempt(attempt: Attempt, photos: int) -> str:
    return (
        f"{attempt.rung}: {attempt.registered} of {count_noun(photos, 'photo')} registered, {attempt.trusted} confirmed by "
        f"their pixels ({attempt.seconds:.0f} s)"
    )


@dataclass(frozen=True)
class _Result:
    """A reconstruction and what its pixels say of it."""

    reconstruction: Reconstruction
    recipe: Recipe
    trusted: Bool[Tensor, "r"] | None
    """Whether the pixels confirm each registered photo; None where there are none to judge."""
    given: Cameras | None = None
    """Rough cameras that it came from, of all photos."""

    @property
    def count(self) -> int:
        """Confirmed photos."""
        return 0 if self.trusted is None else int(self.trusted.sum())

    @property
    def worth(self) -> tuple[int, bool]:
        """Confirmed photos, and whether their features are exact to less than a pixel: what the better of two results has more of."""
        return self.count, self.recipe.features not in WHOLE_PIXEL


@dataclass
class _Photos:
    """Photos that are reconstructed by several recipes; those with the same features share these and their matches."""

    clip: PictureSet
    folder: Path
    focal_prior_px: Mapping[int, float] | None
    lens_groups: Sequence[int] | None
    ordered: bool
    seed: int
    threads: int
    matched: dict[FeatureKind, MatchedPhotos] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    """For matching by each kind of features."""

    def reconstruct(
        self, recipe: Recipe, kept: Sequence[int] | None = None, given: Cameras | None = None
    ) -> _Result:
        """Reconstruct all photos, or those in `kept` alone, and judge what came out; `given` are rough cameras of all."""
        recipe = replace(recipe, seed=self.seed)
        if len(self.clip) < 2:
            return _Result(reconstruct(self.clip, self.folder, recipe=recipe), recipe, None)
        if recipe.features not in self.matched:
            with add_elapsed(self.seconds, recipe.features):
                self.matched[recipe.features] = match_photos(
                    self.clip, recipe, ordered=self.ordered, threads=self.threads
                )
        matched, clip, groups = self.matched[recipe.features], self.clip, self.lens_groups
        if kept is not None:
            matched, clip = keep_photos(matched, kept), clip[kept]
            groups = None if groups is None else [groups[i] for i in kept]
            given = None if given is None else given[list(kept)]
        found = reconstruct(
            clip,
            self.folder,
            recipe=recipe,
            focal_prior_px=self.focal_prior_px,
            lens_groups=groups,
            ordered=self.ordered,
            threads=self.threads,
            matched=matched,
            given=given,
        )
        seconds = {**found.recovery.seconds, "matching": self.seconds[recipe.features]}
        found = replace(found, recovery=replace(found.recovery, seconds=seconds))
        if found.clip is None or len(found.clip) < 2:
            return _Result(found, recipe, None, given)
        judgement = judge_cameras(
            found.clip,
            found.recovery.points,
            generator=make_generator(self.seed, JUDGE),
            matches=None if found.matched is None else found.matched.matches,
            exact=recipe.features not in WHOLE_PIXEL,
        )
        return _Result(found, recipe, judgement.trusted, given)

    @property
    def many(self) -> bool:
        """Whether they begin with the global mapper."""
        return len(self.clip) >= MANY_PHOTOS

    def are_enough(self, confirmed: int) -> bool:
        """Whether the climb ends with so many confirmed photos."""
        return confirmed >= (ENOUGH_OF_MANY if self.many else ENOUGH_SHARE) * len(self.clip)

    def count_features(self) -> list[int]:
        """Of each photo the most features of any kind that was looked for."""
        counts = [[len(one) for one in matched.features] for matched in self.matched.values()]
        return [max(each) for each in zip(*counts, strict=True)] if counts else [0] * len(self.clip)

    def without_doubted(self, found: _Result) -> _Result:
        """The confirmed photos alone, mapped once more where that confirms them all; an empty result where none are."""
        trusted = found.trusted
        if trusted is None or bool(trusted.all()):
            return found
        if found.count < 2:
            nothing = empty_recovery(self.clip, RecoveryStatus.INCONSISTENT)
            empty = replace(found.reconstruction, recovery=nothing, clip=None, lenses={}, matched=None)
            return _Result(empty, found.recipe, None)
        rows = found.reconstruction.recovery.registered.nonzero()[trusted, 0].tolist()
        few = len(rows) < LEAST_MAPPED_AGAIN or (self.many and self.are_enough(len(rows)))
        again = found if few else self.reconstruct(found.recipe, rows, found.given)
        if again is not found and again.count == found.count:
            whole = spread_recovery(again.reconstruction.recovery, rows, self.clip.names)
            linked = found.reconstruction.linked
            return replace(again, reconstruction=replace(again.reconstruction, recovery=whole, linked=linked))
        return _Result(found.reconstruction.keep(trusted), found.recipe, trusted[trusted])
