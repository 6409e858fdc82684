"""Features matched outside COLMAP into a COLMAP database, so that it verifies and maps them as its own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from recon.colmap import database as colmap
from recon.errors import ReconstructionError
from recon.matches import Matches
from recon.sfm.options import SfmOptions


def write_matches(database: Path, image_ids: Sequence[int], matches: Matches) -> None:
    """Adds keypoints and putative matches to images that are in the database already (`pycolmap.import_images`
    enters them with their cameras, rigs and frames). `image_ids` names picture 0, 1 … of `matches`.

    All of it is written or nothing. A pair without matches is entered too: it was tried. Pixels need no shift,
    for COLMAP counts them as `Matches` does; it stores them as float32. There are no descriptors, so what was written
    can be verified and mapped but not matched anew.

    Raises:
        ReconstructionError: not one image id a picture, an image that has keypoints already or is of another
            size, a match of a feature that does not exist.
    """
    _check(image_ids, matches)
    colmap.write_matches(
        database,
        [
            (image_id, xy.numpy().astype(np.float32))
            for image_id, xy in zip(image_ids, matches.keypoints, strict=True)
        ],
        [
            (image_ids[a], image_ids[b], rows.numpy().astype(np.uint32))
            for (a, b), rows in zip(matches.pairs, matches.indices, strict=True)
        ],
        width=matches.width,
        height=matches.height,
    )


def verify(database: Path, options: SfmOptions = SfmOptions()) -> None:
    """Verifies geometrically every pair of the database that has matches, as `recon.sfm.features.match` does with
    its own: same RANSAC, same seed. The mapper sees verified pairs only."""
    colmap.verify(database, seed=options.seed, threads=options.threads)


def _check(image_ids: Sequence[int], matches: Matches) -> None:
    if len(image_ids) != len(matches) or len(set(image_ids)) != len(image_ids):
        raise ReconstructionError(
            f"expected one image id of its own for each of {len(matches)} pictures, got {len(set(image_ids))}"
        )
    for (a, b), rows in zip(matches.pairs, matches.indices, strict=True):
        counts = rows.new_tensor([len(matches.keypoints[a]), len(matches.keypoints[b])])
        # COLMAP would read past the end of the keypoints, and crash
        if bool((rows < 0).any()) or bool((rows >= counts).any()):
            raise ReconstructionError(
                f"the matches of pictures {a} and {b} name features that these pictures "
                f"({counts[0]} and {counts[1]} features) do not have"
            )
