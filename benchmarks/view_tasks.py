"""Which photos the benchmarks of generated views give to a model, and which judge."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from recon.camera_files.formats.colmap import find_model
from recon.camera_files.formats.transforms import has_cameras
from recon.cameras import Cameras
from recon.capture.read import read_capture
from recon.clip import Clip
from recon.errors import BridgeError

BASELINE = "warp"


@dataclass(frozen=True)
class ViewArguments:
    """Which captures, photos and models."""

    captures: Path = Path("../shared/captures")
    """Folder of captures; those with reference cameras take part."""
    only: tuple[str, ...] = ()
    """Names of captures; all where none is given."""
    models: str = BASELINE
    """Names of world models, separated by commas; warp always takes part."""
    contexts: tuple[int, ...] = (3, 6, 9)
    """Numbers of photos given."""
    limit: int | None = None
    """At most so many targets a capture, evenly spaced; all other photos by default."""
    side: int = 384
    """Long side of the pictures, px."""
    points: bool = False
    """Give models the points that COLMAP triangulates from the context photos alone, with their reference cameras;
    without them the range of depths is a guess from the distances between cameras."""
    seed: int = 0
    out: Path = Path("runs/views")
    """Keeps what was generated and measured, for all benchmarks of views; started again it continues. Tables and
    their .json are those of the last run of each benchmark."""

    @property
    def model_names(self) -> list[str]:
        """warp first, each once."""
        return list(
            dict.fromkeys([BASELINE, *(name.strip() for name in self.models.split(",") if name.strip())])
        )


@dataclass(frozen=True)
class Task:
    """A capture, so many of its photos given, others that judge."""

    capture: str
    context: Clip
    targets: Clip
    seed: int
    with_points: bool = False

    @property
    def name(self) -> str:
        return f"{self.capture}-{len(self.context)}{'-points' if self.with_points else ''}"

    @property
    def given(self) -> list[Any]:
        """What the context is, for stages that depend on it."""
        return [self.capture, self.with_points, *_identity(self.context)]

    @property
    def identity(self) -> list[Any]:
        return [*self.given, *_identity(self.targets), self.seed]


def _identity(clip: Clip) -> list[Any]:
    cameras = clip.require_cameras()
    return [
        clip.names,
        zlib.crc32(clip.images.numpy().tobytes()),
        cameras.cam_from_world.tolist(),
        cameras.K.tolist(),
    ]


def tasks(arguments: ViewArguments) -> Iterator[Task]:
    """Every capture with reference cameras at every number of contexts that leaves a photo to judge.

    Raises:
        BridgeError: there is no such capture.
    """
    folders = [
        p for p in sorted(arguments.captures.iterdir()) if not arguments.only or p.name in arguments.only
    ]
    folders = [p for p in folders if p.is_dir() and _has_cameras(p)]
    if not folders:
        raise BridgeError(
            f"expected captures with reference cameras below {arguments.captures}, found none; set --captures"
        )
    for folder in folders:
        photos = read_capture(folder, max_side=arguments.side).clip
        for count in arguments.contexts:
            if count < len(photos):
                yield _task(folder.name, photos, count, arguments)


def _has_cameras(folder: Path) -> bool:
    return has_cameras(folder / "transforms.json") or find_model(folder) is not None


def _task(name: str, photos: Clip, count: int, arguments: ViewArguments) -> Task:
    given = choose_contexts(photos.require_cameras(), count)
    others = [i for i in range(len(photos)) if i not in given]
    picks = [others[i] for i in evenly(len(others), arguments.limit)]
    return Task(name, photos[given], photos[picks], arguments.seed, arguments.points)


def choose_contexts(cameras: Cameras, count: int) -> list[int]:
    """Farthest-point sampling of camera centres (Gonzalez 1985), begun at the most central camera: the one with the
    smallest sum of distances to all others. Of equals the first. It looks at cameras only, and fewer contexts are
    the beginning of more."""
    centers = cameras.centers.double()
    apart = torch.cdist(centers, centers, compute_mode="donot_use_mm_for_euclid_dist")
    picks = [int(apart.sum(1).argmin())]
    while len(picks) < count:
        nearest = apart[:, picks].min(1).values
        nearest[picks] = -1
        picks.append(int(nearest.argmax()))
    return picks


def evenly(n: int, limit: int | None) -> list[int]:
    """Up to `limit` of n indices, evenly spread from first to last; the middle one for a limit of one."""
    if limit is None or limit >= n:
        return list(range(n))
    if limit == 1:
        return [n // 2]
    return torch.linspace(0, n - 1, limit, dtype=torch.float64).round().long().tolist()
