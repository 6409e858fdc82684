"""Photos that come with cameras, whatever file the cameras are in."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.capture.images import as_unit, decode, shrink
from recon.capture.lens import Lens
from recon.clip import Clip
from recon.errors import CameraError, CaptureError
from recon.progress import track


@dataclass(frozen=True)
class PosedPhoto:
    name: str
    file: Path
    lens: Lens | None
    """As the camera file states it, which may be for a larger or smaller picture; None: not stated, see `fov_x_rad`."""
    cam_from_world: Float[Tensor, "4 4"]
    fov_x_rad: float | None = None
    """Instead of a lens: the horizontal field of view of a pinhole with square pixels."""


def read_posed(
    photos: Sequence[PosedPhoto], source: Path, *, max_side: int | None, resize_mixed: bool
) -> tuple[Clip, list[tuple[str, str]]]:
    """Decodes and undistorts photos to one size; returns them with their pinholes, and what was left out and why.

    Raises:
        CameraError: poses that are none, intrinsics of another picture shape; names `source` and the photo.
        CaptureError: fewer than two of the photos are there, or sizes are mixed.
    """
    poses = [photo.cam_from_world for photo in photos]
    _check(poses, [photo.name for photo in photos], source)
    kept: list[PosedPhoto] = []
    lenses: list[Lens] = []
    pictures = []
    skipped: list[tuple[str, str]] = []
    for photo in track(photos, "reading photos"):
        try:
            pixels, (width, height), _ = decode(photo.file, max_side)
        except FileNotFoundError:
            skipped.append((photo.name, f"{source.name} names {photo.file}, which is not there"))
            continue
        except Exception as e:  # Pillow's decoders raise nearly anything on broken files
            skipped.append((photo.name, f"cannot be decoded ({str(e)[:120]})"))
            continue
        try:
            lens = lens_of(photo, width=width, height=height)
        except CameraError as e:
            raise CameraError(f"{source}: photo {photo.name}: {e}") from e
        kept.append(photo)
        pictures.append(pixels)
        lenses.append(lens.resized(width=pixels.shape[1], height=pixels.shape[0]))
    if len(kept) < 2:
        missing = f" ({skipped[0][0]}: {skipped[0][1]})" if skipped else ""
        raise CaptureError(
            f"expected at least two photos for the cameras in {source}, got {len(kept)}{missing}"
        )
    width, height = _common_size(pictures, source, resize_mixed)
    pictures = [shrink(p, width, height) for p in pictures]
    lenses = [lens.resized(width=width, height=height) for lens in lenses]
    images = torch.stack([as_unit(p) for p in pictures])
    for lens in set(lenses):
        rows = [i for i, other in enumerate(lenses) if other == lens]
        images[rows] = lens.undistort(Clip(images[rows])).images
    K_of = {lens: lens.K for lens in set(lenses)}
    cameras = Cameras(
        torch.stack([photo.cam_from_world for photo in kept]),
        torch.stack([K_of[lens] for lens in lenses]),
        width,
        height,
    )
    names = tuple(photo.name for photo in kept)
    return Clip(images, replace(cameras).checked(names), names=names), skipped


def _check(poses: list[Tensor], names: list[str], source: Path) -> None:
    try:
        n = len(poses)
        Cameras(torch.stack(poses), torch.eye(3, dtype=torch.float64).repeat(n, 1, 1), 1, 1).checked(names)
    except CameraError as e:
        raise CameraError(f"{source}: {e}") from e


def lens_of(photo: PosedPhoto, *, width: int, height: int) -> Lens:
    """The lens for the photo at the size that it has.

    Raises:
        CameraError: it is that of a picture of another shape, or there is neither lens nor field of view.
    """
    if photo.lens is not None:
        return photo.lens.for_pictures(width=width, height=height)
    if photo.fov_x_rad is None or not 0 < photo.fov_x_rad < torch.pi:
        raise CameraError(f"expected a focal length or a field of view, got {photo.fov_x_rad}")
    focal_px = float(width / 2 / torch.tan(torch.tensor(photo.fov_x_rad / 2, dtype=torch.float64)))
    return Lens("PINHOLE", (focal_px, focal_px, width / 2, height / 2), width, height)


def _common_size(pictures: list, source: Path, resize_mixed: bool) -> tuple[int, int]:
    count = Counter((p.shape[1], p.shape[0]) for p in pictures)
    if len(count) > 1 and not resize_mixed:
        found = ", ".join(f"{w}x{h} ({n})" for (w, h), n in count.most_common(4))
        raise CaptureError(
            f"expected photos of one size for {source}, got {found}; "
            "let them be scaled, intrinsics and all, to the most frequent size with --resize-mixed"
        )
    return count.most_common(1)[0][0]
