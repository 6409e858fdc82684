"""Compare one metric of a model with the control: samples, difference, interval and test."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from eval.results.measure import Comparison
from eval.stats.detectable import correlation, detectable_difference, paired_spread, pooled_spread
from eval.stats.difference_tests import choose_test
from eval.stats.samples import MAX_NAMES, ClipValue, Samples, choose_samples, mean
from eval.stats.undecided import LEVEL, explain_undecided, rejects


def compare_samples(
    model: Sequence[ClipValue],
    control: Sequence[ClipValue],
    *,
    binary: bool,
    higher_is_better: bool,
    generator: torch.Generator,
) -> Comparison:
    """Compare one metric of a model with the control, on the samples of `choose_samples`.

    `n` and `n_control` count samples: pairs, or groups and clips without one. `mean` is over samples; where it differs
    from `mean_of_clips`, which a table of all clips has, groups were averaged or clips left out.

    `binary` asks for tests of zeros and ones: McNemar's exact test (paired) or Fisher's (not paired),
    Newcombe's interval of the difference of rates, Cohen's h. Where a value lies between, an average of
    trials or of a group for instance, it is compared as a number: a permutation test of the difference of
    means (flips of signs where paired; exact where that is feasible, else drawn), its bootstrap
    interval, and the matched-pairs rank-biserial correlation (Kerby 2014) or Cliff's delta, both in [−1, 1]
    and positive where the model's values are larger. Tests are two-sided. Interval and test rest on the same samples.

    Neither is better where the interval holds zero, nor where the test does not reject at 5%: a bootstrap
    interval of a handful of clips is too narrow to be believed alone. `correct_for_many_tests` judges several tests together.
    """
    samples = choose_samples(model, control)
    for side, whose in ((samples.model, "model"), (samples.control, "control")):
        if len(side.values) < 2:
            what = "groups" if len(side.values) < side.clips else "clips"
            because = f"fewer than two {what} of the {whose} have a value"
            return replace(_describe_samples(samples), undefined_because=because)
    tested = _test_samples(samples, binary=binary, higher_is_better=higher_is_better, generator=generator)
    return _explain_undecided(_add_detectable(tested))


def _test_samples(
    samples: Samples, *, binary: bool, higher_is_better: bool, generator: torch.Generator
) -> Comparison:
    """Test the difference of samples of at least two values each."""
    a, b = samples.model, samples.control
    zeros_and_ones = binary and {*a.values, *b.values} <= {0.0, 1.0}
    found = choose_test(zeros_and_ones=zeros_and_ones, paired=samples.paired)(a.values, b.values, generator)
    low, high = found.interval
    better = "undecided"
    if rejects(found.p_value) and not low <= 0 <= high:
        better = "model" if (low > 0) == higher_is_better else "control"
    return replace(
        _describe_samples(samples),
        test=found.test + _describe_pairing(samples),
        paired=samples.paired,
        difference=mean(a.values) - mean(b.values),
        interval95=found.interval,
        interval_note=found.interval_note,
        effect_size=found.effect_size,
        effect_size_name=found.effect_size_name,
        p_value=found.p_value,
        p_holm=found.p_value,
        p_smallest=found.p_smallest,
        tests=1,
        spread=(paired_spread if samples.paired else pooled_spread)(a.values, b.values),
        correlation=correlation(a.values, b.values) if samples.paired else None,
        better=better,
    )


def correct_for_many_tests(comparisons: Mapping[str, Comparison]) -> dict[str, Comparison]:
    """Correct the p values of one family of tests (Holm, A simple sequentially rejective procedure, 1979).

    The smallest of m p values is multiplied by m, the next by m − 1 and so on, none becoming smaller than the one before:
    the chance that any of them is below 5% without a difference is at most 5%. A comparison that no longer rejects becomes undecided.
    """
    tested = {name: c.p_value for name, c in comparisons.items() if c.p_value is not None}
    holm: dict[str, float] = {}
    largest = 0.0
    for rank, name in enumerate(sorted(tested, key=lambda name: tested[name])):
        largest = max(largest, min(1.0, (len(tested) - rank) * tested[name]))
        holm[name] = largest
    return {
        name: _explain_undecided(
            _add_detectable(
                replace(
                    c,
                    p_holm=holm.get(name),
                    tests=len(tested) if name in tested else 0,
                    better=c.better if rejects(holm.get(name)) else "undecided",
                )
            )
        )
        for name, c in comparisons.items()
    }


def _add_detectable(c: Comparison) -> Comparison:
    """With the differences that the test would have found; as it is where nothing was tested."""
    if c.p_value is None:
        return c
    return replace(
        c,
        detectable=detectable_difference(c, LEVEL),
        detectable_corrected=detectable_difference(c, LEVEL / max(1, c.tests)),
    )


def _explain_undecided(c: Comparison) -> Comparison:
    return replace(c, why_undecided=explain_undecided(c))


def _describe_pairing(samples: Samples) -> str:
    """What was done to the clips before the test, in parentheses; '' for nothing."""
    ours, theirs = len(samples.model.left_out), len(samples.control.left_out)
    if samples.paired:
        words = f" ({ours} clips of the model and {theirs} of the control without a partner left out)"
        return words if ours or theirs else ""
    averaged = any(side.unit != "clips" for side in (samples.model, samples.control))
    return " (groups averaged)" if averaged else ""


def _describe_samples(samples: Samples) -> Comparison:
    """A comparison without a test: counts and means of the samples."""
    a, b = samples.model, samples.control
    return Comparison(
        test="none",
        why_unpaired=samples.why_unpaired,
        n=len(a.values),
        n_control=len(b.values),
        unit=a.unit,
        unit_control=b.unit,
        clips=a.clips,
        clips_control=b.clips,
        mean=mean(a.values) if a.values else None,
        mean_control=mean(b.values) if b.values else None,
        mean_of_clips=a.mean_of_clips,
        mean_of_clips_control=b.mean_of_clips,
        left_out=len(a.left_out),
        left_out_control=len(b.left_out),
        left_out_names=a.left_out[:MAX_NAMES],
        left_out_names_control=b.left_out[:MAX_NAMES],
    )
