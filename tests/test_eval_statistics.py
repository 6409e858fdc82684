"""Figures and comparisons against scipy, against hand counts, and against their own promise."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from eval.results.measure import Comparison, ErrorValue, Figure, Rate
from eval.stats.comparisons import compare_samples, correct_for_many_tests
from eval.stats.intervals import bootstrap_difference95, bootstrap_mean95, newcombe95, newcombe_paired95
from eval.stats.samples import ClipValue
from eval.stats.summaries import summarise_errors, summarise_rate, summarise_values


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def alone(values: Sequence[float | None]) -> list[tuple[str, float | None]]:
    return [("", value) for value in values]


def grouped(values: Sequence[float | None]) -> list[tuple[str, float | None]]:
    return [(f"g{i}", value) for i, value in enumerate(values)]


def against(
    model: Sequence[tuple[str, float | None] | ClipValue],
    control: Sequence[tuple[str, float | None] | ClipValue],
    *,
    binary: bool = False,
    higher_is_better: bool = True,
    seed: int = 0,
) -> Comparison:
    return compare_samples(
        [clip if isinstance(clip, ClipValue) else ClipValue(*clip) for clip in model],
        [clip if isinstance(clip, ClipValue) else ClipValue(*clip) for clip in control],
        binary=binary,
        higher_is_better=higher_is_better,
        generator=seeded(seed),
    )


def test_rate_counts_failures_and_leaves_out_what_was_not_asked() -> None:
    found = summarise_rate([1.0, 0.0, 1.0, None, None, 0.6], ["", "", "", "no request", "no request", ""])
    assert found.n == 4
    assert found.rate == pytest.approx(2.6 / 4)
    assert found.undefined == {"no request": 2}
    low, high = found.interval95  # type: ignore[misc]
    assert 0 < low < 0.65 < high < 1
    assert summarise_rate([1.0] * 81 + [0.0] * 182, [""] * 263).interval95 == pytest.approx(
        [0.2553, 0.3662], abs=1e-4
    )


def test_rate_and_figure_of_nothing() -> None:
    assert summarise_rate([], []) == Rate()
    nothing = summarise_values([None], ["static"], generator=seeded())
    assert nothing == Figure(undefined={"static": 1})
    one = summarise_values([2.0, None], ["", "static"], generator=seeded())
    assert (one.mean, one.median, one.interval95, one.n) == (2, 2, None, 1)
    with pytest.raises(ValueError, match="zip"):
        summarise_rate([1.0, 0.0], [""])


def test_figure_of_a_skewed_sample() -> None:
    found = summarise_values([1.0, 2.0, 3.0, 10.0], [""] * 4, generator=seeded())
    assert (found.mean, found.median) == (4, 2.5)
    low, high = found.interval95  # type: ignore[misc]
    assert 1 <= low < 4 < high <= 10


def test_failures_count_as_worst_and_requests_that_define_no_error_do_not() -> None:
    errors = [
        ErrorValue(value=2.0, worst=180.0, undefined_because=""),
        ErrorValue(value=4.0, worst=180.0, undefined_because=""),
        ErrorValue(value=None, worst=180.0, undefined_because="poses not recovered"),
        ErrorValue(value=None, worst=None, undefined_because="no requested cameras"),
    ]
    found = summarise_errors(errors, worst_in_words="180°", generator=seeded())
    assert (found.survivors.mean, found.survivors.n) == (3, 2)
    assert found.survivors.undefined == {"poses not recovered": 1, "no requested cameras": 1}
    assert (found.failures_as_worst.mean, found.failures_as_worst.n) == (62, 3)
    assert found.failures_as_worst.undefined == {"no requested cameras": 1}
    assert found.worst == "180°"


def test_paired_permutation_is_the_count_over_all_flips_of_signs() -> None:
    a, b = [3.0, 5.0, 4.0, 7.0, 6.0, 2.0], [1.0, 2.0, 4.5, 3.0, 4.0, 2.0]
    found = against(grouped(a), grouped(b))
    d = [x - y for x, y in zip(a, b, strict=True)]
    sums = [
        abs(sum(s * x for s, x in zip(signs, d, strict=True)))
        for signs in itertools.product((1, -1), repeat=6)
    ]
    assert found.p_value == pytest.approx(sum(s >= abs(sum(d)) - 1e-9 for s in sums) / len(sums))
    assert found.test == "paired permutation, exact"
    assert (found.paired, found.n, found.n_control) == (True, 6, 6)
    assert found.difference == pytest.approx(sum(d) / 6)
    assert found.mean == pytest.approx(4.5)
    # ranks of 2, 3, ½, 4, 2 without the zero: 2½ 4 1 5 2½, of which only ½ is negative
    assert found.effect_size == pytest.approx((2.5 + 4 - 1 + 5 + 2.5) / 15)
    assert found.effect_size_name == "matched-pairs rank-biserial"


def test_unpaired_permutation_is_that_over_all_splits_and_delta_that_of_all_pairs() -> None:
    a, b = [1.0, 4.0, 5.0, 9.0], [0.5, 4.0, 1.5, 2.0, 3.0]
    found = against(alone(a), alone(b))
    pooled, gap = a + b, abs(sum(a) / 4 - sum(b) / 5)
    splits = [set(c) for c in itertools.combinations(range(9), 4)]
    gaps = [
        abs(sum(pooled[i] for i in c) / 4 - sum(x for i, x in enumerate(pooled) if i not in c) / 5)
        for c in splits
    ]
    one_sided = sum(
        sum(pooled[i] for i in c) / 4 - sum(x for i, x in enumerate(pooled) if i not in c) / 5 >= gap - 1e-9
        for c in splits
    )
    assert found.p_value == pytest.approx(min(1, 2 * one_sided / len(splits)))
    assert found.p_value == pytest.approx(sum(g >= gap - 1e-9 for g in gaps) / len(gaps), abs=0.1)
    assert found.test == "unpaired permutation, exact"
    assert found.effect_size == pytest.approx(sum((x > y) - (x < y) for x in a for y in b) / 20)
    assert found.effect_size_name == "Cliff's delta"


def test_sampled_permutations_agree_with_the_t_test(generator: torch.Generator) -> None:
    stats = pytest.importorskip("scipy.stats")
    a = (0.5 + torch.randn(60, generator=generator)).tolist()
    b = torch.randn(60, generator=generator).tolist()
    paired, unpaired = against(grouped(a), grouped(b)), against(alone(a), alone(b))
    assert paired.test == "paired permutation, sampled"
    assert unpaired.test == "unpaired permutation, sampled"
    assert paired.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue, abs=0.01)
    assert unpaired.p_value == pytest.approx(stats.ttest_ind(a, b).pvalue, abs=0.01)
    assert paired.interval95 == pytest.approx(list(stats.ttest_rel(a, b).confidence_interval()), abs=0.08)
    assert unpaired.interval95 == pytest.approx(list(stats.ttest_ind(a, b).confidence_interval()), abs=0.08)


def test_rates_that_are_not_paired() -> None:
    stats = pytest.importorskip("scipy.stats")
    found = against(alone([1.0] * 56 + [0.0] * 14), alone([1.0] * 48 + [0.0] * 32), binary=True)
    assert found.test == "Fisher, exact"
    assert found.p_value == pytest.approx(stats.fisher_exact([[56, 14], [48, 32]]).pvalue)
    assert found.interval95 == pytest.approx([0.0524, 0.3339], abs=1e-4)  # Newcombe 1998, table II (a)
    assert found.difference == pytest.approx(0.2)
    assert found.effect_size == pytest.approx(2 * math.asin(0.8**0.5) - 2 * math.asin(0.6**0.5))
    assert found.better == "model"


def test_rates_over_the_same_groups() -> None:
    stats = pytest.importorskip("scipy.stats")
    pairs = [(1.0, 1.0)] * 36 + [(1.0, 0.0)] * 12 + [(0.0, 1.0)] * 2
    found = against(grouped([a for a, _ in pairs]), grouped([b for _, b in pairs]), binary=True)
    assert found.test == "McNemar, exact"
    assert found.p_value == pytest.approx(stats.binomtest(2, 14).pvalue)
    assert found.interval95 == pytest.approx([0.0569, 0.3404], abs=1e-4)  # Newcombe 1998, paired, method 10
    assert found.difference == pytest.approx(0.2)
    assert found.better == "model"
    same = against(grouped([1.0, 0.0, 1.0]), grouped([1.0, 0.0, 1.0]), binary=True)
    assert (same.p_value, same.difference, same.effect_size) == (1, 0, 0)
    assert same.better == "undecided"


def test_shares_between_zero_and_one_are_compared_as_numbers() -> None:
    found = against(grouped([1.0, 0.6, 0.0]), grouped([1.0, 1.0, 1.0]), binary=True)
    assert found.test == "paired permutation, exact"
    assert found.difference == pytest.approx(-1.4 / 3)


def test_clips_of_a_group_are_averaged_and_groups_without_partner_left_out() -> None:
    model = [("a", 1.0), ("a", 3.0), ("b", 5.0), ("c", 7.0), ("d", None)]
    control = [("b", 4.0), ("a", 1.0), ("", 100.0), ("d", 100.0)]
    found = against(model, control)
    assert found.paired
    assert (found.n, found.n_control) == (2, 2)
    assert (found.mean, found.mean_control, found.difference) == (3.5, 2.5, 1)
    assert found.test.endswith("(1 clips of the model and 2 of the control without a partner left out)")


def test_a_comparison_says_which_clips_it_rests_on() -> None:
    """Two clips of the control have no partner: their rate is another one than the table's 60%."""
    model = [ClipValue(group, 1.0, f"m{group}{i}") for group in "abc" for i in range(2)]
    control = [
        *(ClipValue(group, 1.0, f"r{group}") for group in "abc"),
        ClipValue("x", 0.0, "rx"),
        ClipValue("", 0.0, "r"),
        ClipValue("y", None, "ry"),
    ]
    found = against(model, control, binary=True)
    assert (found.paired, found.unit, found.n, found.clips) == (True, "groups", 3, 6)
    assert (found.n_control, found.clips_control) == (3, 3)
    assert (found.mean_control, found.mean_of_clips_control) == (1.0, 0.6)
    assert (found.left_out, found.left_out_control) == (0, 2)
    assert found.left_out_names_control == ["rx", "r"]
    assert found.why_unpaired == ""


def test_a_comparison_says_that_groups_were_averaged_and_why_nothing_pairs() -> None:
    """As of CameraCtrl: 4 of 5 clips, but 3 of 4 groups, and most of the control's clips have no partner."""
    model = [
        ClipValue("a", 1.0),
        ClipValue("a", 1.0),
        ClipValue("b", 1.0),
        ClipValue("c", 1.0),
        ClipValue("d", 0.0),
    ]
    control = [ClipValue(group, 1.0) for group in "abcdefghij"]
    found = against(model, control, binary=True)
    assert (found.mean, found.mean_of_clips) == (0.75, 0.8)
    assert (found.n, found.unit, found.clips) == (4, "groups", 5)
    assert (found.n_control, found.unit_control, found.clips_control) == (10, "clips", 10)
    assert found.why_unpaired == "6 of 10 clips of the control are in no group of the model"
    assert against(alone([1.0, 2.0]), alone([1.0, 2.0])).why_unpaired == ""
    assert against(alone([1.0, 2.0]), [("a", 1.0), ("b", 2.0)]).why_unpaired == "no group is on both sides"
    mixed = against([("a", 1.0), ("a", 2.0), ("", 3.0)], alone([1.0, 2.0]))
    assert (mixed.unit, mixed.n, mixed.clips) == ("groups and single clips", 2, 3)


def test_undecided_beside_an_interval_without_zero_says_why() -> None:
    few = against(grouped([2.0, 3.1, 2.5]), grouped([1.0, 2.0, 1.1]))
    assert few.interval95[0] > 0  # type: ignore[index]
    assert (few.better, few.p_value, few.p_smallest) == ("undecided", 0.25, 0.25)
    assert "the test cannot give less than p = 0.25" in few.why_undecided
    assert few.interval_note == "too narrow: bootstrapped from 3 values"
    assert few.interval_note in few.why_undecided
    near = against(alone([0.0, 0.2, 0.4, 1.2]), alone([1.0, 1.1, 1.2, 1.3]))
    assert near.interval95[1] < 0  # type: ignore[index]
    assert near.p_value > 0.05 > near.p_smallest  # type: ignore[operator]
    assert near.why_undecided == (
        "the test does not reject; that the interval leaves zero out says little, for it is too narrow: "
        "bootstrapped from 4 and 4 values"
    )
    rates = against(grouped([0.0] * 4 + [1.0]), grouped([1.0] * 5), binary=True)
    assert rates.interval95[1] < 0  # type: ignore[index]
    assert rates.interval_note == ""
    assert rates.p_smallest == 2 / 2**5
    assert "cannot give less than p = 0.062" in rates.why_undecided
    assert against(alone([0.0, 1.0]), alone([0.0, 1.0])).why_undecided != ""
    assert against(alone([0.0] * 9), alone([1.0] * 9), binary=True).why_undecided == ""


def test_undecided_by_the_correction_says_so() -> None:
    """4 against 10: p = 2/1001 is the smallest there is, and 46 comparisons make 0.09 of it."""
    far = against(alone([0.02, 0.03, 0.01, 0.0]), alone([0.7 + 0.01 * i for i in range(10)]))
    assert (far.better, far.why_undecided, far.tests) == ("control", "", 1)
    assert far.p_value == far.p_smallest == pytest.approx(2 / 1001)
    found = correct_for_many_tests({str(i): far for i in range(46)})["0"]
    assert (found.better, found.tests) == ("undecided", 46)
    assert found.why_undecided == (
        "alone it would count, but not as one of 46 comparisons (Holm's correction); with so few the test cannot "
        "give less than p = 0.002, and that is not enough"
    )


@pytest.mark.parametrize("n", [4, 10, 20])
def test_bootstrap_intervals_are_marked_where_they_promise_too_much(
    n: int, generator: torch.Generator
) -> None:
    """Marked below ten, where they hold the mean of normal values in less than nine of ten cases."""
    trials = 1000
    x = torch.randn(trials, n, generator=generator, dtype=torch.float64)
    held = 0
    for values in x.tolist():
        low, high = bootstrap_mean95(values, generator=generator, resamples=400)  # type: ignore[misc]
        held += low <= 0 <= high
    assert (held / trials < 0.87) == (n < 10)
    note = summarise_values(x[0].tolist(), [""] * n, generator=generator).interval_note
    assert (note != "") == (n < 10)


def test_pairing_is_given_up_where_it_would_leave_out_most_clips() -> None:
    shared = [("a", 1.0), ("b", 2.0)]
    assert not against(shared + alone([5.0, 6.0, 7.0]), shared).paired
    assert against(shared + alone([5.0, 6.0]), shared).paired
    assert not against(shared, shared + alone([5.0, 6.0, 7.0])).paired
    assert not against([("a", 1.0), ("a", 2.0)], [("a", 1.0), ("a", 3.0)]).paired


def test_which_is_better_needs_an_interval_without_zero_and_a_test() -> None:
    low, high = [1.0, 1.1, 1.2, 0.9, 1.0, 1.05], [2.0, 2.2, 2.1, 1.9, 2.4, 2.0]
    assert against(alone(low), alone(high), higher_is_better=False).better == "model"
    assert against(alone(low), alone(high), higher_is_better=True).better == "control"
    assert against(grouped(high), grouped(low), higher_is_better=False).better == "control"
    assert against(alone(low), alone(low[::-1])).better == "undecided"
    two = against(grouped([2.0, 3.0]), grouped([1.0, 2.0]))
    assert two.interval95 == (1, 1)  # without zero, and worth nothing: two pairs reach p = ½ at best
    assert (two.p_value, two.better) == (0.5, "undecided")


@pytest.mark.parametrize("binary", [False, True])
def test_all_equal(binary: bool) -> None:
    for arrange in (alone, grouped):
        found = against(arrange([1.0] * 4), arrange([1.0] * 4), binary=binary)
        assert (found.difference, found.p_value, found.effect_size) == (0, 1, 0)
        assert found.better == "undecided"
        assert found.undefined_because == ""


@pytest.mark.parametrize("binary", [False, True])
def test_one_pair_that_differs_decides_nothing(binary: bool) -> None:
    for ours, theirs in (([1.0, 0.0], [1.0, 1.0]), ([0.0, 0.0, 1.0], [0.0, 1.0, 1.0])):
        found = against(grouped(list(ours)), grouped(list(theirs)), binary=binary)
        assert found.paired
        assert found.difference == pytest.approx(-1 / len(ours))
        assert (found.p_value, found.better) == (1, "undecided")
    numbers = against([("a", 1.0), ("b", 2.0)], [("a", 1.0), ("b", 3.0)])
    assert (numbers.p_value, numbers.effect_size) == (1, -1)
    assert numbers.test == "paired permutation, exact"


def test_clips_of_a_group_are_one_sample_where_nothing_pairs() -> None:
    """Three scenes of four clips, one clip without a scene: four samples, not thirteen."""
    model = [(f"m{i}", 10.0 * i + 0.1 * k) for i in range(3) for k in range(4)] + [("", 7.0)]
    control = [(f"r{i}", 10.0 * i + 0.2) for i in range(3)]
    found = against(model, control)
    once = against(alone([0.15, 10.15, 20.15, 7.0]), alone([0.2, 10.2, 20.2]))
    assert (found.n, found.n_control, found.paired) == (4, 3, False)
    assert found.test == "unpaired permutation, exact (groups averaged)"
    assert once.test == "unpaired permutation, exact"
    for key in ("mean", "mean_control", "difference", "interval95", "p_value", "effect_size"):
        assert getattr(found, key) == pytest.approx(getattr(once, key))
    one = against([("m", 1.0), ("m", 2.0)], [("a", 1.0), ("b", 2.0)])
    assert (one.n, one.p_value) == (1, None)
    assert one.undefined_because == "fewer than two groups of the model have a value"
    rates = against([("m", 1.0), ("m", 0.0), ("n", 1.0)], alone([1.0, 0.0]), binary=True)
    assert rates.test == "unpaired permutation, exact (groups averaged)"  # a half is no zero or one


def test_many_clips_of_few_scenes_seldom_differ_by_chance(generator: torch.Generator) -> None:
    """6 scenes a side, 5 clips each, of which the scene says most, and no difference: taken as 30 clips a
    side, more than half of the simulations are 'decided'."""
    decided, trials = 0, 60
    for _ in range(trials):
        scenes = torch.randn(2, 6, 1, generator=generator, dtype=torch.float64)
        values = scenes + 0.3 * torch.randn(2, 6, 5, generator=generator, dtype=torch.float64)
        model, control = (
            [(f"{side}{i}", value) for i, scene in enumerate(values[j].tolist()) for value in scene]
            for j, side in enumerate("mr")
        )
        decided += against(model, control).better != "undecided"
    assert decided / trials <= 0.15


@pytest.mark.parametrize("binary", [False, True])
def test_too_few_clips_are_undefined(binary: bool) -> None:
    for model, control, side in (
        ([], [1.0, 0.0], "model"),
        ([1.0, None], [1.0, 0.0], "model"),
        ([1.0, 0.0], [None, 1.0], "control"),
    ):
        found = against(grouped(list(model)), grouped(list(control)), binary=binary)
        assert found.undefined_because == f"fewer than two clips of the {side} have a value"
        assert found.p_value is None
        assert found.interval95 is None
        assert found.better == "undecided"
    assert against([], []).mean is None


def test_same_seed_same_result(generator: torch.Generator) -> None:
    a = torch.randn(30, generator=generator).tolist()
    b = torch.randn(30, generator=generator).tolist()
    for arrange in (alone, grouped):
        assert against(arrange(a), arrange(b), seed=3) == against(arrange(a), arrange(b), seed=3)
        assert against(arrange(a), arrange(b), seed=3) != against(arrange(a), arrange(b), seed=4)
    assert summarise_values(a, [""] * 30, generator=seeded(1)) == summarise_values(
        a, [""] * 30, generator=seeded(1)
    )


def test_intervals_hold_the_truth_about_as_often_as_they_say(generator: torch.Generator) -> None:
    trials, numbers, rates, pairs = 300, 0, 0, 0
    for _ in range(trials):
        x, y = torch.rand(2, 20, generator=generator, dtype=torch.float64)
        interval = bootstrap_difference95(
            (x + 1).tolist(), y.square().tolist(), generator=generator, resamples=500
        )
        assert interval is not None
        numbers += interval[0] <= 1.5 - 1 / 3 <= interval[1]
        a, b = x < 0.7, y < 0.4
        interval = newcombe95(int(a.sum()), 20, int(b.sum()), 20)
        assert interval is not None
        rates += interval[0] <= 0.3 <= interval[1]
        b = x < 0.4  # a pair shares its luck
        interval = newcombe_paired95(
            int((a & b).sum()), int((a & ~b).sum()), int((b & ~a).sum()), int((~a & ~b).sum())
        )
        assert interval is not None
        pairs += interval[0] <= 0.3 <= interval[1]
    assert 0.9 <= numbers / trials <= 0.98
    assert 0.92 <= rates / trials <= 0.995
    assert 0.92 <= pairs / trials <= 1


def test_intervals_of_nothing() -> None:
    assert bootstrap_difference95([1.0], [1.0, 2.0], generator=seeded()) is None
    assert newcombe95(0, 0, 1, 2) is None
    assert newcombe_paired95(0, 0, 0, 0) is None
    # of independent pairs, that of independent samples
    assert newcombe_paired95(4, 4, 4, 4) == pytest.approx(newcombe95(8, 16, 8, 16))


def test_many_tests_are_corrected_together() -> None:
    """The example that statisticians check by hand: 0.005, 0.01, 0.03, 0.04 become 0.02, 0.03, 0.06, 0.06."""
    far = against(alone([1.0 + 0.01 * i for i in range(30)]), alone([0.01 * i for i in range(30)]))
    assert far.better == "model"
    given = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005, "undefined": None}
    family = {name: replace(far, p_value=p, p_holm=p) for name, p in given.items()}
    found = correct_for_many_tests(family)
    holm = {name: c.p_holm for name, c in found.items()}
    assert holm["undefined"] is None
    assert [holm[name] for name in "dacb"] == pytest.approx([0.02, 0.03, 0.06, 0.06])
    assert {name: c.better for name, c in found.items()} == {
        "a": "model", "b": "undecided", "c": "undecided", "d": "model", "undefined": "undecided",
    }  # fmt: skip
    assert correct_for_many_tests({"one": far})["one"] == far


def test_correction_is_monotone_and_at_most_one() -> None:
    found = against(alone([0.0, 1.0]), alone([0.5, 0.6]))
    many = correct_for_many_tests({str(i): replace(found, p_value=0.5 + 0.1 * i) for i in range(4)})
    assert [c.p_holm for c in many.values()] == [1, 1, 1, 1]
