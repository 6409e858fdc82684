"""Places to learn depth from: photos of procedural places with slightly wrong cameras, sparse points and exact depth.

One file a place, numbered, made once and kept, because rendering is what training costs most.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import open_safetensors
from recon.cameras import Cameras
from recon.clip import Clip
from recon.compute.files import atomic_write
from recon.compute.progress import track
from recon.points import PointCloud

HELD_OUT_EVERY = 10
"""Of the places, numbered from 0, the last of each ten is never trained on."""
PHOTOS, HELD_OUT_PHOTOS = 6, 9
"""Photos of a place, and of one that is held out, which is measured with up to nine."""
LARGE_EVERY = 3
"""One in so many places has photos of the whole size."""
LARGEST_FILE = 64 << 20
"""Bytes; a place with nine photos at 320x240 has 5 MB."""


@dataclass(frozen=True)
class DepthShot:
    """Photos of one place as structure from motion hands them on, and their true depth."""

    clip: Clip
    points: PointCloud
    depth: Float[Tensor, "n h w"]
    """True z-depth, world units; 0 where nothing is hit."""


def is_held_out(index: int) -> bool:
    """Whether the place of this number is never trained on."""
    return index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def place_size(index: int, width: int, height: int) -> tuple[int, int]:
    """Width and height of the photos of a place: two of three places that are learned from are small, which is twice as fast."""
    small = index % LARGE_EVERY > 0 and not is_held_out(index)
    return (width * 3 // 4, height * 3 // 4) if small else (width, height)


def make_shot(index: int, seed: int, *, width: int, height: int) -> DepthShot:
    """The place number `index`; the same arguments give the same place."""
    from worldgen.scenes import sample_shot

    generator = torch.Generator().manual_seed(seed * 1_000_003 + index)
    contexts = HELD_OUT_PHOTOS if is_held_out(index) else PHOTOS
    shot = sample_shot(generator, width=width, height=height, contexts=contexts, targets=1)
    return DepthShot(shot.context, shot.points, shot.context_depth.float())


def shot_path(folder: Path, index: int) -> Path:
    """Where the place of this number is kept."""
    return folder / f"{index:05d}.safetensors"


def make_shots(folder: Path, count: int, *, seed: int, width: int, height: int) -> None:
    """Makes the places that are missing of the first `count`."""
    missing = [i for i in range(count) if not shot_path(folder, i).exists()]
    for index in track(missing, "places", len(missing)):
        wide, high = place_size(index, width, height)
        save_shot(make_shot(index, seed, width=wide, height=high), shot_path(folder, index))


def save_shot(shot: DepthShot, path: Path) -> None:
    """Photos as bytes; the file is whole or absent."""
    from safetensors.torch import save_file

    cameras = shot.clip.require_cameras()
    tensors = {
        "images": (shot.clip.images * 255).round().to(torch.uint8),
        "cam_from_world": cameras.cam_from_world.double(),
        "K": cameras.K.double(),
        "xyz": shot.points.xyz.double(),
        "rgb": shot.points.rgb.float(),
        "error_px": shot.points.error_px.double(),
        "depth": shot.depth.float(),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as beside:
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, beside)


def load_shot(path: Path) -> DepthShot:
    """A place that `save_shot` kept.

    Raises:
        BridgeError: no such file, or another one.
    """
    with open_safetensors(path, most=LARGEST_FILE) as file:
        images, pose, K, xyz, rgb, error_px, depth = (
            file.get_tensor(name)
            for name in ("images", "cam_from_world", "K", "xyz", "rgb", "error_px", "depth")
        )
    cameras = Cameras(pose, K, images.shape[2], images.shape[1])
    return DepthShot(Clip(images.float() / 255, cameras), PointCloud(xyz, rgb, error_px), depth)
