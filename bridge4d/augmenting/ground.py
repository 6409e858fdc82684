"""The stages before the first round: read the capture, hold photos out, recover cameras, fit the photos alone.

Held-out photos live in folders of their own (`capture/heldout`, `heldout`), and no stage that makes a scene
is handed one of those.
"""

import json
import os
import shutil
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from bridge4d.augmenting.options import CaptureOptions
from bridge4d.runs import store
from bridge4d.runs.fingerprints import fingerprint, fingerprint_files, fingerprint_list
from bridge4d.runs.run import Run
from bridge4d.runs.stored_json import read_json, write_json
from bridge4d.scenes import load_scene
from eval.judging import protocols
from recon.capture.capture import Capture
from recon.capture.files_read import list_capture_files
from recon.capture.normal_frame import capture_from_scene
from recon.capture.read import read_capture
from recon.clip import Clip
from recon.compute.progress import note
from recon.depth import DepthMaps, multiview_depth, surface_points
from recon.errors import BridgeError, ReconstructionError, RecoveryStatus
from recon.lens import Lens
from recon.points import PointCloud
from recon.recovery import Recovery
from recon.sfm.anchor import Anchor, build_anchor
from recon.sfm.features.describe import require as require_features
from recon.sfm.recipes import Recipe
from recon.sfm.reconstruct import MatchedPhotos, reconstruct
from recon.sfm.register import register
from recon.sim3 import Sim3
from recon.tracks import Tracks
from recon.world.extent import FAR
from worldgen.registry import check_model

CAPTURE_VERSION, SFM_VERSION, DEPTH_VERSION, HELDOUT_VERSION = 2, 1, 1, 1
"""Of the stages of these names; one is raised when what its stage writes of the same input changes."""
TRIES = 3
"""A capture is read so often to find photos that can judge; each is as long as reading it."""


@dataclass(frozen=True)
class Ground:
    """What the rounds stand on."""

    protocol: protocols.Protocol
    about: dict
    """What `capture/capture.json`, `sfm/sfm.json` and, where there are `photos`, `depth/depth.json` say, for the report."""
    photos: Clip | None
    """Training photos with cameras at working resolution; None where too few could be registered."""
    points: PointCloud
    """Triangulated from the training photos."""
    tracks: Tracks
    """Where `photos` see `points`, in their pixels."""
    start: PointCloud
    """What every fit starts from: the points, and surfaces on which at least three photos agree."""
    depth: Callable[[], tuple[Clip, DepthMaps] | None]
    """`photos` with their depth, from the photos alone; None where there is none. Read when first asked for."""
    anchor: Callable[[], Anchor]
    """The frozen model that frames are registered against; read when first asked for."""
    sfm_fingerprint: str
    """Of the cameras."""
    fingerprint: str
    """Of everything above."""

    @property
    def holds_scene(self) -> bool:
        """Whether single precision, which splat files have, can hold the scene where the capture lies."""
        world = store.similarity_from_json(self.about.get("capture_from_scene"))
        if self.photos is None:
            return True
        centers = self.photos.require_cameras().centers
        extent = float(world.scale) * float((centers - centers.mean(0)).norm(dim=1).max())
        return float(world.translation.norm()) <= FAR * extent


def check_asked(options: CaptureOptions, model: str) -> None:
    """Answer a typo, or what cannot be read or run here, before the long work.

    Raises:
        BridgeError: the world model, the features or a scene file cannot be used.
    """
    check_model(model)
    require_features(options.features)
    for file in options.scene_files:
        load_scene(file)


def lay_ground(
    run: Run, photos: Path, options: CaptureOptions, *, in_its_frame: Path | None = None
) -> Ground:
    """Reads, splits and recovers cameras; every step is a stage of the run.

    `in_its_frame` is a file of cameras in the capture's frame, which COLMAP would not make again.

    Raises:
        BridgeError: unreadable photos, or too few of them.
    """
    if not photos.exists():
        raise BridgeError(f"expected a folder of photos, a video or a capture at {photos}, there is nothing")
    read = run.stage(
        "capture",
        lambda folder: _read(photos, folder, options),
        version=CAPTURE_VERSION,
        depends_on=options_of(
            options, "views", "protocol", "sfm_side", "resize_mixed", "video_frames", "allow_outside"
        )
        | {"scene files in the capture's frame": bool(options.scene_files)},
        reads=lambda: fingerprint_capture(photos, options),
    )
    about = read_json(read.folder / "capture.json")
    protocol = protocols.Protocol(about["protocol"])
    in_frame = [*options.scene_files, *([in_its_frame] if in_its_frame else [])]
    if in_frame and protocol is protocols.Protocol.FROM_SCRATCH:
        raise BridgeError(
            f"{in_frame[0]} lies in a frame of its own and COLMAP will make another; give a capture with cameras in "
            "that frame (a transforms.json or a COLMAP model) and --protocol known-poses"
        )
    note(
        f"{about['usable']} photos: {len(about['training'])} train, {len(about['heldout'])} judge; protocol "
        + (
            "known-poses: cameras came along"
            if protocol is protocols.Protocol.KNOWN_POSES
            else "from-scratch"
        )
    )
    sfm = run.stage(
        "sfm",
        lambda folder: _recover(read.folder / "training", folder, protocol, about, options.recipe),
        version=SFM_VERSION,
        depends_on={"protocol": protocol.value} | options_key(options.recipe),
        # of what was read nothing but this: other held-out photos change no scene
        earlier={
            "capture": fingerprint(
                fingerprint_files(read.folder / "training"), about["focal_prior_px"], about["ordered"]
            )
        },
    )
    about["sfm"] = read_json(sfm.folder / "sfm.json")
    usable = about["sfm"]["registered"] >= 2
    full = store.load_clip(sfm.folder / "photos") if usable else None

    @cache
    def anchor() -> Anchor:
        assert full is not None
        return store.load_anchor(sfm.folder / "anchor", full, points)

    photos_at_work = full.limit_size(options.max_side) if full is not None else None
    points = store.load_points(sfm.folder / "points.npz") if usable else PointCloud.empty()
    tracks = Tracks.empty()
    if full is not None and photos_at_work is not None:
        scale = {"x": photos_at_work.width / full.width, "y": photos_at_work.height / full.height}
        tracks = store.load_tracks(sfm.folder / "tracks.npz").resize(**scale)
    start, depth_print, maps_file = points, sfm.fingerprint, None
    if photos_at_work is not None:
        depth = run.stage(
            "depth",
            lambda folder: _surfaces(photos_at_work, points, folder, options),
            version=DEPTH_VERSION,
            depends_on=options_of(options, "max_side", "max_gaussians", "seed"),
            earlier={"sfm": sfm.fingerprint},
        )
        start, depth_print = store.load_points(depth.folder / "points.npz"), depth.fingerprint
        maps_file = depth.folder / "maps.npz"
        about["depth"] = read_json(depth.folder / "depth.json")

    @cache
    def depth_maps() -> tuple[Clip, DepthMaps] | None:
        if photos_at_work is None or maps_file is None or not maps_file.exists():
            return None
        return photos_at_work, store.load_depth(maps_file)

    return Ground(
        protocol,
        about,
        photos_at_work,
        points,
        tracks,
        start,
        depth_maps,
        anchor,
        sfm.fingerprint,
        depth_print,
    )


def fingerprint_capture(photos: Path, options: CaptureOptions) -> str:
    """Of all files that the capture is read from, wherever they lie."""
    root = photos if photos.is_dir() else photos.parent
    how = {"with_cameras": _with_cameras(options), "allow_outside": options.allow_outside}
    return fingerprint_list(list_capture_files(photos, **how), root)


def _with_cameras(options: CaptureOptions) -> bool:
    """From scratch, photos are read as they were taken: reference cameras know the held-out photos."""
    return options.protocol != "from-scratch"


def _surfaces(photos: Clip, points: PointCloud, folder: Path, options: CaptureOptions) -> None:
    """The points to start from: more of them than SfM has, because a few photos give few."""
    generator = torch.Generator().manual_seed(options.seed)
    dense, failed = PointCloud.empty(), None
    try:
        maps = multiview_depth(photos, points=points)
        store.save_depth(maps, folder / "maps.npz")
        dense = surface_points(photos, maps, count=options.max_gaussians // 2, generator=generator)
    except ReconstructionError as error:
        failed = str(error)
    store.save_points(PointCloud.concatenate([points, dense]), folder / "points.npz")
    write_json(
        folder / "depth.json",
        {"sfm_points": len(points), "surface_points": len(dense), "failed": failed},
    )


def _read(photos: Path, folder: Path, options: CaptureOptions) -> None:
    capture = _read_with_judges(photos, options)
    posed = capture.clip.cameras is not None
    if options.protocol == "known-poses" and not posed:
        raise BridgeError(
            f"--protocol known-poses needs reference cameras, {photos} has none; "
            "add a transforms.json or a COLMAP model, or use --protocol from-scratch"
        )
    protocol = options.protocol
    if protocol == "auto":
        protocol = "known-poses" if posed else "from-scratch"
    # a photo that cannot be read keeps its place in the count, so that it does not move the others' roles
    split = protocols.split(
        capture.clip.names,
        views=options.views,
        unusable=tuple(name for name, _ in capture.skipped if capture.kind != "video"),
        heldout=capture.heldout,
    )
    plain = store.plain_names(capture.listed or capture.clip.names)
    originals = _originals(capture, photos, plain)
    split = split.renamed(plain)
    capture = replace(capture, clip=replace(capture.clip, names=tuple(plain[n] for n in capture.clip.names)))
    where = {name: i for i, name in enumerate(capture.clip.names)}
    world = None
    if protocol == "known-poses" and not options.scene_files:  # these lie in the frame that came along
        world = capture_from_scene(capture.clip[[where[name] for name in split.training]].require_cameras())
    if world is not None:
        cameras = world.inverse().cameras(capture.clip.require_cameras())
        capture = replace(capture, clip=replace(capture.clip, cameras=cameras))
    for part, names in (("training", split.training), ("heldout", split.heldout)):
        store.save_clip(capture.clip[[where[name] for name in names]], folder / part)
    about = _about(capture, photos, protocol, split, allow_outside=options.allow_outside)
    about["originals"] = originals
    if world is not None:
        about["capture_from_scene"] = store.similarity_to_json(world)
        about["notes"].append(_moved(world))
    write_json(folder / "capture.json", about)


def _read_with_judges(photos: Path, options: CaptureOptions) -> Capture:
    """The capture; where every photo that was due to judge cannot, it is read again with the next ones held out, so that
    these decide nothing either."""
    unfit: set[str] = set()
    for _ in range(TRIES):
        capture = read_capture(
            photos,
            max_side=options.sfm_side,
            resize_mixed=options.resize_mixed,
            max_frames=options.video_frames,
            with_cameras=_with_cameras(options),
            hold_out=partial(_due, unfit=frozenset(unfit)),
            allow_outside=options.allow_outside,
        )
        left_out = {name for name, _ in capture.skipped} - unfit
        if capture.heldout or not left_out:
            break
        unfit |= left_out
    return capture


def _due(names: Sequence[str], *, unfit: Collection[str]) -> set[str]:
    return protocols.choose_held_out([name for name in names if name not in unfit])


def _originals(capture: Capture, photos: Path, plain: dict[str, str]) -> dict[str, dict[str, str]]:
    """For each name in the run what the photo is called in its capture, and its file relative to that."""
    root = photos if photos.is_dir() else photos.parent
    return {
        plain[name]: {"name": name, "file": os.path.relpath(file, root)}
        for name, file in zip(capture.clip.names, capture.files, strict=False)
    }


def _moved(world: Sim3) -> str:
    origin = ", ".join(f"{x:.10g}" for x in world.translation.tolist())
    return (
        f"the cameras lie far from the origin or in an unusual unit: the work is done relative to ({origin}) in units of "
        f"{float(world.scale):.6g}, because single precision ends there; exports are brought back, and say so where they cannot be"
    )


def _focal_prior(capture: Capture, training: tuple[str, ...]) -> float | None:
    """The median of what EXIF says of the training photos; the held-out ones are not asked."""
    said = dict(zip(capture.clip.names, capture.focals_px, strict=False))
    known = [said[name] for name in training if said.get(name) is not None]
    return float(torch.tensor(known, dtype=torch.float64).median()) if known else None


def _about(
    capture: Capture, photos: Path, protocol: str, split: protocols.Split, *, allow_outside: bool
) -> dict:
    return {
        "path": str(photos),
        "kind": capture.kind,
        "allow_outside": allow_outside,
        "pose_kind": capture.pose_kind,
        "protocol": protocol,
        "ordered": capture.ordered,
        "focal_prior_px": _focal_prior(capture, split.training),
        "given": len(capture.clip) + (0 if capture.kind == "video" else len(capture.skipped)),
        "usable": len(capture.clip),
        "skipped": [{"name": name, "reason": reason} for name, reason in capture.skipped],
        "notes": list(capture.notes),
        "levels": None if capture.levels is None else [capture.levels.black, capture.levels.white],
        "training": list(split.training),
        "heldout": list(split.heldout),
        "width": capture.clip.width,
        "height": capture.clip.height,
    }


def _recover(training: Path, folder: Path, protocol: protocols.Protocol, about: dict, recipe: Recipe) -> None:
    """Training photos → posed pinhole photos, points, and the lens through which held-out photos are seen."""
    clip = store.load_clip(training)
    seconds: dict[str, float] = {}
    lens: Lens | None = None
    matched: MatchedPhotos | None = None
    if protocol is protocols.Protocol.FROM_SCRATCH:
        found = reconstruct(
            clip,
            folder / ".sfm",
            recipe=recipe,
            focal_prior_px=about["focal_prior_px"],
            ordered=about["ordered"],
        )
        recovery, posed, lens, matched = found.recovery, found.clip, found.lens, found.matched
        status, models = recovery.status, recovery.num_models
        errors = recovery.reprojection_error_px[recovery.registered]
        seconds |= recovery.seconds
        error_px = float(errors.nanmean()) if len(errors) and not errors.isnan().all() else None
    else:
        status, models, posed, error_px = RecoveryStatus.OK, 1, clip, None
    registered = 0 if posed is None else len(posed)
    if posed is not None and registered >= 2:
        anchor = build_anchor(posed, folder / ".anchor", recipe=recipe, matched=matched)
        store.save_clip(posed, folder / "photos")
        store.save_points(anchor.points, folder / "points.npz")
        store.save_anchor(anchor, folder / "anchor")
        store.save_tracks(anchor.tracks, folder / "tracks.npz")
    write_json(
        folder / "sfm.json",
        {
            "status": status.value,
            "registered": registered,
            "registered_names": [] if posed is None else list(posed.names),
            "models": models,
            "reprojection_error_px": error_px,
            "points": len(anchor.points) if posed is not None and registered >= 2 else 0,
            "seconds": {k: round(v, 3) for k, v in seconds.items()},
            "lens": None if lens is None else asdict(lens),
        },
    )
    for scratch in (".sfm", ".anchor"):
        shutil.rmtree(folder / scratch, ignore_errors=True)


def register_heldout(run: Run, ground: Ground, options: CaptureOptions) -> Clip | None:
    """Held-out photos with cameras, at working resolution, for judging and nothing else.

    With known poses they come with the capture; from scratch each is registered against the frozen model.
    None where no held-out photo could be registered.
    """
    source = run.folder / "capture" / "heldout"
    if ground.protocol is protocols.Protocol.KNOWN_POSES:
        return store.load_clip(source).limit_size(options.max_side)

    def work(folder: Path) -> None:
        lens = Lens(**{**ground.about["sfm"]["lens"], "params": tuple(ground.about["sfm"]["lens"]["params"])})
        clip = lens.undistort(store.load_clip(source))
        registration = register(
            ground.anchor(),
            clip,
            K=lens.K[None].repeat(len(clip), 1, 1),
            folder=folder / ".register",
            recipe=options.recipe,
        )
        found = registration.recovery
        shutil.rmtree(folder / ".register", ignore_errors=True)
        store.save_tracks(registration.tracks, folder / "tracks.npz")
        if found.cameras is not None:
            kept = clip[found.registered]
            store.save_clip(Clip(kept.images, found.cameras, kept.times_s, kept.names), folder / "photos")
        write_json(folder / "heldout.json", _recovery_summary(found))

    done = run.stage(
        "heldout",
        work,
        version=HELDOUT_VERSION,
        depends_on=options_of(options, "seed"),
        earlier={"sfm": ground.sfm_fingerprint, "capture": fingerprint_files(source)},
    )
    if not (done.folder / "photos").exists():
        return None
    return store.load_clip(done.folder / "photos").limit_size(options.max_side)


def _recovery_summary(recovery: Recovery) -> dict:
    return {
        "status": recovery.status.value,
        "names": list(recovery.names),
        "registered": recovery.registered.tolist(),
        "inliers": recovery.inliers.tolist(),
        "reprojection_error_px": [
            None if torch.isnan(e) else round(float(e), 4) for e in recovery.reprojection_error_px
        ],
    }


def options_of(options: object, *names: str) -> dict[str, Any]:
    """Some of the options by their names, as a stage depends on them."""
    return {name: getattr(options, name) for name in names}


def options_key(options: object) -> dict:
    """A dataclass of options as JSON, for fingerprints."""
    return json.loads(json.dumps(asdict(options), default=str))  # type: ignore[call-overload]
