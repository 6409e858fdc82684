"""Quantised numbers that several formats share: bytes of opacity and colour, quaternions without a component."""

import numpy as np
from jaxtyping import Float, Int, UInt, UInt8

from recon.gaussians import SH_C0

OPACITY_EDGE = 1e-6
"""Distance from opacity 0 and 1, whose logits are infinite, at which bytes of 0 and 255 are read; other readers' too."""
BLOCK_ROWS = 1 << 14
"""Rows that are rounded or written at a time: 3 MB of coefficients of degree 3, which stay in a core's cache; all at once takes
seven times as long."""
KEPT = np.array([[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]])
"""Components of a quaternion that stay when component i is dropped."""


def to_levels(
    values: Float[np.ndarray, "g *rest"], scale: float, offset: float, *, top: int = 255
) -> tuple[UInt[np.ndarray, "g *rest"], int]:
    """Quantise values · scale + offset to 0…`top`; also counts the values outside."""
    levels = np.empty(values.shape, np.uint8 if top <= 255 else np.uint16)
    outside = 0
    for start in range(0, len(values), BLOCK_ROWS):
        part = values[start : start + BLOCK_ROWS] * np.float32(scale)
        part += np.float32(offset + 0.5)
        if part.size and (part.min() < 0 or part.max() >= top + 1):
            outside += np.count_nonzero((part < 0) | (part >= top + 1))
            np.clip(part, 0, top, out=part)
        levels[start : start + BLOCK_ROWS] = part  # cuts off what is behind the point
    return levels, int(outside)


def opacity_bytes(logits: Float[np.ndarray, "g"]) -> UInt8[np.ndarray, "g"]:
    """Quantise opacities in steps of 1/255."""
    with np.errstate(over="ignore"):
        return to_levels(1 / (1 + np.exp(-logits)), 255, 0)[0]


def opacity_logits(levels: UInt8[np.ndarray, "g"]) -> Float[np.ndarray, "g"]:
    """Logits of quantised opacities; 0 and 255 lie `OPACITY_EDGE` inside."""
    opacity = np.clip(np.arange(256) / 255, OPACITY_EDGE, 1 - OPACITY_EDGE)
    return np.log(opacity / (1 - opacity)).astype(np.float32)[levels]


def color_bytes(dc: Float[np.ndarray, "g 3"]) -> tuple[UInt8[np.ndarray, "g 3"], int]:
    """Quantise constant coefficients to colours in steps of 1/255; also counts those outside [0, 1]."""
    return to_levels(dc, 255 * SH_C0, 127.5)


def color_coefficients(levels: UInt8[np.ndarray, "g 3"]) -> Float[np.ndarray, "g 3"]:
    """Constant coefficients of colours in steps of 1/255."""
    return ((np.arange(256) / 255 - 0.5) / SH_C0).astype(np.float32)[levels]


def drop_largest(quats: Float[np.ndarray, "g 4"]) -> tuple[Int[np.ndarray, "g"], Float[np.ndarray, "g 3"]]:
    """Normalised quaternions without their largest component, which is made positive.

    Returns:
        Which component was dropped; the others in their order, within ±1/√2, float64.
    """
    # in float64, where squares of the smallest float32 are not 0
    unit = quats.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    largest = np.abs(unit).argmax(1)
    sign = np.where(np.take_along_axis(unit, largest[:, None], 1) < 0, -1.0, 1.0)
    return largest, np.take_along_axis(unit, KEPT[largest], 1) * sign


def restore_largest(
    largest: Int[np.ndarray, "g"], kept: Float[np.ndarray, "g 3"]
) -> Float[np.ndarray, "g 4"]:
    """Unit quaternions from the result of `drop_largest`, float32."""
    kept = kept.astype(np.float64)
    quats = np.empty((len(kept), 4), np.float32)
    np.put_along_axis(quats, KEPT[largest], kept.astype(np.float32), 1)
    rest = np.sqrt(np.maximum(0, 1 - (kept * kept).sum(1)))
    np.put_along_axis(quats, largest[:, None], rest[:, None].astype(np.float32), 1)
    return quats
