"""Camera paths in the frame of prepared photos."""

from dataclasses import replace
from pathlib import Path

from bridge4d.augmenting.prepare import PreparedPhotos
from bridge4d.rendering.options import RenderOptions
from bridge4d.rendering.paths import CameraPath, camera_file, camera_path, with_size
from bridge4d.runs import store
from bridge4d.scenes import LoadedScene, SceneView
from bridge4d.stages import depth, sfm
from recon.gaussians import from_points

POINT_OPACITY = 0.9
"""Of the points that stand for the scene where a path asks how far away things are: nearly solid."""


def plan_path(prepared: PreparedPhotos, rendering: RenderOptions) -> CameraPath:
    """The path that `rendering` names, at the size and in the frame in which the photos are worked on.

    Raises:
        BridgeError: as `bridge4d.rendering.paths.camera_path`.
    """
    photos = prepared.photos
    assert photos is not None
    cameras = photos.require_cameras()
    views = tuple(SceneView(name, "photo", cameras[i], Path(name)) for i, name in enumerate(photos.names))
    assert prepared.surfaces is not None
    start = depth.load_start(prepared.surfaces.folder)
    points = from_points(start.xyz.float(), start.rgb, sh_degree=0, opacity=POINT_OPACITY)
    capture = Path(prepared.about["path"])
    scene = LoadedScene(
        capture, capture, points, views=views, points=sfm.load_points(prepared.cameras.folder)
    )
    path = camera_path(scene, rendering)
    asked = path.cameras
    if (
        camera_file(rendering.path or "orbit") is not None
        and prepared.about.get("capture_from_scene") is not None
    ):
        asked = store.similarity_from_json(prepared.about["capture_from_scene"]).inverse().cameras(asked)
    sized = with_size(asked, width=cameras.width, height=cameras.height)
    return replace(path, cameras=sized.validate())
