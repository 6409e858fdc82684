"""The photos of a run as they were taken: found again, undistorted at full resolution, compared with what the run saw."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Shaped

from bridge4d.runs import store
from bridge4d.runs.run_json import CaptureSaid, SfmSaid
from bridge4d.runs.stored_json import DamagedFileError
from bridge4d.runs.typed_json import read_typed, understood
from bridge4d.scenes import SceneView
from recon.bounded import parse_path
from recon.cameras import Cameras
from recon.capture.posed.photo import PosedPhoto, fit_lens
from recon.capture.read import list_capture
from recon.errors import BridgeError, CameraError
from recon.lens import Lens
from recon.pictures.headers import photo_shape
from recon.pictures.images import decode, shrink
from recon.pictures.levels import Levels
from recon.pictures.shape import Layout, PictureShape
from recon.videos import read as video

THUMBNAIL_SIDE = 64
"""Pictures are compared at this long side: there the way in which they were shrunk and undistorted leaves no trace."""
SAME_WITHIN = 4 / 255
"""Mean difference of thumbnails of one photo. Ways of resampling make 0.3/255; another photo of a scene, 10/255 at least."""


@dataclass(frozen=True)
class Original:
    """Where a photo of a run came from, and through which lens it was taken."""

    photo: PosedPhoto
    frame: int | None = None
    """Number of the frame, where the file is a video."""
    levels: Levels | None = None
    """Which part of the range of deep pictures the run shows."""


@dataclass(frozen=True)
class FullPhoto:
    """A photo at full resolution, without distortion."""

    view: SceneView
    camera: Cameras
    """One, at the size of the picture."""
    pixels: Shaped[np.ndarray, "h w 3"]
    """RGB; uint8, or float32 in [0, 1] where the file has more bits."""
    file: Path
    """The original."""
    made: Literal["copied", "converted", "undistorted"]
    """copied: the file itself is this picture, upright RGB without distortion; converted: it is of another kind."""


@dataclass(frozen=True)
class LostPhoto:
    view: SceneView
    reason: str
    """Why the original cannot be used."""


def find_originals(run: Path, photos: Path | None = None) -> dict[str, Original]:
    """The originals of a run's photos by the names that the run gave them.

    `photos` says where they are now; without it they are looked for where they were, also beside the run.

    Raises:
        BridgeError: they are not there, or not what they were.
    """
    file = run / "capture" / "capture.json"
    about: CaptureSaid = read_typed(file, CaptureSaid)
    path = find_photos(run, parse_path(about["path"], f"{file}, path"), photos)
    lens_of = _read_lenses(run, about)
    levels = _read_levels(about, file)
    if about["kind"] == "video":
        names = (*about["training"], *about["heldout"])
        shown = [
            PosedPhoto(name, _find_video(path), lens_of.get(name), NO_POSE, ("shown",)) for name in names
        ]
        with understood(file, "its names are no numbers of frames"):
            return {photo.name: Original(photo, int(photo.name), levels) for photo in shown}
    how = {"with_cameras": about["kind"] != "images", "allow_outside": about.get("allow_outside", False)}
    found = list_capture(path, **how)
    if isinstance(found, Path):
        raise BridgeError(f"expected the photos of the run at {path}, there is a video")
    root = path if path.is_dir() else path.parent
    at = {os.path.relpath(photo.file, root): photo for photo in found.photos}
    called = {photo.name: photo for photo in found.photos}
    names = (*about["training"], *about["heldout"])
    originals = {}
    for name, said in (about.get("originals") or {n: {"name": n, "file": n} for n in names}).items():
        # by its place, for other photos may have come since; by its name where the folder was arranged anew
        photo = at.get(said["file"]) or called.get(said["name"])
        if photo is not None:
            photo = photo if photo.lens is not None else replace(photo, lens=lens_of.get(name))
            originals[name] = Original(photo, levels=levels)
    return originals


NO_POSE = torch.eye(4, dtype=torch.float64)
"""The poses are those of the run."""


def load_full_photos(
    views: Sequence[SceneView], originals: dict[str, Original]
) -> Iterator[FullPhoto | LostPhoto]:
    """The photos of a run one by one, in any order; one is in memory at a time."""
    frames: dict[Path, dict[int, SceneView]] = {}
    for view in views:
        original = originals.get(view.name)
        if original is None:
            yield LostPhoto(view, "its original is not there")
        elif original.frame is None:
            yield _load_photo(view, original)
        else:
            frames.setdefault(original.photo.file, {})[original.frame] = view
    for file, wanted in frames.items():
        missing = set(wanted)
        for number, pixels in video.read_wanted_frames(file, wanted):
            missing.discard(number)
            yield _make_full_photo(wanted[number], originals[wanted[number].name], pixels, plain=False)
        for number in sorted(missing):
            yield LostPhoto(wanted[number], f"{file.name} has no frame {number} any more")


def find_photos(run: Path, stated: Path, given: Path | None = None) -> Path:
    """Where the photos of a run are now: at `given`, else where the run found them, also beside the run.

    Raises:
        BridgeError: they are not there.
    """
    if given is not None:
        if not os.path.exists(given):
            raise BridgeError(f"expected the photos of the run at {given}, there is nothing")
        return given
    # a relative path was relative to where the run was started, which is often a folder above it
    places = [stated, *(parent / stated for parent in run.resolve().parents)]
    found = next((place for place in places if os.path.exists(place)), None)
    if found is None:
        raise BridgeError(f"the photos are no longer at {stated}; say where they are (export --photos)")
    return found


def _find_video(path: Path) -> Path:
    if path.is_file():
        return path
    return next((p for p in sorted(path.iterdir()) if p.suffix.lower() in video.SUFFIXES), path)


def _read_lenses(run: Path, about: CaptureSaid) -> dict[str, Lens]:
    """The lens of each photo that came without a camera, where it was found.

    Raises:
        DamagedFileError: more lenses were found than there are.
    """
    file = run / "sfm" / "sfm.json"
    found: SfmSaid = read_typed(file, SfmSaid)
    names = (*about["training"], *about["heldout"])
    if "lenses" in found and len(about.get("lenses", ())) < len(found["lenses"]):
        raise DamagedFileError(file, "it holds more lenses than the capture")
    groups = [lens["photos"] for lens in about.get("lenses", ())] if "lenses" in found else [names]
    lenses = found.get("lenses", [found.get("lens")])
    return {
        name: Lens(said["model"], tuple(said["params"]), said["width"], said["height"])
        for photos, said in zip(groups, lenses, strict=False)  # none was found of held-out photos alone
        if said is not None
        for name in photos
    }


def _read_levels(about: CaptureSaid, file: Path) -> Levels | None:
    said = about.get("levels")
    if said is None:
        return None
    if len(said) != 2 or said[0] >= said[1]:
        raise DamagedFileError(file, "levels are not black and white")
    return Levels(*said)


def _load_photo(view: SceneView, original: Original) -> FullPhoto | LostPhoto:
    file = original.photo.file
    try:
        pixels, _, _ = decode(file, layout=_choose_layout(original.photo))
        plain = _is_plain(file)
    except Exception as e:  # Pillow's decoders raise nearly anything on broken files
        return LostPhoto(view, f"{file} cannot be decoded ({str(e)[:120]})")
    return _make_full_photo(view, original, pixels, plain=plain)


def _choose_layout(photo: PosedPhoto) -> Layout:
    """In which layout a photo is read; of one that is no longer what it was, the likelier."""
    try:
        return fit_lens(photo, photo_shape(photo.file))[1]
    except CameraError:
        return photo.order[0]


def _make_full_photo(
    view: SceneView, original: Original, pixels: np.ndarray, *, plain: bool
) -> FullPhoto | LostPhoto:
    """Undistorts a picture, and refuses one that is not what the run saw."""
    if original.levels is not None:
        pixels = original.levels.stretch(pixels)
    height, width = pixels.shape[:2]
    seen = view.own_camera
    if abs(seen.width / width * height - seen.height) > 1:
        return LostPhoto(view, f"it was cropped from {width}x{height}, or the original is another one")
    try:
        lens, _ = fit_lens(original.photo, PictureShape(width, height))
    except BridgeError as e:
        return LostPhoto(view, str(e))
    if lens is None:
        return LostPhoto(view, "its lens is not known")
    camera = seen.resize(width=width, height=height)
    made = "copied" if plain else "converted"
    if lens.is_pinhole:
        camera = Cameras(camera.cam_from_world, lens.K[None], width, height)
    else:
        # the lens at the size for which it was stated: resizing it would round where photos are not quite square
        stated = original.photo.lens if isinstance(original.photo.lens, Lens) else lens
        pixels, made = stated.undistort_picture(pixels, camera.K[0]), "undistorted"
    if _difference(pixels, view) > SAME_WITHIN:
        return LostPhoto(view, f"{original.photo.file} is no longer the picture that the run saw")
    return FullPhoto(view, camera, pixels, original.photo.file, made)


def _difference(pixels: np.ndarray, view: SceneView) -> float:
    """Mean absolute difference of the thumbnails of a picture and of what the run saw, in [0, 1]."""
    seen = np.ascontiguousarray(view.crop(store.load_picture(view.picture).numpy()))
    scale = THUMBNAIL_SIDE / max(seen.shape[:2])
    size = max(1, round(seen.shape[1] * scale)), max(1, round(seen.shape[0] * scale))
    full = shrink(pixels, *size).astype(np.float32) / (255 if pixels.dtype == np.uint8 else 1)
    return float(np.abs(full - shrink(seen, *size)).mean())


def _is_plain(file: Path) -> bool:
    """Whether every reader of JPEG and PNG sees what `decode` sees."""
    from PIL import Image

    if file.suffix.lower() not in (".jpg", ".jpeg", ".png"):  # Pillow may not even open the others
        return False
    if not photo_shape(file).plain:
        return False
    with Image.open(file) as image:
        return image.format in ("JPEG", "PNG") and image.mode == "RGB" and "transparency" not in image.info
