"""Options of `bridge4d render`; every field is a flag."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from recon.errors import BridgeError
from recon.splats.render import Engine
from recon.videos.write import MAX_FPS

DEFAULT_FPS = 30.0
"""Frame rate of a video: what screens and phones play; 60 doubles time and bytes."""
MOST_FRAMES = 100_000
"""Most pictures of a path: nearly an hour at 30 a second; a larger number is a typing error."""
LEAST_SIDE, MOST_SIDE = 16, 8192
"""Sides in pixels: one macroblock of H.264, and the most that its decoders and graphics cards take."""


LONGEST_S = 86_400.0
"""Most seconds of a video: a day; `MOST_FRAMES` is reached before at all but the lowest rates."""


@dataclass(frozen=True)
class RenderOptions:
    path: str | None = None
    """By default orbit, or still where one picture is asked for. orbit: around what the photos look at, where photos were taken. spiral: small circles about the middle photo.
    dolly: from the middle photo towards what it looks at. interpolate: smoothly through the photos. still: where a viewer would open the scene. Or a file of cameras in the scene's frame: transforms.json, a COLMAP
    model, RealEstate10K, TUM, KITTI, matrices."""
    frames: int | None = None
    """How many pictures. With a file of cameras by default one for each, and any other number goes smoothly through
    them."""
    seconds: float | None = None
    """How long the video plays: by default 6, a long orbit 1 for each 40°, through photos half a second each (6 to 30),
    for a moving scene as long as it moves."""
    fps: float | None = None
    """Frames a second: by default 30, for a moving scene its own."""
    width: int | None = None
    """Width of the pictures in pixels; by default as the photos, whose vertical field of view is kept."""
    height: int | None = None
    """Height of the pictures in pixels."""
    max_side: int = 1280
    """Long side in pixels where neither width nor height is given."""
    background: str = "black"
    """Colour behind the scene: a name (white), or #rrggbb."""
    at: float | None = None
    """Of a moving scene: stand still at this second. By default its time runs along, and begins anew at its end."""
    sh_degree: int | None = None
    """Use view-dependent colour up to this degree only, 0 to 3."""
    engine: Engine = "auto"
    """gsplat needs an NVIDIA GPU; auto takes it where there is one."""
    crf: int = 18
    """Quality of a video: 0 is lossless, each 6 more halve the file; from 30 on it shows."""
    convention: str | None = None
    """Of matrices in a file of cameras: cam_from_world or world_from_cam, a slash, opencv or opengl (axes)."""
    camera_format: (
        Literal[
            "realestate10k", "colmap", "transforms", "camera-path", "recammaster", "tum", "kitti", "matrices"
        ]
        | None
    ) = None
    """Of a file of cameras that does not show it."""

    def __post_init__(self) -> None:
        sizes = {"width": self.width, "height": self.height, "max_side": self.max_side}
        for name, value in sizes.items():
            if value is not None and not LEAST_SIDE <= value <= MOST_SIDE:
                raise BridgeError(f"expected --{_flag(name)} from {LEAST_SIDE} to {MOST_SIDE}, got {value}")
        if self.frames is not None and not 1 <= self.frames <= MOST_FRAMES:
            raise BridgeError(f"expected --frames from 1 to {MOST_FRAMES}, got {self.frames}")
        for name, value, most in (("fps", self.fps, MAX_FPS), ("seconds", self.seconds, LONGEST_S)):
            if value is not None and not 0 < value <= most:
                raise BridgeError(f"expected --{name} above 0 and up to {most:g}, got {value:g}")
        if None not in (self.frames, self.seconds, self.fps):
            raise BridgeError(
                "expected two of --frames, --seconds and --fps, got all three; the third follows from two"
            )
        if self.at is not None and not math.isfinite(self.at):
            raise BridgeError(f"expected --at in seconds, got {self.at}")
        if self.sh_degree is not None and not 0 <= self.sh_degree <= 3:
            raise BridgeError(f"expected --sh-degree from 0 to 3, got {self.sh_degree}")
        if not 0 <= self.crf <= 51:
            raise BridgeError(f"expected --crf from 0 to 51, got {self.crf}")
        self.background_colour()

    def for_one_picture(self) -> "RenderOptions":
        """Options for one picture: where they name no path, as a viewer would open the scene."""
        path = self.path or "still"
        return replace(self, path=path, frames=self.frames or (1 if path == "still" else None))

    def background_colour(self) -> Float[Tensor, "3"]:
        """The background as sRGB in [0, 1].

        Raises:
            BridgeError: not the name of a colour.
        """
        from PIL import ImageColor

        try:
            rgb = ImageColor.getrgb(self.background)[:3]
        except ValueError:
            raise BridgeError(
                f"expected a colour as --background, such as white or #8090a0, got {self.background!r}"
            ) from None
        return torch.tensor(rgb, dtype=torch.float32) / 255

    def frame_rate(self, default: float = DEFAULT_FPS) -> float:
        """Frames a second of the video; `default` where the options imply none."""
        if self.fps is not None:
            return self.fps
        if self.frames is not None and self.seconds is not None:
            return self.frames / self.seconds
        return default

    def frame_count(self, default_seconds: float, default_fps: float = DEFAULT_FPS) -> int:
        """Number of pictures of a path of any length.

        Raises:
            BridgeError: more than `MOST_FRAMES`.
        """
        if self.frames is not None:
            return self.frames
        seconds = default_seconds if self.seconds is None else self.seconds
        count = max(1, round(seconds * self.frame_rate(default_fps)))
        if count > MOST_FRAMES:
            raise BridgeError(
                f"expected at most {MOST_FRAMES} frames, got {count} for {seconds:g} s; ask for a lower --fps or fewer"
                " --seconds"
            )
        return count


def _flag(name: str) -> str:
    return name.replace("_", "-")
