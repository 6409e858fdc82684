"""Semi-global aggregation of the costs of a plane sweep, and the plane that is best then."""

import numpy as np

from recon.depth.sweep import matching_cost

STEP_PENALTY, JUMP_PENALTY = 0.06, 0.5
"""What a path pays from pixel to pixel for a change of one plane, and, where the picture has no edge, at most
for a greater change; the matching cost of a pixel is in [0, 1]."""


def sweep_depth(
    gray: np.ndarray,
    others: list[np.ndarray],
    K: np.ndarray,
    K_others: list[np.ndarray],
    others_from_ref: list[np.ndarray],
    inverse_depths: np.ndarray,
) -> np.ndarray:
    """Sweeps planes and aggregates their costs along eight paths; inverse depth [h, w] of the best plane."""
    return sweep_costs(gray, others, K, K_others, others_from_ref, inverse_depths)[0]


def sweep_costs(
    gray: np.ndarray,
    others: list[np.ndarray],
    K: np.ndarray,
    K_others: list[np.ndarray],
    others_from_ref: list[np.ndarray],
    inverse_depths: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inverse depth [h, w] of the best plane, the matching cost [h, w, d], and its sum over eight paths [h, w, d]."""
    from recon.depth.kernels import aggregate_scan, best_plane

    cost = matching_cost(gray, others, K, K_others, others_from_ref, inverse_depths)
    total = np.zeros_like(cost)
    aggregate_scan(cost, gray, STEP_PENALTY, JUMP_PENALTY, total)
    aggregate_scan(cost[::-1, ::-1], gray[::-1, ::-1], STEP_PENALTY, JUMP_PENALTY, total[::-1, ::-1])
    inverse, winner = np.empty_like(gray), np.empty_like(gray)
    best_plane(total, cost, inverse_depths[0], inverse_depths[1] - inverse_depths[0], inverse, winner)
    return inverse, cost, total
