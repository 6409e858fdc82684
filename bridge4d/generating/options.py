"""What can be asked of `bridge4d generate`; every field is a flag."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from bridge4d.augmenting.options import AugmentOptions, check_least
from bridge4d.rendering.options import RenderOptions
from bridge4d.rendering.paths import PATH_KINDS
from recon.errors import BridgeError
from recon.pictures.video_writer import MOST_FPS
from recon.sfm.describe import FeatureKind
from recon.sfm.recipes import PHOTOS


@dataclass(frozen=True)
class GenerateOptions:
    """Also flags of `bridge4d generate`."""

    model: str = "bridge"
    """World model that is asked; `bridge4d models` lists them. splat:FILE renders a scene file."""
    path: str = "orbit"
    """orbit: around what the photos look at, where photos were taken. spiral: small circles about the middle photo. dolly:
    from the middle photo towards what it looks at. interpolate: smoothly through the photos. still: where a viewer would
    open the scene. Or a file of cameras in the
    capture's frame: transforms.json, a COLMAP model, RealEstate10K, TUM, KITTI, matrices."""
    frames: int | None = None
    """How many views: by default 48, of a file one for each of its cameras."""
    fps: float = 24.0
    """Frames a second of the video."""
    prompt: str | None = None
    """In words what is to be seen, for models that take words."""
    views: int | None = None
    """Photos the model is shown, spread evenly over those that augment would train on (every 8th by name is left out);
    None: all of these."""
    max_side: int = 480
    """Long side in pixels of what is generated."""
    protocol: Literal["auto", "known-poses", "from-scratch"] = "auto"
    """known-poses: cameras come with the capture; from-scratch: COLMAP recovers them from the photos. auto takes known-poses
    where the capture has cameras."""
    sfm_side: int = 1280
    """Long side in pixels of what COLMAP sees of the photos."""
    video_frames: int = 60
    """Of a video, take at most so many frames."""
    features: FeatureKind = PHOTOS.features
    """By which photos are matched, as of augment."""
    convention: str | None = None
    """Of matrices in a file of cameras: cam_from_world or world_from_cam, a slash, opencv or opengl (axes)."""
    resize_mixed: bool = False
    """Bring photos of different sizes to one size instead of refusing them."""
    allow_outside: bool = False
    """Also read photos that a camera file or a link brings in from outside the given folder."""
    seed: int = 0
    """Same seed, same result."""

    def __post_init__(self) -> None:
        check_least(self, {"frames": 1, "views": 2, "video_frames": 2, "max_side": 32, "sfm_side": 64})
        if not 0 < self.fps <= MOST_FPS:
            raise BridgeError(f"expected --fps above 0 and up to {MOST_FPS:g}, got {self.fps:g}")

    @property
    def camera_file(self) -> Path | None:
        """The file that the path is read from; None for a path of a name."""
        return None if self.path in PATH_KINDS else Path(self.path)

    @property
    def ground(self) -> AugmentOptions:
        """The same questions, as the stages from photos to depth ask them."""
        shared = {field.name for field in fields(AugmentOptions)} & {field.name for field in fields(self)}
        return AugmentOptions(**{name: getattr(self, name) for name in shared}, rounds=0)

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
