"""Export the kept scene, its cameras and points in the capture's own frame."""

import shutil
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from bridge4d.runs import store
from bridge4d.runs.stored_json import write_json
from bridge4d.stages import capture, sfm
from bridge4d.stages.splats import SCENE_FILE
from recon.pictures.canvas import crop_camera, find_boxes
from recon.sim3 import Sim3
from recon.tracks import Tracks
from recon.world.extent import FAR

VERSION = 1


def export_scene(scene: Path, captured: Path, cameras: Path, out: Path, *, max_side: int) -> None:
    """Write ``scene.ply``, ``transforms.json`` and ``colmap/``.

    The scene stays in the frame that the work was done in where single precision, which splat files have, cannot hold it in the
    capture's; ``capture_from_scene.json`` then leads there.

    Args:
        scene: what `splats.fit_splats` wrote.
        captured: what `capture.read_photos` wrote.
        cameras: what `sfm.recover_cameras` wrote.
        out: an empty folder, made where it is absent.
        max_side: long side in pixels of the photos that the cameras are for.
    """
    from recon.camera_files.formats.transforms_write import write_transforms
    from recon.colmap.write import write_colmap
    from recon.scenefiles import read_scene, write_scene
    from recon.splats.similarity import transform_gaussians

    out.mkdir(parents=True, exist_ok=True)
    full, points = sfm.open_photos(cameras), sfm.load_points(cameras)
    photos = full.limit_size(max_side)
    tracks = sfm.load_tracks(cameras).resize(x=photos.width / full.width, y=photos.height / full.height)
    moved = capture.load_record(captured).get("capture_from_scene")
    world = store.similarity_from_json(moved)
    holds = holds_scene(photos.require_cameras().centers, world)
    if moved is not None:
        photos = replace(photos, cameras=world.cameras(photos.require_cameras()))
        points = replace(points, xyz=world.points(points.xyz.double()))
    if moved is not None and holds:
        there = transform_gaussians(read_scene(scene / SCENE_FILE).gaussians, world)
        write_scene(there, out / SCENE_FILE)
    else:
        shutil.copyfile(scene / SCENE_FILE, out / SCENE_FILE)
    if moved is not None and not holds:
        write_json(out / "capture_from_scene.json", moved)
    write_transforms(out / "transforms.json", photos)
    names = [str(Path(name).with_suffix(".png")) for name in photos.names]  # as in transforms.json
    boxes = find_boxes(photos)
    cameras_of = [crop_camera(photos.require_cameras()[i], box) for i, box in enumerate(boxes)]
    parts = [tracks.of_image(i).moved_to(i) for i in range(len(photos))]
    tracks = Tracks.concatenate(
        [replace(part, xy=part.xy - box.corner) for part, box in zip(parts, boxes, strict=True)]
    )
    write_colmap(out / "colmap", cameras_of, names, points, tracks)


def holds_scene(centers: Tensor, world: Sim3) -> bool:
    """Whether single precision can hold a scene where `world` puts it, as far from the origin as it is then.

    Args:
        centers: of the cameras, in the frame that the work is done in, shape [n, 3].
        world: from that frame to the capture's.
    """
    extent = float(world.scale) * float((centers - centers.mean(0)).norm(dim=1).max())
    return float(world.translation.norm()) <= FAR * extent
