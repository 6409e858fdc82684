"""Moran's I against PySAL and against fields whose structure is known."""

import pytest
import torch

from eval.pictures.autocorrelation import morans_i


def _places(m: int, generator: torch.Generator) -> torch.Tensor:
    return 300 * torch.rand(m, 2, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("neighbours", [4, 8])
def test_agrees_with_pysal(neighbours: int, generator: torch.Generator) -> None:
    esda = pytest.importorskip("esda")
    weights = pytest.importorskip("libpysal.weights")
    xy = _places(150, generator)
    values = torch.sin(xy[:, 0] / 60) + torch.randn(150, generator=generator, dtype=torch.float64)
    w = weights.KNN.from_array(xy.numpy(), k=neighbours)
    theirs = esda.Moran(values.numpy(), w, transformation="r", permutations=0)
    ours = morans_i(values, xy, neighbours=neighbours)
    assert ours is not None
    assert ours.value == pytest.approx(theirs.I, abs=1e-6)
    assert ours.expectation == pytest.approx(theirs.EI, abs=1e-9)
    assert ours.z == pytest.approx(theirs.z_norm, abs=1e-6)


def test_noise_has_no_structure_and_a_smooth_field_has(generator: torch.Generator) -> None:
    xy = _places(400, generator)
    noise = [morans_i(torch.randn(400, generator=generator, dtype=torch.float64), xy) for _ in range(40)]
    found = [n for n in noise if n is not None]
    mean = sum(n.value for n in found) / 40
    assert mean == pytest.approx(-1 / 399, abs=0.01)
    assert sum(abs(n.z) < 1.96 for n in found) >= 34  # 38 of 40 are expected
    smooth = morans_i(torch.sin(xy[:, 0] / 60) * torch.cos(xy[:, 1] / 80), xy)
    assert smooth is not None
    assert smooth.value > 0.9
    assert smooth.z > 10


def test_rises_with_the_share_of_structure(generator: torch.Generator) -> None:
    xy = _places(400, generator)
    field, noise = torch.sin(xy[:, 0] / 60), torch.randn(400, generator=generator, dtype=torch.float64)
    found = [morans_i(noise + a * field, xy) for a in (0.0, 0.5, 1.0, 2.0, 8.0)]
    values = [f.value for f in found if f is not None]
    assert len(values) == 5
    assert values == sorted(values)


def test_does_not_change_with_sign_scale_or_offset(generator: torch.Generator) -> None:
    xy = _places(60, generator)
    values = torch.randn(60, generator=generator, dtype=torch.float64)
    one, other = morans_i(values, xy), morans_i(7 - 3 * values, xy)
    assert one is not None
    assert other is not None
    assert one.value == pytest.approx(other.value)


def test_is_undefined_for_too_few_points_and_for_equal_values(generator: torch.Generator) -> None:
    xy = _places(30, generator)
    assert morans_i(torch.arange(10, dtype=torch.float64), xy[:10]) is None
    assert morans_i(torch.full((30,), 0.3, dtype=torch.float64), xy) is None


def test_points_in_one_place_do_not_count_as_their_own_neighbours(generator: torch.Generator) -> None:
    """Twelve points coincide: every one has others of them as its nearest, never itself."""
    xy = _places(60, generator)
    xy[:12] = xy[0]
    values = torch.randn(60, generator=generator, dtype=torch.float64)
    values[:12] = torch.tensor([5.0, -5.0] * 6, dtype=torch.float64)
    found = morans_i(values, xy)
    assert found is not None
    assert found.value < 0.1  # opposite values in one place are no likeness
