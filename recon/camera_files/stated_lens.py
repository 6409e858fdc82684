"""A lens as a camera file states it, and for which layout of a picture its numbers are."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from recon.errors import CameraError
from recon.lens import Lens
from recon.pictures.shape import Layout, PictureShape

OFF_CENTRE = 0.2
"""A principal point without a picture size may lie this far from the middle, in widths and heights. A picture that was
halved or doubled since has it at 1 or at 1/4; crops by hand rarely exceed a tenth."""


@dataclass(frozen=True)
class UnsizedLens:
    """Numbers of a lens without the size of the picture that they count in: that of the picture at hand must be meant."""

    model: str
    """COLMAP's name; one whose parameters begin with fx fy cx cy."""
    focal_px: tuple[float | None, float | None] = (None, None)
    """Across and down; where one is missing it equals the other."""
    fov_rad: tuple[float | None, float | None] = (None, None)
    """Of the whole width and height; asked where there is no focal length."""
    principal_px: tuple[float | None, float | None] = (None, None)
    """The middle where it is missing."""
    distortion: tuple[float, ...] = ()

    def at(self, width: int, height: int) -> Lens:
        """The lens, if its numbers are for a picture of that size."""
        fx, fy = (
            f if f is not None else None if fov is None else side / 2 / math.tan(fov / 2)
            for f, fov, side in zip(self.focal_px, self.fov_rad, (width, height), strict=True)
        )
        fx, fy = (fy if fx is None else fx), (fx if fy is None else fy)
        cx, cy = (
            side / 2 if c is None else c for c, side in zip(self.principal_px, (width, height), strict=True)
        )
        if fx is None or fy is None:
            raise CameraError("expected a focal length or a field of view, got neither")
        return Lens(self.model, (fx, fy, cx, cy, *self.distortion), width, height)

    def off_centre(self, width: int, height: int) -> float:
        """How far from the middle its principal point lies in a picture of that size, in widths or heights."""
        pairs = zip(self.principal_px, (width, height), strict=True)
        return max(0.0 if c is None else abs(c / side - 0.5) for c, side in pairs)


StatedLens = Lens | UnsizedLens


def lens_for(stated: StatedLens, shape: PictureShape, order: Sequence[Layout]) -> tuple[Lens, Layout]:
    """The lens at the size of a picture, in the first layout of `order` that its numbers can be for.

    A stated size decides; without one the principal point does, which lies near the middle of the picture that it was
    measured in.

    Raises:
        CameraError: they are for a picture of another shape.
    """
    layouts: Sequence[Layout] = order[:1] if shape.plain else order
    if isinstance(stated, UnsizedLens):
        best = min(layouts, key=lambda layout: stated.off_centre(*shape.size(layout)))
        width, height = shape.size(best)
        if stated.off_centre(width, height) > OFF_CENTRE:
            cx, cy = stated.principal_px
            raise CameraError(
                f"a principal point of ({cx}, {cy}) is for another picture than {width}x{height}, and the camera file "
                "does not state w and h; state them"
            )
        return stated.at(width, height), best
    refused: CameraError | None = None
    for layout in layouts:
        width, height = shape.size(layout)
        try:
            return stated.for_pictures(width=width, height=height), layout
        except CameraError as e:
            refused = refused or e
    raise refused or CameraError("expected a layout to read the picture in, got none")
