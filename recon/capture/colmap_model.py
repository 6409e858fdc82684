"""COLMAP models, text and binary: read, write, and pycolmap's types turned into ours."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.capture.lens import Lens
from recon.capture.posed import PosedPhoto, read_posed
from recon.capture.read import Capture
from recon.errors import CameraError, CaptureError
from recon.points import PointCloud
from recon.tracks import Tracks


def find_model(folder: Path) -> Path | None:
    """Where the model of a capture is: the folder itself, or ``sparse/0`` beside its images."""
    for place in (folder, folder / "sparse" / "0", folder / "sparse", folder / "colmap" / "sparse" / "0"):
        if any(
            (place / f"cameras{s}").is_file() and (place / f"images{s}").is_file() for s in (".bin", ".txt")
        ):
            return place
    return None


def read_colmap(folder: Path, *, max_side: int | None = None, resize_mixed: bool = False) -> Capture:
    """Photos with the cameras and points of a COLMAP model; its lenses are taken out of the pictures.

    The pictures are looked for in the folder and in ``images`` beside it or up to two levels above the model.

    Raises:
        CaptureError: no model, an unreadable one, or fewer than two of its photos there.
        CameraError: cameras that do not belong to the pictures.
    """
    place, model = _load(folder)
    photos = _photos(folder, place, model)
    clip, skipped = read_posed(photos, place, max_side=max_side, resize_mixed=resize_mixed)
    return Capture(
        clip, (), tuple(skipped), kind="colmap", pose_kind="reference-sfm", points=point_cloud(model)[0]
    )


def list_photos(folder: Path) -> list[PosedPhoto]:
    """The photos of a model with their lenses and poses, as `read_colmap` finds them; no picture is decoded.

    Raises:
        CaptureError: no model, or an unreadable one.
    """
    return _photos(folder, *_load(folder))


def _load(folder: Path):
    """Where the model is, and itself."""
    import pycolmap

    place = find_model(folder)
    if place is None:
        raise CaptureError(
            f"expected a COLMAP model (cameras, images and points3D as .bin or .txt) in {folder}"
        )
    try:
        return place, pycolmap.Reconstruction(str(place))
    except Exception as e:
        raise CaptureError(
            f"the COLMAP model in {place} cannot be read ({str(e).splitlines()[0][:160]})"
        ) from e


def _photos(folder: Path, place: Path, model) -> list[PosedPhoto]:
    images = sorted((model.image(i) for i in model.reg_image_ids()), key=lambda image: image.name)
    if not images:
        raise CaptureError(f"the COLMAP model in {place} has no registered images")
    base = _pictures(folder, place, [image.name for image in images])
    short = len({Path(image.name).name for image in images}) == len(images)
    return [
        PosedPhoto(
            name=Path(image.name).name if short else image.name,
            file=base / image.name,
            lens=Lens.from_camera(image.camera),
            cam_from_world=pose_matrix(image.cam_from_world()),
        )
        for image in images
    ]


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
    import pycolmap

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
    import pycolmap

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
    import pycolmap

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


def _pictures(folder: Path, place: Path, names: Sequence[str]) -> Path:
    """The folder that holds most of the named photos."""
    places = dict.fromkeys(
        (folder / "images", place / "images", place.parent / "images", place.parent.parent / "images", folder)
    )
    return max(places, key=lambda base: sum((base / name).is_file() for name in names))
