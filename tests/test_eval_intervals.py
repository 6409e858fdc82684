"""Intervals against published values and against their own promise."""

import pytest
import torch

from eval.stats.intervals import bootstrap_mean95, wilson95


@pytest.mark.parametrize(
    ("successes", "n", "expected"),
    [  # Newcombe 1998, table I, method 3
        (81, 263, (0.2553, 0.3662)),
        (15, 148, (0.0624, 0.1605)),
        (0, 20, (0.0, 0.1611)),
        (1, 29, (0.0061, 0.1718)),
    ],
)
def test_wilson_equals_the_published_intervals(successes: int, n: int, expected: tuple[float, float]) -> None:
    assert wilson95(successes, n) == pytest.approx(expected, abs=1e-4)


def test_wilson_at_the_ends() -> None:
    assert wilson95(0, 0) is None
    low, high = wilson95(5, 5)  # type: ignore[misc]
    assert 0.5 < low < high == 1


def test_bootstrap_of_a_sample_near_the_normal_interval(generator: torch.Generator) -> None:
    x = (3 + torch.randn(200, generator=generator)).double()
    low, high = bootstrap_mean95(x.tolist(), generator=generator)  # type: ignore[misc]
    half = 1.96 * x.std().item() / 200**0.5
    assert low == pytest.approx(x.mean().item() - half, abs=0.02)
    assert high == pytest.approx(x.mean().item() + half, abs=0.02)


def test_bootstrap_is_reproducible_and_knows_its_limits() -> None:
    def once() -> tuple[float, float] | None:
        return bootstrap_mean95([1.0, 2.0, 4.0], generator=torch.Generator().manual_seed(7))

    assert once() == once()
    assert bootstrap_mean95([1.0], generator=torch.Generator()) is None
    assert bootstrap_mean95([], generator=torch.Generator()) is None
    assert bootstrap_mean95([2.0, 2.0], generator=torch.Generator()) == (2.0, 2.0)
