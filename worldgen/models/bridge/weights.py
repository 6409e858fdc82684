"""The weights file: safetensors with the networks' shapes, the calibration and the training's story beside them."""

from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import parse_number
from recon.compute.network_files import (
    fill_network,
    networks_as_stated,
    parse_sizes,
    read_network_file,
    save_network_file,
)
from worldgen.models.bridge.net import BridgeNet, NetOptions
from worldgen.models.bridge.texture import TextureNet, TextureOptions

FORMAT = "bridge4d/bridge/2"
"""Raised when weights of an earlier version can no longer be read."""
LARGEST_FILE = 2 << 30
"""Bytes; the shipped weights have 7 MB."""
WITHIN = 0.1
"""Colour error (sRGB) whose probability the confidence states."""
GUESS = 0.25
"""Mean absolute difference of colours that have nothing to do with each other."""
REMOTE_PX = 64.0
"""So far from the nearest seen pixel, a hole is as remote as can be."""


@dataclass(frozen=True)
class Calibration:
    """Makes the stated scale mean what it says: log b' = shift + slope · log b, fitted on held-out shots; and where no
    photo shows anything from near by, no better than a guess."""

    shift: float = 0.0
    """Added to the logarithm of the stated scale."""
    slope: float = 1.0
    """Factor of that logarithm; below 1 where the network exaggerates differences."""

    def scale(self, log_scale: Float[Tensor, "*n"], remote: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """The scale, at most 1 (sRGB), of an exponential distribution whose chance of an error below `WITHIN` holds."""
        return torch.maximum(torch.exp(self.shift + self.slope * log_scale), GUESS * remote).clamp(max=1)


def remoteness(seen: Float[Tensor, "h w"]) -> Float[Tensor, "h w"]:
    """How far a pixel is from the nearest one that a view shows: 0 there, above 0 in holes, 1 from `REMOTE_PX` on."""
    import cv2

    if not bool((seen > 0).any()):
        return torch.ones_like(seen)
    distance = cv2.distanceTransform((seen.numpy() == 0).astype("uint8"), cv2.DIST_L2, 5)
    return torch.from_numpy(distance / REMOTE_PX).clamp(0, 1).to(seen.dtype)


def confidence(scale: Float[Tensor, "..."], within: float = WITHIN) -> Float[Tensor, "..."]:
    """Probability that the mean absolute colour error of a pixel is below `within` (exponential distribution)."""
    return 1 - torch.exp(-within / scale)


@dataclass(frozen=True)
class Weights:
    """All that the model has learned."""

    net: BridgeNet
    texture: TextureNet | None
    """None: nothing samples detail, and holes stay smooth."""
    calibration: Calibration = field(default_factory=Calibration)
    story: dict = field(default_factory=dict)
    """How they came to be: configuration, data, compute, date, licence."""


def shipped_weights() -> Path:
    """The file that comes with the package."""
    return Path(str(files("worldgen.models.bridge") / "bridge.safetensors"))


def save_weights(weights: Weights, path: Path) -> None:
    """Half precision; the file is whole or absent."""
    state = {f"net.{name}": x for name, x in weights.net.state_dict().items()}
    if weights.texture is not None:
        state |= {f"texture.{name}": x for name, x in weights.texture.state_dict().items()}
    about = {
        "format": FORMAT,
        "net": asdict(weights.net.options),
        "texture": None if weights.texture is None else asdict(weights.texture.options),
        "calibration": asdict(weights.calibration),
        "story": weights.story,
    }
    save_network_file(state, about, path)


def load_weights(path: Path | str | None = None) -> Weights:
    """The shipped weights, or a file of one's own training.

    Raises:
        BridgeError: no such file, not one of these, or one whose networks do not fit what it says of them.
    """
    path = Path(path or shipped_weights())
    about, state = read_network_file(
        path,
        format=FORMAT,
        what="the bridge model",
        train="worldgen.models.bridge.train small",
        most=LARGEST_FILE,
    )
    with networks_as_stated(path):
        return _assemble(about, state)


def _assemble(about: dict, state: dict[str, Tensor]) -> Weights:
    """The networks with their tensors; raises whatever does not fit."""

    def under(prefix: str) -> dict[str, Tensor]:
        """The tensors of one network, without its prefix."""
        return {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}

    net_options = NetOptions(**parse_sizes(about["net"]))
    net = fill_network(lambda: BridgeNet(net_options), under("net."))
    texture = None
    if about["texture"] is not None:
        texture_options = TextureOptions(**parse_sizes(about["texture"]))
        texture = fill_network(lambda: TextureNet(texture_options), under("texture."))
    calibration = {key: parse_number(value, key) for key, value in about["calibration"].items()}
    return Weights(net, texture, Calibration(**calibration), dict(about["story"]))
