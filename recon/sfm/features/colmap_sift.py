"""SIFT by COLMAP, which goes through files and a database."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from recon.clip import PictureSet
from recon.colmap import database as colmap
from recon.pictures.canvas import find_boxes
from recon.pictures.eight_bit import to_eight_bit
from recon.sfm.features.keypoints import Features

SMALL_PICTURE_PX = 1024
"""Largest long side at which SIFT starts at double resolution: three times the features, where there are few to begin with."""


def find_features(clip: PictureSet, *, max_features: int, threads: int = 1) -> tuple[Features, ...]:
    """RootSIFT of every picture, in pixels of its box, largest features first, as many of each as COLMAP keeps."""
    if not len(clip):
        return ()
    small = max(clip.width, clip.height) <= SMALL_PICTURE_PX
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        files = write_pictures(clip, folder / "pictures")
        ids = colmap.extract(
            folder / "database.db",
            folder / "pictures",
            files,
            one_camera=clip.confidence is None,  # COLMAP's camera has one size
            threads=threads,
            sift={"max_num_features": max_features, "first_octave": -1 if small else 0},
        )
        found = colmap.read_features(folder / "database.db", ids)
    return tuple(
        # COLMAP has taken the root already (L1_ROOT), and rounded to bytes
        Features(torch.from_numpy(xy), torch.from_numpy(roots), box.width, box.height)
        for (xy, roots), box in zip(found, find_boxes(clip), strict=True)
    )


def write_pictures(clip: PictureSet, folder: Path) -> list[str]:
    """Write the box of every picture losslessly (8-bit PNG); return the file names in order."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for i, (name, image, box) in enumerate(zip(clip.names, clip.images, find_boxes(clip), strict=True)):
        files.append(f"{i:05d}-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.png")
        pixels = to_eight_bit(box.crop(image)).numpy()
        Image.fromarray(pixels).save(folder / files[-1], compress_level=1)
    return files


def write_masks(
    seen: Bool[Tensor, "h w"] | Bool[Tensor, "n h w"], files: Sequence[str], folder: Path
) -> Path:
    """Write a mask for each picture, as COLMAP names them: white where features may be taken, else black.

    Args:
        seen: of all pictures, or of each.
        files: names of the pictures.
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    for file, one in zip(files, seen.expand(len(files), *seen.shape[-2:]), strict=True):
        Image.fromarray((255 * one.to(torch.uint8)).numpy()).save(folder / f"{file}.png")
    return folder
