"""The network: a U-Net that corrects the aggregated costs of a plane sweep into a distribution over the planes."""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, pad, silu, softplus

from recon.compute.residual_blocks import residual_blocks
from recon.depth.learned.inputs import CHANNELS, PLANES, POOLED, REFINED, SPREAD

SHARPNESS = 20.0
"""Factor from aggregated cost to a logit at the start of training: a cost of 0.05 above the best plane's is e times less likely."""


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

    def median(self) -> Float[Tensor, "b h w"]:
        """Share of depth that is as likely to be exceeded as not, between the planes."""
        below = self.logits.softmax(1).cumsum(1)
        plane = (below < 0.5).sum(1, keepdim=True).clamp(max=PLANES - 1)
        there = below.gather(1, plane)
        before = torch.where(plane > 0, below.gather(1, (plane - 1).clamp_min(0)), torch.zeros(()))
        part = (0.5 - before) / (there - before).clamp_min(1e-9)
        return ((plane - 0.5 + part)[:, 0] / (PLANES - 1)).clamp(0, 1)

    def chance_within(
        self, share: Float[Tensor, "b h w"], far: float, near: float, relative: float
    ) -> Float[Tensor, "b h w"]:
        """Probability that the true depth is within `relative` of that of a share.

        What the first and the last plane hold may as well lie beyond them, and does not count.

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
        return (p * (high - low))[:, 1:-1].sum(1).clamp(0, 1)


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
        self.rest = nn.Conv2d(widths[0], 7, 3, padding=1)
        for module in (self.free, self.rest):  # begins as semi-global matching
            nn.init.zeros_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)

    @property
    def stride(self) -> int:
        """Sides of pictures are padded to multiples of this."""
        return 2 ** (len(self.options.widths) - 1)

    def forward(self, channels: Float[Tensor, "b 162 h w"]) -> DepthAnswer:
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
        belief, moved, width, *trusts = self.rest(x).float().split(1, dim=1)
        plane = torch.linspace(0, 1, PLANES, device=x.device)[None, :, None, None]
        close = channels[:, POOLED : POOLED + PLANES].float() - 1  # minus the aggregated cost
        logits = SHARPNESS * torch.exp(belief.clamp(-6, 2)) * close + free
        refined, spread = ((channels[:, at : at + 1].float() + 1) / 2 for at in (REFINED, SPREAD))
        for share, trust, narrow in ((refined, *trusts[:2]), (spread, *trusts[2:])):
            apart = (plane - share).abs() * (PLANES - 1) * torch.exp(narrow.clamp(-4, 2))
            logits = logits - softplus(trust) * (1 - torch.exp(-apart))
        # from the spread depth, moved as the surroundings say; its precision begins so low that it hardly matters
        middle = torch.sigmoid(torch.logit(spread, eps=0.01) + moved)
        logits = logits - (plane - middle).abs() * 8 * torch.exp((width - 1).clamp(-6, 4))
        return DepthAnswer(logits, middle[:, 0])
