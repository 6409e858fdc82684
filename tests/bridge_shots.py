"""What the tests of the built-in model share: nine pictures of the room, and networks small enough for a test."""

from collections.abc import Sequence
from functools import cache as once

import torch

from recon.clip import Clip
from worldgen.model import Request
from worldgen.models.bridge.conditioning import Cache, Conditioning, condition
from worldgen.models.bridge.model import Bridge, Views, _pad_to_stride
from worldgen.models.bridge.net import BridgeNet, NetOptions
from worldgen.models.bridge.texture import TextureNet, TextureOptions
from worldgen.models.bridge.training.samples import Sample, build_cache
from worldgen.models.bridge.weights import Weights
from worldgen.models.synthetic import SyntheticRoom

TINY = NetOptions(view_width=8, widths=(16, 16, 16, 16), blocks=(1, 1, 1, 1), key_width=2)
TINY_TEXTURE = TextureOptions(features=16, widths=(8, 8, 8))


@once
def nine_pictures() -> Clip:
    """Nine neighbouring pictures of the room; even ones are photos, odd ones truth."""
    synthetic = SyntheticRoom()
    cameras = synthetic.cameras(33, width=168, height=120)[8:17]
    images, _ = synthetic.render(cameras)
    return Clip(images, cameras, times_s=torch.arange(9.0))


@once
def five_photos() -> Cache:
    room = nine_pictures()
    return build_cache(room[[0, 2, 4, 6, 8]], None, room.require_cameras())


@once
def three_frames() -> Sample:
    room, cache, picks = nine_pictures(), five_photos(), [1, 3, 5]
    given = Conditioning.concatenate(
        [condition(cache, room.require_cameras()[i], time_s=float(i)) for i in picks]
    )
    truth = room.images[picks].permute(0, 3, 1, 2)
    return Sample(given, truth, given.inverse_depth, room.require_cameras()[picks], cache.scale)


def tiny() -> Weights:
    torch.manual_seed(0)
    net, texture = BridgeNet(TINY).eval(), TextureNet(TINY_TEXTURE).eval()
    for parameter in texture.out.parameters():  # a head that does something
        torch.nn.init.normal_(parameter, std=0.1)
    return Weights(net, texture)


def noisy(net: BridgeNet) -> BridgeNet:
    """The same network off its neutral start, so that every input matters."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return net


def padded(sample: Sample) -> Conditioning:
    return _pad_to_stride(sample.given)


def ask(
    room: Clip,
    model: Bridge,
    *,
    seed: int = 0,
    picks: Sequence[int] = (1, 3, 5),
    context: Sequence[int] = (0, 2, 4, 6, 8),
) -> Views:
    request = Request(
        room[list(context)], room.require_cameras()[list(picks)], times_s=room.times_s[list(picks)]
    )
    return model.generate(request, generator=torch.Generator().manual_seed(seed))
