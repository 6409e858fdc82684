"""Training of the depth network: samples with known truth, a training that goes on, chances that are judged."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recon.depth.learned import load_depth_weights
from recon.depth.learned.inputs import PLANES
from recon.depth.learned.net import DepthAnswer, DepthNetOptions
from worldgen.depth_training.calibrate import calibration_error
from worldgen.depth_training.losses import likelihood_loss
from worldgen.depth_training.samples import (
    augment,
    draw_photos,
    halve_truth,
    load_sample,
    make_samples,
    save_samples,
)
from worldgen.depth_training.shots import DepthShot, is_held_out, load_shot, make_shot, save_shot
from worldgen.depth_training.train import DepthTrainer, DepthTrainOptions, sample_path

OPTIONS = DepthTrainOptions(
    places=11, samples=1, batch=1, crop_height=16, crop_width=24, save_every=2,
    net=DepthNetOptions(widths=(8, 8), blocks=(1, 1)),
)  # fmt: skip


@pytest.fixture(scope="module")
def shot() -> DepthShot:
    return make_shot(1, 0, width=96, height=72)


def test_a_place_is_kept_as_it_was_and_its_depth_is_that_of_its_points(
    shot: DepthShot, tmp_path: Path
) -> None:
    save_shot(shot, tmp_path / "shot.safetensors")
    back = load_shot(tmp_path / "shot.safetensors")
    assert (back.clip.images - shot.clip.images).abs().max() <= 0.5 / 255 + 1e-6
    assert torch.equal(back.depth, shot.depth)
    from worldgen.scenes.visibility import visible

    seen = visible(back.points.xyz, back.clip.require_cameras(), back.depth.double(), 0.05)
    assert (seen.sum(0) >= 2).double().mean() > 0.9


def test_samples_come_back_and_their_truth_is_where_the_photos_agree(shot: DepthShot, tmp_path: Path) -> None:
    made = make_samples(shot, np.random.default_rng(3), 2)
    save_samples(made, tmp_path / "samples.safetensors")
    back = load_sample(tmp_path / "samples.safetensors", 1)
    assert torch.allclose(back.given.channels(), made[1].given.channels(), atol=0.01)
    assert torch.allclose(back.truth, made[1].truth, atol=1e-3, equal_nan=True)
    far, near = back.span
    agreed = (back.given.agreeing > 0) & (back.truth > 0)
    if agreed.sum() > 50:
        found, true = (far + share[agreed] * (near - far) for share in (back.given.refined, back.truth))
        assert (true / found - 1).abs().median() < 0.03


def test_photos_of_a_sample_are_a_walk() -> None:
    rng = np.random.default_rng(0)
    for _ in range(100):
        picks = draw_photos(rng, 6)
        assert 2 <= len(picks) <= 6
        assert len(set(np.diff(picks).tolist())) == 1
        assert min(picks) >= 0
        assert max(picks) < 6


def test_half_of_the_truth_mixes_no_surfaces_and_keeps_holes() -> None:
    share = torch.tensor([[0.2, 0.8], [0.8, 0.8]]).repeat(1, 2)
    share[:, 2:] = torch.tensor([[torch.nan, torch.nan], [torch.nan, 0.5]])
    assert halve_truth(share)[0, 0] == pytest.approx(0.8)
    assert halve_truth(share)[0, 1].isnan()


def test_augmentation_keeps_truth_and_costs_together(shot: DepthShot) -> None:
    sample = make_samples(shot, np.random.default_rng(3), 1)[0]
    for seed in range(4):
        changed = augment(sample, np.random.default_rng(seed))
        same = torch.equal(changed.given.total, sample.given.total)
        assert same == torch.allclose(changed.truth, sample.truth, equal_nan=True)


def test_likelihood_is_least_at_the_true_proportion_of_two_planes() -> None:
    def loss(p: float) -> float:
        """Where planes 3 and 4 have 1 - p and p."""
        logits = torch.full((1, PLANES, 1, 1), -30.0)
        logits[:, [3, 4]] = torch.tensor([1 - p, p]).log()[None, :, None, None]
        return float(
            likelihood_loss(DepthAnswer(logits, torch.zeros(1, 1, 1)), torch.full((1, 1, 1), 3.3 / 95))
        )

    assert min((0.1, 0.2, 0.3, 0.4, 0.5), key=loss) == 0.3


def test_calibration_error_knows_what_holds() -> None:
    generator = torch.Generator().manual_seed(0)
    chance = torch.rand(50_000, generator=generator)
    hit = (torch.rand(50_000, generator=generator) < chance).float()
    assert calibration_error(chance, hit) < 0.02
    assert calibration_error((chance + 0.2).clamp(max=1), hit) > 0.1


def test_training_goes_on_where_it_stopped_and_keeps_a_curve(shot: DepthShot, tmp_path: Path) -> None:
    options = replace(OPTIONS, out=tmp_path)
    made = make_samples(shot, np.random.default_rng(3), 3)
    for index in (0, 1, 9):
        save_samples(made, sample_path(tmp_path, index))
    trainer = DepthTrainer(options)
    assert is_held_out(9)
    assert len(trainer.paths) == 2
    assert len(trainer.held_out) == 3
    losses = [trainer.take_step(step) for step in range(2)]
    trainer.step = 2
    trainer.save()
    again = DepthTrainer(options)
    assert again.step == 2
    assert again.take_step(2) == pytest.approx(trainer.take_step(2), rel=1e-3)
    assert all(np.isfinite(losses))
    again.run_for(0)
    assert again.curve[-1]["places"] == 2
    assert 0 <= again.curve[-1]["median"][1] <= 100
    assert load_depth_weights(again.export()).story["data"].startswith("2 procedural places")
