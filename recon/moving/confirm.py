"""Do tracked features bear out what seems to move?"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from recon.moving.masks import MovingMasks
from recon.sfm.matches import Matches

OFF_SHARE = 0.005
"""Distance from where a scene at rest would be seen, as a share of the long side, from which a match speaks against it: 1.6 px of 320.
Matches of what stands are off by a third of that in cameras that were recovered, those of people and things that walk by more."""
LEAST_MATCHES = 2
"""Other frames that a feature must be matched with to be asked: a wrong match is seldom repeated."""
LEAST_FEATURES, LEAST_SHARE = 4, 0.4
"""Features of a patch that must speak against a scene at rest, and their share of those that are asked. Chosen on four films of seeds 200
to 203, whose masks overlap the truth by 0.03 to 0.15 less than unconfirmed, and on four real clips of empty rooms, of which 7% to 34%
seemed to move and at most 0.8% are left: plain walls and doors near by, along which flow slides."""


def confirm_movers(
    masks: MovingMasks, matches: Matches, find_residuals: Callable[[int], Float[Tensor, "m"]]
) -> MovingMasks:
    """The patches of masks in which features do not keep to a scene at rest; others count as still.

    What has no features is left out with them: it can neither mislead structure from motion nor metrics of matches. Confidence stays that
    of flows and colours.

    Args:
        masks: in the pixels of the matched pictures.
        find_residuals: how far the matches of a pair, by its number, are from a scene at rest, pixels; NaN where that is unknown.
    """
    import cv2

    asked = [np.zeros(len(xy)) for xy in matches.keypoints]
    against = [np.zeros(len(xy)) for xy in matches.keypoints]
    most = OFF_SHARE * max(matches.width, matches.height)
    for number, ((a, b), rows) in enumerate(matches.by_pair()):
        if not len(rows):
            continue
        residual = find_residuals(number).numpy()
        known = np.isfinite(residual)
        for frame, features in ((a, rows[:, 0].numpy()), (b, rows[:, 1].numpy())):
            np.add.at(asked[frame], features, known)
            np.add.at(against[frame], features, known & (residual > most))
    moving = []
    for mask, xy, all_of, off_of in zip(masks.moving, matches.keypoints, asked, against, strict=True):
        number, found = cv2.connectedComponents(mask.numpy().astype(np.uint8))
        labels = np.asarray(found, np.int64)
        tracked = all_of >= LEAST_MATCHES
        patch = _look_up(labels, xy)[tracked]
        off = (2 * off_of >= all_of)[tracked]
        features = np.bincount(patch, minlength=number)
        wrong = np.bincount(patch[off], minlength=number)
        kept = (wrong >= LEAST_FEATURES) & (wrong >= LEAST_SHARE * features)
        kept[0] = False
        moving.append(torch.from_numpy(kept[labels]))
    return replace(masks, moving=torch.stack(moving))


def _look_up(labels: Int[np.ndarray, "h w"], xy: Float[Tensor, "p 2"]) -> Int[np.ndarray, "p"]:
    height, width = labels.shape
    columns, rows = (part.numpy() for part in xy.long().T)
    return labels[rows.clip(0, height - 1), columns.clip(0, width - 1)]
