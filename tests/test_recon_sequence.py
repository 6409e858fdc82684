"""Moving Gaussians go where their polynomials say, and nothing else moves."""

import math
from dataclasses import replace

import pytest
import torch

from recon.errors import SceneFileError
from recon.gaussians import Gaussians
from recon.sequence import GaussianSequence, Motion


def gaussians(g: int, seed: int, k: int = 1) -> Gaussians:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    return Gaussians(draw(g, 3), draw(g, 4), draw(g, 3), draw(g), draw(g, k, 3))


def sequence() -> GaussianSequence:
    motion = Motion(
        torch.tensor([0.5, 2.0]),
        torch.tensor([math.log(2.0), math.log(0.1)]),
        torch.tensor([[[1.0, 0, 0], [0, 2.0, 0]], [[0, 0, 1.0], [0, 0, 0]]]),
        torch.tensor([[0, 0.1, 0, 0], [0.0, 0, 0, 0]]),
    )
    times = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    return GaussianSequence(gaussians(3, 0, k=4), gaussians(2, 1), motion, times)


def test_each_moves_about_its_own_time() -> None:
    scene = sequence()
    now = scene.at(1.5)  # one second after the centre of the first, half a second before that of the second
    moving = scene.moving
    torch.testing.assert_close(now.means[3], moving.means[0] + torch.tensor([1.0, 2.0, 0]))
    torch.testing.assert_close(now.means[4], moving.means[1] + torch.tensor([0, 0, -0.5]))
    torch.testing.assert_close(now.quats_wxyz[3], moving.quats_wxyz[0] + torch.tensor([0, 0.1, 0, 0]))
    opacity = moving.opacity_logits.sigmoid()[0] * math.exp(-0.25)  # a duration of two seconds
    torch.testing.assert_close(now.opacity_logits.sigmoid()[3], opacity)
    assert float(now.opacity_logits.sigmoid()[4]) == pytest.approx(1e-6, rel=1e-3)  # five durations away


def test_the_static_part_stands_still_and_keeps_its_colours() -> None:
    scene = sequence()
    for time_s in (-1.0, 0.0, 7.0):
        now = scene.at(time_s)
        assert len(now) == 5
        for name, value in scene.static.tensors().items():
            assert torch.equal(now.tensors()[name][:3], value)
        assert torch.equal(now.sh[3:, :1], scene.moving.sh)
        assert not now.sh[3:, 1:].any()


def test_gradients_reach_all_that_moves() -> None:
    scene = sequence()
    leaves = [
        scene.motion.coefficients,
        scene.motion.log_duration_s,
        scene.motion.time_center_s,
        scene.moving.means,
    ]
    for leaf in leaves:
        leaf.requires_grad_()
    now = scene.at(1.0)
    (now.means.square().sum() + now.opacity_logits[3]).backward()
    assert all(leaf.grad is not None and leaf.grad[0].abs().max() > 0 for leaf in leaves)


def test_players_see_it_at_its_times() -> None:
    frames = sequence().frames()
    assert frames.identity
    assert len(frames) == 3
    torch.testing.assert_close(frames.at(1.2).means, sequence().at(1.0).means)


def test_another_number_of_motions_is_refused() -> None:
    scene = sequence()
    with pytest.raises(SceneFileError, match="expected the motion of 3 moving Gaussians, got 2, 2, 2, 2"):
        GaussianSequence(scene.static, scene.static, scene.motion, scene.times_s)


def test_motion_without_coefficients_stands_and_a_moment_without_duration_is_a_number() -> None:
    scene = sequence()
    motion = replace(
        scene.motion, coefficients=torch.zeros(2, 0, 3), log_duration_s=torch.tensor([-200.0, 0]),
    )  # fmt: skip
    now = replace(scene, motion=motion).at(0.5)
    assert torch.equal(now.means[3:], scene.moving.means)
    assert bool(now.opacity_logits.isfinite().all())
    with pytest.raises(SceneFileError, match="to rise"):
        replace(scene, times_s=torch.tensor([0.0, 2.0, 1.0], dtype=torch.float64))
