"""Features and putative matches of the pictures of one clip, computed once for all that follows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from recon.clip import PictureSet
from recon.lens import Lens
from recon.pictures.canvas import Box
from recon.sfm.features.describe import describe, describe_like, find_turns, match_pairs
from recon.sfm.features.keypoints import Features
from recon.sfm.matches import Matches
from recon.sfm.pairs import choose_pairs
from recon.sfm.recipes import Recipe, refuse_guided


@dataclass(frozen=True)
class MatchedPhotos:
    """Features of photos and their putative matches."""

    features: tuple[Features, ...]
    matches: Matches


def match_photos(
    clip: PictureSet, recipe: Recipe, *, ordered: bool = False, threads: int = -1
) -> MatchedPhotos:
    """Find and match the features of photos.

    Photos of which all pairs are matched may be held in any way: see `find_turns`.

    Args:
        ordered: frames of a video, which are all held alike.
        threads: of COLMAP's SIFT, -1 for all cores; the result is the same.

    Raises:
        ReconstructionError: a guided recipe, whose matches exist only in COLMAP's database.
        MissingDependencyError: learned features whose package is not installed.
    """
    refuse_guided(recipe)
    scheme = recipe.choose_scheme(len(clip), ordered=ordered)
    turns = None if ordered or scheme != "exhaustive" else find_turns(clip, recipe.features)
    features = describe(clip, recipe.features, max_features=recipe.max_features, threads=threads, turns=turns)
    pairs = choose_pairs(features, scheme, seed=recipe.seed)
    return MatchedPhotos(features, match_pairs(features, recipe.features, pairs))


def add_photos(known: MatchedPhotos, clip: PictureSet, recipe: Recipe, *, threads: int = -1) -> MatchedPhotos:
    """Features and matches of known photos, as they are, and of further ones, which come after them.

    Args:
        clip: the further photos, of the size of the known ones and without distortion as these.
        recipe: the one that the known photos were matched by.
        threads: of COLMAP's SIFT, -1 for all cores; the result is the same.

    Raises:
        ReconstructionError: a guided recipe.
        MissingDependencyError: learned features whose package is not installed.
    """
    refuse_guided(recipe)
    first = len(known.features)
    scheme = recipe.choose_scheme(first + len(clip), ordered=False)
    # of photos that were too many for all pairs none was turned
    turned = recipe.choose_scheme(first, ordered=False) == "exhaustive"
    like = known.features if turned else ()
    added = describe_like(like, clip, recipe.features, max_features=recipe.max_features, threads=threads)
    features = (*known.features, *added)
    pairs = [pair for pair in choose_pairs(features, scheme, seed=recipe.seed) if pair[1] >= first]
    found = match_pairs(features, recipe.features, pairs)
    both = sorted([*known.matches.by_pair(), *found.by_pair()], key=lambda one: one[0])
    matches = replace(found, pairs=tuple(pair for pair, _ in both), indices=tuple(rows for _, rows in both))
    return MatchedPhotos(features, matches)


def select_pairs(matches: Matches, pairs: Sequence[tuple[int, int]]) -> Matches:
    """The same features with the matches of some of the pairs."""
    rows = {pair: rows for pair, rows in matches.by_pair()}
    return replace(matches, pairs=tuple(pairs), indices=tuple(rows[pair] for pair in pairs))


def keep_photos(matched: MatchedPhotos, kept: Sequence[int]) -> MatchedPhotos:
    """Features and matches of some of the photos.

    Args:
        kept: indices of these photos, ascending.
    """
    slot = {i: row for row, i in enumerate(kept)}
    inside = [((a, b), rows) for (a, b), rows in matched.matches.by_pair() if a in slot and b in slot]
    matches = replace(
        matched.matches,
        keypoints=tuple(matched.matches.keypoints[i] for i in kept),
        pairs=tuple((slot[a], slot[b]) for (a, b), _ in inside),
        indices=tuple(rows for _, rows in inside),
    )
    return MatchedPhotos(tuple(matched.features[i] for i in kept), matches)


def move_to_boxes(matches: Matches, boxes: Sequence[Box]) -> Matches:
    """The same matches with keypoints in pixels of each picture's box."""
    moved = [xy - box.corner for xy, box in zip(matches.keypoints, boxes, strict=True)]
    return replace(matches, keypoints=tuple(moved))


def undistort_matched(
    matched: MatchedPhotos, kept: Sequence[int], lenses: Sequence[Lens], boxes: Sequence[Box]
) -> MatchedPhotos:
    """Features and matches of some of the photos, in the pixels of these without distortion.

    Features whose rays the lens does not know lose their matches and lie at (0, 0).

    Args:
        kept: indices of these photos, ascending.
        lenses: of each of them, for its box.
        boxes: of each of them.
    """
    K_of = {lens: lens.K for lens in set(lenses)}
    taken = keep_photos(matched, kept)
    features, known = [], []
    for one, lens, box in zip(taken.features, lenses, boxes, strict=True):
        xy = lens.undistort_points(one.xy - box.corner, K_of[lens]) + box.corner
        finite = xy.isfinite().all(1)
        features.append(replace(one, xy=torch.where(finite[:, None], xy, 0.0)))
        known.append(finite)
    matches = replace(taken.matches, keypoints=tuple(one.xy for one in features)).keep_features(known)
    return MatchedPhotos(tuple(features), matches)
