"""What can be asked of `bridge4d generate`; every field is a flag."""

import math
from dataclasses import dataclass, fields
from pathlib import Path

from bridge4d.rendering.options import RenderOptions
from bridge4d.stages.options import CaptureOptions, ModelChoice, check_least
from recon.errors import BridgeError
from recon.moving.masks import MIN_FRAMES
from recon.videos.write import MAX_FPS

IGNORED_MOVING = (
    "features",
    "mapper",
    "geometry",
    "protocol",
    "views",
    "metric_depth",
    "matching",
    "sfm_side",
    "video_frames",
)
"""Options of captures that stand still, which have no meaning for those that move."""


@dataclass(frozen=True)
class GenerateOptions(ModelChoice, CaptureOptions):
    """Also flags of `bridge4d generate`."""

    path: str = "orbit"
    """orbit: around what the photos look at, where photos were taken. spiral: small circles about the middle photo. dolly:
    from the middle photo towards what it looks at. interpolate: smoothly through the photos. still: where a viewer would
    open the scene. Or a file of cameras in the capture's frame: transforms.json, a COLMAP model, RealEstate10K, TUM, KITTI, matrices."""
    frames: int | None = None
    """How many views: by default 48, of a file one for each of its cameras."""
    fps: float = 24.0
    """Frames a second of the video."""
    prompt: str | None = None
    """In words what is to be seen, for models that take words."""
    moving: bool = False
    """CAPTURE is what several still cameras filmed at the same times, as `bridge4d reconstruct --moving` takes it, or the folder of such a run.
    Time runs along the path, from the first frame to the last."""
    at: float | None = None
    """With --moving: let time stand still at this second, while the camera goes on."""
    filmed_fps: float = 30.0
    """With --moving: frames a second at which folders of frames were taken; videos and camera files state their times."""
    max_frames: int = 60
    """With --moving: most times of the capture that are read, spread evenly."""
    convention: str | None = None
    """Of matrices in a file of cameras: cam_from_world or world_from_cam, a slash, opencv or opengl (axes)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, {"frames": 1, "max_frames": MIN_FRAMES})
        if not 0 < self.filmed_fps < math.inf:
            raise BridgeError(f"expected --filmed-fps above 0, got {self.filmed_fps}")
        if self.at is not None and not self.moving:
            raise BridgeError("--at is for scenes that move; give --moving as well, or leave it out")
        ignored = IGNORED_MOVING if self.moving else ("filmed_fps", "max_frames")
        default_of = {one.name: one.default for one in fields(self)}
        if asked := [name for name in ignored if getattr(self, name) != default_of[name]]:
            flag = f"--{asked[0].replace('_', '-')}"
            raise BridgeError(
                f"{flag} is not for scenes that move; leave it out"
                if self.moving
                else f"{flag} is for scenes that move; give --moving as well, or leave it out"
            )
        if not 0 < self.fps <= MAX_FPS:
            raise BridgeError(f"expected --fps above 0 and up to {MAX_FPS:g}, got {self.fps:g}")

    @property
    def scene_files(self) -> tuple[Path, ...]:
        """The scene that the world model renders, which must lie in the capture's frame."""
        return self.model_scenes

    @property
    def rendering(self) -> RenderOptions:
        """The same path, as `bridge4d render` makes it."""
        return RenderOptions(
            path=self.path,
            frames=self.frames,
            fps=self.fps,
            max_side=self.max_side,
            convention=self.convention,
        )
