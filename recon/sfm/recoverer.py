"""Recovers one clip by several recipes, and computes what they share once."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.colmap import database as colmap
from recon.errors import ReconstructionError, RecoveryStatus
from recon.recovery import Recovery
from recon.sfm import mapping
from recon.sfm.features.colmap_sift import write_pictures
from recon.sfm.features.describe import FeatureKind, describe, match_pairs
from recon.sfm.matches import Matches
from recon.sfm.pairs import choose_pairs, sequential_pairs
from recon.sfm.recipes import FRAMES, Recipe
from recon.sfm.verification import MIN_MATCHES, verify_matches

MIN_REGISTERED_SHARE = 0.9
"""Share of the pictures that the global mapper must hold for 'either' not to try the incremental one."""
AFFINE_FEATURES = 8192
"""Features of a picture in guided matching; COLMAP's default."""


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
        self.clip, self.folder, self.K = clip, folder, K
        self.ordered, self.max_features = ordered, max_features
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
        key = (recipe.features, self._limit(recipe), self._is_sequential(recipe))
        if key not in self._matches:
            started = time.perf_counter()
            exhaustive = self._matches.get((*key[:2], False))
            if exhaustive is not None:
                self._matches[key] = _select(exhaustive, sequential_pairs(len(self.clip)))
            else:
                found = describe(self.clip, recipe.features, max_features=self._limit(recipe))
                pairs = choose_pairs(len(self.clip), sequential=self._is_sequential(recipe))
                self._matches[key] = match_pairs(found, recipe.features, pairs)
            self._took("matching", started)
        return self._matches[key]

    def _limit(self, recipe: Recipe) -> int:
        return self.max_features or recipe.max_features

    def _is_sequential(self, recipe: Recipe) -> bool:
        return recipe.is_sequential(len(self.clip), ordered=self.ordered)

    def _recover(self, recipe: Recipe) -> Recovery:
        if recipe.intrinsics == "fixed" and self.K is None:
            raise ReconstructionError(
                "fixed intrinsics were asked for, and the clip comes without; give cameras"
            )
        if len(self.clip) < 2:
            return mapping.empty_recovery(self.clip, RecoveryStatus.TOO_FEW_IMAGES)
        if recipe.mapper == "either":
            found = self.recover(replace(recipe, mapper="global"))
            if found.registered.double().mean() >= MIN_REGISTERED_SHARE:
                return found
            other = self.recover(replace(recipe, mapper="incremental"))
            return max(found, other, key=lambda r: (int(r.registered.sum()), len(r.points)))
        database = self._database(recipe)
        if isinstance(database, RecoveryStatus):
            return mapping.empty_recovery(self.clip, database)
        started = time.perf_counter()
        found = mapping.map_database(
            database,
            self.clip,
            self.folder / "mapping",
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
            recipe.guided, recipe.features, self._limit(recipe),
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
            started = time.perf_counter()
            K = self.K if recipe.intrinsics == "fixed" else None
            status = verify_matches(
                path,
                mapping.guess_cameras(self.clip, K),
                matches,
                shared=recipe.intrinsics == "shared",
                known=K is not None,
                seed=recipe.seed,
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
        return RecoveryStatus.OK if colmap.count_verified_pairs(path) else RecoveryStatus.NO_MATCHES

    def _took(self, what: str, started: float) -> None:
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started


def _select(matches: Matches, pairs: list[tuple[int, int]]) -> Matches:
    """The same features, and the matches of some of the pairs."""
    rows = {pair: rows for pair, rows in zip(matches.pairs, matches.indices, strict=True)}
    return replace(matches, pairs=tuple(pairs), indices=tuple(rows[pair] for pair in pairs))
