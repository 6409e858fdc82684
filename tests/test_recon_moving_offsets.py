"""Offsets between the clocks of still cameras, on films of planes whose truth is known."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.errors import CaptureError
from recon.moving.common_times import share_times
from recon.moving.offsets import Offsets, apply_offsets, find_offsets

W, H, FRAMES, FPS = 112, 80, 12, 10.0
OFFSETS = (0.0, 0.7, -1.3)
WALL, SHEET = 6.0, 4.5
"""Distances of a wall that stands still, and of a sheet that moves before it."""
TEXEL = 0.03


def rig(count: int = 3) -> Cameras:
    """Cameras side by side that look at a point of the wall."""
    x = torch.linspace(-0.5, 0.5, count, dtype=torch.float64)
    eye = torch.stack([x, torch.zeros(count), torch.zeros(count)], 1).double()
    at = torch.tensor([[0.0, 0.0, WALL]], dtype=torch.float64).expand(count, 3)
    up = torch.tensor([[0.0, -1.0, 0.0]], dtype=torch.float64).expand(count, 3)
    return Cameras(look_at(eye, at, up), intrinsics(focal_px=100.0, width=W, height=H, n=count), W, H)


def texture(seed: int) -> Float[np.ndarray, "h w 3"]:
    noise = np.random.default_rng(seed).uniform(0, 1, (160, 240, 3)).astype(np.float32)
    calm = cv2.GaussianBlur(noise, (0, 0), 2)
    return np.clip(0.5 + 4 * (calm - 0.5), 0, 1)


def see(cameras: Cameras, k: int, where: tuple[float, float]) -> Float[np.ndarray, "h w 3"]:
    """The wall, and before it the sheet with its middle at `where`."""
    pose, K = cameras.world_from_cam[k].numpy(), cameras.K[k].numpy()
    x, y = np.meshgrid(np.arange(W) + 0.5, np.arange(H) + 0.5)
    rays = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(K).T @ pose[:3, :3].T

    def hit(distance: float, middle: tuple[float, float], seed: int) -> np.ndarray:
        at = pose[:3, 3] + rays * (distance - pose[2, 3]) / rays[..., 2:]
        u = (at[..., 0] - middle[0]) / TEXEL + 120
        v = (at[..., 1] - middle[1]) / TEXEL + 80
        picture = cv2.remap(
            texture(seed), u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=(-1, -1, -1),
        )  # fmt: skip
        inside = (np.abs(u - 120) < 30) & (np.abs(v - 80) < 25)
        return np.where(inside[..., None], picture, -1) if distance == SHEET else picture

    wall, sheet = hit(WALL, (0, 0), 1), hit(SHEET, where, 2)
    return np.where(sheet >= 0, sheet, np.clip(wall, 0, 1))


def film(across: float, down: float, offsets: tuple[float, ...] = OFFSETS) -> tuple[Clip, list[int]]:
    """Frames of cameras whose clocks are apart by `offsets` frames, by the clock of each."""
    cameras, images = rig(len(offsets)), []
    for k, offset in enumerate(offsets):
        for i in range(FRAMES):
            phase = 2 * math.pi * (i + offset) / 9
            images.append(see(cameras, k, (across * math.cos(phase), down * math.sin(phase))))
    noise = 0.01 * torch.randn(len(images), H, W, 3, generator=torch.Generator().manual_seed(0))
    camera_of = [k for k in range(len(offsets)) for _ in range(FRAMES)]
    own = torch.arange(FRAMES).double().repeat(len(offsets)) / FPS
    pictures = (torch.from_numpy(np.stack(images)).float() + noise).clamp(0, 1)
    return Clip(pictures, cameras[camera_of], own), camera_of


def frames(found: Offsets) -> Float[Tensor, "c"]:
    return found.offset_s * FPS


def test_offsets_are_found_to_a_tenth_of_a_frame() -> None:
    clip, camera_of = film(0.2, 0.25)
    found = find_offsets(clip, camera_of)
    assert found.frame_s == pytest.approx(1 / FPS)
    assert (frames(found) - torch.tensor(OFFSETS)).abs().max() < 0.1
    assert bool((found.deviation_s * FPS < 0.1).all())
    on_one_clock = apply_offsets(clip, camera_of, found.sure_s)
    assert on_one_clock.times_s is not None
    assert clip.times_s is not None
    true = clip.times_s + torch.tensor(OFFSETS)[torch.tensor(camera_of)] / FPS
    assert (on_one_clock.times_s - true).abs().max() < 0.1 / FPS


def test_synchronous_cameras_stay_so() -> None:
    clip, camera_of = film(0.2, 0.25, (0.0, 0.0))
    found = find_offsets(clip, camera_of)
    assert frames(found).abs().max() < 0.1
    assert found.sure_s.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(("across", "down"), [(0.0, 0.0), (0.25, 0.0)])
def test_what_does_not_move_across_the_lines_does_not_tell(across: float, down: float) -> None:
    clip, camera_of = film(across, down, (0.0, 1.0))
    found = find_offsets(clip, camera_of)
    assert found.sure_s.tolist() == [0.0, 0.0]
    if not across:
        assert math.isnan(found.offset_s[1])
        assert found.because[1]


def test_offsets_beyond_those_that_are_looked_at_are_undefined() -> None:
    clip, camera_of = film(0.2, 0.25, (0.0, 2.0))
    found = find_offsets(clip, camera_of, most_lag=2)
    assert math.isnan(found.offset_s[1])
    assert "further apart than the 2 frames" in found.because[1]


def test_few_frames_and_missing_times() -> None:
    clip, camera_of = film(0.2, 0.25, (0.0, 0.0))
    rows = [0, 1, FRAMES, FRAMES + 1]
    few = find_offsets(clip[rows], [camera_of[i] for i in rows])
    assert few.because == ("", "fewer than three frames")
    assert few.sure_s.tolist() == [0.0, 0.0]
    with pytest.raises(CaptureError, match="frames with times"):
        find_offsets(replace(clip, times_s=None), camera_of)


def test_times_that_cameras_share() -> None:
    own = torch.tensor([0.0, 1.0, 2.0, 3.0]).double()
    times = torch.cat([own, own + 0.5, own - 1.6, own + 0.3])
    camera_of = [k for k in range(4) for _ in range(4)]
    shared = share_times(times, camera_of).reshape(4, 4)
    assert shared.tolist() == [[0, 1, 2, 3], [1, 2, 3, 4], [-2, -1, 0, 1], [0, 1, 2, 3]]
    mixed = (
        torch.randperm(16, generator=torch.Generator().manual_seed(1)).sort().indices
    )  # any order of cameras
    rows = sorted(mixed.tolist(), key=lambda i: i % 4)
    assert share_times(times[rows], [camera_of[i] for i in rows]).tolist() == shared.flatten()[rows].tolist()
    gaps = torch.tensor([0.0, 1.0, 2.0, 3.0, 10.0, 11.0, 12.0]).double()
    late = share_times(torch.cat([gaps, gaps + 0.3]), [0] * 7 + [1] * 7)
    assert late[7:].tolist() == gaps.tolist()
