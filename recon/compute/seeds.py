"""Streams of random numbers that do not shift when work beside them is skipped."""

import torch


def make_generator(seed: int, *path: int) -> torch.Generator:
    """A generator of its own for the piece of work that `path` numbers: the same seed and path give the same stream."""
    mixed = seed
    for part in path:
        mixed = (mixed * 1_000_003 + part + 1) % (
            2**63
        )  # a prime, so that paths such as (1, 2) and (2, 1) differ
    return torch.Generator().manual_seed(mixed)


def draw_seed(generator: torch.Generator) -> int:
    """A seed from 0 to 2³¹ - 2, for a library that takes a number instead of a generator."""
    return int(torch.randint(2**31 - 1, (1,), generator=generator))
