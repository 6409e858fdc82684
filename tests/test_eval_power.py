"""Power and sample sizes against published values, against sums over all outcomes, and against the tests themselves."""

import math
from collections.abc import Sequence

import pytest
import torch
from scipy.stats import binom, binomtest, fisher_exact, norm

from eval.results.measure import Comparison
from eval.stats.comparisons import compare_samples, correct_for_many_tests
from eval.stats.difference_tests import fisher, mcnemar, paired_permutation
from eval.stats.power import fisher_power, mcnemar_power, normal_power, t_power
from eval.stats.sample_sizes import (
    clips_for_half_width,
    clips_for_rates,
    discordant_shares,
    pairs_for_rates,
    wilson_half_width,
)
from eval.stats.samples import ClipValue


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def drawn(n: int, rate: float, generator: torch.Generator) -> list[float]:
    return (torch.rand(n, generator=generator) < rate).double().tolist()


def compare(a: Sequence[float], b: Sequence[float], *, pairs: bool, binary: bool) -> Comparison:
    groups = [f"g{i}" if pairs else "" for i in range(max(len(a), len(b)))]
    return compare_samples(
        [ClipValue(groups[i], v) for i, v in enumerate(a)],
        [ClipValue(groups[i], v) for i, v in enumerate(b)],
        binary=binary,
        higher_is_better=True,
        generator=seeded(),
    )


def fleiss(a: float, b: float) -> tuple[float, float]:
    """Clips a side without and with continuity correction (Fleiss, Statistical Methods for Rates and Proportions, 1981,
    3.14 and 3.15)."""
    middle = (a + b) / 2
    root = float(norm.isf(0.025)) * math.sqrt(2 * middle * (1 - middle))
    plain = (root + float(norm.isf(0.2)) * math.sqrt(a * (1 - a) + b * (1 - b))) ** 2 / (a - b) ** 2
    return plain, plain / 4 * (1 + math.sqrt(1 + 4 / (plain * abs(a - b)))) ** 2


def test_fishers_power_is_the_sum_over_all_outcomes() -> None:
    n, m, a, b = 9, 6, 0.9, 0.3
    expected = sum(
        binom.pmf(i, n, a) * binom.pmf(j, m, b)
        for i in range(n + 1)
        for j in range(m + 1)
        if fisher_exact([[i, n - i], [j, m - j]]).pvalue < 0.05  # type: ignore[attr-defined]
    )
    assert fisher_power(n, m, a, b, 0.05) == pytest.approx(expected, abs=1e-12)
    assert fisher_power(n, m, 0.5, 0.5, 0.05) < 0.05, "an exact test keeps its level"


def test_mcnemars_power_is_the_sum_over_all_outcomes() -> None:
    n, only_a, only_b = 14, 0.5, 0.1
    expected = sum(
        binom.pmf(k, n, only_a + only_b) * binom.pmf(i, k, only_a / (only_a + only_b))
        for k in range(1, n + 1)
        for i in range(k + 1)
        if binomtest(i, k).pvalue < 0.05
    )
    assert mcnemar_power(n, only_a, only_b, 0.05) == pytest.approx(expected, abs=1e-9)
    assert mcnemar_power(n, 0.0, 0.0, 0.05) == 0
    assert mcnemar_power(5, 1.0, 0.0, 0.05) == 0, "five pairs give no less than 2/32"
    assert mcnemar_power(6, 1.0, 0.0, 0.05) == pytest.approx(1)


@pytest.mark.parametrize(
    ("a", "b", "plain", "corrected"),
    [(0.5, 0.6, 388, 408), (0.6, 0.8, 82, 91), (0.1, 0.2, 199, 219), (0.5, 0.55, 1565, 1605)],
)
def test_clips_for_two_rates_agree_with_published_sizes(
    a: float, b: float, plain: int, corrected: int
) -> None:
    """The formula gives the published numbers; the exact test needs more than the plain one, and nearly the corrected one."""
    assert [math.ceil(round(size, 6)) for size in fleiss(a, b)] == [plain, corrected]
    n = clips_for_rates(a, b, 0.05)
    assert plain < n <= corrected
    assert n == pytest.approx(corrected, rel=0.035)
    assert fisher_power(n, n, a, b, 0.05) >= 0.8


def test_normal_formula_continues_the_exact_sum() -> None:
    for a, b in ((0.5, 0.56), (0.9, 0.94), (0.3, 0.25)):
        assert normal_power(998, 998, a, b, 0.05) == pytest.approx(
            fisher_power(998, 998, a, b, 0.05), abs=0.01
        )
    assert fisher_power(1000, 1000, 0.5, 0.56, 0.05) == normal_power(1000, 1000, 0.5, 0.56, 0.05)


def test_t_power_has_cohens_sizes() -> None:
    """64 a side, or 34 pairs, for half a standard deviation (Cohen 1988, table 2.4.1; G*Power 3)."""
    assert t_power(0.5 * math.sqrt(63 / 2), 124, 0.05) < 0.8 < t_power(0.5 * math.sqrt(64 / 2), 126, 0.05)
    assert t_power(0.5 * math.sqrt(33), 32, 0.05) < 0.8 < t_power(0.5 * math.sqrt(34), 33, 0.05)


def test_half_width_of_a_rate() -> None:
    n = clips_for_half_width(0.5, 0.1)
    assert n == 93, "z²/(4·0.1²) − z² of Wilson's interval at a half: 96.04 − 3.84"
    assert wilson_half_width(0.5, n) <= 0.1 < wilson_half_width(0.5, n - 1)
    assert clips_for_half_width(0.9, 0.1) < n


def test_pairs_that_are_alike_need_fewer() -> None:
    apart, alike = discordant_shares(0.6, 0.5, 0.0), discordant_shares(0.6, 0.5, 0.5)
    assert apart == pytest.approx((0.3, 0.2))
    assert alike is not None
    assert alike[0] - alike[1] == pytest.approx(0.1)
    assert pairs_for_rates(*alike, 0.05) < 0.6 * pairs_for_rates(*apart, 0.05)  # type: ignore[misc]
    assert discordant_shares(1.0, 0.8, 0.0) == pytest.approx((0.2, 0.0))
    assert discordant_shares(0.9, 0.2, 0.9) is None, "such rates cannot go together so well"


def test_the_chosen_number_of_clips_has_the_power_it_promises() -> None:
    """The very test of the report, on 1500 drawn experiments; three standard errors are 0.031."""
    generator, times = seeded(1), 1500
    n = clips_for_rates(0.8, 0.5, 0.05)
    found = sum(
        fisher(drawn(n, 0.8, generator), drawn(n, 0.5, generator), generator).p_value < 0.05
        for _ in range(times)
    )
    assert found / times == pytest.approx(0.8, abs=0.031)


def test_the_chosen_number_of_pairs_has_the_power_it_promises() -> None:
    generator, times = seeded(2), 1500
    shares = discordant_shares(0.8, 0.6, 0.4)
    assert shares is not None
    n, (only_a, only_b) = pairs_for_rates(*shares, 0.05), shares
    found = 0
    for _ in range(times):
        place = torch.rand(n, generator=generator)
        a, b = place < 0.8, (place >= only_a) & (place < 0.8)
        b |= (place >= 0.8) & (place < 0.8 + only_b)
        found += mcnemar(a.double().tolist(), b.double().tolist(), generator).p_value < 0.05
    assert found / times == pytest.approx(0.8, abs=0.031)


def test_a_report_says_what_difference_of_rates_it_could_have_found() -> None:
    c = compare([1.0] * 30 + [0.0] * 20, [1.0] * 40 + [0.0] * 10, pairs=False, binary=True)
    assert c.detectable is not None
    assert fisher_power(50, 50, 0.8 - c.detectable, 0.8, 0.05) == pytest.approx(0.8, abs=0.001)
    low = compare([0.0] * 50, [1.0] * 10 + [0.0] * 40, pairs=False, binary=True)
    assert low.detectable == pytest.approx(c.detectable, abs=1e-6), "upwards from 20% as downwards from 80%"
    few = compare([1.0, 0.0, 1.0], [1.0, 1.0, 0.0], pairs=False, binary=True)
    assert (few.p_smallest, few.detectable) == (pytest.approx(0.1), None)


def test_pairs_say_what_difference_they_could_have_found() -> None:
    """Only the model 4, only the control 12, of 60 pairs."""
    a, b = [1.0] * 24 + [0.0] * 36, [1.0] * 20 + [0.0] * 4 + [1.0] * 12 + [0.0] * 24
    c = compare(a, b, pairs=True, binary=True)
    assert c.paired
    assert c.correlation is not None
    assert c.correlation == pytest.approx((20 * 24 - 4 * 12) / math.sqrt(24 * 36 * 32 * 28))
    assert c.detectable is not None
    shares = discordant_shares(32 / 60 - c.detectable, 32 / 60, c.correlation)
    assert shares is not None
    assert mcnemar_power(60, *shares, 0.05) == pytest.approx(0.8, abs=0.001)
    single = compare(a, b, pairs=False, binary=True)
    assert single.detectable is not None
    assert c.detectable < single.detectable


def test_the_detectable_difference_of_means_is_found_four_times_in_five() -> None:
    """Twelve pairs that spread by 1; 250 experiments, three standard errors are 0.076."""
    generator = seeded(3)
    noise = torch.randn(12, dtype=torch.float64, generator=generator)
    noise = (noise - noise.mean()) / noise.std()
    c = compare(noise.tolist(), [0.0] * 12, pairs=True, binary=False)
    assert (c.spread, c.correlation) == (pytest.approx(1), None)
    assert c.detectable is not None
    found = 0
    for _ in range(250):
        x = torch.randn(12, dtype=torch.float64, generator=generator) + c.detectable
        found += paired_permutation(x.tolist(), [0.0] * 12, generator).p_value < 0.05
    assert found / 250 == pytest.approx(0.8, abs=0.076)


def test_many_comparisons_see_less() -> None:
    one = compare([1.0] * 30 + [0.0] * 20, [1.0] * 40 + [0.0] * 10, pairs=False, binary=True)
    assert one.detectable == one.detectable_corrected
    four = correct_for_many_tests({str(i): one for i in range(4)})["0"]
    assert four.detectable == one.detectable
    assert four.detectable_corrected is not None
    assert fisher_power(50, 50, 0.8 - four.detectable_corrected, 0.8, 0.05 / 4) == pytest.approx(
        0.8, abs=0.001
    )


def test_values_that_do_not_spread_promise_nothing() -> None:
    same = compare([2.0] * 8, [2.0] * 9, pairs=False, binary=False)
    assert (same.spread, same.detectable) == (0, None)
    assert compare([2.0], [1.0, 2.0], pairs=False, binary=False).detectable is None
