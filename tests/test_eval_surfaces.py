"""Distances between surfaces of which they are known."""

import pytest
import torch

from eval.geometry.surfaces import compare_surfaces, sample_surface, thin_points


def plane(z: float, *, width: float = 1.0) -> torch.Tensor:
    x, y = torch.meshgrid(
        torch.arange(0, width, 0.02).double(), torch.arange(0, 1, 0.02).double(), indexing="ij"
    )
    return torch.stack([x, y, torch.full_like(x, z)], -1).reshape(-1, 3)


def test_a_shifted_plane_is_off_by_its_shift_both_ways() -> None:
    score = compare_surfaces(plane(0.03), plane(0.0), thresholds=(0.02, 0.04))
    assert score is not None
    assert score.accuracy_mean == pytest.approx(0.03)
    assert score.completeness_median == pytest.approx(0.03)
    assert score.precision == score.recall == (0.0, 1.0)
    assert score.f_score == (0.0, 1.0)


def test_half_a_plane_is_exact_and_incomplete() -> None:
    score = compare_surfaces(plane(0.0, width=0.5), plane(0.0), thresholds=(0.01,))
    assert score is not None
    assert score.accuracy_mean < 1e-6
    assert score.precision == (1.0,)
    assert score.recall[0] == pytest.approx(0.5, abs=0.02)
    assert score.f_score[0] == pytest.approx(2 / 3, abs=0.02)
    assert score.completeness_mean == pytest.approx(0.125, abs=0.01)


def test_hidden_truth_is_right_where_it_is_but_need_not_be_found() -> None:
    score = compare_surfaces(plane(0.0), plane(0.0, width=0.5), thresholds=(0.01,), hidden=plane(0.0))
    assert score is not None
    assert score.f_score == (1.0,)
    without = compare_surfaces(plane(0.0), plane(0.0, width=0.5), thresholds=(0.01,))
    assert without is not None
    assert without.precision[0] == pytest.approx(0.5, abs=0.02)


def test_nothing_compares_with_nothing() -> None:
    assert compare_surfaces(torch.zeros(0, 3), plane(0.0), thresholds=(1.0,)) is None
    assert compare_surfaces(plane(0.0), torch.zeros(0, 3), thresholds=(1.0,)) is None


def test_samples_are_even_by_area(generator: torch.Generator) -> None:
    """A triangle of area 2 and one of area 1/2, far apart."""
    vertices = torch.tensor([[0.0, 0, 0], [2, 0, 0], [0, 2, 0], [10, 0, 0], [11, 0, 0], [10, 1, 0]])
    faces = torch.tensor([[0, 1, 2], [3, 4, 5]])
    points = sample_surface(vertices, faces, 20_000, generator)
    first = points[:, 0] < 5
    assert first.double().mean() == pytest.approx(0.8, abs=0.01)
    assert points[first].mean(0)[:2].tolist() == pytest.approx([2 / 3, 2 / 3], abs=0.02)
    assert bool((points[first][:, :2].sum(1) <= 2).all())
    assert len(sample_surface(vertices, faces[:0], 10, generator)) == 0


def test_thinned_points_are_one_a_cube() -> None:
    points = torch.rand(5000, 3, generator=torch.Generator().manual_seed(0)).double()
    assert len(thin_points(points, 0.5)) == 8
    assert len(thin_points(points, 1e-6)) == 5000
