"""Lenses as a camera file states them, and the picture layout that their numbers are for."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from recon.camera_files.rigid import half_digit
from recon.errors import CameraError
from recon.lens import Lens
from recon.pictures.shape import Layout, PictureShape

FISHEYE = "OPENCV_FISHEYE"
"""COLMAP's name of the equidistant fisheye with four coefficients."""
MAX_SIDE_PX = 1e6
"""Largest side of a picture that a file may state; a larger one is damage."""
MAX_OFF_CENTRE = 0.2
"""Largest distance of a principal point without a picture size from the middle, in widths and heights. A picture that was
halved or doubled since has it at 1 or at 1/4, which is 0.5 and 0.25 from the middle; twice the limit would let the latter
pass. Crops by hand rarely exceed a tenth."""
SQUARE_PIXEL_TOLERANCE = 0.02
"""Largest difference of fx / fy from 1 without a note; calibrations of square pixels are not exact."""
PIXELS_OF_THE_PICTURE = (0.0, 0.0)
"""Stands for a size where the file gives pixels and no size: the picture at hand must be meant."""
NORMALISED = (1.0, 1.0)
"""Stands for a size where the intrinsics are in units of the picture's width and height."""


def check_size(width: float, height: float, what: str) -> tuple[int, int]:
    """Check the picture size that a camera file states; cut off fractions, which some exporters write.

    Args:
        what: subject of the error's sentence.

    Raises:
        CameraError: less than a pixel, more than `MAX_SIDE_PX`, or NaN.
    """
    if not (1 <= width <= MAX_SIDE_PX and 1 <= height <= MAX_SIDE_PX):
        raise CameraError(
            f"{what} is for pictures of {width:.9g}x{height:.9g}, expected 1 to {MAX_SIDE_PX:,.0f} pixels a side; state "
            "the size of the pictures"
        )
    return int(width), int(height)


@dataclass(frozen=True)
class UnsizedLens:
    """A lens stated without the size of its picture; that of the picture at hand must be meant."""

    model: str
    """COLMAP's name; one whose parameters begin with fx fy cx cy."""
    focal_px: tuple[float | None, float | None] = (None, None)
    """Focal length (x, y); a missing one equals the other."""
    fov_rad: tuple[float | None, float | None] = (None, None)
    """Field of view of the whole width and height; must agree with the focal length, except of a fisheye."""
    fov_within_rad: tuple[float, float] = (0.0, 0.0)
    """Rounding error of `fov_rad` by the digits of the file."""
    principal_px: tuple[float | None, float | None] = (None, None)
    """Principal point; the middle of the picture where it is missing."""
    distortion: tuple[float, ...] = ()
    """Parameters after fx fy cx cy, in COLMAP's order."""

    def at(self, width: int, height: int) -> Lens:
        """The lens for a picture of a size in pixels.

        Raises:
            CameraError: no focal length, or one that contradicts the field of view.
        """
        fx, fy = (self._focal_px(axis, side) for axis, side in enumerate((width, height)))
        fx, fy = (fy if fx is None else fx), (fx if fy is None else fy)
        cx, cy = (
            side / 2 if c is None else c for c, side in zip(self.principal_px, (width, height), strict=True)
        )
        if fx is None or fy is None:
            raise CameraError("expected a focal length or a field of view, got neither")
        return Lens(self.model, (fx, fy, cx, cy, *self.distortion), width, height)

    def _focal_px(self, axis: int, side: int) -> float | None:
        """Focal length along an axis (0: x, 1: y): the stated one, else that of a pinhole's field of view."""
        focal, fov = self.focal_px[axis], self.fov_rad[axis]
        if fov is None:
            return focal
        if focal is None:
            if self.model == FISHEYE:
                raise CameraError("expected fl_x and fl_y of a fisheye, got a field of view; state them")
            return side / 2 / math.tan(fov / 2)
        # pictures that were scaled have sides rounded to pixels
        slack, digit = self.fov_within_rad[axis], half_digit(focal)
        least = 2 * math.atan((side - 1) / 2 / (focal + digit)) - slack
        most = 2 * math.atan2((side + 1) / 2, focal - digit) + slack
        if self.model != FISHEYE and not least <= fov <= most:
            letter, word = "xy"[axis], ("width", "height")[axis]
            raise CameraError(
                f"a focal length fl_{letter} of {focal:g} pixels and a field of view of {fov:.4g} radians "
                f"({math.degrees(fov):.4g} degrees) contradict each other in a picture of {side} pixels of {word}, where that "
                f"field has {side / 2 / math.tan(fov / 2):g}; remove the one that is wrong"
            )
        return focal


StatedLens = Lens | UnsizedLens
"""A lens with the size of its picture, or without."""


@dataclass(frozen=True)
class StatedK:
    """Intrinsics as a matrix, with the picture that they are for."""

    K: Float[Tensor, "3 3"]
    size: tuple[float, float]
    """(width, height), `PIXELS_OF_THE_PICTURE` or `NORMALISED`."""


@dataclass(frozen=True)
class Misfit:
    """How badly the numbers of a lens fit a picture of some size."""

    by: float
    """0: they fit; infinity: they are for another picture."""
    why: str = ""
    """What does not fit, as a clause."""
    cure: str = ""
    """What to do, as a clause."""


def measure_misfit(stated: StatedLens | StatedK, width: int, height: int) -> Misfit:
    """Measure how badly a stated lens fits a picture of a size in pixels.

    A stated size decides. Without one the principal point does, which lies near the middle of the picture that it was
    measured in. Normalised intrinsics are judged by how square the pixels become.
    """
    if isinstance(stated, StatedK) and stated.size == NORMALISED:
        off = abs(float(stated.K[0, 0] * width / (stated.K[1, 1] * height)) - 1)
        return Misfit(0.0 if off < SQUARE_PIXEL_TOLERANCE else off)
    if isinstance(stated, UnsizedLens) or (
        isinstance(stated, StatedK) and stated.size == PIXELS_OF_THE_PICTURE
    ):
        cx, cy = _principal_point(stated, width, height)
        off = max(abs(cx / width - 0.5), abs(cy / height - 0.5))
        if off <= MAX_OFF_CENTRE:
            return Misfit(off)
        return Misfit(
            math.inf,
            f"a principal point of ({round(cx, 2)}, {round(cy, 2)}) is for another picture than {width}x{height}, and the "
            "camera file does not state w and h",
            "state them",
        )
    w, h = stated.size if isinstance(stated, StatedK) else (stated.width, stated.height)
    if abs(h * width / w - height) <= max(1.0, width / w):
        return Misfit(0.0)
    return Misfit(
        math.inf,
        f"expected pictures of the shape that the camera file states, {w:g}x{h:g}, got {width}x{height}: whether they were "
        "cropped or squeezed is not known",
        "export the cameras again for these pictures",
    )


def _principal_point(stated: UnsizedLens | StatedK, width: int, height: int) -> tuple[float, float]:
    if isinstance(stated, StatedK):
        return float(stated.K[0, 2]), float(stated.K[1, 2])
    cx, cy = stated.principal_px
    return width / 2 if cx is None else float(cx), height / 2 if cy is None else float(cy)


def choose_layout(
    stated: StatedLens | StatedK, shape: PictureShape, order: Sequence[Layout]
) -> tuple[Layout, Misfit]:
    """Choose the picture layout that a stated lens fits best; of equals the first in `order`."""
    layouts: Sequence[Layout] = order[:1] if shape.plain else order
    if not layouts:
        raise CameraError("expected a layout to read the picture in, got none")
    fits = {layout: measure_misfit(stated, *shape.size(layout)) for layout in layouts}
    best = min(layouts, key=lambda layout: fits[layout].by)
    return best, fits[best]


def choose_lens(stated: StatedLens, shape: PictureShape, order: Sequence[Layout]) -> tuple[Lens, Layout]:
    """The lens scaled to a picture, and the layout that its numbers are for.

    Raises:
        CameraError: they are for a picture of another shape.
    """
    layout, misfit = choose_layout(stated, shape, order)
    if misfit.by == math.inf:
        raise CameraError(f"{misfit.why}; {misfit.cure}")
    width, height = shape.size(layout)
    if isinstance(stated, UnsizedLens):
        return stated.at(width, height), layout
    return stated.resize(width=width, height=height), layout
