"""How many clips a comparison of rates needs, before any is made."""

from dataclasses import dataclass, field

from bridge4d.planning.plan_options import PlanOptions
from eval.report.measure.summary import align_columns
from eval.report.numbers import plain
from eval.stats.power import POWER
from eval.stats.sample_sizes import clips_for_half_width, clips_for_rates, discordant_shares, pairs_for_rates
from eval.stats.undecided import LEVEL
from recon.errors import BridgeError

DIFFERENCES = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
"""Differences in a table where none is asked for: from what hundreds of clips find to what dozens do."""
CORRELATIONS = (0.0, 0.5)
"""Of pairs, where nothing is stated: as unlike as any two clips, and half alike."""


@dataclass(frozen=True)
class PlannedPairs:
    """Pairs that a comparison in pairs needs."""

    pairs: int | None = None
    """None where no pairs have such rates and such a correlation or share."""
    discordant: float | None = None
    """Share of the pairs in which one clip meets the rule and the other does not."""
    correlation: float | None = None
    """Of the two outcomes; None where the share was stated instead."""


@dataclass(frozen=True)
class PlannedDifference:
    """Clips that are needed to find one difference."""

    difference: float
    rate: float
    """The model's, which differs so much from the control's."""
    clips_each: int
    """Of the model, and of the control as many, compared as two independent rates (Fisher's exact test)."""
    pairs: list[PlannedPairs]
    """Compared in pairs (McNemar's exact test)."""
    clips_half_width: int
    """Clips with which one rate alone, the control's, is known to within so much (half of Wilson's 95% interval)."""


@dataclass(frozen=True)
class Plan:
    """Keys are added, never renamed."""

    schema: str = "bridge4d/plan/1"
    base_rate: float = 0.5
    power: float = POWER
    level: float = LEVEL
    """Of each test: 5% over `comparisons`."""
    comparisons: int = 1
    differences: list[PlannedDifference] = field(default_factory=list)


def make_plan(options: PlanOptions) -> Plan:
    """Compute the clips that each difference needs.

    Raises:
        BridgeError: numbers out of range, or differences from the base rate that lead out of 0 to 1.
    """
    options.check()
    base = 0.5 if options.base_rate is None else options.base_rate
    tests = options.comparisons or 1
    room = max(base, 1 - base)
    for d in options.difference:
        if d > room:
            raise BridgeError(
                f"expected --difference of at most {room:g} beside --base-rate {base:g}, got {d:g}"
            )
    differences = options.difference or [d for d in DIFFERENCES if d <= room]
    level = LEVEL / tests
    rows = [_plan_difference(options, base, d, level) for d in differences]
    return Plan(base_rate=base, level=level, comparisons=tests, differences=rows)


def _plan_difference(options: PlanOptions, base: float, difference: float, level: float) -> PlannedDifference:
    rate = round(base - difference if base >= 0.5 else base + difference, 12)
    if options.discordant is not None:
        pairs = [_plan_discordant(rate, base, options.discordant, level)]
        if options.difference and pairs[0].pairs is None:
            raise BridgeError(
                f"expected --discordant of at least the difference and no more than {rate:.0%} and {base:.0%} allow, "
                f"got {options.discordant:g} for a difference of {difference:g}"
            )
    else:
        asked = CORRELATIONS if options.correlation is None else (options.correlation,)
        pairs = [_plan_correlated(rate, base, correlation, level) for correlation in asked]
    return PlannedDifference(
        difference=difference,
        rate=rate,
        clips_each=clips_for_rates(rate, base, level),
        pairs=pairs,
        clips_half_width=clips_for_half_width(base, difference),
    )


def _plan_correlated(rate: float, base: float, correlation: float, level: float) -> PlannedPairs:
    shares = discordant_shares(rate, base, correlation)
    if shares is None:
        return PlannedPairs(correlation=correlation)
    return PlannedPairs(pairs_for_rates(*shares, level), round(sum(shares), 12), correlation)


def _plan_discordant(rate: float, base: float, discordant: float, level: float) -> PlannedPairs:
    only_model, only_control = (discordant + rate - base) / 2, (discordant - rate + base) / 2
    least = min(only_model, only_control, rate - only_model, 1 - rate - only_control)
    if least < -1e-12:  # rounding of sums
        return PlannedPairs(discordant=discordant)
    shares = max(only_model, 0.0), max(only_control, 0.0)
    return PlannedPairs(pairs_for_rates(*shares, level), discordant)


def plan_text(plan: Plan) -> str:
    """A plan as a table for a terminal."""
    first = plan.differences[0].pairs
    heads = [
        f"pairs, correlation {pair.correlation:g}"
        if pair.correlation is not None
        else f"pairs, {pair.discordant:.0%} discordant"
        for pair in first
    ]
    rows = [["difference", "model", "control", "clips of each", *heads, "one rate to ± so much"]]
    for row in plan.differences:
        pairs = ["–" if pair.pairs is None else f"{pair.pairs:,}" for pair in row.pairs]
        rates = [f"{plain(100 * rate, 1).removesuffix('.0')}%" for rate in (row.rate, plan.base_rate)]
        number = plain(100 * row.difference, 1).removesuffix(".0")
        points = f"{number} point{'' if number == '1' else 's'}"
        rows.append([points, *rates, f"{row.clips_each:,}", *pairs, f"{row.clips_half_width:,}"])
    level = f"{100 * plan.level:.2g}%"
    impossible = any(pair.pairs is None for row in plan.differences for pair in row.pairs)
    why = f" (5% over {plan.comparisons} comparisons)" if plan.comparisons > 1 else ""
    return "\n".join(
        [
            f"Clips that are needed to find a difference of rates, at {level}{why} with {plan.power:.0%} power:",
            "",
            *align_columns(rows),
            "",
            "clips of each: independent clips of the model and of the control (Fisher's exact test)",
            "pairs: a clip of each for every group, a scene or a camera path (McNemar's exact test)",
            "one rate to ± so much: clips of one model, for half of Wilson's 95% interval at the control's rate",
            *(["–: no pairs have these rates and this correlation or share"] if impossible else []),
        ]
    )
