"""Calibration, ranking and coverage against cases with a known answer."""

import math

import pytest
import torch

from eval.stats.calibration import ause, correlations, laplace_coverage, reliability, sparsification
from recon.errors import BridgeError


def test_true_probabilities_are_reliable_and_overconfident_ones_are_not(generator) -> None:
    p = torch.rand(200_000, generator=generator, dtype=torch.float64)
    happened = torch.rand(len(p), generator=generator, dtype=torch.float64) < p
    honest = reliability(p, happened)
    assert honest.expected_error < 0.01
    assert torch.allclose(honest.mean_stated, honest.share_true, atol=0.02)
    # squared stakes of p: the expected gap is the mean of p - p^2 = 1/6
    assert reliability(p.square(), happened).expected_error == pytest.approx(1 / 6, abs=0.01)


def test_reliability_by_hand_and_in_parts() -> None:
    p = torch.tensor([0.05, 0.95, 1.0, 0.91])
    happened = torch.tensor([False, True, True, False])
    whole = reliability(p, happened)
    assert whole.count.tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0, 3]
    assert whole.share_true[9].item() == pytest.approx(2 / 3)
    assert math.isnan(whole.share_true[4])
    assert whole.expected_error == pytest.approx((0.05 + 0.86) / 4)
    parts = reliability(p[:2], happened[:2]) + reliability(p[2:], happened[2:])
    assert torch.equal(parts.true_sum, whole.true_sum)
    assert parts.expected_error == pytest.approx(whole.expected_error)
    assert reliability(p[:0], happened[:0]).expected_error is None


def test_what_states_no_probability_is_left_out() -> None:
    p, happened = torch.tensor([0.25, torch.nan, 0.75]), torch.tensor([False, True, True])
    found = reliability(p, happened)
    assert found.count.sum() == 2
    assert found.expected_error == pytest.approx(0.25)
    assert reliability(p[1:2], happened[1:2]).expected_error is None


@pytest.mark.parametrize("wrong", [-0.1, 1.5, math.inf])
def test_what_is_no_probability_is_refused(wrong: float) -> None:
    with pytest.raises(BridgeError, match=r"expected probabilities in \[0, 1\]"):
        reliability(torch.tensor([0.5, wrong]), torch.tensor([True, False]))


def test_what_is_not_a_number() -> None:
    """A NaN uncertainty is the highest; with a NaN error there is nothing to say."""
    error = torch.tensor([0.1, 0.2, 0.4, 0.3])
    uncertainty = torch.tensor([0.1, 0.2, torch.nan, 0.3])
    highest = torch.tensor([0.1, 0.2, 9.0, 0.3])
    assert ause(error, uncertainty) == ause(error, highest)
    spoilt = torch.tensor([0.1, torch.nan, 0.4, 0.3])
    assert ause(spoilt, highest) is None
    assert correlations(spoilt, highest) == correlations(highest, spoilt) == (None, None)
    assert laplace_coverage(spoilt, highest, (0.95,)) == (0.75,)
    assert laplace_coverage(highest, spoilt / 0, (0.95,)) == (0.75,)


def test_ause_is_zero_for_the_right_order_and_largest_for_the_opposite(generator) -> None:
    error = torch.rand(5000, generator=generator, dtype=torch.float64)
    assert ause(error, 3 * error + 1) == pytest.approx(0, abs=1e-12)
    constant, opposite = ause(error, torch.zeros(5000)), ause(error, -error)
    # RMSE of U(0, 1) cut at 1 - f, over that of all, is 1 - f: the oracle's area is 1/2, of chance 1
    assert constant == pytest.approx(0.5, abs=0.02)
    assert opposite > constant
    assert ause(error, torch.rand(5000, generator=generator)) == pytest.approx(constant, abs=0.02)


def test_ties_count_as_their_mean_whatever_their_order() -> None:
    error = torch.tensor([0.0, 0.3, 0.1, 0.2])
    uncertainty = torch.tensor([0.0, 1.0, 1.0, 1.0])
    turned = torch.tensor([0, 3, 2, 1])
    assert ause(error, uncertainty) == pytest.approx(ause(error[turned], uncertainty))
    curve, oracle = sparsification(error, uncertainty)
    assert curve[0] == oracle[0] == 1
    assert curve[-1] == oracle[-1] == 0
    # half left: the sure pixel, and one of three with a mean square of 0.14/3
    assert curve[50].item() == pytest.approx(math.sqrt(0.14 / 3 / 2) / math.sqrt(0.14 / 4))


def test_nothing_to_rank_is_none() -> None:
    assert ause(torch.zeros(0), torch.zeros(0)) is None
    assert ause(torch.zeros(5), torch.rand(5)) is None
    assert correlations(torch.ones(5), torch.rand(5)) == (None, None)
    assert correlations(torch.ones(1), torch.ones(1)) == (None, None)


def test_correlations_agree_with_scipy(generator) -> None:
    from scipy.stats import pearsonr, spearmanr

    a = torch.randn(500, generator=generator).round(decimals=1)
    b = -(a**3) + torch.randn(500, generator=generator)
    rank, line = correlations(a, b)
    assert rank == pytest.approx(spearmanr(a.numpy(), b.numpy()).statistic)
    assert line == pytest.approx(pearsonr(a.double().numpy(), b.double().numpy()).statistic)
    assert rank < line < 0


def test_laplace_errors_are_covered_as_stated(generator) -> None:
    scale = 0.02 + 0.1 * torch.rand(200_000, generator=generator, dtype=torch.float64)
    draws = -torch.log1p(-torch.rand(len(scale), generator=generator, dtype=torch.float64)) * scale
    levels = (0.5, 0.8, 0.9, 0.95)
    assert laplace_coverage(draws, scale, levels) == pytest.approx(levels, abs=0.005)
    half = laplace_coverage(draws, scale / 2, levels)
    assert half == pytest.approx([1 - math.sqrt(1 - p) for p in levels], abs=0.005)
    assert laplace_coverage(draws[:0], scale[:0]) == (None,) * 4
