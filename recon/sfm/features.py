"""Pictures into a COLMAP database: features, matches, verified pairs."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.clip import Clip
from recon.colmap import database as colmap
from recon.lens import Lens
from recon.sfm.options import SfmOptions

SMALL_PICTURE_PX = 1024
"""Up to this long side SIFT starts at double resolution: three times the features where there are few to begin with."""


def start_database(folder: Path) -> Path:
    """Where a database is filled before it gets its name; what an interrupted run left there is removed."""
    folder.mkdir(parents=True, exist_ok=True)
    for leftover in folder.glob("database.partial.db*"):  # SQLite's -wal and -shm with it
        leftover.unlink()
    return folder / "database.partial.db"


def finish_database(partial: Path) -> Path:
    """Gives a complete database its name, ``database.db``."""
    return partial.replace(partial.with_name("database.db"))


def write_pictures(clip: Clip, folder: Path, prefix: str) -> list[str]:
    """Writes every picture losslessly (8-bit PNG) and returns their file names, in order."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for i, (name, image) in enumerate(zip(clip.names, clip.images, strict=True)):
        files.append(f"{prefix}{i:05d}-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.png")
        pixels = (image * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        Image.fromarray(pixels).save(folder / files[-1], compress_level=1)
    return files


def extract(
    database: Path,
    pictures: Path,
    files: Sequence[str],
    *,
    lens: Lens | None,
    one_lens: bool,
    options: SfmOptions,
) -> list[int]:
    """Adds pictures with their SIFT features to a database, and returns their image ids in the order of `files`.

    Without a `lens` each camera starts from COLMAP's guess. A file that COLMAP cannot take gets no id; none such
    come out of `write_pictures`.
    """
    small = _long_side(pictures / files[0]) <= SMALL_PICTURE_PX
    return colmap.extract(
        database,
        pictures,
        list(files),
        camera=None if lens is None else lens.plain(),
        one_camera=one_lens,
        threads=options.threads,
        sift={"max_num_features": options.max_features, "first_octave": -1 if small else 0},
    )


def set_intrinsics(database: Path, image_ids: Sequence[int], lenses: Sequence[Lens]) -> None:
    """Gives images of a database, each with a camera of its own, intrinsics that are known."""
    colmap.set_cameras(database, list(image_ids), [lens.plain() for lens in lenses], known=True)


def match(
    database: Path,
    options: SfmOptions,
    *,
    sequential: bool = False,
    pairs: Iterable[tuple[str, str]] | None = None,
) -> None:
    """Matches features and verifies the pairs geometrically: the given pairs of files, or those of a strategy."""
    listed = None if pairs is None else list(pairs)
    colmap.match(database, seed=options.seed, sequential=sequential, pairs=listed)


def keypoints(database: Path, image_ids: Sequence[int]) -> list[Float[Tensor, "k 2"]]:
    """Pixel positions of the features of each image, float64, COLMAP's pixel centres."""
    return [torch.from_numpy(xy) for xy in colmap.keypoints(database, list(image_ids))]


def _long_side(file: Path) -> int:
    from PIL import Image

    with Image.open(file) as image:
        return max(image.size)
