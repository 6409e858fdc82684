"""What are times worth to a world model that is asked for views of a place in which things move?

    python -m benchmarks.views_at_times [--seeds 1] [--models warp bridge] [--times 6]

A procedural place with a person, a thing and a soft body, filmed by a rig of six still cameras on an arc of 40 degrees, six frames a second.
One camera is asked for at all times, the frames of the others are the context. Asked are

- *no times*: all frames, and no times, as before there were any;
- *told*: all frames and the times, to the model itself;
- *by moments*: through `worldgen.rollout`, which shows a model the frames that were taken nearest to each time.

PSNR over the views, of the whole picture, and of what moves and what stands still by the exact masks.
"""

from dataclasses import dataclass

import torch

from benchmarks.output import command
from eval.pictures.images import psnr
from recon.cameras import Cameras
from recon.clip import Clip
from worldgen.model import Request
from worldgen.registry import load_model
from worldgen.rollout import rollout
from worldgen.scenes.moving_place import MovingPlace

CAMERAS, JUDGE = 6, 3
FPS = 6.0


@dataclass(frozen=True)
class Arguments:
    seeds: tuple[int, ...] = (1,)
    """Places."""
    models: tuple[str, ...] = ("warp", "bridge")
    times: int = 6
    width: int = 192
    height: int = 144


def main(arguments: Arguments) -> None:
    for seed in arguments.seeds:
        place = MovingPlace(seed)
        rig = place.rig(CAMERAS, width=arguments.width, height=arguments.height)
        times = torch.arange(arguments.times).double() / FPS
        others = [k for k in range(CAMERAS) if k != JUDGE]
        taken = times.repeat_interleave(len(others))
        context = place.film(rig[others * len(times)], taken).clip
        context = Clip(context.images, context.cameras, taken)
        truth = place.film(rig[[JUDGE] * len(times)], times)
        for name in arguments.models:
            for how in ("no times", "told", "by moments"):
                shown = ask(name, how, context, truth.clip.require_cameras(), times)
                parts = (None, truth.moving, ~truth.moving)
                scores = [float(psnr(shown.images, truth.clip.images, part).nanmean()) for part in parts]
                print(seed, name, how, *(f"{score:.2f}" for score in scores), flush=True)


def ask(name: str, how: str, context: Clip, targets: Cameras, times: torch.Tensor) -> Clip:
    """The views of a model, at the size of the targets."""
    request = Request(context, targets, times_s=None if how == "no times" else times)
    model, generator = load_model(name), torch.Generator().manual_seed(0)
    if how == "told":
        return model.generate(request, generator=generator).clip
    return rollout(model, request, generator=generator).clip


if __name__ == "__main__":
    command(main, Arguments, __doc__)
