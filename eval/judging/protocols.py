"""Protocols of holding photos out: what training may know, and which photos test it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from recon.errors import BridgeError
from recon.pictures.frame_files import natural_key


class Protocol(Enum):
    """Two honest ways to hold photos out. Figures of one must not be compared with figures of the other."""

    KNOWN_POSES = "known-poses"
    """The poses of all photos, held-out ones included, are given: by a pose file, or by one structure from motion;
    training, planning and the world model see the training photos only, and points are triangulated from
    these alone. This is what published sparse-view results do. It judges the scene, not the pose recovery,
    and is kinder than life: the training poses profit from photos that a user with few photos lacks."""

    FROM_SCRATCH = "from-scratch"
    """Structure from motion sees the training photos only; each held-out photo is afterwards localised
    against the finished model, which does not move. This is what a user with few photos gets. It judges the
    whole chain; a held-out photo that cannot be localised counts as expected but not measured."""

    @property
    def explanation(self) -> str:
        """One line for reports."""
        return _EXPLANATION[self]


_EXPLANATION = {
    Protocol.KNOWN_POSES: "Poses of all photos, held-out ones included, were given; the pictures held out were "
    "never used for triangulation, training, planning or generation.",
    Protocol.FROM_SCRATCH: "Poses were estimated from the training photos alone; held-out photos were localised "
    "afterwards against the finished model.",
}


@dataclass(frozen=True)
class Split:
    """Names of photos, each tuple in natural order."""

    training: tuple[str, ...]
    heldout: tuple[str, ...]
    unused: tuple[str, ...]

    def rename(self, new_names: Mapping[str, str]) -> "Split":
        """The same split, with new names for the photos."""
        parts = (self.training, self.heldout, self.unused)
        return Split(*(tuple(new_names[name] for name in part) for part in parts))


HELD_OUT_EVERY = 8
"""Every 8th photo is held out, as in mip-NeRF 360, so that figures can be compared with published ones."""


def choose_held_out(names: Sequence[str], *, every: int = HELD_OUT_EVERY) -> set[str]:
    """Choose the photos to hold out by name: numbers 0, 8, 16 … in natural order (2 before 10)."""
    return set(sorted(names, key=natural_key)[::every])


def split_photos(
    names: Sequence[str],
    *,
    views: int | None = None,
    every: int = HELD_OUT_EVERY,
    unusable: Sequence[str] = (),
    heldout: Collection[str] | None = None,
) -> Split:
    """Hold out every 8th photo by name (see `choose_held_out`), and spread the training photos over the rest.

    Args:
        names: of the readable photos.
        views: training photos, spread evenly; None, or more than there are, takes all of the rest.
        every: one of how many is held out.
        unusable: photos that cannot be read. They are counted but never chosen, so that which photos are held out
            does not change when one of them becomes unreadable.
        heldout: the photos to hold out instead, and no other: a photo that was read to be trained on has decided
            how all are read.

    Raises:
        BridgeError: fewer than two training photos or no held-out one would be left.
    """
    if len(set(names)) != len(names):
        raise BridgeError(f"expected photos with unique names, got {len(names) - len(set(names))} duplicates")
    out = set(unusable) - set(names)
    ordered = sorted({*names, *out}, key=natural_key)
    if every < 2:
        raise BridgeError(f"expected to hold out every 2nd photo at most, got every={every}")
    if views is not None and views < 2:
        raise BridgeError(f"expected at least 2 training views, got {views}")
    decided = heldout is not None
    eighth = choose_held_out(ordered, every=every) if heldout is None else set(heldout)
    heldout = [name for name in ordered if name in eighth - out]
    rest = [name for name in ordered if name not in eighth | out]
    if not heldout and not decided and len(rest) > 2:
        # the only photo to be held out cannot be read: the next one takes its place
        heldout, rest = rest[:1], rest[1:]
    if len(rest) < 2 or not heldout:
        raise BridgeError(
            f"expected at least 3 photos that can be read (2 to train on, 1 held out to judge), got {len(names)} "
            f"({len(rest)} to train on, {len(heldout)} held out); add photos"
        )
    count = len(rest) if views is None else min(views, len(rest))
    training = [rest[i] for i in np.unique(np.round(np.linspace(0, len(rest) - 1, count)).astype(int))]
    unused = [name for name in rest if name not in set(training)]
    return Split(tuple(training), tuple(heldout), tuple(unused))
