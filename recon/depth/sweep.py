"""Plane sweep: agreement of neighbours with a photo at every inverse depth."""

from collections.abc import Sequence

import numpy as np

Gray = np.ndarray

WINDOWS = (5, 9)
"""Side lengths in pixels of the windows over which photos are compared."""
NOISE_VARIANCE = 1e-5
"""Grey-level variance that counts as noise: in flat places nothing correlates, so every plane costs the same."""


def pixel_homography(
    K_to: np.ndarray, to_from_ref: np.ndarray, K_ref: np.ndarray, inverse_depth: float
) -> np.ndarray:
    """Maps reference pixels to another picture by the plane z = 1 / inverse_depth of the reference camera.

    Both in OpenCV's pixel coordinates: there the centre of the top-left pixel is (0, 0), while our
    intrinsics put it at (0.5, 0.5), so half a pixel is added on the way in and taken off on the way out.
    """
    to_ours = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    to_opencv = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    plane = to_from_ref[:3, :3] + inverse_depth * to_from_ref[:3, 3:] @ np.array([[0.0, 0.0, 1.0]])
    return to_opencv @ K_to @ plane @ np.linalg.inv(K_ref) @ to_ours


def integer_pixel_map(
    K_to: np.ndarray, to_from_ref: np.ndarray, K_ref: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Map and shift of reference pixels to another picture, both with integer pixel centres.

    Pixel (x, y) at inverse depth w lies at ``map @ (x, y, 1) + w * shift``, homogeneous.
    """
    to_ours = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    to_integer = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    turned = to_integer @ K_to @ to_from_ref[:3, :3] @ np.linalg.inv(K_ref) @ to_ours
    return turned, to_integer @ K_to @ to_from_ref[:3, 3]


def matching_cost(
    reference: Gray,
    others: Sequence[Gray],
    K: np.ndarray,
    K_others: Sequence[np.ndarray],
    others_from_ref: Sequence[np.ndarray],
    inverse_depths: np.ndarray,
) -> np.ndarray:
    """Cost [h, w, d] in [0, 1]: one minus normalised cross-correlation, averaged over windows.

    Of the neighbours only the better half counts at each pixel and plane (Kang, Szeliski, Chai 2001),
    so that a pixel hidden in some of them still finds its depth in the others. Pixels that fall outside
    a neighbour cost 1 there.
    """
    import cv2

    h, w = reference.shape
    own = [_moments(reference, side) for side in WINDOWS]
    keep = max(1, (len(others) + 1) // 2)
    volume = np.empty((len(inverse_depths), h, w), np.float32)
    costs = np.empty((len(others), h, w), np.float32)
    for d, inverse_depth in enumerate(inverse_depths):
        for n, (other, K_other, pose) in enumerate(zip(others, K_others, others_from_ref, strict=True)):
            H = pixel_homography(K_other, pose, K, inverse_depth)
            seen = cv2.warpPerspective(
                other, H, (w, h), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_CONSTANT, borderValue=-1,
            )  # fmt: skip
            correlation = sum(
                _correlation(reference, seen, moments, side)
                for moments, side in zip(own, WINDOWS, strict=True)
            )
            costs[n] = np.minimum(1 - correlation / len(WINDOWS), 1)
            costs[n][seen < 0] = 1
        if len(others) > 1:
            costs.sort(axis=0)
        volume[d] = costs[:keep].mean(0)
    return np.ascontiguousarray(volume.transpose(1, 2, 0))


def _moments(image: Gray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance over a window."""
    import cv2

    mean = cv2.boxFilter(image, -1, (side, side))
    return mean, cv2.boxFilter(image * image, -1, (side, side)) - mean * mean


def _correlation(reference: Gray, seen: Gray, own: tuple[np.ndarray, np.ndarray], side: int) -> np.ndarray:
    import cv2

    mean, variance = _moments(seen, side)
    both = cv2.boxFilter(reference * seen, -1, (side, side)) - own[0] * mean
    return both / np.sqrt(np.maximum(own[1] * variance, 0) + NOISE_VARIANCE * (own[1] + NOISE_VARIANCE))
