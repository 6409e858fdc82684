"""Cameras as a file states them, before they are scaled to any picture."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from recon.camera_files.stated_lens import StatedK, StatedLens


@dataclass(frozen=True)
class StatedCameras:
    """Cameras of a file, in its order or in that of the pictures that it names."""

    cam_from_world: Float[Tensor, "n 4 4"]
    """float64, OpenCV axes; not checked yet."""
    labels: tuple[str, ...]
    """Name of each camera in error messages: '3 (line 5)'."""
    K: Float[Tensor, "n 3 3"] | None = None
    """None where the file states no matrix of intrinsics."""
    sizes: tuple[tuple[float, float], ...] = ()
    """(width, height) of the picture that each K is for; see `StatedK`."""
    names: tuple[str, ...] | None = None
    """Names of the pictures as the file spells them; None where it names none."""
    times_s: Float[Tensor, "n"] | None = None
    """Seconds since the first camera."""
    lenses: tuple[StatedLens, ...] = ()
    """One lens a camera in place of `K` and `sizes`, where the file states lenses."""
    position_tolerance: float = 0.0
    """Distance of centres that may be one place, in the file's unit: its digits tell no more."""
    metres_per_unit: float = 1.0
    """1 where the file does not state its unit of length."""
    notes: tuple[str, ...] = ()

    def in_metres(self) -> "StatedCameras":
        """The same cameras in metres, where the file states its unit."""
        if self.metres_per_unit == 1:
            return self
        pose = self.cam_from_world.clone()
        pose[:, :3, 3] *= self.metres_per_unit
        still = self.position_tolerance * self.metres_per_unit
        return replace(self, cam_from_world=pose, position_tolerance=still, metres_per_unit=1.0)

    def take(self, rows: Sequence[int]) -> "StatedCameras":
        """Some of the cameras, in this order."""
        chosen = list(rows)
        return replace(
            self,
            cam_from_world=self.cam_from_world[chosen],
            labels=tuple(self.labels[r] for r in chosen),
            K=None if self.K is None else self.K[chosen],
            sizes=tuple(self.sizes[r] for r in chosen) if self.sizes else (),
            lenses=tuple(self.lenses[r] for r in chosen) if self.lenses else (),
            names=None if self.names is None else tuple(self.names[r] for r in chosen),
            times_s=None if self.times_s is None else self.times_s[chosen],
        )

    def lens(self, i: int) -> StatedLens | StatedK | None:
        """Lens of camera `i`; None where the file states none."""
        if self.K is not None:
            return StatedK(self.K[i], self.sizes[i])
        return self.lenses[i] if self.lenses else None


def ascending_times(times_s: Float[Tensor, "n"]) -> tuple[Float[Tensor, "n"] | None, tuple[str, ...]]:
    """Times that ascend, else None and a note.

    Equal times, such as the zeros of CameraCtrl's files, and a single one are dropped without a note.
    """
    if bool((times_s.diff() > 0).all()):
        return (times_s if len(times_s) > 1 else None), ()
    if bool((times_s == times_s[0]).all()):
        return None, ()
    return None, (
        "the times of the camera file do not go up; they are not used, its cameras are taken in its order",
    )
