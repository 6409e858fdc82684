"""The network: blends context views, repairs what the warp got wrong, and states how wrong it may still be."""

import itertools
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, pixel_shuffle, pixel_unshuffle

from recon.compute.residual_blocks import Block, residual_blocks
from worldgen.models.bridge.channels import CUES, FRAME_CHANNELS, Channel, Cue, only
from worldgen.models.bridge.conditioning import Conditioning

STRIDE = 16
"""Heights and widths are padded to a multiple of this."""
BELOW = -20.0
"""Logit of what may not be chosen."""


@dataclass(frozen=True)
class NetOptions:
    """Widths of the network; the defaults are what the shipped weights have."""

    view_width: int = 24
    """Channels of a view's features at half size."""
    widths: tuple[int, int, int, int] = (40, 72, 128, 160)
    """Channels at half, quarter, eighth and sixteenth size."""
    blocks: tuple[int, int, int, int] = (1, 2, 2, 2)
    """Residual blocks at each of these sizes."""
    key_width: int = 6
    """Length of the keys and queries by which views are weighted."""
    uncertainty: bool = True
    """False: no stated scale; training is by the colour loss alone (an ablation)."""
    recurrent: bool = True
    """False: a frame knows nothing of the frame before (an ablation)."""


@dataclass(frozen=True)
class Previous:
    """The frame before, moved to the present one through the present depth."""

    colour: Float[Tensor, "b 3 h w"]
    """sRGB, clamped to [0, 1]."""
    cues: Float[Tensor, "b 2 h w"]
    """Valid (seen by the previous frame) · the confidence it had, both in [0, 1]."""


@dataclass(frozen=True)
class Answer:
    """What the network says of b frames."""

    colour: Float[Tensor, "b 3 h w"]
    """sRGB, not clamped."""
    log_scale: Float[Tensor, "b 1 h w"]
    """Natural logarithm of the expected mean absolute colour error of the pixel, in [-6.5, -0.5]."""
    inverse_depth: Float[Tensor, "b 1 h w"]
    """In the units of `Conditioning.inverse_depth`."""
    features: Float[Tensor, "b f h2 w2"]
    """Of the decoder at half size, for the texture head."""


class Attention(nn.Module):
    """Self-attention over all places of the coarsest level."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.qkv = nn.Conv2d(width, 3 * width, 1)
        self.out = nn.Conv2d(width, width, 1)
        self.heads = heads
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[b, c, h, w] to the same shape."""
        b, c, h, w = x.shape
        parts = self.qkv(self.norm(x)).reshape(b, 3, self.heads, c // self.heads, h * w)
        q, k, v = parts.transpose(-1, -2).unbind(1)
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return x + self.out(mixed.transpose(-1, -2).reshape(b, c, h, w))


class BridgeNet(nn.Module):
    """Views and cache in, one frame out; frames of a clip are tied by `Previous`.

    Every context view goes through one encoder; attention weights pool the views at half size, a U-Net sees
    the pooled views, the filled warp, rays, time and the previous frame, and each view's colour is then
    weighted by how well its key fits the U-Net's query (in the spirit of IBRNet, Wang et al. 2021). The
    order of the views does not matter, and slots may stay empty.
    """

    def __init__(self, options: NetOptions | None = None) -> None:
        super().__init__()
        self.options = options = options or NetOptions()
        widths, vw, kw = options.widths, options.view_width, options.key_width
        self.view_in = nn.Conv2d(6 + CUES, vw, 3, stride=2, padding=1)
        self.view_block = Block(vw)
        self.pool = nn.Conv2d(vw, 1, 1)
        self.key = nn.Conv2d(vw, 4 * kw, 1)
        self.key_cues = nn.Sequential(nn.Conv2d(CUES + 1, 12, 1), nn.SiLU(), nn.Conv2d(12, 1, 1))
        self.stem = nn.Conv2d(4 * (3 + FRAME_CHANNELS + 5), widths[0], 3, padding=1)
        self.join = nn.Conv2d(widths[0] + 3 * vw, widths[0], 1)
        self.encode = nn.ModuleList(
            residual_blocks(w, n) for w, n in zip(widths, options.blocks, strict=True)
        )
        self.down = nn.ModuleList(nn.Conv2d(a, b, 2, stride=2) for a, b in itertools.pairwise(widths))
        self.attend = Attention(widths[-1])
        self.up = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in itertools.pairwise(widths))
        self.decode = nn.ModuleList(
            residual_blocks(w, max(n, 2) if i == 0 else n)
            for i, (w, n) in enumerate(zip(widths[:-1], options.blocks, strict=False))
        )
        self.head = nn.Conv2d(widths[0], 4 * (3 + 1 + 1 + 2 + kw), 3, padding=1)
        self.refine = nn.Sequential(
            nn.Conv2d(6 + 5 + 2, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 16, 3, padding=1), nn.SiLU(),
            nn.Conv2d(16, 3, 3, padding=1),
        )  # fmt: skip
        for module in (self.head, self.refine[-1], self.key_cues[-1]):  # begins as the best visible view
            for parameter in module.parameters():
                nn.init.zeros_(parameter)

    def forward(self, given: Conditioning, previous: Previous | None = None) -> Answer:
        """Height and width must be multiples of `STRIDE`."""
        before = self._previous_channels(given, previous)
        encoded, keys = self._encode_views(given)
        x = self._unet(torch.cat([given.base - 0.5, given.frame, before], dim=1), encoded)
        out = pixel_shuffle(self.head(x), 2)
        residual, log_scale, deeper, choice, query = out.split([3, 1, 1, 2, self.options.key_width], dim=1)
        blend = self._blend(given, before, keys, query, choice)
        cues = torch.cat(
            [
                blend - 0.5,
                given.base - 0.5,
                residual,
                log_scale,
                deeper,
                given.frame[:, only(Channel.CONFIDENCE)],
                given.frame[:, only(Channel.SEEN)],
            ],
            dim=1,
        )
        colour = blend + residual + self.refine(cues)
        inverse = nn.functional.softplus(8 * (given.inverse_depth + deeper)) / 8
        return Answer(colour.float(), log_scale.float().clamp(-4, 2) - 2.5, inverse.float(), x)

    def _previous_channels(self, given: Conditioning, previous: Previous | None) -> Float[Tensor, "n 5 h w"]:
        if previous is None or not self.options.recurrent:
            return given.base.new_zeros(given.base.shape[0], 5, *given.base.shape[2:])
        return torch.cat([previous.colour, previous.cues], dim=1).to(given.base.dtype)

    def _encode_views(self, given: Conditioning) -> tuple[Tensor, Tensor]:
        """Pooled views [n, 3·view_width, h/2, w/2] and a key per view and pixel [n, v, key_width + 1, h, w]."""
        n, v = given.views.shape[:2]
        cues = given.cues.flatten(0, 1)
        inside = cues[:, only(Cue.INSIDE)].sign()
        apart = (given.views - given.base[:, None]).flatten(0, 1) * inside
        x = self.view_in(torch.cat([given.views.flatten(0, 1) - 0.5, apart, cues], dim=1))
        x = self.view_block(x)
        distance = apart.abs().mean(1, keepdim=True)
        extra = self.key_cues(torch.cat([cues, distance], dim=1))
        keys = torch.cat([pixel_shuffle(self.key(x), 2), extra], dim=1).unflatten(0, (n, v))
        x = x.unflatten(0, (n, v))
        there = inside.unflatten(0, (n, v))[..., ::2, ::2]
        weight = (self.pool(x.flatten(0, 1)).unflatten(0, (n, v)) + BELOW * (1 - there)).softmax(dim=1)
        mean = (weight * x).sum(1)
        spread = (weight * (x - mean[:, None]) ** 2).sum(1)
        return torch.cat([mean, spread, x.amax(1)], dim=1), keys

    def _unet(self, frame: Tensor, views: Tensor) -> Tensor:
        x = self.join(torch.cat([self.stem(pixel_unshuffle(frame, 2)), views], dim=1))
        skips = []
        for encode, down in zip(self.encode, self.down, strict=False):
            x = encode(x)
            skips.append(x)
            x = down(x)
        x = self.attend(self.encode[-1](x))
        for skip, up, decode in reversed(list(zip(skips, self.up, self.decode, strict=True))):
            x = decode(skip + interpolate(up(x), scale_factor=2.0, mode="nearest"))
        return x

    def _blend(
        self, given: Conditioning, before: Tensor, keys: Tensor, query: Tensor, choice: Tensor
    ) -> Tensor:
        """A convex mix of the views, the filled warp and the previous frame, per pixel."""
        cues = given.cues
        fit = (query[:, None] * keys[:, :, :-1]).sum(2) + keys[:, :, -1]
        hopes = cues[:, :, Cue.VISIBLE] + cues[:, :, Cue.ANGLE] + cues[:, :, Cue.TRUST]
        prior = 2 * (hopes - 4) + BELOW * (1 - cues[:, :, Cue.INSIDE].sign())
        valid = before[:, 3]
        logits = torch.cat(
            [
                (fit + prior).float(),
                choice[:, 0:1].float() + 1,
                (choice[:, 1] - 2 + BELOW * (1 - valid))[:, None].float(),
            ],
            dim=1,
        )
        weight = logits.softmax(dim=1).to(given.base.dtype)
        options = torch.cat([given.views, given.base[:, None], before[:, None, :3]], dim=1)
        return (weight[:, :, None] * options).sum(1)
