"""One clip, many recipes, no work twice."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.colmap import database as colmap
from recon.errors import ReconstructionError, RecoveryStatus
from recon.matches import Matches
from recon.recovery import Recovery
from recon.sfm import mapping
from recon.sfm.colmap_sift import write_pictures
from recon.sfm.describe import FeatureKind, describe, match_pairs
from recon.sfm.pairs import choose_pairs, sequential_pairs
from recon.sfm.recipes import FRAMES, Recipe
from recon.sfm.verification import MIN_MATCHES, write_verified

MIN_FEATURES = 30
"""A picture with fewer has nothing to say."""
MIN_REGISTERED_SHARE = 0.9
"""Of the pictures: where the global mapper holds so many, the mapper 'either' does not try the incremental one."""
AFFINE_FEATURES = 8192
"""Of a picture; COLMAP's default."""


class Recoverer:
    """Recovers the pictures of one clip by any number of recipes; what two of them share is computed once.

    Everything runs on one thread, and equal clips, recipes and seeds give equal results, bit for bit.

    Args:
        clip: any cameras of it are ignored.
        folder: holds COLMAP's databases and may be removed afterwards.
        K: known intrinsics, one for each picture.
        ordered: frames of a video, for pairing 'auto'.
        max_features: of a picture, instead of the recipes'.
    """

    def __init__(
        self,
        clip: Clip,
        folder: Path,
        *,
        K: Float[Tensor, "n 3 3"] | None = None,
        ordered: bool = True,
        max_features: int | None = None,
    ) -> None:
        self.clip, self.folder, self.K, self.ordered, self.max_features = (
            clip,
            folder,
            K,
            ordered,
            max_features,
        )
        self.seconds: dict[str, float] = {}
        self._matches: dict[tuple[FeatureKind, int, bool], Matches] = {}
        self._verified: dict[tuple[object, ...], Path] = {}
        self._recovered: dict[Recipe, Recovery] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def recover(self, recipe: Recipe) -> Recovery:
        """The largest model that the recipe finds; a failure is a status.

        Raises:
            ReconstructionError: fixed intrinsics, and none are known.
            MissingDependencyError: learned features whose package is not installed.
        """
        if recipe not in self._recovered:
            self._recovered[recipe] = self._recover(recipe)
        return self._recovered[recipe]

    def matches(self, recipe: Recipe = FRAMES) -> Matches:
        """Putative matches of a recipe, not yet verified; `guided` ones have none outside COLMAP's database.

        Raises:
            MissingDependencyError: learned features whose package is not installed.
        """
        sequential = self._is_sequential(recipe)
        limit = self.max_features or recipe.max_features
        key = (recipe.features, limit, sequential)
        if key not in self._matches:
            started = time.perf_counter()
            exhaustive = self._matches.get((recipe.features, limit, False))
            if exhaustive is not None:
                self._matches[key] = _select(exhaustive, sequential_pairs(len(self.clip)))
            else:
                found = describe(self.clip, recipe.features, max_features=limit)
                pairs = choose_pairs(len(self.clip), sequential=sequential)
                self._matches[key] = match_pairs(found, recipe.features, pairs)
            self._took("matching", started)
        return self._matches[key]

    def _is_sequential(self, recipe: Recipe) -> bool:
        if recipe.pairing == "auto":
            return self.ordered and len(self.clip) > recipe.exhaustive_up_to
        return recipe.pairing == "sequential"

    def _recover(self, recipe: Recipe) -> Recovery:
        if recipe.intrinsics == "fixed" and self.K is None:
            raise ReconstructionError(
                "fixed intrinsics were asked for, and the clip comes without; give cameras"
            )
        if len(self.clip) < 2:
            return mapping.nothing(self.clip, RecoveryStatus.TOO_FEW_IMAGES)
        if recipe.mapper == "either":
            found = self.recover(replace(recipe, mapper="global"))
            if found.registered.double().mean() >= MIN_REGISTERED_SHARE:
                return found
            other = self.recover(replace(recipe, mapper="incremental"))
            return max(found, other, key=lambda r: (int(r.registered.sum()), len(r.points)))
        database = self._database(recipe)
        if isinstance(database, RecoveryStatus):
            return mapping.nothing(self.clip, database)
        started = time.perf_counter()
        found = mapping.map_database(
            database,
            self.clip,
            self.folder / "mapping",
            keypoints=None if recipe.guided else self.matches(recipe).keypoints,
            mapper=recipe.mapper,
            settings=recipe.mapping,
            fixed=recipe.intrinsics == "fixed",
            calibrate=recipe.calibrate,
            seed=recipe.seed,
        )
        self._took("mapping", started)
        return found

    def _database(self, recipe: Recipe) -> Path | RecoveryStatus:
        """With verified pairs; what is verified depends on what is known of the lens."""
        key = (
            recipe.guided, recipe.features, self.max_features or recipe.max_features,
            self._is_sequential(recipe), recipe.intrinsics, recipe.seed,
        )  # fmt: skip
        if key in self._verified:
            return self._verified[key]
        path = self.folder / f"{len(self._verified)}.db"
        if recipe.guided:
            started = time.perf_counter()
            status = self._guided_database(path, recipe)
            self._took("affine features", started)
        else:
            matches = self.matches(recipe)
            if not enough_features(matches.keypoints):
                return RecoveryStatus.TOO_FEW_FEATURES
            started = time.perf_counter()
            K = self.K if recipe.intrinsics == "fixed" else None
            status = verify_matches(
                path, self.clip, matches, K=K, shared=recipe.intrinsics == "shared", seed=recipe.seed
            )
            self._took("verification", started)
        if status is not RecoveryStatus.OK:
            return status
        self._verified[key] = path
        return path

    def _guided_database(self, path: Path, recipe: Recipe) -> RecoveryStatus:
        """By COLMAP's own SIFT and matcher. Features depend neither on the lens nor on the seed: they are computed once."""
        K = self.K if recipe.intrinsics == "fixed" else None
        shared = recipe.intrinsics == "shared"
        folder = self.folder / "affine"
        described = folder / ("features.db" if shared else "features-free.db")
        if not described.exists():
            files = write_pictures(self.clip, folder / "pictures")
            sift = {
                "max_num_features": AFFINE_FEATURES,
                "estimate_affine_shape": True,
                "domain_size_pooling": True,
            }
            partial = folder / "partial.db"
            partial.unlink(missing_ok=True)
            colmap.extract(partial, folder / "pictures", files, one_camera=shared, threads=1, sift=sift)
            partial.replace(described)
        shutil.copy(described, path)
        ids = colmap.image_ids(path)
        if sum(len(xy) >= MIN_MATCHES for xy, _ in colmap.read_features(path, ids)) < 2:
            return RecoveryStatus.TOO_FEW_FEATURES
        colmap.set_cameras(path, ids, mapping.guess_cameras(self.clip, K), known=K is not None)
        colmap.match_guided(path, seed=recipe.seed, sequential=self._is_sequential(recipe))
        return RecoveryStatus.OK if colmap.verified_pairs(path) else RecoveryStatus.NO_MATCHES

    def _took(self, what: str, started: float) -> None:
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started


def enough_features(keypoints: Sequence[Float[Tensor, "_ 2"]]) -> bool:
    """Whether at least two pictures have features to be matched by."""
    return sum(len(xy) >= MIN_FEATURES for xy in keypoints) >= 2


def verify_matches(
    database: Path,
    clip: Clip,
    matches: Matches,
    *,
    K: Float[Tensor, "n 3 3"] | None,
    shared: bool,
    seed: int,
) -> RecoveryStatus:
    """Write a database with these matches, verified. OK, or why there is nothing to map.

    With `K` the intrinsics are known; else one camera for all pictures (`shared`) or one for each starts from a guess.
    """
    write_verified(
        database,
        mapping.guess_cameras(clip, K),
        matches.keypoints,
        list(zip(matches.pairs, matches.indices, strict=True)),
        shared=shared and K is None,
        known=K is not None,
        seed=seed,
    )
    return RecoveryStatus.OK if colmap.verified_pairs(database) else RecoveryStatus.NO_MATCHES


def _select(matches: Matches, pairs: list[tuple[int, int]]) -> Matches:
    """The same features, and the matches of some of the pairs."""
    rows = {pair: rows for pair, rows in zip(matches.pairs, matches.indices, strict=True)}
    return replace(matches, pairs=tuple(pairs), indices=tuple(rows[pair] for pair in pairs))
