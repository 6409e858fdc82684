"""`bridge4d reconstruct`: splats from photos, and nothing generated."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro
from tyro.conf import Positional

from bridge4d import console
from bridge4d.augmenting.options import ReconstructOptions
from bridge4d.command_line.quality_arguments import QualityFlag
from bridge4d.commands.augment import print_moving, print_result, refuse_quality
from recon.errors import BridgeError


@dataclass(frozen=True)
class Reconstruct:
    """Splats from photos: cameras by COLMAP, a scene, and how well it shows held-out photos; nothing is generated.

    Typical calls:
      bridge4d reconstruct photos/ --out runs/kitchen
      bridge4d reconstruct video.mp4 --video-frames 100 --out runs/video
      bridge4d reconstruct capture/ --quality standard --out runs/fine
      bridge4d reconstruct capture/ --max-side 960 --iterations 5000 --max-gaussians 300000 --out runs/large
      bridge4d reconstruct takes/ --moving --fps 24 --out runs/dance

    PHOTOS is a folder of images, a video, a COLMAP model, or a folder with a transforms.json. Start the same command again to
    continue an interrupted run. `bridge4d augment` with the same options and --views goes on in the same folder.

    With --moving PHOTOS is what several cameras that stand still filmed at the same times: a folder for each with its frames, a video for each
    (either with a poses_bounds.npy of LLFF, or without), or a transforms.json whose frames have a time. The scene moves; one camera is
    held out and judges. Cameras that started a little apart are brought to one clock by what moves (--sync).
    """

    photos: Positional[Path]
    """Where the photos are."""
    out: Path
    """Run folder: scene, report and everything in between."""
    quality: QualityFlag = "draft"
    reconstruction: tyro.conf.OmitArgPrefixes[ReconstructOptions] = field(default_factory=ReconstructOptions)
    moving: bool = False
    """Reconstruct a scene that moves, from several cameras."""
    fps: float | None = None
    """With --moving: frames a second of folders of frames, 30 where it is not given; videos and camera files state their times."""
    max_frames: int | None = None
    """With --moving: most times, spread evenly over all; 60 where it is not given."""
    sync: Literal["auto", "given"] | None = None
    """With --moving: auto (where it is not given) finds by how much the clocks of the cameras differ, from what moves; given takes their times
    as they are."""
    json: bool = False
    """Print report.json to stdout instead of the summary."""

    def run(self) -> int:
        """Run the command; its exit status."""
        if self.moving:
            return self._run_moving()
        only_moving = {"--fps": self.fps, "--max-frames": self.max_frames, "--sync": self.sync}
        if flag := next((name for name, value in only_moving.items() if value is not None), None):
            raise BridgeError(f"{flag} is for scenes that move; give --moving as well, or leave it out")
        from bridge4d.augmenting.loop import reconstruct_scene

        console.heading(f"reconstruct {self.photos} → {self.out}")
        done = reconstruct_scene(self.photos, self.out, self.reconstruction, command=console.typed_command())
        return print_result(done, as_json=self.json)

    def _run_moving(self) -> int:
        from bridge4d.moving.options import MovingOptions, pick_moving
        from bridge4d.moving.run import reconstruct_moving

        refuse_quality(self.quality)
        given = {"fps": self.fps, "max_frames": self.max_frames, "sync": self.sync}
        asked = pick_moving(self.reconstruction) | {k: v for k, v in given.items() if v is not None}
        options = MovingOptions(**asked)
        console.heading(f"reconstruct {self.photos} → {self.out}")
        done = reconstruct_moving(self.photos, self.out, options, command=console.typed_command())
        return print_moving(done, as_json=self.json)
