"""Finding and matching features of every kind."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from jaxtyping import Int
from torch import Tensor

from recon.clip import PictureSet
from recon.compute.progress import track
from recon.errors import MissingDependencyError, ReconstructionError
from recon.pictures.canvas import find_boxes
from recon.sfm.features import colmap_sift, learned, opencv_sift
from recon.sfm.features.keypoints import Features
from recon.sfm.features.matching import match_mutual_nearest
from recon.sfm.features.turns import QUARTERS, choose_turns, count_alike
from recon.sfm.matches import Matches

FeatureKind = Literal["opencv", "colmap", "aliked", "disk", "xfeat"]
"""SIFT by OpenCV or by COLMAP; networks: ALIKED and DISK with LightGlue, XFeat."""
LEARNED: tuple[learned.Learned, ...] = get_args(learned.Learned)
"""Kinds that need the weights of a network."""
TURNED: tuple[FeatureKind, ...] = ("aliked", "disk")
"""Kinds that are found in turned pictures. SIFT needs no turns, and what XFeat finds alike does not tell them (four of six were wrong)."""
TURN_SIDE_PX, TURN_FEATURES = 480, 1024
"""Long side and features of the pictures by which turns are chosen: describing each four times takes a seventh of the time of once at
1280 px."""
SURE_ALIKE = 100
"""Features that a frame has in common with a photo from which it is not tried in other turns; turned pictures share up to 50."""


def why_unavailable(kind: FeatureKind) -> str | None:
    """Sentence with the command that installs what `kind` needs; None where it can be used."""
    return learned.available(kind) if kind in LEARNED else None


def explain_too_small(clip: PictureSet, kind: FeatureKind) -> str | None:
    """Sentence on a picture that is too small for features of `kind`; None where there are only few features in it at worst."""
    return learned.explain_too_small(clip, kind) if kind in LEARNED else None


def require(kind: FeatureKind) -> None:
    """Refuse features that cannot be found here.

    Raises:
        MissingDependencyError: the package with the weights is not installed.
    """
    if reason := why_unavailable(kind):
        raise MissingDependencyError(reason)


def describe(
    clip: PictureSet,
    kind: FeatureKind,
    *,
    max_features: int,
    threads: int = 1,
    turns: Sequence[int] | None = None,
) -> tuple[Features, ...]:
    """The features of every picture, at most `max_features` each; no picture depends on the others.

    A picture is described without its canvas, so that neither the padding nor its edge is a feature.

    Args:
        threads: of COLMAP's SIFT, -1 for all cores; the result is the same.
        turns: quarter turns in which networks see each picture (see `find_turns`); None: as it is.

    Raises:
        MissingDependencyError: the package with the weights is not installed.
        CaptureError: pictures too small for a network.
    """
    boxes = find_boxes(clip)
    if kind == "colmap":
        found = colmap_sift.find_features(clip, max_features=max_features, threads=threads)
    elif kind == "opencv":
        images = track(zip(boxes, clip.images, strict=True), "features", len(clip))
        found = [
            opencv_sift.find_features(box.crop(image), max_features=max_features) for box, image in images
        ]
    else:
        require(kind)
        found = learned.describe(clip, kind, max_features=max_features, turns=turns)
    return tuple(
        replace(one, xy=one.xy + box.corner, width=clip.width, height=clip.height)
        for one, box in zip(found, boxes, strict=True)
    )


def find_turns(clip: PictureSet, kind: FeatureKind) -> list[int] | None:
    """Quarter turns counterclockwise of each photo in which the photos look alike; None for features that need none.

    Every pair is compared in four turns, which takes a fiftieth of the time of matching it.
    """
    if kind not in TURNED:
        return None
    small = clip.limit_size(TURN_SIDE_PX).load()
    if explain_too_small(small, kind):  # long and narrow
        return None
    each = [
        describe(small, kind, max_features=TURN_FEATURES, turns=[turns] * len(small))
        for turns in range(QUARTERS)
    ]
    return choose_turns(list(zip(*each, strict=True)))


def describe_like(
    photos: Sequence[Features], clip: PictureSet, kind: FeatureKind, *, max_features: int, threads: int = 1
) -> tuple[Features, ...]:
    """`describe` each picture in that of its turns in which it looks most like one of the photos."""
    frames = list(describe(clip, kind, max_features=max_features, threads=threads))
    if kind not in TURNED or not photos:
        return tuple(frames)
    alike = [_most_alike(frame, photos) for frame in frames]
    unsure = [i for i, count in enumerate(alike) if count < SURE_ALIKE]
    for turns in range(1, QUARTERS):
        if not unsure:
            break
        turned = describe(clip[unsure], kind, max_features=max_features, turns=[turns] * len(unsure))
        for i, frame in zip(unsure, turned, strict=True):
            if (count := _most_alike(frame, photos)) > alike[i]:
                frames[i], alike[i] = frame, count
    return tuple(frames)


def _most_alike(frame: Features, photos: Sequence[Features]) -> int:
    return max(count_alike(_strongest(frame), _strongest(photo)) for photo in photos)


def _strongest(features: Features) -> Features:
    """As many features as turns are told by."""
    return replace(features, xy=features.xy[:TURN_FEATURES], stored=features.stored[:TURN_FEATURES])


def match(a: Features, b: Features, kind: FeatureKind) -> Int[Tensor, "m 2"]:
    """Rows (feature of a, feature of b) that look alike, ascending; a feature is in one match at most."""
    if kind in LEARNED:
        return learned.match(a, b, kind)
    return match_mutual_nearest(a.descriptors, b.descriptors)


def match_pairs(features: Sequence[Features], kind: FeatureKind, pairs: Sequence[tuple[int, int]]) -> Matches:
    """Putative matches of pictures of one size.

    Args:
        pairs: (a, b) with a < b, ascending.

    Raises:
        ReconstructionError: a pair of other indices than 0 <= a < b < n.
    """
    for a, b in pairs:
        if not 0 <= a < b < len(features):
            raise ReconstructionError(
                f"expected pairs (a, b) with 0 <= a < b < {len(features)}, got ({a}, {b})"
            )
    return Matches(
        width=features[0].width,
        height=features[0].height,
        keypoints=tuple(one.xy for one in features),
        pairs=tuple(pairs),
        indices=tuple(match(features[a], features[b], kind) for a, b in track(pairs, "matching")),
    )
