"""The weights file: safetensors with the networks' shapes, the calibration and the training's story beside them."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from recon.bounded import open_safetensors, parse_integer, parse_json, parse_number
from recon.compute.files import atomic_write
from recon.errors import BridgeError
from worldgen.models.bridge.net import BridgeNet, NetOptions
from worldgen.models.bridge.texture import TextureNet, TextureOptions

Net = TypeVar("Net", BridgeNet, TextureNet)

FORMAT = "bridge4d/bridge/2"
"""Raised when weights of an earlier version can no longer be read."""
LARGEST_FILE = 2 << 30
"""Bytes; the shipped weights have 7 MB."""
MOST_CHANNELS, MOST_BLOCKS = 4096, 64
"""Of one level; the shipped networks have up to 160, and 2."""
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
    from safetensors.torch import save_file

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
    path.parent.mkdir(parents=True, exist_ok=True)
    halves = {name: x.half().contiguous() for name, x in state.items()}
    with atomic_write(path) as beside:
        save_file(halves, beside, metadata={"about": json.dumps(about)})


def load_weights(path: Path | str | None = None) -> Weights:
    """The shipped weights, or a file of one's own training.

    Raises:
        BridgeError: no such file, not one of these, or one whose networks do not fit what it says of them.
    """
    path = Path(path or shipped_weights())
    if not path.exists():
        raise BridgeError(
            f"expected weights of the bridge model in {path}, got no such file; "
            "check the path, or train them: python -m worldgen.models.bridge.train small"
        )
    with open_safetensors(path, most=LARGEST_FILE) as file:
        about = parse_json((file.metadata() or {}).get("about", "{}"), path, nan=True)
        stated = about.get("format") if isinstance(about, dict) else None
        if stated != FORMAT:
            raise BridgeError(
                f"expected weights of format {FORMAT} in {path}, got {str(stated)[:40]}; train them again"
            )
        state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    try:
        return _assemble(about, state)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError, BridgeError) as error:
        kind = "" if isinstance(error, BridgeError) else f"{type(error).__name__}: "
        said = " ".join(f"{kind}{error}".split())
        raise BridgeError(
            f"expected networks in {path} that are as the file says, got {said[:200]}; fetch or train it again"
        ) from error


def _assemble(about: dict, state: dict[str, Tensor]) -> Weights:
    """The networks with their tensors; raises whatever does not fit."""

    def under(prefix: str) -> dict[str, Tensor]:
        """The tensors of one network, without its prefix."""
        return {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}

    net_options = NetOptions(**_options(about["net"]))
    net = _fill(lambda: BridgeNet(net_options), under("net."))
    texture = None
    if about["texture"] is not None:
        texture_options = TextureOptions(**_options(about["texture"]))
        texture = _fill(lambda: TextureNet(texture_options), under("texture."))
    calibration = {key: parse_number(value, key) for key, value in about["calibration"].items()}
    return Weights(net, texture, Calibration(**calibration), dict(about["story"]))


def _fill(make: Callable[[], Net], state: dict[str, Tensor]) -> Net:
    """A network with its tensors; it takes memory only once its shapes are known to be those of the tensors."""
    with torch.device("meta"):
        wanted = {name: x.shape for name, x in make().state_dict().items()}
    there = {name: x.shape for name, x in state.items()}
    if wanted != there:
        odd = sorted(name for name in wanted | there if wanted.get(name) != there.get(name))
        raise ValueError(f"{len(odd)} tensors of other shapes, such as {odd[0][:60]}")
    net = make().eval()
    net.load_state_dict(state)
    return net


def _options(said: dict) -> dict[str, Any]:
    """Whole numbers of a size that networks have, tuples of them, and switches."""

    def size(key: str, value: Any) -> int | bool:
        """A switch, or a whole number in bounds."""
        most = MOST_BLOCKS if key == "blocks" else MOST_CHANNELS
        return value if isinstance(value, bool) else parse_integer(value, key, most=most)

    return {
        key: tuple(size(key, one) for one in value) if isinstance(value, list) else size(key, value)
        for key, value in said.items()
    }
