"""Training samples for mixing: scenes fitted to few photos of procedural places, and what `bridge` makes of the same views.

Photos go through the real pipeline: depth by plane sweep, splats trained on them, frames generated from them. Mixing
learns from the faults that these have.
"""

from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import open_safetensors
from recon.clip import Clip
from recon.compute.files import atomic_write
from recon.compute.seeds import make_generator
from recon.gaussians import Gaussians
from recon.scene import Scene
from recon.splats.fit import FitOptions, fit_gaussians
from recon.splats.fitting.start_cloud import StartCloud
from worldgen.model import Request
from worldgen.models.bridge.mixing.evidence import Evidence
from worldgen.models.bridge.model import Bridge, BridgeOptions

PHOTOS = (3, 3, 4, 6, 6, 9)
"""Photos of a place, each as often as it stands here: few, which is what generated frames are for."""
ITERATIONS = (100, 200, 400)
"""Lengths of training, of which leaving photos out chooses one for few photos."""
DROPOUT = 0.3
"""As scenes of few photos are trained."""
GAUSSIANS_PER_PIXEL = 0.3
"""Most Gaussians over the pixels of a photo: 50,000 at 480x360, as drafts have."""
SIZES = ((256, 192), (320, 240))
"""Of the pictures, each as often as it stands here."""
TARGETS = 6
"""Views of a place."""
LARGEST_FILE = 64 << 20
"""Bytes; a place of six views of 320x240 has 14 MB."""
FIT, ASK = 1, 2
"""Numbers of the streams of random numbers of a place."""


def make_place(
    index: int, seed: int, *, weights: Path | None = None
) -> tuple[Evidence, Float[Tensor, "n 3 h w"]]:
    """Evidence about the views of place number `index`, and how they truly look; the same arguments give the same."""
    from worldgen.scenes import sample_shot

    generator = make_generator(seed, index)
    photos = PHOTOS[draw(len(PHOTOS), generator)]
    width, height = SIZES[draw(len(SIZES), generator)]
    length = ITERATIONS[draw(len(ITERATIONS), generator)]
    shot = sample_shot(generator, width=width, height=height, contexts=photos, targets=TARGETS)
    model = Bridge(BridgeOptions(weights=weights))
    request = Request(shot.context, shot.truth.require_cameras(), scene=Scene(points=shot.points))
    maps = model.depth.of(request)
    scene = fit_place(
        shot.context, StartCloud(shot.points, None, maps, 0), length, make_generator(seed, index, FIT)
    )
    known = replace(request.scene, gaussians=scene)
    evidence = model.collect_evidence(
        replace(request, scene=known), generator=make_generator(seed, index, ASK)
    )
    return evidence, shot.truth.images.permute(0, 3, 1, 2).float()


def draw(n: int, generator: torch.Generator) -> int:
    """A number from 0 to n - 1."""
    return int(torch.randint(n, (1,), generator=generator))


def fit_place(photos: Clip, start: StartCloud, iterations: int, generator: torch.Generator) -> Gaussians:
    """A scene of few photos, trained as drafts are."""
    cap = round(GAUSSIANS_PER_PIXEL * photos.width * photos.height)
    points = replace(start, surface_count=cap // 2).draw(photos, range(len(photos)), generator)
    options = FitOptions(iterations=iterations, cap=cap, dropout=DROPOUT)
    return fit_gaussians(photos, points, options=options, generator=generator).gaussians


def save_place(evidence: Evidence, truth: Float[Tensor, "n 3 h w"], path: Path) -> None:
    """As bytes; the file is whole or absent."""
    from safetensors.torch import save_file

    tensors = {
        "pictures": _bytes(evidence.pictures),
        "signs": _bytes((evidence.signs + 1) / 2),
        "truth": _bytes(truth),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as beside:
        save_file(tensors, beside)


def load_place(path: Path) -> tuple[Evidence, Float[Tensor, "n 3 h w"]]:
    """Evidence and truth of one place.

    Raises:
        BridgeError: no such file, or another one.
    """
    with open_safetensors(path, most=LARGEST_FILE) as file:
        pictures, signs, truth = (
            file.get_tensor(name).float() / 255 for name in ("pictures", "signs", "truth")
        )
    return Evidence(pictures, 2 * signs - 1), truth


def _bytes(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255 + 0.5).to(torch.uint8).contiguous()
