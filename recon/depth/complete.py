"""Completion: depth where photos do not say it, from where they do."""

import numpy as np

SPECKLE_PX = 60
"""Smaller patches of depth of their own are not believed."""


def complete_depth(
    inverse_depth: np.ndarray, cost: np.ndarray, agreeing: np.ndarray, image: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Depth where photos agree, spread from there over places of like colour; and the confidence of both."""
    import cv2

    from recon.depth.kernels import edge_aware_smooth

    agreed = (agreeing > 0) & ~speckles(inverse_depth)
    sure = cv2.morphologyEx(agreed.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)) > 0
    trust = np.where(sure, 1.0, np.clip(0.35 - cost, 0, 0.35) * 0.05)
    spread = np.stack([trust * inverse_depth, trust, sure.astype(np.float64)], axis=-1)
    guide = cv2.GaussianBlur(image, (3, 3), 0).astype(np.float64)
    edge_aware_smooth(spread, guide, 60.0, 0.35, 3)
    filled = spread[..., 0] / np.maximum(spread[..., 1], 1e-12)
    filled = np.clip(filled, inverse_depth.min(), inverse_depth.max())
    median = cv2.medianBlur(inverse_depth.astype(np.float32), 5)
    dense = np.where(sure, 0.7 * inverse_depth + 0.3 * median, filled).astype(np.float32)
    known = np.where(agreeing > 1, 1.0, 0.7)
    confidence = np.where(sure, known, 0.3 * np.clip(spread[..., 2], 0, 1)).astype(np.float32)
    return dense, confidence


def speckles(inverse_depth: np.ndarray) -> np.ndarray:
    """Where small patches stand off from all around them: chance matches on blank walls."""
    import cv2

    steps = (inverse_depth / inverse_depth.max() * 16000).astype(np.int16)
    cv2.filterSpeckles(steps, -1, SPECKLE_PX, 16000 * 0.01)
    return steps < 0
