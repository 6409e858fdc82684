"""From flows and colours to the probability that a pixel moves."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from recon.moving.coefficients import OF_EVIDENCE, OF_SURROUNDINGS
from recon.moving.plate import Plate
from recon.moving.smooth import smooth_within_edges
from recon.moving.static_fit import StaticFit

ODDS_CAP = 6.0
"""Log odds that a pixel counts as at most among others."""
NEAR_PX, FAR_PX = 6.0, 40.0
"""How far evidence is spread within edges: over borders that flow blurs, and over surfaces without texture."""
DOUBT = 0.05
"""Evidence that is added, for neither side, where there is none."""
LEAST_ODDS = -0.5
"""Log odds from which a pixel is taken to move: chosen on seeds 100 to 116, where movers overlap the truth best from -0.7 to 0."""
PATCH_ODDS = 0.7
"""Log odds that a patch must reach somewhere."""
LEAST_CONTRADICTED = 0.01
"""Share of a patch whose colours must contradict a scene at rest. Skies without texture, whose flow means nothing, have none; the least
of a true mover of those seeds, a large grey box, is 1%."""
SMALLEST_PX = 8
"""Pixels of the least patch that is taken for a mover, of pictures of 320x240; chance makes smaller ones."""


def weigh_evidence(
    fit: StaticFit, plate: Plate, picture: Float[np.ndarray, "h w 3"]
) -> Float[np.ndarray, "h w"]:
    """Log odds that each pixel moves, by itself: a logistic of its flows, colours and how much texture is about it."""
    off = np.where(fit.known > 0, np.log1p(fit.off), 1) - 1
    features = np.stack([
        off, fit.known < 1, fit.known / len(fit.noise_px), 1 - plate.agreement, 1 - plate.one_side,
        np.minimum(plate.looked, 4) / 4, np.log(0.005 + _contrast(picture)) + 3.5,
    ]).astype(np.float32)  # fmt: skip
    return logistic(features, OF_EVIDENCE)


def widen_evidence(
    i: int,
    evidence: Sequence[Float[np.ndarray, "h w"]],
    near: Mapping[int, tuple[Float[np.ndarray, "h w 2"], Bool[np.ndarray, "h w"]]],
    picture: Float[np.ndarray, "h w 3"],
) -> Float[np.ndarray, "h w"]:
    """Log odds from those of a frame, of the frames next to it and of what lies about within the same edges.

    Args:
        near: flow to each frame that votes, and where it is known.
    """
    import cv2

    own = evidence[i].clip(-ODDS_CAP, ODDS_CAP)
    h, w = own.shape
    y, x = np.mgrid[:h, :w].astype(np.float32)
    votes = [own]
    for j, (flow, known) in near.items():
        there = cv2.remap(
            evidence[j].clip(-ODDS_CAP, ODDS_CAP), x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        votes.append(np.where(known, there, own))
    mean = np.mean(votes, 0)
    sure = np.tanh(np.abs(mean) / 2)
    spread = np.stack([sure * mean, sure])
    around = [smooth_within_edges(spread, picture, sigma_px=sigma) for sigma in (NEAR_PX, FAR_PX)]
    odds = [one[0] / (one[1] + DOUBT) / 4 for one in around]
    features = np.stack([own / 4, mean / 4, *odds, *(one[1] - 0.5 for one in around)]).astype(np.float32)
    return logistic(features, OF_SURROUNDINGS)


def classify(
    odds: Float[np.ndarray, "h w"], contradicted: Bool[np.ndarray, "h w"] | None
) -> Bool[np.ndarray, "h w"]:
    """Where something moves: patches of which colours contradict a scene at rest somewhere.

    Args:
        contradicted: where they do; None where that is not known.
    """
    import cv2

    number, labels, stats, _ = cv2.connectedComponentsWithStats((odds > LEAST_ODDS).astype(np.uint8))
    area = stats[:, cv2.CC_STAT_AREA]
    kept = area >= SMALLEST_PX * odds.size / (320 * 240)
    if contradicted is not None:
        against = np.bincount(labels[contradicted], minlength=number)
        kept &= against >= LEAST_CONTRADICTED * area
    peak = np.full(number, -np.inf)
    np.maximum.at(peak, np.asarray(labels, np.int64).ravel(), odds.ravel())
    kept &= peak >= PATCH_ODDS
    kept[0] = False
    return kept[np.asarray(labels, np.int64)]


def logistic(features: Float[np.ndarray, "f h w"], weights: Sequence[float]) -> Float[np.ndarray, "h w"]:
    """Log odds from features, their products, and a constant, which comes first."""
    out = np.full(features.shape[1:], weights[0], np.float32)
    rest = iter(weights[1:])
    for one in features:
        out += next(rest) * one
    for a in range(len(features)):
        for b in range(a, len(features)):
            out += next(rest) * features[a] * features[b]
    return out


def _contrast(picture: Float[np.ndarray, "h w 3"]) -> Float[np.ndarray, "h w"]:
    """Standard deviation of the grey level over 7x7 pixels."""
    import cv2

    grey = picture.mean(-1)
    mean = cv2.blur(grey, (7, 7))
    return np.sqrt(np.maximum(cv2.blur(grey * grey, (7, 7)) - mean * mean, 0))
