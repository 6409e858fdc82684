"""`bridge4d generate`: views of a capture at requested cameras, by a world model."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import tyro
from tyro.conf import Positional

from bridge4d import console
from bridge4d.generating.options import GenerateOptions


@dataclass(frozen=True)
class Generate:
    """Views of a capture along a camera path, by a world model: a video, frames and their cameras.

    Typical calls:
      bridge4d generate photos/ --out runs/around
      bridge4d generate capture/ --path spiral --frames 24 --model warp --out runs/spiral
      bridge4d generate capture/ --path cameras.json --out runs/mine
      bridge4d generate runs/dance --moving --path spiral --at 0.5 --out runs/frozen

    CAPTURE is a folder of images, a video, a COLMAP model, or a folder with a transforms.json. Written are views.mp4 and
    frames/ with a transforms.json, which `bridge4d measure OUT/frames` reads. Start the same command again to continue.
    """

    capture: Positional[Path]
    """Where the photos are."""
    out: Path
    """Run folder."""
    generating: tyro.conf.OmitArgPrefixes[GenerateOptions] = field(default_factory=GenerateOptions)
    json: bool = False
    """Print what was written as JSON instead of a line."""

    def run(self) -> int:
        """Run the command; its exit status."""
        from bridge4d.generating.generate import generate

        console.heading(f"generate {self.capture} → {self.out}")
        done = generate(self.capture, self.out, self.generating, command=console.typed_command())
        if self.json:
            console.result(json.dumps(done.to_json(), indent=2))
            return 0
        for said in done.notes:
            console.result(f"note: {said}")
        console.result(f"{done.path}: {done.count} views by {self.generating.model}")
        if done.unseen_share is not None:
            console.result(f"unsure: {done.unseen_share:.0%} of the pixels, by the model's own confidence")
        console.result(f"video:  {done.video}")
        console.result(f"frames: {done.frames}")
        return 0
