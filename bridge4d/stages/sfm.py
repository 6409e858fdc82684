"""Recover the cameras of training photos."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

from bridge4d.runs import store, stored_arrays
from bridge4d.runs.stored_json import DamagedFileError, write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages import capture
from bridge4d.stages.world import find_metric_world
from eval.judging.protocols import Protocol
from recon.clip import Clip, PictureSet
from recon.compute.seeds import make_generator
from recon.errors import RecoveryStatus
from recon.lens import Lens
from recon.points import PointCloud
from recon.sfm.anchor import Anchor, build_anchor, keep_photos
from recon.sfm.features.describe import FeatureKind
from recon.sfm.judging.judge import judge_cameras
from recon.sfm.ladder.climb import JUDGE, Attempt, climb
from recon.sfm.ladder.left_out import LeftOut
from recon.sfm.ladder.rungs import Rung
from recon.sfm.matching import MatchedPhotos, add_photos, match_photos
from recon.sfm.recipes import Recipe
from recon.tracks import Tracks

VERSION = 11
LEAST_PHOTOS = 2
"""Registered photos without which there is no scene: nothing can be triangulated from one."""


class StoredLens(TypedDict):
    model: str
    params: list[float]
    width: int
    height: int


class StoredAttempt(TypedDict):
    rung: str
    registered: int
    trusted: int
    seconds: float
    status: str


class StoredLeftOut(TypedDict):
    name: str
    reason: str
    advice: str


class SfmRecord(TypedDict):
    """``sfm.json``."""

    status: str
    registered: int
    registered_names: list[str]
    models: int
    reprojection_error_px: float | None
    points: int
    seconds: dict[str, float]
    georeference: dict[str, Any] | None
    """Where the world is in metres, x east, y down and z north of an origin by the photos' GPS: that origin, and residuals."""
    lenses: list[StoredLens | None]
    """For each lens of ``capture.json`` with a training photo, which come first there; None for one without a registered
    photo. Other held-out photos therefore change nothing here. Empty for photos with cameras."""
    features: FeatureKind
    """Kind of the features that photos are matched by, and later frames and held-out photos with them."""
    max_features: int
    attempts: list[StoredAttempt]
    """Recipes that were tried, the kept one among them; empty for photos with cameras."""
    left_out: list[StoredLeftOut]
    """Training photos without a camera."""


def recover_cameras(captured: Path, out: Path, recipe: Recipe, rungs: Sequence[Rung]) -> None:
    """Training photos → posed pinhole photos, points, tracks, and the lenses through which held-out photos are seen.

    Too few registered photos are a result: `out` then holds ``sfm.json`` alone.

    Args:
        captured: what `capture.read_photos` wrote; its held-out photos are not read.
        out: an empty folder, made where it is absent.
        recipe: how photos that came with cameras are matched.
        rungs: recipes that are tried for photos without.
    """
    out.mkdir(parents=True, exist_ok=True)
    record = capture.load_record(captured)
    if Protocol(record["protocol"]) is Protocol.FROM_SCRATCH:
        found = _recover_from_scratch(captured, record, out / ".sfm", rungs, recipe.seed)
    else:
        found = _Recovered(RecoveryStatus.OK, 1, store.open_clip(captured / "training"), recipe)
    posed = found.posed
    points = 0
    if posed is not None and len(posed) >= LEAST_PHOTOS:
        points = _triangulate(posed, out, found.recipe, found.matched)
    write_json(
        out / "sfm.json",
        {
            "status": found.status.value,
            "registered": 0 if posed is None else len(posed),
            "registered_names": [] if posed is None else list(posed.names),
            "models": found.models,
            "reprojection_error_px": found.error_px,
            "points": points,
            "seconds": {k: round(v, 3) for k, v in found.seconds.items()},
            "georeference": found.georeference,
            "lenses": [None if lens is None else asdict(lens) for lens in found.lenses],
            "features": found.recipe.features,
            "max_features": found.recipe.max_features,
            "attempts": [asdict(one) | {"status": one.status.value} for one in found.attempts],
            "left_out": [
                {"name": one.name, "reason": one.reason.value, "advice": one.reason.advice}
                for one in found.left_out
            ],
        },
    )
    shutil.rmtree(out / ".sfm", ignore_errors=True)


def join_heldout(cameras: Path, heldout: Path, out: Path, recipe: Recipe, *, judge: bool) -> None:
    """Training photos and held-out ones together, as `recover_cameras` writes photos: for the scene that is delivered.

    Args:
        cameras: what `recover_cameras` wrote; its cameras stay as they are.
        heldout: folder of the held-out photos with their cameras, in the same world.
        out: an empty folder, made where it is absent.
        recipe: its seed is that of the judge, too.
        judge: leave held-out photos out whose cameras the pixels do not confirm, because they were recovered, not given.
    """
    out.mkdir(parents=True, exist_ok=True)
    photos, judged = open_photos(cameras), store.open_clip(heldout)
    both = PictureSet.join([photos, judged])
    if judge:
        generator = make_generator(recipe.seed, JUDGE)
        trusted = judge_cameras(both, load_points(cameras), generator=generator).trusted
        trusted[: len(photos)] = True
        both = both[trusted.nonzero()[:, 0].tolist()]
    recipe = load_recipe(cameras, recipe)
    matched = add_photos(load_matched(cameras), both[len(photos) :], recipe)
    points = _triangulate(both, out, recipe, matched)
    joined = {"registered": len(both), "registered_names": list(both.names), "points": points}
    write_json(out / "sfm.json", {**load_record(cameras), **joined})


def leave_out(cameras: Path, out: Path, photos: Sequence[int]) -> None:
    """Training photos without some of them, as `recover_cameras` writes photos: to find out what the others tell of these.

    Cameras stay as they were recovered with all photos, and so do the places of points; points that fewer than two of the others
    see are gone.

    Args:
        cameras: what `recover_cameras` wrote.
        out: an empty folder, made where it is absent.
        photos: indices of those that are left out.
    """
    out.mkdir(parents=True, exist_ok=True)
    clip = open_photos(cameras)
    kept = [i for i in range(len(clip)) if i not in photos]
    rest = clip[kept]
    points = _save_model(rest, keep_photos(load_anchor(cameras), clip, kept), out)
    said = {"registered": len(rest), "registered_names": list(rest.names), "points": points}
    write_json(out / "sfm.json", {**load_record(cameras), **said})


def _triangulate(posed: PictureSet, out: Path, recipe: Recipe, matched: MatchedPhotos | None) -> int:
    """Write posed photos with the points that their cameras give; return how many these are."""
    matched = match_photos(posed, recipe) if matched is None else matched
    anchor = build_anchor(posed, out / ".anchor", recipe=recipe, matched=matched)
    shutil.rmtree(out / ".anchor", ignore_errors=True)
    stored_arrays.save_matches(matched.matches, out / "matches.npz")
    return _save_model(posed, anchor, out)


def _save_model(posed: PictureSet, anchor: Anchor, out: Path) -> int:
    """Write posed photos and what they are a model of; return how many points it has."""
    store.save_clip(posed, out / "photos")
    stored_arrays.save_points(anchor.points, out / "points.npz")
    stored_arrays.save_anchor(anchor, out / "anchor")
    stored_arrays.save_tracks(anchor.tracks, out / "tracks.npz")
    return len(anchor.points)


@dataclass(frozen=True)
class _Recovered:
    """Training photos with cameras, and what ``sfm.json`` says of them."""

    status: RecoveryStatus
    models: int
    posed: PictureSet | None
    recipe: Recipe
    error_px: float | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    matched: MatchedPhotos | None = None
    lenses: Sequence[Lens | None] = ()
    georeference: dict[str, Any] | None = None
    attempts: tuple[Attempt, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


def _recover_from_scratch(
    captured: Path, record: capture.CaptureRecord, scratch: Path, rungs: Sequence[Rung], seed: int
) -> _Recovered:
    clip = store.open_clip(captured / "training")
    climbed = climb(
        clip,
        scratch,
        rungs=rungs,
        lens_groups=capture.group_photos(record, clip.names),
        focal_prior_px=_focal_priors(record),
        ordered=record["ordered"],
        seed=seed,
    )
    found, trained = climbed.reconstruction, capture.group_photos(record, clip.names)
    recovery, posed, georeference = found.recovery, found.clip, None
    if posed is not None and (world := find_metric_world(posed, record)) is not None:
        metric, place = world
        posed = replace(posed, cameras=metric.cameras(posed.require_cameras()))
        georeference = place.as_json() | {"metres_per_scene_unit": 1.0}  # of the world as it is stored
    errors = recovery.reprojection_error_px[recovery.registered]
    return _Recovered(
        recovery.status,
        recovery.num_models,
        posed,
        climbed.recipe,
        float(errors.nanmean()) if len(errors) and not errors.isnan().all() else None,
        recovery.seconds,
        found.matched,
        [found.lenses.get(number) for number in range(max(trained, default=-1) + 1)],
        georeference,
        climbed.attempts,
        climbed.left_out,
    )


def load_record(folder: Path) -> SfmRecord:
    """What `recover_cameras` wrote down.

    Raises:
        DamagedFileError: it is not what was written.
    """
    return read_typed(folder / "sfm.json", SfmRecord)


def load_recipe(folder: Path, recipe: Recipe) -> Recipe:
    """`recipe` with the features of the photos, by which other pictures are registered against them."""
    record = load_record(folder)
    return replace(recipe, features=record["features"], max_features=record["max_features"])


def load_photos(folder: Path, max_side: int | None = None) -> Clip:
    """The registered photos with their cameras, with a long side of at most `max_side` pixels."""
    return open_photos(folder, max_side).load()


def open_photos(folder: Path, max_side: int | None = None) -> PictureSet:
    """As `load_photos`, but each photo is read when it is looked at."""
    photos = store.open_clip(folder / "photos")
    return photos if max_side is None else photos.limit_size(max_side)


def load_points(folder: Path) -> PointCloud:
    """The points triangulated from the photos."""
    return stored_arrays.load_points(folder / "points.npz")


def load_tracks(folder: Path) -> Tracks:
    """Where the photos of `load_photos(folder)` see the points, in their pixels."""
    return stored_arrays.load_tracks(folder / "tracks.npz")


def load_anchor(folder: Path) -> Anchor:
    """The frozen model that other pictures are registered against."""
    return stored_arrays.load_anchor(folder / "anchor", open_photos(folder), load_points(folder))


def load_matched(folder: Path) -> MatchedPhotos:
    """Features and matches of the photos, as `recover_cameras` found them; what `leave_out` wrote has none."""
    features = load_anchor(folder).features
    return MatchedPhotos(features, stored_arrays.load_matches(folder / "matches.npz", features))


def load_lenses(folder: Path) -> dict[int, Lens]:
    """What was found of the lenses of ``capture.json``, by their numbers; those without a registered photo are not there.

    Raises:
        DamagedFileError: none was found, as for photos with cameras.
    """
    lenses = load_record(folder)["lenses"]
    if not any(lenses):
        raise DamagedFileError(folder / "sfm.json", "it names no lens")
    return {
        number: Lens(**{**lens, "params": tuple(lens["params"])})
        for number, lens in enumerate(lenses)
        if lens is not None
    }


def _focal_priors(record: capture.CaptureRecord) -> dict[int, float]:
    stated = {number: lens["focal_prior_px"] for number, lens in enumerate(record["lenses"])}
    return {number: px for number, px in stated.items() if px is not None}
