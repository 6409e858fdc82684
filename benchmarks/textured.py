"""Clips as long and as large as world models make them, of a hall in which every surface is painted: drawn in a minute each.

A hall and the blocks that stand in it are flat rectangles with the patterns of `worldgen.scenes.textures`, drawn exactly (four
samples a pixel, nearest surface first), with a little sensor noise. Every frame has far more than 2048 features at the
size at which `bridge4d measure` looks at it; the same seed is the same clip.
"""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.random import Generator, default_rng

from recon.camera_files.formats.transforms_write import write_transforms
from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.clips.clipset import find_clips
from recon.clips.source import ClipSource
from worldgen.scenes import textures

HALF = np.array([5.0, 4.0, 1.8])
"""Of the hall, metres."""
TEXELS_A_METRE = 160
"""About as many as pixels see a metre from three metres away, so that pictures are neither blurred nor aliased."""
BLOCKS = 9
SAMPLES = 2
"""Rays across a pixel, each way."""
NOISE = 0.01
"""Of white: what a phone adds in good light, and enough that no two frames have equal descriptors."""
PATTERNS: tuple[Callable[[Generator, int, int], np.ndarray], ...] = (
    textures.patchwork, textures.marble, textures.wallpaper, textures.bricks, textures.fabric, textures.spines, textures.planks,
)  # fmt: skip


@dataclass(frozen=True)
class Rectangle:
    """A painted rectangle: corner + x · across + y · up, x and y in [0, 1]."""

    corner: np.ndarray
    across: np.ndarray
    up: np.ndarray
    pyramid: tuple[np.ndarray, ...]
    """Pictures of it, sRGB in [0, 1], each half as large as the one before."""


def textured_clips(folder: Path, count: int, *, frames: int, width: int, height: int) -> list[ClipSource]:
    """Arcs and dollies in turn, each in a hall of its own; those that lie there are taken."""
    named = []
    for seed in range(count):
        name = f"{('arc', 'dolly')[seed % 2]}-{seed}-{frames}x{width}x{height}"
        file = folder / "textured" / name / "transforms.json"
        named.append(name)
        if not file.exists():
            write_transforms(file, draw_clip(seed, frames, width=width, height=height))
            print(f"{name} is drawn", file=sys.stderr, flush=True)
    found = {source.path.name: source for source in find_clips(folder / "textured").sources}
    return [found[name] for name in named]


def draw_clip(seed: int, frames: int, *, width: int, height: int) -> Clip:
    """A camera that goes 40 degrees around the hall's middle (even seeds), or 2 m ahead and sideways past it."""
    rng = default_rng(seed)
    scene = _build_hall(rng)
    share = torch.linspace(-0.5, 0.5, frames, dtype=torch.float64)
    if seed % 2 == 0:
        angle = math.radians(40) * share
        eye = torch.stack([3.6 * angle.sin(), -3.4 * angle.cos(), 0.15 * torch.sin(5 * share)], 1)
    else:
        eye = torch.stack([1.0 * share, -2.6 + 1.8 * share, 0.1 * torch.sin(7 * share)], 1)
    look = torch.stack([0.6 * share, 0.8 + 0 * share, -0.3 + 0.1 * torch.sin(4 * share)], 1)
    up = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64).expand(frames, 3)
    K = intrinsics(focal_px=0.8 * width, width=width, height=height, n=frames)
    cameras = Cameras(look_at(eye, look, up), K, width, height)
    pictures = [
        _draw(scene, cameras.cam_from_world[i].numpy(), K[i].double().numpy(), width, height)
        for i in range(frames)
    ]
    light = np.stack(pictures)
    light += NOISE * rng.standard_normal(light.shape, dtype=np.float32)
    return Clip(torch.from_numpy(light.clip(0, 1)), cameras)


def _build_hall(rng: Generator) -> list[Rectangle]:
    """Walls, floor and ceiling, and blocks on the floor of which no two touch."""
    out = _box(rng, np.zeros(3), HALF)
    cells = rng.permutation(12)[:BLOCKS]
    for cell in cells:
        half = rng.uniform([0.2, 0.15, 0.3], [0.55, 0.35, 1.1])
        x, y = (
            -3.0 + 2.0 * (cell % 4) + rng.uniform(-0.3, 0.3),
            0.2 + 1.3 * (cell // 4) + rng.uniform(-0.2, 0.2),
        )
        out += _box(rng, np.array([x, y, half[2] - HALF[2]]), half)
    return out


def _box(rng: Generator, centre: np.ndarray, half: np.ndarray) -> list[Rectangle]:
    out = []
    for axis in range(3):
        a, b = ((1, 2), (0, 2), (0, 1))[axis]
        for side in (-1, 1):
            across, up = np.zeros(3), np.zeros(3)
            across[a], up[b] = 2 * half[a], 2 * half[b]
            corner = centre - (across + up) / 2
            corner[axis] += side * half[axis]
            out.append(Rectangle(corner, across, up, _paint(rng, across[a], up[b])))
    return out


def _paint(rng: Generator, wide: float, tall: float) -> tuple[np.ndarray, ...]:
    import cv2

    size = max(64, round(tall * TEXELS_A_METRE)), max(64, round(wide * TEXELS_A_METRE))
    one = PATTERNS[rng.integers(len(PATTERNS))](rng, *size)
    one = np.clip(one * (1 + 0.12 * textures.noise(rng, *size, (24, 24), 5, 0.8)[..., None]), 0, 1)
    levels = [np.ascontiguousarray(one, np.float32)]
    while min(levels[-1].shape[:2]) > 8:
        levels.append(np.asarray(cv2.pyrDown(levels[-1]), np.float32))
    return tuple(levels)


def _draw(scene: list[Rectangle], pose: np.ndarray, K: np.ndarray, width: int, height: int) -> np.ndarray:
    import cv2

    shape = height * SAMPLES, width * SAMPLES
    near, picture = np.full(shape, 1e-3, np.float32), np.zeros((*shape, 3), np.float32)
    v, u = np.meshgrid(np.arange(shape[0]) + 0.5, np.arange(shape[1]) + 0.5, indexing="ij")
    rays = np.stack([u / SAMPLES, v / SAMPLES, np.ones(shape)], -1) @ np.linalg.inv(K).T
    for one in scene:
        basis = pose[:3, :3] @ np.stack([one.across, one.up, one.corner], 1)
        basis[:, 2] += pose[:3, 3]
        # a pixel's ray is d ~ basis (x, y, 1): solving gives (x, y, 1) / z
        x, y, inverse_z = np.moveaxis((rays @ np.linalg.inv(basis).T).astype(np.float32), -1, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y = x / inverse_z, y / inverse_z
        seen = (inverse_z > near) & (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)
        if not seen.any():
            continue
        near[seen] = inverse_z[seen]
        picture[seen] = _look_up(one, x[seen], y[seen], float(np.median(1 / inverse_z[seen])), K[0, 0])
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)


def _look_up(one: Rectangle, x: np.ndarray, y: np.ndarray, distance: float, focal_px: float) -> np.ndarray:
    """Colours at places on a rectangle, from the picture of it that suits its distance."""
    import cv2

    texels_a_sample = TEXELS_A_METRE * distance / (focal_px * SAMPLES)
    level = min(max(0, round(math.log2(texels_a_sample))), len(one.pyramid) - 1)
    texels = one.pyramid[level]
    at_x, at_y = x * texels.shape[1] - 0.5, y * texels.shape[0] - 0.5
    rows = []
    for start in range(0, len(x), 30000):  # cv2.remap takes at most 32767 columns
        part = slice(start, start + 30000)
        rows.append(
            cv2.remap(
                texels, at_x[None, part], at_y[None, part], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )[0]
        )
    return np.concatenate(rows)
