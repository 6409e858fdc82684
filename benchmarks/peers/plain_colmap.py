"""The plain recipe: a clip's frames as files through pycolmap's defaults, as most scripts that publish a pose error do.

SIFT with up to 8192 features, all pairs, the incremental mapper, one camera for the clip (`CameraMode.SINGLE`); every
other option, the number of threads (all cores) included, is pycolmap's own. One clip after the other, in one process.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.clips.read import read_clip
from recon.clips.source import ClipSource
from recon.colmap.write import pose_matrix
from recon.sfm.features.colmap_sift import write_pictures


@dataclass(frozen=True)
class Plain:
    """What the recipe made of one clip."""

    registered: Bool[Tensor, "n"]
    cameras: Cameras | None
    """Of the registered frames, in order, as pinholes; None where there is no model."""
    requested: Cameras | None


def recover_all(sources: Sequence[ClipSource], *, max_side: int) -> dict[str, Plain]:
    """Every clip in turn, at the size at which `bridge4d measure` looks at it."""
    out = {}
    for source in sources:
        clip = read_clip(source, max_side=max_side).clip
        with tempfile.TemporaryDirectory() as folder:
            out[source.name] = recover(clip, Path(folder))
    return out


def recover(clip: Clip, folder: Path) -> Plain:
    """The largest model, in frames."""
    import pycolmap

    files = write_pictures(clip, folder / "images")
    database, models = folder / "database.db", folder / "sparse"
    models.mkdir()
    pycolmap.extract_features(database, folder / "images", camera_mode=pycolmap.CameraMode.SINGLE)
    pycolmap.match_exhaustive(database)
    found = pycolmap.incremental_mapping(database, folder / "images", models)
    if not found:
        return Plain(torch.zeros(len(clip), dtype=torch.bool), None, clip.cameras)
    model = max(found.values(), key=lambda m: m.num_reg_images())
    images = {image.name: image for image in (model.image(i) for i in model.reg_image_ids())}
    there = [images[file] for file in files if file in images]
    K = {camera_id: camera.calibration_matrix() for camera_id, camera in model.cameras.items()}
    cameras = Cameras(
        torch.stack([pose_matrix(image.cam_from_world()) for image in there]),
        torch.stack([torch.from_numpy(K[image.camera_id]) for image in there]),
        clip.width,
        clip.height,
    )
    return Plain(torch.tensor([file in images for file in files]), cameras, clip.cameras)
