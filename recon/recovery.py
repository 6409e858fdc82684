"""Result of structure from motion on a clip."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from jaxtyping import Bool, Float, Int
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import RecoveryStatus
from recon.lens import Lens
from recon.points import PointCloud


@dataclass(frozen=True)
class Recovery:
    """The result for n images; a failure is a status, never None."""

    status: RecoveryStatus
    names: tuple[str, ...]
    """All n images of the clip."""
    registered: Bool[Tensor, "n"]
    """Whether each image has a camera."""
    cameras: Cameras | None
    """Of the registered images only, in the order of `names`; None where nothing was registered."""
    points: PointCloud
    reprojection_error_px: Float[Tensor, "n"]
    """Mean over an image's inliers; NaN where it is not registered."""
    inliers: Int[Tensor, "n"]
    """2D observations that agree with the model; 0 where not registered."""
    num_models: int = 1
    """Unconnected models that the mapper split the images into."""
    model_sizes: tuple[int, ...] = ()
    """Images in each model, largest first; empty where they were not counted."""
    track_length: float | None = None
    """Mean number of images that see a point; None where there are no points."""
    lenses: tuple[Lens, ...] = ()
    """Lenses of the registered images; `cameras` are these without distortion. Empty where they were not estimated."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall time by stage."""

    @property
    def registered_names(self) -> tuple[str, ...]:
        """Names of the registered images, in order."""
        return tuple(n for n, r in zip(self.names, self.registered.tolist(), strict=True) if r)
