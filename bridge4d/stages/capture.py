"""Read a capture: training photos and held-out photos, in folders of their own."""

import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import torch

from bridge4d.runs import store
from bridge4d.runs.fingerprints import fingerprint_list
from bridge4d.runs.plain_names import plain_names
from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages.options import CaptureOptions
from eval.judging import protocols
from recon.capture.capture import Capture
from recon.capture.files_read import list_capture_files
from recon.capture.normal_frame import capture_from_scene
from recon.capture.read import read_capture
from recon.errors import BridgeError
from recon.pictures.gps import read_place
from recon.sim3 import Sim3

VERSION = 5
TRIES = 3
"""A capture is read so often to find photos that can judge; each time is as long as reading it."""


class SkippedPhoto(TypedDict):
    name: str
    reason: str


class OriginalPhoto(TypedDict):
    name: str
    file: str


class LensRecord(TypedDict):
    """A lens that is not known yet."""

    name: str
    """Size and camera, for people."""
    focal_prior_px: float | None
    """By EXIF, in pixels of the stored photos; None where EXIF has none."""
    photos: list[str]
    """All taken through it, held-out ones included."""


class CaptureRecord(TypedDict):
    """``capture.json``."""

    path: str
    kind: str
    allow_outside: bool
    pose_kind: str | None
    protocol: str
    ordered: bool
    places: dict[str, tuple[float, float, float | None]]
    """Latitude and longitude in degrees, height in metres, of training photos by their EXIF."""
    lenses: list[LensRecord]
    """Empty where the photos came with cameras."""
    given: int
    usable: int
    skipped: list[SkippedPhoto]
    notes: list[str]
    levels: list[float] | None
    training: list[str]
    heldout: list[str]
    width: int
    height: int
    originals: dict[str, OriginalPhoto]
    capture_from_scene: NotRequired[store.StoredSimilarity]
    """Only where the work is done in a frame of its own."""


def read_photos(photos: Path, out: Path, options: CaptureOptions) -> None:
    """Read a capture, decide which photos are held out, and write both parts and ``capture.json``.

    Args:
        photos: a folder of photos, a video, a COLMAP model or a folder with a `transforms.json`.
        out: an empty folder, made where it is absent.

    Raises:
        BridgeError: unreadable photos, too few of them, or no cameras where the protocol needs them.
    """
    out.mkdir(parents=True, exist_ok=True)
    scratch = out / ".pixels"
    capture = _read_with_judges(photos, options, scratch)
    posed = capture.photos.cameras is not None
    if options.protocol == "known-poses" and not posed:
        raise BridgeError(
            f"--protocol known-poses needs reference cameras, {photos} has none; "
            "add a transforms.json or a COLMAP model, or use --protocol from-scratch"
        )
    protocol = options.protocol
    if protocol == "auto":
        protocol = "known-poses" if posed else "from-scratch"
    # a photo that cannot be read keeps its place in the count, so that it does not move the others' roles
    split = protocols.split_photos(
        capture.photos.names,
        views=options.views,
        unusable=tuple(name for name, _ in capture.skipped if capture.kind != "video"),
        heldout=capture.heldout,
    )
    plain = plain_names(capture.listed or capture.photos.names)
    originals = _list_originals(capture, photos, plain)
    split = split.rename(plain)
    capture = replace(
        capture, photos=replace(capture.photos, names=tuple(plain[n] for n in capture.photos.names))
    )
    where = {name: i for i, name in enumerate(capture.photos.names)}
    world = None
    if protocol == "known-poses" and not options.scene_files:  # these lie in the frame that came along
        world = capture_from_scene(capture.photos[[where[name] for name in split.training]].require_cameras())
    if world is not None:
        cameras = world.inverse().cameras(capture.photos.require_cameras())
        capture = replace(capture, photos=replace(capture.photos, cameras=cameras))
    for part, names in (("training", split.training), ("heldout", split.heldout)):
        store.save_clip(capture.photos, out / part, rows=[where[name] for name in names])
    shutil.rmtree(scratch, ignore_errors=True)
    record = _describe(capture, photos, protocol, split, allow_outside=options.allow_outside)
    record["originals"] = originals
    if world is not None:
        record["capture_from_scene"] = store.similarity_to_json(world)
        record["notes"].append(_frame_sentence(world))
    write_json(out / "capture.json", record)


def group_photos(record: CaptureRecord, names: Sequence[str]) -> list[int]:
    """For each of some photos the number of its lens in the record."""
    number_of = {name: i for i, lens in enumerate(record["lenses"]) for name in lens["photos"]}
    return [number_of[name] for name in names]


def load_record(folder: Path) -> CaptureRecord:
    """What `read_photos` wrote down.

    Raises:
        DamagedFileError: it is not what was written.
    """
    return read_typed(folder / "capture.json", CaptureRecord)


def fingerprint_capture(photos: Path, options: CaptureOptions) -> str:
    """A hash of all files that the capture is read from, wherever they lie."""
    root = photos if photos.is_dir() else photos.parent
    how = {"with_cameras": _with_cameras(options), "allow_outside": options.allow_outside}
    return fingerprint_list(list_capture_files(photos, **how), root)


def _with_cameras(options: CaptureOptions) -> bool:
    """From scratch, photos are read as they were taken: reference cameras know the held-out photos."""
    return options.protocol != "from-scratch"


def _read_with_judges(photos: Path, options: CaptureOptions, scratch: Path) -> Capture:
    """The capture; read again with the next photos held out where every photo that was due to judge cannot be read.

    So that these, too, decide nothing.
    """
    unfit: set[str] = set()
    for _ in range(TRIES):
        shutil.rmtree(scratch, ignore_errors=True)
        capture = read_capture(
            photos,
            max_side=options.sfm_side,
            max_frames=options.video_frames,
            with_cameras=_with_cameras(options),
            hold_out=partial(_choose_held_out, unfit=frozenset(unfit)),
            allow_outside=options.allow_outside,
            scratch=scratch,
        )
        left_out = {name for name, _ in capture.skipped} - unfit
        if capture.heldout or not left_out:
            break
        unfit |= left_out
    return capture


def _choose_held_out(names: Sequence[str], *, unfit: Collection[str]) -> set[str]:
    return protocols.choose_held_out([name for name in names if name not in unfit])


def _list_originals(capture: Capture, photos: Path, plain: dict[str, str]) -> dict[str, OriginalPhoto]:
    """For each name in the run what the photo is called in its capture, and its file relative to that."""
    root = photos if photos.is_dir() else photos.parent
    return {
        plain[name]: {"name": name, "file": os.path.relpath(file, root)}
        for name, file in zip(capture.photos.names, capture.files, strict=False)
    }


def _frame_sentence(world: Sim3) -> str:
    origin = ", ".join(f"{x:.10g}" for x in world.translation.tolist())
    return (
        f"the cameras lie far from the origin or in an unusual unit: the work is done relative to ({origin}) in units of "
        f"{float(world.scale):.6g}, because single precision ends there; exports are brought back, and say so where they cannot be"
    )


def list_lenses(capture: Capture, split: protocols.Split) -> list[LensRecord]:
    """The lenses of photos that came without cameras, those of training photos first, in the order of these."""
    if capture.photos.cameras is not None:
        return []
    names = capture.photos.names
    group_of = dict(zip(names, capture.lens_groups or [0] * len(names), strict=True))
    stated = dict(zip(names, capture.focals_px, strict=False))
    numbers = dict.fromkeys(group_of[name] for part in (split.training, split.heldout) for name in part)
    return [
        {
            "name": capture.lens_names[number]
            if capture.lens_names
            else f"{capture.photos.width}x{capture.photos.height}",
            "focal_prior_px": _focal_prior(
                [stated.get(name) for name in split.training if group_of[name] == number]
            ),
            "photos": [name for name in (*split.training, *split.heldout) if group_of[name] == number],
        }
        for number in numbers
    ]


def _list_places(capture: Capture, training: Sequence[str]) -> dict[str, tuple[float, float, float | None]]:
    """Where training photos without cameras were taken, by GPS; the held-out ones are not asked."""
    if capture.photos.cameras is not None:
        return {}
    asked = set(training)
    files = [(n, f) for n, f in zip(capture.photos.names, capture.files, strict=False) if n in asked]
    return {
        name: (place.latitude_deg, place.longitude_deg, place.height_m)
        for name, file in files
        if (place := read_place(file)) is not None
    }


def _focal_prior(stated: Sequence[float | None]) -> float | None:
    """The median of what EXIF says of training photos, pixels; the held-out ones are not asked."""
    known = [px for px in stated if px is not None]
    return float(torch.tensor(known, dtype=torch.float64).median()) if known else None


def _describe(
    capture: Capture, photos: Path, protocol: str, split: protocols.Split, *, allow_outside: bool
) -> dict[str, Any]:
    return {
        "path": str(photos),
        "kind": capture.kind,
        "allow_outside": allow_outside,
        "pose_kind": capture.pose_kind,
        "protocol": protocol,
        "ordered": capture.ordered,
        "places": _list_places(capture, split.training),
        "lenses": list_lenses(capture, split),
        "given": len(capture.photos) + (0 if capture.kind == "video" else len(capture.skipped)),
        "usable": len(capture.photos),
        "skipped": [{"name": name, "reason": reason} for name, reason in capture.skipped],
        "notes": list(capture.notes),
        "levels": None if capture.levels is None else [capture.levels.black, capture.levels.white],
        "training": list(split.training),
        "heldout": list(split.heldout),
        "width": capture.photos.width,
        "height": capture.photos.height,
    }
