"""`bridge4d reconstruct`: splats from photos, and nothing generated."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import Positional

from bridge4d import console
from bridge4d.augmenting.options import Quality, ReconstructOptions
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
    quality: Quality = "draft"
    """Sets --max-side, --sfm-side, --max-gaussians and --longest, where they are not given. draft: 480 px, 50,000 Gaussians, at most
    800 steps. standard: up to 1600 px, 1,000,000 Gaussians and 30,000 steps on a GPU, 300,000 and 3,000 on a CPU. high: up to 2400
    px, 3,000,000 and 30,000 on a GPU, 1,000,000 and 7,000 on a CPU."""
    reconstruction: tyro.conf.OmitArgPrefixes[ReconstructOptions] = field(default_factory=ReconstructOptions)
    json: bool = False
    """Print report.json to stdout instead of the summary."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.augmenting.loop import reconstruct_scene

        console.heading(f"reconstruct {self.photos} → {self.out}")
        done = reconstruct_scene(self.photos, self.out, self.reconstruction, command=console.typed_command())
        return print_result(done, as_json=self.json)
