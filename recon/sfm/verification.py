"""Geometric verification of putative matches, into a COLMAP database for mappers and registration."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from recon.colmap import database as colmap
from recon.colmap.model import Camera
from recon.errors import ReconstructionError, RecoveryStatus
from recon.sfm.features.keypoints import enough_features
from recon.sfm.matches import Matches

MIN_MATCHES = 15
"""Putative matches that a pair needs to be verified; COLMAP's default. Chance agreement of fewer passes as an overlap."""


def write_verified(
    database: Path,
    cameras: Sequence[Camera],
    keypoints: Sequence[Float[Tensor, "_ 2"]],
    matches: Sequence[tuple[tuple[int, int], Int[Tensor, "_ 2"]]],
    *,
    groups: Sequence[int] | None = None,
    known: bool | Sequence[bool],
    seed: int,
    threads: int = 1,
) -> list[int]:
    """Start a database of pictures without files and verify their pairs; return the pictures' ids in order.

    Pixels need no shift, for COLMAP counts them as we do; it stores them as float32.

    Args:
        cameras: one for each picture.
        matches: ((a, b), rows of (feature of a, feature of b)); pairs with fewer than `MIN_MATCHES` are left out.
        groups: number of each picture's lens; pictures of one lens share one camera, the first's. None: a camera for each.
        known: whether the intrinsics are exact, of all pictures or of each; else they are a first guess.
        threads: -1 for all cores; the result is the same.

    Raises:
        ReconstructionError: a match of a feature that does not exist.
    """
    for (a, b), rows in matches:
        counts = rows.new_tensor([len(keypoints[a]), len(keypoints[b])])
        # COLMAP would read past the end of the keypoints, and crash
        if bool((rows < 0).any()) or bool((rows >= counts).any()):
            raise ReconstructionError(
                f"the matches of pictures {a} and {b} name features that these pictures "
                f"({counts[0]} and {counts[1]} features) do not have"
            )
    n = len(cameras)
    ids = colmap.enter_images(
        database,
        cameras,
        groups=range(n) if groups is None else groups,
        known=[known] * n if isinstance(known, bool) else known,
    )
    colmap.write_matches(
        database,
        [(image_id, xy.numpy().astype(np.float32)) for image_id, xy in zip(ids, keypoints, strict=True)],
        [
            (ids[a], ids[b], rows.numpy().astype(np.uint32))
            for (a, b), rows in matches
            if len(rows) >= MIN_MATCHES
        ],
    )
    colmap.verify(database, seed=seed, threads=threads)
    return ids


def verify_matches(
    database: Path,
    cameras: Sequence[Camera],
    matches: Matches,
    *,
    groups: Sequence[int] | None,
    known: bool | Sequence[bool],
    seed: int,
    threads: int = 1,
) -> RecoveryStatus:
    """`write_verified` for the pictures of one clip; returns OK, or why there is nothing to map."""
    if not enough_features(matches.keypoints):
        return RecoveryStatus.TOO_FEW_FEATURES
    write_verified(
        database,
        cameras,
        matches.keypoints,
        matches.by_pair(),
        groups=groups,
        known=known,
        seed=seed,
        threads=threads,
    )
    return RecoveryStatus.OK if colmap.count_verified_pairs(database) else RecoveryStatus.NO_MATCHES
