"""The network: a U-Net that corrects the aggregated costs of a plane sweep into a distribution over the planes."""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, silu, softplus

from recon.compute.residual_blocks import residual_blocks
from recon.depth.learned.inputs import CHANNELS, PLANES, POOLED, REFINED

SHARPNESS = 20.0
"""Factor from aggregated cost to a logit at the start of training: a cost of 0.05 above the best plane's is e times less likely."""
NEAR_MODE = 2
"""Planes on each side of the likeliest one over which depth is averaged: more mixes two surfaces."""


@dataclass(frozen=True)
class DepthNetOptions:
    widths: tuple[int, ...] = (32, 64, 96, 128, 160)
    """Channels of each level; each has half the size of the one before."""
    blocks: tuple[int, ...] = (1, 2, 2, 2, 2)
    """Residual blocks of each level, on the way down and on the way up."""


@dataclass(frozen=True)
class DepthAnswer:
    """What the network says of b photos, at the size at which planes were swept."""

    logits: Float[Tensor, "b 96 h w"]
    """Of the true depth lying at each plane; hats of one plane's width to each side make a density of them."""
    middle: Float[Tensor, "b h w"]
    """Share of depth from the surroundings alone; trained along, it moves the logits."""

    def divided(self, temperature: float) -> "DepthAnswer":
        """With logits divided by a temperature: above 1 less sure."""
        return DepthAnswer(self.logits / temperature, self.middle)

    def best(self) -> Float[Tensor, "b h w"]:
        """Share of the likeliest depth, between the planes."""
        p = self.logits.softmax(1)
        smooth = nn.functional.avg_pool3d(p[:, None], (3, 1, 1), stride=1, padding=(1, 0, 0))[:, 0]
        mode = smooth.argmax(1, keepdim=True)
        offsets = torch.arange(-NEAR_MODE, NEAR_MODE + 1, device=p.device)
        plane = mode + offsets[None, :, None, None]
        inside = (plane >= 0) & (plane < PLANES)
        weight = p.gather(1, plane.clamp(0, PLANES - 1)) * inside + 1e-9
        return ((weight * plane).sum(1) / weight.sum(1) / (PLANES - 1)).clamp(0, 1)

    def chance_within(
        self, share: Float[Tensor, "b h w"], far: float, near: float, relative: float
    ) -> Float[Tensor, "b h w"]:
        """Probability that the true depth is within `relative` of that of a share.

        Args:
            far, near: inverse depth of share 0 and 1.
        """
        p = self.logits.softmax(1)
        q = far + share * (near - far)
        ends = [
            ((bound - far) / (near - far) * (PLANES - 1))
            for bound in (q / (1 + relative), q / (1 - relative))
        ]
        plane = torch.arange(PLANES, device=p.device)[None, :, None, None]
        low, high = (_below(end[:, None] - plane) for end in ends)
        return (p * (high - low)).sum(1).clamp(0, 1)


def _below(x: Tensor) -> Tensor:
    """Share of a hat of half width 1 that lies below x."""
    x = x.clamp(-1, 1)
    return 0.5 + x - 0.5 * x * x.abs()


class DepthNet(nn.Module):
    """Logits of each plane: aggregated costs and the refined depth, as far as they are believed, and what the U-Net adds."""

    def __init__(self, options: DepthNetOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or DepthNetOptions()
        widths, blocks = options.widths, options.blocks
        self.stem = nn.Conv2d(CHANNELS, widths[0], 3, padding=1)
        self.encode = nn.ModuleList(residual_blocks(w, n) for w, n in zip(widths, blocks, strict=True))
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in itertools.pairwise(widths))
        self.decode = nn.ModuleList(residual_blocks(w, n) for w, n in zip(widths[:-1], blocks, strict=False))
        self.free = nn.Conv2d(widths[0], PLANES, 1)
        self.rest = nn.Conv2d(widths[0], 5, 3, padding=1)
        for module in (self.free, self.rest):  # begins as semi-global matching
            nn.init.zeros_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)

    @property
    def stride(self) -> int:
        """Sides of pictures are padded to multiples of this."""
        return 2 ** (len(self.options.widths) - 1)

    def forward(self, channels: Float[Tensor, "b 160 h w"]) -> DepthAnswer:
        """Pictures of any size, as `SweptPhoto.channels` describes them."""
        h, w = channels.shape[2:]
        padding = (0, -w % self.stride, 0, -h % self.stride)
        x = self.stem(pad(channels, padding, mode="replicate"))
        skips = []
        for encode, down in zip(self.encode, self.down, strict=False):
            x = encode(x)
            skips.append(x)
            x = down(x)
        x = self.encode[-1](x)
        for skip, up, decode in reversed(list(zip(skips, self.up, self.decode, strict=True))):
            x = decode(skip + interpolate(up(x), scale_factor=2.0, mode="nearest"))
        x = silu(x[..., :h, :w])
        free = self.free(x).float()
        belief, middle, width, trust, narrow = self.rest(x).float().split(1, dim=1)
        middle = torch.sigmoid(middle)
        plane = torch.linspace(0, 1, PLANES, device=x.device)[None, :, None, None]
        # precisions begin so low that these terms hardly matter
        around = (plane - middle).abs() * 8 * torch.exp((width - 1).clamp(-6, 4))
        refined = (channels[:, REFINED : REFINED + 1].float() + 1) / 2
        apart = 1 - torch.exp(-(plane - refined).abs() * (PLANES - 1) * torch.exp(narrow.clamp(-3, 3)))
        close = channels[:, POOLED : POOLED + PLANES].float() - 1  # minus the aggregated cost
        logits = SHARPNESS * torch.exp(belief.clamp(-6, 2)) * close + free - around - softplus(trust) * apart
        return DepthAnswer(logits, middle[:, 0])
