"""Camera paths in the frame of prepared photos."""

from dataclasses import replace
from pathlib import Path

from bridge4d.augmenting.prepare import PreparedPhotos
from bridge4d.rendering.options import RenderOptions
from bridge4d.rendering.paths import CameraPath, camera_file, camera_path, with_size
from bridge4d.runs import store
from bridge4d.scenes import LoadedScene, SceneView
from bridge4d.stages import depth, sfm
from eval.paths.seen import find_seeing_convention
from recon.camera_files.convention import CONVENTIONS
from recon.compute.progress import note
from recon.gaussians import from_points
from recon.points import PointCloud
from recon.sim3 import Sim3

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
    file = camera_file(rendering.path or "orbit")
    if file is not None:
        scene_from_file = Sim3.identity()
        if prepared.about.get("capture_from_scene") is not None:
            scene_from_file = store.similarity_from_json(prepared.about["capture_from_scene"]).inverse()
        _doubt_convention(file, path, scene.points, scene_from_file)
        asked = scene_from_file.cameras(asked)
    sized = with_size(asked, width=cameras.width, height=cameras.height)
    return replace(path, cameras=sized.validate())


def _doubt_convention(file: Path, path: CameraPath, points: PointCloud | None, scene_from_file: Sim3) -> None:
    """Tell where cameras of a file look past the scene, and would see it under another convention."""
    known = next((one for one in CONVENTIONS if str(one) == path.convention), None)
    if points is None or known is None:  # of another program's axes, which no other convention here has
        return
    found = find_seeing_convention(path.cameras, points, scene_from_file, known)
    if found is None:
        return
    other, as_read, so = found
    mend = (
        "correct the file, whose format states how poses are meant, or give --camera-format matrices"
        if path.states_convention
        else f"give --convention {other}"
    )
    note(
        f"warning: the cameras of {file}, read as {known}, have {as_read:.0%} of the scene's points in view; read as {other} they would "
        f"have {so:.0%}: {mend}"
    )
