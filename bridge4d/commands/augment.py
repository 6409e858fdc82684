"""`bridge4d augment`: better splats from a few photos."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import tyro
from tyro.conf import Positional

from bridge4d import console
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.command_line.exit_status import NO_RECONSTRUCTION
from bridge4d.command_line.quality_arguments import QualityFlag

if TYPE_CHECKING:
    from bridge4d.augmenting.loop import AugmentResult


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
    quality: QualityFlag = "draft"
    loop: tyro.conf.OmitArgPrefixes[AugmentOptions] = field(default_factory=AugmentOptions)
    json: bool = False
    """Print report.json to stdout instead of the summary."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.augmenting.loop import augment

        console.heading(f"augment {self.photos} → {self.out}")
        done = augment(self.photos, self.out, self.loop, command=console.typed_command())
        return print_result(done, as_json=self.json)


def print_result(done: "AugmentResult", *, as_json: bool) -> int:
    """Print the result of a run of augment or reconstruct; its exit status."""
    from eval.report.augment.summary import summary
    from eval.results.reading import to_json

    if as_json:
        console.result(json.dumps(to_json(done.report), indent=2))
    else:
        console.result(summary(done.report))
        if done.scene is not None:
            console.result(f"scene:  {done.scene}")
        console.result(f"report: {done.report_html}")
    if done.scene is None:
        console.fail(f"{done.report.kept_because}; {done.report_html} says what was tried")
        return NO_RECONSTRUCTION
    return 0
