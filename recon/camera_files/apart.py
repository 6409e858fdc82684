"""Cameras of a clip, and in the same file those of photos of the same place, by which the two worlds are brought together."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera_files.requested import RequestedCameras, fit_to_pictures, read_stated
from recon.errors import CameraError
from recon.pictures.frame_files import stem_of
from recon.pictures.shape import PictureShape


@dataclass(frozen=True)
class CamerasApart:
    """Cameras of a clip's frames, and poses of photos in the same world."""

    frames: RequestedCameras
    photos: tuple[str, ...]
    """Those of the photos asked for that the file names, in its order."""
    photos_cam_from_world: Float[Tensor, "k 4 4"]
    metres_per_unit: float | None
    """Where the file states its unit."""


def read_apart(
    path: Path,
    photos: Sequence[str],
    *,
    width: int,
    height: int,
    convention: str | None = None,
    format: str | None = None,
) -> CamerasApart:
    """Read a camera file whose cameras are those of a clip, but for those that are named as `photos` (by stem).

    Others of the photos' series (their folder, and their name but for its number), which may be photos without a camera here, are
    left out, unless all are of it. World and unit stay those of the file.

    Args:
        width, height: pixels of the clip's frames.

    Raises:
        CaptureError, CameraError: as `read_requested`; a file that names the photos alone, or one of them twice.
    """
    found, stated = read_stated(path, convention, format, metres=False)
    known = {stem_of(name): name for name in photos}
    names = stated.names or ()
    stems = [stem_of(name) for name in names]
    shared = [row for row, stem in enumerate(stems) if stem in known]
    if len({stems[row] for row in shared}) < len(shared):
        raise CameraError(f"{path} names a photo of the capture twice; expected one camera for each")
    series = {_series(names[row]) for row in shared}
    others = [row for row in range(len(stated.labels)) if row not in set(shared)]
    own = [row for row in others if not names or _series(names[row]) not in series] or others
    if not own:
        raise CameraError(
            f"expected the cameras of the clip in {path}, and found those of {len(shared)} photos of the capture alone"
        )
    frames = fit_to_pictures(
        path,
        found,
        stated.take(own),
        PictureShape(width, height),
        ("shown",),
        convention=convention,
        keep_origin=True,
    )
    return CamerasApart(
        frames,
        tuple(known[stems[row]] for row in shared),
        stated.cam_from_world[torch.tensor(shared, dtype=torch.long)],
        None if stated.metres_per_unit == 1 else stated.metres_per_unit,
    )


def _series(name: str) -> tuple[str, str]:
    """Folder, and name without digits."""
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path.parent), "".join(letter for letter in path.stem if not letter.isdigit())
