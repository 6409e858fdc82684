"""`bridge4d augment`: better splats from a few photos."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro
from tyro.conf import Positional

from bridge4d import console
from bridge4d.augmenting.options import AugmentOptions
from bridge4d.command_line.exit_status import NO_RECONSTRUCTION
from bridge4d.command_line.quality_arguments import QualityFlag
from recon.errors import BridgeError

if TYPE_CHECKING:
    from bridge4d.augmenting.loop import AugmentResult
    from bridge4d.moving.run import MovingResult


@dataclass(frozen=True)
class Augment:
    """Better splats from a few photos: generate novel views, check them with COLMAP, keep what helps.

    Typical calls:
      bridge4d augment photos/ --out runs/kitchen
      bridge4d augment video.mp4 --views 6 --rounds 1 --out runs/video
      bridge4d augment capture/ --protocol from-scratch --max-side 640 --iterations 3000 --out runs/fine
      bridge4d augment takes/ --moving --novel-cameras 4 --out runs/dance

    PHOTOS is a folder of images, a video, a COLMAP model, or a folder with a transforms.json. Start the same
    command again to continue an interrupted run.

    With --moving PHOTOS is what `bridge4d reconstruct --moving` takes, and a run of that is continued. Views between the cameras are asked for
    at all times; the scene with those that COLMAP confirms is set beside the one without. See docs/moving.md.
    """

    photos: Positional[Path]
    """Where the photos are."""
    out: Path
    """Run folder: scene, report and everything in between."""
    quality: QualityFlag = "draft"
    loop: tyro.conf.OmitArgPrefixes[AugmentOptions] = field(default_factory=AugmentOptions)
    moving: bool = False
    """Of a scene that moves, from several cameras."""
    novel_cameras: int | None = None
    """With --moving: cameras from which views are asked for, each at all times; 4 where it is not given."""
    fps: float | None = None
    """With --moving: frames a second of folders of frames, 30 where it is not given."""
    max_frames: int | None = None
    """With --moving: most times, spread evenly over all; 60 where it is not given."""
    sync: Literal["auto", "given"] | None = None
    """With --moving: whether the clocks of the cameras are compared, as `bridge4d reconstruct --moving` does."""
    json: bool = False
    """Print report.json to stdout instead of the summary."""

    def run(self) -> int:
        """Run the command; its exit status."""
        given = {
            "fps": self.fps,
            "max_frames": self.max_frames,
            "sync": self.sync,
            "novel_cameras": self.novel_cameras,
        }
        asked = {name: value for name, value in given.items() if value is not None}
        if self.moving:
            return self._run_moving(asked)
        if asked:
            flag = next(iter(asked)).replace("_", "-")
            raise BridgeError(f"--{flag} is for scenes that move; give --moving as well, or leave it out")
        from bridge4d.augmenting.loop import augment

        console.heading(f"augment {self.photos} → {self.out}")
        done = augment(self.photos, self.out, self.loop, command=console.typed_command())
        return print_result(done, as_json=self.json)

    def _run_moving(self, asked: dict[str, Any]) -> int:
        from bridge4d.moving.augment import augment_moving
        from bridge4d.moving.options import AugmentMovingOptions, pick_moving
        from bridge4d.moving.report import say_augmented

        refuse_quality(self.quality)
        options = AugmentMovingOptions(**pick_moving(self.loop), **asked)
        console.heading(f"augment {self.photos} → {self.out}")
        done = augment_moving(self.photos, self.out, options, command=console.typed_command())
        return print_moving(done, say_augmented(done.report["augmented"]), as_json=self.json)


def refuse_quality(quality: str) -> None:
    """Refuse presets, which scenes that move do not have.

    Raises:
        BridgeError: one that is not the default was asked for.
    """
    if quality != "draft":
        raise BridgeError(
            f"--moving does not know --quality {quality}; state --max-side, --iterations and --max-gaussians"
        )


def print_moving(done: "MovingResult", *more: str, as_json: bool) -> int:
    """Print the result of a scene that moves; its exit status.

    Args:
        more: sentences after the headline.
    """
    from bridge4d.moving.report import headline

    if as_json:
        console.result(json.dumps(done.report, indent=2))
        return 0
    for line in (headline(done.report), *more, f"scene:  {done.scene}", f"report: {done.report_html}"):
        console.result(line)
    return 0


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
