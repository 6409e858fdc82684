"""The built-in sample capture: photos of a procedurally textured room, the same on every machine."""

import math
from pathlib import Path

from PIL import Image

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
