"""Read a finished clip: its frames, each with the camera that its file gives it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from recon.camera_files.apart import CamerasApart, read_apart
from recon.clip import Clip
from recon.clips.pairing import pair_frames
from recon.clips.read import read_clip
from recon.clips.source import ClipSource
from recon.errors import BridgeError
from recon.pictures.frame_files import find_frames, stem_of
from recon.pictures.headers import photo_shape
from recon.videos.read import video_shape
from worldgen.finished.options import FinishedOptions


@dataclass(frozen=True)
class FinishedClip:
    """A video or a folder of frames, with a camera file or without."""

    path: Path
    options: FinishedOptions

    @cached_property
    def size(self) -> tuple[int, int]:
        """(width, height) of its frames, pixels."""
        files = self.frame_files()
        shape = photo_shape(files[0]) if files else video_shape(self.path).frame
        return shape.size("shown")

    def frame_files(self) -> list[Path]:
        """Frames of a folder; none of a video."""
        return find_frames(self.path) if self.path.is_dir() else []

    def read_cameras(self, photos: Sequence[str]) -> CamerasApart:
        """Its cameras, and the poses of photos that its file names as well.

        Raises:
            BridgeError: no cameras that can be read, or none with a lens.
        """
        width, height = self.size
        file = self.options.cameras
        assert file is not None
        apart = read_apart(
            file,
            photos,
            width=width,
            height=height,
            convention=self.options.convention,
            format=self.options.camera_format,
        )
        if not apart.frames.intrinsics_known:
            raise BridgeError(
                f"expected the lens of {self.path} in {file}, got {'; '.join(apart.frames.notes) or 'none'}; state its focal lengths"
            )
        return apart

    def read_posed(self, apart: CamerasApart, max_side: int) -> Clip:
        """Frames with their cameras in the world of the file, in order; frames that have none are left out.

        Raises:
            BridgeError: frames that cannot be read, or more of them than cameras, or fewer.
        """
        clip = self.read_frames(max_side)
        cameras = apart.frames.cameras.resize(width=clip.width, height=clip.height)
        row_of = {stem_of(name): row for row, name in enumerate(apart.frames.names or ())}
        named = [(i, row_of[stem_of(name)]) for i, name in enumerate(clip.names) if stem_of(name) in row_of]
        if self.path.is_dir() and len(named) == len(row_of) > 0:
            pairs = named
        else:
            rule = self.options.count_rule
            try:
                found = pair_frames(len(clip), len(cameras), rule)
            except BridgeError as error:
                said = str(error).replace("`--count-rule", "`--model.count-rule")
                raise BridgeError(f"{self.path}: {said}") from error
            pairs = [(frame, camera) for frame, camera in found if camera is not None]
        picked = clip[[frame for frame, _ in pairs]]
        return replace(picked, cameras=cameras[[camera for _, camera in pairs]], times_s=None)

    def read_frames(self, max_side: int) -> Clip:
        """All frames, without cameras.

        Raises:
            BridgeError: frames that cannot be read.
        """
        source = ClipSource(self.path.name, self.path.absolute(), None, "finished")
        return read_clip(source, max_side=max_side).clip
