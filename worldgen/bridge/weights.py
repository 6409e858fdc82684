"""The weights file: safetensors with the networks' shapes, the calibration and the training's story beside them."""

import json
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from recon.errors import BridgeError
from recon.files import written_whole
from worldgen.bridge.net import BridgeNet, NetOptions
from worldgen.bridge.texture import TextureNet, TextureOptions

FORMAT = "bridge4d/bridge/2"
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
    slope: float = 1.0

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
    return Path(str(files("worldgen.bridge") / "bridge.safetensors"))


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
    with written_whole(path) as beside:
        save_file(halves, beside, metadata={"about": json.dumps(about)})


def load_weights(path: Path | str | None = None) -> Weights:
    """The shipped weights, or a file of one's own training.

    Raises:
        BridgeError: no such file, not one of these, or one whose networks do not fit what it says of them.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path or shipped_weights())
    if not path.is_file():
        raise BridgeError(
            f"expected weights of the bridge model in {path}, got no such file; "
            "check the path, or train them: python -m worldgen.bridge.train small"
        )
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise BridgeError(
            f"expected a safetensors file in {path}, got {error}; fetch or train it again"
        ) from error
    stated = about.get("format") if isinstance(about, dict) else None
    if stated != FORMAT:
        raise BridgeError(f"expected weights of format {FORMAT} in {path}, got {stated}; train them again")
    try:
        return _assembled(about, state)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise BridgeError(
            f"expected networks in {path} that are as the file says, got {said[:200]}; fetch or train it again"
        ) from error


def _assembled(about: dict, state: dict[str, Tensor]) -> Weights:
    """The networks with their tensors; raises whatever does not fit."""

    def under(prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): x for name, x in state.items() if name.startswith(prefix)}

    net = BridgeNet(NetOptions(**_tuples(about["net"]))).eval()
    net.load_state_dict(under("net."))
    texture = None
    if about["texture"] is not None:
        texture = TextureNet(TextureOptions(**_tuples(about["texture"]))).eval()
        texture.load_state_dict(under("texture."))
    return Weights(net, texture, Calibration(**about["calibration"]), about["story"])


def _tuples(options: dict) -> dict:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
