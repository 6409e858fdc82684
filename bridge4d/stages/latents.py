"""Compare generated frames with the photos moved to them, in the features of an encoder."""

from pathlib import Path
from typing import TypedDict

import torch

from bridge4d.runs import store
from bridge4d.runs.stored_json import write_json
from bridge4d.runs.typed_json import read_typed
from bridge4d.stages import depth, sfm
from eval.pictures.latents import latent_distances, load_encoder
from recon.compute.progress import track
from worldgen.models.warp import WarpOptions, nearest_photos, see_from

VERSION = 1
SEEN = 0.5
"""Confidence of the moved photos from which a pixel counts as seen."""


class LatentRow(TypedDict):
    """Distances of one frame; None where the photos show too little of it."""

    name: str
    distance: float | None
    untrained: float | None


def compare_latents(
    generated: Path, cameras: Path, surfaces: Path, out: Path, *, encoder: str, max_side: int, seed: int
) -> None:
    """Distance between each frame and the photos moved to it, by the encoder, and by one with random weights.

    Args:
        generated: what `views.plan_and_generate` wrote.
        cameras: what `sfm.recover_cameras` wrote.
        surfaces: what `depth.estimate_depth` wrote.
        out: an empty folder, made where it is absent; gets ``latents.json``, a row a frame.
        encoder: as `eval.pictures.latents.load_encoder` takes it.
        max_side: long side of the photos in pixels at which depth was estimated.
    """
    out.mkdir(parents=True, exist_ok=True)
    frames, photos = store.load_clip(generated), sfm.load_photos(cameras, max_side)
    maps, options = depth.load_maps(surfaces), WarpOptions()
    rows: list[LatentRow] = [{"name": name, "distance": None, "untrained": None} for name in frames.names]
    if maps is None:  # nothing can be moved
        write_json(out / "latents.json", rows)
        return
    trained = load_encoder(encoder)
    random = load_encoder(encoder, untrained=torch.Generator().manual_seed(seed))
    targets, posed = frames.require_cameras(), photos.require_cameras()
    for i, row in enumerate(track(rows, "comparing features", len(rows))):
        picks = nearest_photos(posed, maps, targets[i], options.photos)
        sight = see_from(photos, maps, targets[i], picks, options)
        pictures = (frames.images[i : i + 1], sight.colour[None], (sight.confidence[None] > SEEN).float())
        (row["distance"],) = latent_distances(trained, *pictures)
        (row["untrained"],) = latent_distances(random, *pictures)
    write_json(out / "latents.json", rows)


def load_latents(folder: Path) -> list[LatentRow]:
    """What `compare_latents` wrote.

    Raises:
        DamagedFileError: it is not what was written.
    """
    return read_typed(folder / "latents.json", list[LatentRow])
