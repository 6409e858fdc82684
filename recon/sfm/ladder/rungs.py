"""The rungs of the ladder: recipes in the order in which they are tried."""

from dataclasses import dataclass, replace
from typing import Literal

from recon.colmap.mappers import MANY_PHOTOS, MapperSettings
from recon.sfm.features.describe import FeatureKind, why_unavailable
from recon.sfm.ladder.geometry import GeometryProgram
from recon.sfm.recipes import PHOTOS, Recipe


@dataclass(frozen=True)
class Rung:
    """One way of recovering cameras, and for how many photos it is worth its time."""

    name: str
    recipe: Recipe
    photos_from: int = 0
    photos_up_to: int | None = None
    """None: however many."""
    geometry: GeometryProgram | None = None
    """Where the cameras come from that the recipe's matches adjust; None: from these matches."""


STRICT_TRIALS = 20
"""First pairs that the strict start tries: captures that it suits begin with one of the first, and on 25 photos that all face one
way it took eleven minutes to find that none of 200 will do."""
RELAXED: MapperSettings = replace(PHOTOS.mapping, init_min_tri_angle_deg=8.0, focal_long_sides=(0.35, 3.5))
"""A start from a narrower pair. It tells focal lengths badly, so these are held to 13 to 126 mm in terms of 35 mm film: those of
phones, and what cameras without a long lens have."""
_GLOBAL = Rung("SIFT, global mapper", replace(PHOTOS, mapper="global", mapping=RELAXED))
RUNGS: tuple[Rung, ...] = (
    # the incremental mapper adjusts all cameras again and again: of 437 photos it had not ended after 77 minutes, this one after 7
    replace(_GLOBAL, photos_from=MANY_PHOTOS),
    Rung("SIFT", replace(PHOTOS, mapping=replace(PHOTOS.mapping, init_trials=STRICT_TRIALS))),
    Rung("SIFT, relaxed start", replace(PHOTOS, mapping=RELAXED)),
    replace(_GLOBAL, photos_up_to=MANY_PHOTOS - 1),
    Rung("XFeat, relaxed start", replace(PHOTOS, features="xfeat", mapping=RELAXED), photos_up_to=40),
    # 2048 features as its authors; LightGlue takes about 2 s a pair of photos on one core
    Rung(
        "ALIKED, relaxed start",
        replace(PHOTOS, features="aliked", max_features=2048, mapping=RELAXED),
        photos_up_to=12,
    ),
)
"""Cheapest first, which of many photos is the global mapper. Learned features find more of sparse photos, and more wrong cameras with them: the pixels judge these."""


def choose_rungs(
    features: FeatureKind | None,
    mapper: Literal["incremental", "global"] | None,
    geometry: GeometryProgram | None = None,
) -> tuple[Rung, ...]:
    """The rungs with these features and this mapper, then the geometry program; None leaves any of them open."""
    return (
        *_recipe_rungs(features, mapper),
        *([] if geometry is None else [_geometry_rung(geometry, features)]),
    )


def _geometry_rung(geometry: GeometryProgram, features: FeatureKind | None) -> Rung:
    """Its cameras are adjusted to the matches that find most: learned ones where they are installed."""
    if features is None and why_unavailable("aliked") is None:
        features = "aliked"
    learned = replace(PHOTOS, features=features or PHOTOS.features, mapping=RELAXED)
    most = 2048 if learned.features == "aliked" else learned.max_features
    return Rung("geometry program", replace(learned, max_features=most), geometry=geometry)


def _recipe_rungs(
    features: FeatureKind | None, mapper: Literal["incremental", "global"] | None
) -> tuple[Rung, ...]:
    kept = tuple(
        rung
        for rung in RUNGS
        if features in (None, rung.recipe.features) and mapper in (None, rung.recipe.mapper)
    )
    if kept:
        return kept
    strict = replace(PHOTOS, features=features or PHOTOS.features, mapper=mapper or PHOTOS.mapper)
    names = f"{strict.features}, {strict.mapper}", f"{strict.features}, {strict.mapper}, relaxed start"
    return Rung(names[0], strict), Rung(names[1], replace(strict, mapping=RELAXED))
