"""Flicker and sharpness against pictures whose difference is known."""

from dataclasses import replace

import pytest
import torch

from eval.pictures.flicker import flicker
from eval.pictures.sharpness import gradient_magnitude, gradient_ratio
from recon.cameras import Cameras, intrinsics
from recon.clip import Clip
from recon.errors import CaptureError
from worldgen.models.synthetic import SyntheticRoom


@pytest.fixture(scope="module")
def room() -> tuple[Clip, torch.Tensor]:
    """Three frames along the built-in path, with true depth."""
    scene = SyntheticRoom()
    cameras = scene.cameras(33, width=180, height=120)[14:17]
    images, depth = scene.render(cameras)
    return Clip(images, cameras), depth


def wall(shift_px: float) -> tuple[Clip, torch.Tensor]:
    """A slanted picture on a wall at depth 2, from two cameras side by side; drawn in closed form."""
    K = intrinsics(focal_px=50.0, width=40, height=30, n=2)
    pose = torch.eye(4, dtype=torch.float64).repeat(2, 1, 1)
    pose[1, 0, 3] = -shift_px * 2 / 50  # the camera moves right, the picture left
    u = torch.arange(40) + 0.5
    rows = [(u + offset) / 80 for offset in (0.0, shift_px)]
    images = torch.stack([row[None, :, None].expand(30, 40, 3) for row in rows]).float()
    return Clip(images, Cameras(pose, K, 40, 30)), torch.full((2, 30, 40), 2.0)


def test_a_linear_picture_is_warped_to_the_subpixel() -> None:
    clip, depth = wall(3.25)
    found = flicker(clip, depth)
    assert found.mean_abs.item() < 1e-6
    # of 40 columns those whose partner's centre lies between the outer pixel centres: u - 3.25 >= 0.5
    assert found.share.item() == pytest.approx(36 / 40)


def test_a_change_of_brightness_is_found_to_its_size() -> None:
    clip, depth = wall(3.25)
    brighter = replace(clip, images=torch.stack([clip.images[0], clip.images[1] + 0.04]))
    found = flicker(brighter, depth)
    assert found.mean_abs.item() == pytest.approx(0.04, abs=1e-5)
    assert found.mean_square.item() == pytest.approx(0.0016, abs=1e-6)
    assert found.mean == pytest.approx(0.04, abs=1e-5)


def test_hidden_and_unknown_pixels_are_left_out() -> None:
    clip, depth = wall(3.25)
    nearer = torch.stack([depth[0], depth[1].clone()])
    nearer[1, :10] = 1.0  # something stands in front in the second frame
    assert flicker(clip, nearer).share.item() == pytest.approx(36 / 40 * 2 / 3)
    unknown = torch.stack([torch.zeros_like(depth[0]), depth[1]])
    found = flicker(clip, unknown)
    assert found.share.item() == 0
    assert found.mean_abs.isnan().all()
    assert found.mean is None
    with pytest.raises(CaptureError, match="expected depth of the clip's shape"):
        flicker(clip, depth[:, :5])
    assert flicker(clip[0], depth[:1]).mean is None


def test_a_true_clip_flickers_little_and_noise_is_seen(room, generator) -> None:
    clip, depth = room
    still = flicker(clip, depth)
    assert still.share.min() > 0.5
    noise = 0.1 * torch.randn(clip.images.shape, generator=generator)
    shaken = flicker(replace(clip, images=clip.images + noise), depth)
    assert shaken.mean > 3 * still.mean
    frozen = replace(clip, images=clip.images[:1].repeat(3, 1, 1, 1))
    assert flicker(frozen, depth).mean > 1.5 * still.mean


def test_sharpness_of_a_ramp_and_of_a_blur(room) -> None:
    clip, _ = wall(0.0)
    assert gradient_magnitude(clip.images) == pytest.approx(torch.full((2, 28, 38), 1 / 80), abs=1e-6)
    truth = room[0].images
    assert gradient_ratio(truth, truth) == pytest.approx(torch.ones(3))
    blurred = torch.nn.functional.avg_pool2d(truth.permute(0, 3, 1, 2), 5, 1, 2).permute(0, 2, 3, 1)
    assert (gradient_ratio(blurred, truth) < 0.9).all()
    assert gradient_ratio(0.5 * truth, truth) == pytest.approx(0.5 * torch.ones(3))


def test_sharpness_in_a_mask_ignores_its_border() -> None:
    images = torch.rand(1, 20, 20, 3, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(1, 20, 20, dtype=torch.bool)
    mask[:, :, :10] = True
    cut = images * mask[..., None]
    assert gradient_ratio(cut, images, mask).item() == pytest.approx(1)
    assert gradient_ratio(cut, images, ~mask).item() == 0
    assert gradient_ratio(cut, images, mask & False).isnan().all()
    assert gradient_ratio(images, 0 * images).isnan().all()
