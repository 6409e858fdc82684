"""Training samples: photos of a place through the real plane sweep, one at a time, with their true depth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import open_safetensors
from recon.compute.files import atomic_write
from recon.depth.learned.inputs import SweptPhoto
from recon.depth.learned.search import LearnedSearch
from recon.points import PointCloud
from worldgen.depth_training.shots import DepthShot
from worldgen.scenes.visibility import visible

COUNTS = (2, 3, 3, 3, 4, 6)
"""Photos that a sample is searched with, each as often as it stands here: few, which is what the network is for."""
NO_POINTS_SHARE = 0.12
"""Of samples, without SfM points, so that the searched range comes from the cameras alone."""
SIDES = (240, 240, 320)
"""Long sides of the photos of a sample, each as often as it stands here: small ones are searched twice as fast."""
LARGEST_FILE = 32 << 20
"""Bytes; a sample of 160x120 has 3 MB."""


@dataclass(frozen=True)
class DepthSample:
    given: SweptPhoto
    truth: Float[Tensor, "h w"]
    """True share of depth, in [0, 1] where it lies in the searched range; NaN where nothing is hit."""
    span: tuple[float, float]
    """Inverse depths of share 0 and 1, world units."""


def seen_twice(shot: DepthShot, picks: list[int]) -> PointCloud:
    """The points that at least two of the picked photos see, which structure from motion of these could have made."""
    if len(shot.points) == 0:
        return shot.points
    cameras = shot.clip.require_cameras()[picks]
    seen = visible(shot.points.xyz.double(), cameras, shot.depth[picks].double(), 0.05)
    return shot.points[seen.sum(0) >= 2]


def shrink(shot: DepthShot, max_side: int) -> DepthShot:
    """The place with photos of a long side of at most `max_side` pixels, and depth at the nearest pixels."""
    clip = shot.clip.limit_size(max_side).load()
    depth = torch.nn.functional.interpolate(
        shot.depth[:, None], (clip.height, clip.width), mode="nearest-exact"
    )
    return DepthShot(clip, shot.points, depth[:, 0])


def draw_photos(rng: np.random.Generator, photos: int) -> list[int]:
    """Some of the photos of a walk, near one another or far apart."""
    count = min(int(rng.choice(COUNTS)), photos)
    step = int(rng.integers(1, (photos - 1) // (count - 1) + 1))
    first = int(rng.integers(0, photos - step * (count - 1)))
    return [first + k * step for k in range(count)]


def make_samples(shot: DepthShot, rng: np.random.Generator, count: int) -> list[DepthSample]:
    """Samples of one place, of several choices of its photos."""
    made, whole = [], shot
    while len(made) < count:
        shot = shrink(whole, int(rng.choice(SIDES)))
        picks = draw_photos(rng, len(shot.clip))
        points = seen_twice(shot, picks)
        kept = torch.from_numpy(rng.random(len(points)) < rng.uniform(0.2, 1))
        given = None if rng.random() < NO_POINTS_SHARE else points[kept]
        search = LearnedSearch(shot.clip[picks], points=given, engine="numba")
        search.search_all()
        for slot in rng.permutation(len(picks))[: count - len(made)].tolist():
            made.append(_sample(search, slot, shot.depth[picks[slot]]))
    return made


def _sample(search: LearnedSearch, i: int, depth: Float[Tensor, "h w"]) -> DepthSample:
    inverse_depths = search.inverse_depths(i)
    far, near = float(inverse_depths[0]), float(inverse_depths[-1])
    share = torch.where(depth > 0, (1 / depth.clamp_min(1e-9).double() - far) / (near - far), torch.nan)
    return DepthSample(search.describe(i), halve_truth(share.float()), (far, near))


def halve_truth(share: Float[Tensor, "h w"]) -> Float[Tensor, "h2 w2"]:
    """Half of the size: the second lowest of four pixels, so that nothing lies between two surfaces; NaN where half have none."""
    h, w = share.shape[0] // 2, share.shape[1] // 2
    four = share[: 2 * h, : 2 * w].reshape(h, 2, w, 2).permute(0, 2, 1, 3).reshape(h, w, 4)
    return four.sort(-1).values[..., 1]  # NaN sorts last


def save_samples(samples: list[DepthSample], path: Path) -> None:
    """Costs and colours as bytes, shares in half precision, all samples of a place in one file."""
    from safetensors.torch import save_file

    tensors: dict[str, Tensor] = {}
    for number, sample in enumerate(samples):
        given = sample.given
        parts = {
            "cost": _bytes(given.cost), "total": _bytes(given.total), "image": _bytes(given.image),
            "swept": given.swept.half(), "winner": given.winner.half(), "points": given.points.half(),
            "refined": given.refined, "mismatch": given.mismatch.half(), "agreeing": given.agreeing.to(torch.uint8),
            "truth": sample.truth.half(), "span": torch.tensor(sample.span, dtype=torch.float64),
            "about": torch.tensor([given.neighbours, given.plane_px], dtype=torch.float64),
        }  # fmt: skip
        tensors |= {f"{number}.{name}": x.contiguous() for name, x in parts.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as beside:
        save_file(tensors, beside)


def load_sample(path: Path, number: int) -> DepthSample:
    """One sample of a file that `save_samples` kept.

    Raises:
        BridgeError: no such file, or another one.
    """
    with open_safetensors(path, most=LARGEST_FILE) as file:

        def part(name: str) -> Tensor:
            """A tensor of the sample."""
            return file.get_tensor(f"{number}.{name}")

        about, span = part("about").tolist(), part("span").tolist()
        given = SweptPhoto(
            part("cost").float() / 255, part("total").float() / 255, part("image").float() / 255,
            part("swept").float(), part("winner").float(), part("refined"), part("mismatch").float(),
            part("agreeing").float(), part("points").float(), int(about[0]), about[1],
        )  # fmt: skip
        return DepthSample(given, part("truth").float(), (span[0], span[1]))


def augment(sample: DepthSample, rng: np.random.Generator) -> DepthSample:
    """Mirrored, turned upside down once in a while, in other colours, with fewer points."""
    given, truth = sample.given, sample.truth
    if rng.random() < 0.5:
        given, truth = _map_pictures(given, lambda x: x.flip(-1)), truth.flip(-1)
    colour = torch.from_numpy(rng.permutation(3)) if rng.random() < 0.5 else torch.arange(3)
    gain = torch.from_numpy(rng.uniform(0.7, 1.3, 3).astype(np.float32))[:, None, None]
    image = (given.image[colour] * gain * float(rng.uniform(0.7, 1.3))).clamp(0, 1) ** float(
        rng.uniform(0.7, 1.4)
    )
    points = given.points
    if rng.random() < 0.4:
        gone = torch.from_numpy(rng.random(points.shape) < rng.uniform(0, 1))
        points = torch.where(gone, -1.0, points)
    return replace(sample, given=replace(given, image=image, points=points), truth=truth)


def crop(sample: DepthSample, top: int, left: int, height: int, width: int) -> DepthSample:
    """A part of a sample; the position that the network is told is that in the crop."""

    def cut(x: Tensor) -> Tensor:
        """The part of a picture."""
        return x[..., top : top + height, left : left + width]

    return replace(sample, given=_map_pictures(sample.given, cut), truth=cut(sample.truth))


def _map_pictures(given: SweptPhoto, change: Callable[[Tensor], Tensor]) -> SweptPhoto:
    names = ("cost", "total", "image", "swept", "winner", "refined", "mismatch", "agreeing", "points")
    return replace(given, **{name: change(getattr(given, name)) for name in names})


def _bytes(x: Tensor) -> Tensor:
    return (x.clamp(0, 1) * 255 + 0.5).to(torch.uint8)
