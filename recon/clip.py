"""Clips: pictures with cameras, times, names and confidence; in memory, or read one at a time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor

from recon.cameras import Cameras
from recon.errors import CaptureError
from recon.pictures.lazy import LazyPictures, resize_pictures


@dataclass(frozen=True)
class PictureSet:
    """n pictures of one size, in memory as those of a `Clip`, or read one at a time: of a capture of hundreds of photos."""

    images: Float[Tensor, "n h w 3"] | LazyPictures
    """sRGB in [0, 1], float32."""
    cameras: Cameras | None = None
    """Of the size of the pictures; None where none are known."""
    times_s: Float[Tensor, "n"] | None = None
    """Seconds; None for an unordered set of photos of a static scene."""
    names: tuple[str, ...] = ()
    """One unique name a picture; '00000', '00001' … where none are given."""
    confidence: Float[Tensor, "n h w"] | LazyPictures | None = None
    """Confidence of each pixel in [0, 1]; None means 1."""

    def __post_init__(self) -> None:
        n, h, w, _ = self.images.shape
        if not self.names:
            object.__setattr__(self, "names", tuple(f"{i:05d}" for i in range(n)))
        if len(self.names) != n or len(set(self.names)) != n:
            raise CaptureError(f"expected {n} unique names for {n} images, got {len(set(self.names))}")
        if self.cameras is not None and (len(self.cameras), self.cameras.height, self.cameras.width) != (
            n,
            h,
            w,
        ):
            raise CaptureError(
                f"expected {n} cameras of {w}x{h}, got {len(self.cameras)} of "
                f"{self.cameras.width}x{self.cameras.height}"
            )
        for name, part in (("times_s", self.times_s), ("confidence", self.confidence)):
            if part is not None and part.shape[0] != n:
                raise CaptureError(f"expected {n} values in {name}, got {part.shape[0]}")

    def __len__(self) -> int:
        return self.images.shape[0]

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> "PictureSet":
        """As many pictures, also for a single index."""
        if isinstance(index, int):
            index = [index]
        picks = torch.arange(len(self))[index if isinstance(index, slice | Tensor) else list(index)]
        return replace(
            self,
            images=self.images[picks],
            cameras=None if self.cameras is None else self.cameras[picks],
            times_s=None if self.times_s is None else self.times_s[picks],
            names=tuple(self.names[i] for i in picks.tolist()),
            confidence=None if self.confidence is None else self.confidence[picks],
        )

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.images.shape[2]

    @property
    def height(self) -> int:
        """Pixels down."""
        return self.images.shape[1]

    def require_cameras(self) -> Cameras:
        """Cameras of the clip.

        Raises:
            CaptureError: a clip without cameras.
        """
        if self.cameras is None:
            raise CaptureError(
                "expected images with cameras, got images alone; run structure from motion first"
            )
        return self.cameras

    def load(self) -> "Clip":
        """The pictures in memory, read one after another."""
        images, sure = (
            part.stack() if isinstance(part, LazyPictures) else part
            for part in (self.images, self.confidence)
        )
        assert images is not None
        return Clip(images, self.cameras, self.times_s, self.names, sure)

    def limit_size(self, max_side: int) -> "PictureSet":
        """The same pictures with a long side of at most `max_side` pixels, each resized when it is looked at."""
        size = _fit_size(self.width, self.height, max_side)
        if size == (self.width, self.height):
            return self
        images, sure = (
            LazyPictures.concatenate([part]).resize(*size) if part is not None else None
            for part in (self.images, self.confidence)
        )
        assert images is not None
        cameras = self.cameras if self.cameras is None else self.cameras.limit_size(max_side)
        return replace(self, images=images, cameras=cameras, confidence=sure)

    @staticmethod
    def join(parts: "Sequence[PictureSet]") -> "PictureSet":
        """As `Clip.concatenate` of pictures with cameras, but they stay unread."""
        sure = [
            torch.ones(()).expand(p.images.shape[:3]) if p.confidence is None else p.confidence for p in parts
        ]
        return PictureSet(
            LazyPictures.concatenate([p.images for p in parts]),
            Cameras.concatenate([p.require_cameras() for p in parts]),
            times_s=_join_times(parts),
            names=tuple(name for p in parts for name in p.names),
            confidence=None if all(p.confidence is None for p in parts) else LazyPictures.concatenate(sure),
        )


@dataclass(frozen=True)
class Clip(PictureSet):
    """n pictures of one size in memory: a capture, a video, or what a world model generated."""

    images: Float[Tensor, "n h w 3"]
    """sRGB in [0, 1], float32."""
    confidence: Float[Tensor, "n h w"] | None = None
    """Confidence of each pixel in [0, 1]; None means 1."""

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> "Clip":
        """A clip again, also for a single index."""
        return cast(Clip, super().__getitem__(index))

    def resize(self, *, width: int, height: int) -> "Clip":
        """The same pictures at another size; anti-aliased area resampling when shrinking."""
        if (width, height) == (self.width, self.height):
            return self

        return replace(
            self,
            images=resize_pictures(self.images, width=width, height=height),
            cameras=None if self.cameras is None else self.cameras.resize(width=width, height=height),
            confidence=None
            if self.confidence is None
            else resize_pictures(self.confidence[..., None], width=width, height=height)[..., 0],
        )

    def limit_size(self, max_side: int) -> "Clip":
        """The same pictures with a long side of at most `max_side` pixels."""
        width, height = _fit_size(self.width, self.height, max_side)
        return self.resize(width=width, height=height)

    @staticmethod
    def concatenate(parts: Sequence["Clip"]) -> "Clip":
        """One clip from several of the same size; missing confidence counts as 1, times are kept if all have them."""
        if not parts:
            raise CaptureError("expected at least one clip to concatenate, got none")
        if len(parts) == 1:  # a copy would take as much memory again
            return parts[0]
        posed = all(p.cameras is not None for p in parts)
        sure = all(p.confidence is None for p in parts)
        return Clip(
            images=torch.cat([p.images for p in parts]),
            cameras=Cameras.concatenate([p.require_cameras() for p in parts]) if posed else None,
            times_s=_join_times(parts),
            names=tuple(name for p in parts for name in p.names),
            confidence=None
            if sure
            else torch.cat(
                [torch.ones(p.images.shape[:3]) if p.confidence is None else p.confidence for p in parts]
            ),
        )


def _join_times(parts: Sequence[PictureSet]) -> Float[Tensor, "n"] | None:
    """Times of all pictures; None where some have none."""
    times = [p.times_s for p in parts if p.times_s is not None]
    return torch.cat(times) if len(times) == len(parts) else None


def _fit_size(width: int, height: int, max_side: int) -> tuple[int, int]:
    """(width, height) scaled to a long side of at most `max_side`."""
    long = max(width, height)
    if long <= max_side:
        return width, height
    return max(1, round(width * max_side / long)), max(1, round(height * max_side / long))
