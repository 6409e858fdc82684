"""Training options, and the crops that a training step sees."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from recon.cameras import Cameras
from worldgen.models.bridge.conditioning import Conditioning
from worldgen.models.bridge.motion import previous_frame, warp_picture
from worldgen.models.bridge.net import Answer, NetOptions, Previous
from worldgen.models.bridge.texture import TextureOptions
from worldgen.models.bridge.training.losses import steadiness_loss
from worldgen.models.bridge.training.samples import RAY_STEP, Sample, flip, load_crop, permute_colours


@dataclass(frozen=True)
class TrainOptions:
    """The defaults are the small configuration, for two CPU cores."""

    out: Path = Path("runs/bridge")
    """Samples, checkpoints and weights go here; a second start goes on where the first stopped."""
    shots: int = 240
    """Procedural shots; of the last tenth one half judges, and a quarter each fits and chooses the calibration."""
    width: int = 256
    """Width of the samples, pixels."""
    height: int = 192
    """Height of the samples, pixels."""
    targets: int = 6
    """Frames of a shot."""
    steps: int = 1500
    """Of the blending network."""
    detail_steps: int = 500
    """Of the head that samples detail."""
    batch: int = 8
    """Crops of a step."""
    crop: int = 128
    """Side of a crop, pixels; a multiple of the network's stride."""
    clip: int = 2
    """Consecutive frames that are trained on together."""
    rate: float = 1e-3
    """Largest learning rate."""
    seed: int = 0
    """Of samples, initial weights and batches."""
    photographs: bool = False
    """Also use the public-domain photographs of the scikit-image wheel as textures."""
    workers: int = 2
    """Processes that make samples."""
    device: str = "cpu"
    """cpu, or cuda where there is one."""
    save_every: int = 100
    """Steps between checkpoints, which is the most that an interruption costs."""
    net: NetOptions = field(default_factory=NetOptions)
    texture: TextureOptions = field(default_factory=TextureOptions)


LARGE = TrainOptions(
    shots=6000, width=384, height=256, steps=60_000, detail_steps=20_000, batch=32, crop=192, clip=4,
    workers=16, device="cuda", save_every=1000,
    net=NetOptions(view_width=32, widths=(64, 112, 192, 256), blocks=(2, 2, 3, 3), key_width=8),
    texture=TextureOptions(features=64, widths=(64, 112, 160)),
)  # fmt: skip
"""For one GPU."""


@dataclass(frozen=True)
class Batch:
    """Crops of several clips, frame by frame."""

    given: list[Conditioning]
    """Inputs of each frame."""
    truth: list[Tensor]
    """True colours of each frame [b, 3, h, w], sRGB."""
    depth: list[Tensor]
    """True inverse depth of each frame [b, 1, h, w]; 0 where unknown."""
    cameras: list[Cameras]
    """One camera a crop, for each frame."""
    scale: Tensor
    """[b] `Cache.scale` of each crop, world units."""

    @staticmethod
    def draw(paths: list[Path], options: TrainOptions, step: int, *, holes_first: bool = False) -> "Batch":
        """The crops of one step; the same step draws the same.

        With `holes_first`, of four crops the emptiest is taken.
        """
        generator = torch.Generator().manual_seed(options.seed * 7_919 + step)
        tries = 4 if holes_first else 1
        samples = [
            min(
                (_crop(paths, options, generator) for _ in range(tries)),
                key=lambda s: float(s.given.seen.mean()),
            )
            for _ in range(options.batch)
        ]
        device = options.device
        frames = range(options.clip)
        return Batch(
            [Conditioning.concatenate([s.given[t : t + 1] for s in samples]).to(device) for t in frames],
            [torch.stack([s.truth[t] for s in samples]).to(device) for t in frames],
            [torch.stack([s.depth[t] for s in samples]).to(device) for t in frames],
            [Cameras.concatenate([s.cameras[t : t + 1] for s in samples]) for t in frames],
            torch.tensor([s.scale for s in samples]),
        )

    def warp_previous(self, previous: Answer, t: int) -> Previous:
        """The answer for frame t - 1 as frame t sees it; no gradient flows back in time."""
        return previous_frame(
            previous, self.given[t - 1].inverse_depth, self.cameras[t - 1],
            self.given[t].inverse_depth, self.cameras[t], self.scale,
        )  # fmt: skip

    def unsteadiness(self, previous: Answer, answer: Answer, t: int) -> Tensor:
        """`steadiness_loss` from the answer for frame t - 1, which takes no gradient, to that for frame t."""
        both = torch.cat([previous.colour.detach(), self.truth[t - 1]], dim=1)
        out, valid = warp_picture(
            both, self.given[t - 1].inverse_depth, self.cameras[t - 1],
            self.given[t].inverse_depth, self.cameras[t], self.scale,
        )  # fmt: skip
        return steadiness_loss(answer.colour, out[:, :3], self.truth[t], out[:, 3:], valid)


def _crop(paths: list[Path], options: TrainOptions, generator: torch.Generator) -> Sample:
    def draw(high: int) -> int:
        """A random whole number from 0 to `high` - 1."""
        return int(torch.randint(high, (1,), generator=generator))

    path = paths[draw(len(paths))]
    first = draw(options.targets - options.clip + 1)
    top = RAY_STEP * draw((options.height - options.crop) // RAY_STEP + 1)
    left = RAY_STEP * draw((options.width - options.crop) // RAY_STEP + 1)
    sample = load_crop(path, frames=slice(first, first + options.clip), top=top, left=left, size=options.crop)
    if draw(2):
        sample = flip(sample)
    if draw(2):
        sample = permute_colours(sample, torch.randperm(3, generator=generator).tolist())
    return sample
