"""The order of pictures, so that trainers which hold every n-th one out hold out the photos that judge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from recon.clips.pairing import spread_indices
from recon.errors import BridgeError

T = TypeVar("T")

USUAL_EVERY = 8
"""What gsplat and the 3DGS code hold out where nobody says otherwise (as mip-NeRF 360 did)."""


@dataclass(frozen=True)
class Arrangement(Generic[T]):
    order: tuple[T, ...]
    """Names shall sort in this order; at places 0, `every`, 2 `every` … are the held-out photos, and only there."""
    every: int | None
    """None where nothing is held out."""
    left_over: tuple[T, ...]
    """Pictures for which there is no place: held-out photos, or generated frames where `every` was asked for."""


def arrange(
    heldout: Sequence[T], photos: Sequence[T], generated: Sequence[T], every: int | None = None
) -> Arrangement[T]:
    """Puts the held-out photos at every n-th place and nothing else there.

    Without `every` all photos and generated frames get a place; n is 8 or, where that does not do, the smallest number
    with which the most held-out photos get one. With it the last generated frames may be left over as well.

    Raises:
        BridgeError: `every` is so small that photos would be left over.
    """
    if not heldout:
        return Arrangement((*photos, *generated), None, ())
    tests, trains, every = _count_places(len(heldout), len(photos), len(generated), every)
    held_places = spread_indices(len(heldout), tests)
    held, rest = iter([heldout[i] for i in held_places]), iter([*photos, *generated][:trains])
    order = tuple(next(rest if place % every else held) for place in range(tests + trains))
    left = [picture for i, picture in enumerate(heldout) if i not in held_places]
    return Arrangement(order, every, (*left, *[*photos, *generated][trains:]))


def ordinal(n: int) -> str:
    """3rd, 8th, 12th."""
    teens = n % 100 in (11, 12, 13)
    return f"{n}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(n % 10, 'th')}"


def _count_places(heldout: int, photos: int, generated: int, every: int | None) -> tuple[int, int, int]:
    """(held-out photos, other pictures, every how many) that get a place."""
    total = photos + generated
    for tests in range(heldout, 0, -1):
        for n in (USUAL_EVERY, *range(2, total + 2)) if every is None else (every,):
            trains = total if every is None else min(total, (n - 1) * tests)
            # n - 1 other pictures follow each held-out one, the last of these excepted
            if trains >= photos and (n - 1) * (tests - 1) <= trains <= (n - 1) * tests:
                return tests, trains, n
    least = -(-photos // heldout) + 1
    raise BridgeError(
        f"give --test-every {least} or more, so that {photos} photos remain to train on beside "
        f"{heldout} held-out ones, got every {every}"
    )
