"""Recipes of structure from motion: each way of recovering cameras is data."""

from dataclasses import dataclass, field
from typing import Literal

from recon.colmap.mappers import MapperSettings
from recon.errors import ReconstructionError
from recon.sfm.features.describe import FeatureKind
from recon.sfm.pairs import Pairing, Scheme


@dataclass(frozen=True)
class Recipe:
    """One way of recovering cameras. The defaults are `FRAMES`."""

    features: FeatureKind = "opencv"
    max_features: int = 2048
    """Most features of a picture."""
    guided: bool = False
    """COLMAP's SIFT for hard pictures: affine shape, domain-size pooling (Dong and Soatto 2015) and guided matching, 8192
    features a picture. Slow; `features` and `max_features` do not apply."""
    pairing: Pairing = "auto"
    """'auto' is exhaustive up to `exhaustive_up_to` frames of a video, and up to `all_pairs_up_to` unordered pictures."""
    exhaustive_up_to: int = 40
    """Pictures; of longer videos neighbours in time are matched, frames at distances of powers of two, and those that see
    the same again."""
    all_pairs_up_to: int = 150
    """Unordered pictures; of more each is matched with those that look most alike, and so is each frame that is registered. 150 have 11,175 pairs, 300 four times as many; of
    300 that look alike there are 9,000 at most."""
    intrinsics: Literal["shared", "free", "fixed"] = "shared"
    """One unknown lens for all pictures, one for each, or those that are known, kept."""
    mapper: Literal["incremental", "global", "either"] = "incremental"
    """'global' (GLOMAP) is faster on hundreds of images and weaker on few. 'either': the global one and, where that
    holds less than 90% of the pictures, the incremental one; the larger result counts."""
    calibrate: bool = False
    """Focal lengths from the fundamental matrices first (view-graph calibration, Sweeney et al. 2015), which the mapper
    starts from; else it guesses."""
    mapping: MapperSettings = field(default_factory=MapperSettings)
    seed: int = 0
    """Seed of all samples that COLMAP draws."""

    def choose_scheme(self, count: int, *, ordered: bool) -> Scheme:
        """Which of `count` pictures are matched; `ordered` ones are frames of a video."""
        if self.pairing == "auto":
            if ordered:
                return "loops" if count > self.exhaustive_up_to else "exhaustive"
            return "alike" if count > self.all_pairs_up_to else "exhaustive"
        return self.pairing


FRAMES = Recipe()
"""Frames of a clip: neighbours overlap by much, and nobody waits for points."""
PHOTOS = Recipe(
    features="colmap",
    max_features=4096,
    exhaustive_up_to=60,
    mapping=MapperSettings(min_images=2, min_points=50, min_pose_inliers=20, two_view_points=True),
)
"""Photos that lie far apart; chosen on real captures of 3 to 60 photos with a long side of 384 to 1000 px."""
AFFINE = Recipe(guided=True, pairing="exhaustive")
"""CamCo's recipe: COLMAP's SIFT for hard pictures. Only `Recoverer` takes it."""


def refuse_guided(recipe: Recipe) -> None:
    """Refuse a recipe whose matches exist only in COLMAP's database, where later stages need them.

    Raises:
        ReconstructionError: `recipe.guided`.
    """
    if recipe.guided:
        raise ReconstructionError(
            "expected a recipe whose features can be used again, got guided matching, which COLMAP does inside its "
            "database; recover such pictures with Recoverer, or take a recipe without it"
        )
