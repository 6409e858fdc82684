"""Recovery of one clip by several recipes, whose common steps run once."""

import shutil
from dataclasses import replace
from pathlib import Path

from jaxtyping import Bool, Float
from torch import Tensor

from recon.clip import Clip
from recon.colmap import database as colmap
from recon.compute.timing import add_elapsed
from recon.errors import ReconstructionError, RecoveryStatus
from recon.recovery import Recovery
from recon.sfm import mapping
from recon.sfm.features.colmap_sift import write_masks, write_pictures
from recon.sfm.features.describe import FeatureKind
from recon.sfm.matches import Matches
from recon.sfm.matching import match_photos, select_pairs
from recon.sfm.pairs import Scheme, sequential_pairs
from recon.sfm.recipes import FRAMES, Recipe
from recon.sfm.verification import MIN_MATCHES, verify_matches

AFFINE_FEATURES = 8192
"""Features of a picture in guided matching; COLMAP's default."""
WIDER: tuple[Scheme, ...] = ("exhaustive", "loops")
"""Schemes whose pairs include all neighbours in time."""


class Recoverer:
    """Recovers one clip by any number of recipes; steps that they share run once.

    Everything runs on one thread, and equal clips, recipes and seeds give equal results, bit for bit.

    Args:
        clip: any cameras of it and confidence are ignored.
        folder: holds COLMAP's databases and may be removed afterwards.
        K: known intrinsics, one for each picture.
        ordered: frames of a video, for pairing 'auto'.
        max_features: of a picture, instead of the recipes'; either is halved for videos longer than `Recipe.exhaustive_up_to`.
        hidden: pixels whose features are left out, of every picture or of each.
        seconds: takes the wall time of each step; several recoverers may add to one.
    """

    def __init__(
        self,
        clip: Clip,
        folder: Path,
        *,
        K: Float[Tensor, "n 3 3"] | None = None,
        ordered: bool = True,
        max_features: int | None = None,
        hidden: Bool[Tensor, "h w"] | Bool[Tensor, "n h w"] | None = None,
        seconds: dict[str, float] | None = None,
    ) -> None:
        self.hidden = hidden
        self.clip, self.folder, self.K = replace(clip, confidence=None), folder, K
        self.ordered, self.max_features = ordered, max_features
        self.seconds: dict[str, float] = {} if seconds is None else seconds
        self._matches: dict[tuple[FeatureKind, int, Scheme], Matches] = {}
        self._verified: dict[tuple[tuple[object, ...], Scheme], Path] = {}
        self._recovered: dict[Recipe, Recovery] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def recover(self, recipe: Recipe) -> Recovery:
        """Find the largest model by a recipe; a failure is a status.

        Raises:
            ReconstructionError: fixed intrinsics, and none are known.
            MissingDependencyError: learned features whose package is not installed.
        """
        if recipe not in self._recovered:
            self._recovered[recipe] = self._recover(recipe)
        return self._recovered[recipe]

    def matches(self, recipe: Recipe = FRAMES) -> Matches:
        """Putative matches of a recipe, before verification; those of guided matching are only in COLMAP's database.

        Raises:
            MissingDependencyError: learned features whose package is not installed.
        """
        key = (recipe.features, self._limit(recipe), self._scheme(recipe))
        if key not in self._matches:
            with add_elapsed(self.seconds, "matching"):
                self._matches[key] = self._match(recipe)
        return self._matches[key]

    def hide(self, mask: Bool[Tensor, "h w"] | Bool[Tensor, "n h w"], name: str) -> "Recoverer":
        """A recoverer of the same clip without the features within a mask as well; matches that are known stay so.

        Args:
            mask: one for all pictures, or one for each.
            name: of a folder beside this one's files.
        """
        hidden = mask if self.hidden is None else mask | self.hidden
        other = Recoverer(
            self.clip,
            self.folder / name,
            K=self.K,
            ordered=self.ordered,
            max_features=self.max_features,
            hidden=hidden,
            seconds=self.seconds,
        )
        other._matches = {key: matches.drop_masked(mask) for key, matches in self._matches.items()}
        return other

    def _match(self, recipe: Recipe) -> Matches:
        limit = self._limit(recipe)
        known = [self._matches.get((recipe.features, limit, scheme)) for scheme in WIDER]
        wider = next((matches for matches in known if matches is not None), None)
        if wider is not None and self._scheme(recipe) == "sequential":
            return select_pairs(wider, sequential_pairs(len(self.clip)))
        recipe = replace(recipe, max_features=limit, guided=False)
        matches = match_photos(self.clip, recipe, ordered=self.ordered, threads=1).matches
        return matches if self.hidden is None else matches.drop_masked(self.hidden)

    def _limit(self, recipe: Recipe) -> int:
        """Most features of a picture; of a long video half, for each frame has many neighbours that share them."""
        limit = self.max_features or recipe.max_features
        return limit // 2 if self.ordered and len(self.clip) > recipe.exhaustive_up_to else limit

    def _scheme(self, recipe: Recipe) -> Scheme:
        return recipe.choose_scheme(len(self.clip), ordered=self.ordered)

    def _recover(self, recipe: Recipe) -> Recovery:
        if recipe.intrinsics == "fixed" and self.K is None:
            raise ReconstructionError(
                "fixed intrinsics were asked for, and the clip comes without; give cameras"
            )
        if len(self.clip) < 2:
            return mapping.empty_recovery(self.clip, RecoveryStatus.TOO_FEW_IMAGES)
        if recipe.mapper == "either":
            return mapping.recover_by_either(recipe, self.recover)
        database = self._database(recipe)
        if isinstance(database, RecoveryStatus):
            return mapping.empty_recovery(self.clip, database)
        with add_elapsed(self.seconds, "mapping"):
            return mapping.map_by_recipe(
                recipe, database, self.clip, self.folder / "mapping", fixed=recipe.intrinsics == "fixed"
            )

    def _database(self, recipe: Recipe) -> Path | RecoveryStatus:
        """Database of verified pairs, computed once for each state of knowledge about the lens; or why there is none."""
        scheme = self._scheme(recipe)
        key = (recipe.guided, recipe.features, self._limit(recipe), recipe.intrinsics, recipe.seed)
        if (key, scheme) in self._verified:
            return self._verified[key, scheme]
        path = self.folder / f"{len(self._verified)}.db"
        wider = next((self._verified[key, s] for s in WIDER if (key, s) in self._verified), None)
        if recipe.guided:
            with add_elapsed(self.seconds, "affine features"):
                status = self._guided_database(path, recipe)
        elif wider is not None and scheme == "sequential":
            with add_elapsed(self.seconds, "verification"):
                status = self._narrower_database(path, wider)
        else:
            matches = self.matches(recipe)
            K = self.K if recipe.intrinsics == "fixed" else None
            with add_elapsed(self.seconds, "verification"):
                status = verify_matches(
                    path,
                    mapping.guess_cameras(self.clip, K),
                    matches,
                    groups=[0] * len(self.clip) if recipe.intrinsics == "shared" else None,
                    known=K is not None,
                    seed=recipe.seed,
                )
        if status is not RecoveryStatus.OK:
            return status
        self._verified[key, scheme] = path
        return path

    def _narrower_database(self, path: Path, wider: Path) -> RecoveryStatus:
        """Copy the neighbours in time out of a database of more pairs, each of which was verified on its own."""
        shutil.copy(wider, path)
        ids = colmap.image_ids(path)
        colmap.keep_pairs(path, [(ids[a], ids[b]) for a, b in sequential_pairs(len(ids))])
        return RecoveryStatus.OK if colmap.count_verified_pairs(path) else RecoveryStatus.NO_MATCHES

    def _guided_database(self, path: Path, recipe: Recipe) -> RecoveryStatus:
        """Fill a database with COLMAP's own SIFT and matcher.

        Features depend neither on the lens nor on the seed, so they are computed once.
        """
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
            masks = None if self.hidden is None else write_masks(~self.hidden, files, folder / "masks")
            colmap.extract(
                partial, folder / "pictures", files, one_camera=shared, threads=1, sift=sift, masks=masks
            )
            partial.replace(described)
        shutil.copy(described, path)
        ids = colmap.image_ids(path)
        if sum(len(xy) >= MIN_MATCHES for xy, _ in colmap.read_features(path, ids)) < 2:
            return RecoveryStatus.TOO_FEW_FEATURES
        colmap.set_cameras(path, ids, mapping.guess_cameras(self.clip, K), known=K is not None)
        colmap.match_guided(path, seed=recipe.seed, sequential=self._scheme(recipe) != "exhaustive")
        return RecoveryStatus.OK if colmap.count_verified_pairs(path) else RecoveryStatus.NO_MATCHES
