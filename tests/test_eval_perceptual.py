"""The arithmetic of LPIPS with random weights, and what is said where there are none."""

from pathlib import Path

import pytest
import torch

from eval.pictures import perceptual
from eval.pictures.perceptual import PerceptualDistance, Unavailable, perceptual_distance

SHAPES = [(64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3)]


@pytest.fixture
def weights(generator: torch.Generator) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    trunk, heads = {}, {}
    for i, (layer, (out, into, k)) in enumerate(zip([0, 3, 6, 8, 10], SHAPES, strict=True)):
        fan_in = into * k * k
        trunk[f"features.{layer}.weight"] = (
            torch.randn(out, into, k, k, generator=generator) * (2 / fan_in) ** 0.5
        )
        trunk[f"features.{layer}.bias"] = 0.01 * torch.randn(out, generator=generator)
        heads[f"lin{i}.model.1.weight"] = torch.rand(1, out, 1, 1, generator=generator)
    return trunk, heads


@pytest.fixture
def photo(generator: torch.Generator) -> torch.Tensor:
    coarse = torch.rand(1, 3, 8, 10, generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(64, 80), mode="bilinear").permute(0, 2, 3, 1)


def test_zero_for_identical_and_growing_with_noise(weights, photo, generator) -> None:
    network = PerceptualDistance(*weights)
    noise = torch.randn(photo.shape, generator=generator)
    a = photo.repeat(4, 1, 1, 1)
    b = torch.cat([(photo + level * noise).clamp(0, 1) for level in (0.0, 0.05, 0.15, 0.4)])
    metric = perceptual_distance(a, b, network=network)
    assert not isinstance(metric, Unavailable)
    values = list(metric.defined_values)
    assert values[0] == 0
    assert values == sorted(values)
    assert values[-1] > 2 * values[1] > 0
    assert not metric.higher_is_better


def test_one_layer_by_hand(weights, photo, generator) -> None:
    """With every head but the first at zero, LPIPS is one convolution that can be written out."""
    trunk, heads = weights
    heads = {k: v if k.startswith("lin0") else torch.zeros_like(v) for k, v in heads.items()}
    other = torch.rand(photo.shape, generator=generator)

    def features(x: torch.Tensor) -> torch.Tensor:
        mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
        x = ((x - mean) / std).permute(0, 3, 1, 2)
        f = torch.nn.functional.conv2d(
            x, trunk["features.0.weight"], trunk["features.0.bias"], stride=4, padding=2
        )
        return torch.nn.functional.normalize(f.relu(), dim=1)

    squared = (features(photo) - features(other)).square()
    expected = (squared * heads["lin0.model.1.weight"]).sum(1).mean().item()
    measured = PerceptualDistance(trunk, heads)(photo, other).item()
    assert measured == pytest.approx(expected, rel=1e-4)


def test_says_what_is_missing_and_how_to_get_it(tmp_path: Path, monkeypatch, photo) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(perceptual, "heads_path", lambda: None)
    answer = perceptual_distance(photo, photo)
    assert isinstance(answer, Unavailable)
    assert str(tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth") in answer.reason
    assert "pip install --no-deps lpips" in answer.reason


def test_reads_weights_from_disk_and_reports_damaged_ones(
    tmp_path: Path, monkeypatch, weights, photo
) -> None:
    (tmp_path / "checkpoints").mkdir()
    torch.save(weights[0], tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth")
    torch.save(weights[1], tmp_path / "alex.pth")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(perceptual, "heads_path", lambda: tmp_path / "alex.pth")
    assert isinstance(perceptual.load(), PerceptualDistance)
    (tmp_path / "alex.pth").write_bytes(b"half a downl")
    damaged = perceptual.load()
    assert isinstance(damaged, Unavailable)
    assert "cannot be read" in damaged.reason


def test_pictures_too_small_for_the_network_are_said_to_be_so(weights) -> None:
    network = PerceptualDistance(*weights)
    small = torch.zeros(1, 30, 40, 3)
    answer = perceptual_distance(small, small, network=network)
    assert isinstance(answer, Unavailable)
    assert "40x30" in answer.reason
