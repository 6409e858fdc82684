"""Completion of depth that photos do not agree on, from the depth around it."""

import numpy as np

SPECKLE_PX = 60
"""Patches of depth smaller than this, in pixels, are taken for chance matches; doubled, thin things vanish."""


def complete_depth(
    inverse_depth: np.ndarray, cost: np.ndarray, agreeing: np.ndarray, image: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Spreads depth from where photos agree over pixels of similar colour.

    Args:
        inverse_depth, cost: [h, w] at the best plane, and its matching cost in [0, 1].
        agreeing: [h, w], how many other photos confirm the depth.
        image: [h, w, 3], sRGB in [0, 1].

    Returns:
        Inverse depth, everywhere, and confidence in [0, 1], both [h, w].
    """
    sure = find_confirmed(inverse_depth, agreeing)
    filled, reach = spread_depth(inverse_depth, cost, sure, image, 60.0)
    filled = np.clip(filled, inverse_depth.min(), inverse_depth.max())
    dense = np.where(sure, steady_depth(inverse_depth), filled).astype(np.float32)
    confidence = state_confidence(sure, agreeing, reach)
    return dense, confidence


def spread_depth(
    inverse_depth: np.ndarray, cost: np.ndarray, sure: np.ndarray, image: np.ndarray, sigma_px: float
) -> tuple[np.ndarray, np.ndarray]:
    """Inverse depth [h, w] spread from sure pixels over pixels of similar colour, and the share of sure ones near by.

    Args:
        sigma_px: how far; edges of the picture stop it.
    """
    import cv2

    from recon.depth.kernels import edge_aware_smooth

    # unconfirmed depth with a good match counts for up to 0.0175 of a confirmed one: it decides only far from any
    trust = np.where(sure, 1.0, np.clip(0.35 - cost, 0, 0.35) * 0.05)
    # depth and trust are smoothed alike, so that their quotient is a weighted mean
    spread = np.stack([trust * inverse_depth, trust, sure.astype(np.float64)], axis=-1)
    guide = cv2.GaussianBlur(image, (3, 3), 0).astype(np.float64)
    edge_aware_smooth(spread, guide, sigma_px, 0.35, 3)
    return spread[..., 0] / np.maximum(spread[..., 1], 1e-12), spread[..., 2]


def find_confirmed(inverse_depth: np.ndarray, agreeing: np.ndarray) -> np.ndarray:
    """Mask of the pixels that another photo confirms, without patches so small that chance explains them."""
    import cv2

    agreed = (agreeing > 0) & ~speckles(inverse_depth)
    return cv2.morphologyEx(agreed.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0


def steady_depth(inverse_depth: np.ndarray) -> np.ndarray:
    """Confirmed depth, drawn a little towards the median around it."""
    import cv2

    return 0.7 * inverse_depth + 0.3 * cv2.medianBlur(inverse_depth.astype(np.float32), 5)


def state_confidence(sure: np.ndarray, agreeing: np.ndarray, filled: np.ndarray) -> np.ndarray:
    """The steps that `DepthMaps.confidence` states: three photos 1, two 0.7, filled in at most 0.3.

    Args:
        filled: how far filled in depth is believed, in [0, 1].
    """
    known = np.where(agreeing > 1, 1.0, 0.7)
    return np.where(sure, known, 0.3 * np.clip(filled, 0, 1)).astype(np.float32)


def speckles(inverse_depth: np.ndarray) -> np.ndarray:
    """Masks small patches whose depth differs from all around them: chance matches on blank walls."""
    import cv2

    # filterSpeckles takes 16-bit integers; neighbours within 1% of the nearest depth belong to one patch
    steps = (inverse_depth / inverse_depth.max() * 16000).astype(np.int16)
    cv2.filterSpeckles(steps, -1, SPECKLE_PX, 16000 * 0.01)
    return steps < 0


def complete_from_guess(
    inverse_depth: np.ndarray, agreeing: np.ndarray, guess: np.ndarray, chance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fills in a guess where photos do not agree.

    Args:
        inverse_depth, agreeing: as in `complete_depth`.
        guess, chance: [h, w], inverse depth everywhere, and the probability that it holds.

    Returns:
        As `complete_depth`.
    """
    sure = find_confirmed(inverse_depth, agreeing)
    dense = np.where(sure, steady_depth(inverse_depth), guess).astype(np.float32)
    return dense, state_confidence(sure, agreeing, chance)
