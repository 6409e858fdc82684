"""What moves in a clip is found, and nothing else: a textured square before a textured wall, rendered exactly."""

from functools import cache

import pytest
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

from recon.cameras import Cameras, intrinsics
from recon.clip import Clip
from recon.errors import CaptureError
from recon.moving import MovingMasks, find_movers, find_movers_blind
from recon.moving.flows import FlowTable
from recon.moving.plate import fill
from recon.moving.smooth import smooth_within_edges
from recon.moving.static_fit import ViewMaps, fit_static

W, H, N = 128, 96, 9
FOCAL = 110.0
WALL, SQUARE = 4.0, 2.5
"""Depths, in world units; the cameras look along z."""
HALF = 0.35
"""Half the side of the square."""


def texture(generator: torch.Generator) -> Float[Tensor, "3 k k"]:
    coarse, fine = (torch.rand(1, 3, side, side, generator=generator) for side in (12, 60))
    coarse, fine = (interpolate(one, size=(480, 480), mode="bicubic") for one in (coarse, fine))
    return (0.5 * coarse + 0.5 * fine)[0].clamp(0, 1)


def film(
    *, camera_speed: float, square_speed: tuple[float, float] | None
) -> tuple[Clip, Bool[Tensor, "n h w"]]:
    """A camera that slides to the right before a wall, and a square that slides too; None: no square.

    Args:
        camera_speed: world units a frame.
        square_speed: to the right and down, world units a frame.
    """
    generator = torch.Generator().manual_seed(3)
    wall, cloth = texture(generator), texture(generator)
    y, x = torch.meshgrid(torch.arange(H) + 0.5, torch.arange(W) + 0.5, indexing="ij")
    ray = torch.stack([(x - W / 2) / FOCAL, (y - H / 2) / FOCAL], -1)
    images, moving, poses = [], [], []
    for i in range(N):
        eye = torch.tensor([camera_speed * (i - N // 2), 0.0])
        picture = look_up(wall, (ray * WALL + eye) / 4)
        on = torch.zeros(H, W, dtype=torch.bool)
        if square_speed is not None:
            at = ray * SQUARE + eye - torch.tensor(square_speed) * (i - N // 2)
            on = at.abs().amax(-1) < HALF
            picture = torch.where(on, look_up(cloth, at), picture)
        noise = 0.01 * torch.randn(picture.shape, generator=generator)
        images.append((picture + noise).clamp(0, 1).permute(1, 2, 0))
        moving.append(on)
        pose = torch.eye(4, dtype=torch.float64)
        pose[:2, 3] = -eye
        poses.append(pose)
    cameras = Cameras(torch.stack(poses), intrinsics(focal_px=FOCAL, width=W, height=H, n=N), W, H)
    return Clip(torch.stack(images), cameras, torch.arange(N) / 12), torch.stack(moving)


def look_up(picture: Float[Tensor, "3 k k"], at: Float[Tensor, "h w 2"]) -> Float[Tensor, "3 h w"]:
    return grid_sample(picture[None], at[None], padding_mode="reflection", align_corners=False)[0]


def overlap(found: MovingMasks, truth: Bool[Tensor, "n h w"]) -> float:
    return float((found.moving & truth).sum() / (found.moving | truth).sum())


SPEEDS = {
    "still camera": (0.0, (0.06, 0.0)),
    "moving camera": (0.05, (0.02, 0.05)),
    # faster than the camera: slower things in the same direction look like still ones farther off
    "along the way of the camera": (0.05, (0.11, 0.0)),
}


@cache
def found(name: str) -> tuple[MovingMasks, Bool[Tensor, "n h w"]]:
    camera, square = SPEEDS[name]
    clip, truth = film(camera_speed=camera, square_speed=square)
    return find_movers(clip), truth


@pytest.mark.parametrize("speed", [0.0, 0.05])
def test_nothing_moves_in_a_scene_at_rest(speed: float) -> None:
    clip, _ = film(camera_speed=speed, square_speed=None)
    masks = find_movers(clip)
    assert masks.share.max() < 0.01
    assert masks.confidence.mean() < 0.05
    assert find_movers_blind(clip, generator=torch.Generator().manual_seed(0)).share.mean() < 0.01


@pytest.mark.parametrize("name", [*SPEEDS])
def test_a_square_that_moves_is_found(name: str) -> None:
    masks, truth = found(name)
    assert overlap(masks, truth) > 0.8
    assert masks.share.shape == (len(truth),)
    assert (masks.share - truth.float().mean((1, 2))).abs().max() < 0.03


@pytest.mark.parametrize("name", [*SPEEDS])
def test_confidence_is_a_probability_and_higher_where_something_moves(name: str) -> None:
    masks, truth = found(name)
    assert 0 <= masks.confidence.min() <= masks.confidence.max() <= 1
    assert masks.confidence[truth].mean() > 0.6
    assert masks.confidence[~truth].mean() < 0.1
    right = masks.moving == truth
    sure = (masks.confidence - 0.5).abs()
    assert sure[right].mean() > sure[~right].mean()


def test_cameras_are_not_needed_for_a_first_look() -> None:
    clip, truth = film(camera_speed=0.0, square_speed=(0.06, 0.0))
    blind = Clip(clip.images)
    first, again = (find_movers_blind(blind, generator=torch.Generator().manual_seed(1)) for _ in range(2))
    assert overlap(first, truth) > 0.8
    assert torch.equal(first.moving, again.moving)
    assert torch.equal(first.confidence, again.confidence)


def test_clips_of_which_nothing_can_be_said_are_refused() -> None:
    clip, _ = film(camera_speed=0.05, square_speed=None)
    with pytest.raises(CaptureError, match="images with cameras, got images alone"):
        find_movers(Clip(clip.images))
    with pytest.raises(CaptureError, match="3 frames or more to see what moves, got 2"):
        find_movers(clip[:2])
    with pytest.raises(CaptureError, match="got 1"):
        find_movers_blind(clip[:1], generator=torch.Generator())


def test_the_depth_of_a_scene_at_rest_is_that_of_its_flows() -> None:
    clip, _ = film(camera_speed=0.05, square_speed=None)
    flows = FlowTable(clip.images).of_frame(4)
    assert flows.others == (3, 5, 2, 6, 0, 8)
    fit = fit_static(flows, ViewMaps.between(clip.require_cameras(), 4, flows.others))
    depth = 1 / fit.inverse_depth[10:-10, 20:-20]
    assert abs(torch.from_numpy(depth).median() - WALL) < 0.05
    assert fit.parallax_px == pytest.approx(4 * 0.05 * FOCAL / WALL, abs=0.1)


def test_gaps_are_filled_from_what_is_near_and_smoothing_stops_at_edges() -> None:
    values = torch.zeros(64, 64)
    values[:, 32:] = 1
    known = torch.ones(64, 64)
    known[20:30, 10:20] = 0
    values[20:30, 10:20] = 9
    assert abs(fill(values.numpy(), known.numpy())[20:30, 10:20]).max() < 0.1
    half = (torch.arange(64) >= 32).float().expand(1, 64, 64)
    spread = smooth_within_edges(half.numpy(), half[0, ..., None].expand(-1, -1, 3).numpy(), sigma_px=40)
    assert spread[0, :, :28].max() < 0.1
    assert spread[0, :, 36:].min() > 0.9
