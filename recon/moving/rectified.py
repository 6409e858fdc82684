"""Films of two still cameras, turned so that their epipolar lines are rows of the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from recon.cameras import Cameras

LEAST_FACING = 0.5
"""Cosine between the optical axis and the plane of the turned picture's normal, below which a camera looks along the line between the two."""


@dataclass(frozen=True)
class Film:
    """What one still camera filmed."""

    images: Sequence[UInt8[np.ndarray, "h w 3"]]
    times: Float[np.ndarray, "n"]
    """Ascending, in frames."""
    ahead: Sequence[Float[np.ndarray, "h w 2"]]
    """Flow from each frame to the next, pixels; one less than frames."""
    back: Sequence[Float[np.ndarray, "h w 2"]]
    """From each next frame to the one before."""


@dataclass(frozen=True)
class Rectified:
    """The film of one of two cameras in the turned picture."""

    images: list[UInt8[np.ndarray, "h w 3"]]
    times: Float[np.ndarray, "n"]
    velocity: list[Float[np.ndarray, "h w 2"]]
    """Of what each pixel shows, pixels a frame."""
    inside: Bool[np.ndarray, "h w"]
    """Where the turned picture lies in the camera's own."""

    def at(self, time: float) -> tuple[UInt8[np.ndarray, "h w 3"], Float[np.ndarray, "h w 2"]] | None:
        """Picture and velocity at a time, put together of the frames around it along the motion; None outside of the film."""
        import cv2

        j = int(np.searchsorted(self.times, time + 1e-6)) - 1
        if not 0 <= j < len(self.times) or time > self.times[-1] + 1e-6:
            return None
        if time - self.times[j] < 1e-3 or j + 1 == len(self.times):
            return self.images[j], self.velocity[j]
        since, until = time - self.times[j], time - self.times[j + 1]
        share = float(since / (since - until))
        before = _carry(self.velocity[j], self.velocity[j], since, cv2.INTER_LINEAR)
        after = _carry(self.velocity[j + 1], self.velocity[j + 1], until, cv2.INTER_LINEAR)
        picture = cv2.addWeighted(
            _carry(self.images[j], before, since, cv2.INTER_CUBIC), 1 - share,
            _carry(self.images[j + 1], after, until, cv2.INTER_CUBIC), share, 0,
        )  # fmt: skip
        return picture.astype(np.uint8), (1 - share) * before + share * after


def rectify(films: tuple[Film, Film], cameras: Cameras) -> tuple[Rectified, Rectified] | None:
    """Both films in turned pictures whose rows are epipolar lines, the second camera to the right of the first.

    The middle of each picture stays in the middle, so that what both look at has no disparity. None where a camera looks along the
    line between the two, or where they stand in one place.
    """
    pose, K = cameras.cam_from_world.double().numpy(), cameras.K.double().numpy()
    across = (cameras.centers[1] - cameras.centers[0]).double().numpy()
    length = np.linalg.norm(across)
    if length < 1e-9 * (1 + np.abs(cameras.centers.numpy()).max()):
        return None
    across = across / length
    ahead = pose[0, 2, :3] + pose[1, 2, :3]
    ahead = ahead - across * (ahead @ across)
    if np.linalg.norm(ahead) < LEAST_FACING:
        return None
    ahead = ahead / np.linalg.norm(ahead)
    turned = np.stack([across, np.cross(ahead, across), ahead])
    axes = [turned @ pose[k, 2, :3] for k in range(2)]
    if min(axis[2] for axis in axes) < LEAST_FACING:
        return None
    upright = abs(pose[0, 0, :3] @ across) >= abs(pose[0, 1, :3] @ across)
    width, height = (cameras.width, cameras.height) if upright else (cameras.height, cameras.width)
    focal = float(K[:, 0, 0].mean())
    middle_y = height / 2 - focal * float(np.mean([axis[1] / axis[2] for axis in axes]))
    both = []
    for k, film in enumerate(films):
        middle_x = width / 2 - focal * axes[k][0] / axes[k][2]
        own = np.array([[focal, 0, middle_x], [0, focal, middle_y], [0, 0, 1]])
        picture_from_turned = K[k] @ pose[k, :3, :3] @ turned.T @ np.linalg.inv(own)
        both.append(_turn(film, picture_from_turned, width, height))
    return both[0], both[1]


def _turn(film: Film, picture_from_turned: Float[np.ndarray, "3 3"], width: int, height: int) -> Rectified:
    import cv2

    h, w = film.images[0].shape[:2]
    there = _transfer(picture_from_turned, _grid(height, width)).astype(np.float32)
    grid, back = _grid(h, w), np.linalg.inv(picture_from_turned)
    start = _transfer(back, grid)
    ways: list[list[np.ndarray]] = [[] for _ in film.images]
    for i, (ahead, before) in enumerate(zip(film.ahead, film.back, strict=True)):
        frames = film.times[i + 1] - film.times[i]
        ways[i].append((_transfer(back, grid + ahead) - start) / frames)
        ways[i + 1].append((start - _transfer(back, grid + before)) / frames)

    def look(values: np.ndarray, how: int) -> np.ndarray:
        return cv2.remap(values, there[..., 0], there[..., 1], how)

    return Rectified(
        [look(one, cv2.INTER_CUBIC) for one in film.images],
        film.times,
        [look(np.mean(one, 0).astype(np.float32), cv2.INTER_LINEAR) for one in ways],
        look(np.ones((h, w), np.float32), cv2.INTER_LINEAR) > 0.99,
    )


def _grid(height: int, width: int) -> Float[np.ndarray, "h w 2"]:
    """Integer pixel centres, as OpenCV counts them."""
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), -1).astype(np.float64)


def _transfer(H: Float[np.ndarray, "3 3"], xy: Float[np.ndarray, "h w 2"]) -> Float[np.ndarray, "h w 2"]:
    """Through a homography between pictures whose first pixel's centre is (0.5, 0.5)."""
    there = np.dstack([xy + 0.5, np.ones(xy.shape[:2])]) @ H.T
    return there[..., :2] / there[..., 2:] - 0.5


def _carry(values: np.ndarray, velocity: Float[np.ndarray, "h w 2"], frames: float, how: int) -> np.ndarray:
    """What is seen after some frames of a velocity."""
    import cv2

    h, w = values.shape[:2]
    x, y = np.meshgrid(np.arange(w, dtype=np.float32), np.arange(h, dtype=np.float32))
    u, v = x - np.float32(frames) * velocity[..., 0], y - np.float32(frames) * velocity[..., 1]
    return cv2.remap(values, u, v, how, borderMode=cv2.BORDER_REPLICATE)
