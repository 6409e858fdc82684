"""Writing of cameras and points as a COLMAP model, and conversion of poses."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import CameraError
from recon.lens import Lens
from recon.pictures.eight_bit import to_eight_bit
from recon.points import PointCloud
from recon.tracks import Tracks


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
        camera = each[i].to("cpu", torch.float64).validate([name])
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
    rgb = to_eight_bit(points.rgb).numpy()
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
