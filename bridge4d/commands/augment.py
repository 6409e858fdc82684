"""`bridge4d augment`: better splats from a few photos."""

from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import Positional

from bridge4d import console
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.commands.common import say_loop, this_command


@dataclass(frozen=True)
class Augment:
    """Better splats from a few photos: generate novel views, check them with COLMAP, keep what helps.

    Typical calls:
      bridge4d augment photos/ --out runs/kitchen
      bridge4d augment video.mp4 --views 6 --rounds 1 --out runs/video
      bridge4d augment capture/ --protocol from-scratch --max-side 640 --iterations 3000 --out runs/fine

    PHOTOS is a folder of images, a video, a COLMAP model, or a folder with a transforms.json. Start the same
    command again to continue an interrupted run.
    """

    photos: Positional[Path]
    """Where the photos are."""
    out: Path
    """Run folder: scene, report and everything in between."""
    loop: tyro.conf.OmitArgPrefixes[AugmentOptions] = field(default_factory=AugmentOptions)
    json: bool = False
    """Print report.json to stdout instead of the summary."""

    def run(self) -> int:
        from bridge4d.augmenting.loop import augment

        console.heading(f"augment {self.photos} → {self.out}")
        done = augment(self.photos, self.out, self.loop, command=this_command())
        return say_loop(done, as_json=self.json)
