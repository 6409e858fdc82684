"""Lenses with distortion, and undistortion; other modules know pinholes only."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip, PictureSet
from recon.colmap.model import Camera
from recon.errors import CameraError
from recon.pictures.canvas import find_boxes, pad_picture
from recon.pictures.lazy import LazyPictures

PINHOLES = ("SIMPLE_PINHOLE", "PINHOLE")
"""COLMAP's camera models without distortion."""
BAND_ROWS = 256
"""Rows of a picture whose rays are computed at once: all those of a 24-megapixel photo would take a gigabyte."""


SMALL_PIXELS = 2_000_000
"""Pixels of a picture up to which the maps of several lenses are kept."""
Pictures = TypeVar("Pictures", bound=PictureSet)


@dataclass(frozen=True)
class Lens:
    """A camera model in COLMAP's terms, as plain data.

    The picture without distortion has the size of the picture with it, and no blank border: the focal length
    grows as far as the distortion makes necessary.
    """

    model: str
    """COLMAP's name: SIMPLE_RADIAL, OPENCV, OPENCV_FISHEYE …"""
    params: tuple[float, ...]
    """In COLMAP's order; the focal length(s) and the principal point come first, in pixels."""
    width: int
    height: int

    @staticmethod
    def pinhole(K: Float[Tensor, "3 3"], *, width: int, height: int) -> "Lens":
        """A lens without distortion. A skewed K is refused, for COLMAP has no word for it."""
        if abs(float(K[0, 1])) > 1e-9 * abs(float(K[0, 0])):
            raise CameraError(f"expected intrinsics without skew, got K[0, 1] = {float(K[0, 1]):.4g}")
        params = (float(K[0, 0]), float(K[1, 1]), float(K[0, 2]), float(K[1, 2]))
        return Lens("PINHOLE", params, width, height)

    @staticmethod
    def pinholes(cameras: Cameras) -> "list[Lens]":
        """The lens of each camera."""
        return [Lens.pinhole(K, width=cameras.width, height=cameras.height) for K in cameras.K.double()]

    def camera(self):
        """The lens as a `pycolmap.Camera`.

        Raises:
            CameraError: COLMAP has no such model, or the model takes another number of parameters.
        """
        from recon.colmap.library import pycolmap

        try:
            camera = pycolmap.Camera(
                model=self.model, width=self.width, height=self.height, params=list(self.params)
            )
        except Exception as e:
            raise CameraError(f"expected a camera model that COLMAP knows, got {self.model!r}") from e
        if not camera.verify_params():
            raise CameraError(
                f"expected the parameters {camera.params_info} of {self.model}, got {len(self.params)} numbers"
            )
        return camera

    @staticmethod
    def from_camera(camera) -> "Lens":
        """From a `pycolmap.Camera`."""
        return Lens(camera.model_name, tuple(float(p) for p in camera.params), camera.width, camera.height)

    def plain(self) -> Camera:
        """The lens as plain data for COLMAP's process."""
        return Camera(self.model, self.params, self.width, self.height)

    def resize(self, *, width: int, height: int) -> "Lens":
        """The same lens for pictures of another size (the whole picture, not a crop)."""
        if (width, height) == (self.width, self.height):
            return self
        camera = self.camera()
        camera.rescale(width, height)
        return Lens.from_camera(camera)

    @property
    def is_pinhole(self) -> bool:
        """Whether the lens has no distortion."""
        return self.model in PINHOLES or all(p == 0 for p in self._distortion)

    @property
    def _distortion(self) -> tuple[float, ...]:
        camera = self.camera()
        return tuple(camera.params[i] for i in camera.extra_params_idxs())

    @property
    def K(self) -> Float[Tensor, "3 3"]:
        """Intrinsics of the undistorted picture, float64."""
        from recon.colmap.library import pycolmap

        camera = self.camera()
        if not self.is_pinhole:
            camera = pycolmap.undistort_camera(pycolmap.UndistortCameraOptions(blank_pixels=0.0), camera)
            camera.rescale(self.width, self.height)
        return torch.from_numpy(np.array(camera.calibration_matrix(), dtype=np.float64))

    def undistort(self, clip: Clip) -> Clip:
        """The pictures as the pinhole `K` would have taken them; cameras are dropped, sizes stay.

        Bicubic, one resampling; pictures of a pinhole come back untouched. The lens is one of the pictures' boxes.

        Raises:
            CameraError: the pictures have another shape than the lens.
        """
        return undistort_clip(clip, [self] * len(clip))

    def undistort_picture(
        self, pixels: Shaped[np.ndarray, "h w 3"], K: Float[Tensor, "3 3"] | None = None
    ) -> Shaped[np.ndarray, "h w 3"]:
        """One picture, of whatever size, as the pinhole `K` would have taken it at that size; None: `self.K` scaled.

        Bicubic; the number type stays, and float values may overshoot.
        """
        import cv2

        height, width = pixels.shape[:2]
        if K is None:
            scale = torch.tensor([width / self.width, height / self.height, 1.0], dtype=torch.float64)
            K = scale[:, None] * self.K
        map_x, map_y = _sampling(self, tuple(K.flatten().tolist()), width, height)
        return cv2.remap(pixels, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)

    @property
    def raw_K(self) -> Float[Tensor, "3 3"]:
        """The focal length(s) and principal point of the taken picture, float64; `K` is cropped to have no border."""
        return torch.from_numpy(np.array(self.camera().calibration_matrix(), dtype=np.float64))

    def undistort_points(
        self, xy: Float[Tensor, "p 2"], K: Float[Tensor, "3 3"] | None = None
    ) -> Float[Tensor, "p 2"]:
        """Where the pinhole `K` would have seen pixels of the taken picture, float64. NaN where the model has no inverse.

        Without `K` it is `raw_K`: the scale of pixels stays that of the picture in its middle, whatever the distortion.
        """
        if (self.is_pinhole and K is None) or not len(xy):
            return xy.double()
        rays = torch.from_numpy(np.array(self.camera().cam_from_img(xy.double().numpy()), dtype=np.float64))
        K = self.raw_K if K is None else K.double()
        return rays[:, :2] * K.diagonal()[:2] + K[:2, 2]

    def for_pictures(self, *, width: int, height: int) -> "Lens":
        """Itself at the size of these pictures, which must differ by a uniform scale only (one pixel is forgiven).

        Raises:
            CameraError: they have another shape.
        """
        scale = width / self.width
        if abs(self.height * scale - height) > max(1.0, scale):
            raise CameraError(
                f"expected pictures of the shape that the camera file states, {self.width}x{self.height}, "
                f"got {width}x{height}; re-export the cameras for these pictures"
            )
        return self.resize(width=width, height=height)


def undistort_clip(clip: Pictures, lenses: Sequence[Lens]) -> Pictures:
    """Pictures as the pinhole of each one's lens would have taken them; cameras are dropped, sizes and boxes stay.

    Pictures that are not in memory are undistorted each time they are read.

    Raises:
        CameraError: a picture's box has another shape than its lens.
    """
    boxes = find_boxes(clip)
    fitting = {
        (lens, box): lens.for_pictures(width=box.width, height=box.height)
        for lens, box in zip(lenses, boxes, strict=True)
    }
    if all(lens.is_pinhole for lens in fitting.values()):
        return replace(clip, cameras=None)

    def straighten(i: int, image: Float[Tensor, "h w 3"]) -> Float[Tensor, "h w 3"]:
        """Picture i without distortion."""
        box, lens = boxes[i], fitting[lenses[i], boxes[i]]
        if lens.is_pinhole:
            return image
        straight = lens.undistort_picture(box.crop(image).contiguous().numpy())
        return torch.from_numpy(pad_picture(straight, box, width=clip.width, height=clip.height)).clamp(0, 1)

    if isinstance(clip.images, LazyPictures):
        return replace(clip, images=clip.images.map(straighten), cameras=None)
    images = torch.empty_like(clip.images)
    rank = {lens: i for i, lens in enumerate(dict.fromkeys(lenses))}
    # one lens after another, for the maps of few are cached
    for i in sorted(range(len(clip)), key=lambda i: rank[lenses[i]]):
        images[i] = straighten(i, clip.images[i])
    return replace(clip, images=images, cameras=None)


def _sampling(
    lens: Lens, K: tuple[float, ...], width: int, height: int
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """Where each pixel of the pinhole `K` (row by row) lies in the distorted picture of `width` x `height`, in OpenCV's
    integer pixel centres."""
    kept = _keep_many if width * height <= SMALL_PIXELS else _keep_two
    return kept(lens, K, width, height)


def _compute_sampling(
    lens: Lens, K: tuple[float, ...], width: int, height: int
) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    camera = lens.camera()
    scale = np.array([width / lens.width, height / lens.height])
    maps = np.empty((2, height, width), np.float32)
    x = (np.arange(width) + 0.5 - K[2]) / K[0]
    for top in range(0, height, BAND_ROWS):
        y = (np.arange(top, min(top + BAND_ROWS, height)) + 0.5 - K[5]) / K[4]
        rays = np.stack([*np.meshgrid(x, y), np.ones((len(y), width))], -1)
        pixels = np.asarray(camera.img_from_cam(rays.reshape(-1, 3))) * scale - 0.5
        maps[:, top : top + len(y)] = pixels.T.reshape(2, len(y), width)
    return maps[0], maps[1]


_keep_two = lru_cache(maxsize=2)(_compute_sampling)
"""Maps of whole photos: those of 24 million pixels take 190 MB."""
_keep_many = lru_cache(maxsize=8)(_compute_sampling)
"""Maps of smaller pictures, by more lenses than a phone has, in whatever order these come: 130 MB at most."""
