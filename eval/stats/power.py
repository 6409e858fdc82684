"""Power of the tests that a report makes: the chance that a true difference of some size is found.

Exact, by sums over all outcomes, where that takes a fraction of a second; else by normal formulas, which tests hold against
the sums.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Bool
from scipy.stats import binom, nct, norm, t

POWER = 0.8
"""Chance to find a difference that is called detectable; the custom (Cohen 1988). At 90% a third more clips are needed."""
MAX_EXACT = 1_000_000
"""Most outcomes (n + 1)(m + 1) of two rates that are enumerated, 0.2 s; time grows in proportion. Beyond, the power of the normal
formula is within 1% of theirs for sides of like size."""
_UNLIKELY = 1e-13
"""Chance of numbers of discordant pairs that are left out of a sum, at either end."""
_TIE = 1 + 1e-7
"""Probabilities that differ by rounding count as equal, as in scipy's Fisher test."""


def fisher_power(n: int, m: int, rate_a: float, rate_b: float, level: float) -> float:
    """Chance that Fisher's exact test of n clips against m rejects at `level`, where these are the true rates."""
    if (n + 1) * (m + 1) > MAX_EXACT:
        return normal_power(n, m, rate_a, rate_b, level)
    a, b = binom.pmf(np.arange(n + 1), n, rate_a), binom.pmf(np.arange(m + 1), m, rate_b)
    return float(a @ _fisher_rejects(n, m, level) @ b)


def normal_power(n: int, m: int, rate_a: float, rate_b: float, level: float) -> float:
    """`fisher_power` by the normal formula with continuity correction (Casagrande, Pike and Smith 1978)."""
    share = 1 / n + 1 / m
    pooled = (n * rate_a + m * rate_b) / (n + m)
    spread = math.sqrt(rate_a * (1 - rate_a) / n + rate_b * (1 - rate_b) / m)
    limit = float(norm.isf(level / 2)) * math.sqrt(pooled * (1 - pooled) * share) + share / 2
    beyond = abs(rate_a - rate_b) - limit
    return float(norm.cdf(beyond / spread)) if spread else float(beyond > 0)


def mcnemar_power(n: int, only_a: float, only_b: float, level: float) -> float:
    """Chance that McNemar's exact test of n pairs rejects at `level`.

    Args:
        only_a: True share of the pairs in which only the model's clip meets the rule.
        only_b: The same of the control.
    """
    discordant = only_a + only_b
    if discordant <= 0:
        return 0.0
    low, high = int(binom.ppf(_UNLIKELY, n, discordant)), int(binom.isf(_UNLIKELY, n, discordant))
    count = np.arange(low, high + 1)
    limit = (
        binom.ppf(level / 2, count, 0.5) - 1
    )  # the largest b with 2 P(B <= b) < level; -1 where there is none
    share = only_a / discordant
    rejects = binom.cdf(limit, count, share) + binom.sf(count - limit - 1, count, share)
    return float(binom.pmf(count, n, discordant) @ rejects)


def t_power(shift: float, df: int, level: float) -> float:
    """Chance that a two-sided t-test rejects at `level`, on the right side, where the true difference is `shift` standard errors.

    It stands for permutation tests of means, whose power is that of the t-test but for few values (Hoeffding 1952).
    """
    return float(nct.sf(t.isf(level / 2, df), df, shift))


@lru_cache(maxsize=16)
def _fisher_rejects(n: int, m: int, level: float) -> Bool[np.ndarray, "successes_n successes_m"]:
    """Outcomes (successes of n, successes of m) that Fisher's exact test rejects: its two-sided p value is below `level`."""
    rejects = np.zeros((n + 1, m + 1), dtype=bool)
    logs = np.array([math.lgamma(k + 1) for k in range(n + m + 1)])
    for total in range(n + m + 1):
        i = np.arange(max(0, total - m), min(n, total) + 1)
        j = total - i
        chance = np.exp(
            logs[n] - logs[i] - logs[n - i] + logs[m] - logs[j] - logs[m - j]
            - (logs[n + m] - logs[total] - logs[n + m - total])
        )  # fmt: skip
        ascending = np.sort(chance)
        upto = np.searchsorted(ascending, chance * _TIE, side="right")
        rejects[i, j] = np.cumsum(ascending)[upto - 1] < level
    return rejects
