"""What a camera file states, before it is brought to the size of any picture."""

from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from recon.camera_files.stated_lens import StatedK, StatedLens


@dataclass(frozen=True)
class Stated:
    """Cameras in the order of their file, or of the pictures that it names."""

    cam_from_world: Float[Tensor, "n 4 4"]
    """float64, OpenCV axes; not checked yet."""
    labels: tuple[str, ...]
    """What an error calls each camera: '3 (line 5)'."""
    K: Float[Tensor, "n 3 3"] | None = None
    """None where the file says nothing of the lens."""
    sizes: tuple[tuple[float, float], ...] = ()
    """(width, height) of the picture that each K is for; see `StatedK`."""
    names: tuple[str, ...] | None = None
    """The pictures that the file names, as it names them."""
    times_s: Float[Tensor, "n"] | None = None
    """Seconds since the first camera."""
    lenses: tuple[StatedLens, ...] = ()
    """Instead of `K` and `sizes`, where the file states lenses."""
    still_within: float = 0.0
    """Centres that are no farther apart than this, in the file's unit, may be one place: its digits tell no more."""
    metres_per_unit: float = 1.0
    """Of the file's unit of length, where the file says it."""
    notes: tuple[str, ...] = ()

    def in_metres(self) -> "Stated":
        """Itself, its lengths turned into metres where the file says its unit."""
        if self.metres_per_unit == 1:
            return self
        pose = self.cam_from_world.clone()
        pose[:, :3, 3] *= self.metres_per_unit
        still = self.still_within * self.metres_per_unit
        return replace(self, cam_from_world=pose, still_within=still, metres_per_unit=1.0)

    def lens(self, i: int) -> StatedLens | StatedK | None:
        """What is stated of the lens of one camera; None where the file says nothing of it."""
        if self.K is not None:
            return StatedK(self.K[i], self.sizes[i])
        return self.lenses[i] if self.lenses else None


def going_up(times_s: Float[Tensor, "n"]) -> tuple[Float[Tensor, "n"] | None, tuple[str, ...]]:
    """Times, or None where they do not go up, with a note; those that are all the same, as CameraCtrl's files carry zeros,
    say nothing."""
    if bool((times_s.diff() > 0).all()):
        return (times_s if len(times_s) > 1 else None), ()
    if bool((times_s == times_s[0]).all()):
        return None, ()
    return None, (
        "the times of the camera file do not go up; they are not used, its cameras are taken in its order",
    )
