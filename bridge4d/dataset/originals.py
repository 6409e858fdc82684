"""The photos of a run as they were taken: found again, undistorted at full resolution, compared with what the run saw."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Shaped

from bridge4d import store
from bridge4d.run import read_json
from bridge4d.scenes import SceneView
from recon.cameras import Cameras
from recon.capture import colmap_model, transforms_json, video
from recon.capture.images import ORIENTATION, decode, image_files, shrink
from recon.capture.lens import Lens
from recon.capture.posed import PosedPhoto, lens_of
from recon.errors import BridgeError

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


@dataclass(frozen=True)
class FullPhoto:
    """A photo at full resolution, without distortion."""

    view: SceneView
    camera: Cameras
    """One, at the size of the picture."""
    pixels: Shaped[np.ndarray, "h w 3"]
    """RGB; uint8, or float32 in [0, 1] where the file has more bits."""
    file: Path
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
    about = read_json(run / "capture" / "capture.json")
    path = _place(run, Path(about["path"]), photos)
    skipped = {item["name"] for item in about["skipped"]}
    lens = _lens_of_run(run)
    frames: dict[str, int] = {}
    if about["kind"] == "transforms":
        listed = transforms_json.list_photos(path if path.is_file() else path / "transforms.json")
    elif about["kind"] == "colmap":
        listed = colmap_model.list_photos(path)
    elif about["kind"] == "video":
        names = [*about["training"], *about["heldout"]]
        frames = {name: int(name) for name in names}
        listed = [PosedPhoto(name, _video(path), lens, NO_POSE) for name in names]
    else:
        folder = path.parent if path.suffix.lower() == ".json" else path
        listed = [PosedPhoto(file.name, file, lens, NO_POSE) for file in image_files(folder)]
    listed = [photo for photo in listed if photo.name not in skipped]
    names = store.plain_names(tuple(photo.name for photo in listed))
    return {n: Original(photo, frames.get(n)) for n, photo in zip(names, listed, strict=True)}


NO_POSE = torch.eye(4, dtype=torch.float64)
"""The poses are those of the run."""


def full_photos(
    views: Sequence[SceneView], originals: dict[str, Original]
) -> Iterator[FullPhoto | LostPhoto]:
    """The photos of a run one by one, in any order; one is in memory at a time."""
    frames: dict[Path, dict[int, SceneView]] = {}
    for view in views:
        original = originals.get(view.name)
        if original is None:
            yield LostPhoto(view, "its original is not there")
        elif original.frame is None:
            yield _from_file(view, original)
        else:
            frames.setdefault(original.photo.file, {})[original.frame] = view
    for file, wanted in frames.items():
        missing = set(wanted)
        for number, pixels in video.each_frame(file, wanted):
            missing.discard(number)
            yield _checked(wanted[number], originals[wanted[number].name], pixels, plain=False)
        for number in sorted(missing):
            yield LostPhoto(wanted[number], f"{file.name} has no frame {number} any more")


def _place(run: Path, stated: Path, given: Path | None) -> Path:
    if given is not None:
        if not given.exists():
            raise BridgeError(f"expected the photos of the run at {given}, there is nothing")
        return given
    # a relative path was relative to where the run was started, which is often a folder above it
    places = [stated, *(parent / stated for parent in run.resolve().parents)]
    found = next((place for place in places if place.exists()), None)
    if found is None:
        raise BridgeError(f"the photos are no longer at {stated}")
    return found


def _video(path: Path) -> Path:
    if path.is_file():
        return path
    return next((p for p in sorted(path.iterdir()) if p.suffix.lower() in video.SUFFIXES), path)


def _lens_of_run(run: Path) -> Lens | None:
    """None where the photos came with cameras."""
    said = read_json(run / "sfm" / "sfm.json")["lens"]
    return None if said is None else Lens(**{**said, "params": tuple(said["params"])})


def _from_file(view: SceneView, original: Original) -> FullPhoto | LostPhoto:
    try:
        pixels, _, _ = decode(original.photo.file)
    except Exception as e:  # Pillow's decoders raise nearly anything on broken files
        return LostPhoto(view, f"{original.photo.file} cannot be decoded ({str(e)[:120]})")
    return _checked(view, original, pixels, plain=_is_plain(original.photo.file))


def _checked(
    view: SceneView, original: Original, pixels: np.ndarray, *, plain: bool
) -> FullPhoto | LostPhoto:
    """Undistorts a picture, and refuses one that is not what the run saw."""
    height, width = pixels.shape[:2]
    seen = view.camera
    if abs(seen.width / width * height - seen.height) > 1:
        return LostPhoto(view, f"it was cropped from {width}x{height}, or the original is another one")
    try:
        lens = lens_of(original.photo, width=width, height=height)
    except BridgeError as e:
        return LostPhoto(view, str(e))
    camera = seen.resized(width=width, height=height)
    made = "copied" if plain else "converted"
    if lens.is_pinhole:
        camera = Cameras(camera.cam_from_world, lens.K[None], width, height)
    else:
        # the lens at the size for which it was stated: resizing it would round where photos are not quite square
        pixels, made = (original.photo.lens or lens).undistort_picture(pixels, camera.K[0]), "undistorted"
    if _difference(pixels, view.picture) > SAME_WITHIN:
        return LostPhoto(view, f"{original.photo.file} is no longer the picture that the run saw")
    return FullPhoto(view, camera, pixels, original.photo.file, made)


def _difference(pixels: np.ndarray, picture: Path) -> float:
    """Mean absolute difference of the thumbnails of two pictures, in [0, 1]."""
    seen = store.load_picture(picture).numpy()
    scale = THUMBNAIL_SIDE / max(seen.shape[:2])
    size = max(1, round(seen.shape[1] * scale)), max(1, round(seen.shape[0] * scale))
    full = shrink(pixels, *size).astype(np.float32) / (255 if pixels.dtype == np.uint8 else 1)
    return float(np.abs(full - shrink(seen, *size)).mean())


def _is_plain(file: Path) -> bool:
    """Whether every reader of JPEG and PNG sees what `decode` sees."""
    from PIL import Image

    if file.suffix.lower() not in (".jpg", ".jpeg", ".png"):  # Pillow may not even open the others
        return False
    with Image.open(file) as image:
        upright = image.getexif().get(ORIENTATION, 1) == 1
        return (
            image.format in ("JPEG", "PNG")
            and image.mode == "RGB"
            and upright
            and "transparency" not in image.info
        )
