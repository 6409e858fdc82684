"""Write a request as a folder that any program can read."""

import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.camera_files.formats.transforms_write import build_transforms, write_transforms
from recon.clip import Clip
from recon.compute.files import hash_file
from recon.pictures.canvas import crop_camera, find_boxes
from recon.pictures.eight_bit import to_eight_bit
from worldgen.model import Request
from worldgen.outside.options import OutsideOptions
from worldgen.units import median_depth

FORMAT, VERSION = "bridge4d-request", 1
NOTHING = 128
"""Grey of what no photo shows, in warped/: models that fill holes are trained with grey ones."""


def write_request(folder: Path, request: Request, *, seed: int, options: OutsideOptions) -> None:
    """Write a request to an empty folder; ``request.json`` comes last, and says that it is whole.

    Args:
        folder: is made; see docs/models.md for what is written.
        request: its context has cameras.
        seed: for the model's own random numbers.
        options: `depth`, `warped` and `rendering` say what is written besides.
    """
    targets, context = request.targets.to("cpu", torch.float64), request.context
    folder.mkdir(parents=True)
    given = context.require_cameras().to("cpu", torch.float64)
    numbered = Clip(context.images, given, confidence=context.confidence)
    write_transforms(folder / "transforms.json", numbered)
    names = [f"images/{i:05d}.png" for i in range(len(targets))]
    _write_json(folder / "targets.json", build_transforms(targets, names))
    photos = [crop_camera(given[i], box) for i, box in enumerate(find_boxes(numbered))]
    np.savez(
        folder / "cameras.npz",
        context_cam_from_world=given.cam_from_world.numpy(),
        context_K=np.concatenate([photo.K.numpy() for photo in photos]) if photos else np.zeros((0, 3, 3)),
        context_size=np.array([[photo.width, photo.height] for photo in photos], np.int64).reshape(-1, 2),
        target_cam_from_world=targets.cam_from_world.numpy(),
        target_K=targets.K.numpy(),
        target_size=np.array([targets.width, targets.height]),
        times_s=np.zeros(0) if request.times_s is None else request.times_s.double().numpy(),
    )
    if options.depth:
        _write_depth(folder / "depth.npz", request)
    if options.warped:
        _write_warped(folder, request)
    if options.rendering and (drawn := request.rendering) is not None:
        _write_pictures(folder / "rendering", drawn.images)
        _write_pictures(folder / "alpha", drawn.alpha)
    said = {
        "format": FORMAT,
        "version": VERSION,
        "prompt": request.prompt or "",
        "seed": seed,
        "context": len(context),
        "targets": len(targets),
        "width": targets.width,
        "height": targets.height,
        "median_depth": median_depth(request.scene.points, request.context.cameras),
        "metres_per_unit": request.scene.metres_per_unit,
    }
    _write_json(folder / "request.json", said)


def hash_request(folder: Path, *besides: str) -> str:
    """A short hash of all that a request holds, and of what else decides its answer."""
    digest = hashlib.sha256("\0".join(besides).encode())
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{file.relative_to(folder)}\0{hash_file(file)}\0".encode())
    return digest.hexdigest()[:16]


def _write_depth(file: Path, request: Request) -> None:
    """Depth of the photos of which it is known, with their cameras; `index` counts in the context."""
    if request.scene.depth is None:
        return
    photos, maps = request.scene.depth
    places = {name: i for i, name in enumerate(request.context.names)}
    rows = [i for i, name in enumerate(photos.names) if name in places]
    cameras = photos.require_cameras()[rows]
    np.savez(
        file,
        index=np.array([places[photos.names[i]] for i in rows], np.int64),
        depth=maps.depth[rows].float().numpy(),
        confidence=maps.confidence[rows].float().numpy(),
        cam_from_world=cameras.cam_from_world.double().numpy(),
        K=cameras.K.double().numpy(),
    )


def _write_warped(folder: Path, request: Request) -> None:
    """The photos moved into the targets, grey where none looks; in mask/ that is white."""
    from worldgen.models.warp import Warp

    views = Warp().generate(request, generator=torch.Generator())
    assert views.seen is not None
    hole = views.seen < 1
    _write_pictures(folder / "warped", torch.where(hole[..., None], NOTHING / 255, views.clip.images))
    _write_pictures(folder / "mask", hole.float())


def _write_pictures(folder: Path, values: Float[Tensor, "n h w *c"]) -> None:
    """PNGs of 8 bits, grey where there is one value a pixel."""
    from PIL import Image

    folder.mkdir()
    for i, pixels in enumerate(to_eight_bit(values).numpy()):
        Image.fromarray(pixels).save(folder / f"{i:05d}.png", compress_level=1)


def _write_json(file: Path, said: object) -> None:
    file.write_text(json.dumps(said, indent=1, allow_nan=False), encoding="utf-8")
