"""What `bridge4d generate` writes: a video, frames with cameras, and what was made of what."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge4d.generating.options import GenerateOptions
from bridge4d.rendering.paths import CameraPath, with_size
from bridge4d.rendering.picture_files import target_writer
from bridge4d.runs.fingerprints import options_to_json
from bridge4d.runs.run import Run
from bridge4d.runs.run_folder import GENERATE
from bridge4d.runs.stored_json import write_json
from recon.clip import Clip
from recon.pictures.eight_bit import to_eight_bit

DEFAULT_FRAMES = 48
"""Of a path of any length: two seconds at 24 a second; `bridge` takes a minute or two for them on a laptop."""


@dataclass(frozen=True)
class GenerateResult:
    """Where everything is."""

    run: Path
    video: Path
    frames: Path
    """Folder of PNGs with a transforms.json."""
    path: str
    """Which path, for people."""
    count: int
    unseen_share: float | None
    """Mean share of the pixels to which the model gives a confidence below one half; None where it states none."""
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values, as `bridge4d generate --json` prints them."""
        return {
            "run": str(self.run),
            "video": str(self.video),
            "frames": str(self.frames),
            "path": self.path,
            "count": self.count,
            "unseen_share": self.unseen_share,
            "notes": list(self.notes),
        }


def write_views(
    run: Run, path: CameraPath, clip: Clip, made_of: dict[str, Any], options: GenerateOptions, command: str
) -> GenerateResult:
    """The video, the frames with their cameras, and what was made of what.

    Args:
        clip: the views, with cameras in the capture's frame; times are written where it has some.
        made_of: more of ``generate.json``, the path of the capture among it.
    """
    video, frames = run.folder / "views.mp4", run.folder / "frames"
    cameras, times = clip.require_cameras(), None if clip.times_s is None else clip.times_s.tolist()
    about = {
        "capture": made_of["capture"],
        "path": path.about,
        "model": str(options.model),
        "fps": options.fps,
    }
    even = with_size(
        cameras, width=cameras.width // 2 * 2, height=cameras.height // 2 * 2
    )  # H.264 has pairs of pixels
    pictures = to_eight_bit(clip.images).numpy()
    with target_writer(
        frames, cameras, shows="colour", about=about, fps=options.fps, crf=18, times_s=times
    ) as add:
        for picture in pictures:
            add(picture)
    with (
        run.file(video.name) as file,
        target_writer(file, even, shows="colour", about=about, fps=options.fps, crf=18) as add,
    ):
        for picture in pictures:
            add(picture[: even.height, : even.width])
    unsure = None if clip.confidence is None else round(float((clip.confidence < 0.5).float().mean()), 4)
    result = GenerateResult(run.folder, video, frames, path.about, len(clip), unsure, path.notes)
    with run.file("generate.json") as file:
        write_json(file, result.to_json() | made_of | {"command": command, "seed": options.seed})
    write_json(
        run.folder / "run.json", {"kind": GENERATE, "command": command, "options": options_to_json(options)}
    )
    return result
