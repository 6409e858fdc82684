"""256 values that stand for many: the codebooks of scales and colours in a SOG."""

import numpy as np
from jaxtyping import Float, Float32, Int, UInt8

ENTRIES = 256
"""What a byte can name."""
DENSE_BINS = 1024
"""Bins that follow the values; four an entry, and eight change the errors by less than 1%."""
EVEN_BINS = 256
"""Bins that cut the range evenly, so that no bin is wider than what `WIDEST` allows."""
BIN_POWER = 0.75
"""Width of a bin ∝ density^(power−1): between 2/3, best for the mean square, and 1, where all have one width."""
WIDEST = 1 / 104
"""Largest share of the range that one entry may stand for: without a limit, the few values at the ends err four times as far."""
MOST_BINS = 64
"""Most bins that one entry may stand for. With this limit 256 entries always suffice: of two entries in a row one bound is exceeded, which
can happen (104 + 1280 / 64) times."""
QUANTILES = 4096
"""At which the density is measured."""


def find_codebook(values: Float[np.ndarray, "n"]) -> Float32[np.ndarray, "256"]:
    """Ascending entries, exact where there are at most 256 different values; none of 0 values.

    The sum of squared widths, weighted by how many values each entry stands for, is the least that cuts between bins
    allow, while no entry stands for more than 1/104 of the range.
    """
    ordered = np.sort(values)
    if len(ordered) == 0:
        return np.zeros(ENTRIES, np.float32)
    firsts = np.concatenate([[0], np.flatnonzero(ordered[1:] != ordered[:-1]) + 1])
    if len(firsts) > ENTRIES:
        edges = _bin_edges(ordered)
        # bins can be fewer where values lie next to each other in float32 and others far away
        firsts = edges[_best_cuts(ordered, edges)] if len(edges) - 1 > ENTRIES else edges[:-1]
    return _entries(ordered, firsts)


def nearest_entries(
    codebook: Float32[np.ndarray, "256"], values: Float[np.ndarray, "*n"]
) -> UInt8[np.ndarray, "*n"]:
    """The number of the entry next to each value."""
    entries = codebook.astype(np.float64)  # in float32 the middle of two neighbours is one of them
    return np.searchsorted((entries[1:] + entries[:-1]) / 2, values).astype(np.uint8)


def _bin_edges(ordered: Float[np.ndarray, "n"]) -> Int[np.ndarray, "b"]:
    """Where bins begin in ascending values, and at last their number; no bin is empty."""
    at = np.linspace(0, len(ordered) - 1, min(QUANTILES, len(ordered))).round().astype(np.int64)
    quantiles = ordered[at].astype(np.float64)
    share = np.concatenate([[0], np.cumsum(np.diff(quantiles) ** BIN_POWER)])
    dense = np.interp(np.arange(1, DENSE_BINS) / DENSE_BINS * share[-1], share, quantiles)
    even = np.linspace(quantiles[0], quantiles[-1], EVEN_BINS + 1)[1:-1]
    inner = np.searchsorted(ordered, np.concatenate([dense, even]).astype(ordered.dtype))
    return np.unique(np.concatenate([[0], inner, [len(ordered)]]))


def _best_cuts(ordered: Float[np.ndarray, "n"], edges: Int[np.ndarray, "b"]) -> Int[np.ndarray, "k"]:
    """The bins with which the entries begin, by dynamic programming over the last bin of each entry."""
    bins = len(edges) - 1
    first = ordered[edges[:-1]].astype(np.float64)
    last = ordered[edges[1:] - 1].astype(np.float64)
    span = np.arange(1, MOST_BINS + 1)
    begin = np.arange(1, bins + 1)[:, None] - span
    inside = np.maximum(begin, 0)
    width = last[:, None] - first[inside]
    cost = (edges[1:, None] - edges[inside]) * width**2
    cost[(begin < 0) | (width > WIDEST * (last[-1] - first[0]))] = np.inf
    least = np.full(bins + 1, np.inf)
    least[0] = 0
    begun = np.empty((ENTRIES, bins), np.int64)
    for entry in range(ENTRIES):
        total = least[inside] + cost
        best = total.argmin(1)
        begun[entry] = inside[np.arange(bins), best]
        least = np.concatenate([[np.inf], total[np.arange(bins), best]])
    cuts, end = [], bins
    for entry in reversed(range(ENTRIES)):
        end = int(begun[entry, end - 1])
        cuts.append(end)
    return np.array(cuts[::-1])


def _entries(ordered: Float[np.ndarray, "n"], firsts: Int[np.ndarray, "k"]) -> Float32[np.ndarray, "256"]:
    """Entries halfway between mean and middle of the values from `firsts` on; the last is repeated where there are few."""
    ends = np.append(firsts[1:], len(ordered))
    sums = np.concatenate([[0], np.cumsum(ordered, dtype=np.float64)])
    mean = (sums[ends] - sums[firsts]) / (ends - firsts)
    middle = (ordered[firsts].astype(np.float64) + ordered[ends - 1]) / 2
    # the mean errs least in the square, the middle least at worst
    one_value = ordered[firsts] == ordered[ends - 1]
    entries = np.where(one_value, middle, (mean + middle) / 2)
    entries = np.concatenate([entries, np.full(ENTRIES - len(entries), entries[-1])])
    return entries.astype(np.float32)
