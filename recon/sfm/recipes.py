"""The ways in which papers recover the cameras of a video, each a `Recipe`; one clip, many recipes, no work twice."""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.errors import MissingDependencyError, ReconstructionError, RecoveryStatus
from recon.matches import Matches
from recon.recovery import Recovery
from recon.sfm import mapping
from recon.sfm.sift import all_pairs, sequential_pairs, sift_matches

Features = Literal["sift", "colmap-affine", "aliked", "xfeat"]
EXHAUSTIVE_UP_TO = 40
"""Frames; of longer clips neighbours in time are matched, and frames at distances of powers of two."""
MIN_FEATURES = 30
ENOUGH = 0.9
"""Share of the frames with which 'either' is content."""


@dataclass(frozen=True)
class Recipe:
    """One way of recovering cameras."""

    features: Features = "sift"
    """'colmap-affine': COLMAP's SIFT with affine shape and domain-size pooling, and guided matching."""
    pairing: Literal["auto", "exhaustive", "sequential"] = "auto"
    """'auto' is exhaustive up to 40 frames."""
    intrinsics: Literal["shared", "free", "fixed"] = "shared"
    """One unknown pinhole for all frames, one for each, or the requested ones, kept."""
    mapper: Literal["incremental", "global", "either"] = "incremental"
    """'either': the global mapper and, where that holds less than 90% of the frames, the incremental one; the larger
    result counts."""
    calibrate: bool = False
    """Focal lengths from the fundamental matrices first (view-graph calibration, Sweeney et al. 2015), which
    the mapper starts from; else it guesses."""
    seed: int = 0


class Recoverer:
    """Recovers one clip by any number of recipes; what two of them share is computed once.

    `folder` holds COLMAP's databases and may be removed afterwards. Everything runs on one thread, and equal
    clips, recipes and seeds give equal results, bit for bit.
    """

    def __init__(
        self,
        clip: Clip,
        folder: Path,
        *,
        K: Float[Tensor, "n 3 3"] | None = None,
        max_features: int = 2048,
    ) -> None:
        self.clip, self.folder, self.K, self.max_features = clip, folder, K, max_features
        self.seconds: dict[str, float] = {}
        self._matches: dict[tuple[str, str], Matches] = {}
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

    def matches(self, features: Features = "sift", pairing: str = "auto") -> Matches:
        """Putative matches, not yet verified; 'colmap-affine' has none outside its database.

        Raises:
            MissingDependencyError: learned features whose package is not installed.
        """
        key = (features, self._pairing(pairing))
        if key not in self._matches:
            started = time.perf_counter()
            exhaustive = self._matches.get((features, "exhaustive"))
            if exhaustive is not None:
                self._matches[key] = _only(exhaustive, sequential_pairs(len(self.clip)))
            else:
                self._matches[key] = self._match(features, key[1])
            self._took("matching", started)
        return self._matches[key]

    def _pairing(self, asked: str) -> str:
        if asked == "auto":
            return "exhaustive" if len(self.clip) <= EXHAUSTIVE_UP_TO else "sequential"
        return asked

    def _match(self, features: str, pairing: str) -> Matches:
        n = len(self.clip)
        pairs = all_pairs(n) if pairing == "exhaustive" else sequential_pairs(n)
        if features == "sift":
            return sift_matches(self.clip, pairs, max_features=self.max_features)
        if features in ("aliked", "xfeat"):
            from recon.sfm.learned import available, learned_matches

            if reason := available(features):
                raise MissingDependencyError(reason)
            return learned_matches(self.clip, features, pairs, max_features=self.max_features)
        raise ReconstructionError(f"expected features that are matched outside COLMAP, got {features!r}")

    def _recover(self, recipe: Recipe) -> Recovery:
        if recipe.intrinsics == "fixed" and self.K is None:
            raise ReconstructionError(
                "fixed intrinsics were asked for, and the clip comes without; give cameras"
            )
        if len(self.clip) < 2:
            return mapping.nothing(self.clip, RecoveryStatus.TOO_FEW_IMAGES)
        if recipe.mapper == "either":
            found = self.recover(replace(recipe, mapper="global"))
            if found.registered.double().mean() >= ENOUGH:
                return found
            other = self.recover(replace(recipe, mapper="incremental"))
            return max(found, other, key=lambda r: (int(r.registered.sum()), len(r.points)))
        database = self._database(recipe)
        if isinstance(database, RecoveryStatus):
            return mapping.nothing(self.clip, database)
        started = time.perf_counter()
        work = self.folder / "mapping"
        shutil.rmtree(work, ignore_errors=True)
        found = mapping.map_database(
            database,
            self.clip,
            work,
            mapper=recipe.mapper,
            fixed=recipe.intrinsics == "fixed",
            calibrate=recipe.calibrate,
            seed=recipe.seed,
        )
        self._took("mapping", started)
        return found

    def _database(self, recipe: Recipe) -> Path | RecoveryStatus:
        """With verified pairs; what is verified depends on what is known of the lens."""
        pairing = self._pairing(recipe.pairing)
        key = (recipe.features, pairing, recipe.intrinsics, recipe.seed)
        if key in self._verified:
            return self._verified[key]
        path = self.folder / f"{len(self._verified)}.db"
        K = self.K if recipe.intrinsics == "fixed" else None
        shared = recipe.intrinsics == "shared"
        if recipe.features == "colmap-affine":
            started = time.perf_counter()
            status = mapping.affine_database(
                path,
                self.clip,
                self.folder / "affine",
                K=K,
                shared=shared,
                seed=recipe.seed,
                sequential=pairing == "sequential",
            )
            self._took("affine features", started)
        else:
            matches = self.matches(recipe.features, pairing)
            if sum(len(xy) >= MIN_FEATURES for xy in matches.keypoints) < 2:
                return RecoveryStatus.TOO_FEW_FEATURES
            started = time.perf_counter()
            status = mapping.matched_database(path, self.clip, matches, K=K, shared=shared, seed=recipe.seed)
            self._took("verification", started)
        if status is not RecoveryStatus.OK:
            return status
        self._verified[key] = path
        return path

    def _took(self, what: str, started: float) -> None:
        self.seconds[what] = self.seconds.get(what, 0.0) + time.perf_counter() - started


def _only(matches: Matches, pairs: list[tuple[int, int]]) -> Matches:
    """The same features, and the matches of some of the pairs."""
    rows = {pair: rows for pair, rows in zip(matches.pairs, matches.indices, strict=True)}
    return replace(matches, pairs=tuple(pairs), indices=tuple(rows[pair] for pair in pairs))
