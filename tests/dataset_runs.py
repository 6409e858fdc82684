"""Finished runs made by hand, in seconds: photos of a wall of noise, cameras, points and tracks that agree exactly."""

from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from benchmarks.odd_scenes import odd_scene
from bridge4d.runs import store, stored_arrays
from bridge4d.runs.stored_json import write_json
from recon.camera_files.formats.transforms_write import build_transforms
from recon.cameras import Cameras, look_at, project
from recon.clip import Clip
from recon.lens import Lens
from recon.pictures.images import as_unit, decode
from recon.points import PointCloud
from recon.scenefiles import write_scene
from recon.tracks import Tracks

FULL, SEEN, MADE = (192, 128), (96, 64), (48, 32)
"""Width and height of the photos, of what the run sees of them, and of generated frames."""
BENT = Lens("OPENCV", (150.0, 148.0, 97.0, 63.0, -0.12, 0.03, 0.002, -0.001), *FULL)
STRAIGHT = Lens("PINHOLE", (150.0, 148.0, 97.0, 63.0), *FULL)


def make_photos(folder: Path, count: int, *, suffix: str = ".jpg") -> list[Path]:
    """Smooth noise, another one in every photo."""
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"IMG_{i:02d}{suffix}" for i in range(count)]
    for i, file in enumerate(files):
        noise = np.random.default_rng(i).integers(0, 256, (8, 12, 3), dtype=np.uint8)
        picture = Image.fromarray(cv2.resize(noise, FULL, interpolation=cv2.INTER_CUBIC))
        picture.save(file, **({"quality": 92} if suffix == ".jpg" else {}))
    return files


def make_run(
    folder: Path,
    photos: Path,
    files: list[Path],
    *,
    lens: Lens = BENT,
    heldout: int = 1,
    accepted: int = 3,
    known_poses: bool = False,
) -> Path:
    """A run over photos of which the first `heldout` are held out; one more frame is generated than accepted.

    Photos that come with cameras (`known_poses`) get a ``transforms.json`` beside them.
    """
    names = tuple(file.name for file in files)
    cameras = cameras_around(len(files), lens)
    images = torch.stack([as_unit(decode(file, max(SEEN))[0]) for file in files])
    raw = Clip(images, names=names)
    if known_poses:
        full = Cameras(cameras.cam_from_world, lens.K[None].repeat(len(files), 1, 1), *FULL)
        data = build_transforms(full, [str(file.relative_to(photos)) for file in files])
        distortion = dict(zip(("k1", "k2", "p1", "p2"), lens.params[4:], strict=False))
        fixed = dict(zip(("fl_x", "fl_y", "cx", "cy"), lens.params[:4], strict=True)) | distortion
        write_json(photos / "transforms.json", data | {"frames": [f | fixed for f in data["frames"]]})
    posed = Clip(lens.undistort(raw).images, cameras, names=names)
    _store(folder, "capture/heldout", (posed if known_poses else raw)[:heldout])
    _store(folder, "sfm/photos", posed[heldout:])
    if not known_poses:
        _store(folder, "heldout/photos", posed[:heldout])
    points = wall_points()
    stored_arrays.save_points(points, folder / "sfm" / "points.npz")
    stored_arrays.save_tracks(
        tracks_of(posed[heldout:].require_cameras(), points), folder / "sfm" / "tracks.npz"
    )
    if not known_poses:
        stored_arrays.save_tracks(
            tracks_of(posed[:heldout].require_cameras(), points), folder / "heldout" / "tracks.npz"
        )
    (folder / "depth").mkdir()
    stored_arrays.save_points(
        PointCloud(*(torch.cat([x, x]) for x in vars(points).values())), folder / "depth/points.npz"
    )
    _generate(folder, posed[heldout:].require_cameras(), points, accepted)
    _finish(folder, photos, names, heldout, None if known_poses else lens)
    return folder


def cameras_around(count: int, lens: Lens) -> Cameras:
    """On an arc in front of the wall z = 0, at the size that the run sees."""
    angle = torch.linspace(-0.5, 0.5, count, dtype=torch.float64)
    eyes = torch.stack([2 * angle.sin(), 0.3 * angle, -2 * angle.cos()], 1)
    up = torch.tensor([0.0, -1.0, 0.0], dtype=torch.float64).expand(count, 3)
    K = lens.resize(width=SEEN[0], height=SEEN[1]).K.repeat(count, 1, 1)
    return Cameras(look_at(eyes, torch.zeros_like(eyes), up), K, *SEEN)


def wall_points() -> PointCloud:
    generator = torch.Generator().manual_seed(0)
    xyz = torch.rand(40, 3, generator=generator, dtype=torch.float64) - 0.5
    rgb = torch.randint(0, 256, (40, 3), generator=generator) / 255
    return PointCloud(xyz, rgb, torch.linspace(0.1, 0.9, 40, dtype=torch.float64))


def tracks_of(cameras: Cameras, points: PointCloud) -> Tracks:
    """Exact projections; every third point is seen in no picture but the first."""
    xy, _ = project(points.xyz, cameras)
    image, point = torch.meshgrid(torch.arange(len(cameras)), torch.arange(len(points)), indexing="ij")
    chosen = (image == 0) | (point % 3 > 0)
    return Tracks(image[chosen], point[chosen], xy[chosen])


def _store(folder: Path, name: str, clip: Clip) -> None:
    store.save_clip(clip, folder / name)


def _generate(folder: Path, photos: Cameras, points: PointCloud, accepted: int) -> None:
    """Frames asked for at the poses of photos, found a little beside them; the last is refused."""
    count = accepted + 1
    rows = [i % len(photos) for i in range(count)]
    requested = photos[rows].resize(width=MADE[0], height=MADE[1])
    ramp = torch.linspace(0, 1, MADE[0]).expand(count, MADE[1], MADE[0])
    images = torch.rand(count, MADE[1], MADE[0], 3, generator=torch.Generator().manual_seed(1))
    names = tuple(f"r1-{i:03d}" for i in range(count))
    _store(folder, "generated/round-1", Clip(images, requested, names=names, confidence=ramp.contiguous()))
    shift = torch.eye(4, dtype=torch.float64)
    shift[0, 3] = 0.01
    found = Cameras(shift @ requested.cam_from_world, requested.K, *MADE)
    recovery = folder / "recovery" / "round-1"
    recovery.mkdir(parents=True)
    write_json(recovery / "cameras.json", {"names": names, "cameras": store.cameras_to_json(found)})
    stored_arrays.save_tracks(tracks_of(found, points), recovery / "tracks.npz")
    rows_said = [
        {"name": name, "accepted": i < accepted, "reason": "", "round": 1} for i, name in enumerate(names)
    ]
    write_json(recovery / "frames.json", rows_said)


def _finish(folder: Path, photos: Path, names: tuple[str, ...], heldout: int, lens: Lens | None) -> None:
    about = {
        "path": str(photos),
        "kind": "images" if lens else "transforms",
        "skipped": [],
        "training": names[heldout:],
        "heldout": names[:heldout],
    }
    write_json(folder / "capture" / "capture.json", about)
    seen = None if lens is None else lens.resize(width=SEEN[0], height=SEEN[1])
    write_json(folder / "sfm" / "sfm.json", {"lens": seen and asdict(seen)})
    (folder / "exports").mkdir()
    write_scene(odd_scene(), folder / "exports" / "scene.ply")
    options = {"frame_poses": "recovered", "weigh_by_confidence": True, "generated_weight": 0.5}
    stages = {"recovery/round-1": "of this call"}
    write_json(folder / "run.json", {"asked": {"options": options}, "stages": stages})
    write_json(folder / "report.json", {"kept_round": 1})
