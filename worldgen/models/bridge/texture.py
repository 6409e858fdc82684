"""Sharp, plausible detail for places nobody photographed, sampled by a few steps of flow matching.

The blending network answers holes with a mean, which is smooth. What the mean lacks is fine structure: the
high frequencies of truth minus mean. A small U-Net learns to transport noise to it along straight lines
(rectified flow: Liu et al. 2022; flow matching: Lipman et al. 2023), given the mean and the features behind it.
It predicts where a line ends, not its velocity (Li & He, Back to Basics, 2025): what it does not know then comes
out smooth, not as noise. Low frequencies stay the mean's, so a sample is never far from it.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, pixel_shuffle, pixel_unshuffle, silu

from worldgen.geometry.fill import push_pull
from worldgen.models.bridge.net import Answer

UNIT = 0.08
"""Typical size of the fine structure, sRGB; it is divided by this."""
SIGMA_PX = 4.0
"""Structure coarser than this is the mean's."""
UNSURE = 0.08
"""Stated colour error (before calibration) at which a hole takes half of the detail."""
LEAST_HOLE = 0.05
"""Share of detail that some pixel must take for it to be sampled at all."""
AROUND = 17
"""Side in pixels of the window over which the strength of sampled detail is measured."""
LATEST = 0.25
"""Remaining time below which errors of the detail weigh no more than there."""


@dataclass(frozen=True)
class TextureOptions:
    features: int = 40
    """Channels of `Answer.features`."""
    widths: tuple[int, int, int] = (48, 80, 112)
    """Channels at half, quarter and eighth size."""


class FilmBlock(nn.Module):
    """A residual block steered by the time of the flow (Perez et al., FiLM, 2018)."""

    def __init__(self, width: int, steer: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.film = nn.Linear(steer, 2 * width)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor, steer: Tensor) -> Tensor:
        """[b, c, h, w] and the flow's time features [b, s] to the first shape."""
        gain, shift = self.film(steer)[..., None, None].chunk(2, dim=1)
        return x + self.second(silu(self.first(silu(self.norm(x))) * (1 + gain) + shift))


class TextureNet(nn.Module):
    """Where the flow ends, computed at half size, where four pixels lie in the channels."""

    def __init__(self, options: TextureOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or TextureOptions()
        a, b, c = options.widths
        steer = 64
        self.steer = nn.Sequential(nn.Linear(16, steer), nn.SiLU(), nn.Linear(steer, steer), nn.SiLU())
        self.stem = nn.Conv2d(12 + 12 + 4 + options.features, a, 3, padding=1)
        self.down1, self.down2 = nn.Conv2d(a, b, 2, stride=2), nn.Conv2d(b, c, 2, stride=2)
        self.up1, self.up2 = nn.Conv2d(b, a, 1), nn.Conv2d(c, b, 1)
        self.blocks = nn.ModuleList(FilmBlock(w, steer) for w in (a, b, c, c, b, a))
        self.out = nn.Conv2d(a, 12, 3, padding=1)
        for parameter in self.out.parameters():
            nn.init.zeros_(parameter)

    def forward(
        self, x: Tensor, time: Float[Tensor, "b"], mean: Tensor, hole: Tensor, features: Tensor
    ) -> Tensor:
        """The detail [b, 3, h, w] behind the noisy detail x; `mean` and `hole` are the answer's colour and `holes`."""
        steer = self.steer(_time_features(time))
        given = torch.cat(
            [pixel_unshuffle(x, 2), pixel_unshuffle(mean - 0.5, 2), pixel_unshuffle(hole, 2), features], dim=1
        )
        fine = self.blocks[0](self.stem(given), steer)
        middle = self.blocks[1](self.down1(fine), steer)
        coarse = self.blocks[3](self.blocks[2](self.down2(middle), steer), steer)
        middle = self.blocks[4](middle + interpolate(self.up2(coarse), scale_factor=2.0), steer)
        fine = self.blocks[5](fine + interpolate(self.up1(middle), scale_factor=2.0), steer)
        return pixel_shuffle(self.out(fine), 2)


def _time_features(time: Float[Tensor, "b"]) -> Float[Tensor, "b 16"]:
    angle = time[:, None] * math.pi * 2.0 ** torch.arange(8, device=time.device)
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def fine_structure(difference: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """High frequencies in units of `UNIT`: the difference minus its Gaussian blur."""
    from kornia.filters import gaussian_blur2d

    side = 2 * int(2 * SIGMA_PX) + 1
    return (difference - gaussian_blur2d(difference, (side, side), (SIGMA_PX, SIGMA_PX), "replicate")) / UNIT


def holes(answer: Answer, seen: Float[Tensor, "b 1 h w"]) -> Float[Tensor, "b 1 h w"]:
    """How much of the sampled detail a pixel takes: 1 in holes of which nothing is known, 0 where a view shows the
    surface or the network is sure all the same."""
    unsure = torch.sigmoid(4 * (answer.log_scale - math.log(UNSURE)))
    unseen = avg_pool2d(
        1 - seen, 5, stride=1, padding=2, count_include_pad=False
    )  # soft borders show no seam
    return unseen * unsure


def flow_loss(
    net: TextureNet, answer: Answer, seen: Tensor, truth: Float[Tensor, "b 3 h w"], generator: torch.Generator
) -> Tensor:
    """Squared error of the velocity on straight paths from noise to the detail that the mean lacks, in holes.

    The velocity at time t is (end - place) / (1 - t); towards the end that is cut off at `LATEST`.
    """
    detail = fine_structure(truth - answer.colour)
    noise = torch.randn(detail.shape, generator=generator).to(detail)
    time = torch.rand(len(detail), generator=generator).to(detail)
    at = time[:, None, None, None]
    hole = holes(answer, seen)
    guess = net((1 - at) * noise + at * detail, time, answer.colour, hole, answer.features.float()).float()
    error = ((guess - detail) / (1 - at).clamp_min(LATEST)) ** 2
    return (error * hole).sum() / (3 * hole.sum()).clamp_min(1.0)


@torch.no_grad()
def sample_detail(
    net: TextureNet,
    answer: Answer,
    seen: Float[Tensor, "b 1 h w"],
    noise: Float[Tensor, "b 3 h w"],
    *,
    steps: int = 4,
) -> Float[Tensor, "b 3 h w"]:
    """Detail to be added to the answer's colour, sRGB: `steps` Euler steps from the noise.

    The same noise gives the same detail, and none where no pixel takes `LEAST_HOLE` of it. It is no stronger than
    the fine structure of what is seen around the hole: beside a white table nothing is made up.
    """
    hole, x = holes(answer, seen), noise
    if not bool((hole > LEAST_HOLE).any()):
        return torch.zeros_like(answer.colour)
    for k in range(steps):
        time = torch.full((len(x),), k / steps, device=x.device)
        end = net(x, time, answer.colour, hole, answer.features.float()).float()
        x = x + (end - x) / (steps - k)
    own = avg_pool2d(x.square().mean(1, keepdim=True), AROUND, 1, AROUND // 2, count_include_pad=False)
    strength = (structure_around(answer.colour, seen) / own.clamp_min(1e-6)).sqrt().clamp(max=1)
    return UNIT * x * hole * strength


def structure_around(
    colour: Float[Tensor, "b 3 h w"], seen: Float[Tensor, "b 1 h w"]
) -> Float[Tensor, "b 1 h w"]:
    """Mean square of the fine structure of seen pixels, carried into holes from around them.

    0 where nothing is seen.
    """
    square = fine_structure(colour).square().mean(1)
    out = [
        push_pull(energy[..., None].cpu(), there[0].cpu(), torch.zeros(1))[..., 0]
        for energy, there in zip(square, seen, strict=True)
    ]
    return torch.stack(out)[:, None].to(colour.device)
