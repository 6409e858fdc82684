"""Wan image-to-video with a first and a last frame: a video from one photo to another, told of no cameras.

Each target is looked for in the video between the two photos that it lies between. Where it stands there is a guess: as if the camera
went from one to the other at an even pace. The answer says so as what was drawn, and whoever judges it has to find out.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch

from recon.cameras import Cameras
from recon.clip import Clip
from recon.errors import BridgeError
from worldgen.backends.pipelines import PipelineConfig, PipelineModel, as_images, as_pictures
from worldgen.door import as_frames
from worldgen.model import ModelSpec, Request, SizeRule, Views
from worldgen.trajectories import interpolate

RULE = 4
"""A video has 4k + 1 frames."""


@dataclass(frozen=True)
class Config(PipelineConfig):
    weights: str = "Wan-AI/Wan2.1-FLF2V-14B-720P-diffusers"
    """A folder as save_pretrained of diffusers writes it, or a name of the Hugging Face Hub."""
    area: int = 1280 * 720
    """Width times height of its pictures, which keep their shape: 921600 is 720p, at which it was trained."""
    max_frames: int = 81
    """Frames of each video, of the form 4k + 1, the two photos included; 81 is what it was trained on."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.area < 256 or self.max_frames % RULE != 1 or self.max_frames < RULE + 1:
            raise BridgeError(
                "expected --model.area of at least 256 and --model.max-frames of 5, 9, 13 …, got "
                f"{self.area} and {self.max_frames}"
            )


@dataclass(frozen=True)
class Place:
    """Where a target is looked for: a frame of the video between two photos."""

    ends: tuple[int, int]
    frame: int


class WanFirstLast(PipelineModel):
    """Wan from a first to a last frame (``wan-first-last``)."""

    name, kind, exact = "wan-first-last", "WanImageToVideoPipeline", ("vae", "image_encoder")
    config: Config
    options = Config

    @property
    def spec(self) -> ModelSpec:
        """What the model states of itself."""
        return ModelSpec(
            name=self.name,
            conditions_on=("images", "text"),
            size=SizeRule(multiple_of=16, area=self.config.area),
            unit="free",
            min_context=2,
        )

    def generate(self, request: Request, *, generator: torch.Generator) -> Views:
        """One picture per target, with the cameras at which it would stand at an even pace; one video for each pair of photos.

        Raises:
            BridgeError: see `PipelineModel.ask`.
        """
        targets, frames = request.targets, self.config.max_frames
        photos = as_frames(request.context, targets)
        places = [find_place(photos.require_cameras(), targets[i], frames) for i in range(len(targets))]
        wanted: dict[tuple[int, int], list[int]] = defaultdict(list)
        for i, place in enumerate(places):
            wanted[place.ends].append(i)
        images = torch.zeros(len(targets), targets.height, targets.width, 3)
        drawn: list[Cameras] = [targets[i] for i in range(len(targets))]
        for ends, rows in wanted.items():
            video = self._between(photos[list(ends)], request, generator)
            way = interpolate(photos.require_cameras()[list(ends)], count=frames)
            for i in rows:
                images[i], drawn[i] = video[places[i].frame], way[places[i].frame].to(dtype=targets.K.dtype)
        return Views(Clip(images, targets, request.times_s), drawn=Cameras.concatenate(drawn))

    def _between(self, ends: Clip, request: Request, generator: torch.Generator) -> torch.Tensor:
        first, last = as_pictures(ends.images)
        answer = self.ask(
            generator=generator,
            prompt=request.prompt,
            image=first,
            last_image=last,
            width=ends.width,
            height=ends.height,
            num_frames=self.config.max_frames,
        )
        return as_images(answer.frames[0])


def find_place(photos: Cameras, target: Cameras, frames: int) -> Place:
    """The pair of photos whose line the target is nearest to, both near and looking its way, and the frame on that line.

    Of a pair (a, b) and a target t the way counts twice |t − a| + |t − b| less |a − b|, as a share of the largest distance of photos;
    and the gazes as shares of a half turn.
    """
    centers, at = photos.centers.double(), target.centers.double()
    apart = torch.cdist(centers, centers)
    reach = (centers - at).norm(dim=1)
    turns = torch.arccos((photos.forward * target.forward).sum(1).double().clamp(-1, 1)) / torch.pi
    extent = apart.max().clamp_min(1e-9)
    cost = (2 * (reach[:, None] + reach) - apart) / extent + turns[:, None] + turns
    first, second = torch.triu_indices(len(photos), len(photos), offset=1)
    best = int(cost[first, second].argmin())
    ends = int(first[best]), int(second[best])
    line = centers[ends[1]] - centers[ends[0]]
    share = float(((at[0] - centers[ends[0]]) @ line) / (line @ line).clamp_min(1e-12))
    return Place(
        ends, min(max(round(share * (frames - 1)), 1), frames - 2)
    )  # the ends are the photos themselves
