"""What can be asked of `bridge4d generate`; every field is a flag."""

from dataclasses import dataclass
from pathlib import Path

from bridge4d.rendering.options import RenderOptions
from bridge4d.stages.options import CaptureOptions, ModelChoice, check_least
from recon.errors import BridgeError
from recon.videos.write import MAX_FPS


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
    convention: str | None = None
    """Of matrices in a file of cameras: cam_from_world or world_from_cam, a slash, opencv or opengl (axes)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_least(self, {"frames": 1})
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
