"""`bridge4d reconstruct`: splats from photos, and nothing generated."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import Positional

from bridge4d import console
from bridge4d.augmenting.options import ReconstructOptions
from bridge4d.command_line.quality_arguments import QualityFlag
from bridge4d.commands.augment import print_result


@dataclass(frozen=True)
class Reconstruct:
    """Splats from photos: cameras by COLMAP, a scene, and how well it shows held-out photos; nothing is generated.

    Typical calls:
      bridge4d reconstruct photos/ --out runs/kitchen
      bridge4d reconstruct video.mp4 --video-frames 100 --out runs/video
      bridge4d reconstruct capture/ --quality standard --out runs/fine
      bridge4d reconstruct capture/ --max-side 960 --iterations 5000 --max-gaussians 300000 --out runs/large

    PHOTOS is a folder of images, a video, a COLMAP model, or a folder with a transforms.json. Start the same command again to
    continue an interrupted run. `bridge4d augment` with the same options and --views goes on in the same folder.
    """

    photos: Positional[Path]
    """Where the photos are."""
    out: Path
    """Run folder: scene, report and everything in between."""
    quality: QualityFlag = "draft"
    reconstruction: tyro.conf.OmitArgPrefixes[ReconstructOptions] = field(default_factory=ReconstructOptions)
    json: bool = False
    """Print report.json to stdout instead of the summary."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.augmenting.loop import reconstruct_scene

        console.heading(f"reconstruct {self.photos} → {self.out}")
        done = reconstruct_scene(self.photos, self.out, self.reconstruction, command=console.typed_command())
        return print_result(done, as_json=self.json)
