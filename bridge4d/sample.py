"""The built-in sample captures: photos of a procedurally textured room, and frames of a place in which things move."""

import json
import math
from pathlib import Path

import torch
from PIL import Image

from recon.camera_files.rigid import GL_FROM_CV
from recon.cameras import Cameras
from recon.compute.files import atomic_write
from recon.compute.progress import track
from recon.errors import BridgeError, explain_os_error
from recon.pictures.eight_bit import to_eight_bit


def write_sample(out: Path, *, photos: int = 24, width: int = 576, height: int = 384, seed: int = 0) -> Path:
    """Writes `photos` JPEGs of the synthetic room, taken along an arc, with their focal length in EXIF.

    No poses are written: the sample is what a person with a camera would bring home.

    Returns:
        The folder.

    Raises:
        BridgeError: fewer than 3 photos, or a folder that holds a larger sample.
        RunFolderError: the folder cannot be written.
    """
    from worldgen.models.synthetic import SyntheticRoom

    if photos < 3:
        raise BridgeError(f"expected at least 3 photos (2 to train on, 1 to judge), got {photos}")
    there = sorted(out.glob("photo_*.jpg")) if out.is_dir() else []
    strangers = (
        [p.name for p in out.iterdir() if not p.name.startswith((".", "photo_"))] if out.is_dir() else []
    )
    if strangers:
        raise BridgeError(f"{out} holds other files ({strangers[0]} …); choose an empty or new folder")
    if there and {p.name for p in there} - {f"photo_{i:02d}.jpg" for i in range(photos)}:
        raise BridgeError(f"{out} already holds a sample of {len(there)} photos; choose another folder")
    room = SyntheticRoom(seed=seed)
    cameras = room.cameras(photos, width=width, height=height)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for i in track(range(photos), "rendering the sample photos"):
            target = out / f"photo_{i:02d}.jpg"
            if target.exists():
                continue
            images, _ = room.render(cameras[i])
            pixels = to_eight_bit(images[0]).numpy()
            beside = out / f".{target.name}.part"
            Image.fromarray(pixels).save(
                beside, format="JPEG", quality=95, exif=exif_of_lens(float(cameras.K[i, 0, 0]), width, height)
            )
            beside.replace(target)
    except OSError as error:
        raise explain_os_error(error, out) from error
    return out


MOVING_SEED = 1
"""Place of the moving sample: movers cover a fifth of its pictures, and nothing else in it could be taken for one."""
MOVING_FPS = 12.0


def write_moving_sample(
    out: Path, *, cameras: int = 6, frames: int = 24, width: int = 320, height: int = 240, seed: int = 0
) -> Path:
    """Write what cameras on an arc film of a place in which a person, a thing and a soft body move.

    Each has a folder of JPEGs, and ``transforms.json`` states its camera and the time of each frame.

    Returns:
        The folder.

    Raises:
        BridgeError: fewer than three cameras or frames, a seed below 0, or a folder that holds other files.
        RunFolderError: the folder cannot be written.
    """
    from worldgen.scenes.moving_place import MovingPlace

    if cameras < 3 or frames < 3:
        raise BridgeError(
            f"expected at least 3 cameras (2 to train on, 1 to judge) and 3 frames of each, got {cameras} and {frames}"
        )
    if seed < 0:
        raise BridgeError(f"expected --seed from 0 on, got {seed}")
    names = [f"cam{k:02d}" for k in range(cameras)]
    place = MovingPlace(seed + MOVING_SEED)
    rig = place.rig(cameras, width=width, height=height)
    times = torch.arange(frames, dtype=torch.float64) / MOVING_FPS
    head = {"w": width, "h": height, "fl_x": float(rig.K[0, 0, 0]), "fl_y": float(rig.K[0, 1, 1])}
    said = [
        {
            "file_path": f"{name}/frame_{i:04d}.jpg",
            "time": i / MOVING_FPS,
            "transform_matrix": (rig.world_from_cam[k] @ GL_FROM_CV).tolist(),
        }
        for k, name in enumerate(names)
        for i in range(frames)
    ]
    about = head | {"cx": width / 2, "cy": height / 2, "frames": said}
    text = json.dumps(about, indent=1) + "\n"
    try:
        # written first: a folder that holds it is a sample of the same, perhaps begun
        mine = out / "transforms.json"
        if (
            out.is_dir()
            and any(out.iterdir())
            and not (mine.is_file() and mine.read_bytes() == text.encode())
        ):
            first = sorted(p.name for p in out.iterdir())[0]
            raise BridgeError(f"{out} holds other files ({first} …); choose an empty or new folder")
        out.mkdir(parents=True, exist_ok=True)
        with atomic_write(mine) as beside:
            beside.write_text(text, encoding="utf-8")
        for k, name in enumerate(names):
            files = [out / name / f"frame_{i:04d}.jpg" for i in range(frames)]
            if all(file.exists() for file in files):
                continue
            (out / name).mkdir(exist_ok=True)
            film = place.film(Cameras.concatenate([rig[k : k + 1]] * frames), times)
            for file, image in zip(files, film.clip.images, strict=True):
                with atomic_write(file) as beside:
                    pixels = Image.fromarray(to_eight_bit(image).numpy())
                    pixels.save(beside, format="JPEG", quality=95)
    except OSError as error:
        raise explain_os_error(error, out) from error
    return out


def exif_of_lens(focal_px: float, width: int, height: int) -> Image.Exif:
    """The focal length, in pixels, as a camera would note it: millimetres on 35 mm film (diagonal 43.27 mm)."""
    exif = Image.Exif()
    equivalent_mm = focal_px * math.hypot(36, 24) / math.hypot(width, height)
    exif[0x010F] = "bridge4d"
    exif[0x0110] = "synthetic room"
    details = exif.get_ifd(0x8769)
    details[0x9003] = "2026:01:01 12:00:00"
    details[0xA405] = round(equivalent_mm)
    details[0x920A] = equivalent_mm
    return exif
