"""Smoothing that stops at the edges of a picture."""

import numpy as np
from jaxtyping import Float

EDGE = 0.25
"""Sum over channels of a difference of neighbouring colours that counts like a step of `sigma_px` pixels."""
NOISE = 0.015
"""Differences of colours that noise makes, which are no edges."""
ROUNDS = 2
"""Passes along rows and columns; more hardly change anything."""


def smooth_within_edges(
    values: Float[np.ndarray, "c h w"], picture: Float[np.ndarray, "h w 3"], *, sigma_px: float
) -> Float[np.ndarray, "c h w"]:
    """Recursive domain transform (Gastal, Oliveira 2011): means over what can be reached without crossing an edge."""
    import cv2

    calm = cv2.GaussianBlur(picture, (0, 0), 0.8)
    steps = [
        1 + sigma_px / EDGE * np.maximum(np.abs(np.diff(calm, axis=axis)).sum(-1) - NOISE, 0)
        for axis in (1, 0)
    ]
    out = values.astype(np.float32)
    for turn in range(ROUNDS):
        sigma = sigma_px * 3**0.5 * 2 ** (ROUNDS - turn - 1) / (4**ROUNDS - 1) ** 0.5
        kept = np.exp(-(2**0.5) / sigma)
        across, down = ((kept**step).astype(np.float32) for step in steps)
        columns = _pass(np.ascontiguousarray(out.transpose(2, 0, 1)), across.T[:, None])
        rows = _pass(np.ascontiguousarray(columns.transpose(2, 1, 0)), down[:, None])
        out = np.ascontiguousarray(rows.transpose(1, 0, 2))
    return out


def _pass(lines: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """There and back over lines [l, c, m], in place; `kept` [l - 1, 1, m] of each goes on to the next."""
    for x in range(1, len(lines)):
        lines[x] += kept[x - 1] * (lines[x - 1] - lines[x])
    for x in range(len(lines) - 2, -1, -1):
        lines[x] += kept[x] * (lines[x + 1] - lines[x])
    return lines
