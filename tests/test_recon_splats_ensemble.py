"""One scene of several: what their mean says, what merging keeps, how they settle."""

import math
from dataclasses import replace

import pytest
import torch

from recon.cameras import Cameras, intrinsics, look_at
from recon.clip import Clip
from recon.errors import BridgeError
from recon.gaussians import Gaussians
from recon.splats.fit import FitOptions
from recon.splats.fitting.ensemble import (
    BETWEEN,
    SETTLE_LEAST,
    SHARE,
    add_mean,
    draw_mean,
    fit_mean,
    merge,
    settling_options,
)
from recon.splats.render import render

W, H = 48, 40


def sheet(seed: int = 3, opacity_logit: float = 2.0) -> Gaussians:
    """A bent sheet of blobs, which seeds move and colour a little."""
    g = torch.Generator().manual_seed(3)
    x, y = (torch.rand(2, 200, generator=g) * 2 - 1) * 1.2
    other = torch.Generator().manual_seed(seed)
    means = torch.stack([x, y, 0.3 * (2 * x).sin() * y.cos()], -1)
    return Gaussians(
        means=means + 0.02 * torch.randn(200, 3, generator=other),
        quats_wxyz=torch.randn(200, 4, generator=g),
        log_scales=torch.randn(200, 3, generator=g) * 0.3 + math.log(0.12),
        opacity_logits=torch.full((200,), opacity_logit),
        sh=torch.randn(200, 1, 3, generator=g) + 0.3 * torch.randn(200, 1, 3, generator=other),
    )


@pytest.fixture(scope="module")
def cameras() -> Cameras:
    angle = torch.linspace(-0.4, 0.4, 4, dtype=torch.float64)
    eye = 3 * torch.stack([angle.sin(), 0 * angle, -angle.cos()], -1)
    up = torch.tensor([[0.0, -1, 0]], dtype=torch.float64).expand(4, 3)
    pose = look_at(eye, torch.zeros_like(eye), up)
    return Cameras(pose, intrinsics(focal_px=50.0, width=W, height=H, n=4), W, H)


@pytest.fixture(scope="module")
def clip(cameras) -> Clip:
    return Clip(render(sheet(), cameras, engine="cpu").images.clamp(0, 1), cameras)


def draw(scene: Gaussians, cameras: Cameras) -> torch.Tensor:
    return render(scene, cameras, engine="cpu").images.clamp(0, 1)


def test_the_mean_is_trusted_where_scenes_are_opaque_and_agree(cameras):
    scene, other = sheet(), sheet(4)
    same, mixed = draw_mean([scene, scene, scene], cameras), draw_mean([scene, other], cameras)
    torch.testing.assert_close(same.images, draw(scene, cameras), atol=1e-5, rtol=0)
    alpha = render(scene, cameras, engine="cpu").alpha
    torch.testing.assert_close(same.confidence, alpha.clamp(0, 1), atol=1e-3, rtol=0)
    torch.testing.assert_close(
        mixed.images, (draw(scene, cameras) + draw(other, cameras)) / 2, atol=1e-5, rtol=0
    )
    apart = ((draw(scene, cameras) - draw(other, cameras)).square().mean(-1) / 4).sqrt()
    assert mixed.confidence is not None
    opaque = alpha > 0.99
    assert mixed.confidence[opaque & (apart > 0.1)].max() < 0.55, "half or less from the limit on"
    assert mixed.confidence[opaque & (apart < 0.01)].min() > 0.95
    with pytest.raises(BridgeError, match="at least two scenes"):
        draw_mean([scene], cameras)


@pytest.mark.parametrize("opacity_logit", [-1.0, 2.0])
def test_copies_of_one_scene_look_like_it_but_for_their_skirts(cameras, opacity_logit):
    scene = sheet(opacity_logit=opacity_logit)
    together = merge([scene, scene, scene])
    assert len(together) == 3 * len(scene)
    assert together.opacity_logits.isfinite().all()
    was = draw(scene, cameras)
    error = (draw(together, cameras) - was).abs().mean()
    laid_over = replace(together, opacity_logits=scene.opacity_logits.repeat(3))
    assert error < 0.6 * (draw(laid_over, cameras) - was).abs().mean()


def test_photos_and_mean_keep_their_shares_of_the_steps(clip, cameras):
    """Of photos of which the last is not looked at in the second half."""
    frequency = torch.tensor([[1.0, 1.0, 1.0, 1.0], [2.0, 1.0, 1.0, 0.0]])
    pictures, often = add_mean(clip, [sheet(), sheet(4)], cameras, frequency)
    assert len(pictures) == 8
    assert torch.equal(pictures.images[:4], clip.images)
    expected = torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.5, 0.25, 0.25, 0.0]])
    torch.testing.assert_close(often[:, :4], (1 - SHARE) * expected)
    torch.testing.assert_close(often[:, 4:], torch.full((2, 4), SHARE / 4))


def test_scenes_settle_into_one_that_shows_unseen_views_better(clip, cameras):
    """Three that differ from the truth by chance; the same seed gives the same bits."""
    scenes, options = (
        [sheet(seed) for seed in (5, 6, 7)],
        FitOptions(iterations=200, sh_degree=1, cap=300, device="cpu"),
    )

    def settled(seed: int):
        return fit_mean(clip, scenes, cameras, options=options, generator=torch.Generator().manual_seed(seed))

    done = settled(0)
    assert (done.iterations, len(done.gaussians), done.peak_count) == (SETTLE_LEAST, 600, 600)
    for name, value in settled(0).gaussians.tensors().items():
        assert torch.equal(value, done.gaussians.tensors()[name])
    assert not torch.equal(settled(1).gaussians.means, done.gaussians.means)
    pose = cameras.cam_from_world.clone()
    pose[:, 1, 3] += 0.4  # between and beside what the photos saw
    unseen = replace(cameras, cam_from_world=pose)
    truth = draw(sheet(), unseen)
    errors = [float((draw(scene, unseen) - truth).square().mean()) for scene in (*scenes, done.gaussians)]
    assert errors[-1] < min(errors[:-1])


@pytest.mark.parametrize(("iterations", "steps"), [(50, 50), (200, 100), (2000, 500)])
def test_settling_is_short_and_adds_nothing(iterations, steps):
    options = settling_options(FitOptions(iterations=iterations, dropout=0.3, cap=10), 30)
    assert (options.iterations, options.cap, options.dropout, options.doublings) == (steps, 30, 0.3, ())
    timed = settling_options(FitOptions(cpu_seconds=40.0), 30)
    assert timed.cpu_seconds == 10.0
    assert BETWEEN > 0
