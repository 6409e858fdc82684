"""COLMAP models, text and binary: read, write, and pycolmap's types turned into ours."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.capture.colmap_text import image_lines, readable
from recon.capture.frame_files import listed, natural_key
from recon.capture.images import photo_shape
from recon.capture.lens import Lens
from recon.capture.listing import Listing, find_pictures
from recon.capture.photos import PosedPhoto
from recon.capture.picture_names import PictureFinder
from recon.colmap.model import Camera, read_model
from recon.errors import BridgeError, CameraError, CaptureError
from recon.files import open_regular
from recon.points import PointCloud
from recon.tracks import Tracks


def find_model(folder: Path) -> Path | None:
    """Where the model of a capture is: the folder itself, ``sparse`` beside its images, or a dense workspace; of several
    in one place that with the most images."""
    found = models_in(folder)
    return found[0] if found else None


def models_in(folder: Path) -> list[Path]:
    """The models of the first place of a capture that holds any, that with the most images first."""
    for place in (
        folder,
        folder / "sparse",
        folder / "colmap" / "sparse",
        folder / "colmap",
        folder / "dense" / "sparse",
        folder / "dense" / "0" / "sparse",
        folder / "undistorted" / "sparse",
        folder / "distorted" / "sparse",
    ):
        numbered = [p for p in listed(place) if p.name.isdecimal() and _is_model(p)] if place.is_dir() else []
        own = [place] if _is_model(place) else []
        if own and place == folder:  # it was given itself
            return own
        found = [*numbered, *own]
        if found:  # counting reads a whole text model: only where there is a choice
            return sorted(found, key=_count_images, reverse=True) if len(found) > 1 else found
    return []


def _is_model(place: Path) -> bool:
    return any(
        (place / f"cameras{s}").is_file() and (place / f"images{s}").is_file() for s in (".bin", ".txt")
    )


def _count_images(place: Path) -> int:
    """How many images a model says that it has registered; 0 where it cannot be read."""
    try:
        if (place / "images.bin").is_file():
            with open_regular(place / "images.bin") as stream:
                return int.from_bytes(stream.read(8), "little")
        return len(image_lines(place / "images.txt"))
    except (OSError, BridgeError):
        return 0


def list_colmap(folder: Path) -> Listing:
    """The photos of a COLMAP model with their lenses and poses; no picture is decoded.

    The pictures are looked for in the folder and in ``images`` beside it or up to two levels above the model.

    Raises:
        CaptureError: no model, an unreadable one, or one without registered images.
        CameraError: a lens that is no pinhole.
    """
    model = load_model(folder)
    images = model.images
    names = [image.name for image in images]
    base = _pictures(folder, model.place, names, images[0].lens)
    what = f"the COLMAP model in {model.place}"
    named = find_pictures(names, PictureFinder(base, what=what), model.place.name)
    short = len({f.name for f in named.files}) == len(names)
    photos = [
        PosedPhoto(file.name if short else image.name, file, image.lens, image.cam_from_world)
        for image, file in zip(images, named.files, strict=True)
    ]
    return Listing(
        "colmap",
        model.place,
        tuple(photos),
        model.files,
        notes=(*model.notes, *named.notes),
        pose_kind="reference-sfm",
        points=lambda: model.points,
    )


@dataclass(frozen=True)
class ModelImage:
    name: str
    lens: Lens
    cam_from_world: Float[Tensor, "4 4"]


@dataclass(frozen=True)
class ColmapModel:
    """A COLMAP model that was read."""

    place: Path
    images: tuple[ModelImage, ...]
    """The registered ones, in the natural order of their names."""
    points: PointCloud
    notes: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(p for p in sorted(self.place.iterdir()) if p.suffix in (".bin", ".txt"))


def load_model(folder: Path) -> ColmapModel:
    """Reads the model of a capture, the largest of several; points need not be there.

    Raises:
        CaptureError: no model, an unreadable one, or one without registered images.
        CameraError: a lens that is no pinhole, or two images of one name.
    """
    found = models_in(folder)
    if not found:
        raise CaptureError(
            f"expected a COLMAP model (cameras and images as .bin or .txt) in {folder}, found none"
        )
    place = found[0]
    with readable(place) as (files, names, notes):
        model = read_model(files, place)
    if len(found) > 1:
        others = ", ".join(f"{p.name} ({_count_images(p)})" for p in found[1:4])
        notes = [
            f"the largest of {len(found)} models is read, {place.name} with {_count_images(place)} images; the others: {others}",
            *notes,
        ]
    images = []
    for image_id, stated, camera, pose in zip(
        model.image_ids, model.names, model.cameras, model.cam_from_world, strict=True
    ):
        name = names.get(image_id, stated)
        images.append(ModelImage(name, _lens(camera, name, place), torch.from_numpy(pose)))
    if not images:
        raise CaptureError(f"the COLMAP model in {place} has no registered images")
    twice = [name for name, n in Counter(image.name for image in images).items() if n > 1]
    if twice:
        raise CameraError(
            f"{place} has several images called {twice[0]!r}; expected one camera for a picture"
        )
    images.sort(key=lambda image: natural_key(image.name))
    return ColmapModel(
        place, tuple(images), PointCloud.from_arrays(model.xyz, model.rgb, model.error_px), tuple(notes)
    )


def _lens(camera: Camera, name: str, place: Path) -> Lens:
    if camera.model in NO_PINHOLES:
        raise CameraError(
            f"the COLMAP model in {place}: {name} was taken with a lens of the kind {camera.model}; unwrap the "
            "pictures to pinholes first"
        )
    return Lens(*camera)


NO_PINHOLES = ("EQUIRECTANGULAR",)
"""Models of COLMAP that no pinhole can stand for."""


def write_colmap(
    folder: Path,
    cameras: Cameras | Sequence[Cameras],
    names: Sequence[str],
    points: PointCloud | None = None,
    tracks: Tracks | None = None,
    *,
    text: bool = False,
) -> None:
    """Pinholes and points as a COLMAP model that other tools read; ids count from 1 in the order of `names`.

    Cameras of several picture sizes come as several batches. Pictures of equal intrinsics share a camera.
    Without `tracks` no picture sees a point; with them they have no other features than those.

    Raises:
        CameraError: not one name for each camera, or cameras that are none.
    """
    from recon.colmap.library import pycolmap

    parts = [cameras] if isinstance(cameras, Cameras) else list(cameras)
    each = [part[i] for part in parts for i in range(len(part))]
    if len(names) != len(each):
        raise CameraError(f"expected one name for each of {len(each)} cameras, got {len(names)}")
    tracks = tracks or Tracks.empty()
    seen = [tracks.of_image(i) for i in range(len(each))]
    model = pycolmap.Reconstruction()
    camera_id_of: dict[Lens, int] = {}
    for i, name in enumerate(names):
        camera = each[i].to("cpu", torch.float64).checked([name])
        lens = Lens.pinhole(camera.K[0], width=camera.width, height=camera.height)
        if lens not in camera_id_of:
            colmap_camera = lens.camera()
            colmap_camera.camera_id = camera_id_of[lens] = len(camera_id_of) + 1
            model.add_camera_with_trivial_rig(colmap_camera)
        image = pycolmap.Image(
            name=name, keypoints=seen[i].xy.numpy(), camera_id=camera_id_of[lens], image_id=i + 1
        )
        model.add_image_with_trivial_frame(image, rigid(camera.cam_from_world[0]))
    if points is not None:
        _add_points(model, points, seen)
    folder.mkdir(parents=True, exist_ok=True)
    (model.write_text if text else model.write_binary)(str(folder))


def _add_points(model, points: PointCloud, seen: Sequence[Tracks]) -> None:
    """Adds points to a `pycolmap.Reconstruction` whose image i + 1 has the observations `seen[i]` as features.

    Errors are those of `points`, which may count other pixels; where a point is seen they are computed anew.
    """
    from recon.colmap.library import pycolmap

    elements = [[] for _ in range(len(points))]
    for i, tracks in enumerate(seen):
        for feature, point in enumerate(tracks.point.tolist()):
            elements[point].append(pycolmap.TrackElement(i + 1, feature))
    rgb = (points.rgb * 255).round().clamp(0, 255).to(torch.uint8).numpy()
    rows = zip(points.xyz.double().numpy(), rgb, points.error_px.tolist(), elements, strict=True)
    unseen: dict[int, float] = {}
    for xyz, color, error, track in rows:
        point_id = model.add_point3D(xyz, pycolmap.Track(track), color)
        if not track:
            unseen[point_id] = error
    model.update_point_3d_errors()
    for point_id, error in unseen.items():
        model.point3D(point_id).error = error


def rigid(cam_from_world: Float[Tensor, "4 4"]):
    """As a `pycolmap.Rigid3d`."""
    from recon.colmap.library import pycolmap

    return pycolmap.Rigid3d(np.array(cam_from_world[:3].double(), dtype=np.float64))


def pose_matrix(cam_from_world) -> Float[Tensor, "4 4"]:
    """From a `pycolmap.Rigid3d`."""
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3] = torch.from_numpy(np.array(cam_from_world.matrix()))
    return pose


def point_cloud(model) -> tuple[PointCloud, dict[int, int]]:
    """The points of a `pycolmap.Reconstruction` in the order of their ids, and the row of each id.

    An error that the file does not state is NaN.
    """
    ids = sorted(model.points3D)
    if not ids:
        return PointCloud.empty(), {}
    points = [model.point3D(i) for i in ids]
    error_px = torch.tensor([p.error for p in points], dtype=torch.float64)
    cloud = PointCloud(
        xyz=torch.from_numpy(np.stack([p.xyz for p in points])),
        rgb=torch.from_numpy(np.stack([p.color for p in points])).float() / 255,
        error_px=torch.where(error_px < 0, torch.nan, error_px),
    )
    return cloud, {i: row for row, i in enumerate(ids)}


def _pictures(folder: Path, place: Path, names: Sequence[str], lens: Lens) -> Path:
    """The folder that holds most of the named photos; of several, the first whose pictures have the lens's size."""
    above = [place.parent, *place.parent.parents[:2]]
    places = dict.fromkeys(
        p
        for base in (folder, place, *above[:2])
        for p in (base / "images", base / "input", base / "dense" / "images", base)
    )

    def rank(base: Path) -> tuple[int, bool]:
        there = [base / name for name in names if (base / name).is_file()]
        return len(there), bool(there) and _has_size(there[0], lens)

    best = max(places, key=rank)
    if rank(best)[0]:
        return best
    return max(places, key=lambda base: _found_at_all(base, names))


def _has_size(picture: Path, lens: Lens) -> bool:
    try:
        shape = photo_shape(picture)
    except Exception:  # Pillow's decoders raise nearly anything on broken files; said when it is decoded
        return False
    return (lens.width, lens.height) in (shape.size("stored"), shape.size("shown"))


def _found_at_all(base: Path, names: Sequence[str]) -> int:
    """How many of the names a folder has some picture for."""
    if not base.is_dir():
        return 0
    finder = PictureFinder(base)
    return sum(finder.find(name).file.is_file() for name in names[:100])
