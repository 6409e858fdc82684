"""A finished clip behind the world-model protocol: it chooses the cameras, and knows the view from each of them."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Bool
from torch import Tensor

from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError, ReconstructionError
from recon.scene import Scene
from worldgen.finished.options import FinishedOptions
from worldgen.finished.place import find_world
from worldgen.finished.read import FinishedClip
from worldgen.finished.recover import recover_frames
from worldgen.model import ModelSpec, Request, Views

SAME_POSE = 1e-6
"""Difference of pose entries, over the size of the largest, up to which a target is a camera of the clip: rounding."""


class Finished:
    """Shows the frames of a clip that somebody else made.

    Args:
        path: a video, or a folder of frames.
        folder: not used; a clip leaves nothing behind.

    Raises:
        BridgeError: no clip there, or not the file of cameras that was named.
    """

    def __init__(self, path: str, options: FinishedOptions, *, folder: Path | None = None) -> None:
        self.options = options
        self._kept: tuple[tuple, Clip] | None = None
        self.finished = FinishedClip(Path(path), options)
        for file in (self.finished.path, options.cameras):
            if file is not None and not file.exists():
                raise BridgeError(
                    f"expected a finished clip and, if named, a file of its cameras, there is nothing at {file}"
                )

    @cached_property
    def spec(self) -> ModelSpec:
        """It takes any size and number, and no photos."""
        return ModelSpec(
            name="finished", conditions_on=("cameras",), gives_confidence=True, license=self.options.license
        )

    def choose_targets(self, context: Clip, scene: Scene, *, count: int | None, part: int = 1) -> Cameras:
        """Its cameras in the scene's frame, at the size of the photos.

        Args:
            count: at most so many, spread evenly; None: all.
            part: which share of the frames: those of earlier parts are left out.

        Raises:
            ReconstructionError: earlier parts took all frames.
            BridgeError: as `find_world`, or a clip that cannot be read.
        """
        cameras = self._place(context, scene).require_cameras()
        step = 1 if count is None else math.ceil(len(cameras) / count)
        if part > step:
            raise ReconstructionError(
                f"earlier rounds took all {len(cameras)} frames of {self.finished.path}"
            )
        return cameras[part - 1 :: step]

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """The frames of these cameras, which must be its own; nothing is drawn from the generator.

        Raises:
            BridgeError: a target from which the clip has no frame.
        """
        placed = self._place(request.context, request.scene)
        rows = self._rows_of(request.targets, placed.require_cameras())
        sure = placed.confidence
        assert sure is not None
        shown = replace(
            placed,  # not placed[rows]: its names would repeat where a target does
            images=placed.images[rows],
            cameras=placed.require_cameras()[rows],
            confidence=sure[rows],
            times_s=request.times_s,
            names=tuple(f"{i:05d}" for i in range(len(rows))),
        )
        return Views(shown)

    def _rows_of(self, targets: Cameras, cameras: Cameras) -> list[int]:
        """The frame of each target; where the camera rests, as `choose_targets` spread them, else one after another."""
        ours, asked = (x.cam_from_world.double().flatten(1) for x in (cameras, targets))
        same = torch.cdist(asked, ours, p=math.inf) <= SAME_POSE * max(1.0, float(ours.abs().max()))
        if not same.any(1).all():
            raise BridgeError(
                f"{self.finished.path} shows the views from its own cameras alone, and was asked for another; ask for those that "
                "choose_targets gives"
            )
        return _spread_rows(same) or _successive_rows(same)

    def _place(self, context: Clip, scene: Scene) -> Clip:
        """Its frames in the scene's frame, on canvases of the size of the photos."""
        width, height = (context.width, context.height) if len(context) else self.finished.size
        find = self._place_recovered if self.options.cameras is None else self._place_by_file
        return fit_canvas(find(context, scene, max(width, height)), width=width, height=height)

    def _place_by_file(self, context: Clip, scene: Scene, max_side: int) -> Clip:
        photos = () if scene.posed_photos is None else scene.posed_photos[0]
        apart = self.finished.read_cameras(photos)
        world = find_world(apart, scene, self.options.metres_per_unit, str(self.finished.path))
        clip = self._keep((photos, max_side), lambda: self.finished.read_posed(apart, max_side))
        return replace(clip, cameras=world.cameras(clip.require_cameras().to(dtype=torch.float64)))

    def _place_recovered(self, context: Clip, scene: Scene, max_side: int) -> Clip:
        def recover() -> Clip:
            clip, focal_px = self.finished.read_frames(max_side), self.options.focal_px
            if focal_px is not None:
                focal_px *= clip.width / self.finished.size[0]
            return recover_frames(clip, context, focal_px, str(self.finished.path))

        poses = None if context.cameras is None else context.cameras.cam_from_world.numpy().tobytes()
        return self._keep((context.names, poses, max_side), recover)

    def _keep(self, key: tuple, make: Callable[[], Clip]) -> Clip:
        """What `make` gives, made once for the call that chooses and the one that shows."""
        if self._kept is None or self._kept[0] != key:
            self._kept = key, make()
        return self._kept[1]


def _spread_rows(same: Bool[Tensor, "targets frames"]) -> list[int] | None:
    """Frames at even steps that show the targets, as `choose_targets` takes them; None for other targets."""
    count, frames = same.shape
    for start in torch.nonzero(same[0])[:, 0].tolist():
        for step in range(start + 1, frames + 1):
            rows = range(start, frames, step)
            if len(rows) == count and bool(same[range(count), rows].all()):
                return list(rows)
    return None


def _successive_rows(same: Bool[Tensor, "targets frames"]) -> list[int]:
    """For each target the first frame of its pose that is not taken yet, or the last of them."""
    rows: list[int] = []
    for alike in same:
        found = torch.nonzero(alike)[:, 0].tolist()
        rows.append(next((row for row in found if row not in rows), found[-1]))
    return rows


def fit_canvas(clip: Clip, *, width: int, height: int) -> Clip:
    """Frames scaled into pictures of another shape, in the middle and whole; around them confidence is 0."""
    scale = min(width / clip.width, height / clip.height)
    inner = (max(1, round(clip.width * scale)), max(1, round(clip.height * scale)))
    sized = clip.resize(width=inner[0], height=inner[1])
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    edges = (left, width - inner[0] - left, top, height - inner[1] - top)
    # edges go on, because a frame around the picture would be full of features
    images = torch.nn.functional.pad(sized.images.permute(0, 3, 1, 2), edges, mode="replicate").permute(
        0, 2, 3, 1
    )
    sure = torch.ones(sized.images.shape[:3]) if sized.confidence is None else sized.confidence
    cameras = sized.require_cameras()
    K = cameras.K.clone()
    K[:, 0, 2] += left
    K[:, 1, 2] += top
    return replace(
        sized,
        images=images.contiguous(),
        cameras=Cameras(cameras.cam_from_world, K, width, height),
        confidence=torch.nn.functional.pad(sure, edges),
    )
